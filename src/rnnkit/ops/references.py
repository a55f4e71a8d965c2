"""The reference of a native call: what its second derivatives are computed through."""

from __future__ import annotations

from typing import Any

from .gru import gru_reference
from .lstm import lstm_reference
from .native_call import Flags, Inputs, Tensor
from .simple_rnn import simple_rnn_reference


def run_reference(inputs: Inputs, flags: Flags) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """out, hn, cn and every c of the call, as a graph of PyTorch's operations."""
    kernel, x = flags.kernel, inputs.x
    common: dict[str, Any] = {
        "lengths": inputs.lengths, "resets": inputs.resets, "mask": inputs.mask, "reverse": flags.reverse,
        "batch_first": flags.batch_first,
    }  # fmt: skip
    weights = (inputs.w_ih, inputs.w_hh, inputs.b_ih, inputs.b_hh)
    if inputs.gain_hh is not None:
        common["norm"] = inputs[7:11][: 4 if kernel == "lstm" else 2]
    if kernel == "lstm":
        state = None if inputs.h0 is None or inputs.c0 is None else (inputs.h0, inputs.c0)
        initial = None if inputs.reset_h is None or inputs.reset_c is None else (inputs.reset_h, inputs.reset_c)
        out, cells, (hn, cn) = lstm_reference(
            x, state, *weights, inputs.w_hr, peephole=inputs.peephole, zone_h=inputs.zone_h, zone_c=inputs.zone_c,
            initial=initial, **common,
        )  # fmt: skip
        return out, hn, cn, cells
    common["initial"], common["zone"] = inputs.reset_h, inputs.zone_h
    if kernel == "gru":
        out, hn = gru_reference(x, inputs.h0, *weights, reset_after=flags.variant == "reset_after", **common)
    else:
        common["nonlinearity"] = flags.variant
        out, hn = simple_rnn_reference(x, inputs.h0, *weights, **common)
    return out, hn, None, None
