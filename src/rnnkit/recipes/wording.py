"""What readers of data advise, in the words of the command line: ``data.ignore=t5``, not ``ignore_columns=['t5']``."""

from __future__ import annotations

import ast
import errno
import re
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import CheckpointError, ConfigError, DataError, RnnkitError, RunFolderError
from ..runs import folders
from ..runs.settings import show
from ..serialization import STATE

# What the arguments of ``read_series`` are called among a recipe's settings of ``data``.
ROLES = {
    "id_column": "id",
    "time_column": "time",
    "group_column": "group",
    "value_columns": "values",
    "ignore_columns": "ignore",
}
SAME = ("format", "layout", "encoding", "delimiter", "decimal", "header", "time_format", "duplicates")
_VALUE = r"""\[[^\]]*\]|'[^']*'|"[^"]*"|True|False"""
# A column's role may also end a sentence; the other names are words of English there.
_NAMED = rf"(?<![\w.-])({'|'.join([*ROLES, *SAME, 'seed', 'target_column'])})"
_ARGUMENT = re.compile(rf"{_NAMED}(=(?:{_VALUE})?|(?:(?<=_column)|(?<=_columns))(?=$|[;.]))")
# Both recipes need targets, so to read without them is no advice.
_WITHOUT = re.compile(r"(?:, or|;)[^,;]*\btargets=None(?: if there is none)?")
_OTHER_KIND = re.compile(r"""(?:read (?:the file|them) with|type|or) targets=["'](labels|numbers)["']""")
_LEFT_OUT = re.compile(r"a column that is no channel is left out by ignore_columns=.*$")
_IN_MEMORY = re.compile(r"The model in memory is complete: make room and call learner.save\(path\)")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def on_full_disk(folder: Path) -> Iterator[None]:
    """Says what a block that trains into a run folder raises where the disk is full, to one whose process then ends.

    Example:
        >>> with on_full_disk(Path("runs/a")):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        ...
        rnnkit.errors.RunFolderError: runs/a: [Errno 28] No space left on device. Make room and train again
    """
    resume = f"`{folders.resume_again(folder)}`"
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(_IN_MEMORY.sub(f"Make room and go on with {resume}", str(error))) from error
    except OSError as error:
        if isinstance(error, RnnkitError) or error.errno not in _FULL:
            raise
        then = f"go on with {resume}" if (folder / STATE).exists() else "train again"
        raise RunFolderError(f"{folder}: {error}. Make room and {then}") from error


@contextmanager
def in_settings(kind: str, *, new: bool = False) -> Iterator[None]:
    """Says errors and warnings about data that a block raises as one who types ``rnnkit`` can follow them.

    Args:
        kind: "classify" or "regress".
        new: whether the data is read as that of a run was, which can be told the encoding alone: ``--encoding``.

    Example:
        >>> with in_settings("classify"):
        ...     raise DataError("my.csv: type target_column=, or ignore_columns=['t5', 'a,b']")
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: my.csv: type --set data.label=, or --set 'data.ignore=t5,"a,b"'
    """
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield
    except (DataError, ConfigError) as error:
        raise type(error)(_translate(str(error), kind, new)) from error
    finally:
        for one in caught:
            warnings.warn(_translate(str(one.message), kind, new), one.category, stacklevel=3)


def _translate(message: str, kind: str, new: bool) -> str:
    names = {name: name for name in SAME} | ROLES | {"seed": "split_seed"}
    names["target_column"] = "label" if kind == "classify" else "target"

    def field(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        typed = show(ast.literal_eval(value[1:])) if value[1:] else ""
        if new and name == "encoding" and value:
            return f"--encoding {typed}"
        setting = f"data.{names[name]}{value[:1]}{typed}"
        return ("" if new else "--set ") + (shlex.quote(setting) if typed else setting)  # a shell cuts at ; and "

    message = _WITHOUT.sub("", message)
    if new:  # the columns are those of the training data
        message = _LEFT_OUT.sub("if the training data had no such column, take it out of the file", message)
    message = _OTHER_KIND.sub(
        lambda match: f"use `rnnkit train {'classify' if match[1] == 'labels' else 'regress'}`", message
    )
    return _ARGUMENT.sub(field, message)
