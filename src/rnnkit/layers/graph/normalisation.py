"""Normalisations of a graph, with the moments and the moving averages of Keras."""

from __future__ import annotations

from typing import Any

import torch

from ...errors import ShapeError
from .base import GraphLayer, Mask, Tensor


class BatchNormalisation(GraphLayer):
    """y = (x − μ) / √(σ² + ε) · γ + β, with the moments of the batch while training and moving averages otherwise.

    Masked steps do not count in the moments. The moving averages are m ← κ m + (1 − κ) m_batch; the variance is the
    biased one in both places (PyTorch's layer keeps the unbiased one). Source: Ioffe & Szegedy (2015), as Keras has it.

    Args:
        features: of the axis.
        axis: whose features are normalised, counted with the batch.
        epsilon: ε.
        momentum: κ.
        scale, center: with γ, with β.
        frozen: use the moving averages while training, too.

    Example:
        >>> layer = BatchNormalisation(3)
        >>> y = layer.compute(torch.randn(64, 3), None)
        >>> bool(y.mean().abs() < 1e-5)
        True
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self,
        features: int,
        axis: int = -1,
        epsilon: float = 1e-3,
        momentum: float = 0.99,
        scale: bool = True,
        center: bool = True,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.axis, self.epsilon, self.momentum, self.frozen = features, axis, epsilon, momentum, frozen
        self.weight = torch.nn.Parameter(torch.ones(features)) if scale else None
        self.bias = torch.nn.Parameter(torch.zeros(features)) if center else None
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))

    def arguments(self) -> dict[str, Any]:
        names = ("features", "axis", "epsilon", "momentum", "frozen")
        own: dict[str, Any] = {name: getattr(self, name) for name in names}
        return own | {"scale": self.weight is not None, "center": self.bias is not None}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        axis = self.axis % x.dim()
        shape = [x.shape[axis] if place == axis else 1 for place in range(x.dim())]
        mean, variance = self.mean, self.variance
        if self.training and not self.frozen:
            mean, variance = self._moments(x, mask, [place for place in range(x.dim()) if place != axis])
            with torch.no_grad():
                self.mean.mul_(self.momentum).add_(mean, alpha=1 - self.momentum)
                self.variance.mul_(self.momentum).add_(variance, alpha=1 - self.momentum)
        gain = (variance + self.epsilon).rsqrt()
        if self.weight is not None:
            gain = gain * self.weight
        offset = -mean * gain if self.bias is None else self.bias - mean * gain
        return x * gain.reshape(shape) + offset.reshape(shape)

    def _moments(self, x: Tensor, mask: Mask, axes: list[int]) -> tuple[Tensor, Tensor]:
        if mask is None or mask.dim() != x.dim() - 1:
            return x.mean(axes), x.var(axes, correction=0)
        valid = mask.unsqueeze(-1).expand_as(x)
        count = valid.to(x.dtype).sum(axes, keepdim=True) + 1e-7  # Keras's epsilon: no valid step at all
        mean = torch.where(valid, x, 0).sum(axes, keepdim=True) / count
        variance = torch.where(valid, (x - mean) ** 2, 0).sum(axes, keepdim=True) / count
        return mean.flatten(), variance.flatten()

    def extra_repr(self) -> str:
        return f"{self.features}, axis={self.axis}, epsilon={self.epsilon:g}, momentum={self.momentum:g}"


class LayerNormalisation(GraphLayer):
    """y = (x − μ) / √(σ² + ε) · γ + β, with the moments of each row over the last axes (Ba et al. 2016).

    Args:
        shape: of the last axes.
        epsilon: ε.
        scale, center: with γ, with β.
        last_axis: the number that the last axis must have, counted with the batch; None: any. A file that counts axes
            from the front does not say how many there are.

    Raises:
        ShapeError: another axis is the last one.

    Example:
        >>> LayerNormalisation([2], epsilon=0.0).compute(torch.tensor([[1.0, 3.0]]), None).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        shape: list[int],
        epsilon: float = 1e-3,
        scale: bool = True,
        center: bool = True,
        last_axis: int | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.epsilon, self.last_axis = list(shape), epsilon, last_axis
        self.weight = torch.nn.Parameter(torch.ones(*shape)) if scale else None
        self.bias = torch.nn.Parameter(torch.zeros(*shape)) if center else None

    def arguments(self) -> dict[str, Any]:
        flags = {"scale": self.weight is not None, "center": self.bias is not None}
        return {"shape": self.shape, "epsilon": self.epsilon, **flags, "last_axis": self.last_axis}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        if self.last_axis is not None and x.dim() != self.last_axis + 1:
            raise ShapeError.of(
                "x", list(x.shape), f"; axis {self.last_axis} is normalised, which must be the last one"
            )
        return torch.nn.functional.layer_norm(x, self.shape, self.weight, self.bias, self.epsilon)

    def extra_repr(self) -> str:
        return f"{self.shape}, epsilon={self.epsilon:g}"


class Rescaling(GraphLayer):
    """y = x · scale + offset, number by number or feature by feature of the last axis; the numbers are no parameters.

    Args:
        scale, offset: a number, or one for each feature.

    Example:
        >>> Rescaling(2.0, [0.0, 1.0]).compute(torch.ones(1, 2), None).tolist()
        [[2.0, 3.0]]
    """

    def __init__(self, scale: float | list[float], offset: float | list[float] = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def arguments(self) -> dict[str, Any]:
        return {"scale": self.scale, "offset": self.offset}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        kind = x.dtype if x.is_floating_point() else torch.float32
        scale, offset = (torch.tensor(one, dtype=kind, device=x.device) for one in (self.scale, self.offset))
        return x.to(kind) * scale + offset
