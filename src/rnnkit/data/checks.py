"""Whether new data has the columns that a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import DataError, Place
from ..spelling import composed, is_composed
from .sentences import quoted
from .series import SeriesSet

_MOST = 12  # names in a message


def check_columns(series: SeriesSet, channels: Sequence[str], steps: Sequence[str] = ()) -> SeriesSet:
    """Bring new data into the order of the training data's columns, or say how they differ.

    Args:
        series: the new data.
        channels: those of the training data.
        steps: its step columns (`SeriesSet.steps`), where it was a table with a row a series and a header.

    Returns:
        `series`, its channels in the order of `channels`.

    Raises:
        DataError: columns are missing or extra; both are named.

    Example:
        >>> new = SeriesSet.from_arrays([[[1.0, 2.0]]], channels=["y", "x"])
        >>> check_columns(new, ["x", "y"]).values[0].tolist()
        [[2.0, 1.0]]
        >>> check_columns(new, ["x", "z"])
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: the columns differ from the training data's: missing 'z'; extra 'y'. Expected 'x', 'z'
    """
    # Names from before they were composed may stand in a model's file.
    channels, steps = [composed(name) for name in channels], [composed(name) for name in steps]
    if not all(map(is_composed, series.channels)):
        series = replace(series, channels=tuple(map(composed, series.channels)))
    _compare(series, series.channels, channels)
    if steps and series.steps:
        _compare(series, series.steps, steps)
    series = _reorder_steps(series, steps)
    if tuple(series.channels) == tuple(channels):
        return series
    order = [series.channels.index(name) for name in channels]
    return replace(series, values=[row[:, order] for row in series.values], channels=tuple(channels))


def _compare(series: SeriesSet, found: Sequence[str], expected: Sequence[str]) -> None:
    missing = [name for name in expected if name not in set(found)]
    extra = [name for name in found if name not in set(expected)]
    if not missing and not extra:
        return
    parts = [f"missing {quoted(missing, _MOST)}"] if missing else []
    parts += [f"extra {quoted(extra, _MOST)}"] if extra else []
    raise DataError(
        f"the columns differ from the training data's: {'; '.join(parts)}",
        Place(series.source),
        note=f"Expected {quoted(expected, _MOST)}",
    )


def _reorder_steps(series: SeriesSet, steps: Sequence[str]) -> SeriesSet:
    """Return the steps in the order of the training data's columns; those of several channels are in order already."""
    if not (steps and series.steps) or tuple(steps) == series.steps or len(series.channels) > 1:
        return series
    order = [series.steps.index(name) for name in steps]
    rows = []
    for row in series.values:
        full = np.full((len(steps), 1), np.nan, row.dtype)
        full[: len(row)] = row
        rows.append(full[order])
    return replace(series, values=rows, steps=tuple(steps))
