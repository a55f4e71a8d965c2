"""Time a training step of full fine-tuning and of adapters in turn: `python -m benchmarks.adapters`.

LSTM(256) over the 28 rows of digits, batches of 32, Adam: forward, loss, backward and update. Both take turns, a round
of 50 steps each, so that a busy machine slows both; the medians of the rounds are compared.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

import rnnkit
from benchmarks.tables import table, verdict
from rnnkit.finetuning import add_adapters

REQUIRED = 1.1
RANK, HIDDEN, BATCH, CLASSES = 8, 256, 32, 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapters", description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--steps", type=int, default=50, help="of a round")
    options = parser.parse_args()
    times = race(options.rounds, options.steps)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(render(times))
    return 0 if times["LoRA(8)"] <= REQUIRED * times["full"] else 1


def race(rounds: int, steps: int) -> dict[str, float]:
    """Seconds of a step of each, the median of the rounds."""
    torch.manual_seed(0)
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, HIDDEN, batch_first=True), CLASSES)
    adapted = copy.deepcopy(model)
    add_adapters(adapted, RANK, train="head")
    steppers = {"full": stepper(model), f"LoRA({RANK})": stepper(adapted)}
    found: dict[str, list[float]] = {name: [] for name in steppers}
    for turn in range(rounds + 1):
        for name, step in steppers.items():
            began = time.perf_counter()
            for _ in range(steps):
                step()
            if turn:  # the first round warms up
                found[name].append((time.perf_counter() - began) / steps)
    return {name: median(values) for name, values in found.items()}


def stepper(model: torch.nn.Module) -> Callable[[], None]:
    """A function that makes one training step, as the Learner's loop makes it."""
    x, y = torch.rand(BATCH, 28, 28), torch.arange(BATCH) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    return partial(_step, model, optimizer, x, y)


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> None:
    loss = torch.nn.functional.cross_entropy(model(x), y)
    for parameter in model.parameters():
        parameter.grad = None
    loss.backward()
    optimizer.step()


def render(times: dict[str, float]) -> str:
    """Milliseconds of a step, and the ratio to full fine-tuning's."""
    full = times["full"]
    lines = [
        [name, f"{1e3 * value:.2f}", f"{value / full:.2f}", "" if name == "full" else verdict(value <= REQUIRED * full)]
        for name, value in times.items()
    ]
    return table(["fine-tuning", "ms a step", "of full", f"≤ {REQUIRED}"], lines)


if __name__ == "__main__":
    sys.exit(main())
