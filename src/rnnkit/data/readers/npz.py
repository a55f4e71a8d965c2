"""``.npz``: arrays by name. Nothing is unpickled, so arrays of objects are refused."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError, Place, Remedy, suggest
from ...spelling import composed, merged
from ..reading import Options
from ..row_checks import check_labels, check_numbers, check_rows
from ..sentences import quoted
from ..series import SeriesSet, as_targets
from . import text
from .numerals import Numerals
from .row_numbers import counts_rows, is_counter_name, say_left_out

if TYPE_CHECKING:
    import numpy.typing as npt

_VALUES = ("X", "x", "values", "data", "series", "x_train", "X_train")
_TARGETS = ("y", "Y", "labels", "label", "targets", "target", "y_train")


def read(path: Path, options: Options) -> SeriesSet:
    """Read a ``.npz`` file; see :func:`rnnkit.data.read_series`."""
    place = Place(str(path))
    arrays = read_arrays(path)
    channels = _texts(arrays["channels"].tolist()) if "channels" in arrays else []
    names = [*arrays, *channels]
    unknown = [name for name in options.ignore_columns if name not in names]
    if unknown and not options.is_new:
        raise DataError(f"there is no array or channel {unknown[0]!r} to leave out{suggest(unknown[0], names)}", place)
    arrays = {name: array for name, array in arrays.items() if name not in options.ignore_columns}
    key, wanted = _values(arrays, options, channels, place)
    target_key = None
    if options.targets is not None:
        target_key = _pick(arrays, options.target_columns or None, _TARGETS, "target_column", place)
    ids, groups, times = (
        _column(arrays, argument, getattr(options, argument), usual, place, may_be_absent=options.is_new)
        for argument, usual in (("id_column", "ids"), ("group_column", "groups"), ("time_column", "times"))
    )
    rows = _rows(arrays[key], arrays.get("lengths"), place.at(part=f"array {key}"), Numerals.of(options))
    check_rows(rows, lambda row: place.at(part=f"array {key}: series {row}"))
    targets = None
    if target_key is not None:
        targets = _targets(arrays[target_key], options, place.at(part=f"array {target_key}"))
    read_options: dict[str, Any] = {"value_columns": [key, *wanted]}
    if target_key is not None:
        read_options["target_column"] = [target_key]
    for argument in ("id_column", "group_column", "time_column", "ignore_columns", "missing_codes"):
        if value := getattr(options, argument):
            read_options[argument] = list(value) if isinstance(value, tuple) else value
    used = {key, target_key, options.id_column, options.group_column, options.time_column}
    unused = [
        name for name in arrays if name not in {*used, *_TARGETS, "channels", "lengths", "ids", "groups", "times"}
    ]
    if unused and not options.is_new:
        several = len(unused) > 1
        said = f"the array{'s' if several else ''} {', '.join(map(repr, unused))} {'are' if several else 'is'} not used"
        remedies = [Remedy(name, purpose="with its name if it is one") for name in ("id_column", "group_column")]
        options.guesses.add(said, place, [*remedies, Remedy("ignore_columns", [*options.ignore_columns, *unused])])
    given = _texts(ids) if ids is not None else []
    text.say_merged(merged(given), place, options)
    series = SeriesSet.from_arrays(
        rows,
        targets,
        channels=channels or None,
        ids=[composed(name) for name in given] if ids is not None else None,
        groups=None if groups is None else [composed(name) for name in _texts(groups)],
        source=str(path),
    )
    unknown = [name for name in options.keep_columns if name not in series.channels]
    if unknown and not options.is_new:
        raise _no_channel(f"no channel {unknown[0]!r} to keep", unknown[0], series.channels, place)
    unknown = [name for name in wanted if name not in series.channels]
    if unknown:
        problem, note = f"no array or channel {unknown[0]!r}", f"Arrays: {', '.join(map(repr, arrays))}"
        raise _no_channel(problem, unknown[0], series.channels, place, [*arrays], note)
    kept = [name for name in wanted or series.channels if name not in options.ignore_columns]
    if not kept:
        raise DataError("no channel is left", place, note=f"Channels: {', '.join(map(repr, series.channels))}")
    counters = [] if wanted or options.is_new else _counters(series, kept, options)
    if counters:
        say_left_out(counters, place, options, "channel")
        read_options["ignore_columns"] = [*options.ignore_columns, *counters]
        kept = [name for name in kept if name not in counters]
    if kept != [*series.channels]:
        columns = [series.channels.index(name) for name in kept]
        series = replace(series, values=[row[:, columns] for row in series.values], channels=tuple(kept))
    return replace(series, times=None if times is None else np.asarray(times), read_options=read_options)


def _values(
    arrays: dict[str, npt.NDArray[Any]], options: Options, channels: list[str], place: Place
) -> tuple[str, list[str]]:
    """Return the name of the array with the series, and the channels of it that `value_columns` names, if any."""
    named = options.value_columns
    if named is None:
        return _pick(arrays, None, _VALUES, "value_columns", place), []
    found = [name for name in named if name in arrays]
    others = [name for name in dict.fromkeys(named) if name not in arrays]
    if len(found) > 1:
        return _pick(arrays, found, _VALUES, "value_columns", place), []
    if not found and not any(name in arrays for name in _VALUES):
        return _pick(arrays, others if len(others) == 1 else None, _VALUES, "value_columns", place), []
    return (found[0] if found else _pick(arrays, None, _VALUES, "value_columns", place, others)), others


def _counters(series: SeriesSet, names: Sequence[str], options: Options) -> list[str]:
    """Return the channels that only count the rows of all series, one below the other."""
    if len(series) < 2:  # what rises in a single series may be measured
        return []
    flat = np.concatenate(series.values)
    found = [
        name
        for name in names
        if name not in options.keep_columns and counts_rows(flat[:, series.channels.index(name)], name)
    ]
    named = [name for name in found if is_counter_name(name)]
    others = [name for name in found if name not in named]
    found = named + (others if len(others) == 1 else [])  # several channels that rise are measurements
    return found if len(found) < len(names) else []


def _no_channel(
    problem: str, name: str, channels: Sequence[str], place: Place, others: Sequence[str] = (), note: str = ""
) -> DataError:
    """Return the error about a name that none of the channels has."""
    near = suggest(name, [*channels, *others])
    shown = quoted(channels, 20)
    listed = f"{note}. Channels: {shown}" if note else f"Channels: {shown}"
    return DataError(f"there is {problem}{near if near.endswith('?') else ''}", place, note=listed)


def _column(
    arrays: dict[str, Any], argument: str, named: str | None, usual: str, place: Place, *, may_be_absent: bool
) -> list[Any] | None:
    """The array [N] that the user named, else the one with the usual name, as a list."""
    if named is None or (may_be_absent and named not in arrays):
        found = arrays.get(usual)
        return None if found is None else list(found) if usual == "times" else found.tolist()
    if named not in arrays:
        remedy = Remedy(argument, purpose="with the name of an array")
        raise DataError(f"there is no array {named!r}{suggest(named, list(arrays))}", place, remedy)
    if arrays[named].ndim != 1:
        raise DataError(
            f"has shape {arrays[named].shape}; expected one value a series, [N]", place.at(part=f"array {named}")
        )
    return list(arrays[named]) if usual == "times" else arrays[named].tolist()


def _texts(names: Sequence[Any]) -> list[str]:
    """Names as text: bytes are decoded, and whole numbers are written without ".0"."""
    plain = [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]
    return [str(int(name)) if isinstance(name, float) and name.is_integer() else str(name) for name in plain]


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a ``.npz`` file by their names.

    Raises:
        DataError: the file is none, is damaged, or holds Python objects.
    """
    if not zipfile.is_zipfile(path):
        raise DataError("is no .npz file, as np.savez(path, X=..., y=...) writes one", Place(str(path)))
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {}
            for name in stored.files:
                try:
                    arrays[name] = stored[name]
                except ValueError:
                    raise DataError(
                        f"array {name!r} holds Python objects, which are not unpickled",
                        Place(str(path)),
                        "save numbers padded to the longest series, and their lengths: "
                        "np.savez(path, X=..., lengths=..., y=...)",
                    ) from None
            return arrays
    except (ValueError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read as a .npz file ({error})", Place(str(path))) from None


def _pick(
    arrays: dict[str, Any],
    named: Sequence[str] | None,
    known: tuple[str, ...],
    argument: str,
    place: Place,
    channels: Sequence[str] = (),
) -> str:
    """Return the name of the one array that was named, else of the one that has a known name."""
    found = list(named) if named is not None else [name for name in known if name in arrays]
    if len(found) == 1 and found[0] in arrays:
        return found[0]
    if named is not None:
        problem = f"there is no array {found[0]!r}" if len(found) == 1 else f"{found} arrived; expected one array"
    elif found:
        problem = f"{' and '.join(map(repr, found))} may both be meant"
    else:
        problem = f"none of the arrays is called {' or '.join(map(repr, known[:3]))}"
    to_try = found if len(found) > 1 else list(arrays)[:1] if len(arrays) == 1 else []
    value = (lambda name: [name, *channels]) if argument == "value_columns" else str
    remedies = [Remedy(argument, value(name)) for name in to_try if name in arrays] or [Remedy(argument)]
    if argument == "target_column":
        remedies.append(Remedy("targets", None, "if there is none"))
    raise DataError(problem, place, remedies, note=f"Arrays: {', '.join(map(repr, arrays))}")


def _rows(
    values: npt.NDArray[Any], lengths: npt.NDArray[Any] | None, place: Place, numerals: Numerals
) -> list[npt.NDArray[Any]]:
    """The series of a padded array [N, T(, channels)], or of one that has them one below the other."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"is of type {values.dtype}; expected numbers", place)
    values = numerals.mask(values)
    if lengths is None:
        if values.ndim not in (2, 3):
            raise DataError(f"has shape {values.shape}; expected [N, T] or [N, T, channels]", place)
        cube = values[:, :, None] if values.ndim == 2 else values
        return list(cube)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        raise DataError(f"lengths {lengths.shape} of {lengths.dtype} arrived; expected positive integers [N]", place)
    if len(lengths) == len(values) and values.ndim in (2, 3):
        if int(lengths.max()) > values.shape[1]:
            raise DataError(f"a length of {lengths.max()} arrived for {values.shape[1]} steps", place)
        cube = values[:, :, None] if values.ndim == 2 else values
        return [row[:length] for row, length in zip(cube, lengths.tolist(), strict=True)]
    if int(lengths.sum()) == len(values) and values.ndim in (1, 2):
        return np.split(values.reshape(len(values), -1), np.cumsum(lengths)[:-1])
    raise DataError(
        f"has shape {values.shape} with {len(lengths)} lengths whose sum is {lengths.sum()}; expected "
        "[N, T, channels] (padded), or all steps one below the other",
        place,
    )


def _targets(array: npt.NDArray[Any], options: Options, place: Place) -> npt.NDArray[Any]:
    def where(row: int) -> Place:
        return place.at(part=f"{place.part}: series {row}")

    if options.targets == "numbers":
        if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
            raise DataError(f"has shape {array.shape} of {array.dtype}; expected numbers [N] or [N, K]", place)
        numbers = array.astype(np.float64)
        check_numbers(numbers, where)
        return numbers
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"has shape {array.shape}; expected one label a series, [N]", place)
    is_float = array.dtype.kind == "f"
    cells = as_targets(array).tolist() if not is_float else [str(value) for value in array.tolist()]
    if array.dtype.kind in "USO":
        text.say_merged(merged(map(str, array.tolist())), place, options)
    names = text.labels(cells)
    words = Numerals.of(options).words
    check_labels(["" if name in words else name for name in names.tolist()], where)
    return names
