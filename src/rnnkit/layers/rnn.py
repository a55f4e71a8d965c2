"""A recurrence of your own over whole sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import BackendError, ConfigError, ShapeError
from ..ops.recompute import in_chunks
from ..ops.state import tensors
from ..ops.unroll import unroll
from ..types import State
from ._checks import Lengths, check_lengths, check_resets, described
from ._packed import refuse_beside_packed, through_padding
from .cells import TORCH_CELLS, zeros
from .description import describe

Tensor = torch.Tensor
Cell = Callable[..., Any]


class RNN(torch.nn.Module):
    """y_t, s_t = cell(x_t, s_{t-1}): any step of your own, with the same call as rnnkit's layers.

    The cell is a plain function or a module (its parameters become this module's); its state is a tensor or a nested
    tuple of tensors, batch first, of any shapes. PyTorch's and rnnkit's ``LSTMCell``, ``GRUCell``, ``RNNCell`` and
    ``SimpleRNNCell`` are taken as they are, with h as the output. It runs as a plain loop of PyTorch operations on any
    device; :class:`rnnkit.LSTM` and its siblings are faster for what they compute.

    Legend: B batch, T time, K steps of a stretch.

    Args:
        cell: ``cell(x_t, state) -> (output_t, state)``, with x_t [B, ...] and output_t [B, ...].
        reverse_cell: a second cell that runs from each row's last valid step to its first; outputs are concatenated on
            the last axis, states are pairs (forward, backward).
        initial_state: the state before the first step, as the call returns states: a callable
            ``(batch, device, dtype) -> state``, or a state with a batch of 1 that every row starts from. Its
            ``nn.Parameter`` tensors are registered, so that it is learned with the rest; other tensors become buffers.
            Without it the cells' own method ``initial_state(batch, device, dtype)``.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...].
        recompute: K, to keep memory for K steps at a time and compute the rest again in the backward pass
            (:mod:`rnnkit.ops.recompute`); near √T memory is least. Values, gradients and dropout stay the same.

    Shapes:
        input [T, B, ...] → output [T, B, ...], state as the cell shapes it.

    Raises:
        ConfigError: an argument cannot be used, or no state to start from is known.
        ShapeError: the input, a state, or what the cell returned does not fit.

    Variant: past a row's length the cell runs on zeros and its results are dropped; a step that has no finite gradient
    at zero (x / |x|) needs an epsilon there.

    Example:
        >>> import torch, rnnkit
        >>> def leaky(x, state):
        ...     state = 0.9 * state + x
        ...     return state, state
        >>> layer = rnnkit.RNN(leaky, initial_state=torch.zeros(1, 3))
        >>> output, state = layer(torch.ones(7, 4, 3), lengths=[7, 2, 5, 1])
        >>> tuple(output.shape), [round(value, 2) for value in state[:, 0].tolist()]
        ((7, 4, 3), [5.22, 1.9, 4.1, 1.0])
    """

    state_batch_axis: ClassVar[int] = 0

    def __init__(
        self,
        cell: Cell,
        *,
        reverse_cell: Cell | None = None,
        initial_state: Callable[[int, torch.device, torch.dtype], State] | State | None = None,
        batch_first: bool = False,
        recompute: int | None = None,
    ) -> None:
        super().__init__()
        _check_cell(cell, "cell")
        if reverse_cell is not None:
            _check_cell(reverse_cell, "reverse_cell")
        if recompute is not None and (type(recompute) is not int or recompute < 1):
            raise ConfigError(f"recompute={recompute!r}; expected the number of steps to keep at a time, such as 50")
        self.cell, self.reverse_cell = cell, reverse_cell
        self.batch_first, self.recompute = batch_first, recompute
        # A callable, or the names of tensors nested as the state is, or None.
        if initial_state is None or callable(initial_state):
            self.initial: Any = initial_state
        else:
            _shapes(initial_state, "initial_state")
            name = "initial_0" if isinstance(initial_state, Tensor) else "initial"
            self.initial = self._registered(initial_state, name)

    @property
    def bidirectional(self) -> bool:
        """Whether there is a second direction."""
        return self.reverse_cell is not None

    @property
    def input_size(self) -> int | None:
        """Features of a step of the input, as the cell's ``input_size`` says; None where it has none."""
        found: int | None = getattr(self.cell, "input_size", None)
        return found

    @property
    def output_size(self) -> int | None:
        """Features of an output, by the cells' ``output_size`` or ``hidden_size``; None where a cell has neither."""
        sizes = [getattr(cell, "output_size", getattr(cell, "hidden_size", None)) for cell in self._cells()]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this layer anew, for ``rnnkit.load``; None where a cell does not tell its."""
        if self.initial is not None:
            return None
        cells = {"cell": self.cell} | ({} if self.reverse_cell is None else {"reverse_cell": self.reverse_cell})
        described = {name: describe(cell) for name, cell in cells.items()}
        if None in described.values():
            return None
        arguments = {**described, "batch_first": self.batch_first, "recompute": self.recompute}
        return {"builder": "RNN", "arguments": arguments}

    def _registered(self, state: State, name: str) -> Any:
        if not isinstance(state, Tensor):
            return tuple(self._registered(part, f"{name}_{index}") for index, part in enumerate(state))
        if state.shape[:1] != (1,):
            raise ConfigError(
                f"initial_state has a tensor of shape {tuple(state.shape)}; expected a batch of 1 on axis 0, which "
                "every row starts from: add it with .unsqueeze(0)"
            )
        if isinstance(state, torch.nn.Parameter):
            self.register_parameter(name, state)
        else:
            self.register_buffer(name, state)
        return name

    # --- the public calls --------------------------------------------------------------------------------------------

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step, for ``batch`` rows; device and dtype default to the parameters'."""
        weight = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        device, dtype = torch.device(device or weight.device), dtype or weight.dtype
        if self.initial is None:
            states = [_own_initial_state(cell, batch, device, dtype) for cell in self._cells()]
            state: State = tuple(states) if self.bidirectional else states[0]
        elif callable(self.initial):
            state = self.initial(batch, device, dtype)
        else:
            state = self._expanded(self.initial, batch, device, dtype)
        self._check_state(state, batch, "initial_state")
        return state

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
            input: [T, B, ...], or [B, T, ...] with ``batch_first``, or a ``PackedSequence``.
            hx: the state to start from, as this method returns it; None for :meth:`initial_state`.
            lengths: the number of valid steps of each row, [B] integers from 1 to T; rows are padded on the right and
                need no order. Outputs behind a row's length are 0, its state is that of its last valid step, and the
                reverse direction starts there.
            resets: bool [B, T], whatever ``batch_first``: true clears that row's state to :meth:`initial_state` before
                that step, whatever ``hx`` (to ``hx`` where no initial state is known). Not with ``reverse_cell``.

        Returns:
            output [T, B, ...] ([B, T, ...] with ``batch_first``) and the last state.
        """
        if isinstance(input, PackedSequence):
            refuse_beside_packed(lengths, resets)
            return through_padding(lambda x, rows: self.forward(x, hx, lengths=rows), input, self.batch_first)
        self._check_input(input)
        x = input.transpose(0, 1) if self.batch_first else input
        time, batch = x.shape[:2]
        if hx is None:
            hx = self.initial_state(batch, x.device, self._state_dtype(x))
        else:
            self._check_state(hx, batch, "hx", x.device)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, time)
        if resets is not None:
            resets = check_resets(resets, batch, time, self.bidirectional)
        if self.reverse_cell is None:
            output, state = self._direction(self.cell, x, hx, lengths, resets)
        else:
            forwards, forward_state = self._direction(self.cell, x, hx[0], lengths)
            backwards, backward_state = self._direction(self.reverse_cell, x, hx[1], lengths, reverse=True)
            if forwards.dim() < 3 or backwards.dim() < 3:
                raise ShapeError("a cell returned outputs of shape (batch,), which cannot be joined; return (batch, 1)")
            output, state = torch.cat((forwards, backwards), -1), (forward_state, backward_state)
        return output.transpose(0, 1) if self.batch_first else output, state

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One time step, pure and differentiable: the same as :meth:`forward` on a sequence of one.

        Args:
            x: [B, ...].
            state: as :meth:`forward` returns it; None for :meth:`initial_state`.

        Returns:
            output [B, ...] and the next state.
        """
        if self.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no step; call the layer")
        if not isinstance(x, Tensor) or x.dim() == 0:
            raise ShapeError(f"x is {described(x)}; a step takes a tensor of shape (batch, ...)")
        if state is None:
            state = self.initial_state(x.shape[0], x.device, self._state_dtype(x))
        else:
            self._check_state(state, x.shape[0], "state", x.device)
        return _checked_step(self.cell)(x, state)

    def extra_repr(self) -> str:
        shown = [] if isinstance(self.cell, torch.nn.Module) else [f"cell={_name(self.cell)}"]
        if self.reverse_cell is not None and not isinstance(self.reverse_cell, torch.nn.Module):
            shown.append(f"reverse_cell={_name(self.reverse_cell)}")
        return ", ".join([*shown, f"batch_first={self.batch_first}", f"recompute={self.recompute}"])

    # --- ways through ------------------------------------------------------------------------------------------------

    def _direction(
        self,
        cell: Cell,
        x: Tensor,
        state: State,
        lengths: Tensor | None,
        resets: Tensor | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, State]:
        step = _checked_step(cell)
        # Without a state of its own to go back to, a row goes back to where the call started.
        known = resets is not None and self._knows_initial_state()
        cleared = self.initial_state(x.shape[1], x.device, self._state_dtype(x)) if known else state

        def run(x: Tensor, state: State, shared: State, **ragged: Tensor | None) -> tuple[Tensor, State]:
            return unroll(step, x, state, initial=shared, reverse=reverse, **ragged)

        if self.recompute is None:
            return run(x, state, cleared, lengths=lengths, resets=resets)
        steps = self.recompute
        return in_chunks(run, x, state, steps=steps, lengths=lengths, resets=resets, reverse=reverse, shared=cleared)

    def _knows_initial_state(self) -> bool:
        cell = self.cell
        return (
            self.initial is not None or isinstance(cell, TORCH_CELLS) or callable(getattr(cell, "initial_state", None))
        )

    def _cells(self) -> list[Cell]:
        return [self.cell] if self.reverse_cell is None else [self.cell, self.reverse_cell]

    def _expanded(self, names: Any, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        if isinstance(names, tuple):
            return tuple(self._expanded(part, batch, device, dtype) for part in names)
        leaf: Tensor = getattr(self, names)
        leaf = leaf.to(device, dtype if leaf.is_floating_point() else leaf.dtype)  # a count stays a count
        return leaf.expand(batch, *leaf.shape[1:]).clone()  # a cell may write into its state

    def _state_dtype(self, x: Tensor) -> torch.dtype | None:
        """None, for the parameters'; where there are none, the input's, unless it holds tokens."""
        return x.dtype if x.is_floating_point() and next(self.parameters(), None) is None else None

    # --- checks at the door ------------------------------------------------------------------------------------------

    def _check_input(self, x: Tensor) -> None:
        layout = "(batch, time, ...)" if self.batch_first else "(time, batch, ...)"
        if not isinstance(x, Tensor):
            raise ShapeError(f"input is a {type(x).__name__}; expected a tensor: torch.as_tensor(input)")
        if x.dim() < 2:
            raise ShapeError(f"input has shape {tuple(x.shape)}; expected {layout}")
        if x.shape[1 if self.batch_first else 0] == 0:
            raise ShapeError(f"input has shape {tuple(x.shape)}, read as {layout}: it has no time step")

    def _check_state(self, state: State, batch: int, name: str, device: torch.device | None = None) -> None:
        shapes = _shapes(state, name)
        if any(leaf.shape[:1] != (batch,) for leaf in tensors(state)):
            raise ShapeError(f"{name} has shapes {shapes}; expected the batch, {batch}, on axis 0 of every tensor")
        if self.bidirectional and (isinstance(state, Tensor) or len(state) != 2):
            raise ShapeError(f"{name} has shapes {shapes}; expected a pair of states, (forward, backward)")
        for leaf in tensors(state):
            if device is not None and leaf.device != device:
                raise ShapeError(f"{name} is on {leaf.device} and the input on {device}; move one with .to(...)")


def _name(cell: Cell) -> str:
    return getattr(cell, "__name__", type(cell).__name__)


def _check_cell(cell: object, argument: str) -> None:
    if isinstance(cell, type) or not callable(cell):
        kind = f"the class {cell.__name__}" if isinstance(cell, type) else f"a {type(cell).__name__}"
        raise ConfigError(f"{argument} is {kind}; expected a function or a module: (x_t, state) -> (output_t, state)")
    if isinstance(cell, torch.nn.RNNBase):
        raise ConfigError(f"{argument} is a {_name(cell)}, which runs whole sequences itself; pass a cell, one step")


def _own_initial_state(cell: Cell, batch: int, device: torch.device, dtype: torch.dtype) -> State:
    own = getattr(cell, "initial_state", None)
    if callable(own):
        return own(batch, device, dtype)
    if isinstance(cell, TORCH_CELLS):
        return zeros(cell, batch, device, dtype)
    raise ConfigError(
        f"{_name(cell)} says nothing of the state it starts from. Pass one: rnnkit.RNN(cell, "
        "initial_state=torch.zeros(1, hidden)), nested as the cell's state is, or a function "
        "(batch, device, dtype) -> state, or give the cell such a method initial_state, or call with layer(x, hx)"
    )


def _shapes(state: State, name: str) -> Any:
    """The nested shapes of a state; raises where it is no state."""
    if isinstance(state, Tensor):
        return tuple(state.shape)
    if type(state) is not tuple:  # a named tuple or a list would come back as a plain tuple
        raise ShapeError(f"{name} holds a {type(state).__name__}; a state is a tensor or a plain, nested tuple of them")
    return tuple(_shapes(part, name) for part in state)


def _checked_step(cell: Cell) -> Callable[[Tensor, State], tuple[Tensor, State]]:
    """The cell as ``(x_t, state) -> (output_t, state)``, with a look at what it returns."""

    def step(x: Tensor, before: State) -> tuple[Tensor, State]:
        returned = cell(x, before)
        if isinstance(cell, TORCH_CELLS):
            returned = (returned[0] if isinstance(returned, tuple) else returned, returned)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise ShapeError(f"{_name(cell)} returned {described(returned)}; expected a pair: return output, state")
        output, after = returned
        if not isinstance(output, Tensor) or output.shape[:1] != x.shape[:1]:
            raise ShapeError(
                f"{_name(cell)} returned {described(output)} as its output; expected a tensor with the batch, "
                f"{x.shape[0]}, on axis 0: return output, state"
            )
        expected, shapes = _shapes(before, "the state"), _shapes(after, f"the state that {_name(cell)} returned")
        if shapes != expected:
            raise ShapeError(
                f"{_name(cell)} got a state of shapes {expected} and returned one of {shapes}; a step keeps its "
                "state's nesting and shapes, and returns (output, state) in this order"
            )
        return output, after

    return step
