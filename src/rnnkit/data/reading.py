"""The one call that reads a file, a folder or a DataFrame of the user's own into a `SeriesSet`."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from ..errors import ConfigError, DataError, Place, Remedy, check_choice, suggest
from .series import SeriesSet

if TYPE_CHECKING:
    import pandas as pd

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
        check_choice(self.targets, "targets", ("labels", "numbers", None))
        check_choice(self.layout, "layout", ("long", "wide", None))
        check_choice(self.duplicates, "duplicates", ("keep", "first", "last", "mean", "error"))
        check_choice(self.decimal, "decimal", (".", ",", None))

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The named target columns, if any."""
        named = self.target_column
        return () if named is None else (named,) if isinstance(named, str) else tuple(named)


def read_series(
    path: str | os.PathLike[str] | pd.DataFrame,
    *,
    targets: Targets | None = "labels",
    format: str | None = None,
    **columns: Any,
) -> SeriesSet:
    """Read sequences from a file, a folder or a DataFrame; the suffix says the format.

    ==================  ==========================================================================================
    ``.csv .tsv .txt``  long: a row a time step (id, time, value columns, label); wide: a row a series (steps, label);
                        without a header as in the UCR archive: the label, then the steps
    ``.parquet``        as CSV; a wide table may hold a list in each cell, a column a channel
    ``.npz``            ``X`` [N, T], [N, T, channels] or [sum of T, channels]; ``y``; ``lengths``, ``ids``, ``groups``
    ``.ts`` ``.arff``   the formats of the UCR and UEA archives, one or several channels
    a folder            of one folder a class with tables (a file a series), or images (read by rows); without targets
                        also one of such files, or an image
    a DataFrame         of pandas, as the same table in a CSV; an index with a name is a column, and one of dates the
                        time
    ==================  ==========================================================================================

    The roles of columns are guessed from their names (``id``, ``time`` or ``date``, ``label`` or ``target`` and the
    like, in Chinese too); what cannot be told is an error that lists the columns and what to type.

    Args:
        path: the file or folder, or a DataFrame.
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
    series: SeriesSet
    if _is_frame(path):
        from .readers import frames

        series = frames.read(path, options)
        return replace(series, read_options={"form": "table", **series.read_options})
    file = _existing(path)
    name = _reader(file, format)
    series = importlib.import_module(f".readers.{name}", __package__).read(file, options)
    return replace(series, read_options={"form": _form(name), **series.read_options})


def read_like(
    read_options: Mapping[str, Any],
    path: str | os.PathLike[str] | pd.DataFrame,
    *,
    targets: Targets | None = None,
    **columns: Any,
) -> SeriesSet:
    """Read a file or a DataFrame as another one was read.

    Args:
        read_options: `SeriesSet.read_options` of the other one. Ignored for another format, say `.ts` and not CSV; the
            stored encoding is ignored for UTF-8 files.
        path, targets, columns: as in :func:`read_series`; what is named here counts more than `read_options`.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "train.csv"
        >>> _ = file.write_text("name,hour,x,kind\\na,0,1,u\\na,1,1,u\\nb,0,5,v\\n")
        >>> train = read_series(file, id_column="name", time_column="hour", target_column="kind")
        >>> _ = file.write_text("name,hour,x\\nc,0,1\\n")
        >>> read_like(train.read_options, file).ids
        ('c',)
    """
    named = {name: value for name, value in read_options.items() if name != "form"}
    if _is_frame(path):
        form = "table"
    else:
        file = _existing(path)
        form = _form(_reader(file, columns.get("format")))
        if "encoding" in named and _is_utf8(file):
            del named["encoding"]
    if read_options.get("form") != form:
        named = {}
    return read_series(path, targets=targets, **{**named, **columns})


def _is_frame(data: Any) -> TypeGuard[pd.DataFrame]:
    """Return whether the data is a DataFrame; pandas is not imported to tell."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _existing(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise DataError(
            f"a {type(path).__name__} arrived; expected a path or a DataFrame",
            remedy="for arrays use SeriesSet.from_arrays(values, targets)",
        )
    if not Path(path).exists():
        raise DataError("there is no such file or folder", Place(str(Path(path))))
    return Path(path)


def _is_utf8(path: Path) -> bool:
    """Return whether the file, or every file in the folder, is UTF-8 with characters beyond ASCII.

    Text in another encoding is valid UTF-8 hardly ever. ASCII alone does not tell the encoding.
    """
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
    """Return the module that reads ``path``."""
    if format is not None:
        check_choice(format, "format", [*READERS, *FOLDERS])
    if path.is_dir():
        if format in READERS:
            raise DataError(
                f"is a folder; the format {format!r} is that of a file",
                Place(str(path)),
                (Remedy("format", "tables"), Remedy("format", "images")),
            )
        if format is None:
            from .readers.folders import find_format

            format = find_format(path)
        return FOLDERS[format]
    from .readers.folders import IMAGES

    if format == "images" or (format is None and path.suffix.lower() in IMAGES):
        return FOLDERS["images"]
    name = format or path.suffix.removeprefix(".").lower()
    if name not in READERS:
        raise DataError(
            f"a file of this format is not known; expected one of .{', .'.join(READERS)}, or a folder of one folder a "
            "class",
            Place(str(path)),
            (
                Remedy("format", purpose="with one of these names"),
                "save a spreadsheet as CSV first",
                "unpack what is packed (.gz, .zip)",
            ),
        )
    return READERS[name]
