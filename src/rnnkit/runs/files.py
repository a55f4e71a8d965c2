"""The files of a run folder by name, and how JSON is written and read there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import RunFolderError
from ..serialization import json_text, read_json, replacing

RECIPE, VERSIONS, METRICS = "recipe.json", "versions.json", "metrics.json"
HISTORY, CURVES = "history.csv", "curves.png"
DATA = "data.json"  # digests of the files that were trained on
FILES = "files.json"  # shows whether a file that was read has changed since
REPORT_PAGE, TROUBLES = "report.html", "troubles.txt"  # the page of a run; troubles of text
REPORT = "report.json"  # of a fine-tuning: what it changed
FINETUNE = "finetune.json"  # of a run that was made of another by fine-tuning
ENDED = "ended"  # in it: whether all results are written


def read_facts(path: Path) -> dict[str, Any]:
    """Return the object in a run's JSON file, {} where there is no such file.

    Raises:
        RunFolderError: it is damaged.
    """
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error}); train again into a new folder") from None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all; null where a number is NaN or infinite."""
    with replacing(path) as temporary:
        temporary.write_text(json_text(value), encoding="utf-8")
