"""Layers that treat each step by itself: dense, embedding, and any layer once a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...errors import DataError, ShapeError
from ..description import describe
from .activations import ACTIVATIONS, Activation
from .base import GraphLayer, Mask, Masks, Tensor, Values


class Dense(GraphLayer):
    """y = f(W x + b) over the last axis.

    Args:
        linear: ``torch.nn.Linear``.
        activation: f, a key of :data:`rnnkit.layers.graph.activations.ACTIVATIONS`.

    Example:
        >>> layer = Dense(torch.nn.Linear(3, 2), "relu")
        >>> tuple(layer([torch.zeros(4, 5, 3)], [None])[0][0].shape)
        (4, 5, 2)
    """

    def __init__(self, linear: torch.nn.Module, activation: str = "linear") -> None:
        super().__init__()
        self.linear = linear
        self.activation = Activation(activation).function

    def arguments(self) -> dict[str, Any]:
        return {"linear": describe(self.linear), "activation": self.activation}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        return ACTIVATIONS[self.activation](self.linear(x))

    def extra_repr(self) -> str:
        return f"activation={self.activation}"


class Embedding(GraphLayer):
    """Ids [B, ...] to vectors [B, ..., F]. Numbers that are not whole are cut, as Keras cuts them.

    Args:
        embedding: ``torch.nn.Embedding``.
        mask_zero: whether id 0 is padding: the mask is true where the id is another one.

    Raises:
        DataError: an id that the table does not have.

    Example:
        >>> layer = Embedding(torch.nn.Embedding(10, 4), mask_zero=True)
        >>> layer([torch.tensor([[3, 0]])], [None])[1][0].tolist()
        [[True, False]]
    """

    def __init__(self, embedding: torch.nn.Module, mask_zero: bool = False) -> None:
        super().__init__()
        self.embedding: Any = embedding
        self.mask_zero = mask_zero

    def arguments(self) -> dict[str, Any]:
        return {"embedding": describe(self.embedding), "mask_zero": self.mask_zero}

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Look up; a mask that arrives (of lengths) is kept together with that of the ids."""
        ids, mask = inputs[0], masks[0]
        ids = ids if ids.dtype in (torch.int64, torch.int32) else ids.long()
        if mask is not None:
            ids = torch.where(mask, ids, 0)  # whatever stands in the padding
        rows = self.embedding.num_embeddings
        if not ids.is_meta and ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= rows):
            raise DataError(
                f"ids from {int(ids.min())} to {int(ids.max())} arrived; the embedding has rows 0 to {rows - 1}"
            )
        if self.mask_zero:
            mask = ids != 0 if mask is None else mask & (ids != 0)
        return (self.embedding(ids),), (mask,)


class TimeDistributed(GraphLayer):
    """y_t = layer(x_t) for every step of x [B, T, ...]; the layer sees [B·T, ...] and no mask.

    Args:
        layer: a graph layer with one input and one output.

    Example:
        >>> layer = TimeDistributed(Dense(torch.nn.Linear(3, 2)))
        >>> tuple(layer([torch.zeros(4, 5, 3)], [None])[0][0].shape)
        (4, 5, 2)
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def arguments(self) -> dict[str, Any]:
        return {"layer": describe(self.layer)}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        if x.dim() < 3:
            raise ShapeError.of("x", list(x.shape), "; TimeDistributed expects [batch, time, ...]")
        batch, time = x.shape[:2]
        ((y, *_), _) = self.layer([x.reshape(batch * time, *x.shape[2:])], [None])
        steps: Tensor = y.reshape(batch, time, *y.shape[1:])
        return steps

    def reset_states(self) -> None:
        reset = getattr(self.layer, "reset_states", None)
        if reset is not None:
            reset()


class Masking(GraphLayer):
    """The mask is true where a step x [B, T, F] has a feature that differs from a value; other steps become 0.

    Args:
        value: what all features of a masked step are.

    Example:
        >>> layer = Masking(0.0)
        >>> layer([torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])], [None])[1][0].tolist()
        [[True, False]]
    """

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = float(value)

    def arguments(self) -> dict[str, Any]:
        return {"value": self.value}

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Mask; a mask that arrives (of lengths) is kept together with the new one."""
        x = inputs[0]
        valid = (x != self.value).any(-1)
        if masks[0] is not None:
            valid = valid & masks[0]
        return (torch.where(valid.unsqueeze(-1), x, 0),), (valid,)

    def extra_repr(self) -> str:
        return f"value={self.value:g}"
