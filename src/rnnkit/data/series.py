"""Sequences of measurements from the user's own files: what they are in memory, and the one call that reads them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import ConfigError, DataError, suggest

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

Targets = Literal["labels", "numbers"]

# One file a format; what has the suffix goes there. Folders are told apart by what their classes hold.
READERS = {
    "csv": "delimited",
    "tsv": "delimited",
    "txt": "delimited",
    "parquet": "parquet",
    "npz": "npz",
    "ts": "ts",
    "arff": "arff",
}
FOLDERS = {"tables": "folder_of_tables", "images": "folder_of_images"}
# Formats whose columns have the same roles: what was trained on CSV may be given parquet, or a folder of tables.
_TABLES = {"delimited", "parquet", "folder_of_tables"}


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """N sequences of measurements, their lengths unequal, gaps as NaN.

    Attributes:
        values: row i is float32 [T_i, channels], NaN where a value is missing.
        channels: the channels' names.
        targets: [N] of str (labels), float64 [N] or [N, K] (numbers), or None.
        ids: what each row is called in messages and predictions: its id, ``file:line`` or file name.
        groups: [N] of str or None; rows of one group never land in two parts of a split.
        times: [N] of datetime64 (UTC if the file names zones) or numbers: a row's first time stamp.
        step_times: row i is [T_i], the time stamp of each step, or None where a file has none.
        source: the file or folder they came from.
        steps: names of the columns that hold the steps, for a table with a row a series and a header; else empty.
        roles: what :func:`read_like` needs to read a file of the same form in the same way; JSON values.

    Example:
        >>> import numpy as np
        >>> series = SeriesSet.from_arrays([np.zeros((3, 2)), np.zeros((5, 2))], ["rest", "walk"])
        >>> len(series), series.channels, series.lengths.tolist(), series[[1]].targets.tolist()
        (2, ('channel 0', 'channel 1'), [3, 5], ['walk'])
    """

    values: list[npt.NDArray[np.float32]]
    channels: tuple[str, ...]
    targets: npt.NDArray[Any] | None
    ids: tuple[str, ...]
    groups: npt.NDArray[Any] | None = None
    times: npt.NDArray[Any] | None = None
    source: str = ""
    step_times: list[npt.NDArray[Any]] | None = None
    steps: tuple[str, ...] = ()
    roles: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count, width = len(self.values), len(self.channels)
        for name in ("targets", "ids", "groups", "times", "step_times"):
            column = getattr(self, name)
            if column is not None and len(column) != count:
                raise DataError(f"{len(column)} {name} arrived for {count} series; expected one a series")
        for row, values in zip(self.ids, self.values, strict=True):
            if values.ndim != 2 or values.shape[1] != width or not len(values):
                raise DataError(
                    f"series {row} has shape {values.shape}; expected (time, {width}) with at least one step"
                )

    @staticmethod
    def from_arrays(
        values: Any,
        targets: Any = None,
        *,
        channels: Sequence[str] | None = None,
        ids: Sequence[str] | None = None,
        groups: Any = None,
        source: str = "",
    ) -> SeriesSet:
        """Takes arrays that are in memory already.

        Args:
            values: [N, T] (one channel), [N, T, channels], or a list of [T_i] or [T_i, channels]. NaN is missing.
            targets: [N] labels (text or integers) or numbers ([N] or [N, K] floats), or None.
            channels: their names, else "value", or "channel 0" and so on.
            ids: a name a row, else its number.
            groups: [N], any values.
            source: what messages call the whole.

        Raises:
            DataError: not numbers, infinite numbers, no row, or sizes that do not fit.
        """
        rows = [_row(row, index, source) for index, row in enumerate(values)]
        if not rows:
            raise DataError(f"{source or 'values'}: no series at all arrived; expected at least one")
        width = rows[0].shape[1]
        if channels is None:
            channels = ["value"] if width == 1 else [f"channel {index}" for index in range(width)]
        return SeriesSet(
            values=rows,
            channels=tuple(channels),
            targets=None if targets is None else as_targets(targets),
            ids=tuple(map(str, range(len(rows)) if ids is None else ids)),
            groups=None if groups is None else np.asarray([str(group) for group in groups]),
            source=source,
        )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> SeriesSet:
        """The rows of a slice, a list or array of integers, or a mask."""
        picked = np.arange(len(self))[rows]
        if picked.ndim != 1:
            raise DataError(f"{rows!r} picks one series; series[[{rows!r}]] is the set that holds it alone")
        return replace(
            self,
            values=[self.values[row] for row in picked],
            ids=tuple(self.ids[row] for row in picked),
            step_times=None if self.step_times is None else [self.step_times[row] for row in picked],
            targets=None if self.targets is None else self.targets[picked],
            groups=None if self.groups is None else self.groups[picked],
            times=None if self.times is None else self.times[picked],
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """[N], the number of steps of each series."""
        return np.array([len(row) for row in self.values], np.int64)

    @property
    def has_missing(self) -> bool:
        """Whether any value is NaN."""
        return any(bool(np.isnan(row).any()) for row in self.values)


@dataclass(frozen=True)
class Options:
    """The arguments of :func:`read_series`, as the readers get them."""

    targets: Targets | None = "labels"
    layout: Literal["long", "wide"] | None = None
    id_column: str | None = None
    time_column: str | None = None
    target_column: str | Sequence[str] | None = None
    group_column: str | None = None
    value_columns: Sequence[str] | None = None
    ignore_columns: Sequence[str] = ()
    header: bool | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    time_format: str | None = None
    duplicates: Literal["keep", "first", "last", "mean", "error"] = "keep"
    size: tuple[int, int] | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        for name, choices in {
            "targets": ("labels", "numbers", None),
            "layout": ("long", "wide", None),
            "duplicates": ("keep", "first", "last", "mean", "error"),
            "decimal": (".", ",", None),
        }.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name}={getattr(self, name)!r} arrived; expected one of {choices}")

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The named target columns, if any."""
        named = self.target_column
        return () if named is None else (named,) if isinstance(named, str) else tuple(named)


def read_series(
    path: str | os.PathLike[str],
    *,
    targets: Targets | None = "labels",
    format: str | None = None,
    **columns: Any,
) -> SeriesSet:
    """Reads sequences from a file or a folder; the suffix says the format.

    ==================  ==========================================================================================
    ``.csv .tsv .txt``  long: a row a time step (id, time, value columns, label); wide: a row a series (steps, label);
                        without a header as in the UCR archive: the label, then the steps
    ``.parquet``        as CSV; a wide table may hold a list in each cell, a column a channel
    ``.npz``            ``X`` [N, T], [N, T, channels] or [sum of T, channels]; ``y``; ``lengths``, ``ids``, ``groups``
    ``.ts`` ``.arff``   the formats of the UCR and UEA archives, one or several channels
    a folder            of one folder a class with tables (a file a series), or images (read by rows); without targets
                        also one of such files, or an image
    ==================  ==========================================================================================

    The roles of columns are guessed from their names (``id``, ``time`` or ``date``, ``label`` or ``target`` and the
    like, in Chinese too); what cannot be told is an error that lists the columns and what to type.

    Args:
        path: the file or folder.
        targets: "labels" (classes, text), "numbers" (float64), or None. With None, a column of targets that the file
            may have is set aside.
        format: one of "csv", "tsv", "txt", "parquet", "npz", "ts", "arff", "tables", "images", where the suffix or
            the folder does not say it.
        layout: "long" or "wide".
        id_column, time_column, group_column: names of columns.
        target_column: the label's column; for numbers also a list of columns. In a file without a header "first",
            "last" or a number.
        value_columns: the channels (long) or steps (wide); else all columns that are nothing else.
        ignore_columns: columns to leave out.
        header: False if the first line of a delimited file is data. Else that is guessed.
        encoding: of a text file, such as "gb18030" or "latin-1". Else UTF-8, or UTF-16 with a byte order mark.
        delimiter, decimal: of a delimited file, else found from its first lines: one of ``, ; tab |`` or blanks, and
            ``.`` or ``,``.
        time_format: of the time stamps, such as "%d/%m/%Y %H:%M".
        duplicates: what becomes of steps of one series with the same time stamp: "keep" (both, in the file's order,
            with a warning), "first", "last", "mean" or "error".
        size: (height, width) to which images are resized.
        cells: how many cells a line has with its target, where there is no header. If targets=None and all lines have
            one less, the target is not there and nothing is set aside.

    Returns:
        The series, sorted by time within each; numbers are finite, or NaN where a value is missing.

    Raises:
        DataError: the file is missing or cannot be used as it is; the message names file, line and what to do.
        ConfigError: an argument does not exist or has no such value.
        MissingExtraError: pandas or pyarrow is needed (``pip install rnnkit[tables]``).

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "steps.csv"
        >>> _ = file.write_text("id,time,x,y,z,label\\na,0,1,2,3,walk\\na,1,1,2,,walk\\nb,0,5,5,5,rest\\n")
        >>> series = read_series(file)
        >>> series.ids, series.channels, series.targets.tolist(), series.lengths.tolist()
        (('a', 'b'), ('x', 'y', 'z'), ['walk', 'rest'], [2, 1])
    """
    known = [option.name for option in fields(Options)]
    for name in columns:
        if name not in known:
            raise ConfigError(f"read_series has no argument {name!r}{suggest(name, known)}")
    options = Options(targets=targets, **columns)
    file = Path(path)
    if not file.exists():
        raise DataError(f"{file}: there is no such file or folder")
    name = _reader(file, format)
    series: SeriesSet = importlib.import_module(f".readers.{name}", __package__).read(file, options)
    return replace(series, roles={"form": _form(name), **series.roles})


def read_like(
    roles: Mapping[str, Any], path: str | os.PathLike[str], *, targets: Targets | None = None, **columns: Any
) -> SeriesSet:
    """Reads a file as another one was read.

    Args:
        roles: `SeriesSet.roles` of the other one. They are left aside if `path` has another form, say `.ts` not CSV;
            its encoding is, if all of `path` is UTF-8.
        path, targets, columns: as in :func:`read_series`; what is named here counts more than `roles`.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = file.write_text("name,hour,x,kind\\na,0,1,u\\na,1,1,u\\nb,0,5,v\\n")
        >>> train = read_series(file, id_column="name", time_column="hour", target_column="kind")
        >>> _ = file.write_text("name,hour,x\\nc,0,1\\n")
        >>> read_like(train.roles, file).ids
        ('c',)
    """
    named = {name: value for name, value in roles.items() if name != "form"}
    if not Path(path).exists():
        raise DataError(f"{path}: there is no such file or folder")
    if roles.get("form") != _form(_reader(Path(path), columns.get("format"))):
        named = {}
    if "encoding" in named and _is_utf8(Path(path)):
        del named["encoding"]
    return read_series(path, targets=targets, **{**named, **columns})


def _is_utf8(path: Path) -> bool:
    """Whether the file, or every file in the folder, is UTF-8 beyond ASCII: text in another encoding is so by no chance
    that matters, while ASCII may be either (UTF-16 is, with zero bytes)."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    beyond = False
    for file in files:
        try:
            raw = file.read_bytes()
            raw.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return False
        if b"\0" in raw:
            return False
        beyond = beyond or not raw.isascii()
    return beyond


def _form(reader: str) -> str:
    return "table" if reader in _TABLES else reader


def _reader(path: Path, format: str | None) -> str:
    """The module that reads ``path``."""
    known = {**READERS, **FOLDERS}
    if format is not None and format not in known:
        raise ConfigError(f"format={format!r} arrived{suggest(format, list(known))}")
    if path.is_dir():
        if format in READERS:
            raise DataError(f"{path} is a folder; format={format!r} is that of a file")
        if format is None:
            from .readers.folders import kind

            format = kind(path)
        return FOLDERS[format]
    from .readers.folders import IMAGES

    if format == "images" or (format is None and path.suffix.lower() in IMAGES):
        return FOLDERS["images"]
    name = format or path.suffix.removeprefix(".").lower()
    if name not in READERS:
        raise DataError(
            f"{path}: a file of this kind is not known; expected one of .{', .'.join(READERS)}, a folder of one "
            "folder a class, or format= with one of these names; save a spreadsheet as CSV first, and unpack what is "
            "packed (.gz, .zip)"
        )
    return READERS[name]


def as_targets(targets: Any) -> npt.NDArray[Any]:
    """Targets as `SeriesSet` holds them: text and integers become labels (str), floats stay numbers."""
    array = np.asarray(targets)
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    if array.dtype.kind not in "biuUSO" or array.ndim != 1:
        raise DataError(f"targets {array.shape} of {array.dtype} arrived; expected labels [N] or numbers [N] or [N, K]")
    return np.array([label.decode() if isinstance(label, bytes) else str(label) for label in array.tolist()], np.str_)


def trim(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Drops the steps at the end of [T, channels] that are missing in all channels: there they are padding."""
    seen = np.flatnonzero(~np.isnan(row).all(1))
    return row[: seen[-1] + 1] if len(seen) else row[:0]


def _row(row: Any, index: int, source: str) -> npt.NDArray[np.float32]:
    array = np.asarray(row)
    where = f"{source}: series {index}" if source else f"series {index}"
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} is of type {array.dtype}; expected numbers")
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(
            f"{where} has shape {np.shape(row)}; expected (time,) or (time, channels), at least one of each"
        )
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if np.isinf(single).any():
        step, channel = np.argwhere(np.isinf(single))[0].tolist()
        raise DataError(
            f"{where} holds {array[step, channel]} at step {step} in channel {channel}; expected finite float32 "
            "numbers, or NaN for what is missing"
        )
    return single
