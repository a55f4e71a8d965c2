"""A folder of one folder a class: what it holds, and the list of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import DataError, Place, Remedy
from ...spelling import composed, merged
from ..reading import Options
from . import text

if TYPE_CHECKING:
    import numpy.typing as npt

TABLES = (".csv", ".tsv", ".txt", ".parquet")
_LITTER = {"thumbs.db", "desktop.ini"}  # Windows leaves these in folders
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def find_format(path: Path) -> str:
    """Return "tables" or "images", by the files in the classes' folders; or "shards", by their manifest."""
    from ..shards.manifest import MANIFEST

    if (path / MANIFEST).is_file() and next(path.glob("*.parquet"), None) is not None:
        return "shards"
    suffixes = {file.suffix.lower() for _, file in list_class_files(path, flat=True)}
    if suffixes <= set(TABLES):
        return "tables"
    if suffixes <= set(IMAGES):
        return "images"
    if suffixes & set(TABLES) and suffixes & set(IMAGES):
        remedies = (Remedy("format", "tables"), Remedy("format", "images"))
        raise DataError("holds tables and images", Place(str(path)), remedies)
    raise DataError(
        f"holds files of a format that is not read ({', '.join(sorted(suffixes - set(TABLES) - set(IMAGES)))}); "
        f"expected tables ({', '.join(TABLES)}) or images ({', '.join(IMAGES[:4])} ...), one folder a class",
        Place(str(path)),
    )


def list_class_files(
    path: Path, suffixes: tuple[str, ...] | None = None, *, flat: bool = False
) -> list[tuple[str, Path]]:
    """List (class, file) of ``path/class/file``, sorted; names that begin with a dot do not count.

    Args:
        path: the folder.
        suffixes: those of files that count; None: all.
        flat: whether, where there are no classes, its own files do, each as ("", file).

    Raises:
        DataError: there is none, or a class's folder holds no file.
    """
    folders = sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
    if flat and not folders and (files := _files(path, suffixes)):
        return [("", file) for file in files]
    if not folders:
        raise DataError(
            f"holds no folders; expected one a class, each with its files: {path.name}/class/file", Place(str(path))
        )
    found = []
    for folder in folders:
        files = _files(folder, suffixes)
        if not files:
            inner = next((item for item in folder.iterdir() if item.is_dir() and item.name[0] != "."), None)
            remedy = f"if the classes are in {folder}, type that path" if inner else "remove it or fill it"
            raise DataError("holds no files of a class", Place(str(folder)), remedy)
        found += [(folder.name, file) for file in files]
    return found


def say_unread(path: Path, files: Sequence[tuple[str, Path]], suffixes: tuple[str, ...], options: Options) -> None:
    """Note files of these suffixes that lie beside the classes' folders or deeper, and so are not read."""
    read = {file for _, file in files}
    beside = [file for file in _files(path, suffixes) if file not in read]
    inner = sorted(item for folder in {file.parent for file in read} for item in folder.iterdir() if item.is_dir())
    inner = [folder for folder in inner if folder.name[0] != "." and folder.parent != path]
    deeper = [file for folder in inner for file in _files(folder, suffixes)]
    if unread := [*beside, *deeper]:
        names = ", ".join(str(file.relative_to(path)) for file in unread[:3]) + (" …" if unread[3:] else "")
        what = "1 file is" if len(unread) == 1 else f"{len(unread):,} files are"
        options.guesses.add(f"{what} not read, because expected is {path.name}/class/file: {names}", Place(str(path)))


def class_names(labels: Sequence[str], path: Path, options: Options) -> npt.NDArray[np.str_]:
    """Return the classes by their folders' names, [N]; two spellings of a name are one class."""
    text.say_merged(merged(labels), Place(str(path)), options)
    return np.array([composed(label) for label in labels], np.str_)


def series_id(label: str, file: Path) -> str:
    """Return what the series of a file is called: class/file, or file where there are no classes."""
    return f"{label}/{file.name}" if label else file.name


def _files(folder: Path, suffixes: tuple[str, ...] | None) -> list[Path]:
    found = [item for item in sorted(folder.iterdir()) if item.name[0] != "." and item.name.lower() not in _LITTER]
    return [item for item in found if item.is_file() and (suffixes is None or item.suffix.lower() in suffixes)]
