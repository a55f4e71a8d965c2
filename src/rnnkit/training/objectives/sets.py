"""Sets: objects in no order, predicted one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError, check_number
from ...ops.losses import Loss
from ...ops.set_matching import set_loss
from ...types import Batch
from ..batching.arrays import describe
from .objective import Objective, Score


class SetObjective(Objective):
    """The loss of a set, a mean over rows; :mod:`rnnkit.ops.set_matching` has it.

    The model returns (logits [B, K, C + 1], values [B, K, D]), as :class:`rnnkit.SetDecoder` does. Targets are
    [B, S, 1 + D]: the class of an object, then its D numbers; ``target_lengths`` [B] counts the objects of each row, 0
    and more. Without them every row has S.

    Legend: B rows, K objects predicted, S objects that are there at most, C classes, D numbers.

    Args:
        alpha: what the distances weigh beside the classes.
        reach: the distance up to which an object counts as predicted nearly right.

    Raises:
        ConfigError: a negative number.

    Example:
        >>> import torch
        >>> from rnnkit.types import Batch
        >>> batch = Batch(torch.zeros(1, 3), torch.tensor([[[0.0, 0.5]]]))
        >>> score = SetObjective()((torch.tensor([[[9.0, -9.0], [-9.0, 9.0]]]), torch.tensor([[[0.5], [0.0]]])), batch)
        >>> round(score.loss.item(), 3), score.count
        (0.0, 1)
    """

    name: ClassVar[str] = "set"
    targets_follow: ClassVar[str] = "targets"
    has_pairs: ClassVar[bool] = False

    def __init__(self, alpha: float = 1.0, reach: float = 0.5) -> None:
        check_number(alpha, "alpha")
        check_number(reach, "reach")
        function: Any = set_loss
        super().__init__(Loss(self.name, function, "own"))
        self.alpha, self.reach = alpha, reach

    def identity(self) -> dict[str, Any]:
        return {"objective": self.name, "alpha": self.alpha, "reach": self.reach}

    def __call__(self, output: Any, batch: Batch) -> Score:
        logits, values = output
        targets = batch.targets
        assert targets is not None
        each = set_loss(
            logits, values, targets[..., 0].long(), targets[..., 1:], self._counts(batch), alpha=self.alpha,
            reach=self.reach,
        )  # fmt: skip
        return Score(self.mean_of_rows(each, batch), self.count(batch), logits, targets)

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The probabilities of the classes and of "no object", then the numbers: [B, K, C + 1 + D]."""
        logits, values = output
        return torch.cat([logits.softmax(-1), values], -1), None

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        pair: Any = output if isinstance(output, tuple | list) and len(output) == 2 else (None, None)
        fits = all(isinstance(one, Tensor) and one.dim() == 3 and len(one) == len(rows) for one in pair)
        if not fits or pair[0].shape[:2] != pair[1].shape[:2]:
            raise ConfigError(
                f"for {len(rows)} rows the model returned {describe(output)}; the objective 'set' expects the pair "
                f"(logits [{len(rows)}, objects, classes + 1], values [{len(rows)}, objects, numbers])"
            )
        targets = rows.targets
        if targets is not None and (targets.dim() != 3 or targets.shape[2] != 1 + pair[1].shape[2]):
            raise ShapeError(
                f"targets of shape {list(targets.shape)} arrived; the objective 'set' expects a class and "
                f"{pair[1].shape[2]} numbers for each object, [{len(rows)}, objects, {1 + pair[1].shape[2]}]"
            )
        logits: Tensor = pair[0]
        return logits

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets = batch.targets
        assert targets is not None
        if targets.dim() != 3 or not targets.is_floating_point():
            raise ShapeError(
                f"targets of shape {list(targets.shape)} and type {targets.dtype} arrived; the objective 'set' expects "
                "numbers [N, objects, 1 + D], the class of an object first"
            )
        counts = self._counts(batch)
        if len(counts) and int(counts.max()) > shape[1]:
            row = int(counts.argmax())
            raise DataError(
                f"row {row} has {int(counts[row])} objects and the model predicts {shape[1]}; expected at most as "
                f"many: build it with steps={int(counts[row])}"
            )
        valid = (torch.arange(targets.shape[1]) < counts[:, None]).to(targets.device)
        there = targets[valid]
        if not bool(there.isfinite().all()):
            raise DataError("the targets hold NaN or infinite numbers; leave these objects out")
        labels, classes = there[:, 0], shape[2] - 1
        if labels.numel() and (
            bool((labels != labels.round()).any()) or not 0 <= labels.min() <= labels.max() < classes
        ):
            raise DataError(
                f"classes run from {labels.min():g} to {labels.max():g}; expected whole numbers from 0 to {classes - 1}"
            )
        return replace(
            batch, targets=targets.to(dtype), target_lengths=counts, weights=self._weights(batch, targets, 1)
        )

    def _counts(self, batch: Batch) -> Tensor:
        assert batch.targets is not None
        if batch.target_lengths is not None:
            return batch.target_lengths
        return torch.full((len(batch.targets),), batch.targets.shape[1])
