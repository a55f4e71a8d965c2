"""Forecasts that need no network, on the same windows: whoever trains one has to do better.

Legend: W windows, B windows of a batch, H horizon steps, L lookback steps, S series, m the season in steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.forecasting.windows import ForecastWindows
from ..errors import ConfigError, DataError, check_choice, check_whole
from .forecast_numbers import figure_text
from .forecast_scores import ForecastScores, ScoreSums

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

Forecast = Callable[[Any], Any]
_WORTH = 0.02  # of the error; a smaller difference is none in practice
_BATCH = 1024
_WORDS = {
    "persistence": "persistence (the last value)",
    "drift": "drift (the line through the first and the last value)",
    "mean": "the mean of the lookback",
    "climatology": "climatology (what is usual at a day of the year)",
    "ridge": "ridge regression on the same inputs",
    "dlinear": "the linear model DLinear",
    "nlinear": "the linear model NLinear",
}


class NaiveForecasts:
    """The forecasts without parameters, in the user's units (Hyndman & Athanasopoulos, "Forecasting", section 5.2).

    With y_T the last observed value before the horizon, h = 1 … H:

        persistence  ŷ_(T+h) = y_T
        seasonal     ŷ_(T+h) = y_(T+h−m⌈h/m⌉), the same step of the last season
        drift        ŷ_(T+h) = y_T + h (y_T − y_1) / (T − 1), with y_1 the first value of the series
        mean         ŷ_(T+h) = the mean of the observed values of the lookback

    A step that is missing in the last season is taken from the season before. Where there is none, "seasonal" is
    "persistence". No value of the horizon or after it is used.

    Args:
        windows: whose horizons are forecast.
        period: m; None: that of the frequency.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([[1.0, 5, 2, 6, 3, 7, 4, 8]]), (6, 2))
        >>> _, test = ForecastPreprocessing.fit(parts, lookback=4, horizon=2).divide(parts)
        >>> naive = NaiveForecasts(test, period=2)
        >>> {name: naive(name).round(2).tolist() for name in naive.names}
        {'persistence': [[7.0, 7.0]], 'seasonal': [[3.0, 7.0]], 'drift': [[8.2, 9.4]], 'mean': [[4.5, 4.5]]}
    """

    names = ("persistence", "seasonal", "drift", "mean")

    def __init__(self, windows: ForecastWindows, period: int | None = None) -> None:
        check_whole(period, "period", optional=True)
        self.windows = windows
        self.period = windows.series.frequency.period if period is None else period
        source = windows.source
        raw, self._starts = source.raw, source.starts[windows.owner]
        self._at = self._starts + windows.origin
        seen = ~np.isnan(raw)
        steps = np.arange(len(raw))
        self._last = np.maximum.accumulate(np.where(seen, steps, -1))
        self._sums = np.concatenate([[0.0], np.cumsum(np.where(seen, raw, 0.0))])
        self._counts = np.concatenate([[0], np.cumsum(seen)])
        self._seasonal = self._by_season()
        first = np.array([begin + int(seen[begin : begin + size].argmax()) for begin, size in self._blocks()])
        self._first = first[windows.owner]

    def __call__(self, name: str, rows: Any = slice(None)) -> Array:
        """Return the forecasts of windows, [B, H].

        Args:
            name: one of `names`.
            rows: as in `windows[rows]`; all by default.

        Raises:
            ConfigError: there is no such forecast.
        """
        check_choice(name, "name", self.names)
        at, ahead = np.atleast_1d(self._at[rows]), np.arange(1, self.windows.layout.horizon + 1)
        last, known = self._before(at, np.atleast_1d(self._starts[rows]), rows)
        if name == "persistence":
            return np.repeat(last[:, None], len(ahead), 1)
        if name == "mean":
            begin = np.maximum(at - self.windows.layout.lookback, self._starts[rows])
            count = self._counts[at] - self._counts[begin]
            mean = (self._sums[at] - self._sums[begin]) / np.maximum(count, 1)
            return np.repeat(np.where(count > 0, mean, last)[:, None], len(ahead), 1)
        if name == "drift":
            raw, first = self.windows.source.raw, np.atleast_1d(self._first[rows])
            slope = np.where(known > first, (last - raw[first]) / np.maximum(known - first, 1), 0.0)
            # The last value may be some steps old.
            return np.asarray(last[:, None] + slope[:, None] * (ahead + (at - 1 - known)[:, None]))
        back = at[:, None] + ahead - 1 - self.period * -(-ahead // self.period)
        inside = back >= np.atleast_1d(self._starts[rows])[:, None]
        found = self._seasonal[np.maximum(back, 0)]
        return np.where(inside & ~np.isnan(found), found, last[:, None])

    def _before(self, at: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], rows: Any) -> tuple[Array, Any]:
        """The last observed value before each horizon, and its row; the series' center where there is none."""
        known = self._last[np.maximum(at - 1, 0)]
        has = (known >= starts) & (at > starts)
        center = self.windows.source.center[np.atleast_1d(self.windows.owner[rows])]
        return np.where(has, self.windows.source.raw[np.maximum(known, 0)], center), np.where(has, known, at - 1)

    def _blocks(self) -> list[tuple[int, int]]:
        source = self.windows.source
        return list(zip(source.starts.tolist(), source.series.lengths.tolist(), strict=True))

    def _by_season(self) -> Array:
        """The targets, where one is missing that of the season before."""
        source, size = self.windows.source, self.period
        filled: Array = source.raw.copy()
        for begin, length in self._blocks():
            block = source.raw[begin : begin + length]
            if not np.isnan(block).any():
                continue
            rows = -(-length // size)
            flat = np.full(rows * size, np.nan)
            flat[:length] = block
            table = flat.reshape(rows, size)
            last = np.maximum.accumulate(np.where(np.isnan(table), -1, np.arange(rows)[:, None]), axis=0)
            table = np.take_along_axis(table, np.maximum(last, 0), 0)
            filled[begin : begin + length] = table.ravel()[:length]
        return filled


def score_windows(
    windows: ForecastWindows,
    forecast: Forecast,
    *,
    seasonal_errors: Array | None = None,
    levels: Sequence[float] = (),
    intervals: Callable[[Array, Any], Mapping[str, tuple[Array, Array]]] | None = None,
    batch_size: int = _BATCH,
) -> ForecastScores:
    """Return the scores of forecasts, batch by batch.

    Args:
        windows: what is forecast.
        forecast: rows [B] → [B, H] in the user's units; with `levels` the quantiles [B, H, Q], of which the middle one
            is the point forecast.
        seasonal_errors: [S], see `ScoreSums`.
        levels: the quantiles.
        intervals: point forecasts [B, H] and rows [B] → name → lower and upper bounds, see `ScoreSums.add`.
        batch_size: B.

    Raises:
        ConfigError: an even number of levels, of which none is in the middle.
        DataError: forecasts of another shape.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([[1.0, 5, 2, 6, 3, 7, 4, 8]]), (6, 2))
        >>> _, test = ForecastPreprocessing.fit(parts, lookback=4, horizon=2).divide(parts)
        >>> naive = NaiveForecasts(test, period=2)
        >>> score_windows(test, lambda rows: naive("seasonal", rows)).figures["mae"]
        1.0
    """
    if levels and not len(levels) % 2:
        raise ConfigError.of("levels", tuple(levels), "expected an odd number of levels, with 0.5 in the middle")
    sums = ScoreSums(windows.layout.horizon, windows.series.ids, seasonal_errors, levels)
    for begin in range(0, len(windows), batch_size):
        rows = np.arange(begin, min(begin + batch_size, len(windows)))
        found = np.asarray(forecast(rows), np.float64)
        owner, truth = windows.owner[rows], windows.truth(rows)
        if levels and found.ndim != 3:
            raise DataError(f"forecasts {found.shape} arrived; expected quantiles {(*truth.shape, len(levels))}")
        middle = found[..., len(levels) // 2] if levels else found
        bounds = None if intervals is None else intervals(middle, rows)
        sums.add(truth, middle, owner, quantiles=found if levels else None, intervals=bounds)
    return sums.result()


def score_naive(
    windows: ForecastWindows, *, periods: Sequence[int] | None = None, seasonal_errors: Array | None = None
) -> dict[str, ForecastScores]:
    """Return the scores of `NaiveForecasts` by their names, the seasonal ones as in "seasonal_24".

    Args:
        windows: what is forecast.
        periods: the seasons in steps; None: those of the frequency.
        seasonal_errors: [S], see `ScoreSums`.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> parts = divide_time(TimeSeries.from_arrays([[1.0, 5, 2, 6, 3, 7, 4, 8]]), (6, 2))
        >>> _, test = ForecastPreprocessing.fit(parts, lookback=4, horizon=2).divide(parts)
        >>> {name: round(scores.figures["mae"], 2) for name, scores in score_naive(test).items()}
        {'persistence': 2.0, 'drift': 2.8, 'mean': 2.0}
    """
    naive = NaiveForecasts(windows)
    found = {
        name: score_windows(windows, lambda rows, name=name: naive(name, rows), seasonal_errors=seasonal_errors)  # type: ignore[misc]
        for name in naive.names
        if name != "seasonal"
    }
    for period in windows.series.frequency.seasons if periods is None else periods:
        seasonal = NaiveForecasts(windows, period)
        found[f"seasonal_{period}"] = score_windows(
            windows,
            lambda rows, seasonal=seasonal: seasonal("seasonal", rows),  # type: ignore[misc]
            seasonal_errors=seasonal_errors,
        )
    return found


def verdict(network: float, baselines: Mapping[str, float], *, metric: str = "MAE", unit: str = "") -> str:
    """Say in a sentence or two whether a network is worth it.

    A difference below 2% counts as none: it is within what another seed changes.

    Args:
        network: its error on the test part.
        baselines: name → error, on the same windows.
        metric: what the sentence calls the error; it is the better the lower.
        unit: of the error.

    Raises:
        ConfigError: no baseline.

    Example:
        >>> verdict(612.3, {"persistence": 1500.0, "seasonal_24": 920.1, "ridge": 650.2}, unit="MW")
        'The network is worth it: its MAE of 612.3 MW is 5.8% below that of the best baseline, ridge regression on the \
same inputs (650.2 MW), and 33.5% below that of the seasonal naive forecast, 24 steps back (920.1 MW).'
        >>> verdict(2.02, {"persistence": 2.0, "drift": 2.1})
        'The network is no better than persistence (the last value): MAE 2.02 against 2. The simpler forecast is \
enough. The last value is hard to beat where the changes of a series are random, as with prices.'
    """
    named = {name: value for name, value in baselines.items() if np.isfinite(value)}
    if not named:
        raise ConfigError("no baseline arrived; expected at least one error to compare with")
    best = min(named, key=lambda name: named[name])
    gain = 1 - network / named[best] if named[best] > 0 else -0.999
    unit = f" {unit}" if unit else ""

    def shown(value: float) -> str:
        return f"{figure_text(value)}{unit}"

    naive = {
        name: value for name, value in named.items() if name.partition("_")[0] in (*NaiveForecasts.names, "climatology")
    }
    if gain >= _WORTH:
        text = (
            f"The network is worth it: its {metric} of {shown(network)} is {gain:.1%} below that of the best baseline, "
            f"{_called(best)} ({shown(named[best])})"
        )
        if naive and best not in naive:
            simple = min(naive, key=lambda name: naive[name])
            less = 1 - network / naive[simple]
            how = f"{abs(less):.1%} {'below' if less > 0 else 'above'}"
            text += f", and {how} that of {_called(simple)} ({shown(naive[simple])})"
        return f"{text}."
    if gain > -_WORTH:
        text = (
            f"The network is no better than {_called(best)}: {metric} {shown(network)} against {shown(named[best])}. "
            "The simpler forecast is enough."
        )
    else:
        more = f"{-gain:.1%} above" if gain > -1 else f"{1 - gain:.1f} times"
        text = (
            f"The network is not worth it: its {metric} of {shown(network)} is {more} that of {_called(best)} "
            f"({shown(named[best])}). Use the simpler forecast."
        )
    if named.get("persistence", np.inf) <= named[best] * (1 + _WORTH):
        text += " The last value is hard to beat where the changes of a series are random, as with prices."
    return text


def _called(name: str) -> str:
    if name.startswith("seasonal_"):
        return f"the seasonal naive forecast, {name.removeprefix('seasonal_')} steps back"
    return _WORDS.get(name, name)
