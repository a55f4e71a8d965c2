"""Quantiles of distributions for which PyTorch has none, in float64 and without gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError

_NODES = 32  # of the Gauss–Legendre rule
_MOST_STEPS = 200  # of Newton's method
_MOST_TERMS = 20_000  # of the continued fraction


def check_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Return the levels of quantiles as numbers.

    Raises:
        ConfigError: there are none, or one is not between 0 and 1.
    """
    try:
        found = tuple(float(level) for level in levels)
    except TypeError:
        raise ConfigError.of("levels", levels, "expected numbers between 0 and 1, such as (0.1, 0.5, 0.9)") from None
    if not found or not all(0 < level < 1 for level in found):
        raise ConfigError.of("levels", levels, "expected numbers between 0 and 1, such as (0.1, 0.5, 0.9)")
    return found


@torch.no_grad()
def student_t_quantiles(df: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the quantiles [..., Q] of Student's t distribution with location 0, scale 1 and df [...] degrees.

    With t = √ν tan θ the density is C cos^{ν−1} θ, C = Γ((ν+1)/2) / (√π Γ(ν/2)). So the mass between 0 and t is
    C ∫₀^θ cos^{ν−1}, a concave function of θ, which Newton's method from θ = 0 solves without a step too far.

    Example:
        >>> student_t_quantiles(torch.tensor([1.0]), (0.5, 0.75)).tolist()  # Cauchy: tan(π (p − ½))
        [[0.0, 1.0]]
    """
    nu = _double(df)[..., None]
    away = torch.tensor(levels, dtype=torch.float64, device=nu.device) - 0.5
    mass, power = away.abs(), nu - 1
    factor = (torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2)).exp() / math.sqrt(math.pi)
    nodes, weights = (torch.tensor(one, device=nu.device) for one in _gauss_legendre())
    theta = torch.zeros(torch.broadcast_shapes(nu.shape, mass.shape), dtype=torch.float64, device=nu.device)
    for _ in range(_MOST_STEPS):
        inside = torch.cos(theta[..., None] * nodes) ** power[..., None]
        below = factor * theta * (inside * weights).sum(-1)
        change = (mass - below) / (factor * torch.cos(theta) ** power)
        theta = (theta + change).clamp(0, math.pi / 2 * (1 - 1e-15))
        if bool((change.abs() <= 1e-13).all()):
            break
    return (away.sign() * nu.sqrt() * torch.tan(theta)).to(df.device, df.dtype)


@torch.no_grad()
def negative_binomial_quantiles(mean: Tensor, alpha: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the smallest counts k [..., Q] with P(X ≤ k) ≥ level, for the mean μ [...] and the variance μ + α μ².

    Example:
        >>> negative_binomial_quantiles(torch.tensor([1.0]), torch.tensor([1.0]), (0.4, 0.5, 0.8)).tolist()
        [[0.0, 0.0, 2.0]]
    """
    mu, over = _double(mean)[..., None], _double(alpha)[..., None]
    wanted = torch.tensor(levels, dtype=torch.float64, device=mu.device)
    shape = torch.broadcast_shapes(mu.shape, wanted.shape)
    mu, over, wanted = mu.expand(shape), over.expand(shape), wanted.expand(shape)
    count, p = 1 / over, 1 / (1 + over * mu)
    low = torch.full_like(mu, -1)  # P(X ≤ low) < level ≤ P(X ≤ high)
    high = (mu + 4 * (mu + over * mu**2).sqrt()).ceil()
    while bool((short := beta_cdf(p, count, high + 1) < wanted).any()):
        low, high = torch.where(short, high, low), torch.where(short, 2 * high + 1, high)
    while bool((high - low > 1).any()):
        middle = ((low + high) / 2).floor().clamp(min=0)
        enough = beta_cdf(p, count, middle + 1) >= wanted
        low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
    return high.to(mean.device, mean.dtype)


def beta_cdf(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method).

    Example:
        >>> x, one = torch.tensor([0.25], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        >>> round(beta_cdf(x, one, 2 * one).item(), 6)  # 1 − (1 − x)²
        0.4375
    """
    flipped = x > (a + 1) / (a + b + 2)  # where the fraction of the other tail converges faster
    x, a, b = torch.where(flipped, 1 - x, x), torch.where(flipped, b, a), torch.where(flipped, a, b)
    front = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b) + torch.xlogy(a, x) + b * torch.log1p(-x)
    tail = front.exp() * _beta_fraction(x, a, b) / a
    return torch.where(flipped, 1 - tail, tail)


def _beta_fraction(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    tiny = 1e-300
    c = torch.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1), tiny)
    found = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d, tiny)
            c = _away_from_zero(1 + term / c, tiny)
            found = found * d * c
        if bool(((d * c - 1).abs() < 1e-14).all()):
            break
    return found


def _away_from_zero(value: Tensor, tiny: float) -> Tensor:
    return torch.where(value.abs() < tiny, torch.full_like(value, tiny), value)


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2


def _double(value: Tensor) -> Tensor:
    """The numbers in float64, on the CPU where their device has none."""
    return value.detach().to("cpu" if value.device.type == "mps" else value.device, torch.float64)
