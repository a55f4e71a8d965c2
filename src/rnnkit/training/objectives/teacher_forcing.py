"""Forecasts of a model that reads the true targets while it learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...types import Batch
from ..batching.arrays import select
from .horizon import HorizonObjective
from .objective import Score, call_model


class TeacherForcedHorizon(HorizonObjective):
    """As "horizon", for a model with `reads_targets`: it is called as `model(x, targets=targets)` where there are any.

    While training such a model may return a pair: its outputs for the horizon, and `(outputs [n, ...], targets [n])` of
    further steps, those of the lookback. The loss is the mean over both. The number of targets is that of the horizon,
    by which batches are joined. A target whose own weight is 0 is missing, and so is one that is NaN: it does not
    count, and the model gets NaN in its place. Rows of weight 0 are left out while training, with their lookback.

    Example:
        >>> import rnnkit, torch
        >>> from rnnkit.types import WindowLayout
        >>> learner = rnnkit.Learner(rnnkit.DeepAR(WindowLayout(lookback=8, horizon=4), hidden_size=4))
        >>> list(learner.evaluate((torch.zeros(6, 12, 1), torch.zeros(6, 4))))
        ['loss']
    """

    def valid(self, batch: Batch) -> Tensor | None:
        found, targets = super().valid(batch), batch.targets
        assert targets is not None
        there = ~targets.isnan()
        if bool(there.all()):
            return found
        there = there.flatten(2).all(2) if there.dim() > 2 else there
        return there if found is None else found & there

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        if batch.targets is None:
            return call_model(module, batch)
        batch = _counting_rows(batch) if module.training else batch
        targets, weights = batch.targets, batch.weights
        assert targets is not None
        if weights is not None and weights.shape == targets.shape:
            targets = targets.masked_fill(weights == 0, torch.nan)
        return call_model(module, batch, targets=targets)

    def __call__(self, output: Any, batch: Batch) -> Score:
        if not isinstance(output, tuple):
            return super().__call__(output, batch)
        horizon, (outputs, targets) = output
        batch = _counting_rows(batch)
        score = super().__call__(horizon, batch)
        count = len(targets)
        if count and (batch.weights is None or bool(batch.weights.any())):
            others = self.loss.mean(outputs, targets)
            score.loss = (score.loss * score.count + others * count) / (score.count + count)
        return score


def _counting_rows(batch: Batch) -> Batch:
    """The rows of a batch whose weight is above 0; all of them where none is."""
    weights = batch.weights
    if weights is None or weights.dim() > 1 or bool(weights.all()) or not bool(weights.any()):
        return batch
    return select(batch, weights.nonzero().flatten().cpu(), follow=HorizonObjective.targets_follow)
