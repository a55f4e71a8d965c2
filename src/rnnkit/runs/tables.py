"""Tables of answers: to a file by its suffix, or as text for a terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MissingExtraError
from ..serialization import json_text, replacing

Columns = dict[str, list[Any]]
_LARGE = 1e12  # from there on numbers are printed as powers of ten
SUFFIXES = (".csv", ".json", ".parquet")


def check_suffix(path: Path) -> None:
    """Raise ConfigError where no table can be written to a file of that name, MissingExtraError without pyarrow."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {path} arrived; expected a file ending in {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise ConfigError(f"--out {path} is a folder; name a file in it, such as {path / 'predictions.csv'}")
    if path.suffix.lower() == ".parquet":
        _pyarrow()


def write_table(columns: Columns, path: Path) -> None:
    """Write a table, whole or not at all: ``.csv`` (UTF-8), ``.json`` (a list of objects, one a row), ``.parquet``.

    Numbers are written so that they read back the same; in ``.json`` null means NaN and infinities.

    Raises:
        ConfigError: another suffix. MissingExtraError: parquet without pyarrow.
    """
    check_suffix(path)
    kind = path.suffix.lower()
    with replacing(path) as temporary:
        if kind == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(_rows(columns))
        elif kind == ".json":
            rows = [dict(zip(columns, row, strict=True)) for row in _rows(columns)]
            temporary.write_text(json_text(rows, indent=1), encoding="utf-8")
        else:
            arrow, parquet = _pyarrow()
            parquet.write_table(arrow.table(columns), str(temporary))


def as_text(columns: Columns, most: int = 10) -> list[str]:
    """Return lines of aligned columns; numbers to four digits, no more than so many columns."""
    names = list(columns)[:most]
    left_out = len(columns) - len(names)
    cells = [[name, *map(_cell, columns[name])] for name in names]
    widths = [max(map(len, column)) for column in cells]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*cells, strict=True)
    ]
    return lines + ([f"({left_out} more columns; --out FILE.csv writes all)"] if left_out else [])


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    short = f"{value:.4g}"
    return f"{value:.0f}" if "e+" in short and abs(value) < _LARGE else short


def _rows(columns: Columns) -> Iterable[tuple[Any, ...]]:
    return zip(*columns.values(), strict=True)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("writing .parquet needs pyarrow: pip install 'rnnkit[tables]'") from error
    return pyarrow, pyarrow.parquet
