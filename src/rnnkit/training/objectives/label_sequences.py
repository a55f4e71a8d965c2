"""What objectives share whose labels have no alignment with the steps of the output."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import DataError, ShapeError, check_whole
from ...ops.losses import Loss, LossFunction
from ...types import Batch
from .objective import Objective


class LabelSequenceObjective(Objective):
    """Labels [B, S], of lengths of their own, for an output of T' steps; one class is the blank.

    Args:
        blank: the class that stands for no label.
        function: the loss, for messages and summaries.

    Raises:
        ConfigError: a blank below 0.
    """

    targets_follow: ClassVar[str] = "targets"
    has_pairs: ClassVar[bool] = False  # no output belongs to a label

    def __init__(self, blank: int, function: LossFunction) -> None:
        check_whole(blank, "blank", least=0)
        super().__init__(Loss(self.name, function, "own"))
        self.blank = blank

    def count(self, batch: Batch) -> int:
        labels, valid = self._labels(batch).clamp(min=1), self.valid(batch)
        return int((labels if valid is None else labels[valid.to(labels.device)]).sum())

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        return self._steps(output, batch)

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets, classes = batch.targets, shape[-1]
        assert targets is not None
        if targets.dim() == 2 and not targets.numel():  # no row has a label, so that their type is unknown
            targets = targets.to(torch.int64)
        self._check_are_labels(targets)
        lengths = self._labels(batch)
        valid = torch.arange(targets.shape[1]) < lengths[:, None]
        labels = targets[valid.to(targets.device)]
        if labels.numel() and (
            int(labels.min()) < 0 or int(labels.max()) >= classes or bool((labels == self.blank).any())
        ):
            raise DataError(
                f"labels run from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1} without the "
                f"blank, {self.blank}: the model has {classes} classes, the blank among them"
            )
        return replace(batch, targets=targets, target_lengths=lengths, weights=self._weights(batch, targets, 1))

    def _check_are_labels(self, targets: Tensor) -> None:
        if targets.is_floating_point() or targets.dim() != 2:
            raise ShapeError(
                f"targets of shape {list(targets.shape)} and type {targets.dtype} arrived; the objective {self.name!r} "
                "expects integer labels [N, S], or a list of arrays of labels of unequal lengths"
            )

    def _labels(self, batch: Batch) -> Tensor:
        assert batch.targets is not None
        if batch.target_lengths is not None:
            return batch.target_lengths
        return torch.full((len(batch.targets),), batch.targets.shape[1])

    def _steps(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return logits and the valid steps of each row."""
        if isinstance(output, tuple):
            return output[0], output[1].cpu()
        if batch.input_lengths is None:
            return output, torch.full((len(output),), output.shape[1])
        if output.shape[1] != batch.inputs.shape[1]:
            raise ShapeError(
                f"the model returns {output.shape[1]} steps for inputs of {batch.inputs.shape[1]}; return the pair "
                "(logits, lengths), so that the valid steps of each row are known"
            )
        return output, batch.input_lengths
