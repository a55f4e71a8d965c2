"""Pixels: a class for each, and maybe further scores."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError, check_number
from ...ops.losses import Loss
from ...ops.pixel_loss import pixel_loss
from ...types import Batch
from ..batching.arrays import describe
from .objective import Objective, Score


class PixelObjective(Objective):
    """The loss of the classes of pixels, a mean over pictures; :mod:`rnnkit.ops.pixel_loss` has it.

    The model returns logits [B, C + S, H, W], as :class:`rnnkit.PictureSegmenter` does. Targets are numbers [B, 1 + S,
    H, W]: the class of each pixel, 0 for the background, below 0 where it is not to be judged; then S shares from 0 to
    1, which further logits are compared with. Targets [B, H, W] are classes alone.

    Legend: B pictures, C classes, S shapes, H height, W width.

    Args:
        dice: what the Dice coefficient weighs beside the cross-entropy.

    Raises:
        ConfigError: a negative number.

    Example:
        >>> import torch
        >>> from rnnkit.types import Batch
        >>> batch = Batch(torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 1], [1, -100]]]))
        >>> score = PixelObjective()(torch.zeros(1, 2, 2, 2), batch)
        >>> round(score.loss.item(), 3), score.count
        (1.026, 1)
    """

    name: ClassVar[str] = "pixels"
    has_pairs: ClassVar[bool] = False

    def __init__(self, dice: float = 1.0) -> None:
        check_number(dice, "dice")
        function: Any = pixel_loss
        super().__init__(Loss(self.name, function, "own"))
        self.dice = dice

    def identity(self) -> dict[str, Any]:
        return {"objective": self.name, "dice": self.dice}

    def __call__(self, output: Tensor, batch: Batch) -> Score:
        targets = self._targets(batch)
        each = pixel_loss(output, targets.to(output.dtype), dice=self.dice)
        return Score(self.mean_of_rows(each, batch), self.count(batch), output, targets)

    def predicted(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor | None]:
        return output, None

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        if not isinstance(output, Tensor) or output.dim() != 4 or len(output) != len(rows):
            raise ConfigError(
                f"for {len(rows)} pictures the model returned {describe(output)}; the objective 'pixels' expects "
                f"logits [{len(rows)}, classes, height, width]"
            )
        if rows.targets is not None:
            self._check(self._targets(rows), output.shape)
        return output

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        targets = self._targets(batch)
        self._check(targets, shape)
        classes, shares = targets[:, 0], targets[:, 1:]
        most = shape[1] - shares.shape[1]
        if targets.is_floating_point() and not bool(targets.isfinite().all()):
            raise DataError("the targets hold NaN or infinite numbers; give pixels that are not judged the class -100")
        if classes.numel() and (bool((classes != classes.round()).any()) or not int(classes.max()) < most):
            raise DataError(
                f"classes up to {float(classes.max()):g} arrived; expected whole numbers from 0 to {most - 1}, and "
                "below 0 where a pixel is not judged"
            )
        if shares.numel() and not 0 <= float(shares.min()) <= float(shares.max()) <= 1:
            raise DataError(
                f"shares from {float(shares.min()):g} to {float(shares.max()):g} arrived; expected them from 0 to 1"
            )
        return Batch(batch.inputs, targets.to(dtype), weights=self._weights(batch, targets, 1))

    def _targets(self, batch: Batch) -> Tensor:
        targets = batch.targets
        assert targets is not None
        return targets[:, None] if targets.dim() == 3 else targets

    def _check(self, targets: Tensor, shape: torch.Size) -> None:
        """Raise ShapeError for targets that do not belong to logits of a shape."""
        if targets.dim() != 4 or targets.shape[2:] != shape[2:] or targets.shape[1] > shape[1]:
            size = ", ".join(map(str, shape[2:]))
            raise ShapeError(
                f"targets of shape {list(targets.shape)} arrived for logits of shape {list(shape)}; the objective "
                f"'pixels' expects the class of each pixel, [B, {size}], and shares behind it, [B, 1 + shapes, {size}]"
            )
