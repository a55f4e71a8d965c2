"""Intervals with a promised coverage: calibrated on residuals of windows that no model was trained on.

Legend: W windows, H horizon steps, S series.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ConformalIntervals:
    """Split conformal intervals of each step of the horizon (Vovk et al. 2005; Lei et al. 2018).

    With the residuals r_i = |y_i − ŷ_i| / s_i of n calibration windows at a step, and a coverage of 1 − α, the radius
    is the ⌈(n + 1)(1 − α)⌉-th smallest of them, and the interval of a new forecast is

        [ŷ − s · radius, ŷ + s · radius]

    If calibration and new windows are exchangeable, it covers y with a probability of at least 1 − α. This holds for
    any model. Time series are only roughly exchangeable: if their spread grows after calibration, the coverage falls.

    The intervals of quantile forecasts are conformalised quantiles (Romano, Patterson & Candès 2019): r_i = max(ŷ_low −
    y_i, y_i − ŷ_high) / s_i, which may be negative, and the interval is [ŷ_low − s · radius, ŷ_high + s · radius].

    Attributes:
        coverages: 1 − α, in order.
        radii: [H] for each coverage.
        counts: [H], the observed calibration targets.

    Example:
        >>> truth = np.array([[1.0], [2.0], [3.0], [4.0]])
        >>> intervals = ConformalIntervals.fit(truth, truth + np.array([[0.1], [-0.2], [0.3], [0.4]]), coverages=(0.6,))
        >>> low, high = intervals.interval(np.array([[10.0]]), 0.6)
        >>> low.round(2).tolist(), high.round(2).tolist()
        ([[9.7]], [[10.3]])
        >>> ConformalIntervals.from_json(intervals.to_json()) == intervals
        True
    """

    coverages: tuple[float, ...]
    radii: tuple[tuple[float, ...], ...]
    counts: tuple[int, ...]

    @staticmethod
    def fit(
        truth: Array, forecast: Array, *, coverages: Sequence[float] = (0.8,), scale: Array | None = None
    ) -> ConformalIntervals:
        """Calibrate intervals around point forecasts.

        Args:
            truth: [W, H] of calibration windows, such as those of the validation part; NaN where missing.
            forecast: [W, H].
            coverages: 1 − α, each between 0 and 1.
            scale: s, [W], such as `ForecastWindows.scales()`: of series of different size; None: 1.

        Raises:
            ConfigError: a coverage out of range.
            DataError: shapes that do not fit, or too few windows for a coverage; the message has the numbers.
        """
        _check(truth, forecast)
        residuals = np.abs(truth - forecast) / _column(scale, truth)
        return ConformalIntervals._of(residuals, _levels(coverages))

    @staticmethod
    def fit_quantiles(
        truth: Array, low: Array, high: Array, *, coverage: float, scale: Array | None = None
    ) -> ConformalIntervals:
        """Calibrate the interval between two quantiles.

        Args:
            truth: [W, H] of calibration windows, NaN where missing.
            low, high: [W, H], the quantiles α/2 and 1 − α/2.
            coverage: 1 − α.
            scale: as in `fit`.

        Raises:
            ConfigError: a coverage out of range.
            DataError: shapes that do not fit, or too few windows for the coverage.

        Example:
            >>> truth = np.arange(9.0)[:, None]
            >>> intervals = ConformalIntervals.fit_quantiles(truth, truth - 2, truth + 3, coverage=0.8)
            >>> [bound.tolist() for bound in intervals.around(np.array([[0.0]]), np.array([[9.0]]), 0.8)]
            [[[2.0]], [[7.0]]]
        """
        _check(truth, low)
        _check(truth, high)
        residuals = np.maximum(low - truth, truth - high) / _column(scale, truth)
        return ConformalIntervals._of(residuals, _levels((coverage,)))

    @staticmethod
    def _of(residuals: Array, coverages: tuple[float, ...]) -> ConformalIntervals:
        """The radii of residuals [W, H], NaN where a target is missing."""
        ordered = [np.sort(column[~np.isnan(column)]) for column in residuals.T]
        counts = tuple(map(len, ordered))
        radii = []
        for coverage in coverages:
            ranks = [math.ceil((count + 1) * coverage - 1e-9) for count in counts]
            few = [step for step, (rank, count) in enumerate(zip(ranks, counts, strict=True)) if rank > count]
            if few:
                least = math.ceil(coverage / (1 - coverage) - 1e-9)
                raise DataError(
                    f"step {few[0] + 1} of the horizon has {counts[few[0]]:,} calibration targets; a coverage of "
                    f"{coverage:g} needs at least {least:,}",
                    None,
                    ("give the validation part a larger share", "take a lower coverage"),
                )
            radii.append(tuple(float(column[rank - 1]) for column, rank in zip(ordered, ranks, strict=True)))
        return ConformalIntervals(coverages, tuple(radii), counts)

    def radius(self, coverage: float) -> Array:
        """Return the radius of each step, [H], for scale 1.

        Raises:
            ConfigError: it was not calibrated for this coverage.
        """
        for known, radii in zip(self.coverages, self.radii, strict=True):
            if abs(known - coverage) < 1e-9:
                return np.array(radii)
        known_ones = ", ".join(f"{one:g}" for one in self.coverages)
        raise ConfigError.of("coverage", coverage, f"expected one that was calibrated: {known_ones}")

    def interval(
        self, forecast: Array, coverage: float, *, scale: Array | None = None, lowest: float | None = None
    ) -> tuple[Array, Array]:
        """Return the lower and the upper bounds around point forecasts, [W, H] each.

        Args:
            forecast: [W, H].
            coverage: one of `coverages`.
            scale: s, [W], if `fit` had one.
            lowest: the smallest value that there can be, such as 0 of counts: no bound is below it, which costs no
                coverage.

        Raises:
            ConfigError: it was not calibrated for this coverage.
            DataError: forecasts of another horizon.
        """
        low, high = self.around(forecast, forecast, coverage, scale=scale)
        return (low, high) if lowest is None else (np.maximum(low, lowest), np.maximum(high, lowest))

    def around(self, low: Array, high: Array, coverage: float, *, scale: Array | None = None) -> tuple[Array, Array]:
        """Return the bounds around two quantiles, [W, H] each; where they would cross both are their mean.

        Args:
            low, high: [W, H].
            coverage: the one of `fit_quantiles`.
            scale: s, [W], if `fit_quantiles` had one.

        Raises:
            ConfigError: it was not calibrated for this coverage.
            DataError: forecasts of another horizon.
        """
        radius = self.radius(coverage)
        if low.shape[1:] != radius.shape or high.shape != low.shape:
            raise DataError(f"forecasts {low.shape} and {high.shape} arrived; expected [W, {len(radius)}]")
        wide = radius * _column(scale, low)
        below, above = low - wide, high + wide
        middle = (below + above) / 2
        return np.minimum(below, middle), np.maximum(above, middle)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "coverages": list(self.coverages),
            "radii": [list(one) for one in self.radii],
            "counts": list(self.counts),
        }

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> ConformalIntervals:
        """Return the intervals that `to_json` stored."""
        radii = tuple(tuple(map(float, one)) for one in stored["radii"])
        return ConformalIntervals(tuple(map(float, stored["coverages"])), radii, tuple(map(int, stored["counts"])))


def _levels(coverages: Sequence[float]) -> tuple[float, ...]:
    if not coverages or not all(0 < one < 1 for one in coverages):
        raise ConfigError.of("coverages", tuple(coverages), "expected numbers between 0 and 1, such as 0.8")
    return tuple(sorted(map(float, coverages)))


def _check(truth: Array, forecast: Array) -> None:
    if truth.ndim != 2 or forecast.shape != truth.shape:
        raise DataError(f"forecasts {forecast.shape} arrived with targets {truth.shape}; expected [W, H] for both")
    wrong = int((~np.isfinite(forecast) & ~np.isnan(truth)).sum())
    if wrong:
        raise DataError(f"the forecasts hold {wrong:,} numbers that are not finite")


def _column(scale: Array | None, like: Array) -> Array:
    if scale is None:
        return np.ones((len(like), 1))
    if np.shape(scale) != (len(like),):
        raise DataError(f"scales {np.shape(scale)} arrived for {len(like)} windows; expected one each")
    return np.asarray(scale, np.float64)[:, None]
