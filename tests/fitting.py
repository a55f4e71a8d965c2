"""What the tests of training share."""

from __future__ import annotations

import torch
from torch import nn

from rnnkit.training.history import History
from rnnkit.training.learner import Learner


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def quiet(learner: Learner, data: object, **settings: object) -> History:
    return learner.fit(data, **{"progress": False, "seed": 0, "epochs": 3, **settings})
