"""Tables whose rows name files, of sound or of pictures: their rows, the roles of their columns, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import DataError, Place, Remedy, suggest
from .text.decoding import decode_file, lines_of
from .text.rows import read_text_rows

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_LOOKED_AT = 100  # rows of a table of which one has to name a file: some may have been lost


def tables_in(folder: Path) -> list[Path]:
    """Return the tables that lie in a folder."""
    return sorted(file for file in folder.iterdir() if file.name.lower().endswith(TABLES) and file.name[0] != ".")


def only_table(folder: Path, tables: Sequence[Path]) -> Path:
    """Return the table of a folder.

    Args:
        folder: for the message.
        tables: those in it that are meant.

    Raises:
        DataError: there is none, or several.
    """
    if len(tables) == 1:
        return tables[0]
    if not tables:
        raise DataError(f"holds no table; expected one of {', '.join(TABLES)}", Place(str(folder)))
    names = ", ".join(file.name for file in tables)
    raise DataError(
        f"holds {len(tables)} tables: {names}", Place(str(folder)), "name one of them in place of the folder"
    )


def table_rows(
    file: Path, exists: Callable[[str], bool], headless: Callable[[int], Sequence[str]]
) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yield the rows of a table by the names of its columns.

    Args:
        file: the table.
        exists: whether a cell names a file that is there. A table whose first cell does has no header.
        headless: the names of so many columns, for a table without a header.

    Raises:
        DataError: the table is damaged, or is not UTF-8.
    """
    try:
        yield from _rows(file, exists, headless)
    except DataError as error:
        if any(isinstance(one, Remedy) and one.argument == "encoding" for one in error.remedies):
            raise DataError(error.problem, error.place, "save the table as UTF-8", note=error.note) from None
        raise


def names_files(
    rows: Iterator[tuple[Mapping[str, Any], Place]],
    choose: Callable[[Sequence[str], Place], Mapping[str, str]],
    exists: Callable[[str], bool],
) -> str | None:
    """Return why a table does not describe files of a folder; None: it does.

    Args:
        rows: of the table.
        choose: returns the column of each role, by the names of the columns.
        exists: whether a cell names a file that is there; one of the first hundred has to.
    """
    first = ""
    try:
        for row, place in islice(rows, _LOOKED_AT):
            cell = cell_text(row.get(choose(tuple(map(str, row)), place)["path"]))
            if exists(cell):
                return None
            first = first or cell
    except DataError as error:
        return error.problem
    return f"there is no file {first!r}" if first else "it names no files"


def _rows(
    file: Path, exists: Callable[[str], bool], headless: Callable[[int], Sequence[str]]
) -> Iterator[tuple[dict[str, Any], Place]]:
    if file.suffix.lower() in (".csv", ".tsv"):
        first = next((line for line, _ in lines_of(decode_file(file), file) if line.strip()), "")
        marks = [mark for mark in ("\t" if file.suffix.lower() == ".tsv" else "|\t;,") if mark in first]
        cells = {mark: first.split(mark)[0].strip().strip('"') for mark in marks}
        mark = next((mark for mark, cell in cells.items() if cell and exists(cell)), None)
        if mark is not None:
            # Between bars, quotation marks belong to the text.
            rows = read_text_rows(file, None, header=False, delimiter=mark, quotes=mark != "|", empty="keep")
            for row, place in rows:
                yield {name: row[number] for number, name in enumerate(headless(len(row))) if number in row}, place
            return
    for row, place in read_text_rows(file, None, empty="keep"):
        yield {str(name): value for name, value in row.items()}, place


def choose_columns(
    names: Sequence[str], usual: Mapping[str, Sequence[str]], given: Mapping[str, str | None], place: Place
) -> dict[str, str]:
    """Return the name of the column of each role that a table has.

    Args:
        names: of its columns.
        usual: for each role the names that its column usually has, the likeliest first.
        given: for each role the name that the user gave, or None.
        place: of the first row.

    Raises:
        DataError: there is no column of a name that was given, or none for the role "path".
    """
    folded = {name.casefold().strip(): name for name in reversed(names)}
    chosen: dict[str, str] = {}
    for role, name in given.items():
        if name is not None:
            if name not in names:
                raise DataError(f"has no column {name!r}{suggest(name, names)}", place.at(line=None))
            chosen[role] = name
    for role, known in usual.items():
        if role not in chosen:
            found = next((folded[one] for one in known if one in folded and folded[one] not in chosen.values()), None)
            if found is not None:
                chosen[role] = found
    if "path" not in chosen:
        shown = ", ".join(map(repr, names[:12]))
        raise DataError(
            f"which column holds the path? The columns are {shown}", place.at(line=None), Remedy("path_column")
        )
    return chosen


def find_file(path: str, folder: Path, folders: Sequence[str], suffixes: Sequence[str]) -> Path:
    """Return a path as it is, or beside a table; a suffix may lack, and Windows writes other slashes.

    Args:
        path: as it is written.
        folder: of the table.
        folders: in it, where files often lie; "" is the folder itself.
        suffixes: that files may have.
    """
    written = [path] if "\\" not in path else [path, path.replace("\\", "/")]
    for one in written:
        bases = [Path()] if Path(one).is_absolute() else [folder / base for base in folders]
        for base in bases:
            found = (base / one).expanduser()
            if found.is_file():
                return found
            if found.suffix.lower() not in suffixes:
                for suffix in suffixes:
                    if (named := found.with_name(found.name + suffix)).is_file():
                        return named
    return folder / path


def cell_text(value: Any) -> str:
    """Return a cell as text without spaces around; a list is no text."""
    return "" if value is None or isinstance(value, list) else str(value).strip()
