"""Files of public data sets: found in the folder ``RNNKIT_DATA``, in the cache, or on the network, checked by hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, DownloadError
from .data_folder import data_folder
from .download import File, cache_folder, fetch, show_progress


class PublicFiles(NamedTuple):
    """Where the files of a data set are.

    Attributes:
        folder: their folder in ``RNNKIT_DATA`` and in the cache.
        address: of the folder on the network.
        files: name, size and hash of each.
        remote: the name that each has there.
        about: what it is, and under which licence.
    """

    folder: str
    address: str
    files: tuple[File, ...]
    remote: dict[str, str]
    about: str


def find_given(folder: str, files: tuple[File, ...]) -> list[Path] | None:
    """Return files of a folder in ``RNNKIT_DATA``; None where they are not there.

    Raises:
        DataError: a file has another content.
    """
    own = data_folder()
    found = [] if own is None else [own / folder / file.name for file in files]
    if not found or not all(path.is_file() for path in found):
        return None
    for path, file in zip(found, files, strict=True):
        if not is_file(path, file):
            raise DataError(f"{path} is altered: its SHA-256 is not {file.sha256}")
    return found


def find_files(name: str, source: PublicFiles) -> list[Path]:
    """Return the files of a data set: of ``RNNKIT_DATA``, of the cache, or from the network.

    What was downloaded stays in the cache; ``RNNKIT_DATA`` is never written.

    Args:
        name: of the data set, for messages.
        source: where its files are.

    Raises:
        DataError: a file in ``RNNKIT_DATA`` has another content.
        DownloadError: no source has them; the message says where to put the files.
    """
    given = find_given(source.folder, source.files)
    if given is not None:
        return given
    target = cache_folder() / source.folder
    missing = [file for file in source.files if not is_file(target / file.name, file)]
    if missing:
        try:
            with show_progress(f"Downloading {name} into {target}") as progress:
                fetch(missing, [source.address], target, progress=progress, remote=source.remote)
        except DownloadError as error:
            names = ", ".join(file.name for file in missing)
            raise DownloadError(
                f"{name} ({source.about}) could not be fetched:\n{error}\nPut {names} into {target}, or into "
                f"the folder {source.folder} of RNNKIT_DATA"
            ) from error
    return [target / file.name for file in source.files]


def is_file(path: Path, file: File) -> bool:
    """Return whether a path holds a file, by its size and its SHA-256."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
