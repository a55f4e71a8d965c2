"""A folder of one folder a class: what it holds, and the walk over its files."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError

TABLES = (".csv", ".tsv", ".txt", ".parquet")
_LITTER = {"thumbs.db", "desktop.ini"}  # Windows leaves these in folders
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")


def kind(path: Path) -> str:
    """ "tables" or "images", by the files in the classes' folders."""
    suffixes = {file.suffix.lower() for _, file in walk(path)}
    if suffixes <= set(TABLES):
        return "tables"
    if suffixes <= set(IMAGES):
        return "images"
    if suffixes & set(TABLES) and suffixes & set(IMAGES):
        raise DataError(f'{path}: holds tables and images; type format="tables" or format="images"')
    raise DataError(
        f"{path}: holds files of a kind that is not read ({', '.join(sorted(suffixes - set(TABLES) - set(IMAGES)))}); "
        f"expected tables ({', '.join(TABLES)}) or images ({', '.join(IMAGES[:4])} ...), one folder a class"
    )


def walk(path: Path, suffixes: tuple[str, ...] | None = None) -> list[tuple[str, Path]]:
    """(class, file) of ``path/class/file``, sorted; names that begin with a dot do not count.

    Raises:
        DataError: there is none, or a class's folder holds no file.
    """
    folders = sorted(item for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
    if not folders:
        raise DataError(f"{path}: holds no folders; expected one a class, each with its files: {path.name}/class/file")
    found = []
    for folder in folders:
        items = [item for item in sorted(folder.iterdir()) if item.name[0] != "." and item.name.lower() not in _LITTER]
        files = [item for item in items if item.is_file() and (suffixes is None or item.suffix.lower() in suffixes)]
        if not files:
            inner = next((item for item in items if item.is_dir()), None)
            hint = f"; if the classes are in {folder}, type that path" if inner else "; remove it or fill it"
            raise DataError(f"{folder}: holds no files of a class{hint}")
        found += [(folder.name, file) for file in files]
    return found
