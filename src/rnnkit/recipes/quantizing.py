"""A run with weights in 8 bits, made of a trained one: its folder, and what changed."""

from __future__ import annotations

import os
import shlex
import shutil
import warnings
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, RnnkitError, RnnkitWarning
from ..layers.description import short_repr
from ..runs import METRICS, RECIPE, VERSIONS, read_facts, read_recipe, start, write_json
from ..runs.folders import claim_next
from ..serialization import FILE, STATE, read_config, save_module
from ..tasks.figure_names import figure_name
from .base import Recipe
from .interface import DataRequest

if TYPE_CHECKING:
    from ..layers.quantized import Quantization

REPORT = "quantize.json"
_SHOWN = 4  # layers that a line names
# What is not copied: it describes the training and the float model's answers, or is that model's export.
_LEFT_FILES = {FILE, STATE, RECIPE, VERSIONS, METRICS, "model.json", "model.keras.json"}
_LEFT_KINDS = {".png", ".html", ".csv", ".jsonl", ".onnx", ".keras"}


@dataclass(frozen=True)
class Report:
    """What weights in 8 bits changed; each pair is before and after.

    Attributes:
        run: the folder of the float run.
        layers: those with 8 bits, by their names.
        float_layers: those that stay float, with the reason.
        bytes: of the model's file.
        milliseconds: of the layers' processor time on one thread, by what they compute.
        processor: the instructions that multiply the whole numbers.
        rows: which rows the figures are of; None: there are no figures.
        figures: on these rows.
    """

    run: str
    layers: dict[str, str]
    float_layers: dict[str, str]
    bytes: tuple[int, int]
    milliseconds: dict[str, tuple[float, float]]
    processor: str
    rows: str | None
    figures: dict[str, tuple[float, float]]

    def lines(self) -> list[str]:
        """Return what is reported to the user, a sentence each."""
        told = [f"8 bits: {name or 'the model'}, {layer}" for name, layer in self.layers.items()]
        for reason in dict.fromkeys(self.float_layers.values()):
            names = [name or "the model" for name, own in self.float_layers.items() if own == reason]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            told.append(f"Float as before: {', '.join(names[:_SHOWN])}{more}: {reason}")
        size, small = self.bytes
        told.append(f"Size: {_size(size)} → {_size(small)} ({small / size:.2f} ×)")
        for what, (before, after) in self.milliseconds.items():
            times = before / max(after, 1e-9)
            told.append(f"{what}: {before:.3g} ms → {after:.3g} ms ({times:.2f} × as fast, {self.processor})")
        if self.rows is not None:
            told.append(f"Compared on {self.rows}:")
        for name, (before, after) in self.figures.items():
            title = figure_name(name)
            percent = "accuracy" in name
            shown = f"{before:.2%} → {after:.2%}" if percent else f"{before:.5g} → {after:.5g}"
            told.append(f"  {title}: {shown}")
        return told


def quantize_run(
    run: Path, recipe: Recipe, *, out: Path | None = None, data: DataRequest | None = None
) -> tuple[Path, Report]:
    """Write a new run folder whose model has weights in 8 bits, and return it with what changed.

    Args:
        run: the folder of a trained run.
        recipe: its recipe.
        out: the new folder; None takes RUN-int8, or the first of RUN-int8-2 … that is free.
        data: rows to compare on; None: those that the run held out for validation.

    Raises:
        ConfigError: the model has 8 bits already, or no layer that can have them.
        RunFolderError: ``out`` is in use, or lies in a run's folder.
        DataError: the rows cannot be used.
    """
    from ..layers.quantized import quantizable, quantize
    from ..layers.quantized_speed import measure_speed
    from ..models.loading import load

    model = load(run)
    plan = quantizable(model)
    _check(run, plan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="stays float", category=RnnkitWarning)  # the report says so
        small = quantize(model)
    if is_dataclass(recipe) and hasattr(recipe, "device"):
        recipe = replace(recipe, device="cpu")
    whole = Path(os.path.abspath(run))
    place = run if run.name == whole.name else whole  # "." and ".." are no names
    folder = claim_next(place.parent, f"{place.name}-int8") if out is None else out
    with start(read_recipe(run).name, recipe, folder) as folder:
        before = _figures(recipe, run, data)
        for path in run.iterdir():
            if path.is_file() and path.name not in _LEFT_FILES and path.suffix not in _LEFT_KINDS:
                shutil.copy2(path, folder / path.name)
        save_module(small, folder, read_config(run)["extra"])
        after = None if before is None else _figures(recipe, folder, data)
        speed = measure_speed(model, small)
        report = Report(
            run=str(place),
            layers={name: short_repr(dict(model.named_modules())[name]) for name in plan.layers},
            float_layers={one.name: f"{one.layer_class}: {one.reason}" for one in (*plan.skipped, *plan.others)},
            bytes=((run / FILE).stat().st_size, (folder / FILE).stat().st_size),
            milliseconds={
                what: (1e3 * pair[0], 1e3 * pair[1])
                for what, pair in (
                    ("Sequences, 32 × 50 steps", speed.sequences),
                    ("A streamed step", speed.step),
                    ("Linear layers, 32 rows", speed.linear),
                    ("Linear layers, a row", speed.linear_row),
                    ("Embeddings, 32 × 50 ids", speed.embedding),
                )
                if pair is not None
            },
            processor=speed.processor,
            rows=None if before is None else _rows(run, data),
            figures={} if before is None or after is None else {name: (before[name], after[name]) for name in before},
        )
        _keep(run, folder, report, None if data is not None else after)
    return folder, report


def _float_run(run: Path) -> str:
    """Return the run that a run with weights in 8 bits was made from, as it was named then; RUN where it is unknown."""
    folder = run if run.is_dir() else run.parent
    return str(read_facts(folder / REPORT).get("run", "RUN"))


def quantized_run(run: Path, what: str, instead: str) -> ConfigError:
    """Return the error about a run whose model has weights in 8 bits; it names the run that it was made from.

    Args:
        run: its folder, or its model file.
        what: cannot be done with it, as in "be exported".
        instead: what to type, with {} in the place of the float run.
    """
    return ConfigError(
        f"{run} has weights in 8 bits and cannot {what}; take the run that it was made from: "
        f"`{instead.format(shlex.quote(_float_run(run)))}`"
    )


def refuse_quantized_run(run: Path, model: Any, what: str, instead: str) -> None:
    """Raise ConfigError where a run's model has weights in 8 bits; see `quantized_run`."""
    from ..layers.quantized import is_quantized

    if is_quantized(model):
        raise quantized_run(run, what, instead)


def _check(run: Path, plan: Quantization) -> None:
    from ..layers.quantized import EXPECTED

    if plan.done:
        raise ConfigError(f"{run} has weights in 8 bits already; name the run that it was made from")
    if not plan.layers:
        stay = [f"{one.name or 'the model'} ({one.layer_class}): {one.reason}" for one in (*plan.skipped, *plan.others)]
        more = f"; and {len(stay) - _SHOWN} more" if len(stay) > _SHOWN else ""
        raise ConfigError(
            f"{run} has no layer that can be put in 8 bits ({'; '.join(stay[:_SHOWN])}{more}); expected a run with "
            f"{EXPECTED}"
        )


def _figures(recipe: Recipe, run: Path, data: DataRequest | None) -> dict[str, float] | None:
    """Figures on rows that the user names, or on the validation rows; None, with a warning, where there are none."""
    if data is not None:
        return recipe.evaluate(run, data)
    try:
        if type(recipe).validate is Recipe.validate:
            raise ConfigError(
                f"runs of {type(recipe).__name__} hold no rows out for validation; name some: --data FILE"
            )
        return recipe.validate(run)
    except RnnkitError as error:
        warnings.warn(RnnkitWarning(f"the models are not compared on rows with known answers: {error}"), stacklevel=3)
        return None


def _rows(run: Path, data: DataRequest | None) -> str:
    if data is not None:
        return str(data.path)
    split = read_facts(run / METRICS).get("split")
    return "the rows that were held out from training for validation" + (f" ({split})" if split else "")


def _keep(run: Path, folder: Path, report: Report, validation: dict[str, float] | None) -> None:
    """Write the report, and figures as other runs have them."""
    facts = read_facts(run / METRICS)
    kept: dict[str, Any] = {name: facts[name] for name in ("split", "rows", "chosen_on") if name in facts}
    if validation is not None:
        kept["validation"] = validation
    write_json(folder / METRICS, kept)
    write_json(folder / REPORT, vars(report))


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
