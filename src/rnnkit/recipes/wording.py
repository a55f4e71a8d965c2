"""What readers of data advise, in the words of the command line: ``data.ignore=t5``, not ``ignore_columns=['t5']``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ConfigError, DataError
from .overrides import show

_FIELDS = {
    "id_column": "--set data.id",
    "time_column": "--set data.time",
    "group_column": "--set data.group",
    "value_columns": "--set data.values",
    "ignore_columns": "--set data.ignore",
}
_SAME = ("format", "layout", "encoding", "delimiter", "decimal", "header", "time_format", "duplicates")
_VALUE = r"""\[[^\]]*\]|'[^']*'|"[^"]*"|True|False"""
_ARGUMENT = re.compile(rf"(?<![\w.-])({'|'.join([*_FIELDS, *_SAME, 'target_column'])})(=(?:{_VALUE})?|(?=$|[;.]))")
# Both recipes need targets, so to read without them is no advice.
_WITHOUT = re.compile(r"(?:, or|;)[^,;]*\btargets=None(?: if there is none)?")
_OTHER_KIND = re.compile(r"""(?:read (?:the file|them) with|type|or) targets=["'](labels|numbers)["']""")


@contextmanager
def in_settings(kind: str, *, encoding: str = "--set data.encoding=") -> Iterator[None]:
    """Says errors about data that are raised in a block as one who types ``rnnkit`` can follow them.

    Args:
        kind: "classify" or "regress".
        encoding: how an encoding is named: as a field of the recipe, or ``--encoding``.

    Example:
        >>> with in_settings("classify"):
        ...     raise DataError("my.csv: type target_column=, or ignore_columns=['t5', 'a,b']")
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: my.csv: type --set data.label=, or --set data.ignore=t5,"a,b"
    """
    try:
        yield
    except (DataError, ConfigError) as error:
        raise type(error)(_translate(str(error), kind, encoding)) from error


def _translate(message: str, kind: str, encoding: str) -> str:
    names = {**_FIELDS, **{name: f"--set data.{name}" for name in _SAME}}
    names["target_column"] = "--set data.label" if kind == "classify" else "--set data.target"

    def field(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        shown = encoding if name == "encoding" and value else names[name] + value[:1]
        return shown + (show(ast.literal_eval(value[1:])) if value[1:] else "")

    message = _WITHOUT.sub("", message)
    message = _OTHER_KIND.sub(
        lambda match: f"use `rnnkit train {'classify' if match[1] == 'labels' else 'regress'}`", message
    )
    return _ARGUMENT.sub(field, message)
