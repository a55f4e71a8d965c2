"""The arguments and results of one recurrent layer in one direction.

Every recurrence in :mod:`rnnkit.ops` takes a :class:`DirectionCall` and returns a :class:`DirectionResult`, in its
native form and in its reference. The types are named tuples: making one takes a third of the time of a frozen
dataclass, and ``torch.compile`` traces it.

Legend: B batch, T time, I input, H hidden, G gates, S length of h (P with a projection, else H).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..types import State
from .native import recurrence
from .native_call import Inputs, expand_zoneout
from .unroll import unroll

Tensor = torch.Tensor


class RecurrentWeights(NamedTuple):
    """The weights of one layer in one direction.

    Attributes:
        w_ih: input weights [G·H, I].
        w_hh: recurrent weights [G·H, S].
        b_ih, b_hh: biases [G·H], or None.
        w_hr: projection [P, H] of an LSTM, or None.

    The matrices may be :class:`rnnkit.ops.int8.Int8Weight` in the references and in what serves these.
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None


class LayerNormWeights(NamedTuple):
    """The weights of layer normalisation, see :mod:`rnnkit.ops.normalisation`.

    Attributes:
        gain_ih, gain_hh: gains [G·H] of the products with the input and with the state.
        gain_c, shift_c: gain and shift [H] of an LSTM's cell state; None in other recurrences.
    """

    gain_ih: Tensor
    gain_hh: Tensor
    gain_c: Tensor | None = None
    shift_c: Tensor | None = None


class RecurrentOptions(NamedTuple):
    """The tensors of a recurrence's options; None where an option is off.

    Attributes:
        norm: weights of layer normalisation.
        mask: dropout mask [B, S] on h_{t-1}, the same at all steps.
        zoneout_h: share of the old h that is kept: [B, T, S] for a sequence, where step t takes ``zoneout_h[:, t]`` in
            either direction, [B, S] for a step, or a constant [S].
        zoneout_c: the same for an LSTM's c, with H in place of S.
        peephole: an LSTM's peephole weights [3, H], rows i, f, o.
    """

    norm: LayerNormWeights | None = None
    mask: Tensor | None = None
    zoneout_h: Tensor | None = None
    zoneout_c: Tensor | None = None
    peephole: Tensor | None = None


NO_OPTIONS = RecurrentOptions()


class StepCall(NamedTuple):
    """One step of one layer.

    Attributes:
        x: [B, I].
        state: the state before the step, h [B, S] or (h [B, S], c [B, H]).
        weights: the layer's weights.
        options: the tensors of its options.
        gates: receives the values of the gates by name; None where they are not wanted.
    """

    x: Tensor
    state: State
    weights: RecurrentWeights
    options: RecurrentOptions = NO_OPTIONS
    gates: dict[str, Tensor] | None = None


class DirectionCall(NamedTuple):
    """One layer in one direction over whole sequences.

    Attributes:
        x: [T, B, I], or [B, T, I] with ``batch_first``.
        weights: the layer's weights.
        options: the tensors of its options.
        state: the state before the first step, h [B, S] or (h [B, S], c [B, H]); None for zeros.
        initial: the state that ``resets`` put a row back to, shaped as ``state``; None for zeros.
        lengths: valid steps of each row, int64 [B] on the CPU, 0 to T; None where all are valid.
        resets: bool [B, T], true where the row's state is put back before the step; None for no resets.
        reverse: from each row's last valid step to its first.
        batch_first: the layout of ``x`` and of the outputs.
        return_cells: whether every c is wanted (LSTM).
    """

    x: Tensor
    weights: RecurrentWeights
    options: RecurrentOptions = NO_OPTIONS
    state: State | None = None
    initial: State | None = None
    lengths: Tensor | None = None
    resets: Tensor | None = None
    reverse: bool = False
    batch_first: bool = False
    return_cells: bool = False


class DirectionResult(NamedTuple):
    """What a :class:`DirectionCall` computes.

    Attributes:
        output: every h, laid out as ``x`` with S features; 0 behind each row's length.
        state: the state after each row's last valid step, shaped as ``DirectionCall.state``.
        cells: every c, laid out as ``x`` with H features and 0 behind each row's length, where ``return_cells`` asked
            for it, else None.
    """

    output: Tensor
    state: State
    cells: Tensor | None = None


def zoneout_by_step(zoneout: Tensor | None, x: Tensor) -> Tensor | None:
    """Return zoneout as :func:`rnnkit.ops.unroll.unroll` takes it, [T, B, H], for sequences x [T, B, ...].

    Args:
        zoneout: [B, T, H], a constant that broadcasts to [B, H], or None.
        x: [T, B, ...].
    """
    if zoneout is None:
        return None
    return zoneout.transpose(0, 1) if zoneout.dim() == 3 else torch.atleast_1d(zoneout).expand(*x.shape[:2], -1)


def run_native(
    kernel: str, call: DirectionCall, variant: str = "standard"
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run the native kernel, differentiable.

    Args:
        kernel: ``"simple_rnn"``, ``"lstm"`` or ``"gru"``.
        call: float32 or float64 on the CPU.
        variant: one of the kernel's VARIANTS.

    Returns:
        output, last h, last c (None or empty but for the LSTM) and the rows that were saved for the backward pass (None
        or empty unless the call returns cells).

    Raises:
        ShapeError: a shape, dtype or device does not fit.
    """
    inputs = call_inputs(call, call.weights)
    return recurrence(inputs, kernel, variant, call.reverse, call.batch_first, call.return_cells)


def call_inputs(call: DirectionCall, weights: RecurrentWeights) -> Inputs:
    """Return the tensors of a call in the order in which the core takes them.

    Args:
        call: see :class:`DirectionCall`.
        weights: in the place of its own.
    """
    x, options, batch_first = call.x, call.options, call.batch_first
    h0, c0 = _h_and_c(call.state)
    reset_h, reset_c = _h_and_c(call.initial)
    gain_ih, gain_hh, gain_c, shift_c = _NO_NORM if options.norm is None else options.norm
    return Inputs(
        x,
        *weights,
        options.peephole,
        gain_ih,
        gain_hh,
        gain_c,
        shift_c,
        h0,
        c0,
        reset_h,
        reset_c,
        options.mask,
        expand_zoneout(options.zoneout_h, x, batch_first),
        expand_zoneout(options.zoneout_c, x, batch_first),
        call.lengths,
        call.resets,
    )


_NO_NORM = (None, None, None, None)


def _h_and_c(state: State | None) -> tuple[Tensor | None, Tensor | None]:
    return state if isinstance(state, tuple) else (state, None)


def run_steps(
    step: Callable[[Tensor, State, RecurrentOptions], tuple[Tensor, State]], call: DirectionCall, zeros: State
) -> tuple[Tensor, State]:
    """Run ``step(x_t, state, options_t) -> (output_t, state)`` over a call's sequences, in a plain loop.

    Args:
        step: takes x_t [B, I], the state before, and the options with the zoneout of that step.
        call: what to run over.
        zeros: the state where the call gives none, and the one that resets go back to where it names none.

    Returns:
        the outputs, laid out as ``call.x``, and the last state.
    """
    options = call.options
    x = call.x.transpose(0, 1) if call.batch_first else call.x

    def at_step(inputs: Any, before: State) -> tuple[Tensor, State]:
        x_t, zoneout_h, zoneout_c = inputs
        return step(x_t, before, options._replace(zoneout_h=zoneout_h, zoneout_c=zoneout_c))

    outputs, last = unroll(
        at_step,
        (x, zoneout_by_step(options.zoneout_h, x), zoneout_by_step(options.zoneout_c, x)),
        zeros if call.state is None else call.state,
        initial=zeros if call.initial is None else call.initial,
        lengths=call.lengths,
        resets=call.resets,
        reverse=call.reverse,
    )
    return outputs.transpose(0, 1) if call.batch_first else outputs, last
