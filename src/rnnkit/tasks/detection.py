"""A trained detector: from pictures to boxes with classes and scores.

    picture → scaled to a longer side → network → boxes, back in pixels of the picture → calibrated scores

What is stored with the network makes it whole: the size, the names of the classes, the calibration of the scores, and
the score of each class from which on things are shown and counted. Legend: C classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..data.images import PictureSet
from ..data.images.picture_files import read_scaled, to_float
from ..errors import ConfigError, DataError, ShapeError
from ..layers.modes import mode
from ..models.cell_detector import CellDetector
from ..ops.cell_loss import boxes_of_cells
from ..ops.centre_loss import predicted_boxes
from ..serialization import read_config
from .found_things import FoundThings
from .score_calibration import Calibration

STORED = "detection"  # in the extra of a model's file
_FAINT = 0.02  # raw scores below it are left out
_MOST = 300  # things of a picture


class Detector:
    """Find things in pictures.

    Args:
        model: a :class:`rnnkit.CentreDetector` or a :class:`rnnkit.CellDetector`.
        classes: names.
        size: pixels that the longer side of pictures is scaled to.
        calibration: of the scores; None leaves them as the network predicts them.
        least: the score of each class from which on things are shown and counted; None: 0.5.
        flips: whether the mean over the picture and its three mirror images is taken, which takes four times as long.

    Raises:
        ConfigError: flips for a model whose cells tell things one by one.

    Example:
        >>> import rnnkit
        >>> from rnnkit.layers.picture_front import PictureFront
        >>> model = rnnkit.CentreDetector(PictureFront(3, (8,), (4,)), PictureFront(8, (8,), (2,)), classes=2)
        >>> detector = Detector(model, ("cat", "dog"), size=64)
        >>> detector([torch.rand(3, 30, 40)])[0].size
        (30, 40)
    """

    def __init__(
        self,
        model: Any,
        classes: Sequence[str],
        size: int,
        calibration: Calibration | None = None,
        least: Sequence[float] | None = None,
        *,
        flips: bool = False,
    ) -> None:
        if flips and isinstance(model, CellDetector):
            raise ConfigError("flips=True arrived with a CellDetector, which has no map to average: type flips=False")
        self.model, self.classes, self.size, self.flips = model, tuple(classes), size, flips
        self.calibration = Calibration.none(len(self.classes)) if calibration is None else calibration
        self.least = tuple(0.5 for _ in self.classes) if least is None else tuple(least)

    def __call__(self, images: Sequence[Tensor], *, batch_size: int = 8) -> list[FoundThings]:
        """Return what is in pictures, also what has a low score; ``detector.shown(found)`` leaves that out.

        Args:
            images: float32 [3, H, W] each, in [0, 1].
            batch_size: pictures of one size that are looked at together.

        Raises:
            ShapeError: a picture is no [3, H, W].
        """
        prepared = [self._prepared(number, image) for number, image in enumerate(images)]
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, one in enumerate(prepared):
            groups.setdefault(tuple(one.shape), []).append(number)
        found: dict[int, FoundThings] = {}
        for rows in groups.values():
            for begin in range(0, len(rows), batch_size):
                chosen = rows[begin : begin + batch_size]
                predicted = self._predicted(torch.stack([prepared[row] for row in chosen]))
                for row, (boxes, labels, scores) in zip(chosen, predicted, strict=True):
                    height, width = images[row].shape[1:]
                    found[row] = self._found(boxes, labels, scores, height, width)
        return [found[row] for row in range(len(images))]

    def read(self, path: str | PathLike[str]) -> FoundThings:
        """Return what is in the picture of a file, upright.

        Raises:
            DataError: there is no such file, or it is no picture.
        """
        pixels, (height, width) = read_scaled(path, self.size)
        [found] = self([to_float(pixels)])
        return _in_pixels(found, height, width)

    def find(self, pictures: PictureSet) -> list[FoundThings]:
        """Return what is in each picture of a set, in pixels of its file, also what has a low score.

        Raises:
            DataError: a file is damaged.
        """
        found = []
        for number, picture in enumerate(pictures):
            [one] = self([pictures.image(number)])
            found.append(_in_pixels(one, picture.height, picture.width))  # cached pixels may be scaled down
        return found

    def shown(self, found: FoundThings) -> FoundThings:
        """Return the things whose scores reach those of their classes, the highest first."""
        return found.above(self.least).surest_first()

    def with_least(self, least: float | None) -> Detector:
        """Return the same detector with another score from which on things are shown; None: its own."""
        return self if least is None else self._with(least=[least] * len(self.classes))

    def with_flips(self, flips: bool) -> Detector:
        """Return the same detector with or without the mean over mirror images."""
        return self._with(flips=flips)

    def with_classes(self, names: Sequence[str]) -> Detector:
        """Return a detector whose network finds further classes, too; the network is changed.

        Args:
            names: of the classes, which it has not yet.

        Example:
            >>> import rnnkit
            >>> from rnnkit.layers.picture_front import PictureFront
            >>> model = rnnkit.CentreDetector(PictureFront(3, (8,), (4,)), PictureFront(8, (8,), (2,)), classes=1)
            >>> Detector(model, ("cat",), size=64).with_classes(["dog"]).classes
            ('cat', 'dog')
        """
        more = len(names)
        self.model.add_classes(more, generator=torch.Generator().manual_seed(0))
        calibration = Calibration(self.calibration.slopes + (1.0,) * more, self.calibration.offsets + (0.0,) * more)
        least = self.least + (0.5,) * more
        return self._with(classes=(*self.classes, *names), calibration=calibration, least=least)

    def _with(self, **changes: Any) -> Detector:
        names = ("model", "classes", "size", "calibration", "least", "flips")
        return Detector(**{name: getattr(self, name) for name in names} | changes)

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        return {
            STORED: {
                "classes": list(self.classes),
                "size": self.size,
                "calibration": [list(one) for one in self.calibration],
                "least": list(self.least),
                "flips": self.flips,
            }
        }

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> Detector:
        """Return the detector of a network and what `to_extra` stored.

        Raises:
            DataError: the model finds no things.
        """
        if STORED not in extra:
            raise DataError("the model finds no things in pictures; expected one of a run of `rnnkit train detect`")
        stored = extra[STORED]
        calibration = Calibration(*(tuple(one) for one in stored["calibration"]))
        flips = bool(stored.get("flips", False))
        return Detector(model, stored["classes"], int(stored["size"]), calibration, stored["least"], flips=flips)

    def _prepared(self, number: int, image: Tensor) -> Tensor:
        """Return a picture scaled to the longer side and padded to whole cells, at the right and at the bottom."""
        if image.dim() != 3 or image.shape[0] != 3 or min(image.shape) < 1:
            raise ShapeError(
                f"picture {number} has shape {list(image.shape)}; expected [3, H, W]: type read_picture(path)"
            )
        return padded(scaled(image, self.size), self.model.multiple)

    @torch.inference_mode()
    def _predicted(self, images: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        device = next(self.model.parameters()).device
        with mode(self.model, training=False):
            output = self.model(images.to(device)).float().cpu()
            if self.flips:
                output = _mean_of_flips(output, lambda axes: self.model(images.flip(axes).to(device)).float().cpu())
        read = detections_of_cells if output.dim() == 5 else detections_of_centres
        return read(output, self.model.stride)

    def _found(self, boxes: Tensor, labels: Tensor, scores: Tensor, height: int, width: int) -> FoundThings:
        factor = max(height, width) / self.size
        limit = torch.tensor([width, height] * 2, dtype=torch.float32)
        boxes = torch.minimum((boxes * factor).clamp(min=0), limit)
        found = FoundThings((height, width), boxes, labels, self.calibration.apply(scores, labels))
        return found.select(((boxes[:, 2:] - boxes[:, :2]) > 0).all(1))

    def __repr__(self) -> str:
        return f"Detector({self.model!r}, {self.classes}, size={self.size}, flips={self.flips})"


def _in_pixels(found: FoundThings, height: int, width: int) -> FoundThings:
    """Return what was found in a picture that was scaled down, in pixels of its own size."""
    factor = torch.tensor([width / found.size[1], height / found.size[0]] * 2)
    return FoundThings((height, width), found.boxes * factor, found.labels, found.scores)


def _mean_of_flips(output: Tensor, mirrored: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Return the mean of a map of centres and of those of mirror images: of probabilities, and of logarithms of sides.

    Args:
        output: [B, C + 4, H, W].
        mirrored: from the axes that are mirrored to the map.
    """
    total = torch.cat([output[:, :-4].sigmoid(), output[:, -4:]], 1)
    for axes, sides in (((3,), (2, 1, 0, 3)), ((2,), (0, 3, 2, 1)), ((2, 3), (2, 3, 0, 1))):  # left, top, right, bottom
        other = mirrored(axes).flip(axes)
        total += torch.cat([other[:, :-4].sigmoid(), other[:, -4:][:, sides]], 1)
    total /= 4
    return torch.cat([total[:, :-4].logit(1e-7), total[:, -4:]], 1)


def scaled(image: Tensor, size: int) -> Tensor:
    """Return a picture [C, H, W] whose longer side has `size` pixels.

    Example:
        >>> scaled(torch.zeros(3, 30, 40), 20).shape
        torch.Size([3, 15, 20])
    """
    height, width = image.shape[1:]
    factor = size / max(height, width)
    new = (max(round(height * factor), 1), max(round(width * factor), 1))
    if new == (height, width):
        return image
    found: Tensor = torch.nn.functional.interpolate(image[None], new, mode="bilinear", antialias=True)[0]
    return found.clamp(0, 1)


def padded(image: Tensor, multiple: int) -> Tensor:
    """Return a picture [C, H, W] filled with grey at the right and at the bottom, to multiples of a number.

    Example:
        >>> padded(torch.zeros(3, 30, 40), 16).shape
        torch.Size([3, 32, 48])
    """
    height, width = image.shape[1:]
    return torch.nn.functional.pad(image, (0, -width % multiple, 0, -height % multiple), value=0.5)


def detections_of_centres(output: Tensor, stride: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return boxes, classes and scores of each picture by a map of centres.

    A place is a thing where its score is the largest among its eight neighbours.

    Args:
        output: [B, C + 4, H, W].
        stride: pixels of a place.

    Example:
        >>> output = torch.full((1, 5, 3, 3), -9.0)
        >>> output[0, 0, 1, 1], output[0, 0, 1, 2] = 4.0, 3.0
        >>> [(boxes, labels, scores)] = detections_of_centres(output, 4)
        >>> len(boxes), labels.tolist(), round(float(scores[0]), 2)
        (1, [0], 0.98)
    """
    scores = output[:, :-4].sigmoid()
    highest = _highest_around(scores)
    boxes = predicted_boxes(output[:, -4:], stride)
    found = []
    for number in range(len(output)):
        own = scores[number]
        label, row, column = ((own == highest[number]) & (own >= _FAINT)).nonzero(as_tuple=True)
        sure = own[label, row, column]
        order = sure.argsort(descending=True, stable=True)[:_MOST]
        found.append((boxes[number, row, column][order], label[order], sure[order]))
    return found


def _highest_around(scores: Tensor) -> Tensor:
    """Return the largest of each place and its neighbours [B, C, H, W]; PyTorch's pooling takes five times as long."""
    padded = torch.nn.functional.pad(scores, (1, 1, 1, 1))  # scores are above 0
    rows = torch.maximum(torch.maximum(padded[:, :, :-2], padded[:, :, 1:-1]), padded[:, :, 2:])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def detections_of_cells(output: Tensor, stride: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return boxes, classes and scores of each picture by cells; nothing is suppressed.

    Args:
        output: [B, H, W, K, C + 1 + 4].
        stride: the side of a cell.

    Example:
        >>> output = torch.zeros(1, 1, 1, 2, 6)
        >>> output[..., 0, 0], output[..., 1, 1] = 5.0, 5.0
        >>> [(boxes, labels, scores)] = detections_of_cells(output, 16)
        >>> boxes.tolist(), round(float(scores[0]), 2)
        ([[0.0, 0.0, 16.0, 16.0]], 0.99)
    """
    probabilities = output[..., :-4].softmax(-1)[..., :-1].flatten(1, 3)
    boxes = boxes_of_cells(output[..., -4:], stride).flatten(1, 3)
    found = []
    for number in range(len(output)):
        sure, label = probabilities[number].max(-1)
        order = sure.argsort(descending=True, stable=True)[:_MOST]
        order = order[sure[order] >= _FAINT]
        found.append((boxes[number, order], label[order], sure[order]))
    return found


def load_detector(path: str | PathLike[str], *, device: str = "auto") -> Detector:
    """Return the detector of a run folder.

    Args:
        path: the folder of a run of detection.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it finds no things.

    Example:
        >>> detector = load_detector("runs/detect-1")                         # doctest: +SKIP
        >>> detector.shown(detector.read("cells.png")).counts(3)              # doctest: +SKIP
        [18, 1, 2]
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} finds no things in pictures; expected a run of `rnnkit train detect`")
    return Detector.from_extra(load(path).to(find_device(device)), extra)
