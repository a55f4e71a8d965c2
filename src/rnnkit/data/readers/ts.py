"""``.ts``: the format of the UCR/UEA archive as sktime and aeon write it.

``@`` lines describe the data, then each line after ``@data`` is a series: its channels apart by ``:``, the values of
a channel by ``,``, the label or number last. With ``@timeStamps true`` each value is ``(time,value)``. Missing: ``?``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError, Place, suggest
from ..reading import Options
from ..series import SeriesSet
from . import text
from .numerals import Numerals, to_numbers
from .parsed_rows import ParsedRows

if TYPE_CHECKING:
    import numpy.typing as npt

_PAIR = re.compile(r"\(([^()]*),([^(),]*)\)")


def read(path: Path, options: Options) -> SeriesSet:
    """Read a ``.ts`` file; see :func:`rnnkit.data.read_series`."""
    lines = text.decode(path, options).split("\n")
    head, start = _head(lines, path)
    answers = head.get("classlabel", head.get("targetlabel", "false")).split()
    ends_in_target = answers[:1] == ["true"]
    stamped = head.get("timestamps") == "true"
    numerals = Numerals.of(options)
    rows = ParsedRows(path, are_numbers="targetlabel" in head)
    if "classlabel" in head and ends_in_target:
        rows.declared = set(answers[1:])
    cells: list[str] = []
    times: list[npt.NDArray[np.float64]] = []
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip() or line.startswith(("#", "%")):
            continue
        place = Place(str(path), number)
        parts = _split(line, stamped)
        if ends_in_target:
            cells.append(parts.pop().strip())
        if not parts:
            raise DataError("has no channel; expected at least one before the target", place)
        if stamped:
            channels, stamps = zip(*[_stamped(part, place, numerals) for part in parts], strict=True)
            if any(not np.array_equal(stamp, stamps[0]) for stamp in stamps):
                raise DataError("the channels have different time stamps; expected the same in each", place)
            order = np.argsort(stamps[0], kind="stable")
            times.append(stamps[0][order])
            channels = tuple(channel[order] for channel in channels)
        else:
            channels = tuple(
                to_numbers(part.split(","), place.at(part=f"channel {index}"), None, numerals)
                for index, part in enumerate(parts)
            )
        rows.values.append(_join(list(channels)))
        rows.lines.append(number)
    rows.cells, rows.step_times = cells if ends_in_target else None, times or None
    if rows.values and (options.value_columns or options.ignore_columns):
        _select(rows, options)
    return rows.to_series(options)


def _select(rows: ParsedRows, options: Options) -> None:
    """Keep the channels that the user names, by "channel 0" and so on."""
    width = rows.values[0].shape[1]
    channels = ["value"] if width == 1 else [f"channel {index}" for index in range(width)]
    place = Place(str(rows.path))
    if options.is_new and not {*(options.value_columns or ()), *options.ignore_columns} <= set(channels):
        return  # the options of another file
    for argument, names in (("value_columns", options.value_columns or ()), ("ignore_columns", options.ignore_columns)):
        for name in names:
            if name not in channels:
                listed = ", ".join(map(repr, channels))
                problem = f"there is no channel {name!r} for {argument}{suggest(name, channels)}"
                raise DataError(problem, place, note="" if problem.endswith(listed) else f"Channels: {listed}")
    chosen = [name for name in options.value_columns or channels if name not in options.ignore_columns]
    if not chosen:
        raise DataError("no channel is left", place, note=f"Channels: {', '.join(map(repr, channels))}")
    order = [channels.index(name) for name in chosen]
    rows.values = [row[:, order] if row.shape[1] == width else row for row in rows.values]
    rows.channels = tuple(chosen)
    rows.read_options = {
        "value_columns": list(options.value_columns or ()),
        "ignore_columns": list(options.ignore_columns),
    }


def _head(lines: list[str], path: Path) -> tuple[dict[str, str], int]:
    """Return what the ``@`` lines say, and the index of the line after ``@data``."""
    head: dict[str, str] = {}
    for index, line in enumerate(lines):
        word, rest = (*line.split(maxsplit=1), "", "")[:2]
        if word.lower() == "@data":
            return head, index + 1
        if word.startswith("@"):
            key = word[1:].lower()
            # The labels of @classLabel keep their case, its answer true or false does not.
            answer, names = (*rest.split(maxsplit=1), "", "")[:2]
            head[key] = f"{answer.lower()} {names}".strip()
        elif word and not word.startswith(("#", "%")):
            raise DataError(
                f"{line.strip()[:40]!r} before @data; expected an @ line or a # comment", Place(str(path), index + 1)
            )
    raise DataError("has no line @data; expected the .ts format of the UCR/UEA archive", Place(str(path)))


def _split(line: str, stamped: bool) -> list[str]:
    """Return the parts between colons; those inside the brackets of a time stamp are not between parts."""
    if not stamped:
        return line.strip().split(":")
    return re.split(r":(?![^()]*\))", line.strip())


def _stamped(part: str, place: Place, numerals: Numerals) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Values and times of ``(time,value),(time,value)``; a date becomes seconds since 1970."""
    pairs = _PAIR.findall(part)
    if not pairs or _PAIR.sub("", part).strip(", "):
        raise DataError(f"{part[:40]!r} arrived; expected (time,value),(time,value) as @timeStamps true says", place)
    stamps, values = zip(*pairs, strict=True)
    try:
        clock = np.array([stamp.strip() for stamp in stamps], np.float64)
    except ValueError:
        try:
            dates = np.array([stamp.strip().replace(" ", "T") for stamp in stamps], "datetime64[us]")
        except ValueError:
            raise DataError("a time stamp is neither a number nor a date such as 2020-01-31 12:00", place) from None
        clock = dates.astype(np.float64) / 1e6
    return to_numbers(values, place, None, numerals), clock


def _join(channels: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return [T, channels]; a channel that ends before the others is missing from there."""
    longest = max(map(len, channels))
    joined = np.full((longest, len(channels)), np.nan)
    for index, channel in enumerate(channels):
        joined[: len(channel), index] = channel
    return joined
