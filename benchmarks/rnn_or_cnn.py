"""A recurrence, a convolution of equal size, or nothing in a network's middle: `python -m benchmarks.rnn_or_cnn`.

For a recipe with the setting `model.context`, each kind of context is trained with each seed, in a process of its own,
and measured:

- quality: the figures of the recipe's test part;
- parameters of the network;
- processor seconds of the training, and the largest memory of its process;
- processor milliseconds of a picture, forward, and forward with backward, in batches (medians);
- which pixels an output sees (`rnnkit.diagnostics.receptive_field`): of the middle place or step where there are
  several outputs;
- streaming: whether the network can go on from a state, so that what comes next costs one step.

`--epochs 0` measures fresh weights: all but quality and the training. `--equal-time` gives the other contexts as many
epochs as fit into the processor time of the first one. `--rows FILE` keeps each row as it comes, so that a run that was
stopped goes on. `python -m benchmarks.far_context` has the task that needs far context.

    python -m benchmarks.rnn_or_cnn mnist-renet --contexts renet conv --set data.limit=3000 --epochs 4
    python -m benchmarks.rnn_or_cnn classify-images --data FOLDER --contexts renet conv none
    python -m benchmarks.rnn_or_cnn digit-strings --contexts lstm conv none --epochs 0
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, get_args, get_type_hints

import torch

import rnnkit
from rnnkit.diagnostics import receptive_field
from rnnkit.recipes import RECIPES, find
from rnnkit.runs.settings import override
from rnnkit.types import Sequences

Row = dict[str, Any]
BATCH, REPEATS = 16, 5
WITHOUT_QUALITY = "–"


def recipes_with_context() -> dict[str, tuple[str, ...]]:
    """Return the kinds of context of each recipe that has the setting `model.context`."""
    found = {}
    for name in RECIPES:
        model = getattr(find(name)(), "model", None)
        if hasattr(model, "context"):
            found[name] = get_args(get_type_hints(type(model))["context"])
    return found


def measure(name: str, context: str, seed: int, settings: Sequence[str], epochs: int | None, folder: Path) -> Row:
    """Train and measure one network.

    Args:
        name: of the recipe.
        context: in the middle of the network.
        seed: of the run.
        settings: further ones, ``GROUP.FIELD=VALUE``.
        epochs: of the training; 0: none; None: as the recipe has them.
        folder: a new one for the run.
    """
    chosen = [*settings, f"model.context={context}", f"seed={seed}", "device=cpu"]
    if epochs:
        chosen.append(f"fit.epochs={epochs}")
    recipe = override(find(name)(), chosen)
    prepared = recipe.prepare()
    torch.set_num_threads(1)
    row: Row = {"context": context, "seed": seed}
    if epochs == 0:
        training = prepared.training()  # type: ignore[attr-defined]
        training.learner.save(folder)
    else:
        began = time.process_time()
        metrics: Any = prepared.run(folder)
        row |= {"seconds": time.process_time() - began, "epochs": metrics["epochs"], **metrics.get("test", {})}
        row["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    data = recipe.inspection_data(folder)
    model, inputs = data.model, _rows(data.inputs, BATCH)
    row["parameters"] = sum(one.numel() for one in model.parameters())
    row["forward"] = _milliseconds(lambda: _call(model, inputs)) / len(inputs)
    row["both"] = _milliseconds(lambda: _call(model, inputs, backward=True)) / len(inputs)
    few = _rows(data.inputs, 4)
    if isinstance(model, rnnkit.SequenceClassifier):
        least = int(few.lengths.min())  # padding is no frame
        row["field"] = receptive_field(_Steps(model), few.values[:, :least]).extent
        row["streams"] = not getattr(model.body, "bidirectional", False)  # what is pooled is kept as means and maxima
    else:
        row["field"] = receptive_field(model, few).extent
        row["streams"] = getattr(model, "carry_problem", "it reads whole pictures") is None
    return row


class _Steps(torch.nn.Module):
    """What a network that pools over time knows at each step."""

    def __init__(self, model: rnnkit.SequenceClassifier) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList([model.front, model.body])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            found = part(x)
            x = found[0] if isinstance(found, tuple) else found
        return x


def _rows(inputs: Any, count: int) -> Any:
    return inputs[: min(count, len(inputs))]


def _call(model: torch.nn.Module, inputs: Any, *, backward: bool = False) -> None:
    values, lengths = (inputs.values, inputs.lengths) if isinstance(inputs, Sequences) else (inputs, None)
    with torch.set_grad_enabled(backward):
        output = model(values) if lengths is None else model(values, lengths=lengths)
        while isinstance(output, tuple):
            output = output[0]
        if backward:
            torch.autograd.grad(output.sum(), [one for one in model.parameters() if one.requires_grad])


def _milliseconds(call: Callable[[], None]) -> float:
    call()
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - began))
    return median(times)


def in_process(name: str, context: str, seed: int, settings: Sequence[str], epochs: int | None) -> Row:
    """Measure one network in a process of its own, whose memory is that of this network alone."""
    with tempfile.TemporaryDirectory() as folder:
        asked = json.dumps([name, context, seed, list(settings), epochs, f"{folder}/run"])
        Path(folder, "run").mkdir()
        command = [sys.executable, "-m", "benchmarks.rnn_or_cnn", "--one", asked]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if done.returncode:
            raise RuntimeError(f"{name} with {context} failed: {done.stderr[-2000:]}")
        found: Row = json.loads(done.stdout.splitlines()[-1])
        return found


def _kept_rows(path: Path | None, key: Row) -> dict[tuple[str, int], Row]:
    if path is None or not path.exists():
        return {}
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(one["row"]["context"], one["row"]["seed"]): one["row"] for one in found if one["key"] == key}


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table, a row a context: means over the seeds, the worst and the best quality beside."""
    own = {"context", "seed", "seconds", "epochs", "memory", "parameters", "forward", "both", "field", "streams"}
    qualities = [name for name in rows[0] if name not in own]
    names = ["context", *qualities, "parameters", "train s", "MB", "ms", "ms with backward", "sees", "streams"]
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    for context in dict.fromkeys(row["context"] for row in rows):
        found = [row for row in rows if row["context"] == context]
        cells = [context]
        for name in qualities:
            values = [row[name] for row in found]
            span = f" ({min(values):.4g} to {max(values):.4g})" if len(values) > 1 else ""
            cells.append(f"{mean(values):.4g}{span}")
        trained = "seconds" in found[0]
        cells.append(f"{found[0]['parameters']:,}")
        cells += [
            f"{mean(row[name] for row in found):.0f}" if trained else WITHOUT_QUALITY for name in ("seconds", "memory")
        ]
        cells += [f"{median(row[name] for row in found):.2f}" for name in ("forward", "both")]
        lines.append(" | ".join([*cells, found[0]["field"], "yes" if found[0]["streams"] else "no"]))
    return [f"| {line} |" for line in lines]


def main() -> None:
    """Train and measure the networks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", help="one with model.context; none lists them")
    parser.add_argument("--data", help="what to learn from, as for `rnnkit train RECIPE DATA`")
    parser.add_argument("--contexts", nargs="+", help="kinds of context, the recurrence first; else all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="0: fresh weights; else those of the recipe")
    parser.add_argument("--equal-time", action="store_true", help="as much processor time as the first context")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="GROUP.FIELD=VALUE")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="JSON lines: rows already there are not run again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        *what, folder = json.loads(asked.one)
        print(json.dumps(measure(*what, Path(folder))))
        return
    known = recipes_with_context()
    if asked.recipe not in known:
        print("\n".join(f"{name}: {', '.join(kinds)}" for name, kinds in known.items()))
        return
    settings = list(asked.settings)
    if asked.data:
        settings.append(f"{find(asked.recipe)().data_setting}={asked.data}")
    contexts = asked.contexts or list(known[asked.recipe])
    for context in contexts:  # a kind that the settings do not go with is told before hours of training
        override(find(asked.recipe)(), [*settings, f"model.context={context}"])
    key = {"recipe": asked.recipe, "settings": settings, "asked": asked.epochs, "equal_time": asked.equal_time}
    kept = _kept_rows(asked.rows, key)

    def measured(context: str, seed: int, equal: Row | None) -> Row:
        epochs = asked.epochs
        if equal is not None:
            pilot = in_process(asked.recipe, context, seed, settings, 1)
            epochs = max(1, round(equal["seconds"] / pilot["seconds"]))
        row = in_process(asked.recipe, context, seed, settings, epochs)
        if asked.rows:
            with asked.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "row": row}) + "\n")
        return row

    rows: list[Row] = []
    for seed in range(asked.seeds if asked.epochs != 0 else 1):
        first: Row | None = None
        for context in contexts:
            row = kept.get((context, seed)) or measured(context, seed, first if asked.equal_time else None)
            rows.append(row)
            first = first or row
            print(json.dumps(row), flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
