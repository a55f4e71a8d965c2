"""Files by their address: a path of this machine, or what fsspec opens (s3://, gs://, http://, memory://).

What a network does is expected: a read that fails, stalls or ends early is tried again after a pause that doubles.
"""

from __future__ import annotations

import io
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ...errors import DataError, MissingExtraError, Place, check_number, check_whole
from ...ordering import natural_key
from ...serialization import read_json, replacing

T = TypeVar("T")
_FOR_GOOD = (PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)


def is_address(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is an address of another machine, also where `Path` has taken one of its slashes.

    Example:
        >>> is_address("s3://bucket/a"), is_address(Path("s3://bucket/a")), is_address("C:/a"), is_address("a/b")
        (True, True, False, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", os.fspath(path)) is not None


class MissingFileError(DataError):
    """There is no file at an address."""


def as_reason(error: DataError) -> str:
    """Return what is wrong with a file, as it continues "it ..."."""
    return "is missing" if isinstance(error, MissingFileError) else error.problem


@dataclass(frozen=True)
class Retry:
    """How often a read from another machine is tried, and how long it may take.

    Attributes:
        attempts: in all.
        wait: seconds before the second attempt; before each further one twice as long, up to `longest`. Each pause is
            lengthened by up to a half at random, so that many processes do not ask at the same moment.
        longest: seconds of the longest pause.
        timeout: seconds within which a read has to end.

    Raises:
        ConfigError: a number out of range.

    Example:
        >>> Retry(attempts=3).attempts
        3
    """

    attempts: int = 6
    wait: float = 0.5
    longest: float = 30.0
    timeout: float = 60.0

    def __post_init__(self) -> None:
        check_whole(self.attempts, "attempts")
        check_number(self.wait, "wait")
        check_number(self.longest, "longest")
        check_number(self.timeout, "timeout", above=0)

    def call(self, work: Callable[[], T], address: str) -> T:
        """Return what a function returns, after as many attempts as it takes.

        Raises:
            DataError: no attempt succeeded, or the server said that there is no such file.
        """
        pause, problem = self.wait, ""
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(min(pause, self.longest) * (1 + random.random() / 2))
                pause *= 2
            try:
                return _within(self.timeout, work)
            except FileNotFoundError as error:
                if not _is_refusal(error.__cause__):
                    raise MissingFileError(_in_words(error), Place(address)) from None
                problem = _in_words(error.__cause__)
            except _FOR_GOOD as error:
                advice = "check the address and the rights to read it"
                raise DataError(_in_words(error), Place(address), advice) from None
            except (OSError, ValueError, EOFError, RuntimeError, TimeoutError) as error:
                problem = _in_words(error)
            except Exception as error:  # each library of a network has errors of its own
                if type(error).__module__.partition(".")[0] not in ("aiohttp", "fsspec", "botocore", "requests"):
                    raise
                problem = _in_words(error)
        tried = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        advice = "try again later, or copy the shards to this machine"
        raise DataError(f"could not be read in {tried}; the last one: {problem}", Place(address), advice)


@dataclass(frozen=True)
class Storage:
    """A folder or file by its address.

    Attributes:
        address: a path, or an address with `://`.
        options: what fsspec's file system takes, such as keys.
        retry: of reads from other machines.

    Example:
        >>> import tempfile
        >>> folder = Storage(tempfile.mkdtemp())
        >>> folder.write("a.txt", b"abc")
        >>> folder.read("a.txt"), folder.size("a.txt"), folder.names(".txt")
        (b'abc', 3, ['a.txt'])
    """

    address: str
    options: dict[str, Any] = field(default_factory=dict)
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        if not self.address:  # it would be the current folder
            raise DataError("an empty address arrived; expected a folder, or '.' for the current one")

    @property
    def local(self) -> bool:
        """Whether it is a path of this machine."""
        return "://" not in self.address

    def where(self, name: str = "") -> str:
        """Return the address of a file in the folder."""
        if not name:
            return self.address
        return str(Path(self.address) / name) if self.local else f"{self.address.rstrip('/')}/{name}"

    def exists(self, name: str = "") -> bool:
        """Return whether there is such a file or folder."""
        if self.local:
            return Path(self.where(name)).exists()
        system, path = self._system(name)
        return bool(self.retry.call(lambda: system.exists(path), self.where(name)))

    def is_folder(self) -> bool:
        """Return whether the address is a folder; an address of the web is none."""
        if self.local:
            return Path(self.address).is_dir()
        system, path = self._system("")
        return not self.address.startswith("http") and bool(self.retry.call(lambda: system.isdir(path), self.address))

    def names(self, suffix: str) -> list[str]:
        """Return the files of the folder whose names end so, those of its folders too, in natural order."""
        if self.local:
            root = Path(self.address)
            found = [file.relative_to(root).as_posix() for file in root.rglob(f"*{suffix}") if file.is_file()]
        else:
            system, path = self._system("")
            listed = self.retry.call(lambda: system.find(path), self.address)
            base = path.rstrip("/") + "/"
            found = [one.removeprefix(base) for one in listed if one.endswith(suffix)]
        kept = [name for name in found if not any(part.startswith((".", "_")) for part in name.split("/"))]
        return sorted(kept, key=natural_key)

    def size(self, name: str = "") -> int | None:
        """Return the bytes of a file; None where the server does not say.

        Raises:
            DataError: there is no such file.
        """
        if self.local:
            try:
                return os.stat(self.where(name)).st_size
            except OSError as error:
                raise DataError(_in_words(error), Place(self.where(name))) from None
        system, path = self._system(name)
        found = self.retry.call(lambda: system.info(path), self.where(name)).get("size")
        return None if found is None else int(found)

    def read(self, name: str = "", begin: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of a file from one place to another.

        Raises:
            DataError: it cannot be read, or ends before that place.
        """
        where = self.where(name)
        if self.local:
            try:
                with open(where, "rb") as file:
                    file.seek(begin)
                    found = file.read() if end is None else file.read(end - begin)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise MissingFileError(_in_words(error), Place(where)) from None
            except OSError as error:
                raise DataError(_in_words(error), Place(where)) from None
            if end is not None and len(found) < end - begin:
                raise DataError(f"ends after {begin + len(found):,} bytes; expected {end:,} or more", Place(where))
            return found
        system, path = self._system(name)

        def fetch() -> bytes:
            part = {"start": begin, "end": end} if begin or end is not None else {}
            got: bytes = system.cat_file(path, **part)
            if end is not None and len(got) != end - begin:
                if len(got) > end - begin and len(got) >= end:  # the server sends the whole file always
                    return got[begin:end]
                raise EOFError(f"{len(got):,} bytes arrived; expected {end - begin:,}")
            return got

        return self.retry.call(fetch, where)

    def json(self, name: str) -> dict[str, Any]:
        """Return the JSON object that a file holds; what arrives from another machine in part is read again.

        Raises:
            DataError: it cannot be read, or holds something else.
        """
        where = self.where(name)
        try:
            if self.local:
                return read_json(self.read(name).decode())
            system, path = self._system(name)
            return self.retry.call(lambda: read_json(system.cat_file(path).decode()), where)
        except ValueError as error:
            if isinstance(error, DataError):
                raise
            advice = "copy it again, or make the shards again"
            raise DataError(f"holds no JSON object ({error})", Place(where), advice) from None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all where the storage is able to."""
        if self.local:
            with replacing(self.where(name)) as temporary:
                temporary.write_bytes(content)
            return
        system, path = self._system(name)
        self.retry.call(lambda: system.pipe_file(path, content), self.where(name))

    def open(self, name: str, size: int | None = None) -> Any:
        """Return a file for reading at any place.

        Args:
            name: of the file.
            size: its bytes, where they are known.
        """
        if self.local:
            return open(self.where(name), "rb")
        found = self.size(name) if size is None else size
        if found is None:
            return io.BytesIO(self.read(name))
        return io.BufferedReader(_RemoteFile(self, name, found), 1 << 16)

    def _system(self, name: str) -> tuple[Any, str]:
        """The file system and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            advice = "type pip install 'rnnkit[shards]'"
            problem = "addresses with :// are opened by fsspec, which is not installed"
            raise MissingExtraError(problem, None, advice) from None
        where = self.where(name)
        try:
            system, path = url_to_fs(where, **self.options)
        except (ImportError, ValueError) as error:
            raise DataError(f"no file system opens it ({error})", Place(where)) from None
        return system, path


class _RemoteFile(io.RawIOBase):
    """A file of another machine; each read is an attempt of its own."""

    def __init__(self, storage: Storage, name: str, size: int) -> None:
        self._storage, self._name, self._size, self._at = storage, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        buffer[:count] = self._storage.read(self._name, self._at, self._at + count)
        self._at += count
        return count


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Return what a function returns, if it does within a time: not all libraries of networks have a limit."""
    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put((work(), None))
        except BaseException as error:
            answer.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    result: T = found
    return result


def _is_refusal(error: BaseException | None) -> bool:
    """Return whether a web server did not answer, or that it cannot; fsspec then says that there is no such file."""
    return type(error).__module__.startswith("aiohttp") and getattr(error, "status", None) not in (404, 410)


def _in_words(error: BaseException | None) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file or folder"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
