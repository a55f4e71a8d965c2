"""Whether a run's files still hold what it was trained on: only then are the rows held back the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, RunFolderError
from ..ordering import sorted_names
from . import data_files, files

if TYPE_CHECKING:
    from ..data.series import SeriesSet


def digest(rows: SeriesSet) -> str:
    """Return the SHA-256 of what decides how rows are divided and judged: ids, values, targets, groups and times."""
    return rows.fingerprint()


def digest_records(records: Iterable[object]) -> str:
    """Return the SHA-256 of records of texts in their order, each by its repr.

    Example:
        >>> digest_records([("a", "x")]) != digest_records([("a", "y")])
        True
    """
    found = hashlib.sha256()
    for record in records:
        found.update(repr(record).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def record(folder: Path, digests: Mapping[str, str]) -> None:
    """Write a digest for each file that a run was trained on; a resumed run must have the same digests.

    Raises:
        DataError: a file has changed since the run began.
    """
    check(folder, digests, "train into a new folder")
    files.write_json(folder / files.DATA, {"sha256": dict(digests)})


def carry(folder: Path, to: Path) -> None:
    """Write what a run was trained on into the folder of one that was fine-tuned from it."""
    if digests := read(folder):
        record(to, digests)


def check(folder: Path, digests: Mapping[str, str], instead: str) -> None:
    """Compare with what a run was trained on; a run that kept no record of it passes.

    Args:
        folder: the run's.
        digests: of the files as they are now.
        instead: what to do if one has changed.

    Raises:
        DataError: a file has changed since.
    """
    before = read(folder)
    for file, now in digests.items():
        if before.get(file, now) != now:
            named = [one for one in data_files.changed(folder, file) if not one.startswith(f"{file} ")]
            which = f" ({', '.join(named)})" if named else ""
            raise DataError(
                f"{file} has changed since {folder} was trained on it{which}, so that rows it was trained on could "
                f"pass for rows held back; {instead}"
            )


def read(folder: Path) -> dict[str, str]:
    """Return the digests that a run recorded, by file; {} where it recorded none."""
    try:
        stored = json.loads((folder / files.DATA).read_text())["sha256"]
        return {str(file): str(found) for file, found in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{folder / files.DATA} is damaged ({error!r}); train again into a new folder") from None


def check_classes(folder: Path, rows: SeriesSet, classes: tuple[str, ...] | None) -> None:
    """Refuse rows from before a fine-tuning that put other classes in place of theirs.

    Raises:
        DataError: the network has not these rows' classes any more.
    """
    if classes is None or rows.targets is None or not (folder / files.FINETUNE).exists():
        return
    lost = sorted_names(set(map(str, rows.targets.tolist())) - set(classes))
    if lost:
        raise DataError(
            f"{folder} was fine-tuned from other classes to {', '.join(map(repr, classes))}, and the rows of the first "
            f"training, {rows.source}, have {', '.join(map(repr, lost[:5]))}; name rows of the new classes: --data FILE"
        )
