"""Operations on tensors that stand in a graph beside layers: arithmetic, and what computes masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...errors import check_choice
from .base import GraphLayer, Mask, Masks, Tensor, Values

Number = float | int | bool
Operand = Any  # a tensor or a number

_BINARY: dict[str, Callable[[Operand, Operand], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "maximum": lambda a, b: torch.maximum(*_tensors(a, b)),
    "minimum": lambda a, b: torch.minimum(*_tensors(a, b)),
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "logical_and": lambda a, b: torch.logical_and(*_tensors(a, b)),
    "logical_or": lambda a, b: torch.logical_or(*_tensors(a, b)),
}
_UNARY: dict[str, Callable[[Tensor, dict[str, Any]], Tensor]] = {
    "logical_not": lambda x, options: torch.logical_not(x),
    "negative": lambda x, options: -x,
    "any": lambda x, options: x.bool().any(options["axis"], keepdim=options.get("keepdims", False)),
    "all": lambda x, options: x.bool().all(options["axis"], keepdim=options.get("keepdims", False)),
    "expand_dims": lambda x, options: x.unsqueeze(options["axis"]),
    "squeeze": lambda x, options: x.squeeze(options["axis"]),
    "ones_like": lambda x, options: torch.ones_like(x, dtype=torch.bool if options.get("bool") else x.dtype),
    "zeros_like": lambda x, options: torch.zeros_like(x, dtype=torch.bool if options.get("bool") else x.dtype),
}
OPERATIONS = (*_BINARY, *_UNARY, "concatenate")


class Operation(GraphLayer):
    """One operation of NumPy's names on tensors and numbers. Its result has no mask.

    Args:
        name: one of ``OPERATIONS``.
        operands: for each operand None, where a tensor comes in, or a number.
        options: ``axis``, ``keepdims`` and ``bool`` of those that take them.

    Example:
        >>> (y,), _ = Operation("subtract", [1.0, None])([torch.tensor([0.25])], [None])
        >>> y.item()
        0.75
    """

    def __init__(self, name: str, operands: list[Number | None], options: dict[str, Any] | None = None) -> None:
        super().__init__()
        check_choice(name, "name", OPERATIONS)
        self.name, self.operands, self.options = name, list(operands), dict(options or {})

    def arguments(self) -> dict[str, Any]:
        return {"name": self.name, "operands": self.operands, "options": self.options}

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Compute; see the class."""
        coming = iter(inputs)
        operands: list[Any] = [next(coming) if one is None else one for one in self.operands]
        if self.name == "concatenate":
            return (torch.cat(operands, self.options["axis"]),), (None,)
        if self.name in _UNARY:
            return (_UNARY[self.name](operands[0], self.options),), (None,)
        return (_BINARY[self.name](*operands),), (None,)

    def extra_repr(self) -> str:
        return self.name


def _tensors(a: Operand, b: Operand) -> tuple[Tensor, Tensor]:
    """Two operands as tensors, of which one may be a number."""
    like = a if isinstance(a, Tensor) else b
    return tuple(one if isinstance(one, Tensor) else torch.as_tensor(one, dtype=like.dtype) for one in (a, b))  # type: ignore[return-value]
