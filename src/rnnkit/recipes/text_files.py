"""Files of pairs of texts, and of sources alone, as the recipes for pairs read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError, Place
from ..tasks.text_pairs import TextPair
from .table_settings import as_mark
from .wording import in_data_settings, with_remedies

if TYPE_CHECKING:
    from .interface import DataRequest
    from .pair_settings import Data


_ARGUMENTS = ("format", "encoding", "header", "delimiter", "quotes", "empty")  # of the readers, and of `Data`


def read_pairs(
    data: Data, path: str, target_path: str | None = None, encoding: str | None = None, *, new: bool = False
) -> list[TextPair]:
    """Return the pairs of a file with both sides, or of two parallel files.

    Args:
        data: names the fields.
        path: the file, or that of the sources.
        target_path: the file of the targets, line by line; None: the file has both.
        encoding: None: that of the settings.
        new: whether the pairs are for a run that is trained already.

    Raises:
        DataError: a file is missing or damaged, or has one side alone.
    """
    from ..data import read_parallel_texts
    from ..data.data_folder import find_data

    file = find_data(path)
    if target_path is not None:
        with _in_settings(data, table=False, new=new):
            both = read_parallel_texts(
                (file, find_data(target_path)), encoding=encoding or data.encoding, empty=data.empty
            )
            return [TextPair(source, (target,)) for (source, target), _ in both]
    kind = _format(file, data)
    if kind == "txt" and new:
        raise DataError(
            "is a file of one text a line; expected sources and their targets",
            Place(path),
            (
                "type --set data.target_path=FILE, the file of the targets",
                f"name a .csv, .tsv or .jsonl file with the fields {data.source} and {data.target}",
            ),
        )
    if kind == "txt":
        raise DataError(
            "is a file of one text a line",
            Place(path),
            (
                "type --set data.target_path=FILE, the file of the targets",
                "name a .csv, .tsv or .jsonl file with both sides, or say what it is: --set data.format=tsv",
            ),
        )
    return [
        TextPair(_joined(source), _listed(target), () if isinstance(source, str) else _listed(source))
        for source, target in _rows(file, kind, data, encoding, (data.source, data.target), new)
    ]


def read_new_pairs(data: Data, request: DataRequest) -> list[TextPair]:
    """Return the pairs of the file, or the two parallel files, that a user names with a trained run."""
    target = None if request.target_path is None else str(request.target_path)
    return read_pairs(data, str(request.path), target, request.encoding, new=True)


def read_sources(path: Path, data: Data, encoding: str | None) -> list[str]:
    """Return the texts of a file to be answered: its lines, or the source's field of a table."""
    from ..data import read_texts

    kind = _format(path, data)
    if kind == "txt":
        with _in_settings(data, table=False, new=True):
            return [text for text, _ in read_texts(path, unit="line", encoding=encoding or data.encoding)]
    return [_joined(source) for (source,) in _rows(path, kind, data, encoding, (data.source,), True)]


def _rows(
    file: Path, kind: Any, data: Data, encoding: str | None, names: Sequence[str], new: bool
) -> Iterator[tuple[Any, ...]]:
    """The values of some fields of each record."""
    from ..data import read_text_rows

    table = kind in ("csv", "tsv")
    by_number = table and not data.header
    if by_number and (wrong := [name for name in names if not name.isdigit()]):
        raise ConfigError(
            f"data.header=false arrived with the column {wrong[0]!r}; expected its number, from 0, or --set "
            "data.header=true"
        )
    fields: list[str | int] = [int(name) if by_number else name for name in names]
    # In tables with tabs, quotation marks are characters, as in most corpora of pairs.
    quotes = kind == "csv" if data.quotes is None else data.quotes
    options: dict[str, Any] = (
        {"header": data.header, "quotes": quotes, "delimiter": as_mark(data.delimiter)} if table else {}
    )
    with _in_settings(data, table=table and data.header, new=new):
        rows = read_text_rows(
            file, fields, format=kind, encoding=encoding or data.encoding, empty=data.empty, **options
        )
        for row, _ in rows:
            yield tuple(row[field] for field in fields)


@contextmanager
def _in_settings(data: Data, *, table: bool, new: bool) -> Iterator[None]:
    """Write errors of a block in the words of the command line; those about fields name source and target.

    Args:
        data: names the fields.
        table: whether the file is a table with a header.
        new: whether the run is trained already.
    """
    remedies = ["type --set data.source=NAME --set data.target=NAME"]
    if table:
        remedies.append(
            "type --set data.header=false --set data.source=0 --set data.target=1 if the first line is a pair"
        )
    if new:
        remedies = [f"call the fields {data.source!r} and {data.target!r}, as in the training data"]
    with in_data_settings(_ARGUMENTS, new=new), with_remedies("fields", *remedies):
        yield


def _format(file: Path, data: Data) -> Any:
    from ..data.text.files import format_of

    return data.format or format_of(file) or "txt"


def in_one_line(text: str) -> str:
    """Return a text with a space in place of its line breaks, as sources are read and answers are written.

    Example:
        >>> in_one_line("an apple.\\n\\nmy friend"), in_one_line(" a ")
        ('an apple. my friend', ' a ')
    """
    return text if "\n" not in text else " ".join(line.strip() for line in text.split("\n") if line.strip())


def _joined(value: Any) -> str:
    """A source: the sentences of a list, and lines, with spaces between them."""
    return in_one_line(value) if isinstance(value, str) else " ".join(map(in_one_line, map(str, value)))


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))
