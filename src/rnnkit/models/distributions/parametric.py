"""Forecasts of a family: normal, Student's t, negative binomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError, DataError, check_number
from ._quantile_functions import check_levels, negative_binomial_quantiles, student_t_quantiles
from .distribution import Distribution, inverse_softplus


class _Parametric(Distribution):
    """A family whose scale, or mean, is a softplus above the smallest value ε."""

    def __init__(self, smallest: float = 1e-4) -> None:
        check_number(smallest, "smallest", above=0)
        self.smallest = smallest

    def _settings(self) -> dict[str, Any]:
        return {"smallest": self.smallest}

    def _family(self, raw: Tensor) -> torch.distributions.Distribution:
        """PyTorch's distribution of raw numbers."""
        raise NotImplementedError

    def _losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        found: Tensor = -self._family(raw).log_prob(targets)
        return found

    def sample(self, raw: Tensor, samples: int) -> Tensor:
        """Draw from PyTorch's global generator, without gradients: raw [..., M] → [samples, ...]."""
        found: Tensor = self._family(raw.detach()).sample(torch.Size([samples]))
        return found


class _Symmetric(_Parametric):
    """A family that is symmetric around its location r_1."""

    def mean(self, raw: Tensor) -> Tensor:
        """Return r_1."""
        return raw[..., 0]

    def median(self, raw: Tensor) -> Tensor:
        """Return r_1."""
        return raw[..., 0]


class Gaussian(_Symmetric):
    """A normal distribution a step: mean r_1, standard deviation softplus(r_2) + ε.

    Args:
        smallest: ε.

    Example:
        >>> raw = torch.tensor([1.0, 0.0])
        >>> [round(q, 3) for q in Gaussian().quantiles(raw, (0.1, 0.5, 0.9)).tolist()]
        [0.112, 1.0, 1.888]
    """

    name: ClassVar[str] = "gaussian"
    size = 2

    def std(self, raw: Tensor) -> Tensor:
        """Return the standard deviation: raw [..., 2] → [...]."""
        return F.softplus(raw[..., 1]) + self.smallest

    def _family(self, raw: Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(raw[..., 0], self.std(raw), validate_args=False)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles: raw [..., 2], Q levels → [..., Q]."""
        at = torch.tensor(check_levels(levels), dtype=raw.dtype, device=raw.device)
        found: Tensor = raw[..., :1] + self.std(raw)[..., None] * torch.special.ndtri(at)
        return found

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return raw numbers with mean scale · μ + offset and standard deviation scale · σ."""
        spread = inverse_softplus(self.std(raw) * scale - self.smallest)
        return torch.stack((raw[..., 0] * scale + offset, spread), -1)

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return raw numbers with the mean and the standard deviation of samples [S, ...]."""
        std = samples.std(0, correction=0)
        return torch.stack((samples.mean(0), inverse_softplus(std - self.smallest)), -1)


class StudentT(_Symmetric):
    """Student's t distribution a step: location r_1, scale softplus(r_2) + ε, ν = 2 + softplus(r_3) degrees of freedom.

    Args:
        smallest: ε.

    Example:
        >>> raw = torch.tensor([1.0, 0.0, 0.0])
        >>> [round(q, 3) for q in StudentT().quantiles(raw, (0.1, 0.5, 0.9)).tolist()]
        [-0.171, 1.0, 2.171]
    """

    name: ClassVar[str] = "student_t"
    size = 3

    def parameters(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return location, scale and degrees of freedom: raw [..., 3] → [...] each."""
        return raw[..., 0], F.softplus(raw[..., 1]) + self.smallest, 2 + F.softplus(raw[..., 2])

    def _family(self, raw: Tensor) -> torch.distributions.StudentT:
        location, scale, df = self.parameters(raw)
        return torch.distributions.StudentT(df, location, scale, validate_args=False)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles: raw [..., 3], Q levels → [..., Q]. The degrees of freedom get no gradient."""
        location, scale, df = self.parameters(raw)
        return location[..., None] + scale[..., None] * student_t_quantiles(df, check_levels(levels))

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return raw numbers with location and scale of scale · y + offset, and the same degrees of freedom."""
        location, spread, _ = self.parameters(raw)
        return torch.stack(
            (location * scale + offset, inverse_softplus(spread * scale - self.smallest), raw[..., 2]), -1
        )

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return raw numbers with the mean, the variance and the kurtosis of samples [S, ...].

        The excess kurtosis of the distribution is 6 / (ν − 4), so ν is above 4; it is at most 100.
        """
        mean, var = samples.mean(0), samples.var(0, correction=0).clamp(min=self.smallest**2)
        excess = ((samples - mean) ** 4).mean(0) / var**2 - 3
        df = (4 + 6 / excess.clamp(min=1e-6)).clamp(max=100)
        scale = (var * (df - 2) / df).sqrt()
        return torch.stack((mean, inverse_softplus(scale - self.smallest), inverse_softplus(df - 2)), -1)


class NegativeBinomial(_Parametric):
    """Counts: mean μ = softplus(r_1) + ε and variance μ + α μ², α = softplus(r_2) + ε.

    The targets are counts as they are: whole numbers of at least 0, not standardised.

    Args:
        smallest: ε.

    Example:
        >>> raw = torch.tensor([4.0, 0.0])
        >>> NegativeBinomial().quantiles(raw, (0.1, 0.5, 0.9)).tolist()
        [0.0, 3.0, 9.0]
    """

    name: ClassVar[str] = "negative_binomial"
    size = 2
    lowest: ClassVar[float | None] = 0.0

    def __init__(self, smallest: float = 1e-3) -> None:
        super().__init__(smallest)

    def parameters(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ and α: raw [..., 2] → [...] each."""
        return F.softplus(raw[..., 0]) + self.smallest, F.softplus(raw[..., 1]) + self.smallest

    def _family(self, raw: Tensor) -> torch.distributions.NegativeBinomial:
        mean, alpha = self.parameters(raw)
        return torch.distributions.NegativeBinomial(1 / alpha, logits=(mean * alpha).log(), validate_args=False)

    def _losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        wrong = (targets < 0) | (targets != targets.round())
        if bool(wrong.any()):
            raise DataError(
                f"the target {float(targets[wrong].min()):g} arrived; output='negative_binomial' expects counts: whole "
                "numbers of at least 0",
                remedy=("leave the targets unscaled", "build the model with output='gaussian' or 'student_t'"),
            )
        return super()._losses(raw, targets)

    def _harmless(self, raw: Tensor) -> Tensor:
        return super()._harmless(raw).round()

    def mean(self, raw: Tensor) -> Tensor:
        """Return μ."""
        return self.parameters(raw)[0]

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return the smallest counts whose probability of not being exceeded reaches each level: → [..., Q]."""
        return negative_binomial_quantiles(*self.parameters(raw), check_levels(levels))

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return raw numbers with mean scale · μ and the same α, for other units of exposure (two days for one).

        Multiplied counts are no counts: this is no distribution of scale · y.

        Raises:
            ConfigError: an offset.
        """
        if not bool((torch.as_tensor(offset) == 0).all()):
            raise ConfigError(
                "an offset arrived for output='negative_binomial'; counts have none: leave the targets unscaled"
            )
        mean = self.parameters(raw)[0] * scale
        return torch.stack((inverse_softplus(mean - self.smallest), raw[..., 1]), -1)

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return raw numbers with the mean and the variance of samples [S, ...]."""
        mean = samples.mean(0).clamp(min=2 * self.smallest)
        alpha = (samples.var(0, correction=0) - mean) / mean**2
        return torch.stack((inverse_softplus(mean - self.smallest), inverse_softplus(alpha - self.smallest)), -1)
