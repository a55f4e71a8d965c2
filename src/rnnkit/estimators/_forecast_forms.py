"""The forms of the series that a forecaster takes, and forecasts in the same form.

Legend: S series, T steps of a series, H horizon steps, K columns.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Literal

import numpy as np

from ..data.forecasting.number_dates import NumberDates
from ..data.forecasting.reading import read_time_series
from ..data.forecasting.series import TimeSeries
from ..data.forecasting.stamps import local_times, to_utc
from ..data.frames import is_frame
from ..errors import DataError, Remedy

Array = np.ndarray
Kind = Literal["long", "wide", "series", "array"]
_FEW = 4  # steps; an array of more series than that has its axes in another order
_EXPECTED = "a DataFrame, a Series with dates, a path, an array [T] or [S, T], a list of arrays, or TimeSeries"


@dataclass(frozen=True)
class Form:
    """How series arrived, so that forecasts go back in the same form.

    Attributes:
        kind: "long" (a row for each series and step), "wide" (a column a series), a pandas "series", or an "array".
        ids: of the series, as they were written, for each row of `TimeSeries`; for several targets those of a target.
        id_column: None: there is no such column.
        time_column: the column of the stamps.
        targets: the columns to forecast; of a series its name.
        index: the names of the columns that were the index.
        time_name: what the index with the times was called, if it was one.
        zone: of the stamps, where they named one.
        local: the zone whose clock the stamps showed without naming it.
        period: pandas' name of the frequency, where the stamps were periods.
        utc: whether the series keep stamps with a zone in UTC; else by the clock of the zone, as steps of days.
        dates: what the stamps meant, where they were numbers and dates, such as seconds since 1970.
        single: whether one array [T] arrived, and no axis of series.
    """

    kind: Kind
    ids: tuple[Any, ...] = ()
    id_column: str | None = None
    time_column: str = "ds"
    targets: tuple[Any, ...] = ("y",)
    index: tuple[str, ...] = ()
    time_name: Any = None
    zone: Any = None
    local: str | None = None
    period: str | None = None
    utc: bool = True
    dates: NumberDates | None = None
    single: bool = field(default=False)

    def table(self, stamps: Array, columns: Mapping[str, Array], rows: Sequence[int] | None = None) -> Any:
        """Return forecasts in this form.

        Args:
            stamps: [S, H].
            columns: name → [S, H]; "" is the forecast itself, others are what follows its name: "-lo-80".
            rows: the numbers of the series; None: all.

        Returns:
            A DataFrame; of a "series" with the forecast alone a Series; of an "array" [S, H], [S, H, K] of several
            columns, without the axis of series where none arrived.
        """
        if self.kind == "array":
            found = np.stack(list(columns.values()), -1) if len(columns) > 1 else next(iter(columns.values()))
            return found[0] if self.single else found
        import pandas as pd

        times = [self._times(one) for one in stamps]
        picked = list(range(len(stamps)) if rows is None else rows)
        if self.kind == "series":
            named = {f"forecast{name}": values[0] for name, values in columns.items()}
            index = pd.Index(times[0], name=self.time_name)
            if len(columns) == 1:
                return pd.Series(columns[""][0], index=index, name=self.targets[0])
            return pd.DataFrame(named, index=index)
        count = len(self.targets) if self.kind == "wide" else 1
        blocks = []
        for begin in range(0, len(picked), count):
            block: dict[str, Any] = {}
            if self.id_column is not None:
                block[self.id_column] = [self.ids[picked[begin] // max(1, count)]] * stamps.shape[1]
            block[self.time_column] = times[begin]
            for at in range(begin, min(begin + count, len(picked))):
                target = str(self.targets[picked[at] % count]) if self.kind == "wide" else "forecast"
                block |= {f"{target}{name}": values[at] for name, values in columns.items()}
            blocks.append(pd.DataFrame(block))
        whole = pd.concat(blocks, ignore_index=True)
        if self.id_column is not None:
            whole[self.id_column] = pd.Series(whole[self.id_column].tolist(), dtype=self._id_type())
        if self.index:
            whole = whole.set_index(list(self.index))
            if self.index == (self.time_column,):
                whole.index.name = self.time_name
        return whole

    def columns_of_one(self, columns: Mapping[str, Any], rows: Sequence[int]) -> Any:
        """Return the columns of a stream in this form.

        Args:
            columns: "ds", "forecast", and "low_80" and "high_80" where intervals were calibrated.
            rows: the number of the series.
        """
        names = {"forecast": "", "low": "-lo-", "high": "-hi-"}
        found = {}
        for name, values in columns.items():
            kind, _, share = name.partition("_")
            if kind in names:
                found[f"{names[kind]}{share}"] = values[None]
        if self.kind == "array":
            one = replace(self, single=True)
            return one.table(columns["ds"][None], {"": found[""]})
        return self.table(columns["ds"][None], found, rows)

    def _id_type(self) -> Any:
        return object if any(isinstance(one, str) for one in self.ids) else None

    def _times(self, stamps: Array) -> Any:
        """Stamps of a series as they arrived: with their zone, on the clock of the zone, as periods, as numbers."""
        if stamps.dtype.kind != "M":
            return stamps
        if self.dates is not None:
            return self._numbers(stamps, self.dates)
        import pandas as pd

        shown = pd.DatetimeIndex(stamps if self.local is None else local_times(stamps, self.local))
        if self.zone is not None:
            if self.utc:
                shown = shown.tz_localize("UTC").tz_convert(self.zone)
            else:
                summer = np.ones(len(shown), bool)  # of an hour that a clock shows twice the first
                shown = shown.tz_localize(self.zone, ambiguous=summer, nonexistent="shift_forward")
        return shown if self.period is None else shown.to_period(self.period)

    def _numbers(self, stamps: Array, dates: NumberDates) -> Array:
        if dates.utc and not self.utc and self.local is not None:  # steps of days, by the clock of the zone
            stamps, _ = to_utc(np.zeros(len(stamps), np.int64), stamps, self.local)
        elif not dates.utc and self.utc and self.local is not None:
            stamps = local_times(stamps, self.local)
        return dates.numbers(stamps)


def read_form(data: Any, options: Mapping[str, Any], *, arrays: int | None = None) -> tuple[TimeSeries, Form]:
    """Return series of any form, and the form.

    Args:
        data: a DataFrame, a Series, a path, an array [T] or [S, T], a list of arrays [T_i], or `TimeSeries`.
        options: of `read_time_series`.
        arrays: how many series the arrays of `fit` were; None: this is `fit`. As many are taken for the same series,
            others for new ones.

    Raises:
        DataError: it is none of these, or cannot be read as series.
    """
    if isinstance(data, TimeSeries):
        return data, Form("long", data.ids, "unique_id", zone=None, local=data.time_zone)
    if isinstance(data, str | os.PathLike):
        return _read_frame(data, data, options)
    if is_frame(data):
        return _read_frame(data, data, options)
    if hasattr(data, "index") and hasattr(data, "to_frame"):
        return _read_pandas_series(data, options)
    return _read_arrays(data, options, arrays)


def _read_frame(data: Any, frame: Any, options: Mapping[str, Any]) -> tuple[TimeSeries, Form]:
    data, period = _without_periods(data)
    series = read_time_series(data, **options)
    found = series.read_options
    id_column, time_column, targets = found["id_column"], found["time_column"], tuple(found["target"])
    wide = len(targets) > 1
    ids: tuple[Any, ...] = series.ids
    index: tuple[str, ...] = ()
    time_name, zone, dates = time_column, None, None
    if is_frame(frame):
        levels = ["time" if name is None else str(name) for name in frame.index.names]
        index = tuple(levels) if set(levels) <= {id_column, time_column} - set(map(str, frame.columns)) else ()
        time_name = frame.index.name
        if id_column is not None:
            written = _column(frame, id_column).unique().tolist()
            ids = tuple(written) if len(written) * len(targets) == len(series) else series.ids[:: len(targets)]
        column = _column(frame, time_column)
        zone = getattr(getattr(column, "dt", None), "tz", None)
        dates = _number_dates(column) if series.frequency.is_date else None
    local = series.time_zone if zone is None else None
    if dates is not None:
        local = local or found["time_zone"]
    kind: Kind = "wide" if wide else "long"
    utc = series.time_zone is not None
    return series, Form(kind, ids, id_column, time_column, targets, index, time_name, zone, local, period, utc, dates)


def _column(frame: Any, name: str) -> Any:
    """A column by its name as text, or a level of the index."""
    for column in frame.columns:
        if str(column) == name:
            return frame[column]
    levels = ["time" if level is None else str(level) for level in frame.index.names]
    return frame.index.get_level_values(levels.index(name)).to_series(index=range(len(frame)))


def _number_dates(column: Any) -> NumberDates | None:
    return NumberDates.recognise(column.to_numpy()) if column.dtype.kind in "iuf" else None


def _read_pandas_series(data: Any, options: Mapping[str, Any]) -> tuple[TimeSeries, Form]:
    """A pandas Series whose index has the times; of several levels a long table."""
    import pandas as pd

    name = "y" if data.name is None else str(data.name)
    if data.index.nlevels > 1:
        target = _named(options, "target", name)
        return _read_frame(frame := data.to_frame(target), frame, dict(options) | {"target": target})
    time = options.get("time_column") or "ds"
    target = _named(options, "target", name)
    frame = pd.DataFrame({time: data.index, target: data.to_numpy()})
    own = {"id_column": None, "time_column": time, "target": target, "past": (), "static": ()}
    series, form = _read_frame(frame, frame, dict(options) | own)
    return series, Form(
        "series", form.ids, None, time, (data.name,), (), data.index.name, form.zone, form.local, form.period, form.utc,
        form.dates,
    )  # fmt: skip


def _named(options: Mapping[str, Any], name: str, otherwise: str) -> str:
    """The one column that an option names."""
    given = options.get(name)
    if given is None:
        return otherwise
    return given if isinstance(given, str) else str(next(iter(given)))


def _without_periods(data: Any) -> tuple[Any, str | None]:
    """A DataFrame with stamps where it had pandas' periods, and the name of their frequency."""
    if not is_frame(data):
        return data, None
    import pandas as pd

    if isinstance(data.index, pd.PeriodIndex):
        return data.set_axis(data.index.to_timestamp(), axis=0), _period_name(data.index.dtype)
    periods = [name for name, dtype in data.dtypes.items() if isinstance(dtype, pd.PeriodDtype)]
    if not periods:
        return data, None
    name = _period_name(data[periods[0]].dtype)
    return data.assign(**{str(one): data[one].dt.to_timestamp() for one in periods}), name


def _period_name(dtype: Any) -> str:
    """The name of the frequency of periods: of "period[M]" M."""
    return str(dtype).removeprefix("period[").removesuffix("]")


def _read_arrays(data: Any, options: Mapping[str, Any], arrays: int | None) -> tuple[TimeSeries, Form]:
    if isinstance(data, Real):
        raise DataError(
            f"the number {data!r} arrived; expected {_EXPECTED}", remedy=("write horizon=24", "write coverage=0.8")
        )
    if data is None:
        raise DataError(f"None arrived; expected {_EXPECTED}")
    rows = data
    if hasattr(data, "detach"):
        rows = data.detach().cpu().numpy()
    ragged = isinstance(rows, list | tuple) and len(rows) > 0 and all(np.ndim(one) == 1 for one in rows)
    try:
        targets = [np.asarray(one, np.float64) for one in (rows if ragged else [rows])]
    except (TypeError, ValueError):
        raise DataError(f"a {type(data).__name__} arrived; expected {_EXPECTED}, of numbers") from None
    single = not ragged and targets[0].ndim == 1 and len(targets[0]) > 0
    if not ragged and not single:
        targets = _series_of(targets[0])
    given = [name for name in ("target", "id_column", "time_column", "frequency", "time_zone") if options.get(name)]
    if given and arrays is None:
        raise DataError(
            f"{given[0]}={options[given[0]]!r} arrived for arrays, which have no columns and no time stamps",
            remedy=Remedy(given[0], None),
        )
    names = [f"{row}" for row in range(len(targets))]
    if arrays is not None and arrays != len(targets):
        names = [f"new {row}" for row in names]
    begins = [_first_seen(one, name) for one, name in zip(targets, names, strict=True)]
    series = TimeSeries.from_arrays(
        [one[begin:] for one, begin in zip(targets, begins, strict=True)], start=begins, ids=names
    )
    return series, Form("array", tuple(names), single=single)


def _series_of(found: Array) -> list[Array]:
    """The series of an array [S, T]."""
    shape = found.shape
    if len(shape) != 2 or 0 in shape:
        raise DataError(
            f"an array of shape {shape} arrived; expected [T] or [S, T]", remedy="for covariates pass a DataFrame"
        )
    if shape[1] < min(_FEW, shape[0]):
        raise DataError(
            f"an array of shape {shape} arrived: {shape[0]:,} series of {shape[1]} steps; expected [S, T]",
            remedy="pass array.T if each column is a series",
        )
    return list(found)


def _first_seen(values: Array, name: str) -> int:
    if np.isinf(values).any():
        raise DataError(f"the series {name} holds {int(np.isinf(values).sum()):,} infinite numbers; expected NaN there")
    seen = ~np.isnan(values)
    if not seen.any():
        raise DataError(f"the series {name} has no target in {len(values):,} steps; expected at least one")
    return int(seen.argmax())
