"""The copying problem: a word of ten symbols, a pause, and the word asked for again; which networks hold it.

Where the adding problem asks for two numbers over a long time, this asks for everything over some time: every unit has
to keep what it was given until the signal comes. Networks of equal width are trained on the same fresh rows, and judged
on rows of another seed by how many of the ten symbols they repeat. Who remembers nothing gets one in eight right, at a
cross-entropy of 10 ln 8 / T a step.

Run: python examples/copying.py [pause] [folder for the picture]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

import rnnkit
from rnnkit.data.problems import copying
from rnnkit.plotting import style
from rnnkit.plotting.palette import FAINT, looks_of, widths

LENGTH, SYMBOLS = 10, 8


def networks(delay: int, hidden: int) -> dict[str, tuple[torch.nn.RNNBase, float]]:
    """A recurrence by name, with its learning rate."""
    size = SYMBOLS + 2
    found = {
        "tanh": (rnnkit.SimpleRNN(size, hidden), 1e-3),
        "ReLU, identity": (rnnkit.SimpleRNN(size, hidden, nonlinearity="relu", init="identity"), 1e-3),
        "LSTM": (rnnkit.LSTM(size, hidden, init="keras"), 5e-3),
        "LSTM, chrono": (rnnkit.LSTM(size, hidden, init="keras"), 5e-3),
        "GRU": (rnnkit.GRU(size, hidden, init="keras"), 5e-3),
        "GRU, chrono": (rnnkit.GRU(size, hidden, init="keras"), 5e-3),
    }
    for name, (layer, _) in found.items():
        if name.endswith("chrono"):
            rnnkit.chrono_(layer, delay + 2 * LENGTH)
    return found


def repeated(model: torch.nn.Module, rows: tuple[torch.Tensor, torch.Tensor]) -> float:
    """The share of symbols that come back right."""
    model.eval()
    with torch.no_grad():
        answer = model(rows[0])[:, -LENGTH:].argmax(-1)
    return float((answer == rows[1][:, -LENGTH:]).float().mean())


def main(
    delay: int = 50, folder: Path = Path("copying"), *, rows: int = 20_000, epochs: int = 20, hidden: int = 128
) -> dict[str, float]:
    """Train the networks, draw their losses, and return the share of symbols that each repeats."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = delay + 2 * LENGTH
    nothing = LENGTH * math.log(SYMBOLS) / steps
    train, test = copying(rows, delay, seed=0), copying(max(rows // 20, 10), delay, seed=1)
    print(f"copying problem, a pause of {delay} steps, {rows:,} rows, {hidden} units")
    print(f"cross-entropy of remembering nothing: {nothing:.4f}")
    print(f"{'network':16} {'loss':>8} {'symbols repeated':>16}")
    shares, curves = {}, {}
    for name in networks(delay, hidden):
        torch.manual_seed(0)
        layer, lr = networks(delay, hidden)[name]
        model = rnnkit.SequenceTagger(layer, SYMBOLS + 1)
        learner = rnnkit.Learner(model, lr=lr, clip_norm=1.0, metrics=())
        plan = {"epochs": epochs, "batch_size": 50, "schedule": "warmup_cosine", "seed": 0, "progress": False}
        history = learner.fit(train, validation=test, **plan)
        curves[name] = [row["val_loss"] for row in history.rows]
        shares[name] = repeated(model, test)
        print(f"{name:16} {curves[name][-1]:8.4f} {shares[name]:16.1%}", flush=True)
    draw(curves, nothing, folder / "copying.png")
    print(f"Picture: {folder}/copying.png")
    return shares


def draw(curves: Mapping[str, Sequence[float]], nothing: float, path: Path) -> None:
    """Draw the loss after each epoch, a line a network."""
    figure = style.figure(6.8, 3.2)
    axes = figure.subplots()
    style.open_axes(axes)
    axes.axhline(nothing, color=FAINT, linestyle=":", linewidth=1, label="remembering nothing", zorder=3)
    for (name, values), (colour, line), width in zip(
        curves.items(), looks_of(curves), widths(len(curves)), strict=True
    ):
        axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=line, linewidth=width, label=name)
    axes.set(xlabel="epoch", ylabel="cross-entropy a step", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=8, handlelength=4, loc="center left", bbox_to_anchor=(1, 0.5))
    style.write(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("delay", type=int, nargs="?", default=50, help="length of the pause (default: %(default)s)")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("copying"), help="of the pictures")
    given = parser.parse_args()
    main(given.delay, given.folder)
