"""The one call that reads a file, a folder or your DataFrame into a `SeriesSet`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError, DataError, Place, Remedy, check_choice, check_path, suggest
from ..spelling import composed
from .frames import is_frame
from .guesses import Guesses
from .series import SeriesSet

if TYPE_CHECKING:
    import pandas as pd

Targets = Literal["labels", "numbers"]

# One file a format; what has the suffix goes there. What their classes hold decides the kind of a folder.
READERS = {
    "csv": "delimited",
    "tsv": "delimited",
    "txt": "delimited",
    "parquet": "parquet",
    "npz": "npz",
    "ts": "ts",
    "arff": "arff",
}
FOLDERS = {"tables": "folder_of_tables", "images": "folder_of_images", "shards": "folder_of_shards"}
# Formats whose columns have the same roles: what was trained on CSV may be given parquet, or a folder of tables.
_TABLES = {"delimited", "parquet", "folder_of_tables", "frames"}


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
    thousands: str | None = None
    comment: str | None = None
    missing_codes: Sequence[str | float] = ()
    keep_columns: Sequence[str] = ()
    time_format: str | None = None
    duplicates: Literal["keep", "first", "last", "mean", "error"] = "keep"
    size: tuple[int, int] | None = None
    cells: int | None = None
    # What no user types:
    guesses: Guesses = field(default_factory=Guesses, compare=False)
    absent: list[set[str]] | None = None  # for each file of a folder, the columns to ignore that it has not
    is_new: bool = False  # data for a model that was trained on other data; it may lack what is not needed
    usual_marks: Sequence[str] = ()  # of other data of the kind: its decimal mark, and those of thousands

    def __post_init__(self) -> None:
        names = ("id_column", "time_column", "group_column", "target_column", "value_columns", "ignore_columns")
        for name in (*names, "keep_columns", "missing_codes"):
            given = getattr(self, name)
            if name.endswith("s"):
                given = None if given is None else _listed(given)
            object.__setattr__(self, name, _composed(given))
        check_choice(self.targets, "targets", ("labels", "numbers", None))
        check_choice(self.layout, "layout", ("long", "wide", None))
        check_choice(self.duplicates, "duplicates", ("keep", "first", "last", "mean", "error"))
        check_choice(self.decimal, "decimal", (".", ",", None))
        check_choice(self.thousands, "thousands", (".", ",", " ", "'", None))
        if self.thousands is not None and self.thousands == self.decimal:
            raise ConfigError.of("thousands", self.thousands, "expected another mark than the decimal mark")
        check_encoding(self.encoding)
        if self.comment is not None and not self.comment.strip():
            raise ConfigError.of("comment", self.comment, 'expected how a comment begins, such as "#"')

    @property
    def target_columns(self) -> tuple[str, ...]:
        """The named target columns, if any."""
        named = self.target_column
        return () if named is None else (named,) if isinstance(named, str) else tuple(named)


def _listed(given: Any) -> tuple[Any, ...]:
    """One value, or any collection of values, as a tuple."""
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        return (given,)
    return tuple(given)


def check_encoding(encoding: Any) -> None:
    """Raise ConfigError for what is no encoding that Python knows; None is let through."""
    if encoding is not None and not _is_encoding(encoding):
        raise ConfigError.of("encoding", encoding, 'expected a name such as "gb18030", "latin-1" or "utf-16"')


def _is_encoding(name: Any) -> bool:
    """Whether Python reads text in an encoding of this name."""
    try:
        b"a".decode(name)
    except UnicodeError:  # one letter may be too short
        return True
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _composed(names: Any) -> Any:
    """A name, or several, as `spelling.composed` writes them; all else stays."""
    if isinstance(names, list | tuple):
        return type(names)(map(_composed, names))
    return composed(names) if isinstance(names, str) else names


_INTERNAL = {"guesses", "absent", "is_new", "usual_marks"}


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
                        also one of such files, or an image; or of shards of series
    a DataFrame         of pandas, as the same table in a CSV; an index with a name, or of text, is a column, and one
                        of dates the time
    ==================  ==========================================================================================

    The roles of columns are guessed from their names (``id``, ``time`` or ``date``, ``label`` or ``target`` and the
    like, in Chinese too); what cannot be decided is an error that lists the columns and what to type.

    Args:
        path: the file or folder, or a DataFrame.
        targets: "labels" (classes, text), "numbers" (float64), or None. With None, a column of targets that the file
            may have is set aside.
        format: one of "csv", "tsv", "txt", "parquet", "npz", "ts", "arff", "tables", "images", "shards", where the
            suffix or the folder does not say it.
        layout: "long" or "wide".
        id_column, time_column, group_column: names of columns.
        target_column: the label's column; for numbers also a list of columns. In a file without a header "first",
            "last" or a number.
        value_columns: the channels (long) or steps (wide); else all columns that are nothing else. Of ``.npz``: the
            array with the series, its channels, or both.
        ignore_columns: columns to leave out.
        keep_columns: columns that stay though they look like row numbers: whole numbers that rise or fall with every
            row of the file, or each number from 0 or 1 on once. Such a column is left out otherwise, and a warning
            says so.
        header: False if the first line of a delimited file is data. Else that is guessed.
        encoding: of a text file, such as "gb18030" or "latin-1". Else UTF-8, or UTF-16 with a byte order mark.
        delimiter, decimal: of a delimited file, else found from its first lines: one of ``, ; tab |`` or blanks, and
            ``.`` or ``,``.
        thousands: the mark between groups of three digits, ``.``, ``,``, a blank or ``'``; needed where a cell such as
            2.155 beside a decimal comma could be both.
        comment: how lines begin that are skipped, such as "#".
        missing_codes: numbers or words that stand for a missing value, such as [-9999, "n.d."]; beside empty cells,
            "?", "NA", "NaN" and "null".
        time_format: of the time stamps, such as "%d/%m/%Y %H:%M".
        duplicates: treatment of steps of one series with the same time stamp: "keep" (both, in the file's order,
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
    known = [option.name for option in fields(Options) if option.name not in _INTERNAL]
    for name in columns:
        if name not in known:
            raise ConfigError(f"read_series has no argument {name!r}{suggest(name, known)}")
    return _read(path, Options(targets=targets, **columns), format)


def _read(path: str | os.PathLike[str] | pd.DataFrame, options: Options, format: str | None) -> SeriesSet:
    """Read, and say what was guessed in a warning at the caller of `read_series` or `read_like`."""
    from .readers.arguments import check_arguments

    source: Any = path
    name = "frames"
    if not is_frame(path):
        source = _existing(path)
        name = _reader(source, format)
    check_arguments(name, options)
    series: SeriesSet = importlib.import_module(f".readers.{name}", __package__).read(source, options)
    options.guesses.warn(stacklevel=3)
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
    if is_frame(path):
        form = "table"
    else:
        file = _existing(path)
        form = _form(_reader(file, columns.get("format")))
        if "encoding" in named and _is_utf8(file):
            del named["encoding"]
    if read_options.get("form") != form:
        named = {}
    format = columns.pop("format", None)
    known = {option.name for option in fields(Options)} - _INTERNAL
    for name in columns:
        if name not in known:
            raise ConfigError(f"read_like has no argument {name!r}{suggest(name, sorted(known))}")
    return _read(path, Options(targets=targets, is_new=True, **{**named, **columns}), format)


def _existing(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise DataError(
            f"a {type(path).__name__} arrived; expected a path or a DataFrame",
            remedy="for arrays use SeriesSet.from_arrays(values, targets)",
        )
    check_path(path)
    if not Path(path).exists():
        raise DataError("there is no such file or folder", Place(str(Path(path))))
    return Path(path)


def _is_utf8(path: Path) -> bool:
    """Return whether the file, or every file in the folder, is UTF-8 with characters beyond ASCII.

    Text in another encoding is almost never valid UTF-8. ASCII alone does not show the encoding.
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
