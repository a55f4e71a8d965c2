"""The folder of token files in the user's cache: how large it may get, and what is removed from it.

The environment variable RNNKIT_TOKEN_CACHE is the most that it may hold, such as ``50GB``; ``none`` sets no limit.
Where a file is added, those that were used least recently are removed until the others fit. The one that was added
stays. Folders that users name themselves are left alone.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from pathlib import Path

from ...errors import ConfigError
from ..download import cache_folder

VARIABLE = "RNNKIT_TOKEN_CACHE"
_DEFAULT = "20GB"
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def token_folder() -> Path:
    """Return the folder: `tokens` in ``RNNKIT_CACHE``, or in the user's cache directory."""
    return cache_folder() / "tokens"


def token_cache_limit() -> float:
    """Return the most bytes that the folder may hold, infinity for no limit.

    Raises:
        ConfigError: the environment variable holds no size.

    Example:
        >>> token_cache_limit() > 0 or VARIABLE in os.environ
        True
    """
    given = os.environ.get(VARIABLE, "").strip() or _DEFAULT
    if given.lower() == "none":
        return math.inf
    found = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([KMGT]?)I?(B?)", given.upper())
    if found is None:
        raise ConfigError(f"{VARIABLE}={given} arrived; expected a size such as 50GB or 500MB, or none for no limit")
    return float(found[1]) * _UNITS[found[2] + "B"]


def token_files(folder: Path) -> list[tuple[Path, int, float]]:
    """Return path, bytes and time of the last use of each token file in a folder, the oldest use first."""
    found = []
    for file in folder.glob("*.npy"):
        with suppress(OSError):  # another process removed it
            stat = file.stat()
            found.append((file, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda one: (one[2], one[0]))


def note_use(file: Path) -> None:
    """Note that a token file was used now."""
    with suppress(OSError):  # a folder that is read-only
        os.utime(file)


def keep_to_limit(added: Path) -> None:
    """Remove the files beside the one that was added which were used least recently, until the others fit."""
    limit, files = token_cache_limit(), token_files(added.parent)
    total = sum(size for _, size, _ in files)
    for file, size, _ in files:
        if total <= limit:
            return
        if file.name == added.name:
            continue
        with suppress(OSError):  # Windows removes no file that is mapped
            file.unlink()
            total -= size
