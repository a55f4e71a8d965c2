"""The reference of a native call: second derivatives are computed through it."""

from __future__ import annotations

from typing import Any

from .direction import DirectionCall, DirectionResult, LayerNormWeights, RecurrentOptions, RecurrentWeights
from .gru import gru_reference
from .lstm import lstm_reference
from .native_call import Flags, Inputs, Tensor
from .simple_rnn import simple_rnn_reference


def run_reference(inputs: Inputs, flags: Flags) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return output, last h, last c and every c of the call, as a graph of PyTorch's operations."""
    is_lstm = flags.kernel == "lstm"
    norm = None
    if inputs.gain_ih is not None and inputs.gain_hh is not None:
        norm = LayerNormWeights(inputs.gain_ih, inputs.gain_hh, inputs.gain_c, inputs.shift_c)
    call = DirectionCall(
        x=inputs.x,
        weights=RecurrentWeights(inputs.w_ih, inputs.w_hh, inputs.b_ih, inputs.b_hh, inputs.w_hr),
        options=RecurrentOptions(norm, inputs.mask, inputs.zone_h, inputs.zone_c, inputs.peephole),
        state=(inputs.h0, inputs.c0) if is_lstm and inputs.h0 is not None else inputs.h0,
        initial=(inputs.reset_h, inputs.reset_c) if is_lstm and inputs.reset_h is not None else inputs.reset_h,
        lengths=inputs.lengths,
        resets=inputs.resets,
        reverse=flags.reverse,
        batch_first=flags.batch_first,
        return_cells=is_lstm,
    )
    if is_lstm:
        output, (h, c), cells = lstm_reference(call)
        return output, h, c, cells
    result: DirectionResult
    if flags.kernel == "gru":
        result = gru_reference(call, reset_after=flags.variant == "reset_after")
    else:
        nonlinearity: Any = flags.variant
        result = simple_rnn_reference(call, nonlinearity=nonlinearity)
    return result.output, result.state, None, None
