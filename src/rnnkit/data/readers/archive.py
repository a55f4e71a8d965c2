"""What the archive formats (.ts, .arff, classic text) share: rows, labels or numbers, padding at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ..series import Options, SeriesSet
from . import text

if TYPE_CHECKING:
    import numpy.typing as npt


def assemble(
    path: Path,
    options: Options,
    rows: list[npt.NDArray[np.float64]],
    places: Sequence[str],
    cells: Sequence[str] | None,
    are_numbers: bool = False,
    *,
    channels: Sequence[str] | None = None,
    step_times: list[npt.NDArray[Any]] | None = None,
    steps: Sequence[str] = (),
    roles: dict[str, Any] | None = None,
) -> SeriesSet:
    """Puts rows [T_i, channels] and their last cells together.

    Args:
        path, options: as given to the reader.
        rows: the values.
        places: ``file:line`` of each.
        cells: the text of each row's target, None if the file has none.
        are_numbers: whether the file says that its targets are numbers.
        channels, step_times, steps, roles: as in `SeriesSet`.
    """
    if not rows:
        raise DataError(f"{path}: has no series; expected at least one line of data")
    targets: npt.NDArray[Any] | None = None
    if options.targets is not None:
        if cells is None:
            raise DataError(f"{path}: has no {options.targets}; read it without: targets=None")
        if options.targets == "labels":
            if are_numbers:
                raise DataError(f'{path}: its targets are numbers (@targetLabel); type targets="numbers"')
            for cell, place in zip(cells, places, strict=True):
                text.check_label(cell, place)
            targets = text.labels(cells)
        else:
            targets = np.concatenate(
                [text.numbers([cell], place, ["target"]) for cell, place in zip(cells, places, strict=True)]
            )
            if np.isnan(targets).any():
                place = places[int(np.isnan(targets).argmax())]
                raise DataError(f"{place}: the target is missing; give it or drop the line")
    width = rows[0].shape[1]
    names = channels or (["value"] if width == 1 else [f"channel {index}" for index in range(width)])
    return SeriesSet(
        values=[row.astype(np.float32) for row in rows],
        channels=tuple(names),
        targets=targets,
        ids=tuple(f"{path.name}:{place.rpartition(':')[2]}" for place in places),
        times=None if step_times is None else np.array([stamps[0] for stamps in step_times]),
        source=str(path),
        step_times=step_times,
        steps=tuple(steps),
        roles=roles or {},
    )
