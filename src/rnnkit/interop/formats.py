"""The formats that rnnkit writes models to, one row each; what writes is imported when it is needed.

A writer is ``write(model, path, request) -> Report``. A new format is a row in `FORMATS` and a function of that form.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, check_choice


@dataclass(frozen=True)
class Request:
    """What a writer is asked for beside the model.

    Attributes:
        description: what is known of the run, as JSON values: its recipe, its settings, its preprocessing.
        options: what the user chose, by the name of the option; each is one of the format's.
        rows: returns rows to measure on, ``(inputs, targets, loss, which)``, as ``Recipe.inspection_data`` has them,
            with the name of these rows; None: there are none, or they belong to another model.
    """

    description: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Callable[[], tuple[Any, Any, Any, str] | None] | None = None


@dataclass(frozen=True)
class Report:
    """What a writer has done.

    Attributes:
        files: that were written, the model's first.
        lines: the report for the user, a sentence each.
    """

    files: tuple[Path, ...]
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A format that models are written to.

    Attributes:
        name: as ``rnnkit export --to`` takes it.
        suffix: of its files.
        options: names of the options that it has.
        beside: the name of the description, of the file's ``{stem}`` or ``{name}``.
        mark: what the description has under "format".
        module: of this package, with the writer.
        function: the writer's name.
    """

    name: str
    suffix: str
    options: tuple[str, ...]
    beside: str
    mark: str
    module: str
    function: str

    def check_place(self, path: Path) -> None:
        """Check that no file would be overwritten but those of an earlier export, which are known by the description.

        Args:
            path: the file to write.

        Raises:
            ConfigError: the file or the description is another one.
        """
        beside = path.with_name(self.beside.format(stem=path.stem, name=path.name))
        if not beside.is_file():
            found = path if path.is_file() else None
        else:
            found = None if self._describes(beside) else beside
        if found is not None:
            raise ConfigError(
                f"{found} exists, and `rnnkit export` did not write it; name another file with --out, or move it away"
            )

    def _describes(self, file: Path) -> bool:
        """Whether a file is a description of this format."""
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # the latter of JSON and of texts
            return False
        return isinstance(told, dict) and told.get("format") == self.mark

    def write(self, model: Any, path: Path, request: Request) -> Report:
        """Write a model.

        Args:
            model: what ``rnnkit.load`` returns.
            path: the file.
            request: see there.

        Raises:
            ConfigError: an option that the format has not, another suffix, a model that it cannot hold.
            MissingExtraError: a library is not installed.
        """
        for name, value in request.options.items():
            if value not in (None, False) and name not in self.options:
                having = [one.name for one in FORMATS.values() if name in one.options]
                raise ConfigError(
                    f"the option {name} arrived, which the format {self.name!r} does not have; leave it out, or export "
                    f"to {' or '.join(map(repr, having))}"
                )
        if path.suffix != self.suffix:
            raise ConfigError(
                f"the file {path} arrived; expected a name that ends in {self.suffix}, such as model{self.suffix}"
            )
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; expected the name of a file, such as {path / 'model'}{self.suffix}")
        writer = getattr(importlib.import_module(f".{self.module}", __package__), self.function)
        found: Report = writer(model, path, request)
        return found


FORMATS = {
    one.name: one
    for one in (
        Format(
            "onnx", ".onnx", ("check", "int8", "portable", "bits", "whole"), "{stem}.json", "rnnkit onnx",
            "onnx.exporting", "write",
        ),
        Format("keras", ".keras", (), "{name}.json", "keras", "keras.exporting", "write"),
    )
}  # fmt: skip


def find_format(name: str) -> Format:
    """Return a format by its name.

    Raises:
        ConfigError: there is none of that name.

    Example:
        >>> import tempfile, rnnkit
        >>> path = Path(tempfile.mkdtemp()) / "layer.onnx"
        >>> report = find_format("onnx").write(rnnkit.GRU(3, 5), path, Request(options={"whole": True}))
        >>> [file.name for file in report.files]
        ['layer.onnx', 'layer.json']
    """
    check_choice(name, "to", tuple(FORMATS))
    return FORMATS[name]
