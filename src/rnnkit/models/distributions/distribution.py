"""What every distribution of a forecaster offers, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class DistributionLoss:
    """The loss of a distribution, as a :class:`rnnkit.Learner` takes it: (raw [n, M], targets [n]) → a mean.

    Attributes:
        has_weights: the loss of each target can be had alone, so that targets can be weighted.

    Example:
        >>> from rnnkit.models.distributions import Gaussian
        >>> loss = DistributionLoss(Gaussian())
        >>> each = loss(torch.zeros(3, 2), torch.tensor([0.0, torch.nan, 0.5]), reduction="none")
        >>> [round(one, 3) for one in each.tolist()]
        [0.553, 0.0, 0.813]
    """

    has_weights = True

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution
        self.__name__ = "pinball" if distribution.name == "quantile" else f"{distribution.name}_nll"

    def __call__(self, raw: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Return the mean loss; with ``reduction="none"`` that of each target."""
        each = self.distribution.losses(raw, targets)
        return each if reduction == "none" else each.mean()

    def __repr__(self) -> str:
        return f"DistributionLoss({self.distribution!r})"


class Distribution:
    """What raw numbers r [..., M] mean; see the module for the equations.

    Attributes:
        name: as ``output=`` of a forecaster has it.
        size: M.
        lowest: the smallest value that there can be; None: there is none.
    """

    name: ClassVar[str]
    size: int
    lowest: ClassVar[float | None] = None

    def to_json(self) -> dict[str, Any]:
        """Return what :func:`make_distribution` makes this one of, as JSON values."""
        return {"name": self.name, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        return {}

    @property
    def loss(self) -> DistributionLoss:
        """The loss that trains the raw numbers."""
        return DistributionLoss(self)

    def losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each target: raw [..., M], targets [...] → [...]; 0 where a target is NaN."""
        targets = targets.reshape(raw.shape[:-1]).to(raw.dtype)
        missing = targets.isnan()
        found = self._losses(raw, torch.where(missing, self._harmless(raw), targets))
        return torch.where(missing, torch.zeros_like(found), found)

    def _harmless(self, raw: Tensor) -> Tensor:
        """A target that stands for a missing one, with finite loss and gradients."""
        return self.mean(raw).detach()

    def _losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError

    def mean(self, raw: Tensor) -> Tensor:
        """Return the expectation: raw [..., M] → [...]."""
        raise NotImplementedError

    def median(self, raw: Tensor) -> Tensor:
        """Return the median: raw [..., M] → [...]."""
        return self.quantiles(raw, (0.5,))[..., 0]

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles: raw [..., M], Q levels between 0 and 1 → [..., Q].

        Raises:
            ConfigError: a level out of range.
        """
        raise NotImplementedError

    def sample(self, raw: Tensor, samples: int) -> Tensor:
        """Draw from PyTorch's global generator, without gradients: raw [..., M] → [samples, ...]."""
        raise NotImplementedError

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return raw numbers of the distribution of scale · y + offset; scale is positive.

        Args:
            raw: [..., M].
            scale, offset: numbers, or tensors that fit [...].
        """
        raise NotImplementedError

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return raw numbers [..., M] of the distribution with the moments (or the quantiles) of samples [S, ...]."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Distribution) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings().items())
        return f"{type(self).__name__}({settings})"


def inverse_softplus(value: Tensor) -> Tensor:
    """The number whose softplus is the value; values below 1e-6 count as that."""
    value = value.clamp(min=1e-6)
    return value + torch.log(-torch.expm1(-value))
