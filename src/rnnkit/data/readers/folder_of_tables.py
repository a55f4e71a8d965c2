"""A folder of tables a class: ``folder/class/file.csv``, each file a series (or several, if it has ids).

Without targets also a folder of tables.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import DataError, Place, Remedy
from ..checks import check_columns
from ..reading import Options
from ..series import SeriesSet
from . import delimited, parquet
from .folders import TABLES, class_names, list_class_files, say_unread, series_id


def read(path: Path, options: Options) -> SeriesSet:
    """Read a folder of tables; see :func:`rnnkit.data.read_series`."""
    if options.targets == "numbers":
        remedies = (Remedy("targets", "labels"), Remedy("targets", None))
        raise DataError("the folders name classes, so there are no numbers", Place(str(path)), remedies)
    absent: list[set[str]] = []
    inner = replace(options, targets=None, layout=options.layout or "long", absent=absent)
    parts: list[SeriesSet] = []
    labels: list[str] = []
    ids: list[str] = []
    files = list_class_files(path, TABLES, flat=options.targets is None)
    say_unread(path, files, TABLES, options)
    for label, file in files:
        part = (parquet if file.suffix.lower() == ".parquet" else delimited).read(file, inner)
        if not parts and (found := part.read_options.get("keep_columns")):
            # Which columns count rows is decided by the first file, and is the same in all.
            left_out = [name for name in part.read_options.get("ignore_columns", ()) if name not in found]
            inner = replace(inner, keep_columns=found, ignore_columns=left_out, is_new=True)
        if parts:
            part = check_columns(part, parts[0].channels, parts[0].steps)
            if (part.step_times is None) != (parts[0].step_times is None):
                raise DataError("only some of the files have time stamps", Place(str(file)), Remedy("time_column"))
        parts.append(part)
        labels += [label] * len(part)
        called = series_id(label, file)
        ids += [called] if len(part) == 1 else [f"{called}:{row}" for row in part.ids]
    first = parts[0]
    nowhere = set(options.ignore_columns).intersection(*absent) if absent and not options.is_new else set()
    if nowhere:
        problem = f"no file has a column {min(nowhere)!r} to leave out"
        options.guesses.add(problem, Place(str(path)), note=f"Channels: {', '.join(map(repr, first.channels))}")
    return SeriesSet(
        values=[row for part in parts for row in part.values],
        channels=first.channels,
        targets=None if options.targets is None else class_names(labels, path, options),
        ids=tuple(ids),
        groups=_joined([part.groups for part in parts]),
        times=_joined([part.times for part in parts]),
        source=str(path),
        step_times=None if first.step_times is None else [row for part in parts for row in part.step_times or ()],
        steps=first.steps,
        read_options=first.read_options,
    )


def _joined(columns: list[np.ndarray | None]) -> np.ndarray | None:
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None
