"""Scores of forecasts: of values, of quantiles and of intervals, in all, for each step of the horizon and each series.

Legend: W windows, H horizon steps, S series, Q quantiles, N samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ForecastScores:
    """What `ScoreSums` makes of forecasts. All figures but the coverage are the better the lower.

    Attributes:
        figures: "mae", "mse", "rmse", "smape" (percent) and "mase"; with quantiles "pinball" and "crps"; with samples
            "crps"; for each pair of quantiles such as 0.1 and 0.9 "coverage_80" (a share) and "width_80". A figure that
            is not defined is NaN.
        by_step: the same, [H] each.
        by_series: the same, [S] each.
        ids: of the series.
        count: the targets that were compared.
        findings: what the figures leave out, a sentence each.
    """

    figures: dict[str, float]
    by_step: dict[str, Array]
    by_series: dict[str, Array]
    ids: tuple[str, ...]
    count: int
    findings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return figures, by_step and by_series as JSON values; None for what is not defined."""
        return {
            "count": self.count,
            "figures": {name: _json(value) for name, value in self.figures.items()},
            "by_step": {name: [_json(one) for one in values] for name, values in self.by_step.items()},
            "by_series": {
                name: dict(zip(self.ids, map(_json, values), strict=True)) for name, values in self.by_series.items()
            },
        }


@dataclass
class ScoreSums:
    """Sums over forecasts, batch after batch, of which `result` makes the scores. Missing targets do not count.

    With e = ŷ − y, over the observed targets:

        MAE = mean |e|,  MSE = mean e²,  RMSE = √MSE,  sMAPE = 100 mean 2|e| / (|y| + |ŷ|)  (0 where both are 0)
        MASE = mean |e| / d_s,  d_s the `seasonal_errors` of the target's series (Hyndman & Koehler 2006)
        pinball_q = mean max(q (y − ŷ_q), (q − 1)(y − ŷ_q)),  pinball the mean over the quantiles
        CRPS = 2 pinball, which approaches the integral if the quantiles are spread evenly; of samples
        CRPS = mean (1/N) Σ_i |x_i − y| − (1 / 2N²) Σ_ij |x_i − x_j| (Gneiting & Raftery 2007, equation 21)
        coverage = share of y in [ŷ_q, ŷ_(1−q)],  width = mean ŷ_(1−q) − ŷ_q

    Args:
        horizon: H.
        ids: of the series.
        seasonal_errors: [S], of the training part; without them there is no MASE.
        levels: the quantiles q, in order.

    Raises:
        ConfigError: levels that do not rise between 0 and 1.

    Example:
        >>> sums = ScoreSums(horizon=2, ids=["a"], seasonal_errors=np.array([2.0]))
        >>> sums.add(np.array([[1.0, np.nan], [2.0, 4.0]]), np.array([[2.0, 9.0], [2.0, 1.0]]))
        >>> scores = sums.result()
        >>> {name: round(value, 3) for name, value in scores.figures.items()}
        {'mae': 1.333, 'mse': 3.333, 'rmse': 1.826, 'smape': 62.222, 'mase': 0.667}
        >>> scores.by_step["mae"].tolist(), scores.count
        ([0.5, 3.0], 3)
    """

    horizon: int
    ids: Sequence[str] = ("all",)
    seasonal_errors: Array | None = None
    levels: Sequence[float] = ()
    _sums: dict[str, Array] = field(default_factory=dict)
    _counts: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rising = all(0 < one < 1 for one in self.levels) and list(self.levels) == sorted(set(self.levels))
        if not rising:
            raise ConfigError.of("levels", tuple(self.levels), "expected numbers that rise between 0 and 1")

    def add(
        self,
        truth: Array,
        forecast: Array,
        owner: npt.NDArray[np.int64] | None = None,
        *,
        quantiles: Array | None = None,
        samples: Array | None = None,
        intervals: Mapping[str, tuple[Array, Array]] | None = None,
    ) -> None:
        """Add forecasts.

        Args:
            truth: [W, H], NaN where missing.
            forecast: [W, H].
            owner: [W], the numbers of the windows' series; None: 0.
            quantiles: [W, H, Q], where there are `levels`.
            samples: [W, H, N].
            intervals: name → lower and upper bounds, [W, H] each; scored as "NAME_coverage" and "NAME_width".

        Raises:
            DataError: shapes that do not fit, or a forecast that is not finite.
        """
        wanted = {"forecast": (forecast, truth.shape)}
        if quantiles is not None or self.levels:
            wanted["quantiles"] = (quantiles, (*truth.shape, len(self.levels)))  # type: ignore[assignment]
        if samples is not None:
            wanted["samples"] = (samples, (*truth.shape, samples.shape[-1]))
        seen = ~np.isnan(truth)
        for name, (values, shape) in wanted.items():
            if values is None or values.shape != shape or truth.shape[1:] != (self.horizon,):
                found = None if values is None else values.shape
                raise DataError(f"{name} {found} arrived with targets {truth.shape}; expected {shape}")
            if not np.isfinite(values[seen]).all():
                raise DataError(
                    f"the {name} hold {int((~np.isfinite(values[seen])).sum()):,} numbers that are not finite"
                )
        rows = np.zeros(len(truth), np.int64) if owner is None else owner
        error = np.abs(forecast - truth)
        size = np.abs(truth) + np.abs(forecast)
        self._put("mae", error, rows)
        self._put("mse", error**2, rows)
        self._put("smape", 200 * error / np.where(size == 0, 1, size), rows)
        if self.seasonal_errors is not None:
            self._put("mase", error / np.asarray(self.seasonal_errors)[rows][:, None], rows)
        if quantiles is not None:
            self._put_quantiles(truth, quantiles, rows)
        if samples is not None:
            self._put("crps", sample_crps(truth, samples), rows)
        for name, (low, high) in (intervals or {}).items():
            self._put_interval(name, truth, low, high, rows)

    def _put_interval(self, name: str, truth: Array, low: Array, high: Array, rows: npt.NDArray[np.int64]) -> None:
        missing = np.isnan(truth)
        self._put(f"{name}_coverage", np.where(missing, np.nan, (truth >= low) & (truth <= high)), rows)
        self._put(f"{name}_width", np.where(missing, np.nan, high - low), rows)

    def _put_quantiles(self, truth: Array, quantiles: Array, rows: npt.NDArray[np.int64]) -> None:
        levels = np.asarray(self.levels)
        loss = pinball(truth, quantiles, levels).mean(2)
        self._put("pinball", loss, rows)
        self._put("crps", 2 * loss, rows)
        for low, level in enumerate(self.levels[: len(self.levels) // 2]):
            high = next((at for at, other in enumerate(self.levels) if abs(level + other - 1) < 1e-9), None)
            if high is not None:
                name = f"{100 * (1 - 2 * level):.3g}"
                inside = (truth >= quantiles[..., low]) & (truth <= quantiles[..., high])
                width = quantiles[..., high] - quantiles[..., low]
                self._put(f"coverage_{name}", np.where(np.isnan(truth), np.nan, inside), rows)
                self._put(f"width_{name}", np.where(np.isnan(truth), np.nan, width), rows)

    def _put(self, name: str, values: Array, rows: npt.NDArray[np.int64]) -> None:
        """Add values [W, H] to the sums of a figure, [S, H]; NaN does not count."""
        shape = (len(self.ids), self.horizon)
        if name not in self._sums:
            self._sums[name], self._counts[name] = np.zeros(shape), np.zeros(shape)
        defined = np.isfinite(values)
        np.add.at(self._sums[name], rows, np.where(defined, values, 0.0))
        np.add.at(self._counts[name], rows, defined)

    def result(self) -> ForecastScores:
        """Return the scores of all that was added.

        Raises:
            DataError: no observed target was added.
        """
        count = int(self._counts["mae"].sum()) if "mae" in self._counts else 0
        if not count:
            raise DataError("no observed target arrived; there is nothing to compare forecasts with")
        figures: dict[str, float] = {}
        by_step: dict[str, Array] = {}
        by_series: dict[str, Array] = {}
        for name, sums in self._sums.items():
            counts = self._counts[name]
            figures[name] = float(_mean(sums.sum(), counts.sum()))
            by_step[name] = _mean(sums.sum(0), counts.sum(0))
            by_series[name] = _mean(sums.sum(1), counts.sum(1))
            if name == "mse":
                figures["rmse"] = float(np.sqrt(figures[name]))
                by_step["rmse"], by_series["rmse"] = np.sqrt(by_step[name]), np.sqrt(by_series[name])
        return ForecastScores(figures, by_step, by_series, tuple(self.ids), count, tuple(self._findings()))

    def _findings(self) -> list[str]:
        if self.seasonal_errors is None:
            return []
        bare = np.flatnonzero((self._counts["mae"].sum(1) > 0) & ~np.isfinite(1 / np.asarray(self.seasonal_errors)))
        if not len(bare):
            return []
        shown = ", ".join(repr(self.ids[row]) for row in bare[:5].tolist()) + (" …" if len(bare) > 5 else "")
        return [
            f"{len(bare):,} of {len(self.ids):,} series {'has' if len(bare) == 1 else 'have'} no MASE: their training "
            f"part repeats itself exactly, or is shorter than a season: {shown}."
        ]


def seasonal_errors(targets: Sequence[Array], period: int = 1) -> Array:
    """Return d_s = mean |y_t − y_(t−m)| of each series [S], the mean error of the seasonal naive forecast.

    Args:
        targets: the training part of each series, NaN where missing.
        period: m, the season in steps.

    Returns:
        NaN for a series without two observed targets a season apart, and for one that repeats itself exactly.

    Raises:
        ConfigError: a period below 1.

    Example:
        >>> seasonal_errors([np.array([1.0, 2.0, 4.0]), np.array([3.0, 3.0])]).tolist()
        [1.5, nan]
    """
    if period < 1:
        raise ConfigError.of("period", period, "expected a whole number of at least 1")
    found = []
    for target in targets:
        steps = np.abs(target[period:] - target[:-period])
        steps = steps[~np.isnan(steps)]
        found.append(float(steps.mean()) if len(steps) and steps.any() else np.nan)
    return np.array(found, np.float64)


def pinball(truth: Array, quantiles: Array, levels: Array) -> Array:
    """Return the pinball loss of each quantile, max(q (y − ŷ), (q − 1)(y − ŷ)).

    Args:
        truth: [...].
        quantiles: [..., Q].
        levels: q, [Q].

    Example:
        >>> pinball(np.array([10.0]), np.array([[8.0, 12.0]]), np.array([0.1, 0.9])).round(2).tolist()
        [[0.2, 0.2]]
    """
    above = truth[..., None] - quantiles
    loss: Array = np.maximum(levels * above, (levels - 1) * above)
    return loss


def sample_crps(truth: Array, samples: Array) -> Array:
    """Return the continuous ranked probability score of samples, see `ScoreSums`.

    Args:
        truth: [...].
        samples: [..., N].

    Example:
        >>> sample_crps(np.array([1.0]), np.array([[0.0, 2.0]])).tolist()
        [0.5]
    """
    count = samples.shape[-1]
    ordered = np.sort(samples, -1)
    # Σ_ij |x_i − x_j| = 2 Σ_i (2i − N + 1) x_(i), with i from 0 in order.
    spread = (ordered * (2 * np.arange(count) - count + 1)).sum(-1) / count**2
    crps: Array = np.abs(samples - truth[..., None]).mean(-1) - spread
    return crps


def _mean(sums: Any, counts: Any) -> Any:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
