"""Every step of every recurrent layer in a model, laid open: what the native kernels and cuDNN keep inside.

While a model is traced its recurrent layers run as plain loops of their own reference step, on their own weights, so
that each h_t is a tensor of the graph. Outputs are the same within rounding, and the model is put back afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.nn.utils import parametrize

from ..errors import ConfigError
from ..layers._conv_recurrent import ConvRecurrentLayer
from ..layers._options import DEFAULTS
from ..layers._recurrent import RecurrentLayer
from ..layers.cells import TORCH_CELLS
from ..layers.chain import Chain
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.rnn import RNN
from ..layers.sequence_module import SequenceModule
from ..layers.simple_rnn import SimpleRNN
from ..ops.direction import DirectionCall, DirectionResult, RecurrentOptions, StepCall, run_steps
from ..ops.padding import valid_steps
from ..ops.state import map_state, tensors
from ..ops.unroll import unroll
from ..types import State

Tensor = torch.Tensor
_TORCH: dict[type, Any] = {torch.nn.RNN: SimpleRNN, torch.nn.LSTM: LSTM, torch.nn.GRU: GRU}


@dataclass
class Track:
    """One layer in one direction during one call.

    Attributes:
        name: the module's name and PyTorch's suffix of its parameters: ``body.l0``, ``body.l0_reverse``.
        kind: ``"tanh"``, ``"relu"``, ``"sigmoid"`` (simple recurrences), ``"lstm"``, ``"gru"``, ``"own"`` (a cell
            of the user's).
        reverse: it runs from each row's last valid step to its first.
        states: what the step returned at each time step, in order of time: (h,), or (h, c) for an LSTM, [B, H] each.
        gates: the gates at each time step, by name; empty where there are none.
        valid: bool [B, T], false in padding; None without padding.
    """

    name: str
    kind: str
    reverse: bool = False
    states: list[tuple[Tensor, ...]] = field(default_factory=list)
    gates: list[dict[str, Tensor]] = field(default_factory=list)
    valid: Tensor | None = None

    def over_time(self, place: int = 0) -> Tensor:
        """State tensor number ``place`` as [B, T, H] (trailing axes flattened)."""
        return torch.stack([state[place].flatten(1) for state in self.states], 1)

    def mask(self) -> Tensor:
        """``valid``, all true without padding."""
        first = self.states[0][0]
        shape = (first.shape[0], len(self.states))
        return torch.ones(shape, dtype=torch.bool, device=first.device) if self.valid is None else self.valid


def recurrent_layers(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The layers that can be traced, by name: rnnkit's, ``torch.nn.RNN``, ``LSTM``, ``GRU`` and cells of these.

    A :class:`rnnkit.SequenceModule` with a state is traced as a whole, unless it has such layers inside.

    Raises:
        ConfigError: ``model`` is no module or has none.
    """
    if not isinstance(model, torch.nn.Module):
        arrived = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ConfigError(f"model is {arrived}; expected a torch.nn.Module with recurrent layers")
    found: dict[str, torch.nn.Module] = {}
    inside: set[torch.nn.Module] = set()  # cells that a layer found already runs
    for name, module in model.named_modules():
        if module in inside or isinstance(module, torch.jit.ScriptModule):
            continue
        if isinstance(module, RNN):
            inside |= set(module.modules())
        elif not (
            isinstance(module, RecurrentLayer | ConvRecurrentLayer | torch.nn.RNNCellBase)
            or _kind(module) in _TORCH
            or _own_recurrence(module)
        ):
            continue
        found[name] = module
    if not found:
        raise ConfigError(
            f"{type(model).__name__} has no recurrent layer that can be looked into; expected rnnkit.SimpleRNN, LSTM, "
            "GRU, ConvLSTM, ConvGRU or RNN, torch.nn.RNN, LSTM or GRU, a cell of these, or a rnnkit.SequenceModule "
            "with a state, anywhere in the model"
        )
    return found


@contextmanager
def traced(model: torch.nn.Module) -> Iterator[list[Track]]:
    """Trace what the model's recurrent layers do within the block; the list fills as they run."""
    tracks: list[Track] = []
    changed: list[tuple[torch.nn.Module, dict[str, Any]]] = []
    hooks = []

    def put(module: torch.nn.Module, **attributes: Any) -> None:
        own = vars(module)
        changed.append((module, {name: own.get(name, _MISSING) for name in attributes}))
        own.update(attributes)

    try:
        for name, module in recurrent_layers(model).items():
            if isinstance(module, RecurrentLayer):
                options = replace(module.options, recompute=None)
                # The reference is the way through `_run_direction` on every device.
                put(module, _run_direction=_Directions(name, module, tracks), backend="reference", options=options)
            elif isinstance(module, RNN):
                put(module, _run_direction=_Cells(name, module, tracks), recompute=None)
            elif isinstance(module, ConvRecurrentLayer):
                put(module, _forward_direct=_Maps(name, module, tracks), algorithm="direct")
            elif isinstance(module, torch.nn.RNNCellBase):
                hooks.append(module.register_forward_hook(_CellCalls(name, module, tracks)))
            elif isinstance(module, SequenceModule):
                put(module, forward=_Steps(name, module, tracks))
            else:
                put(module, forward=_TorchLayer(name, module, tracks))
        yield tracks
    finally:
        for hook in hooks:
            hook.remove()
        for module, before in reversed(changed):
            for name, value in before.items():
                if value is _MISSING:
                    vars(module).pop(name, None)
                else:
                    vars(module)[name] = value


_MISSING = object()


def _kind(module: torch.nn.Module) -> type:
    return parametrize.type_before_parametrizations(module)


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _watched(state: State) -> State:
    """The same numbers, from which gradients are known even where nothing else requires one."""
    if not torch.is_grad_enabled():
        return state
    return map_state(
        lambda leaf: leaf + torch.zeros_like(leaf, requires_grad=True) if leaf.is_floating_point() else leaf, state
    )


def _floats(state: State) -> tuple[Tensor, ...]:
    return tuple(leaf for leaf in tensors(state) if leaf.is_floating_point())


class _Directions:
    """In place of ``RecurrentLayer._run_direction``: one layer in one direction, step by step."""

    def __init__(self, name: str, layer: RecurrentLayer, tracks: list[Track]) -> None:
        self.name, self.layer, self.tracks, self.calls = name, layer, tracks, 0

    def __call__(self, call: DirectionCall, backend: str) -> DirectionResult:
        layer, reverse = self.layer, call.reverse
        index = self.calls // layer.num_directions % layer.num_layers  # they are called in order
        self.calls += 1
        kind = getattr(layer, "nonlinearity", layer.kernel)
        track = Track(_joined(self.name, f"l{index}" + ("_reverse" if reverse else "")), kind, reverse)
        batch, time = (call.x.shape[0], call.x.shape[1]) if call.batch_first else (call.x.shape[1], call.x.shape[0])
        zeros = map_state(lambda leaf: leaf[0], _zeros(layer, batch, call.x))

        def step(x_t: Tensor, before: State, options: RecurrentOptions) -> tuple[Tensor, State]:
            gates: dict[str, Tensor] = {}
            h, after = layer._run_step(StepCall(x_t, before, call.weights, options, gates))
            track.states.append(_floats(after))
            track.gates.append(gates)
            return h, after

        start = _watched(zeros if call.state is None else call.state)
        output, last = run_steps(step, call._replace(state=start), zeros)
        if reverse:
            track.states.reverse()
            track.gates.reverse()
        if call.lengths is not None:
            track.valid = valid_steps(call.lengths, time, call.x.device)
        self.tracks.append(track)
        if not call.return_cells:
            return DirectionResult(output, last)
        cells = track.over_time(1)
        cells = cells if track.valid is None else cells.masked_fill(~track.valid[..., None], 0)
        return DirectionResult(output, last, cells if call.batch_first else cells.transpose(0, 1))


def _zeros(layer: RecurrentLayer, batch: int, x: Tensor) -> State:
    """The layer's initial state without what it learned: where nothing is passed, a call starts from zeros."""
    return map_state(torch.zeros_like, layer.initial_state(batch, x.device, x.dtype))


class _TorchLayer:
    """In place of the ``forward`` of one of PyTorch's layers: rnnkit's layer of the same recurrence and weights."""

    def __init__(self, name: str, layer: torch.nn.Module, tracks: list[Track]) -> None:
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        arguments: dict[str, Any] = {name: getattr(layer, name) for name in names}
        kind = _kind(layer)
        if kind is torch.nn.RNN:
            arguments["nonlinearity"] = layer.nonlinearity
        if kind is torch.nn.LSTM:
            arguments["proj_size"] = layer.proj_size
        self.layer = layer
        self.shadow: RecurrentLayer = _TORCH[kind](**arguments, device="meta", backend="reference").train(
            layer.training
        )
        self.shadow.options = DEFAULTS
        vars(self.shadow)["_run_direction"] = _Directions(name, self.shadow, tracks)

    def __call__(self, input: Any, hx: Any = None) -> Any:
        # By name and at each call: parametrisations and hooks set weights then.
        for name in list(self.shadow._parameters):
            self.shadow._parameters[name] = getattr(self.layer, name)
        return self.shadow(input, hx)


class _Cells:
    """Around ``RNN._run_direction``: the same loop, with a cell that notes its states."""

    def __init__(self, name: str, layer: RNN, tracks: list[Track]) -> None:
        self.name, self.layer, self.tracks = name, layer, tracks

    def __call__(
        self,
        cell: Callable[..., Any],
        x: Tensor,
        state: State,
        lengths: Tensor | None,
        resets: Tensor | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, State]:
        track = Track(_joined(self.name, "reverse_cell" if reverse else "cell"), _kind_of_cell(cell), reverse)

        def noted(x_t: Tensor, before: State) -> Any:
            returned = cell(x_t, before)
            after = returned
            if isinstance(cell, TORCH_CELLS):
                returned = (returned[0] if isinstance(returned, tuple) else returned, returned)
            elif isinstance(returned, tuple) and len(returned) == 2:
                after = returned[1]
            track.states.append(_floats(after))
            track.gates.append({})
            return returned

        output, last = type(self.layer)._run_direction(
            self.layer, noted, x, _watched(state), lengths, resets, reverse=reverse
        )
        if reverse:
            track.states.reverse()
        if lengths is not None:
            track.valid = valid_steps(lengths, x.shape[0], x.device)
        self.tracks.append(track)
        return output, last


class _Maps:
    """Around ``ConvRecurrentLayer._forward_direct``: the same loop, with a step that notes its states."""

    def __init__(self, name: str, layer: ConvRecurrentLayer, tracks: list[Track]) -> None:
        self.name, self.layer, self.tracks = name, layer, tracks

    def __call__(self, x: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, State]:
        track, step = Track(self.name, "own"), self.layer._step

        def noted(from_x: Tensor, before: State) -> tuple[Tensor, State]:
            y, after = step(from_x, before)
            track.states.append(_floats(after))
            track.gates.append({})
            return y, after

        own = vars(self.layer)
        own["_step"] = noted
        try:
            output, last = type(self.layer)._forward_direct(self.layer, x, _watched(state), lengths, resets)
        finally:
            del own["_step"]
        if lengths is not None:
            track.valid = valid_steps(lengths, x.shape[1], x.device)
        self.tracks.append(track)
        return output, last


def _own_recurrence(module: torch.nn.Module) -> bool:
    """Whether a module is a custom recurrence over whole sequences, which can continue from a state."""
    if not isinstance(module, SequenceModule) or isinstance(module, Chain):
        return False
    known = (RecurrentLayer, RNN, torch.nn.RNNBase, torch.nn.RNNCellBase)
    inside = any(isinstance(part, known) for part in module.modules())
    return module.stateful and module.carry_problem is None and not inside


class _Steps:
    """In place of the ``forward`` of a recurrence of the user's: the same, step by step."""

    def __init__(self, name: str, module: SequenceModule, tracks: list[Track]) -> None:
        self.name, self.module, self.tracks = name, module, tracks

    def __call__(self, x: Tensor, lengths: Any = None) -> tuple[Tensor, Any, State]:
        module, axis = self.module, self.module.state_batch_axis
        track = Track(self.name, "own")

        def batch_first(state: State) -> State:
            return map_state(lambda leaf: leaf.movedim(axis, 0), state)

        def as_module(state: State) -> State:
            return map_state(lambda leaf: leaf.movedim(0, axis), state)

        def step(x_t: Tensor, before: State) -> tuple[Tensor, State]:
            y, after = module.step(x_t, as_module(before))
            after = batch_first(after)
            track.states.append(_floats(after))
            track.gates.append({})
            return y, after

        start = _watched(batch_first(module.initial_state(len(x), x.device, x.dtype)))
        rows = None if lengths is None else torch.as_tensor(lengths)
        output, last = unroll(step, x.transpose(0, 1), start, lengths=rows)
        if rows is not None:
            track.valid = valid_steps(rows, x.shape[1], x.device)
        self.tracks.append(track)
        return output.transpose(0, 1), lengths, as_module(last)


class _CellCalls:
    """A forward hook: each call of a cell within the model's own loop is a time step."""

    def __init__(self, name: str, cell: torch.nn.Module, tracks: list[Track]) -> None:
        self.track = Track(name or "cell", _kind_of_cell(cell))
        self.tracks = tracks

    def __call__(self, cell: torch.nn.Module, inputs: Any, output: Any) -> Any:
        if not self.track.states:
            self.tracks.append(self.track)
        output = _watched(output)
        leaves = tensors(output)
        self.track.states.append(tuple(leaf if leaf.dim() > 1 else leaf[None] for leaf in leaves))
        self.track.gates.append({})
        return output


def _kind_of_cell(cell: object) -> str:
    if isinstance(cell, torch.nn.RNNCell):
        return str(cell.nonlinearity)
    if isinstance(cell, torch.nn.LSTMCell):
        return "lstm"
    return "gru" if isinstance(cell, torch.nn.GRUCell) else "own"
