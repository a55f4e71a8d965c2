"""``.npz``: arrays by name. Nothing is unpickled, so arrays of objects are refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from ..series import Options, SeriesSet, as_targets, trim
from . import text

if TYPE_CHECKING:
    import numpy.typing as npt

_VALUES = ("X", "x", "values", "data", "series", "x_train", "X_train")
_TARGETS = ("y", "Y", "labels", "label", "targets", "target", "y_train")


def read(path: Path, options: Options) -> SeriesSet:
    """Reads a ``.npz`` file; see :func:`rnnkit.data.read_series`."""
    arrays = _arrays(path)
    if options.value_columns is not None and len(options.value_columns) != 1:
        raise DataError(f"{path}: value_columns names the one array of values; arrived {list(options.value_columns)}")
    named = options.value_columns[0] if options.value_columns else None
    key = _pick(arrays, named, _VALUES, "value_columns=", path)
    target_key = None
    if options.targets is not None:
        if len(options.target_columns) > 1:
            raise DataError(f"{path}: target_column names the one array of targets; arrived {options.target_columns}")
        target_key = _pick(arrays, next(iter(options.target_columns), None), _TARGETS, "target_column=", path)
    rows = _rows(arrays[key], arrays.get("lengths"), f"{path}: {key}")
    targets = None if target_key is None else _targets(arrays[target_key], options, f"{path}: {target_key}")
    channels = [str(name) for name in arrays["channels"].tolist()] if "channels" in arrays else None
    roles: dict[str, Any] = {"value_columns": [key]}
    if target_key is not None:
        roles["target_column"] = [target_key]
    try:
        series = SeriesSet.from_arrays(
            rows,
            targets,
            channels=channels,
            ids=arrays["ids"].tolist() if "ids" in arrays else None,
            groups=arrays["groups"].tolist() if "groups" in arrays else None,
            source=str(path),
        )
    except DataError as error:
        raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    return SeriesSet(**{**vars(series), "times": arrays.get("times"), "roles": roles})


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path}: is no .npz file, as np.savez(path, X=..., y=...) writes one")
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {}
            for name in stored.files:
                try:
                    arrays[name] = stored[name]
                except ValueError:
                    raise DataError(
                        f"{path}: array {name!r} holds Python objects, which are not unpickled; save numbers padded to "
                        "the longest series, and their lengths: np.savez(path, X=..., lengths=..., y=...)"
                    ) from None
            return arrays
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: cannot be read as a .npz file ({error})") from None


def _pick(arrays: dict[str, Any], named: str | None, known: tuple[str, ...], argument: str, path: Path) -> str:
    found = [named] if named is not None else [name for name in known if name in arrays]
    if len(found) == 1 and found[0] in arrays:
        return found[0]
    problem = f"{' and '.join(map(repr, found))} may both be meant" if len(found) > 1 else "is not there"
    if named is not None:
        problem = f"there is no array {named!r}"
    elif not found:
        problem = f"none of the arrays is called {' or '.join(map(repr, known[:3]))}"
    hint = ", or targets=None if there is none" if argument == "target_column=" else ""
    raise DataError(f"{path}: {problem}; type {argument}{hint}. Arrays: {', '.join(map(repr, arrays))}")


def _rows(values: npt.NDArray[Any], lengths: npt.NDArray[Any] | None, place: str) -> list[npt.NDArray[Any]]:
    """The series of a padded array [N, T(, channels)], or of one that has them one below the other."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"{place} is of type {values.dtype}; expected numbers")
    if lengths is None:
        if values.ndim not in (2, 3):
            raise DataError(f"{place} has shape {values.shape}; expected [N, T] or [N, T, channels]")
        cube = values[:, :, None] if values.ndim == 2 else values
        rows = [trim(row) for row in cube] if values.dtype.kind == "f" else list(cube)
        empty = next((index for index, row in enumerate(rows) if not len(row)), None)
        if empty is not None:
            raise DataError(f"{place}: series {empty} has no value at all; leave it out")
        return rows
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise DataError(f"{place}: lengths {lengths.shape} of {lengths.dtype} arrived; expected positive integers [N]")
    if len(lengths) == len(values) and values.ndim in (2, 3):
        if int(lengths.max()) > values.shape[1]:
            raise DataError(f"{place}: a length of {lengths.max()} arrived for {values.shape[1]} steps")
        return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]
    if int(lengths.sum()) == len(values) and values.ndim in (1, 2):
        return np.split(values, np.cumsum(lengths)[:-1])
    raise DataError(
        f"{place} has shape {values.shape} with {len(lengths)} lengths whose sum is {lengths.sum()}; expected "
        "[N, T, channels] (padded), or all steps one below the other"
    )


def _targets(array: npt.NDArray[Any], options: Options, place: str) -> npt.NDArray[Any]:
    if options.targets == "numbers":
        if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
            raise DataError(f"{place} has shape {array.shape} of {array.dtype}; expected numbers [N] or [N, K]")
        numbers = array.astype(np.float64)
        if not np.isfinite(numbers).all():
            row = int((~np.isfinite(numbers.reshape(len(numbers), -1))).any(1).argmax())
            raise DataError(f"{place}: the target of series {row} is not finite; give it or leave the series out")
        return numbers
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1 and array.dtype.kind == "f":
        if np.isnan(array).any():
            raise DataError(f"{place}: the label of series {int(np.isnan(array).argmax())} is missing")
        return text.labels([str(value) for value in array.tolist()])
    if array.ndim != 1:
        raise DataError(f"{place} has shape {array.shape}; expected one label a series, [N]")
    names = as_targets(array)
    for row, name in enumerate(names.tolist()):
        text.check_label(name, f"{place}: series {row}")
    return names
