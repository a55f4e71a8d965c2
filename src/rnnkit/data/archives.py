"""Archives of files, unpacked into the cache once."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

from ..errors import DataError, Place
from .download import cache_folder

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")


def unpack(archive: Path, kind: str) -> Path:
    """Unpack an archive into the cache, and return the folder; what lies there already is not unpacked again.

    Args:
        archive: a tar file, compressed or not, or a zip file.
        kind: the folder of the cache, such as "audio".

    Raises:
        DataError: the archive is damaged, or a name in it leads out of the folder.
    """
    state = archive.stat()
    name = f"{archive.resolve()}|{state.st_size}|{state.st_mtime_ns}"
    folder = cache_folder() / kind / hashlib.sha256(name.encode()).hexdigest()[:24]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Another process may unpack it at the same time: each has its own folder, and the last step is one rename.
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix="partial-"))
    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(partial)  # it takes ".." and roots out of names
        else:
            with tarfile.open(archive) as packed_tar:
                packed_tar.extractall(partial, filter="data")
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"the archive cannot be unpacked ({error})", Place(str(archive)), "copy it again") from None
    except OSError as error:
        raise DataError(
            f"the archive cannot be unpacked ({error})",
            Place(str(archive)),
            "copy it again, or set RNNKIT_CACHE to a folder with more room",
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
