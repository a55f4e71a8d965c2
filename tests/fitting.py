"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from safetensors.torch import load_file
from torch import nn

from rnnkit.training.history import History
from rnnkit.training.learner import Learner


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def quiet(learner: Learner, data: object, **settings: object) -> History:
    return learner.fit(data, **{"progress": False, "seed": 0, "epochs": 3, **settings})


def figures(history: History) -> tuple[list[dict[str, float]], int | None, str]:
    """What of a history is no time."""
    times = ("seconds", "samples_per_second")
    rows = [{name: value for name, value in row.items() if name not in times} for row in history.rows]
    return rows, history.best_epoch, history.stopped


def trained(classifier: Callable[[], nn.Module], blobs: object) -> Learner:
    """A learner that tells the two blobs apart."""
    learner = Learner(classifier(), lr=0.02)
    quiet(learner, blobs, epochs=5, seed=0)
    return learner


def stored(folder, model):
    """The weights in the model's file, in the order of `weights`."""
    found = load_file(folder / "model.safetensors")
    return [found[name] for name in model.state_dict()]
