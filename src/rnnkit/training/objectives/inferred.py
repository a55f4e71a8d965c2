"""The objective of models that declare none."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ...ops.losses import Loss
from ...types import Batch
from .horizon import StepObjective
from .objective import Objective, SequenceObjective


class InferredObjective(Objective):
    """Chooses "step" or "sequence" by the shapes of a trial; for models that declare no objective.

    "step" where output and targets both have the steps of the inputs on their second axis and the output has a third
    axis. A forecaster whose horizon equals its window has such shapes too: pass `objective="horizon"`.

    Attributes:
        chosen: what the first data called for, which then holds for all other data; None before.
    """

    name: ClassVar[str] = "inferred"

    def identity(self) -> dict[str, Any]:
        return {}

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.chosen: Objective | None = None

    def infer(self, batch: Batch, rows: Batch, shape: torch.Size) -> Objective:
        """Return the objective for a batch, some rows of which gave an output of that shape."""
        targets = batch.targets
        assert targets is not None
        same = shape[1:2] == rows.inputs.shape[1:2] and targets.shape[1:2] == batch.inputs.shape[1:2]
        per_step = len(shape) >= 3 and same
        chosen: Objective = StepObjective(self.loss) if per_step else SequenceObjective(self.loss)
        return chosen
