"""Which column is what: named by the user, else guessed by its name, else an error that says what to type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy, suggest
from ..reading import Options
from ..sentences import quoted
from .column_names import CALENDAR, ENTITIES, IDS, TARGETS, TIMES, WEAK_TIMES, numbered
from .numerals import Numerals
from .row_numbers import counts_rows, is_counter_name, is_written_index, plain_name, say_left_out
from .series_columns import refuse_names, series_remedies

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Roles:
    """What each column of a table is.

    Attributes:
        layout: "long" (a row a step) or "wide" (a row a series).
        id, time, group: columns, None where there is none.
        targets: columns, empty where there is none.
        channels: their names and, in a wide table, the columns of their steps; in a long one the one column.
        left_out: columns that only count rows.
    """

    layout: str
    id: str | None
    time: str | None
    group: str | None
    targets: tuple[str, ...]
    channels: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The step columns of a wide table, channel after channel; empty for a long one."""
        return () if self.layout == "long" else tuple(step for _, steps in self.channels for step in steps)


def resolve(table: pd.DataFrame, options: Options, place: Place) -> Roles:
    """Find the role of each column.

    Args:
        table: all rows; text columns as text.
        options: what the user named.
        place: the file, for messages.

    Raises:
        DataError: a named column does not exist, or a guess has more than one answer.
    """
    return _Guess(table, options, place).roles()


class _Guess:
    """The steps of `resolve` share the table, the columns not yet taken, and the way to complain."""

    def __init__(self, table: pd.DataFrame, options: Options, place: Place) -> None:
        self.table, self.options, self.place = table, options, place
        self.names: list[str] = [str(name) for name in table.columns]
        self._exist()
        self.free = [name for name in self.names if name not in set(options.ignore_columns)]
        self.guessed_from = set(self.free) - {*(options.value_columns or ()), *options.keep_columns}
        self.left_out: list[str] = []

    def roles(self) -> Roles:
        options = self.options
        for name in options.target_columns:
            self._take(name)
        time = self._take(options.time_column) if options.time_column in self.names else None
        group = self._take(options.group_column) if options.group_column in self.names else None
        id_ = self._take(options.id_column) if options.id_column else self._one("id_column", IDS)
        time = time or self._time()
        targets = tuple(name for name in options.target_columns if name in self.names) or self._guessed_target()
        entity = None if group else self._one("group_column", ENTITIES, take=False)
        if id_ is None:
            id_ = self._unnamed(time, entity)
        elif not options.id_column and time and entity and self._counts(id_) and self.table[entity].duplicated().any():
            self.left_out.append(id_)  # each row would be a series
            id_ = None
        layout = options.layout or self._layout(id_, time, entity, targets)
        if layout == "long" and id_ is None and entity is not None:
            id_, entity = entity, None
            self._take(id_)
        group = group or self._take(entity)
        if options.value_columns is not None:
            self.free = list(options.value_columns)
        self._leave_counters_out(layout, id_)
        if not targets and (options.targets is not None or (layout == "wide" and options.value_columns is None)):
            targets = self._remaining_target(layout)
        channels = self._channels(layout, id_)
        if not channels and targets and options.targets is None and not options.target_columns:
            channels, targets = tuple((name, (name,)) for name in targets), ()
        if not channels:
            raise DataError("no column of values is left", self.place, note=self._columns())
        if options.targets is not None and not targets:
            raise DataError(
                f"no column of {options.targets} found",
                self.place,
                (Remedy("target_column"), Remedy("targets", None, "if there is none")),
                note=self._columns(),
            )
        if id_ is None and (layout == "long" or not numbered(self.free)[0]):
            texts = self._texts(name for _, names in channels for name in names)
            refuse_names(self.table, texts, time, self.place, self.options.ignore_columns)
        say_left_out(self.left_out, self.place, options)
        return Roles(layout, id_, time, group, targets, channels, tuple(self.left_out))

    def _columns(self) -> str:
        return f"Columns: {quoted(self.names, 20)}"

    def _ignore(self, names: Sequence[str], purpose: str = "") -> Remedy:
        return Remedy("ignore_columns", [*self.options.ignore_columns, *names], purpose)

    def _ignore_too(self, names: Sequence[str], taken: str) -> Remedy | None:
        others = [name for name in names if name != taken]
        return self._ignore(others) if others else None

    def _near(self, name: str) -> str:
        """Return the nearest name, if one is near: the message lists all of them."""
        found = suggest(name, self.names[:20])
        return found if found.endswith("?") else ""

    def _exist(self) -> None:
        options = self.options
        needed = [options.id_column, options.time_column, *(options.value_columns or ())]
        if options.targets is not None:  # to predict, neither target nor group is needed
            needed += [*options.target_columns, options.group_column]
        if not options.is_new:
            needed += options.keep_columns
        missing = [name for name in needed if name is not None and name not in self.names]
        if len(missing) == 1:
            problem = f"there is no column {missing[0]!r}{self._near(missing[0])}"
            raise DataError(problem, self.place, note=self._columns())
        if missing:
            problem = f"there are no columns {', '.join(map(repr, missing))}"
            raise DataError(problem, self.place, note=self._columns())
        unknown = [name for name in options.ignore_columns if name not in self.names]
        if options.absent is not None:
            options.absent.append(set(unknown))
        elif unknown and not options.is_new:
            problem = f"there is no column {unknown[0]!r} to leave out{self._near(unknown[0])}"
            options.guesses.add(problem, self.place, note=self._columns())

    def _take(self, name: str | None) -> str | None:
        if name in self.free:
            self.free.remove(name)
        return name

    def _one(self, argument: str, known: Iterable[str], *, take: bool = True) -> str | None:
        """The one free column with a known name; raises if there are several."""
        found = [name for name in self.free if plain_name(name) in known and name in self.guessed_from]
        if len(found) > 1:
            remedies = [
                Remedy(argument, name, also=self._ignore([other for other in found if other != name]))
                for name in found[:3]
            ]
            raise DataError(
                f"{' and '.join(map(repr, found))} may both be the {argument.removesuffix('_column')}",
                self.place,
                [*remedies, "give the others another role"],
                note=self._columns(),
            )
        return (self._take(found[0]) if take else found[0]) if found else None

    def _unnamed(self, time: str | None, entity: str | None) -> str | None:
        """A first column without a name is the id, unless it counts rows."""
        first = self.names[0]
        if not is_written_index(first) or first not in self.free or first not in self.guessed_from:
            return None
        numbers = self._numbers(first)
        if counts_rows(numbers, first) and len(np.unique(numbers)) == len(numbers):
            ordered = np.sort(numbers)
            is_wide = self.options.layout == "wide" or bool(numbered(self.free)[0]) or not (time or entity)
            if (
                not is_wide
                or self.options.layout == "long"
                or np.array_equal(ordered - ordered[0], np.arange(len(ordered)))
            ):
                return None
        return self._take(first)

    def _numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column as numbers, NaN where a cell is none; a number with a zero in front, as in 007, is none."""
        import pandas as pd

        column = self.table[name]
        if is_list(column) or column.dtype.kind == "c":
            return np.full(len(column), np.nan)
        if not pd.api.types.is_numeric_dtype(column) and column.astype(str).str.match(r"\s*0\d").any():
            return np.full(len(column), np.nan)
        return pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)

    def _counts(self, name: str) -> bool:
        numbers = self._numbers(name)
        if name == self.names[0] and is_written_index(
            name
        ):  # pandas writes the index of joined or shuffled frames, too
            numbers = numbers[~np.isnan(numbers)]
            return 2 * len(numbers) > len(self.table) and bool((numbers % 1 == 0).all())
        return counts_rows(numbers, name, in_front=name == self.names[0])

    def _leave_counters_out(self, layout: str, id_: str | None) -> None:
        """Take columns that only count rows out of those that may be channels, steps or the target."""
        steps, others = numbered(self.free) if layout == "wide" else ({}, self.free)
        counters = [name for name in others if name in self.guessed_from and self._counts(name)]
        named = [name for name in counters if is_counter_name(name)]
        others = [name for name in counters if name not in named]
        if layout == "long" and (id_ is None or self.table[id_].nunique() == 1):
            # What rises or falls in a single series may be measured; if always by 1, it is a number of its rows.
            others = [name for name in others if (np.abs(np.diff(self._numbers(name))) == 1).all()]
        if layout == "wide" and (steps or len(others) > 1):
            others = []  # beside steps it may be the target; several steps that rise are sorted measurements
        if len(self.free) == len(named) + len(others):
            others = []
        if len(self.free) == len(named):
            named = [name for name in named if is_written_index(name)]
        for name in [*named, *others]:
            self._take(name)
            self.left_out.append(name)

    def _time(self) -> str | None:
        found = self._one("time_column", TIMES)
        if found:
            return found
        calendar = {
            plain_name(name)
            for name in self.free
            if plain_name(name) in CALENDAR and is_text(self.table[name], self.options)
        }
        return self._one("time_column", WEAK_TIMES | calendar)

    def _guessed_target(self) -> tuple[str, ...]:
        found = self._one("target_column", TARGETS)
        # Beside x and z it is a coordinate, and without targets it is a channel like others.
        names = {plain_name(name) for name in self.free}
        if found is None and self.options.targets is not None and not {"x", "z"} <= names:
            found = self._one("target_column", {"y"})
        return () if found is None else (found,)

    def _layout(self, id_: str | None, time: str | None, entity: str | None, targets: tuple[str, ...]) -> str:
        free = [name for name in self.free if name != entity]
        has_steps = bool(numbered(free)[0])
        if any(is_list(self.table[name]) for name in free):
            return "wide"
        if id_ is not None:
            if self.table[id_].duplicated().any():
                return "long"
            return "wide" if time is None or has_steps else "long"
        if time is not None:
            return "wide" if has_steps and self.options.targets is not None and entity is None else "long"
        if has_steps or (targets and entity is None):
            return "wide"
        texts = self._texts(self.free)
        texts += [entity] if entity is not None and entity not in texts else []
        layouts = (Remedy("layout", "long", "(a row a time step)"), Remedy("layout", "wide", "(a row a series)"))
        raise DataError(
            "it cannot be told whether a row is a step or a series",
            self.place,
            (*series_remedies(self.table, texts, None), *layouts),
            note=self._columns(),
        )

    def _texts(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if is_text(self.table[name], self.options)]

    def _remaining_target(self, layout: str) -> tuple[str, ...]:
        """Return the one column that is left beside numbered steps, else the one text column."""
        left = self.free
        if layout == "wide":
            steps, others = numbered(self.free)
            left = others if steps else self.free
            if steps and len(left) == 1 and not is_list(self.table[left[0]]):
                return (str(self._take(left[0])),)
        texts = self._texts(left)
        if len(texts) == 1 and self.options.targets != "numbers":
            return (str(self._take(texts[0])),)
        return ()

    def _channels(self, layout: str, id_: str | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
        if layout == "long":
            return tuple((name, (name,)) for name in self.free)
        lists = [name for name in self.free if is_list(self.table[name])]
        if lists:
            return tuple((name, (name,)) for name in lists)
        if self.options.value_columns is not None and not numbered(self.free)[0]:
            return (("value", tuple(self.free)),)
        steps, others = numbered(self.free)
        if steps and others:
            names = ", ".join(map(repr, others[:5]))
            unique = [name for name in self._texts(others) if self.table[name].is_unique] if id_ is None else []
            purpose = "if it names the series"
            ids = [Remedy("id_column", name, purpose, self._ignore_too(others, name)) for name in unique[:1]]
            raise DataError(
                f"beside the numbered steps there is {names}",
                self.place,
                (*ids, self._ignore(others, "to leave it out"), Remedy("target_column")),
                note=self._columns(),
            )
        if not steps:
            return (("value", tuple(self.free)),) if self.free else ()
        if len({tuple(numbers) for numbers in steps.values()}) > 1:
            counts = ", ".join(f"{prefix!r} {len(numbers)}" for prefix, numbers in list(steps.items())[:5])
            raise DataError(
                f"the channels have different steps ({counts})",
                self.place,
                Remedy("value_columns", purpose="with the columns that count"),
                note=self._columns(),
            )
        self._say_order(steps)
        if len(steps) == 1:
            return (("value", tuple(next(iter(steps.values())).values())),)
        return tuple((prefix, tuple(numbers.values())) for prefix, numbers in steps.items())

    def _say_order(self, steps: dict[str, dict[float, str]]) -> None:
        """Note steps that stand in another order in the file than that of their numbers."""
        for numbers in steps.values():
            ordered, members = list(numbers.values()), set(numbers.values())
            if ordered != [name for name in self.names if name in members] and not self.options.is_new:
                problem = f"the columns {ordered[0]!r} to {ordered[-1]!r} are steps in the order of their numbers, "
                advice = "number them anew if the order in the file is meant"
                self.options.guesses.add(f"{problem}not in that of the file", self.place, advice)
                return


def is_text(column: pd.Series[Any], options: Options | None = None) -> bool:
    """Whether a column holds text that is no number, seen by its first values."""
    import pandas as pd

    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)) or is_list(column):
        return False
    points = Numerals.of(options or Options())
    commas = Numerals(",", "", points.words, points.codes)
    seen = column.iloc[:10_000].dropna().head(200).astype(str)
    return not all(points.is_number(cell) or commas.is_number(cell) for cell in seen.unique())


def is_list(column: pd.Series[Any]) -> bool:
    """Return whether the cells of a column hold sequences."""
    if column.dtype != object:
        return False
    first = column.first_valid_index()
    return first is not None and hasattr(column[first], "__len__") and not isinstance(column[first], str | bytes)
