"""What a row says that arrives at a stream of a series: its time, its target and its covariates, by their names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.forecasting.number_dates import NumberDates
from ..data.forecasting.preparation import ForecastPreprocessing
from ..data.forecasting.stamps import local_times, shown, to_utc
from ..errors import DataError, suggest

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_CLOSE = 1e-6  # of a step


class RowReader:
    """Reads rows of the series that a preprocessing was made of.

    Args:
        preprocessing: its `read_options` name the columns; "ds" and "y" always serve.

    Attributes:
        known: the known covariates without the calendar.
    """

    def __init__(self, preprocessing: ForecastPreprocessing) -> None:
        self._preprocessing = preprocessing
        layout, options = preprocessing.layout, preprocessing.read_options
        self.known = layout.known[: len(layout.known) - 2 * len(preprocessing.calendar)]
        self._id, self._time, self._targets = (
            options.get("id_column"),
            options.get("time_column"),
            options.get("target"),
        )

    def read(self, row: Any, id: str, *, known: bool) -> tuple[Any, float, Array, Array]:
        """Return the time (None: not given), the target, and the past-only and the known covariates of a row.

        Args:
            row: a number or a mapping; see `SeriesStream.update`.
            id: the series that it should be of.
            known: whether the known covariates of the step were given before.

        Raises:
            DataError: a row of another series, a name that is missing, or a value that is no number.
        """
        plain = _is_number(row)
        named = {} if plain else _as_mapping(row)
        value = _number("the target", row if plain else self._target(named, id))
        past, coming = self._preprocessing.layout.past, self.known
        found = {name: self._covariate(named, name, free=known and name in coming) for name in (*past, *coming)}
        given = next((named[name] for name in (self._time, "ds") if name is not None and name in named), None)
        return given, value, np.array([found[name] for name in past]), np.array([found[name] for name in coming])

    def steps(self, given: Any, last: Any) -> list[Any]:
        """Return the stamps of all steps after the last one, up to a time.

        Args:
            given: the time of a row; None: it is of the next step.
            last: the stamp of the last step; None: there was none.

        Raises:
            DataError: the time is not after the last one, lies between two steps or far ahead, or is missing.
        """
        frequency = self._preprocessing.frequency
        if given is None:
            if last is not None:
                return list(frequency.after(last, 1))
            if frequency.is_date:
                raise DataError('the first row of a stream has no time; expected {"ds": "2024-01-31 12:00", "y": 1.0}')
            return [0]
        stamp = self._stamp(given)
        if last is None:
            return [stamp]
        position = float(frequency.positions(np.array([stamp]), last)[0])
        if abs(position - round(position)) > _CLOSE:
            raise DataError(f"{self.shown(stamp)} is between two steps, which are {frequency.words}")
        if position < 0.5:
            raise DataError(f"{self.shown(stamp)} is not behind the last step of the stream, {self.shown(last)}")
        lookback = self._preprocessing.layout.lookback
        if position > lookback:
            raise DataError(
                f"{self.shown(stamp)} is {round(position):,} steps behind the last one, {self.shown(last)}; at most "
                f"the lookback of {lookback:,} may be missing: begin a new stream"
            )
        return list(frequency.after(last, round(position)))

    def shown(self, stamp: Any) -> str:
        """Return a stamp as a table has it, by the clock of the series."""
        return shown(stamp, self._preprocessing.time_zone)

    def _target(self, row: Mapping[str, Any], id: str) -> Any:
        targets = self._targets or ()
        if self._id is not None and self._id in row:
            found = str(row[self._id])
            if found != id and not (len(targets) > 1 and id.startswith(f"{found} ")):
                raise DataError(f"a row of the series {found!r} arrived; this is the stream of {id!r}")
        own = [name for name in targets if len(targets) == 1 or id == name or id.endswith(f" {name}")]
        for name in (*own, "y"):
            if name in row:
                return row[name]
        wanted = own[0] if own else "y"
        raise DataError(f"the row has no target {wanted!r}{suggest(wanted, list(map(str, row)))}")

    def _covariate(self, row: Mapping[str, Any], name: str, *, free: bool) -> float:
        if name not in row and not free:
            near = suggest(name, list(map(str, row)))
            raise DataError(f"the row has no covariate {name!r}{near}; NaN says that it is missing")
        return _number(f"the covariate {name!r}", row.get(name, math.nan))

    def _stamp(self, given: Any) -> Any:
        """A stamp as the series has it: datetime64 (UTC where the training's stamps named a zone), or an int."""
        zone = self._preprocessing.time_zone
        try:
            if not self._preprocessing.frequency.is_date:
                return int(given)
            if isinstance(given, int | float | np.number):
                return self._counted(given)
            moment = datetime.fromisoformat(given) if isinstance(given, str) else given
            if isinstance(moment, datetime) and moment.tzinfo is not None:
                if self._preprocessing.frequency.whole_days:  # those of the clock that the stamp shows
                    return np.datetime64(moment.replace(tzinfo=None), "us")
                return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
            stamp = np.datetime64(moment, "us")
        except (TypeError, ValueError):
            expected = 'one such as "2024-01-31 12:00"' if self._preprocessing.frequency.is_date else "a whole number"
            raise DataError(f"the time {given!r} cannot be read; expected {expected}") from None
        return stamp if zone is None else to_utc(np.zeros(1, np.int64), np.array([stamp]), zone)[0][0]

    def _counted(self, given: Any) -> Any:
        """The date that a number means, such as seconds since 1970, as the series has it."""
        dates = NumberDates.recognise(np.array([given], np.float64))
        if dates is None:
            raise ValueError(given)
        stamps, zone = dates.stamps(np.array([given])), self._preprocessing.read_options.get("time_zone")
        if dates.utc and zone is not None and self._preprocessing.frequency.whole_days:
            stamps = local_times(stamps, zone)
        elif not dates.utc and self._preprocessing.time_zone is not None:
            stamps = to_utc(np.zeros(1, np.int64), stamps, self._preprocessing.time_zone)[0]
        return stamps[0]


def _is_number(row: Any) -> bool:
    return row is None or (np.ndim(row) == 0 and not isinstance(row, Mapping | str))


def _as_mapping(row: Any) -> Mapping[str, Any]:
    """A row as a mapping; the name of a row of a DataFrame may be its time."""
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "columns") and len(row) == 1:
        row = row.iloc[0]
    if hasattr(row, "to_dict") and getattr(row, "ndim", 0) == 1:
        named = {str(name): value for name, value in row.to_dict().items()}
        return {"ds": row.name, **named} if isinstance(row.name, datetime) else named
    raise DataError(f'a {type(row).__name__} arrived; expected a number or one row, such as {{"ds": ..., "y": ...}}')


def _number(name: str, value: Any) -> float:
    """A finite number or NaN.

    Raises:
        DataError: anything else.
    """
    if value is None:
        return math.nan
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.inf
    if math.isinf(found) or isinstance(value, str | bool):
        raise DataError(f"{name} is {value!r}; expected a number, or NaN where it is missing")
    return found
