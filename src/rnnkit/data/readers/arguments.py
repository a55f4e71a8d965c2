"""Which arguments of ``read_series`` say something about which kind of file; the others are refused, not ignored."""

from __future__ import annotations

from dataclasses import MISSING, fields

from ...errors import ConfigError
from ..reading import Options

_ROLES = {"id_column", "time_column", "group_column", "target_column", "value_columns", "ignore_columns"}
_VALUES = {"thousands", "decimal", "missing_codes", "keep_columns", "time_format", "duplicates", "layout"}
_TEXT = {"encoding", "delimiter", "header", "comment", "cells"}

# By reader: the arguments it takes, beside `targets`, and what a file of it has, for messages.
_TAKEN = {
    "delimited": (_ROLES | _VALUES | _TEXT, ""),
    "parquet": (_ROLES | _VALUES, "a .parquet file holds numbers, not text"),
    "frames": (_ROLES | _VALUES, "a DataFrame holds numbers, not text"),
    "folder_of_tables": (
        (_ROLES | _VALUES | _TEXT | {"size"}) - {"target_column"},  # it may hold images, too
        "the folders name the classes; ignore_columns leaves a column out",
    ),
    "folder_of_images": ({"size"}, "images have no columns and no text"),
    "folder_of_shards": (set(), "shards say themselves what they hold"),
    "npz": (
        _ROLES | {"missing_codes", "keep_columns"},
        "a .npz file holds arrays: the names of columns are those of its arrays and channels",
    ),
    "ts": (
        {"value_columns", "ignore_columns", "encoding", "missing_codes"},
        "a .ts file has no columns with names; value_columns and ignore_columns name channels, such as 'channel 0'",
    ),
    "arff": (
        (_ROLES - {"time_column"}) | {"encoding", "missing_codes", "keep_columns"},
        "an .arff file says itself how it is written, and has no time stamps",
    ),
}
_ORDINARY = {"targets", "guesses", "absent", "is_new", "usual_marks"}


def check_arguments(reader: str, options: Options) -> None:
    """Raise ConfigError for an argument that a kind of file has no use for, such as `id_column` of images.

    Args:
        reader: the module that reads the file.
        options: what the user named. Of data for a trained model they are the training data's, so nothing is refused.

    Example:
        >>> check_arguments("ts", Options(id_column="id"))
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: id_column='id' arrived; leave it out: a .ts file has no columns with names; \
value_columns and ignore_columns name channels, such as 'channel 0'
    """
    if options.is_new:
        return
    taken, reason = _TAKEN[reader]
    if reader == "folder_of_tables" and options.targets is None:
        taken = taken | {"target_column"}
    for option in fields(Options):
        if option.name in _ORDINARY | taken:
            continue
        value = getattr(options, option.name)
        default = None if option.default is MISSING else option.default
        if value != default and value not in ((), []):
            raise ConfigError.of(option.name, value, f"leave it out: {reason or 'it is for images'}")
