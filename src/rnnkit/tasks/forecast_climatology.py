"""Climatology: what is usual at a day of the year, learned from the training part alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.forecasting.windows import ForecastWindows

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_WAVES = 2  # of a year and of half a year; three years of days do not bear more
_YEAR = 365.2425


class Climatology:
    """z(d) = a_0 + Σ_k a_k cos 2πk d + b_k sin 2πk d, k = 1, 2, by least squares on the training steps of each series.

    d is the share of the year that is over. A mean of each single day would follow the weather of few years; two waves
    are what meteorology calls the annual cycle. A series with less than a year of training steps is forecast by their
    mean. One that had none, or was not there, is forecast by the center of its scale.

    Attributes:
        coefficients: [S, 5], of the constant and of the waves, on the scale of the model: ŷ = center + scale · z.
        ids: [S], of the series that it was fitted to.

    Example:
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> days = 10 + 5 * np.cos(2 * np.pi * np.arange(1461) / 365.25)
        >>> parts = divide_time(TimeSeries.from_arrays([days], start="2020-01-01", frequency="day"), (1100, 361))
        >>> train, test = ForecastPreprocessing.fit(parts, lookback=7, horizon=3).divide(parts)
        >>> bool(np.abs(Climatology.fit(train).forecast(test) - test.truth()).max() < 0.1)
        True
    """

    def __init__(self, coefficients: Array, ids: Sequence[str]) -> None:
        self.coefficients, self.ids = coefficients, tuple(ids)

    @staticmethod
    def serves(train: ForecastWindows) -> bool:
        """Return whether steps are days, and training windows cover a year of some series.

        Args:
            train: the training windows.

        Example:
            >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
            >>> for steps in (100, 500):
            ...     series = TimeSeries.from_arrays([np.arange(steps)], start="2020-01-01", frequency="day")
            ...     parts = divide_time(series, (0.8, 0.2))
            ...     train, _ = ForecastPreprocessing.fit(parts, lookback=7, horizon=3).divide(parts)
            ...     print(Climatology.serves(train))
            False
            True
        """
        frequency = train.series.frequency
        daily = frequency.unit in ("day", "business day") and frequency.count == 1
        return daily and any(_has_year(times[steps]) for _, times, steps in _covered(train))

    @staticmethod
    def fit(train: ForecastWindows) -> Climatology:
        """Learn from the steps of training windows, lookback and horizon.

        Args:
            train: windows of series whose steps are dates.
        """
        source = train.source
        found = np.zeros((len(train.series), 1 + 2 * _WAVES))
        for row, times, steps in _covered(train):
            begin = source.starts[row]
            values = (source.raw[begin + steps.start : begin + steps.stop] - source.center[row]) / source.scale[row]
            seen = ~np.isnan(values)
            if _has_year(times[steps]):
                found[row] = np.linalg.lstsq(_waves(times[steps][seen]), values[seen], rcond=None)[0]
            else:
                found[row, 0] = values[seen].mean()
        return Climatology(found, train.series.ids)

    def knows(self, windows: ForecastWindows) -> bool:
        """Return whether it was fitted to any of the series that windows are of."""
        return any(windows.series.ids[row] in self.ids for row in np.unique(windows.owner).tolist())

    def forecast(self, windows: ForecastWindows, rows: Any = slice(None)) -> Array:
        """Return the forecasts of windows in their units, [B, H].

        Args:
            windows: of any series; those that it was fitted to are found by their ids.
            rows: as in `windows[rows]`; all by default.
        """
        places = {name: row for row, name in enumerate(self.ids)}
        own = np.zeros((len(windows.series), self.coefficients.shape[1]))
        for row, name in enumerate(windows.series.ids):
            if name in places:
                own[row] = self.coefficients[places[name]]
        stamps, owner = windows.stamps(rows), np.atleast_1d(windows.owner[rows])
        waves = _waves(stamps.ravel()).reshape(*stamps.shape, -1)
        return windows.unscale(np.einsum("bhk,bk->bh", waves, own[owner]), rows)

    __call__ = forecast


def _covered(windows: ForecastWindows) -> Iterator[tuple[int, npt.NDArray[Any], slice]]:
    """The number of each series that has windows, its stamps, and the steps that the windows cover."""
    for row, times in enumerate(windows.series.times):
        origins = windows.origin[windows.owner == row]
        if len(origins):
            begin = max(0, int(origins.min()) - windows.layout.lookback)
            yield row, times, slice(begin, int(origins.max()) + windows.layout.horizon)


def _has_year(stamps: npt.NDArray[Any]) -> bool:
    return bool(stamps[-1] - stamps[0] >= np.timedelta64(int(_YEAR), "D"))


def _waves(stamps: npt.NDArray[Any]) -> Array:
    """[T, 5]: 1, and cosine and sine of each wave."""
    times = stamps.astype("datetime64[us]")
    new_year = times.astype("datetime64[Y]").astype("datetime64[us]")
    share = (times - new_year) / np.timedelta64(1, "D") / _YEAR
    angles = 2 * np.pi * np.arange(1, _WAVES + 1) * share[:, None]
    return np.concatenate([np.ones((len(times), 1)), np.cos(angles), np.sin(angles)], 1)
