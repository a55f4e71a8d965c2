"""Which column is what: named by the user, else guessed by its name, else an error that says what to type."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import DataError, DataWarning, Place, Remedy, suggest
from ..reading import Options
from .text import MISSING

if TYPE_CHECKING:
    import pandas as pd


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Compared in lower case, blanks, dots and hyphens as "_".
_IDS = _words(
    "id series_id seriesid series sample sample_id case case_id instance instance_id unique_id uid sequence "
    "sequence_id 编号 序号 标识 序列 样本"
)
# What a row belongs to: the id of a long table without one, else a group.
_ENTITIES = _words(
    "symbol ticker sensor sensor_id device device_id station machine unit speaker group group_id subject subject_id "
    "patient patient_id person participant user user_id 设备 用户 患者 股票 分组"
)
_TIMES = _words("time date datetime date_time timestamp time_stamp ds 时间 日期 时间戳")
_WEAK_TIMES = {"t", "step", "time_step", "timestep", "frame", "tick"}
_CALENDAR = {"month", "week", "day", "year"}  # a time only where they are text such as "1949-01"
_TARGETS = _words("label labels target targets class class_label classes category 标签 类别 目标 分类")
_INDEX = {"index", "unnamed:_0", "level_0"}  # what pandas calls the row numbers that it wrote
_UNNAMED = "column {} (without a name)"
# A number alone, or a name with a letter and a number at its end: x_12, but not 2020-01-12.
_NUMBERED = re.compile(r"()(\d+(?:\.\d+)?)|(?=.*[^\W\d_])(.*?)[ _.\-]?(\d+)")


@dataclass(frozen=True)
class Roles:
    """What each column of a table is.

    Attributes:
        layout: "long" (a row a step) or "wide" (a row a series).
        id, time, group: columns, None where there is none.
        targets: columns, empty where there is none.
        channels: their names and, in a wide table, the columns of their steps; in a long one the one column.
    """

    layout: str
    id: str | None
    time: str | None
    group: str | None
    targets: tuple[str, ...]
    channels: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def steps(self) -> tuple[str, ...]:
        """The step columns of a wide table, channel after channel; empty for a long one."""
        return () if self.layout == "long" else tuple(step for _, steps in self.channels for step in steps)


def check_names(names: Sequence[str], place: Place) -> list[str]:
    """Return the header's names without blanks around them; raises if two are the same."""
    plain = [name.strip() or _UNNAMED.format(index) for index, name in enumerate(names, 1)]
    double = sorted({name for name in plain if plain.count(name) > 1}) if len(set(plain)) < len(plain) else []
    if double:
        raise DataError(f"two columns have the same name {double[0]!r}", place, "rename one")
    return plain


def is_unnamed(name: str) -> bool:
    """Return whether `check_names` gave this name to a column that had none."""
    return name.endswith("(without a name)")


def may_be_text(name: str, options: Options) -> bool:
    """Return whether a column by this name may be an id, time, group or label, whose text counts as it is."""
    plain = _plain(name)
    named = {options.id_column, options.time_column, options.group_column, *options.target_columns}
    return name in named or plain in _IDS | _ENTITIES | _TIMES | _CALENDAR | _TARGETS | {"y"}


def is_entity(name: str) -> bool:
    """Return whether a column by this name says what a row belongs to, such as a subject or a device."""
    return _plain(name) in _ENTITIES


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
        self.guessed_from = set(self.free) - set(options.value_columns or ())

    def roles(self) -> Roles:
        options = self.options
        for name in options.target_columns:
            self._take(name)
        time = self._take(options.time_column) if options.time_column in self.names else None
        group = self._take(options.group_column) if options.group_column in self.names else None
        unnamed = self._unnamed()
        id_ = self._take(options.id_column) if options.id_column else self._one("id_column", _IDS) or unnamed
        time = time or self._time()
        targets = tuple(name for name in options.target_columns if name in self.names) or self._guessed_target()
        entity = None if group else self._one("group_column", _ENTITIES, take=False)
        layout = options.layout or self._layout(id_, time, entity, targets)
        if layout == "long" and id_ is None and entity is not None:
            id_, entity = entity, None
            self._take(id_)
        group = group or self._take(entity)
        if options.value_columns is not None:
            self.free = list(options.value_columns)
        if not targets and (options.targets is not None or (layout == "wide" and options.value_columns is None)):
            targets = self._remaining_target(layout)
        channels = self._channels(layout)
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
        return Roles(layout, id_, time, group, targets, channels)

    def _columns(self) -> str:
        shown = ", ".join(map(repr, self.names[:20])) + (f" and {len(self.names) - 20} more" if self.names[20:] else "")
        return f"Columns: {shown}"

    def _ignore(self, names: Sequence[str], purpose: str = "") -> Remedy:
        return Remedy("ignore_columns", [*self.options.ignore_columns, *names], purpose)

    def _near(self, name: str) -> str:
        """Return the nearest name, if one is near: the message lists all of them."""
        found = suggest(name, self.names[:20])
        return found if found.endswith("?") else ""

    def _exist(self) -> None:
        options = self.options
        needed = [options.id_column, options.time_column, *(options.value_columns or ())]
        if options.targets is not None:  # to predict, neither target nor group is needed
            needed += [*options.target_columns, options.group_column]
        missing = [name for name in needed if name is not None and name not in self.names]
        if len(missing) == 1:
            problem = f"there is no column {missing[0]!r}{self._near(missing[0])}"
            raise DataError(problem, self.place, note=self._columns())
        unknown = [name for name in options.ignore_columns if name not in self.names]
        if unknown and options.targets is not None:  # a file to predict on may lack what is not needed
            problem = f"there is no column {unknown[0]!r} to leave out{self._near(unknown[0])}"
            warnings.warn(DataWarning(problem, self.place, note=self._columns()), stacklevel=7)
        if missing:
            problem = f"there are no columns {', '.join(map(repr, missing))}"
            raise DataError(problem, self.place, note=self._columns())

    def _take(self, name: str | None) -> str | None:
        if name in self.free:
            self.free.remove(name)
        return name

    def _one(self, argument: str, known: Iterable[str], *, take: bool = True) -> str | None:
        """Return the one free column with a known name; raises if there are several."""
        found = [name for name in self.free if _plain(name) in known and name in self.guessed_from]
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

    def _unnamed(self) -> str | None:
        """Treat a first column without a name, as pandas writes its index: left out if it counts rows, else the id."""
        first = self.names[0]
        unnamed = first == _UNNAMED.format(1)
        if not (unnamed or _plain(first) in _INDEX) or first not in self.free or first not in self.guessed_from:
            return None
        column = self.table[first]
        if not is_text(column):
            import numpy as np
            import pandas as pd

            counted = np.sort(pd.to_numeric(column, errors="coerce").to_numpy(np.float64))
            if np.array_equal(counted - counted[0], np.arange(len(counted))):
                self._take(first)
                return None
        return self._take(first) if unnamed else None

    def _time(self) -> str | None:
        found = self._one("time_column", _TIMES)
        if found:
            return found
        calendar = {_plain(name) for name in self.free if _plain(name) in _CALENDAR and is_text(self.table[name])}
        return self._one("time_column", _WEAK_TIMES | calendar)

    def _guessed_target(self) -> tuple[str, ...]:
        found = self._one("target_column", _TARGETS)
        # Beside x and z it is a coordinate, and without targets it is a channel like others.
        names = {_plain(name) for name in self.free}
        if found is None and self.options.targets is not None and not {"x", "z"} <= names:
            found = self._one("target_column", {"y"})
        return () if found is None else (found,)

    def _layout(self, id_: str | None, time: str | None, entity: str | None, targets: tuple[str, ...]) -> str:
        free = [name for name in self.free if name != entity]
        numbered = bool(_numbered(free)[0])
        if any(is_list(self.table[name]) for name in free):
            return "wide"
        if id_ is not None:
            if self.table[id_].duplicated().any():
                return "long"
            return "wide" if time is None or numbered else "long"
        if time is not None:
            return "wide" if numbered and self.options.targets is not None and entity is None else "long"
        if numbered or (targets and entity is None):
            return "wide"
        raise DataError(
            "it cannot be told whether a row is a step or a series",
            self.place,
            (Remedy("layout", "long", "(a row a time step)"), Remedy("layout", "wide", "(a row a series)")),
            note=self._columns(),
        )

    def _remaining_target(self, layout: str) -> tuple[str, ...]:
        """Return the one column that is left beside numbered steps, else the one text column."""
        left = self.free
        if layout == "wide":
            steps, others = _numbered(self.free)
            left = others if steps else self.free
            if steps and len(left) == 1 and not is_list(self.table[left[0]]):
                return (str(self._take(left[0])),)
        texts = [name for name in left if is_text(self.table[name])]
        if len(texts) == 1 and self.options.targets != "numbers":
            return (str(self._take(texts[0])),)
        return ()

    def _channels(self, layout: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        if layout == "long":
            return tuple((name, (name,)) for name in self.free)
        lists = [name for name in self.free if is_list(self.table[name])]
        if lists:
            return tuple((name, (name,)) for name in lists)
        if self.options.value_columns is not None and not _numbered(self.free)[0]:
            return (("value", tuple(self.free)),)
        steps, others = _numbered(self.free)
        if steps and others:
            names = ", ".join(map(repr, others[:5]))
            raise DataError(
                f"beside the numbered steps there is {names}",
                self.place,
                (self._ignore(others, "to leave it out"), Remedy("target_column")),
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
        if len(steps) == 1:
            return (("value", tuple(next(iter(steps.values())).values())),)
        return tuple((prefix, tuple(numbers.values())) for prefix, numbers in steps.items())


def _numbered(names: Sequence[str]) -> tuple[dict[str, dict[float, str]], list[str]]:
    """Return the columns that end in a number, as prefix → number → name in order of the numbers, and the others.

    A prefix with one number alone is no series of steps.
    """
    found: dict[str, dict[float, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name.strip())
        if match:
            prefix, number = (match[3], match[4]) if match[1] is None else (match[1], match[2])
            found.setdefault(prefix, {}).setdefault(float(number), name)
    steps = {prefix: dict(sorted(numbers.items())) for prefix, numbers in found.items() if len(numbers) > 1}
    taken = {name for numbers in steps.values() for name in numbers.values()}
    return steps, [name for name in names if name not in taken]


def is_text(column: pd.Series[Any]) -> bool:
    """Return whether a column holds text that is no number, seen by its first values."""
    import pandas as pd

    if not (pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column)) or is_list(column):
        return False
    seen = column.iloc[:10_000].dropna().head(200).astype(str).str.strip()
    seen = seen[~seen.str.lower().isin(MISSING)]
    return bool(pd.to_numeric(seen, errors="coerce").isna().any())


def is_list(column: pd.Series[Any]) -> bool:
    """Return whether the cells of a column hold sequences."""
    if column.dtype != object:
        return False
    first = column.first_valid_index()
    return first is not None and hasattr(column[first], "__len__") and not isinstance(column[first], str | bytes)


def _plain(name: str) -> str:
    return re.sub(r"[\s.\-]+", "_", name.strip().lower())
