"""Prepares rnnkit's docstrings for the reference pages: an extension of griffe, which mkdocstrings uses."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Changes two notations that Markdown does not know.

    - ``Example:`` becomes griffe's ``Examples:``, so that doctests are shown as code.
    - Roles such as ``:class:`name``` become plain code.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r":(?:class|func|meth|mod|attr):(?=`)", "", text)
