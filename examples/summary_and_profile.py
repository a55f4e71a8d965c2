"""What a network holds and costs before it is trained, and where the time of a training step goes.

Two networks read MNIST's digits row by row: an LSTM of two layers, and a GRU in both directions. The table of each
gives parameters, operations and memory by layer; the profile the milliseconds, forward and backward, beside what this
machine can do. Without MNIST, made images of the same shape do: neither table depends on what is drawn on them.

Run: python examples/summary_and_profile.py (seconds)
"""

from __future__ import annotations

import argparse

import torch

import rnnkit
from rnnkit.data import mnist
from rnnkit.errors import RnnkitError

Tensor = torch.Tensor


def rows_of_digits(count: int) -> tuple[Tensor, Tensor]:
    """Images [count, 28 rows, 28 pixels] and their labels."""
    try:
        images, labels = mnist.load()[0]
        return images[:count], labels[:count]
    except RnnkitError as error:
        print(f"MNIST is not here ({type(error).__name__}); made images take its place")
        return torch.rand(count, 28, 28), torch.randint(10, (count,))


def main(images: int = 2048, steps: int = 20, hidden: int = 128) -> dict[str, float]:
    """Shows both networks, and returns the share of a step that each one's recurrent body takes."""
    data = rows_of_digits(images)
    bodies = {
        "LSTM, two layers": rnnkit.LSTM(28, hidden, num_layers=2, batch_first=True),
        "GRU, both directions": rnnkit.GRU(28, hidden, bidirectional=True, batch_first=True),
    }
    shares = {}
    for name, body in bodies.items():
        learner = rnnkit.Learner(rnnkit.SequenceClassifier(body, classes=10))
        # A shape is enough for the table; real rows are needed only to take time.
        print(f"\n{name}\n{learner.summary((32, 28, 28))}")
        before = [parameter.clone() for parameter in learner.model.parameters()]
        found = learner.profile(data, steps=steps, batch_size=32)
        print(f"\n{found}")
        assert all(map(torch.equal, before, learner.model.parameters())), "profiling trains nothing"
        shares[name] = next(part.share for part in found.parts if part.name == "body")
    return shares


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
