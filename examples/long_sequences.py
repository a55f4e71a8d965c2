"""Vanishing and exploding gradients on the adding problem, and what each cure does about them.

Two of T numbers are marked and their sum is asked for at the end, so that something seen up to T steps ago has to reach
the answer, and its gradient the way back. Six networks of equal width are measured before training (how much of the
gradient arrives at each step) and then trained on the same rows, the one whose gradient explodes also without clipping.
The constant answer has an error of 0.167.

Run: python examples/long_sequences.py [steps] [folder for the pictures]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure

import rnnkit
from rnnkit.data.problems import adding
from rnnkit.diagnostics import gradient_flow, horizon, spectra
from rnnkit.diagnostics.measurement_pictures import gradients

CONSTANT = 1 / 6
EXPLODES, UNCLIPPED = "ReLU, identity × 1.02", "ReLU, identity × 1.02, not clipped"
COLOURS = ("#0072B2", "#D55E00", "#D55E00", "#009E73", "#CC79A7", "#B88A00", "#56B4E9")
Network = Callable[[], torch.nn.RNNBase]


def networks(steps: int, hidden: int) -> dict[str, tuple[Network, float, float | None]]:
    """A recurrence by name, with the learning rate and the clipping it is trained with."""

    def exploding() -> torch.nn.RNNBase:
        layer = rnnkit.SimpleRNN(2, hidden, nonlinearity="relu", init="identity")
        with torch.no_grad():
            layer.weight_hh_l0.mul_(1.02)  # a little too large: 1.02 ** 400 is 2,755
        return layer

    def chrono() -> torch.nn.RNNBase:
        layer = rnnkit.GRU(2, hidden, init="keras")
        rnnkit.chrono_(layer, steps)
        return layer

    return {
        "tanh": (lambda: rnnkit.SimpleRNN(2, hidden), 1e-3, None),
        EXPLODES: (exploding, 1e-3, 1.0),
        UNCLIPPED: (exploding, 1e-3, None),
        "ReLU, identity": (lambda: rnnkit.SimpleRNN(2, hidden, nonlinearity="relu", init="identity"), 1e-3, 1.0),
        "LSTM": (lambda: rnnkit.LSTM(2, hidden, init="keras"), 5e-3, 1.0),
        "GRU": (lambda: rnnkit.GRU(2, hidden, init="keras"), 5e-3, 1.0),
        "GRU, chrono": (chrono, 5e-3, 1.0),
    }


def main(
    steps: int = 400, folder: Path = Path("long_sequences"), *, rows: int = 10_000, epochs: int = 10, hidden: int = 64
) -> dict[str, float]:
    """Measures and trains the networks, draws two pictures, and returns the errors on rows of another seed."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = adding(rows, steps, seed=0), adding(max(rows // 10, 10), steps, seed=1)
    x, y = train[0][:64], train[1][:64]
    flows, errors, curves = {}, {}, {}
    print(f"adding problem, {steps} steps, {rows:,} rows, {hidden} units; the constant answer: {CONSTANT:.3f}")
    print(f"{'network':34} {'radius':>6} {'far / near':>10} {'sees back':>9} {'trained':>7} {'error':>9}")
    for name, (make, lr, clip_norm) in networks(steps, hidden).items():
        torch.manual_seed(0)
        model = rnnkit.SequenceRegressor(make())
        flows[name] = gradient_flow(model, x, y, torch.nn.functional.mse_loss)
        radius = max(one.radius for one in spectra(model))
        far = flows[name].layers[0].far_to_near
        seen = horizon(model, test[0][:16]).steps
        learner = rnnkit.Learner(model, metrics=(), lr=lr, clip_norm=clip_norm)
        try:
            history = learner.fit(
                train, validation=test, epochs=epochs, batch_size=50, schedule="warmup_cosine", seed=0, progress=False
            )
            curves[name] = [row["val_loss"] for row in history.rows]
            errors[name] = learner.evaluate(test)["loss"]
        except rnnkit.errors.DivergenceError:  # the cure is clipping, and a smaller radius
            curves[name], errors[name] = [], float("nan")
        then = horizon(model, test[0][:16]).steps
        print(f"{name:34} {radius:6.2f} {far:10.1e} {seen:9} {then:7} {errors[name]:9.5f}", flush=True)
    del flows[UNCLIPPED]  # before training it is the clipped one
    gradients(flows, folder / "gradients.png")
    draw(curves, folder / "learning.png")
    print(f"Pictures: {folder}/gradients.png, {folder}/learning.png")
    return errors


def draw(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draws the error after each epoch, a line a network."""
    figure = Figure(figsize=(6.8, 3.2), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour in zip(curves.items(), COLOURS, strict=True):
        style = ":" if name == UNCLIPPED else "-"
        axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=style, label=name)
    axes.axhline(CONSTANT, color="0.6", linestyle=":", linewidth=1)
    axes.set(xlabel="epoch", ylabel="mean squared error", yscale="log")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", type=int, nargs="?", default=400, help="steps of a sequence (default: %(default)s)")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("long_sequences"), help="of the pictures")
    given = parser.parse_args()
    main(given.steps, given.folder)
