"""Files of pairs of texts, and of sources alone, as the recipes for pairs read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError, Place
from ..tasks.text_pairs import TextPair

if TYPE_CHECKING:
    from .pair_settings import Data


def read_pairs(data: Data, path: str, target_path: str | None = None, encoding: str | None = None) -> list[TextPair]:
    """Return the pairs of a file with both sides, or of two parallel files.

    Args:
        data: names the fields.
        path: the file, or that of the sources.
        target_path: the file of the targets, line by line; None: the file has both.
        encoding: None: that of the settings.

    Raises:
        DataError: a file is missing or damaged, or has one side alone.
    """
    from ..data import read_parallel_texts
    from ..data.data_folder import find_data

    file = find_data(path)
    if target_path is not None:
        both = read_parallel_texts((file, find_data(target_path)), encoding=encoding or data.encoding)
        return [TextPair(source, (target,)) for (source, target), _ in both]
    kind = _format(file, data)
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
        for source, target in _rows(file, kind, data, encoding, (data.source, data.target))
    ]


def read_sources(path: Path, data: Data, encoding: str | None) -> list[str]:
    """Return the texts of a file to be answered: its lines, or the source's field of a table."""
    from ..data import read_texts

    kind = _format(path, data)
    if kind == "txt":
        return [text for text, _ in read_texts(path, unit="line", encoding=encoding or data.encoding)]
    return [_joined(source) for (source,) in _rows(path, kind, data, encoding, (data.source,))]


def _rows(file: Path, kind: Any, data: Data, encoding: str | None, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
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
    options: dict[str, Any] = {"header": data.header, "quotes": kind == "csv"} if table else {}
    rows = read_text_rows(file, fields, format=kind, encoding=encoding or data.encoding, **options)
    for row, _ in rows:
        yield tuple(row[field] for field in fields)


def _format(file: Path, data: Data) -> Any:
    from ..data.text.files import format_of

    return data.format or format_of(file) or "txt"


def _joined(value: Any) -> str:
    """A text; the sentences of a list with spaces between them."""
    return value if isinstance(value, str) else " ".join(map(str, value))


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(map(str, value))
