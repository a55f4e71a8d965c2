"""Several tensors as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...errors import check_choice
from .base import GraphLayer, Mask, Masks, Tensor, Values

KINDS = ("concat", "add", "subtract", "multiply", "average", "maximum", "minimum")


class Merge(GraphLayer):
    """Several tensors as one: joined on an axis, or number by number.

    The mask of joined tensors is true where that of any of them is (a tensor without one counts as true); of the others
    it is true where any is, and None where one has none, as Keras has them.

    Args:
        kind: "concat", "add", "subtract", "multiply", "average", "maximum" or "minimum".
        axis: of "concat", counted with the batch.

    Example:
        >>> (y,), _ = Merge("average")([torch.zeros(2), torch.ones(2)], [None, None])
        >>> y.tolist()
        [0.5, 0.5]
    """

    def __init__(self, kind: str, axis: int = -1) -> None:
        super().__init__()
        check_choice(kind, "kind", KINDS)
        self.kind, self.axis = kind, axis

    def arguments(self) -> dict[str, Any]:
        return {"kind": self.kind, "axis": self.axis}

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Join; see the class."""
        if self.kind == "concat":
            return (torch.cat(list(inputs), self.axis),), (self._joined_mask(inputs, masks),)
        widest = max(x.dim() for x in inputs)
        level = [x.reshape(x.shape[0], *[1] * (widest - x.dim()), *x.shape[1:]) for x in inputs]
        y = level[0]
        for x in level[1:]:
            if self.kind == "subtract":
                y = y - x
            elif self.kind == "multiply":
                y = y * x
            elif self.kind in ("maximum", "minimum"):
                y = torch.maximum(y, x) if self.kind == "maximum" else torch.minimum(y, x)
            else:
                y = y + x
        y = y / len(inputs) if self.kind == "average" else y
        known = [mask for mask in masks if mask is not None]
        mask = None
        if len(known) == len(masks):
            mask = known[0]
            for other in known[1:]:
                mask = mask | other
        return (y,), (mask,)

    def _joined_mask(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> Mask:
        if all(mask is None for mask in masks):
            return None
        wide = []
        for x, mask in zip(inputs, masks, strict=True):
            if mask is None:
                wide.append(torch.ones_like(x, dtype=torch.bool))
            else:
                wide.append((mask.unsqueeze(-1) if mask.dim() < x.dim() else mask).expand_as(x))
        return torch.cat(wide, self.axis).any(-1)

    def extra_repr(self) -> str:
        return self.kind
