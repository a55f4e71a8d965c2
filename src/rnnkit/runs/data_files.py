"""The files that a run reads, and how a changed one is recognised, so that the error about other data names it.

Whether data has changed is decided by what is read of it (:mod:`rnnkit.runs.data_digests`, and the fingerprints in a
checkpoint). These notes decide nothing. They say which file it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from ..errors import DataError
from . import files
from .settings import settings

_MOST = 5_000  # files that are noted
_READ = (1_000, 1 << 26)  # files and their bytes whose content is noted; of more, size and time of change
_NAMED = 5


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_names(recipe: Any) -> list[str]:
    """Return the settings of a recipe that may be names of files and folders of data.

    Example:
        >>> from rnnkit.recipes.pretrain import Pretrain, Unlabelled
        >>> data_names(Pretrain(data=Unlabelled(path="all.csv")))
        ['all.csv']
    """
    if not is_dataclass(recipe):
        return []
    setting, found = getattr(recipe, "data_setting", None), []
    for name, one in settings(recipe).items():
        if (name == setting or name.startswith("data.")) and not _is_choice(one.annotation):
            found += list(one.value) if isinstance(one.value, tuple) else [one.value]
    return [value for value in found if isinstance(value, str) and value]


def note(folder: Path, names: Iterable[str]) -> None:
    """Write which files a run reads into its folder, unless that was done when it began.

    Args:
        folder: the run's.
        names: of files and folders; what is none of them is left out.
    """
    if (folder / files.FILES).exists():
        return
    if marks := {name: found for name in names if (found := _marks(name, folder))}:
        files.write_json(folder / files.FILES, marks)


def changed(folder: Path, name: str | None = None) -> list[str]:
    """Return which of the files that a run read have changed, are gone or are new, each in words.

    Args:
        folder: the run's.
        name: one of the files or folders that were noted; None: all of them.
    """
    found = []
    for one, before in files.read_facts(folder / files.FILES).items():
        if name not in (None, one) or not isinstance(before, dict):
            continue
        now = _marks(one, folder)
        for file in sorted({**before, **now}):
            shown = str(Path(one) / file)
            if file not in now:
                found.append(f"{shown} is gone")
            elif file not in before:
                found.append(f"{shown} is new")
            elif now[file] != before[file]:
                found.append(f"{shown} has changed")
    return found[:_NAMED] + [f"{len(found) - _NAMED:,} more"] * (len(found) > _NAMED)


@contextmanager
def named_where_refused(place: Path, folder: Path, instead: str) -> Iterator[None]:
    """Name the files that have changed where a block refuses to resume with a checkpoint since it read other data.

    Args:
        place: the run folder, or a copy of its small files.
        folder: the run folder, for the message.
        instead: what to do to keep the data as it is now.
    """
    from ..training.resuming.states import OtherRunError

    try:
        yield
    except OtherRunError as error:
        named = changed(place) if error.of_data else []
        if not named:
            raise
        raise DataError(
            f"{', '.join(named)} since {folder} began, so that it would go on with other data; put back what it began "
            f"with, or {instead}"
        ) from error


def _is_choice(annotation: Any) -> bool:
    """Return whether a setting is one of a few words, which are no names of files."""
    return any(get_origin(one) is Literal for one in (annotation, *get_args(annotation)))


def _marks(name: str, folder: Path) -> dict[str, str]:
    """Return a mark of each file in a folder by its path in there, "." for a file itself; none of too many files."""
    from ..data.data_folder import find_data

    try:
        place = find_data(name)
        found = [place] if place.is_file() else list(islice(_files_in(place, folder), _MOST + 1))
        sizes = [one.stat().st_size for one in found]
        if len(found) > _MOST:
            return {}
        whole = len(found) <= _READ[0] and sum(sizes) <= _READ[1]
        return {
            one.relative_to(place).as_posix(): (
                digest_file(one) if whole else f"{size} bytes at {one.stat().st_mtime_ns}"
            )
            for one, size in zip(found, sizes, strict=True)
        }
    except (DataError, OSError, ValueError):  # no file's name, or one that cannot be read
        return {}


def _files_in(place: Path, folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it, except those of the run itself."""
    own = folder.resolve()
    return (one for one in place.rglob("*") if one.is_file() and own not in one.resolve().parents)
