"""Linear layers on the native core, for steps one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import ShapeError
from .backend import native_core, native_problem

Tensor = torch.Tensor
MOST_ROWS = 16  # up to which a step takes the time that its weights are read in; with more packing them is of no use
_LEAST_WEIGHTS = 1 << 14  # likewise, from which on


class NativeLinear:
    """y = x Wᵀ + b for a number of rows, with a weight that is packed when the object is made.

    A step of a few rows waits for its weights. Packed ones are read in order, by several threads where they are many.

    Legend: R rows, F features, O outputs.

    Args:
        weight: W [O, F], float32 or float64 on the CPU; later changes do not reach this object.
        bias: b [O], or None.
        rows: R.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int) -> None:
        core: Any = native_core()
        self._weight = weight.detach().clone(memory_format=torch.contiguous_format)  # what copies are made of
        self._bias = None if bias is None else bias.detach().clone()  # the core holds its address
        outputs, features = weight.shape
        made = core.LinearF32 if weight.dtype == torch.float32 else core.LinearF64
        address = 0 if self._bias is None else self._bias.data_ptr()
        self._linear = made(rows, features, outputs, self._weight.data_ptr(), address)
        self._shape, self._outputs = (rows, features), outputs
        self._dtype, self._device = weight.dtype, weight.device

    def __call__(self, x: Tensor) -> Tensor:
        """Return y [R, O] of x [R, F].

        Raises:
            ShapeError: x has another shape, dtype or device.
        """
        if x.shape != self._shape or x.dtype != self._dtype or x.device != self._device:
            raise ShapeError(
                f"x is {x.dtype} of shape {tuple(x.shape)} on {x.device}; expected {self._dtype} of shape {self._shape}"
            )
        x = x.contiguous()
        y = x.new_empty(self._shape[0], self._outputs)
        self._linear.run(x.data_ptr(), y.data_ptr(), torch.get_num_threads())
        return y

    def __reduce__(self) -> tuple[Any, ...]:
        """What ``copy.deepcopy`` and ``pickle`` make one from."""
        return NativeLinear, (self._weight, self._bias, self._shape[0])


def packed_linear(layer: torch.nn.Module, rows: int) -> Callable[[Tensor], Tensor]:
    """Return a packed copy of a linear layer for so many rows, or the layer itself where that is of no use.

    It is of use for a plain `torch.nn.Linear` with many weights that the native core can compute and that has no hooks.
    """
    found = _packable(layer, rows)
    return layer if found is None else NativeLinear(found.weight, found.bias, rows)


def packed_columns(layer: torch.nn.Module, rows: int, features: int) -> NativeLinear | None:
    """Return the product with the first columns of a linear layer's weight, as many as features; the bias stays out.

    None where `packed_linear` returns the layer itself.
    """
    found = _packable(layer, rows)
    return None if found is None else NativeLinear(found.weight[:, :features], None, rows)


def _packable(layer: torch.nn.Module, rows: int) -> torch.nn.Linear | None:
    if type(layer) is not torch.nn.Linear or rows > MOST_ROWS or layer.weight.numel() < _LEAST_WEIGHTS:
        return None
    if layer._forward_hooks or layer._forward_pre_hooks or native_problem(layer.weight.device, layer.weight.dtype):
        return None
    return layer
