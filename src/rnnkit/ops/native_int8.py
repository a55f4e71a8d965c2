"""Recurrent and linear layers on the native core with weights in 8 bits, see :mod:`rnnkit.ops.int8`; no gradients."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ShapeError
from .backend import native_core, native_problem, tracing
from .direction import DirectionCall, RecurrentOptions, RecurrentWeights, call_inputs
from .int8 import Int8Weight
from .memory import work_blocks
from .native_call import (
    Flags,
    Inputs,
    Sizes,
    check,
    compact,
    empty_sequence,
    forward_arrays,
    recurrent_problem,
    sizes_of,
)

Tensor = torch.Tensor


def run_int8(kernel: str, call: DirectionCall, variant: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """Run the native kernel over whole sequences with weights in 8 bits. Gates and states are float32.

    Args:
        kernel: ``"simple_rnn"``, ``"lstm"`` or ``"gru"``.
        call: float32 on the CPU; its matrices are :class:`rnnkit.ops.int8.Int8Weight`.
        variant: one of the kernel's VARIANTS.

    Returns:
        output, last h, last c (None but for the LSTM).

    Raises:
        ShapeError: a shape, dtype or device does not fit.
    """
    found = Int8Call(
        call_inputs(call, unpacked(call.weights)), call.weights, kernel, variant, call.reverse, call.batch_first
    )
    inputs, sizes, flags = found.inputs, found.sizes, found.flags
    out = empty_sequence(inputs.x, sizes, sizes.state, flags.batch_first)
    hn = inputs.x.new_empty(sizes.batch, sizes.state)
    cn = inputs.x.new_empty(sizes.batch, sizes.hidden) if kernel == "lstm" else None
    scratch = work_blocks.take(found.problem.scratch_int8())
    try:
        found.problem.forward_int8(found.arrays(out, hn, cn, scratch.address))
    finally:
        work_blocks.give_back(scratch)
    return out, hn, cn


def int8_problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why the native core cannot multiply such tensors with weights in 8 bits, or None where it can."""
    if (problem := native_problem(device, dtype)) is not None:
        return problem
    if dtype != torch.float32:
        return f"products in 8 bits take float32, and the input is {dtype}"
    if tracing():
        return "torch.compile, exports and all else that records each operation know no products in 8 bits"
    return None


def is_int8(weights: RecurrentWeights) -> bool:
    """Return whether the matrices have 8 bits."""
    return isinstance(weights.w_ih, Int8Weight)


def unpacked(weights: RecurrentWeights) -> RecurrentWeights:
    """Return the matrices' whole numbers in the places of the matrices."""
    whole: Any = [one.values if isinstance(one, Int8Weight) else one for one in weights]
    return RecurrentWeights(*whole)


class Int8Call:
    """A checked call of the core with weights in 8 bits: what describes it, and its arrays.

    Args:
        inputs: of the call, with whole numbers in the places of the matrices.
        weights: with the scales and diagonals of the matrices.
        kernel, variant, reverse, batch_first: see :class:`rnnkit.ops.native_call.Flags`.

    Raises:
        ShapeError: a shape, dtype or device does not fit.
    """

    def __init__(
        self, inputs: Inputs, weights: RecurrentWeights, kernel: str, variant: str, reverse: bool, batch_first: bool
    ) -> None:
        self.flags = Flags(kernel, variant, reverse, batch_first, save_for_backward=False)
        self.sizes: Sizes = sizes_of(inputs, self.flags)
        if inputs.x.dtype != torch.float32:
            raise ShapeError(f"x is {inputs.x.dtype}; weights in 8 bits take float32: x.float()")
        check(inputs, self.flags, self.sizes, matrices=torch.int8)
        self.inputs = compact(inputs)
        matrices = {name: one for name, one in weights._asdict().items() if isinstance(one, Int8Weight)}
        self._beside = {f"{name}_scales": one.scales.contiguous() for name, one in matrices.items()}
        self._beside |= {
            f"{name}_diagonal": one.diagonal.contiguous() for name, one in matrices.items() if one.diagonal is not None
        }
        self.problem = recurrent_problem(self.inputs, self.flags, self.sizes)

    def arrays(self, out: Tensor, hn: Tensor, cn: Tensor | None, scratch: int) -> dict[str, Any]:
        """Return the arrays by name; the caller keeps this object until the core has read them."""
        found = forward_arrays(self.inputs, out, hn, cn, scratch, self.flags.batch_first)
        return found | {name: tensor.data_ptr() for name, tensor in self._beside.items()}


def stream_inputs(x: Tensor, tensors: dict[str, Any], options: RecurrentOptions) -> Inputs:
    """Return the inputs of a stream's layer, whose matrices are whole numbers."""
    whole = {name: one.values if isinstance(one, Int8Weight) else one for name, one in tensors.items()}
    return Inputs(x=x, peephole=options.peephole, **whole)


class NativeInt8Linear:
    """y = x Wᵀ + b with a weight in 8 bits that is packed when the object is made, see :mod:`rnnkit.ops.int8`.

    Legend: R rows, F features, O outputs.

    Args:
        weight: W [O, F] on the CPU; later changes do not reach this object.
        bias: b [O], float32, or None.
    """

    def __init__(self, weight: Int8Weight, bias: Tensor | None) -> None:
        core: Any = native_core()
        values, scales = weight.values.contiguous(), weight.scales.contiguous()
        self._bias = None if bias is None else bias.detach().clone()  # the core holds its address
        self._outputs, self._features = values.shape
        address = 0 if self._bias is None else self._bias.data_ptr()
        self._linear = core.LinearInt8(
            self._features, self._outputs, values.data_ptr(), scales.data_ptr(), address, torch.get_num_threads()
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return y [R, O] of x [R, F], float32.

        Raises:
            ShapeError: x has another shape, dtype or device.
        """
        if x.dim() != 2 or x.shape[1] != self._features or x.dtype != torch.float32 or not x.is_cpu:
            raise ShapeError(
                f"x is {x.dtype} of shape {tuple(x.shape)} on {x.device}; expected float32 (rows, {self._features})"
            )
        x = x.contiguous()
        y = x.new_empty(len(x), self._outputs)
        self._linear.run(x.data_ptr(), len(x), y.data_ptr())
        return y
