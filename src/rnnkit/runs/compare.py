"""Runs side by side: the settings and versions in which they differ, and all their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..serialization import strict
from .stored import StoredRun


@dataclass(frozen=True)
class Comparison:
    """Runs side by side: what differs, each row a mapping from the name to one value a run (None: it has none).

    Attributes:
        runs: in the order in which they were named.
        settings, versions: those in which they differ.
        figures: all that any of them reported, with epochs, seconds and size.
        same: how many settings are alike.
    """

    runs: tuple[StoredRun, ...]
    settings: dict[str, tuple[Any, ...]]
    figures: dict[str, tuple[float | None, ...]]
    versions: dict[str, tuple[Any, ...]]
    same: int

    def difference(self, figure: str) -> tuple[float | None, ...]:
        """Return what each run has more than the first; None for the first, and where either has none."""
        first, *others = self.figures[figure]
        return (None, *(None if one is None or first is None else one - first for one in others))

    def as_json(self) -> dict[str, Any]:
        """Return strict JSON, values by the run's name."""
        names = [run.name for run in self.runs]

        def by_run(rows: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
            return {key: dict(zip(names, values, strict=True)) for key, values in rows.items()}

        facts = {
            "runs": {run.name: {"folder": str(run.folder), "stopped": run.stopped, "problems": list(run.problems)}
                     for run in self.runs},
            "settings": by_run(self.settings),
            "figures": by_run(self.figures),
            "differences": by_run({name: self.difference(name) for name in self.figures}),
            "versions": by_run(self.versions),
            "same_settings": self.same,
        }  # fmt: skip
        return strict(facts)  # type: ignore[no-any-return]


def compare(runs: Sequence[StoredRun]) -> Comparison:
    """Put runs side by side."""
    settings = _side_by_side([{"recipe": run.recipe, **run.settings} for run in runs])
    figures: dict[str, tuple[float | None, ...]] = _side_by_side([run.figures for run in runs])
    for name in ("epochs", "seconds", "size"):
        figures[name] = tuple(getattr(run, name) for run in runs)
    versions = _side_by_side([{key: one for key, one in run.versions.items() if key != "started"} for run in runs])
    different = {name: values for name, values in settings.items() if _differ(values)}
    return Comparison(
        runs=tuple(runs),
        settings=different,
        figures=figures,
        versions={name: values for name, values in versions.items() if _differ(values)},
        same=len(settings) - len(different),
    )


def _side_by_side(each: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    names = dict.fromkeys(name for one in each for name in one)
    return {name: tuple(one.get(name) for one in each) for name in names}


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values[1:])
