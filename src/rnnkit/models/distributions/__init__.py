"""What a forecaster puts out: numbers, quantiles, or the parameters of a distribution.

A model returns raw numbers r [..., M]; with ``"point"`` the forecasts [...] themselves. A distribution says what they
mean, what loss trains them, and what follows from them: a mean, quantiles, samples.

    point              ŷ = r
    quantile           q_1 ≤ … ≤ q_Q: r in order ("sorted"), or r_1 + Σ_{1 < j ≤ i} softplus(r_j) ("increments")
    gaussian           N(r_1, σ²), σ = softplus(r_2) + ε
    student_t          location r_1, scale softplus(r_2) + ε, degrees of freedom 2 + softplus(r_3)
    negative_binomial  counts with mean μ = softplus(r_1) + ε and variance μ + α μ², α = softplus(r_2) + ε

The losses are negative log-likelihoods, in nats a target, and for quantiles the mean of the pinball losses
max(τ (y − q), (τ − 1)(y − q)). A target that is NaN is missing: its loss is 0, as with a weight of 0, and it sends no
gradient.

Gaussian and negative binomial as in DeepAR (Salinas et al. 2020). Student's t has ν > 2, so that its variance exists.
Sorted quantiles are those of Chernozhukov, Fernández-Val & Galichon 2010.

Legend: M raw numbers, Q quantiles, S samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError, check_choice
from .distribution import Distribution, DistributionLoss
from .parametric import Gaussian, NegativeBinomial, StudentT
from .quantile import Point, Quantile

__all__ = [
    "Distribution",
    "DistributionLoss",
    "Gaussian",
    "NegativeBinomial",
    "Point",
    "Quantile",
    "StudentT",
    "make_distribution",
]

DISTRIBUTIONS: dict[str, type[Distribution]] = {
    kind.name: kind for kind in (Point, Quantile, Gaussian, StudentT, NegativeBinomial)
}


def make_distribution(output: str | Mapping[str, Any] | Distribution) -> Distribution:
    """Return the distribution of that name, or with the settings of a mapping that has a name, too.

    Raises:
        ConfigError: an unknown name, or a setting that the distribution does not have.

    Example:
        >>> make_distribution({"name": "quantile", "levels": [0.1, 0.9]})
        Quantile(levels=[0.1, 0.9], form='sorted')
    """
    if isinstance(output, Distribution):
        return output
    settings = dict(output) if isinstance(output, Mapping) else {"name": output}
    name: Any = settings.pop("name", None)
    check_choice(name, "output", tuple(DISTRIBUTIONS))
    try:
        return DISTRIBUTIONS[name](**settings)
    except TypeError:
        raise ConfigError.of("output", output, f"expected settings of {DISTRIBUTIONS[name].__name__}") from None
