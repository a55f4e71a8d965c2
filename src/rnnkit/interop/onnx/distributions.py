"""Distributions of forecasts in graphs: other units, means, and their parameters in plain numbers.

The raw numbers of :mod:`rnnkit.models.distributions` are the outputs of a network; σ and the like are a softplus of
them.
"""

from __future__ import annotations

from typing import Any

import torch

from ...models.distributions import Distribution, Gaussian, NegativeBinomial, Point, Quantile, StudentT
from .graph import Graph
from .writer import Unsupported

_LEAST = 1e-6  # of the argument of an inverse softplus, as rnnkit has it


def softplus(g: Graph, x: str) -> str:
    """log(1 + exp(x))."""
    return g("Softplus", x)


def inverse_softplus(g: Graph, x: str) -> str:
    """The number whose softplus is x; values below 1e-6 count as that."""
    x = g("Max", x, g.number(_LEAST))
    # log(1 − exp(−x)); for small x 1 − exp(−x) loses digits, and x − x²/2 + x³/6 does not.
    series = g("Mul", x, g("Sub", g.number(1.0), g("Mul", x, g("Sub", g.number(0.5), g("Div", x, g.number(6.0))))))
    direct = g("Sub", g.number(1.0), g("Exp", g("Neg", x)))
    inner = g("Where", g("Less", x, g.number(1e-2)), series, direct)
    return g("Add", x, g("Log", inner))


def rescaled(g: Graph, distribution: Distribution, raw: str, scale: str | None, offset: str) -> str:
    """Raw numbers of the distribution of scale · y + offset.

    Args:
        g: the graph.
        distribution: which one.
        raw: [B, H, M]; [B, H] of points.
        scale, offset: [B, H] or [B, 1]; the scale None for 1.
    """

    def affine(value: str) -> str:
        column = value if isinstance(distribution, Point) else None
        scaled = value if scale is None else g("Mul", value, scale if column else g("Unsqueeze", scale, g.ints(2)))
        return g("Add", scaled, offset if column else g("Unsqueeze", offset, g.ints(2)))

    def spread(value: str, smallest: float) -> str:
        if scale is None:
            return value
        wide = g("Add", softplus(g, value), g.number(smallest)) if smallest else softplus(g, value)
        wide = g("Mul", wide, g("Unsqueeze", scale, g.ints(2)))
        return inverse_softplus(g, g("Sub", wide, g.number(smallest)) if smallest else wide)

    if isinstance(distribution, Point):
        return affine(raw)
    if isinstance(distribution, Gaussian | StudentT):
        first, second, *rest = split(g, raw, distribution.size)
        return g("Concat", affine(first), spread(second, distribution.smallest), *rest, axis=-1)
    if isinstance(distribution, NegativeBinomial):
        first, second = split(g, raw, 2)
        return g("Concat", spread(first, distribution.smallest), second, axis=-1)
    assert isinstance(distribution, Quantile)
    if distribution.form == "sorted":
        return affine(raw)
    first, rest_of = g.several("Split", raw, g.ints(1, distribution.size - 1), outputs=2, axis=-1)
    return g("Concat", affine(first), spread(rest_of, 0.0), axis=-1)


def split(g: Graph, raw: str, count: int) -> tuple[str, ...]:
    """The raw numbers one by one, [..., 1] each."""
    return g.several("Split", raw, g.ints(*[1] * count), outputs=count, axis=-1)


def own_quantiles(g: Graph, distribution: Quantile, raw: str) -> str:
    """The quantiles [..., Q] of raw numbers [..., Q], in order."""
    if distribution.size == 1:
        return raw
    if distribution.form == "sorted":
        return g.several("TopK", raw, g.ints(distribution.size), outputs=2, axis=-1, largest=0, sorted=1)[0]
    first, rest = g.several("Split", raw, g.ints(1, distribution.size - 1), outputs=2, axis=-1)
    return g("CumSum", g("Concat", first, softplus(g, rest), axis=-1), g.whole(-1))


def mean_of(g: Graph, distribution: Distribution, raw: str) -> str:
    """The expectation [...] of raw numbers [..., M]."""
    last = g.ints(-1)
    if isinstance(distribution, Quantile):
        # ∫ q(τ) dτ with q constant outside of the levels: a weight a quantile.
        ends = torch.tensor((0.0, *distribution.levels, 1.0), dtype=torch.float64)
        steps = ends.diff()
        weights = (steps[:-1] + steps[1:]) / 2
        weights[0] += steps[0] / 2
        weights[-1] += steps[-1] / 2
        own = own_quantiles(g, distribution, raw)
        return g("Squeeze", g("MatMul", own, g.constant(weights[:, None], "weights")), last)
    first = split(g, raw, distribution.size)[0] if distribution.size > 1 else raw
    if isinstance(distribution, NegativeBinomial):
        first = g("Add", softplus(g, first), g.number(distribution.smallest))
    return g("Squeeze", first, last)


def parameters(g: Graph, distribution: Distribution, raw: str) -> dict[str, str]:
    """What the raw numbers mean, by name; {} of points, which are what they are."""
    if isinstance(distribution, Point):
        return {}
    if isinstance(distribution, Quantile):
        return {"quantiles": own_quantiles(g, distribution, raw)}
    names = {
        "gaussian": ("mean", "std"),
        "student_t": ("location", "scale", "df"),
        "negative_binomial": ("mean", "alpha"),
    }
    parts = [g("Squeeze", one, g.ints(-1)) for one in split(g, raw, distribution.size)]
    smallest = g.number(getattr(distribution, "smallest", 0.0))
    positive = {"std", "scale", "alpha"} | ({"mean"} if isinstance(distribution, NegativeBinomial) else set())
    found = {}
    for name, part in zip(names[distribution.name], parts, strict=True):
        if name in positive:
            part = g("Add", softplus(g, part), smallest)
        found[name] = g("Add", softplus(g, part), g.number(2.0)) if name == "df" else part
    return found


def own_parameters(distribution: Distribution, raw: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same as :func:`parameters` by rnnkit."""
    known: Any = distribution
    if isinstance(distribution, Point):
        return {}
    if isinstance(distribution, Quantile):
        return {"quantiles": known._own(raw)}
    if isinstance(distribution, Gaussian):
        return {"mean": known.mean(raw), "std": known.std(raw)}
    names = ("location", "scale", "df") if isinstance(distribution, StudentT) else ("mean", "alpha")
    return dict(zip(names, known.parameters(raw), strict=True))


def check_known(distribution: Distribution) -> None:
    """Raise Unsupported for a distribution of the user's own."""
    if type(distribution) not in (Gaussian, NegativeBinomial, Point, Quantile, StudentT):
        raise Unsupported(
            f"the forecaster has the distribution {type(distribution).__name__}, for which rnnkit writes no ONNX "
            "operators; expected 'point', 'quantile', 'gaussian', 'student_t' or 'negative_binomial'"
        )
