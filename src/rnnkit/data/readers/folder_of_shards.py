"""A folder of shards of series, as ``rnnkit shards make --kind series`` writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError, Place
from ..reading import Options
from ..series import SeriesSet

_ENTRIES = {"labels": "label", "numbers": "target"}


def read(path: Path, options: Options) -> SeriesSet:
    """Read shards of series into memory; see :func:`rnnkit.data.read_series`."""
    from ..shards import ShardSet

    shards, place = ShardSet.open(path), Place(str(path))
    if shards.kind != "series":
        raise DataError(f"holds shards of {shards.kind}; expected series", place, "make them with --kind series")
    wanted = None if options.targets is None else _ENTRIES[options.targets]
    known = [one.name for one in shards.schema]
    if wanted is not None and wanted not in known:
        other = next((name for name in _ENTRIES.values() if name in known), "")
        has = f"have a {other}" if other else "have no label"
        kind = "a class" if wanted == "label" else "a number"
        typed = "--label NAME" if wanted == "label" else "--label NAME --numbers"
        raise DataError(f"its series {has}; expected {kind} for each", place, f"make them again with {typed}")
    rows = list(shards)
    return SeriesSet.from_arrays(
        [row["values"] for row in rows],
        None if wanted is None else np.array([row[wanted] for row in rows]),
        channels=shards.manifest.details["channels"],
        ids=[row["id"] for row in rows],
        source=str(path),
    )
