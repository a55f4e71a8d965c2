"""What the names of columns say: which role they are known for, and which of them count steps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import DataError, Place
from ...spelling import composed
from ..reading import Options
from .row_numbers import is_written_index, plain_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Compared in lower case, blanks, dots and hyphens as "_".
IDS = _words(
    "id series_id seriesid series sample sample_id case case_id instance instance_id unique_id uid sequence "
    "sequence_id 编号 序号 标识 序列 样本"
)
# What a row belongs to: the id of a long table without one, else a group.
ENTITIES = _words(
    "symbol ticker sensor sensor_id device device_id station machine unit speaker group group_id subject subject_id "
    "patient patient_id person participant user user_id 设备 用户 患者 股票 分组"
)
TIMES = _words("time date datetime date_time timestamp time_stamp ds 时间 日期 时间戳")
WEAK_TIMES = {"t", "step", "time_step", "timestep", "frame", "tick"}
CALENDAR = {"month", "week", "day", "year"}  # a time only where they are text such as "1949-01"
TARGETS = _words("label labels target targets class class_label classes category 标签 类别 目标 分类")
_UNNAMED = "column {} (without a name)"
# A number alone, or a name with a letter and a number at its end: x_12, but not 2020-01-12.
_NUMBERED = re.compile(r"()(\d+(?:\.\d+)?)|(?=.*[^\W\d_])(.*?)[ _.\-]?(\d+)")


def check_names(names: Sequence[str], place: Place) -> list[str]:
    """The header's names without blanks around them; raises if two are the same."""
    plain = [composed(name).strip() or _UNNAMED.format(index) for index, name in enumerate(names, 1)]
    double = sorted({name for name in plain if plain.count(name) > 1}) if len(set(plain)) < len(plain) else []
    if double:
        raise DataError(f"two columns have the same name {double[0]!r}", place, "rename one")
    return plain


def is_unnamed(name: str) -> bool:
    """Return whether `check_names` gave this name to a column that had none."""
    return name.endswith("(without a name)")


def may_be_text(name: str, options: Options) -> bool:
    """Whether a column by this name may be an id, time, group or label, whose text counts as it is."""
    plain = plain_name(name)
    named = {options.id_column, options.time_column, options.group_column, *options.target_columns}
    return name in named or is_written_index(name) or plain in IDS | ENTITIES | TIMES | CALENDAR | TARGETS | {"y"}


def is_id(name: str) -> bool:
    """Whether a column by this name says which series a row belongs to."""
    return plain_name(name) in IDS


def is_entity(name: str) -> bool:
    """Whether a column by this name says what a row belongs to, such as a subject or a device."""
    return plain_name(name) in ENTITIES


def numbered(names: Sequence[str]) -> tuple[dict[str, dict[float, str]], list[str]]:
    """Columns that end in a number, as prefix → number → name in order of the numbers, and all other columns.

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
