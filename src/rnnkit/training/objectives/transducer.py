"""Transducers: labels without alignment, each given the labels before it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError
from ...ops.padding import valid_steps
from ...ops.transducer import transducer_loss
from ...types import Batch
from ..batching.arrays import describe
from .label_sequences import LabelSequenceObjective
from .objective import Score, call_model


class Transducer(LabelSequenceObjective):
    """−ln P(labels | inputs), summed over all alignments of the labels with the output's frames.

    L = −(1/n) Σ_b ln P(y_b | x_b), with n the number of labels in the batch, where a row without labels counts as one:
    the loss is in nats a label. :mod:`rnnkit.ops.transducer` has P, and says what the loss needs of memory.

    The model is called as `model(x, targets, lengths=input_lengths)`, without lengths where all rows are as long, and
    with the blank in place of padded labels. It returns logits z [B, T', U + 1, V], for each frame after each number
    of labels, or the pair (z, lengths [B]) where it changes the number of steps, as :class:`rnnkit.TransducerModel`
    does.

    Graves 2012 ("Sequence transduction with recurrent neural networks").

    Legend: B batch, T' frames of the output, U labels of a row, V vocabulary with the blank.

    Args:
        blank: the token that stands for no label.

    Raises:
        ConfigError: a blank below 0.

    Example:
        >>> import torch
        >>> batch = Batch(torch.zeros(1, 2, 3), torch.tensor([[1]]), torch.tensor([2]), torch.tensor([1]))
        >>> score = Transducer()(torch.zeros(1, 2, 2, 3), batch)  # 2 alignments of 3 steps with 3 tokens: 2 / 27
        >>> round(score.loss.item(), 4), score.count
        (2.6027, 1)
    """

    name: ClassVar[str] = "transducer"

    def __init__(self, blank: int = 0) -> None:
        function: Any = transducer_loss
        super().__init__(blank, function)

    def check_targets(self, batch: Batch) -> None:
        assert batch.targets is not None
        if batch.targets.numel():
            self._check_are_labels(batch.targets)

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        if batch.targets is None:
            raise ConfigError(
                "inputs without targets arrived; the objective 'transducer' trains a model that reads the labels "
                "before each one, so predict cannot call it: decode with "
                "rnnkit.generation.transducer_greedy(learner.model, x), or transducer_beam_search"
            )
        targets = batch.targets.long()
        valid = valid_steps(self._labels(batch), targets.shape[1], targets.device)
        return call_model(module, batch, targets.masked_fill(~valid, self.blank))

    def __call__(self, output: Any, batch: Batch) -> Score:
        logits, frames = self._steps(output, batch)
        assert batch.targets is not None
        targets, labels = batch.targets.long(), self._labels(batch)
        each = transducer_loss(logits, targets, frames, labels, blank=self.blank, reduction="none")
        return Score(self.mean_of_rows(each, batch), self.count(batch), logits, targets)

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        logits = output[0] if isinstance(output, tuple) else output
        assert rows.targets is not None
        nodes = rows.targets.shape[1] + 1
        if not isinstance(logits, Tensor) or logits.dim() != 4 or logits.shape[::2] != (len(rows), nodes):
            raise ConfigError(
                f"for {len(rows)} sequences with {nodes - 1} labels the model returned {describe(logits)}; the "
                f"objective 'transducer' expects logits [{len(rows)}, frames, {nodes}, vocabulary], or the pair "
                "(logits, lengths)"
            )
        return logits
