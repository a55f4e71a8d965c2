"""Vanishing and exploding gradients on the adding problem, and what each remedy does about them.

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

import rnnkit
from rnnkit.data.problems import adding
from rnnkit.diagnostics import gradient_flow, horizon, spectra
from rnnkit.diagnostics.measurement_pictures import gradients
from rnnkit.plotting import style
from rnnkit.plotting.palette import FAINT, looks_of, widths

CONSTANT = 1 / 6
EXPLODES, UNCLIPPED = "ReLU, identity × 1.02", "ReLU, identity × 1.02, not clipped"
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
    """Measure and train the networks, draw two pictures, and return the errors on rows of another seed."""
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
        except rnnkit.errors.DivergenceError:  # the remedy is clipping, and a smaller radius
            curves[name], errors[name] = [], float("nan")
        then = horizon(model, test[0][:16]).steps
        print(f"{name:34} {radius:6.2f} {far:10.1e} {seen:9} {then:7} {errors[name]:9.5f}", flush=True)
    del flows[UNCLIPPED]  # before training it is the clipped one
    gradients(flows, folder / "gradients.png")
    draw(curves, folder / "learning.png")
    print(f"Pictures: {folder}/gradients.png, {folder}/learning.png")
    return errors


def draw(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the error after each epoch, a line a network: all of them, and those near the constant answer larger."""
    figure = style.figure(9.2, 3.6)
    whole, near = figure.subplots(1, 2)
    for axes in (whole, near):
        style.open_axes(axes)
        axes.axhline(CONSTANT, color=FAINT, linestyle=":", linewidth=1, label="the constant answer", zorder=3)
        for (name, values), (colour, line), width in zip(
            curves.items(), looks_of(curves), widths(len(curves)), strict=True
        ):
            axes.plot(range(1, len(values) + 1), values, color=colour, linestyle=line, linewidth=width, label=name)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    whole.set(ylabel="mean squared error", yscale="log")
    near.set(ylim=(0.94 * CONSTANT, 1.12 * CONSTANT), title="near the constant answer")
    figure.legend(
        *whole.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
        handlelength=4,
    )
    style.write(figure, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", type=int, nargs="?", default=400, help="steps of a sequence (default: %(default)s)")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("long_sequences"), help="of the pictures")
    given = parser.parse_args()
    main(given.steps, given.folder)
