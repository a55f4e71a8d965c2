"""The folder of shards while they are made: its plan, a journal for each portion, and who works on it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import ConfigError, DataError, Place, Remedy
from ...serialization import json_text, read_json, replacing
from .addresses import Storage
from .manifest import MAKING, MANIFEST, PLAN, TOKENIZER, Manifest, Shard


class Made(NamedTuple):
    """What is made of a portion.

    Attributes:
        shards: of it.
        taken: the rows of the source that they hold.
        ended: whether they are all.
    """

    shards: list[Shard]
    taken: int
    ended: bool


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from making shards in a folder, which is made where it is missing.

    Raises:
        DataError: another process does, or it is a file.
    """
    place = Place(str(folder))
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file; expected a folder", place)
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":  # a folder cannot be opened there
        yield
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        if not _lock(opened, wait=False):
            advice = "wait until it is done, or take another folder"
            raise DataError("another process makes shards there", place, advice)
        yield
    finally:
        os.close(opened)


@contextmanager
def open_journal(file: Path) -> Iterator[Any]:
    """Open a journal to add lines, once no other process writes to it.

    A process whose parent was killed goes on to the end of its portion.
    """
    with file.open("a", encoding="utf-8") as opened:
        _lock(opened.fileno(), wait=True)
        opened.seek(0, os.SEEK_END)
        yield opened


def _lock(opened: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed, or its process ends; return whether no other process has.

    Where the system or the disk has no locks, all is as if there were no other process.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def made_of(journal: Path) -> Made:
    """Return what is made of a portion, by its journal."""
    shards: list[Shard] = []
    taken, ended = 0, False
    with suppress(FileNotFoundError):
        for line in journal.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # the last line of a process that was killed
                entry = json.loads(line)
                if "shard" in entry:
                    shards.append(Shard(**entry["shard"]))
                    taken += entry["rows"]
                ended = ended or "done" in entry
    return Made(shards, taken, ended)


def note(file: Any, entry: dict[str, Any]) -> None:
    """Add a line to a journal, on the disk before anything follows."""
    if file.tell() and not _ends_in_line(Path(file.name)):
        file.write("\n")
    file.write(json.dumps(entry) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _ends_in_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


@contextmanager
def nothing_left_where_refused(folder: Path) -> Iterator[None]:
    """Remove the plan of a making that an error ends before a shard is made, and the folder if it is empty then."""
    try:
        yield
    except (DataError, ConfigError):
        making = folder / MAKING
        if not any(journal.stat().st_size for journal in making.glob("*.jsonl")):
            shutil.rmtree(making, ignore_errors=True)
            with suppress(OSError):  # it holds something else
                folder.rmdir()
        raise


def begin(folder: Path, digest: str, overwrite: bool) -> Manifest | None:
    """Prepare the folder; return the manifest of shards that are made already of the same source and settings."""
    place = Place(str(folder))
    removed = overwrite and _remove(folder)
    if (folder / MANIFEST).is_file():
        found = Manifest.read(Storage(str(folder)))
        if found.made.get("digest") == digest:
            return found
        remedies = ("take another folder", Remedy("overwrite", True, "to remove them"))
        raise DataError("holds shards of another source or other settings", place, remedies)
    plan = folder / MAKING / PLAN
    if plan.is_file():
        if read_json(plan.read_text(encoding="utf-8")).get("digest") == digest:
            return None
        if any(folder.glob("shard-*.parquet")):
            remedies = ("take another folder", Remedy("overwrite", True, "to begin anew"))
            raise DataError("holds the begin of shards of another source or other settings", place, remedies)
        removed = _remove(folder)  # of a making that failed before its first shard
    if not removed and any(not one.name.startswith(".") for one in folder.iterdir()):
        raise DataError("is not empty, and holds no shards", place, "take another folder")
    with replacing(plan) as temporary:
        temporary.write_text(json_text({"digest": digest}), encoding="utf-8")
    return None


def _remove(folder: Path) -> bool:
    """Remove shards and what belongs to them, and nothing else; return whether there were any."""
    if not (folder / MANIFEST).exists() and not (folder / MAKING).exists():
        return False
    shutil.rmtree(folder / MAKING, ignore_errors=True)
    for file in [*folder.glob("shard-*.parquet"), folder / MANIFEST, folder / TOKENIZER]:
        file.unlink(missing_ok=True)
    return True
