"""Archives of public data sets whose files are checked, and not the archive: hosts pack them in other bytes over time.

The digest of a set of files is what `sha256sum * | sha256sum` prints in their folder, with LC_ALL=C. It says nothing of
the packing, of times, of owners or of the order in the archive.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.error
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from ..errors import DataError, DownloadError
from .data_folder import data_folder
from .download import cache_folder, open_address, show_progress


class PublicArchive(NamedTuple):
    """Files of a public data set that lie in one folder of a ``.tar.gz``.

    Attributes:
        folder: of the data set in ``RNNKIT_DATA`` and in the cache.
        archive: its name in ``RNNKIT_DATA``.
        address: where it is on the network.
        members: the name of the folder in the archive whose files are wanted.
        suffix: of these files.
        number, size: how many, and their bytes together.
        sha256: the digest of all, see above.
        about: what it is, and under which licence.
    """

    folder: str
    archive: str
    address: str
    members: str
    suffix: str
    number: int
    size: int
    sha256: str
    about: str


def digest_of_files(digests: Mapping[str, str]) -> str:
    """Return the digest of a set of files.

    Args:
        digests: the SHA-256 of each file in hexadecimal, by its name.

    Example:
        >>> import hashlib
        >>> digest_of_files({"a": hashlib.sha256(b"").hexdigest()})[:16]
        'fba1930570cf2d33'
    """
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def find_members(name: str, source: PublicArchive) -> Path:
    """Return the folder of the files: of ``RNNKIT_DATA``, of the cache, or from the network.

    ``RNNKIT_DATA`` has them as a folder, or packed; it is never written. What was unpacked or downloaded stays in the
    cache, and is checked whenever it is used.

    Args:
        name: of the data set, for messages.
        source: where its files are, and their digest.

    Raises:
        DataError: what ``RNNKIT_DATA`` has holds other files.
        DownloadError: no source has them; the message says where to put them.
    """
    own = data_folder()
    if own is not None and (given := own / source.folder / source.members).is_dir():
        if not holds(given, source):
            raise DataError(f"{given} is altered: {_expected(source)}")
        return given
    target = cache_folder() / source.folder / f"{source.members}-{source.sha256[:12]}"
    if holds(target, source):
        return target
    if own is not None and (packed := own / source.folder / source.archive).is_file():
        try:
            with packed.open("rb") as file:
                return _unpack(file, target, source)
        except _BROKEN as error:
            raise DataError(f"{packed} cannot be unpacked ({error}); copy it again") from None
        except DownloadError as error:
            raise DataError(f"{packed} is altered: {error}") from None
    try:
        return _download(name, target, source)
    except (OSError, *_BROKEN) as error:
        why = f"the answer is not the whole archive: {error}" if isinstance(error, _BROKEN) else str(error)
        if isinstance(error, urllib.error.HTTPError):
            why = f"the server answered {error.code} {error.reason}"
        raise DownloadError(
            f"{name} ({source.about}) could not be fetched:\n{source.address}: {why}\nPut the archive as "
            f"{source.archive}, or its folder {source.members}, into the folder {source.folder} of RNNKIT_DATA"
        ) from error


def holds(folder: Path, source: PublicArchive) -> bool:
    """Return whether a folder has the files of a data set, and no others of their suffix."""
    files = sorted(folder.glob(f"*{source.suffix}")) if folder.is_dir() else []
    if len(files) != source.number or sum(file.stat().st_size for file in files) != source.size:
        return False
    return digest_of_files({file.name: _sha256(file.read_bytes()) for file in files}) == source.sha256


_BROKEN = (tarfile.TarError, EOFError, zlib.error, http.client.HTTPException)


def _expected(source: PublicArchive) -> str:
    return f"expected {source.number:,} {source.suffix} files, {source.size:,} bytes, whose digest is {source.sha256}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(name: str, target: Path, source: PublicArchive) -> Path:
    with show_progress(f"Downloading {name} into {target}") as progress, open_address(source.address) as response:
        length = response.headers.get("Content-Length")
        task = progress.add_task(source.archive, total=int(length) if length and length.isdigit() else None)
        return _unpack(_Counted(response, lambda count: progress.advance(task, count)), target, source)


class _Counted:
    """A file that reports how much of it was read."""

    def __init__(self, file: Any, read: Any) -> None:
        self._file, self._read = file, read

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._read(len(data))
        return data


def _unpack(file: IO[bytes] | _Counted, target: Path, source: PublicArchive) -> Path:
    """Unpack the wanted files into the target, whole or not at all.

    Raises:
        DownloadError: their digest is another one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Another process may do the same: each has its own folder, and the last step is one rename.
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="partial-"))
    try:
        digests: dict[str, str] = {}
        size = 0
        with tarfile.open(fileobj=file, mode="r|gz") as archive:  # type: ignore[call-overload]
            for member in archive:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.parent.name != source.members or path.suffix != source.suffix:
                    continue
                size += member.size
                if size > source.size or path.name in digests:
                    raise DownloadError(f"more or other files arrived; {_expected(source)}")
                content = archive.extractfile(member)
                assert content is not None  # of a file
                data = content.read()
                digests[path.name] = _sha256(data)
                (partial / path.name).write_bytes(data)
        found = digest_of_files(digests)
        if found != source.sha256:
            raise DownloadError(f"{len(digests):,} files arrived whose digest is {found}; {_expected(source)}")
        if target.exists():
            shutil.rmtree(target, ignore_errors=True)  # damaged: `holds` refused it
        try:
            partial.rename(target)
        except OSError:
            if not holds(target, source):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target
