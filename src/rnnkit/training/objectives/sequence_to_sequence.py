"""An encoder–decoder that is trained with teacher forcing."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, ShapeError, check_whole
from ...ops.losses import LOSSES, Loss
from ...types import Batch
from .objective import HorizonObjective, call_model


class SequenceToSequence(HorizonObjective):
    """−(1/n) Σ_b Σ_s log p(y_{b,s} | y_{b,<s}, x_b) over the n valid target steps.

    The model is called as `model(x, previous, lengths=input_lengths)`, without lengths where all rows are as long, and
    returns logits [B, S, V]. `previous` [B, S] are the targets moved right by one step behind `start`: at each step
    the decoder reads the true label of the step before (teacher forcing, Williams & Zipser 1989).

    Legend: B batch, T input steps, S target steps, V vocabulary.

    Args:
        start: the label that the decoder reads before the first step.
        loss: what compares logits with labels; the cross-entropy unless given.

    Raises:
        ConfigError: a start below 0.

    Example:
        >>> import torch
        >>> objective = SequenceToSequence(start=0)
        >>> objective.previous(torch.tensor([[5, 6, 7]])).tolist()
        [[0, 5, 6]]
    """

    name: ClassVar[str] = "seq2seq"
    targets_follow: ClassVar[str] = "targets"

    def __init__(self, start: int = 0, loss: Loss = LOSSES["cross_entropy"]) -> None:
        check_whole(start, "start", least=0)
        super().__init__(loss)
        self.start = start

    def previous(self, targets: Tensor) -> Tensor:
        """Return what the decoder reads: the targets [B, S] moved right by one step."""
        first = torch.full_like(targets[:, :1], self.start)
        return torch.cat((first, targets[:, :-1]), 1)

    def check_targets(self, batch: Batch) -> None:
        targets = batch.targets
        assert targets is not None
        if targets.dim() < 2 or (self.loss.targets == "labels" and targets.is_floating_point()):
            raise ShapeError(
                f"targets of shape {list(targets.shape)} and type {targets.dtype} arrived; the objective 'seq2seq' "
                "expects integer labels [N, S], or a list of arrays of labels of unequal lengths"
            )

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        if batch.targets is None:
            raise ConfigError(
                "inputs without targets arrived; the objective 'seq2seq' trains a model that reads the target before "
                "each step, so predict cannot call it: decode with a method of the model that reads its own outputs"
            )
        return call_model(module, batch, self.previous(batch.targets))
