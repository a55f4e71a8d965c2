"""What a fine-tuning changed: quality on the new and the old data, what was trained, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from ...serialization import json_text, replacing


@dataclass(frozen=True)
class Quality:
    """Loss and metrics of one set of data, before and after; None where it could not be measured."""

    rows: int | None
    before: Mapping[str, float] | None
    after: Mapping[str, float] | None


@dataclass(frozen=True)
class FineTuningReport:
    """Before and after; `print` shows a table.

    Attributes:
        new: quality on the new data: on `new_from`, "validation" or "the training rows". Where the head is new,
            "before" is measured with the new head as it was drawn.
        old: quality on the old data; None where none was given. "Before" is the old network with its old head.
        trained: the number of parameters that trained in some step, adapters and new head included, of
        parameters: all of them, as the model is after it.
        epochs, seconds: of training, checks included.
        method: what was asked for.
        findings: what the user may want to change, a sentence each.

    Example:
        >>> quality = Quality(rows=9, before={"accuracy": 0.5}, after={"accuracy": 0.75})
        >>> report = FineTuningReport(quality, None, "validation", trained=20, parameters=200, epochs=3, seconds=1.5)
        >>> print(report)
        quality                   before   after  change
        new accuracy (9 rows)      0.500   0.750  +0.250
        parameters trained: 20 of 200 (10.0%)
        time: 1.5 s, 3 epochs; new data: validation
    """

    new: Quality | None
    old: Quality | None
    new_from: str
    trained: int
    parameters: int
    epochs: int
    seconds: float
    method: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()

    def table(self) -> list[tuple[str, str, str, str]]:
        """Return a row a figure: its name, before, after, and by how much it changed."""
        return [
            line
            for which, quality in (("new", self.new), ("old", self.old))
            if quality is not None
            for line in _lines(which, quality)
        ]

    def how(self) -> dict[str, str]:
        """Return what was trained, for how long, and what was asked for, by its name."""
        share = self.trained / max(self.parameters, 1)
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return {
            "parameters trained": f"{self.trained:,} of {self.parameters:,} ({share:.1%})",
            "time": f"{self.seconds:.1f} s, {epochs}; new data: {self.new_from}",
            **self.method,
        }

    def __str__(self) -> str:
        rows = [("quality", "before", "after", "change"), *self.table()]
        width = max(24, *(len(row[0]) for row in rows))
        lines = [f"{name:<{width}}" + "".join(f"{cell:>8}" for cell in cells) for name, *cells in rows]
        lines += [f"{name}: {value}" for name, value in self.how().items()]
        return "\n".join([*lines, *self.findings])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def to_json(self, path: str | PathLike[str]) -> None:
        """Write the report as JSON, whole or not at all."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(json_text(self.to_dict()), encoding="utf-8")


def _lines(which: str, quality: Quality) -> list[tuple[str, str, str, str]]:
    before, after = quality.before or {}, quality.after or {}
    size = "" if quality.rows is None else f" ({quality.rows:,} {'row' if quality.rows == 1 else 'rows'})"
    lines = []
    for name in dict.fromkeys([*before, *after]):
        pair = before.get(name), after.get(name)
        shown = ["–" if value is None else f"{value:.3f}" for value in pair]
        change = "" if pair[0] is None or pair[1] is None else f"{pair[1] - pair[0]:+.3f}"
        lines.append((f"{which} {name}{size}", *shown, change))
    return lines  # type: ignore[return-value]
