"""What models with an output layer share: they tell its width, and the names of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import DataError


class HeadNotes:
    """Keeps the arguments of a module true to its attribute `head`; a base in front of ``torch.nn.Module``."""

    _arguments: dict[str, Any]
    head: Any

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "head" and "_arguments" in self.__dict__:
            self._note_outputs()

    def _note_outputs(self) -> None:
        """Have the arguments tell the width of the head as it is; names of as many classes stay."""
        linears = [part for part in self.head.modules() if isinstance(part, torch.nn.Linear)]
        if not linears:  # a head that does not tell its width
            return
        argument, width = "classes" if "classes" in self._arguments else "outputs", linears[-1].out_features
        before = self._arguments[argument]
        if (len(before) if isinstance(before, list) else before) != width:
            self._arguments[argument] = width

    def set_head(self, head: torch.nn.Linear, name: str = "head") -> None:
        """Put another output layer in place; ``config()`` tells its width.

        Args:
            head: the layer.
            name: where it goes; "head.2", say, for the last layer of a head of several.
        """
        parent, _, child = name.rpartition(".")
        setattr(self.get_submodule(parent), child, head)  # type: ignore[attr-defined]
        self._note_outputs()


class NamedClasses(HeadNotes):
    """A model whose outputs are classes, with or without names."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, or None where only their number is known."""
        names = self._arguments["classes"]
        return tuple(names) if isinstance(names, list) else None

    @class_names.setter
    def class_names(self, names: Sequence[str] | None) -> None:
        known = self._arguments["classes"]
        count = len(known) if isinstance(known, list) else known
        if names is not None and len(names) != count:
            raise DataError(
                f"the labels have {len(names)} names ({', '.join(map(repr, list(names)[:4]))} …), but the model has "
                f"{count} classes; build it with all of them: classes=['name', ...]"
            )
        self._arguments["classes"] = count if names is None else list(names)
