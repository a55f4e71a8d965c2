"""Run folders: written, read without trust, listed, compared, resumed; settings by their dotted names.

Importing this package loads no torch.
"""

from __future__ import annotations

from .files import CURVES, DATA, FINETUNE, HISTORY, METRICS, RECIPE, REPORT, VERSIONS, read_facts, write_json
from .folders import StoredRecipe, read_recipe, start
from .record import Metrics, chosen_on_validation, record

__all__ = [
    "CURVES",
    "DATA",
    "FINETUNE",
    "HISTORY",
    "METRICS",
    "RECIPE",
    "REPORT",
    "VERSIONS",
    "Metrics",
    "StoredRecipe",
    "chosen_on_validation",
    "read_facts",
    "read_recipe",
    "record",
    "start",
    "write_json",
]
