"""Connectionist temporal classification: labels without alignment."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError, DataError
from ...types import Batch
from ..batching.arrays import describe
from .label_sequences import LabelSequenceObjective
from .objective import Score


class CTC(LabelSequenceObjective):
    """−log p(labels | inputs), summed over all alignments of the labels with the output's steps.

    L = −(1/n) Σ_b log Σ_{π ∈ A(y_b)} Π_t softmax(z_b)_{t, π_t}

    with A(y) the paths that give y after repeated labels and blanks are removed, and n the number of labels in the
    batch, where a row without labels counts as one: the loss is in nats a label. The model returns logits z [B, T', C]
    for inputs of unequal lengths, or the pair (z, lengths [B]) where it changes the number of steps, as a convolution
    with a stride does.

    Graves et al. 2006 ("Connectionist temporal classification: labelling unsegmented sequence data with recurrent
    neural networks"). Computed by `torch.nn.functional.ctc_loss` in float32.

    Legend: B batch, T' output steps, S labels of a row, C classes with the blank.

    Args:
        blank: the class that stands for no label.
        zero_infinity: count a row whose labels do not fit into its steps as 0, and let no gradient through; without,
            the run stops with an error that names the row.

    Raises:
        ConfigError: a blank below 0.

    Example:
        >>> import torch
        >>> batch = Batch(torch.zeros(1, 4, 3), torch.tensor([[1, 2]]), torch.tensor([4]), torch.tensor([2]))
        >>> score = CTC()(torch.zeros(1, 4, 3), batch)  # 15 of 81 paths give the labels 1, 2
        >>> round(score.loss.item(), 4), score.count
        (0.8432, 2)
    """

    name: ClassVar[str] = "ctc"

    def __init__(self, blank: int = 0, *, zero_infinity: bool = False) -> None:
        function: Any = F.ctc_loss
        super().__init__(blank, function)
        self.zero_infinity = zero_infinity

    def __call__(self, output: Any, batch: Batch) -> Score:
        logits, steps = self._steps(output, batch)
        targets, labels = batch.targets, self._labels(batch)
        assert targets is not None
        short = (steps < labels).nonzero().flatten().tolist()
        if short and not self.zero_infinity:
            row = short[0]
            raise DataError(
                f"{int(labels[row])} labels arrived for {int(steps[row])} steps of the output, in row {row} of a "
                "batch. CTC needs a step for each label, and one between two equal labels: use longer inputs, fewer "
                "strides, or CTC(zero_infinity=True), which leaves such rows out"
            )
        log_p = logits.float().log_softmax(-1).transpose(0, 1)
        each = F.ctc_loss(log_p, targets, steps, labels, self.blank, reduction="none", zero_infinity=self.zero_infinity)
        return Score(self.mean_of_rows(each, batch), self.count(batch), logits, targets)

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        logits = output[0] if isinstance(output, tuple) else output
        if not isinstance(logits, Tensor) or logits.dim() != 3 or len(logits) != len(rows):
            raise ConfigError(
                f"for {len(rows)} sequences the model returned {describe(logits)}; the objective 'ctc' expects logits "
                f"[{len(rows)}, steps, classes], or the pair (logits, lengths)"
            )
        return logits
