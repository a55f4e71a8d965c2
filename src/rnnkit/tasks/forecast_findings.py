"""What forecasts of a test part show, in sentences: how errors grow, where they are large, what intervals cover.

Legend: W windows, H horizon steps, S series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.forecasting.stamps import local_times
from ..data.forecasting.windows import ForecastWindows
from .forecast_numbers import figure_text
from .forecast_scores import ForecastScores
from .forecasting import ForecastPredictor

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_MOST = 1_000  # windows that are looked at one by one
_DAY = 86_400 * 1_000_000
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_APART = 0.05  # of a share; a coverage that is further off is reported
_TWICE = 2.0
_SHIFTED = 0.5  # of the mean error


@dataclass(frozen=True)
class SeenForecasts:
    """The forecasts of some test windows, as evenly spread as there are not too many.

    Attributes:
        windows: that were taken.
        forecast: in the user's units, [W, H].
        bounds: of the calibrated intervals, [W, H] each, by the coverage in percent, as in "80".
        of: how many windows there were.
    """

    windows: ForecastWindows
    forecast: Array
    bounds: Mapping[str, tuple[Array, Array]]
    of: int

    @staticmethod
    def take(
        predictor: ForecastPredictor, windows: ForecastWindows, forecast: Array, most: int = _MOST
    ) -> SeenForecasts:
        """Return some of the forecasts of a predictor.

        Args:
            predictor: the trained forecaster.
            windows: of the test part, in the user's units.
            forecast: of all of them, [W, H].
            most: how many are taken.
        """
        rows = np.unique(np.linspace(0, len(windows) - 1, min(most, len(windows))).round().astype(np.int64))
        some = windows.select(rows)
        return SeenForecasts(some, forecast[rows], predictor.bounds(some, forecast[rows]), len(windows))

    @property
    def errors(self) -> Array:
        """|ŷ − y| [W, H], NaN where the target is missing."""
        return np.abs(self.forecast - self.windows.truth())

    def ranked(self) -> npt.NDArray[np.int64]:
        """Return the windows from the best to the worst, by their mean error on the scale of their series."""
        errors = self.errors / self.windows.scales()[:, None]
        seen = np.asarray(~np.isnan(errors))
        mean = np.where(seen, errors, 0).sum(1) / np.maximum(seen.sum(1), 1)
        order = np.argsort(mean, kind="stable")
        ranked: npt.NDArray[np.int64] = order[np.asarray(seen.any(1))[order]]
        return ranked

    def by_calendar(self) -> dict[str, dict[str, float]]:
        """Return the mean error by "hour" and "weekday", where the frequency has them, in their order.

        The errors of several series are divided by the scales of the series, so that these weigh alike.
        """
        series = self.windows.series
        size = series.frequency.microseconds
        daily = series.frequency.unit == "business day" or (size is not None and size <= _DAY)
        if not daily:
            return {}
        scales = self.windows.scales()[:, None] if len(series) > 1 else 1.0
        stamps, errors = self.windows.stamps().ravel(), (self.errors / scales).ravel()
        stamps, errors = stamps[~np.isnan(errors)], errors[~np.isnan(errors)]
        if series.time_zone is not None:
            stamps = local_times(stamps, series.time_zone)
        days = stamps.astype("datetime64[D]")
        numbers: dict[str, tuple[Any, tuple[str, ...]]] = {"weekday": ((days.astype(np.int64) + 3) % 7, _WEEKDAYS)}
        if not series.frequency.whole_days:
            hours = ((stamps - days).astype("timedelta64[h]")).astype(np.int64)
            numbers = {"hour": (hours, tuple(f"{hour}" for hour in range(24)))} | numbers
        found = {}
        for name, (groups, called) in numbers.items():
            present = np.unique(groups).tolist()
            if len(present) > 1:
                found[name] = {called[one]: float(errors[groups == one].mean()) for one in present}
        return found


def tell_forecasts(
    seen: SeenForecasts, scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str = "mae"
) -> list[str]:
    """Return what forecasts show, a sentence each.

    Args:
        seen: some of the forecasts.
        scores: of the network, on all windows.
        baselines: name → scores, on the same windows.
        metric: the error to compare by.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> from rnnkit.tasks.forecast_baselines import score_naive
        >>> parts = divide_time(TimeSeries.from_arrays([np.arange(90.0)], start="2024-01-01", frequency="day"))
        >>> preprocessing = ForecastPreprocessing.fit(parts, lookback=4, horizon=2)
        >>> predictor = ForecastPredictor(rnnkit.DirectForecaster(preprocessing.layout, hidden_size=2), preprocessing)
        >>> test = preprocessing.divide(parts)[-1]
        >>> seen = SeenForecasts.take(predictor, test, predictor.forecast(test))
        >>> said = tell_forecasts(seen, predictor.scores(test), score_naive(test))
        >>> print(said[-1][:37])
        The forecasts are too low on average:
    """
    return [
        *_tell_steps(scores, baselines, metric),
        *_tell_coverage(scores),
        *_tell_shift(seen),
        *_tell_series(scores, baselines, metric),
        *(one for name, errors in seen.by_calendar().items() for one in _tell_groups(name, errors)),
    ]


def _tell_steps(scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> list[str]:
    own = scores.by_step[metric]
    if len(own) < 2 or not np.isfinite(own).all():
        return []
    said = []
    if own[0] > 0 and own[-1] > 1.1 * own[0]:
        said.append(
            f"The {metric.upper()} grows from {figure_text(own[0])} at the first step of the horizon to "
            f"{figure_text(own[-1])} at step {len(own)}."
        )
    simple = {name: one for name, one in baselines.items() if np.isfinite(one.by_step[metric]).all()}
    if not simple:
        return said
    best = min(simple, key=lambda name: simple[name].figures[metric])
    worse = own >= simple[best].by_step[metric]
    name = best.replace("_", " ")
    if worse.any() and not worse.all():
        said.append(
            f"At {int(worse.sum()):,} of {len(own)} steps of the horizon the best baseline, {name}, has the smaller "
            f"error: {_ranges(np.flatnonzero(worse) + 1)}."
        )
    return said


def _tell_coverage(scores: ForecastScores) -> list[str]:
    said = []
    for name, found in scores.figures.items():
        if not (name.startswith("interval_") and name.endswith("_coverage")):
            continue
        share = name.removeprefix("interval_").removesuffix("_coverage")
        promised, steps = float(share) / 100, scores.by_step.get(name)
        sentence = f"The {share}% intervals cover {found:.1%} of the test targets"
        if steps is not None and len(steps) > 1 and np.isfinite(steps).all():
            sentence += f", by step of the horizon {steps.min():.1%} to {steps.max():.1%}"
        if found < promised - _APART:
            sentence += ": fewer than promised, since errors are larger now than when they were calibrated"
        elif found > promised + _APART:
            sentence += ": more than promised, since errors are smaller now than when they were calibrated"
        said.append(f"{sentence}.")
    return said


def _tell_shift(seen: SeenForecasts) -> list[str]:
    scale = seen.windows.scales()[:, None]
    error = (seen.forecast - seen.windows.truth()) / scale
    error = error[~np.isnan(error)]
    size = float(np.abs(error).mean()) if len(error) else 0.0
    if not size or abs(float(error.mean())) < _SHIFTED * size:
        return []
    side = "too high" if error.mean() > 0 else "too low"
    return [
        f"The forecasts are {side} on average: {abs(error.mean()) / size:.0%} of the mean error is this shift, as "
        "where a series has risen or fallen since the training part. norm=standard follows such a series."
    ]


def _tell_series(scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> list[str]:
    own = scores.by_series[metric]
    rows = np.flatnonzero(np.isfinite(own))
    if len(rows) < 2:
        return []
    said = []
    others = np.stack([np.full(len(own), np.inf), *(one.by_series[metric] for one in baselines.values())])
    best = np.fmin.reduce(others)  # of a series without a figure ∞, and no warning
    comparable = rows[np.isfinite(best[rows])]
    if len(comparable):
        better = int((own[comparable] < best[comparable]).sum())
        said.append(f"The network is better than every baseline in {better:,} of {len(comparable):,} series.")
    middle = float(np.median(own[rows]))
    worst = int(rows[own[rows].argmax()])
    if metric == "mase" and own[worst] > _TWICE * middle > 0:
        said.append(
            f"The series {scores.ids[worst]!r} has the largest MASE, {own[worst]:,.3g}: {own[worst] / middle:.1f} "
            "times that of the middle one."
        )
    return said


def _tell_groups(name: str, errors: Mapping[str, float]) -> list[str]:
    most, least = max(errors, key=lambda one: errors[one]), min(errors, key=lambda one: errors[one])
    if not errors[least] or errors[most] < _TWICE * errors[least]:
        return []
    shown = {one: f"{int(one):02d}:00" if name == "hour" else f"{one}s" for one in (most, least)}
    at = "at" if name == "hour" else "on"
    return [
        f"The mean error {at} {shown[most]}, {figure_text(errors[most])}, is {errors[most] / errors[least]:.1f} times "
        f"that {at} {shown[least]}."
    ]


def _ranges(steps: npt.NDArray[np.int64], most: int = 4) -> str:
    """Steps as ranges: "1 to 3, 7"."""
    runs = np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1)
    shown = [f"{run[0]}" if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:most]]
    return ", ".join(shown) + (" …" if len(runs) > most else "")
