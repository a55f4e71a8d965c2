"""What the classical layers share: layers and directions, steps, packed and unbatched input.

A concrete layer derives from this class and from PyTorch's layer of the same recurrence, and adds the recurrence
itself: one direction (:meth:`_direction`), one step (:meth:`_cell`) and what speaks against each backend.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..errors import BackendError, ConfigError, ShapeError, suggest
from ..ops.backend import choose_backend, native_problem
from ..ops.draws import bernoulli
from ..ops.recompute import in_chunks
from ..ops.state import map_state, tensors
from ..types import BACKENDS, Backend, State
from ._checks import Lengths, check_input, check_lengths, check_resets, check_state
from ._options import (
    DEFAULTS,
    Options,
    check_options,
    chosen,
    given,
    parameter_shapes,
    suffix_of,
    torch_lacks,
)
from ._packed import refuse_beside_packed, through_padding
from .initialisation import Init, check_init, initialise
from .stream import Stream

Tensor = torch.Tensor
_ZONES = ("zone", "zone_h", "zone_c")


def _autocast(x: Tensor) -> bool:
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


class RecurrentLayer(torch.nn.RNNBase):
    """See the module. ``state_batch_axis`` says where the batch lies in the tensors of a state.

    ``init``, ``backend`` and ``options`` have their defaults on the class, so that a layer of PyTorch's becomes one of
    these by its class alone (:func:`rnnkit.accelerate`).
    """

    state_batch_axis: ClassVar[int] = 1
    kernel: ClassVar[str]
    gates: ClassVar[int]
    init: Init = "torch"
    backend: Backend = "auto"
    options: Options = DEFAULTS
    weight_ih_l0: Tensor
    initial_h: Tensor
    initial_c: Tensor

    def _configure(self, mode: str, init: Init, backend: Backend, **options: Any) -> None:
        """Checks and keeps rnnkit's own arguments; called before PyTorch's constructor draws the weights."""
        check_init(init, mode)
        if backend not in BACKENDS:
            raise ConfigError(f"backend={backend!r} is unknown{suggest(backend, BACKENDS)}")
        if isinstance(options["zoneout"], list):  # as a configuration file has it
            options["zoneout"] = tuple(options["zoneout"])
        self.init, self.backend, self.options = init, backend, Options(**options)
        check_options(self.options, pairs=mode == "LSTM")

    def _complete(self) -> None:
        """Adds the options' own parameters; called behind PyTorch's constructor."""
        weight = self.weight_ih_l0

        def new(shape: tuple[int, ...]) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape, device=weight.device, dtype=weight.dtype))

        if self.options.coupled_gates:  # the rows of one gate less
            for name, whole in list(self.named_parameters()):
                if name.startswith(("weight_ih", "weight_hh", "bias")):
                    rows = whole.shape[0] // self.gates * (self.gates - 1)
                    setattr(self, name, new((rows, *whole.shape[1:])))
        for name, shape in parameter_shapes(self).items():
            self.register_parameter(name, new(shape))
        # PyTorch's constructor has drawn the rest: the same seed gives the same weights with and without options.
        initialise(self, self.init, None if self.options.coupled_gates else set(parameter_shapes(self)))

    # --- what a concrete layer adds ----------------------------------------------------------------------------------

    def _direction(
        self, x: Tensor, state: State | None, weights: list[Any], reverse: bool, backend: Backend, **call: Any
    ) -> tuple[Tensor, State]:
        """One layer in one direction; ``call`` is lengths, resets, initial and what :meth:`_chosen` adds."""
        raise NotImplementedError

    def _cell(self, x: Tensor, state: State, weights: list[Any], **call: Any) -> tuple[Tensor, State]:
        """One step [B, I] of one layer; ``call`` is what :meth:`_chosen` adds."""
        raise NotImplementedError

    def _torch_problem(self) -> str | None:
        """Why PyTorch's own layer cannot compute this configuration, or None where it can."""
        return torch_lacks(self.options, self.training)

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step, for ``batch`` rows: zeros, or what was learned."""
        weight = self.weight_ih_l0
        device, dtype = device or weight.device, dtype or weight.dtype
        if self.options.learn_initial_state:
            learned = [self.initial_h, self.initial_c] if self.gates == 4 else [self.initial_h]
            leaves = [one.to(device, dtype).expand(-1, batch, -1) for one in learned]
        else:
            rows = self.num_layers * self.num_directions
            widths = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.gates == 4 else [])
            leaves = [torch.zeros(rows, batch, width, device=device, dtype=dtype) for width in widths]
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    # --- the public calls --------------------------------------------------------------------------------------------

    def reset_parameters(self) -> None:
        """Draws all weights anew, by ``init``."""
        initialise(self, self.init)

    def flatten_parameters(self) -> None:
        """What cuDNN needs where PyTorch's own layer serves on CUDA; nothing elsewhere."""
        if self._torch_problem() is None:
            super().flatten_parameters()

    @property
    def kind(self) -> str:
        """The native kernel's variant."""
        return "standard"

    @property
    def num_directions(self) -> int:
        """D, 1 or 2."""
        return 2 if self.bidirectional else 1

    def backend_for(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32, *, resets: bool = False
    ) -> Backend:
        """The backend that would serve a call on this device and dtype, with or without resets."""
        native = native_problem(torch.device(device), dtype)
        if native is None and self.backend in ("auto", "native"):
            return "native"  # what PyTorch lacks need not be asked at each call
        torch_own = "PyTorch's layers have no resets" if resets else self._torch_problem()
        return choose_backend(type(self).__name__, self.backend, native, torch_own)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, State]:
        """Runs whole sequences.

        Args:
            input: [T, B, I], or [B, T, I] with ``batch_first``, or [T, I] unbatched, or a ``PackedSequence``.
            hx: the state to start from, as this method returns it; None for :meth:`initial_state`.
            lengths: the number of valid steps of each row, [B] integers from 1 to T; rows are padded on the right and
                need no order. Outputs behind a row's length are 0, its state is that of its last valid step, and the
                reverse direction starts there.
            resets: bool [B, T], whatever ``batch_first``: true clears that row's state to :meth:`initial_state` before
                that step, whatever ``hx``. Not with ``bidirectional``.

        Returns:
            output and state, shaped as PyTorch's layer shapes them.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
            BackendError: the named backend cannot serve this call.
        """
        if isinstance(input, PackedSequence):
            refuse_beside_packed(lengths, resets)
            return self._forward_packed(input, hx)
        if isinstance(input, Tensor) and input.dim() == 2:
            return self._forward_unbatched(input, hx, lengths, resets)
        x, hx, lengths, resets, backend = self._enter(input, hx, lengths, resets)
        if backend == "torch":
            return self._through_torch(x, hx, lengths)
        # In the weights' dtype: halved products would not fit the state that is carried.
        with torch.autocast(x.device.type, enabled=False) if _autocast(x) else nullcontext():
            return self._through_layers(x, hx, lengths, resets, backend)

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One time step, pure and differentiable: the same as :meth:`forward` on a sequence of one.

        Args:
            x: [B, I].
            state: as :meth:`forward` returns it; None for :meth:`initial_state`.

        Returns:
            output [B, H] and the next state. Dropout is drawn anew for each step; use :meth:`forward` to train with it.
        """
        if self.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no step; call the layer")
        if not isinstance(x, Tensor):
            raise ShapeError(f"x is a {type(x).__name__}; expected a tensor: torch.as_tensor(x)")
        if _autocast(x):
            x = x.to(self.weight_ih_l0.dtype)
            state = None if state is None else map_state(lambda leaf: leaf.to(x.dtype), state)
            with torch.autocast(x.device.type, enabled=False):
                return self.step(x, state)
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ShapeError(f"x has shape {tuple(x.shape)}; a step takes (batch, {self.input_size})")
        if x.dtype != self.weight_ih_l0.dtype:
            raise ShapeError(f"x is {x.dtype} and the layer's weights are {self.weight_ih_l0.dtype}; convert one")
        if state is None:
            state = self.initial_state(x.shape[0], x.device, x.dtype)
        else:
            check_state(state, self, x.shape[0], x)
        following = []
        for layer in range(self.num_layers):
            options = self._chosen(x, len(x), 1, layer, False)
            options = {name: one[:, 0] if name in _ZONES and one.dim() == 3 else one for name, one in options.items()}
            before = map_state(lambda leaf, at=layer: leaf[at], state)
            x, after = self._cell(x, before, self._weights(layer), **options)
            following.append(after)
            x = self._dropout(x, layer)
        return x, map_state(lambda *leaves: torch.stack(leaves), *following)

    def stream(self, batch: int = 1) -> Stream:
        """The layer as a stream of single steps for ``batch`` rows: fast, without gradients, see :class:`Stream`.

        Example:
            >>> import torch, rnnkit
            >>> layer = rnnkit.LSTM(3, 5)
            >>> stream = layer.stream(batch=2)
            >>> x = torch.randn(7, 2, 3)
            >>> outputs = [stream(x_t).clone() for x_t in x]
            >>> torch.allclose(torch.stack(outputs), layer(x)[0], atol=1e-6)
            True
        """
        return Stream(self, batch)

    def final_output(self, state: State) -> Tensor:
        """The top layer's output at each row's last valid step, both directions side by side: [B, D·H]."""
        h = tensors(state)[0]
        if len(h) == 1:
            return h.squeeze(0)  # a view; the gradient of h[-1] would be a fresh tensor of zeros and a copy
        return h[-1] if self.num_directions == 1 else torch.cat((h[-2], h[-1]), -1)

    @property
    def output_size(self) -> int:
        """Features of an output: D·H, or D·P with a projection."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this layer anew, for ``rnnkit.load``."""
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        arguments = {name: getattr(self, name) for name in (*names, "init", "backend")}
        builder = parametrize.type_before_parametrizations(self).__name__  # an adapter's weights change the class
        return {"builder": builder, "arguments": arguments | self._own_arguments() | given(self.options)}

    def _own_arguments(self) -> dict[str, Any]:
        return {}

    def extra_repr(self) -> str:
        own = self._own_arguments() | given(self.options)
        theirs = super().extra_repr()
        shown = [f"{name}={value!r}" for name, value in own.items() if value or name in given(self.options)]
        shown = [text for text in shown if text not in theirs]
        return ", ".join([theirs, *shown, f"init={self.init!r}", f"backend={self.backend!r}"])

    # --- ways through ------------------------------------------------------------------------------------------------

    def _weights(self, layer: int, reverse: bool = False) -> list[Any]:
        """w_ih, w_hh, b_ih, b_hh; read by name each time, so that parametrisations and tied weights are seen."""
        suffix = suffix_of(layer, reverse)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")
        plain = self._parameters  # a microsecond each faster than getattr, which finds parametrised weights too
        found: list[Any] = [
            plain[name + suffix] if name + suffix in plain else getattr(self, name + suffix) for name in names
        ]
        if self.options.weight_dropout and self.training:
            keep = 1 - self.options.weight_dropout
            found[1] = found[1] * bernoulli(tuple(found[1].shape), keep, 1 / keep, found[1])
        return found if self.bias else [*found, None, None]

    def _chosen(self, x: Tensor, batch: int, time: int, layer: int, reverse: bool) -> dict[str, Any]:
        """What the options add to a call of one direction of one layer; only what is there."""
        if self.options is DEFAULTS or self.options == DEFAULTS:  # equal where the layer was copied
            return {}
        return chosen(self, x, batch, time, suffix_of(layer, reverse))

    def _dropout(self, x: Tensor, layer: int) -> Tensor:
        if not (self.dropout and self.training and layer < self.num_layers - 1):
            return x
        if not self.batch_first or x.dim() == 2:
            return torch.nn.functional.dropout(x, self.dropout)
        # PyTorch's layers draw time first, whatever the layout: the same seed drops the same outputs.
        return torch.nn.functional.dropout(x.transpose(0, 1).contiguous(), self.dropout).transpose(0, 1)

    def _enter(
        self, x: Tensor, hx: State | None, lengths: Lengths | None, resets: Tensor | None
    ) -> tuple[Tensor, State | None, Tensor | None, Tensor | None, Backend]:
        """What a call got, checked, and the backend that serves it."""
        if not isinstance(x, Tensor):
            raise ShapeError(f"input is a {type(x).__name__}; expected a tensor: torch.as_tensor(input)")
        if _autocast(x):
            # Layers before may have halved the input, PyTorch's layers the state. They halve both again.
            dtype = self.weight_ih_l0.dtype
            x = x.to(dtype)
            hx = None if hx is None else map_state(lambda leaf: leaf.to(dtype), hx)
        check_input(x, self)
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if hx is not None:
            check_state(hx, self, batch, x)
        elif self.options.learn_initial_state:
            hx = self.initial_state(batch)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, time)
        if resets is not None:
            resets = check_resets(resets, batch, time, self.bidirectional)
        return x, hx, lengths, resets, self.backend_for(x.device, x.dtype, resets=resets is not None)

    def _through_layers(
        self,
        x: Tensor,
        hx: State | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        backend: Backend,
        **collected: list[Tensor],
    ) -> tuple[Tensor, State]:
        finals = []
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        initial = self.initial_state(batch) if resets is not None and self.options.learn_initial_state else None
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                place = layer * self.num_directions + direction
                start, back = (
                    None if state is None else map_state(lambda leaf, at=place: leaf[at], state)
                    for state in (hx, initial)
                )
                call = {"lengths": lengths, "resets": resets, "initial": back, **collected}
                call |= self._chosen(x, batch, time, layer, direction == 1)
                weights = self._weights(layer, direction == 1)
                run = self._direction if self.options.recompute is None else self._in_chunks
                output, final = run(x, start, weights, direction == 1, backend, **call)
                outputs.append(output)
                finals.append(final)
            x = self._dropout(outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1), layer)
        if len(finals) == 1:
            return x, map_state(lambda leaf: leaf.unsqueeze(0), finals[0])
        return x, map_state(lambda *leaves: torch.stack(leaves), *finals)

    def _in_chunks(
        self, x: Tensor, state: State | None, weights: list[Any], reverse: bool, backend: Backend, **call: Any
    ) -> tuple[Tensor, State]:
        """As :meth:`_direction`, with memory for ``recompute`` steps at a time."""
        steps = self.options.recompute
        assert steps is not None
        lengths, resets, cells = call.pop("lengths"), call.pop("resets"), call.pop("cells", None)
        zones = {name: call.pop(name).transpose(0, 1) for name in _ZONES if name in call and call[name].dim() == 3}
        x = x.transpose(0, 1) if self.batch_first else x
        if state is None:
            state = map_state(lambda leaf: leaf[0], self.initial_state(x.shape[1], x.device, x.dtype))

        names = list(call)

        def run(inputs: State, start: State, shared: State, **ragged: Any) -> tuple[Tensor, State]:
            part, *cut = inputs
            weights, common = shared
            over_time = {name: zone.transpose(0, 1) for name, zone in zip(zones, cut, strict=True)}
            part = part.transpose(0, 1) if self.batch_first else part
            own: dict[str, list[Tensor]] = {} if cells is None else {"cells": []}
            options = {**dict(zip(names, common, strict=True)), **over_time, **ragged, **own}
            output, after = self._direction(part, start, list(weights), reverse, backend, **options)
            if cells is not None:  # side by side, so that they are cut and joined with the output
                output = torch.cat((output, *own["cells"]), -1)
            return output.transpose(0, 1) if self.batch_first else output, after

        inputs = (x, *zones.values())
        shared = (tuple(weights), tuple(call.values()))
        output, final = in_chunks(
            run, inputs, state, steps=steps, lengths=lengths, resets=resets, reverse=reverse, shared=shared
        )
        if cells is not None:
            output, every = output.split((output.shape[-1] - self.hidden_size, self.hidden_size), -1)
            cells.append(every.transpose(0, 1) if self.batch_first else every)
        return output.transpose(0, 1) if self.batch_first else output, final

    def _through_torch(self, x: Tensor, hx: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        if lengths is None or len(lengths) == 0:
            return super().forward(x, hx)  # type: ignore[no-any-return]
        packed = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        output, state = super().forward(packed, hx)
        time = x.shape[1 if self.batch_first else 0]
        return pad_packed_sequence(output, self.batch_first, total_length=time)[0], state

    def _forward_packed(self, packed: PackedSequence, hx: State | None) -> tuple[PackedSequence, State]:
        if _autocast(packed.data):
            packed = packed.to(self.weight_ih_l0.dtype)
        if self.backend_for(packed.data.device, packed.data.dtype) != "torch":
            return through_padding(lambda x, rows: self.forward(x, hx, lengths=rows), packed, self.batch_first)
        if hx is None and self.options.learn_initial_state:
            hx = self.initial_state(int(packed.batch_sizes[0]))
        return super().forward(packed, hx)  # type: ignore[no-any-return]

    def _forward_unbatched(
        self, x: Tensor, hx: State | None, lengths: Lengths | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        if lengths is not None or resets is not None:
            raise ShapeError("lengths and resets need a batch; add its axis with x.unsqueeze")
        axis = 0 if self.batch_first else 1
        if hx is not None:
            hx = map_state(lambda leaf: leaf.unsqueeze(1), hx)
        output, state = self.forward(x.unsqueeze(axis), hx)
        return output.squeeze(axis), map_state(lambda leaf: leaf.squeeze(1), state)
