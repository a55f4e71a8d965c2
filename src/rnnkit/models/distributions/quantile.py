"""Forecasts without a family: numbers, and quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError, ShapeError, check_choice
from ._quantile_functions import check_levels
from .distribution import Distribution, inverse_softplus

_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Point(Distribution):
    """A number a step; the raw numbers have no axis M. Trained by a loss of the Learner, "mse" by default.

    Example:
        >>> Point().mean(torch.tensor([[1.0, 2.0]])).tolist()
        [[1.0, 2.0]]
    """

    name: ClassVar[str] = "point"
    size = 1

    def losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        """Return the squared error of each target, 0 where a target is NaN: [...], [...] → [...]."""
        targets = targets.reshape(raw.shape).to(raw.dtype)
        return torch.where(targets.isnan(), raw.detach(), targets).sub(raw).square()

    def mean(self, raw: Tensor) -> Tensor:
        """Return the forecasts themselves."""
        return raw

    def median(self, raw: Tensor) -> Tensor:
        """Return the forecasts themselves."""
        return raw

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Raise ConfigError: a point forecast has no quantiles."""
        raise ConfigError(
            "a point forecast has no quantiles",
            remedy=(
                "build the model with output='quantile', 'gaussian' or 'student_t'",
                "put conformal intervals around it",
            ),
        )

    def sample(self, raw: Tensor, samples: int) -> Tensor:
        """Return the forecasts, as often as asked."""
        return raw.detach().expand(samples, *raw.shape)

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return scale · r + offset."""
        return raw * scale + offset

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return the mean of the samples."""
        return samples.mean(0)


class Quantile(Distribution):
    """Q quantiles a step, which never cross.

    Between two levels quantiles are linear in the level; outside of them there is nothing to say. The mean is that of
    the quantile function, which is held constant outside of the levels, and so are samples.

    Args:
        levels: between 0 and 1, ascending.
        form: how crossing is prevented: "sorted" or "increments"; see the module.

    Raises:
        ConfigError: levels that are out of range or out of order, or an unknown form.

    Example:
        >>> distribution = Quantile((0.1, 0.5, 0.9))
        >>> raw = torch.tensor([3.0, 1.0, 2.0])
        >>> distribution.quantiles(raw, (0.1, 0.7)).tolist()
        [1.0, 2.5]
    """

    name: ClassVar[str] = "quantile"

    def __init__(self, levels: Sequence[float] = _LEVELS, form: str = "sorted") -> None:
        self.levels, self.form = check_levels(levels), form
        check_choice(form, "form", ("sorted", "increments"))
        if any(one >= other for one, other in zip(self.levels, self.levels[1:], strict=False)):
            raise ConfigError.of("levels", levels, "expected ascending numbers")
        self.size = len(self.levels)

    def _settings(self) -> dict[str, Any]:
        return {"levels": list(self.levels), "form": self.form}

    def _own(self, raw: Tensor) -> Tensor:
        """The quantiles at the levels."""
        if raw.shape[-1] != self.size:
            raise ShapeError.of("raw", tuple(raw.shape), f"; expected {self.size} numbers, a number a level")
        if self.form == "sorted":
            return raw.sort(-1).values
        return torch.cat((raw[..., :1], F.softplus(raw[..., 1:])), -1).cumsum(-1)

    def _losses(self, raw: Tensor, targets: Tensor) -> Tensor:
        levels = torch.tensor(self.levels, dtype=raw.dtype, device=raw.device)
        short = targets[..., None] - self._own(raw)
        return torch.maximum(levels * short, (levels - 1) * short).mean(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """Return ∫ q(τ) dτ: raw [..., Q] → [...]."""
        own = self._own(raw)
        ends = torch.tensor((0.0, *self.levels, 1.0), dtype=raw.dtype, device=raw.device)
        padded = torch.cat((own[..., :1], own, own[..., -1:]), -1)
        return torch.trapezoid(padded, ends, dim=-1)

    def quantiles(self, raw: Tensor, levels: Sequence[float]) -> Tensor:
        """Return quantiles at levels between the lowest and the highest of this distribution: [..., Q] → [..., Q'].

        Raises:
            ConfigError: a level outside of these.
        """
        asked = check_levels(levels)
        low, high = self.levels[0], self.levels[-1]
        for level in asked:
            if not low - 1e-9 <= level <= high + 1e-9:
                raise ConfigError(
                    f"the quantile {level:g} was asked for, but the model has quantiles from {low:g} to {high:g}",
                    remedy=f"train a model with output={{'name': 'quantile', 'levels': [..., {level:g}, ...]}}",
                )
        at = torch.tensor(asked, dtype=raw.dtype, device=raw.device).expand(*raw.shape[:-1], -1)
        return self._between(raw, at)

    def _between(self, raw: Tensor, at: Tensor) -> Tensor:
        """The quantile function at levels [..., Q']."""
        own = self._own(raw)
        if self.size == 1:
            return own.expand_as(at)
        known = torch.tensor(self.levels, dtype=raw.dtype, device=raw.device)
        above = torch.searchsorted(known, at.contiguous()).clamp(1, self.size - 1)
        left, right = known[above - 1], known[above]
        part = ((at - left) / (right - left)).clamp(0, 1)
        return torch.lerp(own.gather(-1, above - 1), own.gather(-1, above), part)

    def sample(self, raw: Tensor, samples: int) -> Tensor:
        """Draw from PyTorch's global generator, without gradients: raw [..., Q] → [samples, ...]."""
        raw = raw.detach()
        at = torch.rand(*raw.shape[:-1], samples, dtype=raw.dtype, device=raw.device)
        return self._between(raw, at).movedim(-1, 0)

    def rescale(self, raw: Tensor, scale: Tensor | float, offset: Tensor | float) -> Tensor:
        """Return raw numbers whose quantiles are scale · q + offset."""
        scale, offset = _column(scale, raw), _column(offset, raw)
        if self.form == "sorted":
            return raw * scale + offset
        steps = inverse_softplus(F.softplus(raw[..., 1:]) * scale)
        return torch.cat((raw[..., :1] * scale + offset, steps), -1)

    def from_samples(self, samples: Tensor) -> Tensor:
        """Return the raw numbers of the quantiles of samples [S, ...]."""
        ordered = samples.movedim(0, -1).sort(-1).values  # torch.quantile takes 16 million numbers at most
        at = torch.tensor(self.levels, dtype=samples.dtype, device=samples.device) * (len(samples) - 1)
        below = at.long().clamp(max=max(len(samples) - 2, 0))
        above = (below + 1).clamp(max=len(samples) - 1)
        own = torch.lerp(ordered[..., below], ordered[..., above], at - below)
        if self.form == "sorted":
            return own
        return torch.cat((own[..., :1], inverse_softplus(own.diff(dim=-1))), -1)


def _column(value: Tensor | float, raw: Tensor) -> Tensor:
    """A number, or numbers [...], to be multiplied with raw [..., M]."""
    return torch.as_tensor(value, dtype=raw.dtype, device=raw.device)[..., None]
