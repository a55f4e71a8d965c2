"""One target a step, of the inputs or of a horizon of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor

from ...errors import DataError, ShapeError
from ...ops.padding import valid_steps
from ...types import Batch
from .objective import Objective


class HorizonObjective(Objective):
    """One target a target step: output [B, S, ...] against targets [B, S] or [B, S, ...].

    S and the lengths of the targets are their own: a forecaster's horizon may be shorter than its window, longer, or
    as long. Steps past a row's target length count neither in the loss nor in the metrics.

    Example:
        >>> import rnnkit, torch
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(10, 4))
        >>> learner = rnnkit.Learner(model, loss="mse", metrics=[], objective="horizon")
        >>> list(learner.evaluate((torch.randn(8, 5, 2), torch.randn(8, 4))))
        ['loss']
    """

    name: ClassVar[str] = "horizon"
    targets_follow: ClassVar[str] = "horizon"

    def lengths(self, batch: Batch) -> Tensor | None:
        """Return the valid target steps of each row; None: all."""
        return batch.target_lengths

    def valid(self, batch: Batch) -> Tensor | None:
        """Return which targets count, bool [B, S]; None: all of them.

        Steps behind the end of a row do not, nor do rows and steps whose weight is 0: such a target is missing.
        """
        lengths, targets, there = self.lengths(batch), batch.targets, super().valid(batch)
        assert targets is not None
        steps, found = targets.shape[1], None
        if lengths is not None and int(lengths.min()) < steps:
            found = valid_steps(lengths, steps, targets.device)
        if there is not None:
            there = there if there.dim() > 1 else there[:, None].expand(-1, steps)
            found = there if found is None else found & there
        return found

    def count(self, batch: Batch) -> int:
        found, targets = self.valid(batch), batch.targets
        assert targets is not None
        return len(targets) * targets.shape[1] if found is None else int(found.sum())

    def pair(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        targets, weights = batch.targets, batch.weights
        assert targets is not None
        if output.shape[1] != targets.shape[1]:  # in another batch than the one that was tried
            self._refuse_steps(output, targets)
        valid = self.valid(batch)
        if weights is not None and weights.dim() == 1:
            weights = weights[:, None].expand(targets.shape[:2])
        if valid is None:  # without a copy of the outputs
            return output.flatten(0, 1), targets.flatten(0, 1), None if weights is None else weights.flatten(0, 1)
        return output[valid], targets[valid], None if weights is None else weights[valid]

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        found, targets = super().check_output(output, rows), rows.targets
        assert targets is not None
        if found.dim() < 2 or (found.dim() == 2 and self.loss.targets == "labels"):
            raise ShapeError(
                f"the model returns outputs of shape {list(found.shape)}; the objective {self.name!r} expects steps on "
                "the second axis, [B, steps, ...]"
            )
        if targets.shape[1:2] != found.shape[1:2]:
            self._refuse_steps(found, targets)
        return found

    def _refuse_steps(self, output: Tensor, targets: Tensor) -> NoReturn:
        raise ShapeError(
            f"the model returns outputs of {output.shape[1]} steps, {list(output.shape)}, but the targets have shape "
            f"{list(targets.shape)}; the objective {self.name!r} expects as many target steps"
        )

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets = batch.targets
        assert targets is not None
        if targets.dim() < 2:
            raise ShapeError(
                f"targets of shape {list(targets.shape)} arrived; the objective {self.name!r} expects steps on their "
                f"second axis, [{len(targets)}, {shape[1]}]"
            )
        if batch.target_lengths is not None and int(batch.target_lengths.min()) < 1:
            row = int(batch.target_lengths.argmin())
            raise DataError(f"row {row} has no target step; expected at least one: leave the row out")
        return self._fit(batch, torch.Size([*targets.shape[:2], *shape[2:]]), self.lengths(batch), dtype)


class StepObjective(HorizonObjective):
    """One target an input step: output [B, T, ...] against targets [B, T] or [B, T, ...].

    Steps past a row's input length count neither in the loss nor in the metrics.

    Example:
        >>> import rnnkit, torch
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(2, 4), outputs=3)
        >>> learner = rnnkit.Learner(model, loss="mse", metrics=[], objective="step")
        >>> list(learner.evaluate((torch.randn(8, 5, 2), torch.randn(8, 5, 3))))
        ['loss']
    """

    name: ClassVar[str] = "step"
    targets_follow: ClassVar[str] = "inputs"

    def identity(self) -> dict[str, Any]:
        return {}

    def lengths(self, batch: Batch) -> Tensor | None:
        return batch.input_lengths

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets, steps = batch.targets, batch.inputs.shape[1]
        assert targets is not None
        if batch.target_lengths is not None and not _equal(batch.target_lengths, batch.input_lengths):
            raise DataError("targets of unequal lengths arrived; expected each to be as long as its sequence")
        if targets.shape[1:2] != (steps,):
            if targets.dim() < 2:
                raise ShapeError(
                    f"targets of shape {list(targets.shape)} arrived; the objective 'step' expects one a step, "
                    f"[{len(targets)}, {steps}]"
                )
            raise ShapeError(f"targets of {targets.shape[1]} steps arrived with inputs of {steps} steps")
        return replace(super().fit(batch, shape, dtype), target_lengths=None)  # those of the inputs


def _equal(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and torch.equal(one, other)
