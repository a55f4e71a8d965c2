"""Backtests: forecasts from one origin after the other through series, scored together with simple forecasts.

Legend: W windows, H horizon steps, S series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..data.forecasting.series import TimeSeries
from ..data.forecasting.stamps import shown, to_utc, written_stamps
from ..data.forecasting.windows import ForecastWindows
from ..errors import ConfigError, DataError, Place, Remedy, check_choice, check_whole
from .forecast_baselines import score_naive, score_windows
from .forecast_climatology import Climatology
from .forecast_linear_files import WindowForecast
from .forecast_report import NETWORK, compared_metric, tell_worth
from .forecast_scores import ForecastScores, seasonal_errors
from .forecasting import Array, ForecastPredictor

Units = Literal["own", "standard"]
_MOST = 10_000  # windows, unless the user says how many


@dataclass(frozen=True)
class Backtest:
    """What a backtest found.

    Attributes:
        windows: what was forecast, a window an origin.
        forecast: in the user's units, [W, H].
        bounds: of the calibrated intervals, [W, H] each, by the coverage in percent, as in "80".
        scores: name → scores: "network" first, then the simple forecasts on the same windows.
        findings: which windows were taken, and what the model has seen of them, a sentence each.
        verdict: whether the network is worth it.
        units: of the scores: "own" are those of the table, "standard" counts the scales of the series.
    """

    windows: ForecastWindows
    forecast: Array
    bounds: Mapping[str, tuple[Array, Array]]
    scores: Mapping[str, ForecastScores]
    findings: tuple[str, ...]
    verdict: str
    units: Units = "own"

    @property
    def error(self) -> Literal["mae", "mse"]:
        """The error to report: of figures in standard units the squared one, as in the literature."""
        return "mse" if self.units == "standard" else "mae"

    def table(self) -> dict[str, list[Any]]:
        """Return all forecasts, a list a column: unique_id, origin, step, ds, observed, forecast, and the bounds.

        The origin is the time stamp of the last step that the model saw.
        """
        windows, horizon = self.windows, self.windows.layout.horizon
        series = windows.series
        pairs = list(zip(windows.owner.tolist(), windows.origin.tolist(), strict=True))
        origins = np.array([series.times[row][at - 1] for row, at in pairs])
        columns: dict[str, list[Any]] = {
            "unique_id": [name for row, _ in pairs for name in [series.ids[row]] * horizon],
            "origin": [stamp for stamp in written_stamps(origins, series.time_zone) for _ in range(horizon)],
            "step": list(range(1, horizon + 1)) * len(windows),
            "ds": written_stamps(windows.stamps(), series.time_zone),
            "observed": windows.truth().ravel().tolist(),
            "forecast": self.forecast.ravel().tolist(),
        }
        for name, (low, high) in self.bounds.items():
            columns |= {f"low_{name}": low.ravel().tolist(), f"high_{name}": high.ravel().tolist()}
        return columns

    def to_json(self) -> dict[str, Any]:
        """Return scores, findings and the verdict as JSON values."""
        return {
            "windows": len(self.windows),
            "units": self.units,
            "findings": list(self.findings),
            "verdict": self.verdict,
            "scores": {name: one.to_json() for name, one in self.scores.items()},
        }


def backtest(
    predictor: ForecastPredictor,
    series: TimeSeries,
    *,
    origins: int | None = None,
    step: int | None = None,
    start: Any = None,
    linear: Mapping[str, WindowForecast] | None = None,
    units: Units = "own",
) -> Backtest:
    """Forecast from one origin after the other, and score the forecasts beside simple ones.

    The windows begin after what the predictor has seen of a series: the steps that it was trained on, and those that
    chose its epoch and calibrated its intervals. An earlier `start` takes seen steps, too; the findings say how many.
    Each window looks back as far as the model does, also at steps before its origin's part.

    Args:
        predictor: a trained forecaster.
        series: with targets to compare with.
        origins: how many origins of each series, spread evenly over its steps; None: see `step`.
        step: steps from one origin to the next; None: 1, or more where that would be more than 10,000 windows.
        start: the first time stamp to forecast; None: after what the model has seen.
        linear: name → forecasts of fitted baselines, see `load_linear`.
        units: of the scores, see `Backtest`; forecasts are always in those of the table.

    Raises:
        ConfigError: origins and step, a number below 1, a start that is no time stamp, or no such units.
        DataError: no window is left; the message has the numbers.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, divide_time
        >>> series = TimeSeries.from_arrays([np.arange(60.0) % 7], start="2024-01-01", frequency="day", ids=["load"])
        >>> parts = divide_time(series)
        >>> preprocessing = ForecastPreprocessing.fit(parts, lookback=14, horizon=2)
        >>> model = rnnkit.DirectForecaster(preprocessing.layout, hidden_size=4)
        >>> predictor = ForecastPredictor(model, preprocessing, seen={"train": parts.last_stamps("train")})
        >>> found = backtest(predictor, series, step=2)
        >>> len(found.windows), list(found.scores)
        (9, ['network', 'persistence', 'drift', 'mean', 'seasonal_7'])
        >>> found.table()["origin"][0], found.table()["ds"][0]
        ('2024-02-11', '2024-02-12')
    """
    check_whole(origins, "origins", optional=True)
    check_whole(step, "step", optional=True)
    if origins is not None and step is not None:
        raise ConfigError(f"origins={origins} and step={step} arrived; expected one of them")
    check_choice(units, "units", ("own", "standard"))
    begins, told = _begins(predictor, series, start)
    windows, chosen = _windows(predictor, series, begins, origins, step)
    standard = units == "standard"
    judged = windows.standardised() if standard else windows
    errors = errors_before(predictor, judged)
    scores, forecast = predictor.judge(judged, seasonal_errors=errors)
    if standard:
        forecast = windows.unscale(forecast)
        told.append("The scores count the scales of the series; the forecasts are in the units of the table.")
    found = {NETWORK: scores} | score_naive(judged, seasonal_errors=errors)
    for name, function in (linear or {}).items():
        if isinstance(function, Climatology) and not function.knows(judged):
            told.append("Climatology is left out: it was fitted to none of these series.")
            continue
        found[name] = score_windows(judged, lambda rows, one=function: one(judged, rows), seasonal_errors=errors)  # type: ignore[misc]
    findings = (*chosen, *told, *_overlap(predictor, windows), *scores.findings)
    naive = {name: one for name, one in found.items() if name != NETWORK}
    worth = tell_worth(scores, naive, "mse" if standard else compared_metric(scores, len(series)))
    return Backtest(windows, forecast, predictor.bounds(windows, forecast), found, findings, worth, units)


def _begins(predictor: ForecastPredictor, series: TimeSeries, start: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The first step of each series that may be forecast, and sentences that say why."""
    if start is not None:
        stamp = _parsed(start, series)
        return np.array([np.searchsorted(one, stamp, "left") for one in series.times], np.int64), []
    if not predictor.seen:
        return np.zeros(len(series), np.int64), [
            "The model keeps no record of the time that it was trained on, so windows may overlap it; name where to "
            "begin (start)."
        ]
    lasts = [_last_seen(predictor, name, series) for name in series.ids]
    return seen_steps(predictor, series), _told(predictor, series, lasts)


def seen_steps(predictor: ForecastPredictor, series: TimeSeries) -> npt.NDArray[np.int64]:
    """Return [S], how many steps of each series the predictor was made from; 0 of one that it has not seen."""
    lasts = [_last_seen(predictor, name, series) for name in series.ids]
    found = [
        0 if last is None else int(np.searchsorted(times, last, "right"))
        for times, last in zip(series.times, lasts, strict=True)
    ]
    return np.array(found, np.int64)


def _told(predictor: ForecastPredictor, series: TimeSeries, lasts: list[Any]) -> list[str]:
    """Report what is left out because the model has seen it, and series that it has not seen."""
    said = []
    known = [last for last in lasts if last is not None]
    if known:
        words = {"train": "trained", "validation": "chosen and calibrated"}
        ends = []
        for part, stamps in predictor.seen.items():
            if stamps:
                last = max(_stamp(one, series) for one in stamps.values())
                ends.append(f"{words.get(part, part)} on steps up to {_shown(last, series)}")
        inside = sum(last is not None and times[0] <= last for times, last in zip(series.times, lasts, strict=True))
        rule = "the backtest begins behind them" if inside else "the file begins behind them"
        said.append(f"The model was {' and '.join(ends)}; {rule}.")
    new = len(lasts) - len(known)
    if new:
        which = "The series was" if len(lasts) == 1 else f"{new:,} of {len(lasts):,} series were"
        scaling, its = predictor.preprocessing.scaling, "its" if new == 1 else "their"
        measured = scaling.by == "series" and scaling.method != "none"
        scale = f"; {its} scale is measured on the steps before the first origin" if measured else ""
        said.append(f"{which} not in the training, so all steps of {'it' if new == 1 else 'them'} count{scale}.")
    return said


def _windows(
    predictor: ForecastPredictor,
    series: TimeSeries,
    begins: npt.NDArray[np.int64],
    origins: int | None,
    step: int | None,
) -> tuple[ForecastWindows, list[str]]:
    """The windows of the backtest, and a sentence that counts them."""
    preprocessing = predictor.preprocessing
    horizon, shortest = preprocessing.layout.horizon, preprocessing.shortest
    ends = series.ends
    first = np.maximum(begins, shortest)
    counts = np.maximum(ends - horizon + 1 - first, 0)
    if not counts.any():
        row = int((ends - begins).argmax())
        seen = int(begins[row])
        behind = max(int(ends[row]) - seen, 0)
        if int(ends[row]) < shortest + horizon:
            raise DataError(
                f"the longest series has {int(ends.max()):,} steps; a backtest needs at least {shortest + horizon:,}, "
                f"{shortest:,} of lookback and {horizon:,} of horizon",
                Place(series.source),
                "give longer series",
            )
        raise DataError(
            f"{behind:,} steps are behind those that the model has seen or that start leaves out; a backtest needs at "
            f"least {horizon:,}, the horizon",
            Place(series.source),
            (
                "give later rows",
                Remedy("start", _shown(series.times[row][shortest], series), "to take seen steps, too"),
            ),
        )
    whole = windows_behind(predictor, series, first, name="the backtest")
    if origins is None:
        every = step if step is not None else -(-int(counts.sum()) // _MOST)
        rows = (whole.origin - first[whole.owner]) % every == 0
    else:
        rows = np.zeros(len(whole), bool)
        for owner in np.unique(whole.owner).tolist():
            mine = np.flatnonzero(whole.owner == owner)
            rows[mine[np.unique(np.linspace(0, len(mine) - 1, min(origins, len(mine))).round().astype(int))]] = True
    windows = whole.select(rows)
    taken = np.unique(windows.owner)
    stamps = [series.times[row][at - 1] for row, at in zip(windows.owner, windows.origin, strict=True)]
    said = [
        f"{len(windows):,} origins from {_shown(min(stamps), series)} to {_shown(max(stamps), series)}"
        + (f" in {len(taken):,} of {len(series):,} series" if len(series) > 1 else "")
        + (f", every {every:,} steps" if origins is None and every > 1 else "")
        + "."
    ]
    if origins is None and step is None and every > 1:
        said.append(f"All {len(whole):,} origins would be more than {_MOST:,}; step 1 takes them.")
    if len(taken) < len(series):
        without = [series.ids[row] for row in range(len(series)) if row not in set(taken.tolist())]
        said.append(
            f"{len(without):,} series {'has' if len(without) == 1 else 'have'} too few steps for an origin: "
            f"{', '.join(map(repr, without[:5]))}{' …' if len(without) > 5 else ''}."
        )
    return windows, said


def windows_behind(
    predictor: ForecastPredictor, series: TimeSeries, begins: npt.NDArray[np.int64], *, name: str
) -> ForecastWindows:
    """Return all windows whose horizons begin at the steps `begins` [S] or later.

    A series that the training has not measured has a scale of the steps before its first horizon: no target that is to
    be forecast is in it.

    Raises:
        DataError: there is no window.
    """
    preprocessing, ends = predictor.preprocessing, series.ends
    first = np.maximum(begins, preprocessing.shortest)
    before = [target[:at] for target, at in zip(series.targets, first.tolist(), strict=True)]
    preprocessing = replace(preprocessing, scaling=preprocessing.scaling.with_series(series.ids, before))
    return preprocessing.prepare(series).windows(np.stack([first, np.maximum(ends, first)], 1), name=name, stride=1)


def _overlap(predictor: ForecastPredictor, windows: ForecastWindows) -> list[str]:
    """Report how many windows forecast steps that the model was trained on."""
    series = windows.series
    first = np.array(
        [series.times[row][at] for row, at in zip(windows.owner.tolist(), windows.origin.tolist(), strict=True)]
    )
    said = []
    for part, what in (("train", "was trained on"), ("validation", "was chosen and calibrated by")):
        stamps = predictor.seen.get(part, {})
        count = 0
        for row, name in enumerate(series.ids):
            if name in stamps:
                count += int((first[windows.owner == row] <= _stamp(stamps[name], series)).sum())
        if count:
            said.append(
                f"Leakage: {count:,} of {len(windows):,} windows begin at steps up to the last one that the model "
                f"{what}, so their figures are too good."
            )
    return said


def errors_before(predictor: ForecastPredictor, windows: ForecastWindows) -> Array:
    """Return the seasonal errors [S]: of the training, or of the steps before the first origin of a further series."""
    errors, series, units = predictor.errors_of(windows), windows.series, windows.source.units
    for row, name in enumerate(series.ids):
        mine = windows.origin[windows.owner == row]
        if name not in predictor.seasonal_errors and len(mine):
            before = series.targets[row][: int(mine.min())]
            errors[row] = seasonal_errors([before], series.frequency.period)[0] / (1 if units is None else units[row])
    return errors


def _last_seen(predictor: ForecastPredictor, name: str, series: TimeSeries) -> Any:
    """The last stamp of a series that the model was made from; None of a series that it has not seen."""
    found = [_stamp(stamps[name], series) for stamps in predictor.seen.values() if name in stamps]
    return max(found) if found else None


def _stamp(stored: str | int, series: TimeSeries) -> Any:
    return np.datetime64(stored, "us") if series.frequency.is_date else int(stored)


def _parsed(start: Any, series: TimeSeries) -> Any:
    """A time stamp that a user wrote."""
    try:
        if series.frequency.is_date:
            found = re.fullmatch(r"(.+\d:\d\d)([+-])(\d\d):?(\d\d)", str(start).strip())  # as the tables have it
            clock = (found[1] if found else start.strip()).replace(" ", "T") if isinstance(start, str) else start
            stamp = np.datetime64(clock, "us")
            if found:
                minutes = np.timedelta64(60 * int(found[3]) + int(found[4]), "m")
                return stamp - minutes if found[2] == "+" else stamp + minutes
            if series.time_zone is None:
                return stamp
            return to_utc(np.zeros(1, np.int64), np.array([stamp]), series.time_zone)[0][0]
        return int(start)
    except (ValueError, TypeError):
        expected = "a date such as 2024-01-31 or 2024-01-31T06:00" if series.frequency.is_date else "a whole number"
        raise ConfigError.of("start", start, f"expected {expected}") from None


def _shown(stamp: Any, series: TimeSeries) -> str:
    """A stamp as people write it, by the clock of the series."""
    return shown(stamp, series.time_zone)
