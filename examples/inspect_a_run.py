"""Looks into two readers of MNIST's rows, one well set up and one not, and writes a page about each.

Run it with MNIST's four files in a folder that `RNNKIT_DATA` names, or let them be fetched. It trains on some thousand
images for a minute or so, prints what is wrong with each network, and writes `inspect_well.html` and
`inspect_ill.html`, which open in any browser.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import rnnkit
from rnnkit.data import mnist
from rnnkit.diagnostics.page import write_page


def reader(radius: float | None = None) -> rnnkit.SequenceClassifier:
    """An LSTM, or a plain tanh network whose recurrent weights have this spectral radius."""
    if radius is None:
        return rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64, init="keras"), classes=10)
    body = rnnkit.SimpleRNN(28, 64)
    with torch.no_grad():
        weight = torch.randn(64, 64)
        body.weight_hh_l0.copy_(weight * radius / torch.linalg.eigvals(weight).abs().max())
    return rnnkit.SequenceClassifier(body, classes=10)


def look(name: str, model: rnnkit.SequenceClassifier, lr: float, images: int, epochs: int, out: Path) -> str:
    """Trains, diagnoses on test images, writes the page, and returns the verdict."""
    train, test = mnist.load()
    watch = rnnkit.Diagnostics(every=20, inputs=test.images[:64])
    learner = rnnkit.Learner(model, metrics=["accuracy"], lr=lr)
    learner.fit(
        (train.images[:images], train.labels[:images]),
        validation=(test.images[:images], test.labels[:images]),
        epochs=epochs, seed=0, callbacks=[watch],
    )  # fmt: skip
    found = rnnkit.diagnose(model, test.images, test.labels, records=watch.records, history=learner.history.rows)
    page = write_page(found, out / f"inspect_{name}.html", name=f"An example that is {name}")
    print(f"{name}: {found}\nThe page: {page}\n")
    return found.verdict


def main(images: int = 6000, epochs: int = 4, out: Path = Path(".")) -> list[str]:
    """Looks at both networks and returns the verdicts."""
    torch.manual_seed(0)
    well = look("well", reader(), 1e-3, images, epochs, out)
    ill = look("ill", reader(radius=0.2), 3e-1, images, epochs, out)
    return [well, ill]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6000, help="training images")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("."), help="folder for the pages")
    arguments = parser.parse_args()
    main(arguments.images, arguments.epochs, arguments.out)
