"""The objectives of detectors: boxes as targets for a map of centres, or for cells that predict things one by one.

Targets are [B, S, 5]: the class of a box, or −(c + 2) of one in which class c is not judged and −1 of one in which none
is, then left, top, right and bottom in pixels of the input; ``target_lengths`` [B] counts the boxes of each picture, 0
and more.

Legend: B pictures, S boxes of a picture at most, C classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import ConfigError, DataError, ShapeError, check_number
from ..ops.cell_loss import cell_loss
from ..ops.centre_loss import centre_loss
from ..ops.losses import Loss
from ..training.batching.arrays import describe
from ..training.objectives.objective import Objective, Score
from ..types import Batch


class BoxObjective(Objective):
    """Base of the objectives of detectors; a subclass has `compare`.

    Args:
        stride: pixels of a picture that become a place or a cell of the output.
    """

    name: ClassVar[str] = "boxes"
    targets_follow: ClassVar[str] = "targets"
    has_pairs: ClassVar[bool] = False
    axes: ClassVar[int] = 4
    more: ClassVar[int] = 4  # numbers of a place beside its classes

    def __init__(self, stride: int, **weights: float) -> None:
        for name, value in weights.items():
            check_number(value, name)
        function: Any = self.compare
        super().__init__(Loss(self.name, function, "own"))
        self.stride, self.weights = stride, weights

    def compare(self, output: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of a batch."""
        raise NotImplementedError

    def classes(self, shape: torch.Size) -> int:
        """Return C by the shape of an output."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share."""
        return {"objective": self.name, "stride": self.stride, **self.weights}

    def __call__(self, output: Any, batch: Batch) -> Score:
        """Return the loss of a batch; it is a mean over boxes, counted as one over pictures."""
        assert batch.targets is not None
        found = self.compare(output, batch.targets, _counts(batch))
        return Score(found, len(batch.targets), output, batch.targets)

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the output as it is."""
        return output, None

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        """Return the output of a trial if it is a map, or cells."""
        if not isinstance(output, Tensor) or output.dim() != self.axes or len(output) != len(rows):
            raise ConfigError(
                f"for {len(rows)} pictures the model returned {describe(output)}; the objective {self.name!r} "
                f"expects a tensor of {self.axes} axes with the pictures first"
            )
        return output

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        """Check the boxes of a batch.

        Raises:
            ShapeError: targets of another shape. DataError: a class that the model lacks, or no numbers.
            ConfigError: weights.
        """
        targets = batch.targets
        assert targets is not None
        if batch.weights is not None:
            raise ConfigError(
                f"weights arrived; the objective {self.name!r} counts all boxes alike: leave the weights out"
            )
        if targets.dim() != 3 or targets.shape[2] != 5 or not targets.is_floating_point():
            raise ShapeError(
                f"targets of shape {list(targets.shape)} and type {targets.dtype} arrived; the objective {self.name!r} "
                "expects numbers [N, boxes, 5], the class of a box first"
            )
        counts = _counts(batch)
        there = targets[(torch.arange(targets.shape[1]) < counts[:, None]).to(targets.device)]
        if not bool(there.isfinite().all()):
            raise DataError("boxes hold NaN or infinite numbers; leave these boxes out")
        classes = self.classes(shape)
        if len(there) and not -classes - 1 <= there[:, 0].min() <= there[:, 0].max() < classes:
            raise DataError(
                f"classes run from {there[:, 0].min():g} to {there[:, 0].max():g}; expected 0 to {classes - 1}, and "
                f"down to {-classes - 1} for what is not judged"
            )
        return replace(batch, targets=targets.to(dtype), target_lengths=counts)


class CentreObjective(BoxObjective):
    """The loss of a :class:`rnnkit.CentreDetector`; :mod:`rnnkit.ops.centre_loss` has it.

    Args:
        stride: of the detector.
        alpha: how wide the weight of a box is.
        beta: what the boxes weigh relative to the scores.

    Raises:
        ConfigError: a negative number.

    Example:
        >>> import rnnkit
        >>> from rnnkit.layers.picture_front import PictureFront
        >>> generator = torch.manual_seed(0)
        >>> model = rnnkit.CentreDetector(PictureFront(3, (8,), (4,)), PictureFront(8, (8,), (2,)), classes=2)
        >>> learner = rnnkit.Learner(model, objective=CentreObjective(model.stride))
        >>> batch = Batch(torch.rand(1, 3, 32, 32), torch.tensor([[[1.0, 4, 4, 20, 20]]]), None, torch.tensor([1]))
        >>> history = learner.fit([batch], epochs=10, seed=0, progress=False)
        >>> history["loss"][-1] < history["loss"][0]
        True
    """

    name: ClassVar[str] = "centres"

    def __init__(self, stride: int, alpha: float = 0.54, beta: float = 2.0) -> None:
        super().__init__(stride, alpha=alpha, beta=beta)

    def compare(self, output: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return centre_loss(output, targets, counts, self.stride, **self.weights)

    def classes(self, shape: torch.Size) -> int:
        """Return C by the shape of an output."""
        return shape[1] - 4


class CellObjective(BoxObjective):
    """The loss of a :class:`rnnkit.CellDetector`; :mod:`rnnkit.ops.cell_loss` has it.

    Args:
        stride: of the detector.
        alpha: what the boxes weigh relative to the classes.
        kappa: what makes the first steps predict the first things.
        away: what makes a cell predict the boxes in its middle.

    Raises:
        ConfigError: a negative number.

    Example:
        >>> import rnnkit
        >>> from rnnkit.layers.picture_front import PictureFront
        >>> generator = torch.manual_seed(0)
        >>> decoder = rnnkit.SetDecoder(rnnkit.LSTM(8, 8), steps=2, classes=2)
        >>> model = rnnkit.CellDetector(PictureFront(3, (8,), (16,)), decoder)
        >>> learner = rnnkit.Learner(model, objective=CellObjective(model.stride))
        >>> batch = Batch(torch.rand(1, 3, 32, 32), torch.tensor([[[1.0, 4, 4, 20, 20]]]), None, torch.tensor([1]))
        >>> history = learner.fit([batch], epochs=10, seed=0, progress=False)
        >>> history["loss"][-1] < history["loss"][0]
        True
    """

    name: ClassVar[str] = "cells"
    axes: ClassVar[int] = 5

    def __init__(self, stride: int, alpha: float = 2.0, kappa: float = 0.1, away: float = 2.0) -> None:
        super().__init__(stride, alpha=alpha, kappa=kappa, away=away)

    def compare(self, output: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
        """Return the loss of a batch."""
        return cell_loss(output, targets, counts, self.stride, **self.weights)

    def classes(self, shape: torch.Size) -> int:
        """Return C by the shape of an output."""
        return shape[-1] - 5


def _counts(batch: Batch) -> Tensor:
    assert batch.targets is not None
    if batch.target_lengths is not None:
        return batch.target_lengths
    return torch.full((len(batch.targets),), batch.targets.shape[1])
