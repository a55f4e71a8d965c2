"""The folder of data sets that the user names by the variable RNNKIT_DATA. It is read, and never written."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DataError, Place, check_path


def data_folder() -> Path | None:
    """Return the folder RNNKIT_DATA; None where the variable is not set."""
    given = os.environ.get("RNNKIT_DATA")
    return Path(given).expanduser() if given else None


def find_data(path: str) -> Path:
    """Return a file or folder as it is, or in the folder RNNKIT_DATA where it is not here.

    Raises:
        DataError: it is in neither.
        ConfigError: the path is empty.
    """
    check_path(path)
    folder = data_folder()
    places = [Path(path)] + ([folder / path] if folder is not None else [])
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = "" if folder is None else f", nor in the folder RNNKIT_DATA, {folder}"
        advice = "let the variable RNNKIT_DATA name the folder that holds it" if folder is None else "name another one"
        raise DataError(f"there is no such file or folder{looked}", Place(path), advice)
    return found
