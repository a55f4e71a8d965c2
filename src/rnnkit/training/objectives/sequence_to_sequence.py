"""An encoder–decoder that is trained with teacher forcing."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError, check_whole
from ...ops.losses import LOSSES, Loss
from ...ops.padding import valid_steps
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

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets, vocabulary = batch.targets, shape[-1]
        assert targets is not None
        if self.loss.targets == "labels" and targets.dim() == 2:
            lengths = batch.target_lengths
            used = targets if lengths is None else targets[valid_steps(lengths, targets.shape[1], targets.device)]
            low, high = (int(end) for end in torch.aminmax(used))
            if low < 0 or high >= vocabulary:
                raise DataError(
                    f"the label {low if low < 0 else high} arrived, but the model tells apart a vocabulary of "
                    f"{vocabulary}, labels 0 to {vocabulary - 1}",
                    remedy="give each label a number from 0 on"
                    if low < 0
                    else f"build the model with a vocabulary of at least {high + 1}: its embedding and its last layer",
                )
        return super().fit(batch, shape, dtype)

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        if batch.targets is None:
            raise ConfigError(
                "inputs without targets arrived; the objective 'seq2seq' trains a model that reads the target before "
                "each step, so predict cannot call it: decode with a method of the model that reads its own outputs"
            )
        return call_model(module, batch, self.previous(batch.targets))
