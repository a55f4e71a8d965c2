"""An encoder–decoder that is trained with teacher forcing, scheduled sampling and a coverage loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError, check_number, check_whole
from ...ops.losses import LOSSES, Loss
from ...ops.padding import valid_steps
from ...types import Batch
from .horizon import HorizonObjective
from .objective import Score, call_model


class SequenceToSequence(HorizonObjective):
    """−(1/n) Σ_b Σ_s log p(y_{b,s} | y_{b,<s}, x_b) over the n valid target steps.

    The model is called as `model(x, previous, lengths=input_lengths)`, without lengths where all rows are as long, and
    returns logits [B, S, V]. `previous` [B, S] are the targets moved right by one step behind `start`: at each step
    the decoder reads the true label of the step before (teacher forcing, Williams & Zipser 1989).

    With `sampling` the decoder reads, while training, some labels that it predicts itself (scheduled sampling, Bengio
    et al. 2015). The model is called twice: without gradients on the true labels, whose likeliest successors then take
    the place of each label with that probability, and once more (two passes, Mihaylova & Martins 2019). So no layer
    has to be run step by step.

    With `coverage` λ the model is called with `return_attention=True`, returns the pair of logits and attention
    weights a [B, S, T], and the loss has λ (1/n) Σ_b Σ_s Σ_i min(a_si, Σ_{s' < s} a_s'i) more: attending to the same
    step of the input again costs (See, Liu & Manning 2017).

    Legend: B batch, T input steps, S target steps, V vocabulary.

    Args:
        start: the label that the decoder reads before the first step.
        loss: what compares logits with labels; the cross-entropy unless given.
        coverage: λ.
        sampling: the probability that a label is one of the model's own; see `ScheduledSampling` for one that rises.
        copies: V of a model that copies words out of the inputs, which have numbers from V on; None: no such model.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> import torch
        >>> objective = SequenceToSequence(start=0)
        >>> objective.previous(torch.tensor([[5, 6, 7]])).tolist()
        [[0, 5, 6]]
    """

    name: ClassVar[str] = "seq2seq"
    targets_follow: ClassVar[str] = "targets"

    def __init__(
        self,
        start: int = 0,
        loss: Loss = LOSSES["cross_entropy"],
        *,
        coverage: float = 0.0,
        sampling: float = 0.0,
        copies: int | None = None,
    ) -> None:
        check_whole(start, "start", least=0)
        check_number(coverage, "coverage")
        if not 0 <= sampling <= 1:
            raise ConfigError.of("sampling", sampling, "expected a probability, 0 to 1")
        super().__init__(loss)
        self.start, self.coverage, self.sampling, self.copies = start, coverage, sampling, copies

    def identity(self) -> dict[str, Any]:
        more = {"coverage": self.coverage} if self.coverage else {}
        return {**super().identity(), **more}

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

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        return super().check_output(self._split(output)[0], rows)

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets, vocabulary = batch.targets, shape[-1]
        assert targets is not None
        if self.copies is not None:  # the words that this batch can copy, not those of the trial
            vocabulary = max(self.copies, int(batch.inputs.max()) + 1)
            shape = torch.Size([*shape[:-1], vocabulary])
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
        more = {"return_attention": True} if self.coverage else {}
        return call_model(module, batch, self.read(module, batch), **more)

    def read(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        """Return what the decoder reads of a batch with targets [B, S]: while training also its own predictions."""
        assert batch.targets is not None
        previous = self.previous(batch.targets)
        return self._sampled(module, batch, previous) if self.sampling and module.training else previous

    def _sampled(self, module: torch.nn.Module, batch: Batch, previous: Tensor) -> Tensor:
        """The labels that the decoder reads, some of them predicted from the true ones before."""
        with torch.no_grad():
            guesses = call_model(module, batch, previous).argmax(-1)
        own = torch.rand(previous[:, 1:].shape, device=previous.device) < self.sampling
        return torch.cat((previous[:, :1], torch.where(own, guesses[:, :-1], previous[:, 1:])), 1)

    def __call__(self, output: Any, batch: Batch) -> Score:
        logits, weights = self._split(output)
        score = super().__call__(logits, batch)
        if weights is None:
            return score
        again, valid = coverage_loss(weights), self.valid(batch)
        again = again if valid is None else again[valid]
        score.loss = score.loss + self.coverage * again.sum() / max(1, again.numel())
        return score

    def _split(self, output: Any) -> tuple[Any, Tensor | None]:
        """Logits, and the attention behind them where the coverage loss asks for it."""
        return output if self.coverage and isinstance(output, tuple) else (output, None)


def coverage_loss(weights: Tensor) -> Tensor:
    """Return Σ_i min(a_ti, Σ_{t' < t} a_t'i) of each step, [B, T] (See et al. 2017, equation 12).

    Args:
        weights: a [B, T, S].

    Example:
        >>> coverage_loss(torch.tensor([[[1.0, 0.0], [0.75, 0.25]]])).tolist()
        [[0.0, 0.75]]
    """
    before = weights.cumsum(1) - weights
    return torch.minimum(weights, before).sum(-1)
