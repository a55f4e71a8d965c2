"""The call that every layer of a :class:`rnnkit.models.GraphModel` has.

    outputs, masks = layer(inputs, masks)

A mask says which steps of a tensor [B, T, ...] count: bool [B, T], or None where all do. It need not be a prefix of the
row, as Keras's masks need not be. Legend: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...errors import ShapeError

Tensor = torch.Tensor
Mask = Tensor | None
Values = tuple[Tensor, ...]
Masks = tuple[Mask, ...]


class GraphLayer(torch.nn.Module):
    """Base class: one or several tensors in, one or several out, with the masks of each.

    A subclass writes :meth:`compute` and, where it is saved, :meth:`arguments`.

    Attributes:
        outputs: how many tensors come out.
        keeps_mask: whether the mask of the first input belongs to the output.
    """

    outputs: int = 1
    keeps_mask: bool = True

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Map inputs and their masks to outputs and theirs; here one input and one output."""
        if len(inputs) != 1:
            raise ShapeError(f"{type(self).__name__} takes one tensor, but {len(inputs)} arrived")
        return (self.compute(inputs[0], masks[0]),), (masks[0] if self.keeps_mask else None,)

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        """Map one tensor with its mask to one tensor."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the constructor, plain or as descriptions of modules."""
        return {}

    def config(self) -> dict[str, Any] | None:
        """Return the builder and the arguments that make this layer again; None where a part has none."""
        found = self.arguments()
        for name, value in found.items():
            parts = value if isinstance(value, list) else [value]
            if None in parts and isinstance(getattr(self, name, None), torch.nn.Module):
                return None
        return {"builder": f"graph.{type(self).__name__}", "arguments": found}

    def reset_states(self) -> None:
        """Forget what a stateful layer carried from the call before; nothing for other layers."""


def check_rank(x: Tensor, rank: int, layer: GraphLayer, expected: str) -> None:
    """Raise ShapeError where x has another number of axes.

    Args:
        x: what arrived.
        rank: the number of axes.
        layer: what x was given to, for the message.
        expected: the axes in words, "[batch, time, features]".
    """
    if x.dim() != rank:
        raise ShapeError.of("x", list(x.shape), f"; {type(layer).__name__} expects {expected}")
