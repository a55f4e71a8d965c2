"""Time series in memory: regular steps, targets, covariates, and numbers of each series."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, check_whole
from .frequency import Frequency
from .stamps import shown

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class TimeSeries:
    """One or several series whose steps are regular.

    Legend: S series, T steps of a series, P past-only and K known covariates.

    `read_time_series` makes it of a table, `from_arrays` of arrays. A known covariate may be given for steps to come:
    the targets of these steps are NaN, at the end of the series.

    Attributes:
        ids: [S].
        times: [T] each, datetime64[us], in UTC where `time_zone` is given; whole numbers where steps are no dates.
        targets: [T] each, float64, NaN where missing.
        frequency: of the steps, the same in all series.
        past, known: [T, P] and [T, K] each, float64, NaN where missing.
        past_names, known_names: of the covariates.
        static: name → [S] numbers or texts.
        time_zone: the zone of the calendar; None: the stamps' own clock.
        source: the file, for messages.
        findings: what was found and done while the series were read, a sentence each.
        read_options: what `read_time_series` was called with, and the columns that it found.
        joined: the finding that reports rows of a shorter step, which were joined to steps; "" where there are none.

    Raises:
        DataError: sizes that do not fit.

    Example:
        >>> series = TimeSeries.from_arrays([[1.0, 2.0, 3.0]], start="2024-01-01", frequency="day", ids=["shop"])
        >>> series, series.with_future(2).times[0][-1].astype("datetime64[D]").item().isoformat()
        (TimeSeries(1 series of 3 steps, daily, 2024-01-01 to 2024-01-03), '2024-01-05')
    """

    ids: tuple[str, ...]
    times: tuple[npt.NDArray[Any], ...]
    targets: tuple[npt.NDArray[np.float64], ...]
    frequency: Frequency
    past: tuple[npt.NDArray[np.float64], ...] = ()
    known: tuple[npt.NDArray[np.float64], ...] = ()
    past_names: tuple[str, ...] = ()
    known_names: tuple[str, ...] = ()
    static: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    time_zone: str | None = None
    source: str = ""
    findings: tuple[str, ...] = ()
    read_options: Mapping[str, Any] = field(default_factory=dict)
    joined: str = ""

    def __post_init__(self) -> None:
        count, place = len(self.targets), Place(self.source)
        if not count:
            raise DataError("no series arrived; expected at least one", place)
        for kind in ("past", "known"):
            if not getattr(self, kind):
                object.__setattr__(self, kind, tuple(np.zeros((len(one), 0)) for one in self.targets))
        for name in ("ids", "times", "past", "known", *self.static):
            column = self.static[name] if name in self.static else getattr(self, name)
            if len(column) != count:
                raise DataError(f"{len(column)} {name} arrived for {count} series; expected one each", place)
        for row, target in enumerate(self.targets):
            found = (self.times[row].shape, self.past[row].shape, self.known[row].shape)
            steps = len(target)
            if found != ((steps,), (steps, len(self.past_names)), (steps, len(self.known_names))) or target.ndim != 1:
                raise DataError(
                    f"series {self.ids[row]!r} has {target.shape} targets, {found[0]} times, {found[1]} past-only and "
                    f"{found[2]} known covariates; expected as many steps in each",
                    place,
                )

    @staticmethod
    def from_arrays(
        targets: Sequence[Any],
        *,
        start: Any = 0,
        frequency: str | Frequency = "number",
        ids: Sequence[str] | None = None,
        past: Mapping[str, Sequence[Any]] | None = None,
        known: Mapping[str, Sequence[Any]] | None = None,
        static: Mapping[str, Sequence[Any]] | None = None,
        time_zone: str | None = None,
    ) -> TimeSeries:
        """Return series of arrays in memory.

        Args:
            targets: [T] each, NaN where missing.
            start: the stamp of the first step, one for all series or one each.
            frequency: of the steps, "number" for whole numbers.
            ids: [S], else their numbers.
            past, known: name → [T] for each series.
            static: name → [S] numbers or texts.
            time_zone: see the attributes.

        Raises:
            DataError: sizes that do not fit.
            ConfigError: no such frequency.
        """
        rhythm = frequency if isinstance(frequency, Frequency) else Frequency.parse(frequency)
        values = tuple(np.asarray(row, np.float64) for row in targets)
        starts = [start] * len(values) if np.ndim(start) == 0 else list(start)
        times = tuple(rhythm.stamps(first, np.arange(len(row))) for first, row in zip(starts, values, strict=True))

        def stacked(columns: Mapping[str, Sequence[Any]] | None) -> tuple[npt.NDArray[np.float64], ...]:
            rows = range(len(values)) if columns else ()
            return tuple(
                np.stack([np.asarray(one[row], np.float64) for one in (columns or {}).values()], 1) for row in rows
            )

        return TimeSeries(
            ids=tuple(map(str, range(len(values)) if ids is None else ids)),
            times=times,
            targets=values,
            frequency=rhythm,
            past=stacked(past),
            known=stacked(known),
            past_names=tuple(past or ()),
            known_names=tuple(known or ()),
            static={name: np.asarray(column) for name, column in (static or {}).items()},
            time_zone=time_zone,
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __repr__(self) -> str:
        low, high = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        first, last = min(one[0] for one in self.times), max(one[-1] for one in self.times)
        named = [
            f"{what} {', '.join(names)}"
            for what, names in (("past", self.past_names), ("known", self.known_names), ("static", tuple(self.static)))
            if names
        ]
        first_shown, last_shown = shown(first, self.time_zone), shown(last, self.time_zone)
        span = f"{self.frequency.describe(first)}, {first_shown} to {last_shown}"
        return f"TimeSeries({'; '.join([f'{len(self)} series of {steps} steps, {span}', *named])})"

    def __getitem__(self, rows: Any) -> TimeSeries:
        """Return the series of a slice, a list of numbers, a mask, an id or a list of ids.

        Raises:
            DataError: there is no series by an id, or one number arrived.
        """
        if isinstance(rows, str):
            rows = [rows]
        if isinstance(rows, list | tuple) and rows and all(isinstance(one, str) for one in rows):
            rows = [self.row_of(one) for one in rows]
        picked = np.arange(len(self))[rows]
        if picked.ndim != 1:
            raise DataError(f"{rows!r} picks one series; series[[{rows!r}]] is the set that holds it alone")
        names = ("ids", "times", "targets", "past", "known")
        parts: dict[str, Any] = {name: tuple(getattr(self, name)[row] for row in picked) for name in names}
        return replace(
            self,
            **parts,
            static={name: column[picked] for name, column in self.static.items()},
        )

    def row_of(self, name: str) -> int:
        """Return the number of the series with an id.

        Raises:
            DataError: there is none.
        """
        if name not in self.ids:
            from ...errors import suggest

            raise DataError(f"there is no series {name!r}{suggest(name, self.ids[:20])}", Place(self.source))
        return self.ids.index(name)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[S], the number of steps of each series, those to come among them."""
        return np.array([len(one) for one in self.targets], np.int64)

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """[S], the number of steps up to the last observed target; 0 where none was observed."""
        return np.array([_observed_steps(one) for one in self.targets], np.int64)

    def with_future(self, steps: int) -> TimeSeries:
        """Return the series with at least so many steps behind the last observed target; their values are NaN.

        Args:
            steps: of the future, at least 1.

        Raises:
            ConfigError: fewer than one step.
        """
        check_whole(steps, "steps")
        parts: dict[str, list[Any]] = {"times": [], "targets": [], "past": [], "known": []}
        for row, end in enumerate(self.ends.tolist()):
            missing = max(0, end + steps - len(self.targets[row]))
            parts["times"].append(
                np.concatenate([self.times[row], self.frequency.after(self.times[row][-1], missing)])
                if missing
                else self.times[row]
            )
            for name in ("targets", "past", "known"):
                values = getattr(self, name)[row]
                parts[name].append(np.concatenate([values, np.full((missing, *values.shape[1:]), np.nan)]))
        columns: dict[str, Any] = {name: tuple(rows) for name, rows in parts.items()}
        return replace(self, **columns)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all series, in their order."""
        head = [self.ids, self.frequency.to_json(), self.past_names, self.known_names, self.lengths.tolist()]
        hashed = hashlib.sha256(json.dumps(head).encode())
        for parts in zip(self.times, self.targets, self.past, self.known, strict=True):
            for part in parts:
                hashed.update(np.ascontiguousarray(part).tobytes())
        for name, column in self.static.items():
            hashed.update(repr((name, column.tolist())).encode())
        return hashed.hexdigest()


def _observed_steps(target: npt.NDArray[np.float64]) -> int:
    seen = np.flatnonzero(~np.isnan(target))
    return int(seen[-1]) + 1 if len(seen) else 0
