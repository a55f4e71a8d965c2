"""Run a recurrence of your own over whole sequences."""

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
from ._cell_checks import (
    Cell,
    cell_name,
    cell_output_size,
    check_cell,
    checked_step,
    explains_torch_call,
    own_initial_state,
    state_shapes,
)
from ._checks import Lengths, check_lengths, check_resets, described
from ._exports import NotScriptable
from ._packed import refuse_beside_packed, run_padded
from .cells import TORCH_CELLS
from .description import describe

Tensor = torch.Tensor


class RNN(NotScriptable):
    """Run y_t, s_t = cell(x_t, s_{t-1}) over whole sequences, with the same call as rnnkit's layers.

    The cell is one step of your own: a function, or a module (its parameters become this module's). Its state is a
    tensor or a nested tuple of tensors of any shapes, with the batch on axis 0. PyTorch's and rnnkit's ``LSTMCell``,
    ``GRUCell``, ``RNNCell`` and ``SimpleRNNCell`` work as they are; their output is h. The loop consists of PyTorch's
    operations and runs on any device. :class:`rnnkit.SimpleRNN`, :class:`rnnkit.LSTM` and :class:`rnnkit.GRU` compute
    their own recurrences faster. The layer that replaces ``torch.nn.RNN`` is :class:`rnnkit.SimpleRNN`.

    Legend: B batch, T time, I input, F features of the output, K steps of a chunk.

    Args:
        cell: ``cell(x_t, state) -> (output_t, state)``, with x_t [B, ...] and output_t [B, ...].
        reverse_cell: a second cell that runs from each row's last valid step to its first; outputs are concatenated on
            the last axis, states are pairs (forward, backward).
        input_size: I, for a model that has this layer as its body; by default the cell's ``input_size``.
        output_size: F of both directions together; by default the sum of the cells' ``output_size``, or
            ``hidden_size`` where they have none.
        initial_state: the state before the first step, as the call returns states: a callable
            ``(batch, device, dtype) -> state``, or a state with a batch of 1 that every row starts from. Its
            ``nn.Parameter`` tensors are registered as parameters and learned; other tensors become buffers. By default
            the cells' own method ``initial_state_for(x)``, x [B, ...] the first step, or
            ``initial_state(batch, device, dtype)``.
        batch_first: input and output are [B, T, ...] instead of [T, B, ...].
        recompute: K, to store the intermediate values of K steps at a time and compute the rest again in the backward
            pass (:mod:`rnnkit.ops.recompute`). Memory is least near K = √T. Values, gradients and dropout are the same.

    Shapes:
        input [T, B, ...] → output [T, B, ...], state as the cell shapes it.

    Raises:
        ConfigError: an argument cannot be used, or the initial state is unknown.
        ShapeError: the input, a state, or what the cell returned does not fit.

    Variant: past a row's length the cell runs on zeros and its results are dropped. A step without a finite gradient at
    zero (x / |x|) needs an epsilon.

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

    @explains_torch_call
    def __init__(
        self,
        cell: Cell,
        *,
        input_size: int | None = None,
        output_size: int | None = None,
        reverse_cell: Cell | None = None,
        initial_state: Callable[[int, torch.device, torch.dtype], State] | State | None = None,
        batch_first: bool = False,
        recompute: int | None = None,
    ) -> None:
        super().__init__()
        check_cell(cell, "cell")
        if reverse_cell is not None:
            check_cell(reverse_cell, "reverse_cell")
        if recompute is not None and (type(recompute) is not int or recompute < 1):
            raise ConfigError(f"recompute={recompute!r}; expected the number of steps of a chunk, such as 50")
        for name, size in (("input_size", input_size), ("output_size", output_size)):
            if size is not None and (type(size) is not int or size < 1):
                raise ConfigError(f"{name}={size!r}; expected a number of features, such as 16")
        self.cell, self.reverse_cell = cell, reverse_cell
        self._input_size, self._output_size = input_size, output_size
        self.batch_first, self.recompute = batch_first, recompute
        # A callable, or the names of the registered tensors in the nesting of the state, or None.
        if initial_state is None or callable(initial_state):
            self.initial: Any = initial_state
        else:
            state_shapes(initial_state, "initial_state")
            name = "initial_0" if isinstance(initial_state, Tensor) else "initial"
            self.initial = self._registered(initial_state, name)

    @property
    def bidirectional(self) -> bool:
        """Whether there is a second direction."""
        return self.reverse_cell is not None

    @property
    def input_size(self) -> int | None:
        """I, as given or as the cell's ``input_size``; None where neither is known."""
        size: int | None = getattr(self.cell, "input_size", None) if self._input_size is None else self._input_size
        return size

    @property
    def output_size(self) -> int | None:
        """Features of an output, as given or as the cells declare them; None where they are unknown."""
        if self._output_size is not None:
            return self._output_size
        sizes = [cell_output_size(cell) for cell in self._cells()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

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
        """Return the state before the first step, for ``batch`` rows.

        Args:
            batch: B.
            device, dtype: those of the parameters unless given.

        Raises:
            ConfigError: the initial state is unknown.
        """
        weight = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        device, dtype = torch.device(device or weight.device), dtype or weight.dtype
        if self.initial is None:
            states = [own_initial_state(cell, batch, device, dtype) for cell in self._cells()]
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
        """Run whole sequences.

        Args:
            input: [T, B, ...], or [B, T, ...] with ``batch_first``, or a ``PackedSequence``.
            hx: the state to start from, as this method returns it; None for :meth:`initial_state`.
            lengths: the number of valid steps of each row, [B] integers from 1 to T; rows are padded on the right and
                need no order. Outputs past a row's length are 0, its state is that of its last valid step, and the
                reverse direction starts there.
            resets: bool [B, T] in either layout; true puts that row's state back to :meth:`initial_state` before that
                step, also where ``hx`` is given (to ``hx`` where the initial state is unknown). Not with
                ``reverse_cell``.

        Returns:
            output [T, B, ...] ([B, T, ...] with ``batch_first``) and the last state.
        """
        if isinstance(input, PackedSequence):
            refuse_beside_packed(lengths, resets)
            return run_padded(lambda x, rows: self.forward(x, hx, lengths=rows), input, self.batch_first)
        self._check_input(input)
        x = input.transpose(0, 1) if self.batch_first else input
        time, batch = x.shape[:2]
        if hx is None:
            hx = self._initial_for(x)
        else:
            self._check_state(hx, batch, "hx", x.device)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, time)
        if resets is not None:
            resets = check_resets(resets, batch, time, self.bidirectional)
        if self.reverse_cell is None:
            output, state = self._run_direction(self.cell, x, hx, lengths, resets)
        else:
            forwards, forward_state = self._run_direction(self.cell, x, hx[0], lengths)
            backwards, backward_state = self._run_direction(self.reverse_cell, x, hx[1], lengths, reverse=True)
            if forwards.dim() < 3 or backwards.dim() < 3:
                raise ShapeError("a cell returned outputs of shape (batch,), which cannot be joined; return (batch, 1)")
            output, state = torch.cat((forwards, backwards), -1), (forward_state, backward_state)
        return output.transpose(0, 1) if self.batch_first else output, state

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, without side effects and differentiable: the same as a sequence of one step.

        Args:
            x: [B, ...].
            state: as :meth:`forward` returns it; None for :meth:`initial_state`.

        Returns:
            output [B, ...] and the next state.
        """
        if self.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no step: call layer(x)")
        if not isinstance(x, Tensor) or x.dim() == 0:
            raise ShapeError(f"x is {described(x)}; a step takes a tensor of shape (batch, ...)")
        if state is None:
            state = self._initial_for(x[None])
        else:
            self._check_state(state, x.shape[0], "state", x.device)
        return checked_step(self.cell)(x, state)

    def final_output(self, state: State) -> Tensor | None:
        """Return the output at each row's last valid step [B, F], where the state holds it: with PyTorch's cells.

        Args:
            state: as :meth:`forward` returns it.

        Returns:
            h, both directions side by side; None for a cell of your own, whose state need not hold its output.
        """
        if not all(isinstance(cell, TORCH_CELLS) for cell in self._cells()):
            return None
        last = [tensors(one)[0] for one in (state if self.bidirectional else (state,))]
        return last[0] if len(last) == 1 else torch.cat(last, -1)

    def config(self) -> dict[str, Any] | None:
        """Return the builder and the arguments that make this layer again, for ``rnnkit.load``.

        Returns:
            None where they cannot be written to a file: with ``initial_state``, and with a cell that is a function or a
            module without a method ``config() -> {"builder": name, "arguments": {...}}``.
        """
        cells = {"cell": self.cell, "reverse_cell": self.reverse_cell}
        described = {name: describe(cell) for name, cell in cells.items() if cell is not None}
        if self.initial is not None or None in described.values():
            return None
        sizes = {"input_size": self._input_size, "output_size": self._output_size}
        arguments: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
        arguments |= {"batch_first": self.batch_first, "recompute": self.recompute}
        return {"builder": "RNN", "arguments": {**described, **arguments}}

    def extra_repr(self) -> str:
        shown = [] if isinstance(self.cell, torch.nn.Module) else [f"cell={cell_name(self.cell)}"]
        if self.reverse_cell is not None and not isinstance(self.reverse_cell, torch.nn.Module):
            shown.append(f"reverse_cell={cell_name(self.reverse_cell)}")
        sizes = {"input_size": self._input_size, "output_size": self._output_size}
        shown += [f"{name}={size}" for name, size in sizes.items() if size is not None]
        return ", ".join([*shown, f"batch_first={self.batch_first}", f"recompute={self.recompute}"])

    # --- one direction -----------------------------------------------------------------------------------------------

    def _run_direction(
        self,
        cell: Cell,
        x: Tensor,
        state: State,
        lengths: Tensor | None,
        resets: Tensor | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, State]:
        step = checked_step(cell)
        # A layer without an initial state resets a row to the state that the call started from.
        known = resets is not None and self._knows_initial_state()
        cleared = self._initial_for(x) if known else state

        def run(x: Tensor, state: State, shared: State, **ragged: Tensor | None) -> tuple[Tensor, State]:
            return unroll(step, x, state, initial=shared, reverse=reverse, **ragged)

        if self.recompute is None:
            return run(x, state, cleared, lengths=lengths, resets=resets)
        steps = self.recompute
        return in_chunks(run, x, state, steps=steps, lengths=lengths, resets=resets, reverse=reverse, shared=cleared)

    def _initial_for(self, x: Tensor) -> State:
        """The initial state for inputs x [T, B, ...], of whose shape a cell may make it (`initial_state_for`)."""
        own = [getattr(cell, "initial_state_for", None) for cell in self._cells()]
        if self.initial is None and all(callable(one) for one in own):
            states = tuple(one(x[0]) for one in own if one is not None)
            return states if self.bidirectional else states[0]
        return self.initial_state(x.shape[1], x.device, self._state_dtype(x))

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
        return leaf.expand(batch, *leaf.shape[1:]).clone()  # because a cell may write into its state

    def _state_dtype(self, x: Tensor) -> torch.dtype | None:
        """None, for the dtype of the parameters; without parameters that of a floating-point input."""
        return x.dtype if x.is_floating_point() and next(self.parameters(), None) is None else None

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check_input(self, x: Tensor) -> None:
        layout = "(batch, time, ...)" if self.batch_first else "(time, batch, ...)"
        if not isinstance(x, Tensor):
            raise ShapeError(f"input is a {type(x).__name__}; expected a tensor: torch.as_tensor(input)")
        if x.dim() < 2:
            raise ShapeError.of("input", tuple(x.shape), f"; expected {layout}")
        if x.shape[1 if self.batch_first else 0] == 0:
            raise ShapeError.of("input", tuple(x.shape), f", read as {layout}: it has no time step")

    def _check_state(self, state: State, batch: int, name: str, device: torch.device | None = None) -> None:
        shapes = state_shapes(state, name)
        if any(leaf.shape[:1] != (batch,) for leaf in tensors(state)):
            raise ShapeError(f"{name} has shapes {shapes}; expected the batch, {batch}, on axis 0 of every tensor")
        if self.bidirectional and (isinstance(state, Tensor) or len(state) != 2):
            raise ShapeError(f"{name} has shapes {shapes}; expected a pair of states, (forward, backward)")
        for leaf in tensors(state):
            if device is not None and leaf.device != device:
                raise ShapeError(f"{name} is on {leaf.device} and the input on {device}; move one with .to(...)")
