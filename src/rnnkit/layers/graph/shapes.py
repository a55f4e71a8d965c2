"""Layers that change shapes alone, and noise while training."""

from __future__ import annotations

from typing import Any, Literal

import torch

from ...errors import ShapeError, check_choice, check_number
from ...ops.draws import bernoulli
from .base import GraphLayer, Mask, Tensor


class Flatten(GraphLayer):
    """x [B, ...] to [B, all others].

    Example:
        >>> tuple(Flatten().compute(torch.zeros(2, 3, 4), None).shape)
        (2, 12)
    """

    keeps_mask = False

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        return x.reshape(x.shape[0], -1)


class Reshape(GraphLayer):
    """x [B, ...] to [B, *shape].

    Args:
        shape: without the batch; -1 on one axis is what is left.

    Example:
        >>> tuple(Reshape([6, 2]).compute(torch.zeros(2, 3, 4), None).shape)
        (2, 6, 2)
    """

    keeps_mask = False

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.shape = list(shape)

    def arguments(self) -> dict[str, Any]:
        return {"shape": self.shape}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        try:
            return x.reshape(x.shape[0], *self.shape)
        except RuntimeError:
            raise ShapeError.of("x", list(x.shape), f"; a reshape expects rows that fit {self.shape}") from None

    def extra_repr(self) -> str:
        return str(self.shape)


class Permute(GraphLayer):
    """Another order of the axes.

    Args:
        axes: from 1 on, without the batch, as Keras counts them.

    Example:
        >>> tuple(Permute([2, 1]).compute(torch.zeros(2, 3, 4), None).shape)
        (2, 4, 3)
    """

    keeps_mask = False

    def __init__(self, axes: list[int]) -> None:
        super().__init__()
        self.axes = list(axes)

    def arguments(self) -> dict[str, Any]:
        return {"axes": self.axes}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        return x.permute(0, *self.axes)

    def extra_repr(self) -> str:
        return str(self.axes)


class Repeat(GraphLayer):
    """x [B, F] at each of so many steps, [B, T, F].

    Args:
        steps: T.

    Example:
        >>> tuple(Repeat(5).compute(torch.zeros(2, 3), None).shape)
        (2, 5, 3)
    """

    keeps_mask = False

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def arguments(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        return x.unsqueeze(1).expand(-1, self.steps, -1)


class Noise(GraphLayer):
    """What changes x while training alone.

    Args:
        kind: "dropout" drops numbers with probability p, "features" whole features of x [B, T, F], "gaussian" adds a
            normal number of standard deviation p, "product" multiplies by 1 + a normal number of √(p / (1 − p)).
        p: see there.
        axes: of "dropout": the axes on which numbers are dropped together.

    Example:
        >>> layer = Noise("features", 0.5)
        >>> y = layer.compute(torch.ones(1, 4, 8), None)
        >>> bool((y[0, 0] == y[0, 3]).all())
        True
    """

    def __init__(
        self, kind: Literal["dropout", "features", "gaussian", "product"], p: float, axes: list[int] | None = None
    ) -> None:
        super().__init__()
        check_choice(kind, "kind", ("dropout", "features", "gaussian", "product"))
        if kind == "gaussian":
            check_number(p, "p")
        else:
            check_number(p, "p", below=1)
        self.kind, self.p, self.axes = kind, p, list(axes or [])

    def arguments(self) -> dict[str, Any]:
        return {"kind": self.kind, "p": self.p, "axes": self.axes}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        if not (self.training and self.p):
            return x
        if self.kind == "gaussian":
            noisy: Tensor = x + self.p * torch.randn_like(x)
            return noisy
        if self.kind == "product":
            spread = (self.p / (1 - self.p)) ** 0.5
            scaled: Tensor = x * (1 + spread * torch.randn_like(x))
            return scaled
        together = [1] if self.kind == "features" else self.axes
        if not together:
            return torch.nn.functional.dropout(x, self.p)
        shape = tuple(1 if axis in together else size for axis, size in enumerate(x.shape))
        kept: Tensor = bernoulli(shape, 1 - self.p, 1 / (1 - self.p), x)
        return x * kept

    def extra_repr(self) -> str:
        return f"{self.kind}, p={self.p:g}"
