"""An attention decoder that learns beside a branch of CTC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import ConfigError, check_number, check_whole
from ...ops.losses import LOSSES
from ...ops.padding import valid_steps
from ...types import Batch
from ..batching.arrays import describe
from .cross_entropy import make_cross_entropy
from .ctc import CTC
from .label_sequences import LabelSequenceObjective
from .objective import Score, call_model
from .sequence_to_sequence import SequenceToSequence


class CTCAttention(LabelSequenceObjective):
    """−(1/n) Σ_b [λ ln q(y_b | x_b) + (1 − λ) ln p(y_b, end | x_b)], q of CTC, p of a decoder with teacher forcing.

    n is the number of labels in the batch, where a row without labels counts as one. p reads the true labels before
    each one; with `sampling` some of its own predictions (:class:`SequenceToSequence`). Labels that do not fit into the
    steps of CTC count there as 0.

    The model is called as `model(x, previous, lengths=input_lengths, return_ctc=True)`. It returns logits
    [B, S + 1, V], those of CTC [B, T', V] and the steps [B] of these, as :class:`rnnkit.AttentionRecognizer` does. With
    λ = 0 it is called without `return_ctc`, and returns the logits alone.

    Watanabe et al. 2017 ("Hybrid CTC/attention architecture for end-to-end speech recognition").

    Legend: B batch, S labels of a row, T' steps of CTC, V vocabulary with blank, start and end.

    Args:
        start: the token that the decoder reads before the first label.
        end: the token that ends the labels.
        blank: the token that stands for no label.
        weight: λ, at least 0 and below 1.
        label_smoothing: share of a target of the decoder that is spread over all tokens (Szegedy et al. 2016).
        sampling: the probability that the decoder reads a token of its own; see `ScheduledSampling`.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> import math, torch
        >>> batch = Batch(torch.zeros(1, 2, 3), torch.tensor([[3]]), torch.tensor([2]), torch.tensor([1]))
        >>> output = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), torch.tensor([2])
        >>> score = CTCAttention(start=1, end=2, weight=0.5)(output, batch)  # 3 of 16 paths of CTC; 2 tokens of 4
        >>> math.isclose(score.loss.item(), 0.5 * math.log(16 / 3) + 0.5 * 2 * math.log(4), rel_tol=1e-5)
        True
    """

    name: ClassVar[str] = "ctc_attention"

    def __init__(
        self,
        start: int,
        end: int,
        blank: int = 0,
        *,
        weight: float = 0.3,
        label_smoothing: float = 0.0,
        sampling: float = 0.0,
    ) -> None:
        check_whole(end, "end", least=0)
        check_number(weight, "weight", below=1)
        loss = make_cross_entropy(LOSSES["cross_entropy"], label_smoothing, None)
        super().__init__(blank, loss.function)
        self.attention = SequenceToSequence(start, loss, sampling=sampling)
        self.ctc = CTC(blank, zero_infinity=True)
        self.end, self.weight = end, weight

    @property
    def sampling(self) -> float:
        """The probability that the decoder reads a token of its own."""
        return self.attention.sampling

    @sampling.setter
    def sampling(self, value: float) -> None:
        self.attention.sampling = value

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "ctc_weight": self.weight}

    def check_targets(self, batch: Batch) -> None:
        assert batch.targets is not None
        if batch.targets.numel():
            self._check_are_labels(batch.targets)

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        if batch.targets is None:
            raise ConfigError(
                "inputs without targets arrived; the objective 'ctc_attention' trains a model that reads the labels "
                "before each one, so predict cannot call it: decode with rnnkit.generation.beam_search"
            )
        ended = self._ended(batch)
        more = {"return_ctc": True} if self.weight else {}
        return call_model(module, ended, self.attention.read(module, ended), **more)

    def _ended(self, batch: Batch) -> Batch:
        """The batch with the end behind the labels of each row, and the blank in their padding."""
        assert batch.targets is not None
        targets, labels = batch.targets.long(), self._labels(batch)
        valid = valid_steps(labels, targets.shape[1], targets.device)
        filled = F.pad(targets.masked_fill(~valid, self.blank), (0, 1), value=self.blank)
        filled[torch.arange(len(filled), device=filled.device), labels.to(filled.device)] = self.end
        return replace(batch, targets=filled, target_lengths=labels + 1)

    def __call__(self, output: Any, batch: Batch) -> Score:
        logits = output[0] if self.weight else output
        ended, count = self._ended(batch), self.count(batch)
        attention = self.attention(logits, ended)
        loss = (1 - self.weight) * attention.loss * (attention.count / max(1, count))
        if self.weight:
            loss = loss + self.weight * self.ctc(output[1:], batch).loss
        assert batch.targets is not None
        return Score(loss, count, logits, batch.targets)

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = output[0] if self.weight else output
        return logits, self._labels(batch) + 1

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        parts = output if self.weight and isinstance(output, tuple) else (output,)
        assert rows.targets is not None
        wanted = (len(rows), rows.targets.shape[1] + 1)
        logits = parts[0]
        if (
            len(parts) != (3 if self.weight else 1)
            or not isinstance(logits, Tensor)
            or logits.dim() != 3
            or logits.shape[:2] != wanted
        ):
            more = ", those of CTC [B, steps, V] and the steps [B]" if self.weight else ""
            raise ConfigError(
                f"for {wanted[0]} sequences with {wanted[1] - 1} labels the model returned "
                f"{describe(logits)}{'' if len(parts) == 1 else f' and {len(parts) - 1} more'}; the objective "
                f"'ctc_attention' expects logits [{wanted[0]}, {wanted[1]}, V]{more}"
            )
        return logits
