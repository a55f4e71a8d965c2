"""Texts with a label each: two fields of records, or a folder of plain texts for each class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...errors import DataError, Place, Remedy, check_path, suggest
from ...ordering import natural_key
from .files import find_files, format_of
from .rows import Row, TextRows, read_text_rows
from .texts import read_texts

TEXTS = ("text", "sentence", "content", "review", "document", "utterance", "文本", "内容", "正文", "句子", "评论")
LABELS = ("label", "class", "category", "target", "sentiment", "intent", "topic", "标签", "类别", "意图", "情感")
# How files and folders begin that are a part, and the part.
PARTS = {"train": "train", "test": "test", "valid": "validation", "dev": "validation"}


class LabelledText(NamedTuple):
    """A text and its class.

    Attributes:
        text: as it is written.
        label: the name of its class; "" where it has none.
        place: where it was read.
    """

    text: str
    label: str
    place: Place = Place()


def read_labelled_texts(
    path: str | os.PathLike[str],
    *,
    text: str | None = None,
    label: str | None = None,
    labelled: bool = True,
    format: Literal["jsonl", "json", "csv", "tsv"] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    quotes: bool | None = None,
    empty: Literal["error", "skip"] = "error",
) -> list[LabelledText]:
    """Read texts with a label each.

    Args:
        path: a file of records (.csv, .tsv, .jsonl, .json), or a folder with a folder of .txt files for each class,
            named by the class.
        text, label: fields or columns, by name, or by number ("0") without a header; None: those with the usual names,
            or of two columns the first and the second.
        labelled: False reads texts to answer, which need no label; files may then be plain text, a text a line.
        format, encoding, delimiter, header, quotes, empty: as for `read_text_rows`.

    Returns:
        The texts, in the order of the files.

    Raises:
        DataError: a file cannot be read, a field is missing or empty, or it is not clear which fields are meant.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "reviews.csv"
        >>> _ = file.write_text("review,stars\\nGreat film,5\\n太差了,1\\n", "utf-8")
        >>> [(one.text, one.label) for one in read_labelled_texts(file, label="stars")]
        [('Great film', '5'), ('太差了', '1')]
    """
    check_path(path)
    given = Path(path)
    if not given.exists():
        raise DataError("there is no such file or folder", Place(str(path)))
    if given.is_dir() and format is None and (labelled or not _has_records(given)):
        return _of_folders(given, encoding, empty) if labelled else _plain(given, "file", encoding, empty)
    if not labelled and format is None and format_of(given) == "txt":
        return _plain(given, "line", encoding, empty)
    if labelled and format is None and find_files(given, None)[1] == "txt":
        remedies = (
            Remedy("format", "tsv", "if tabs stand between texts and labels"),
            Remedy("format", "jsonl", "if each line is a JSON object"),
            "make a folder with a folder of .txt files for each class",
        )
        expected = "is plain text, which has no labels; expected .csv, .tsv, .jsonl or .json"
        raise DataError(expected, Place(str(path)), remedies)
    how: dict[str, Any] = {"format": format, "encoding": encoding, "delimiter": delimiter, "header": header}
    how |= {"quotes": quotes, "empty": empty}
    fields = _fields(read_text_rows(given, **{**how, "empty": "keep"}), text, label, labelled, header is False)
    return [_of_row(row, fields, place) for row, place in read_text_rows(given, fields, **how)]


def labelled_parts(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the file or folder of "train", and of "validation" and "test" where their names say so.

    Raises:
        DataError: there is no such file, or a folder that holds none of these.
    """
    check_path(path)
    given, place = Path(path), Place(str(path))
    if not given.exists():
        raise DataError("there is no such file or folder", place)
    if not given.is_dir():
        return {"train": given}
    found: dict[str, Path] = {}
    for one in sorted(given.iterdir(), key=lambda file: natural_key(file.name)):
        part = _part(one)
        if part is None:
            continue
        if part in found:
            raise DataError(f"holds {found[part].name} and {one.name}, both for {part}; expected one", place)
        found[part] = one
    if "train" in found:
        return found
    if any(one.is_dir() and not one.name.startswith(".") for one in given.iterdir()):
        return {"train": given}
    raise DataError(
        "holds no folder for each class, and no file to train on; expected positive/1.txt, negative/1.txt, or "
        "train.csv",
        place,
    )


def _part(path: Path) -> str | None:
    """Return the part that a file's or folder's name says; a folder's name has to be the part's."""
    name = path.name.lower()
    if path.is_dir():
        return {**PARTS, "validation": "validation", "val": "validation"}.get(name)
    if format_of(path) in ("txt", None):
        return None
    return next((part for begin, part in PARTS.items() if name.startswith(begin)), None)


def _has_records(folder: Path) -> bool:
    return any(format_of(file) not in ("txt", None) for file in folder.iterdir() if file.is_file())


def _of_folders(path: Path, encoding: str | None, empty: Any) -> list[LabelledText]:
    folders = sorted((one for one in path.iterdir() if one.is_dir()), key=lambda one: natural_key(one.name))
    folders = [one for one in folders if not one.name.startswith(".")]
    if not folders:
        raise DataError(
            "holds no folder; expected a folder of .txt files for each class, named by the class", Place(str(path))
        )
    found: list[LabelledText] = []
    for folder in folders:
        texts = _plain(folder, "file", encoding, empty)
        found += [one._replace(label=folder.name) for one in texts]
    return found


def _plain(path: Path, unit: Literal["file", "line"], encoding: str | None, empty: Any) -> list[LabelledText]:
    texts = read_texts(path, unit=unit, format="txt", encoding=encoding, empty=empty)
    return [LabelledText(text.strip(), "", place) for text, place in texts]


def _fields(rows: TextRows, text: str | None, label: str | None, labelled: bool, numbered: bool) -> list[str | int]:
    """Return the fields of the text and, where there is one, of the label."""
    if numbered:
        return [_number(name, "01"[at]) for at, name in enumerate((text, label)[: 1 + labelled])]
    if text is not None and (label is not None or not labelled):
        return [text, label] if label is not None and labelled else [text]
    row, place = _first(rows)
    names = [str(name) for name, value in row.items() if isinstance(value, str)]
    chosen = text or _chosen(names, TEXTS, taken=label)
    if chosen is None and len(names) == 1:
        chosen = names[0]
    if chosen is None and labelled and len(names) == 2:
        chosen = next(name for name in names if name != (label or _chosen(names, LABELS) or names[1]))
    if chosen is None:
        raise _unclear("text", names, place)
    if not labelled:
        return [chosen]
    named = label or _chosen(names, LABELS, taken=chosen)
    others = [name for name in names if name != chosen]
    if named is None and len(others) == 1:
        named = others[0]
    if named is None:
        raise _unclear("label", others, place)
    return [chosen, named]


def _first(rows: TextRows) -> tuple[Row, Place]:
    found = next(iter(rows), None)
    if found is None:
        raise DataError("holds no record", Place(str(rows.files[0])))
    return found


def _chosen(names: Sequence[str], usual: Sequence[str], taken: str | None = None) -> str | None:
    folded = {name.casefold(): name for name in reversed(names) if name != taken}
    return next((folded[name] for name in usual if name in folded), None)


def _unclear(argument: str, names: Sequence[str], place: Place) -> DataError:
    listed = ", ".join(map(repr, names[:12])) or "none"
    return DataError(
        f"which field holds the {argument}? The fields with text are {listed}",
        Place(place.source),
        [Remedy(argument, name) for name in names[:3]] or Remedy(argument),
    )


def _number(name: str | None, usual: str) -> int:
    if not (name or usual).isdigit():
        raise DataError(f"{name!r} arrived, but a table without a header has no names; expected a number, from 0")
    return int(name or usual)


def _of_row(row: Row, fields: Sequence[str | int], place: Place) -> LabelledText:
    values = [row[name] for name in fields]
    for name, value in zip(fields, values, strict=True):
        if not isinstance(value, str):
            raise DataError(f"the field {name!r} holds a list; expected text", place)
    return LabelledText(values[0].strip(), values[1].strip() if len(values) > 1 else "", place)


def check_known(texts: Sequence[LabelledText], classes: Sequence[str]) -> None:
    """Raise DataError for a text whose label is none of a model's classes."""
    known = set(classes)
    others = [one for one in texts if one.label not in known]
    if not others:
        return
    first = others[0]
    none = len(others) == len(texts) > 1  # another column may have been taken for the label
    nor = f", nor is one of the {len(texts) - 1:,} others" if none else ""
    problem = f"the label {first.label!r} is none of the model's{nor}{suggest(first.label, classes)}"
    raise DataError(problem, first.place, "call the fields as in the training data" if none else None)
