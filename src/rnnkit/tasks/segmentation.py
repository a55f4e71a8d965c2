"""A trained network that names the pixels of pictures, and may separate things: from a file to what is in it.

    picture → scaled down, contrast → network, in overlapping tiles where it is large → classes → the picture's own size

What is stored with the network makes it whole: the names of the classes, how pictures are read, and how things are
grown. Legend: I channels, H height, W width, h and w of the scaled picture, C classes with the background, S shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.images.masks import Masks, resized
from ..data.images.moves import resize_image
from ..data.images.picture_files import Mode, read_pixels, to_float
from ..data.images.picture_scaling import shrink
from ..errors import DataError
from ..layers.modes import mode
from ..serialization import read_config
from .found_things import FoundThings
from .growing import Growing, found_of, grow
from .segmentation_batches import stretch
from .segmentation_settings import LARGEST, SegmenterDecoding, ThingsDecoding

STORED = "segmentation"  # in the extra of a model's file


@dataclass(frozen=True)
class PictureReading:
    """How pictures come to a network.

    Attributes:
        longest: pixels of the longer side above which they are scaled down; None: never.
        gray: whether colours are left out.
        contrast: whether `stretch` is applied.

    Example:
        >>> PictureReading(gray=True).prepared(torch.ones(3, 8, 9)).shape
        torch.Size([1, 8, 9])
    """

    longest: int | None = None
    gray: bool = False
    contrast: bool = False

    @property
    def mode(self) -> Mode:
        """The name of the mode in which files are read."""
        return "L" if self.gray else "RGB"

    def prepared(self, image: Tensor) -> Tensor:
        """Return a picture [I, H, W] in [0, 1] as the network takes it, [1 or 3, h, w]."""
        from ..data.images.colours import gray_of

        if self.gray:
            image = gray_of(image)
        elif len(image) == 1:
            image = image.expand(3, -1, -1)
        image = shrink(image[:3], self.longest)
        return stretch(image) if self.contrast else image


class Segmented(NamedTuple):
    """What was found in a picture.

    Attributes:
        class_map: the most probable class of each pixel, uint8 [H, W]: 0 background, n for class number n − 1.
        confidence: the mean over the pixels of the probability of their class; of things the mean of their scores.
        things: those that were separated; None where the network names pixels alone.

    Example:
        >>> Segmented(torch.tensor([[0, 1, 1, 1]], dtype=torch.uint8), 0.9).shares(2)
        [0.25, 0.75]
    """

    class_map: Tensor
    confidence: float
    things: FoundThings | None = None

    def shares(self, classes: int) -> list[float]:
        """Return the share of the pixels that each class has, the background first.

        Args:
            classes: C.
        """
        counts = torch.bincount(self.class_map.flatten().long(), minlength=classes)
        found: list[float] = (counts / counts.sum()).tolist()
        return found


class Segmenter:
    """Name the pixels of pictures, and separate things where the network learned their shapes.

    Args:
        model: a :class:`rnnkit.PictureSegmenter`.
        classes: names without the background.
        reading: how pictures come to it.
        growing: how things are grown; None: pixels are named alone.
        decoding: tiles, and thresholds that replace those of `growing`.

    Example:
        >>> import rnnkit
        >>> segmenter = Segmenter(rnnkit.PictureSegmenter(3, 2, (4, 8)), ("leaf",))
        >>> segmenter(torch.rand(3, 20, 30)).class_map.shape
        torch.Size([20, 30])
    """

    def __init__(
        self,
        model: Any,
        classes: Sequence[str],
        reading: PictureReading | None = None,
        growing: Growing | None = None,
        decoding: SegmenterDecoding | None = None,
    ) -> None:
        self.model, self.classes = model, tuple(classes)
        self.reading = PictureReading() if reading is None else reading
        self.growing = growing
        self.decoding = SegmenterDecoding() if decoding is None else decoding

    def with_growing(self, growing: Growing) -> Segmenter:
        """Return the same with other thresholds."""
        return Segmenter(self.model, self.classes, self.reading, growing, self.decoding)

    def with_decoding(self, decoding: SegmenterDecoding) -> Segmenter:
        """Return the same with other tiles and thresholds."""
        return Segmenter(self.model, self.classes, self.reading, self.growing, decoding)

    def __call__(self, image: Tensor) -> Segmented:
        """Return what is in a picture [I, H, W] in [0, 1].

        Raises:
            DataError: it is too large.
        """
        classes, shapes = self.probabilities(image)
        return self.answer(classes, shapes, (image.shape[1], image.shape[2]))

    def answer(self, classes: Tensor, shapes: Tensor, size: tuple[int, int]) -> Segmented:
        """Return what is in a picture of a size by what the network says of it.

        Args:
            classes, shapes: as `probabilities` returns them.
            size: (H, W).
        """
        whole = classes if classes.shape[1:] == size else resize_image(classes, *size)
        best, named = whole.max(0)
        class_map, growing = named.to(torch.uint8), self._growing
        if growing is None:
            return Segmented(class_map, float(best.mean()))
        numbers, count = grow(classes, shapes, growing)
        things = found_of(numbers, count, classes, shapes)
        least = getattr(self.decoding, "least", 0.0)
        things = things.above(least) if least else things
        if classes.shape[1:] != size:
            assert things.masks is not None
            shown = torch.from_numpy(resized(things.masks.map().numpy(), *size))
            things = FoundThings.of_masks(Masks(shown, len(things)), things.labels, things.scores)
            things = things.select(things.masks.areas > 0) if things.masks is not None else things
        return Segmented(class_map, float(things.scores.mean()) if len(things) else 0.0, things)

    def read(self, path: str | PathLike[str]) -> Segmented:
        """Return what is in the picture of a file.

        Raises:
            DataError: there is no such file, it is no picture, or it is too large.
        """
        return self(to_float(read_pixels(path, mode=self.reading.mode)))

    @torch.inference_mode()
    def probabilities(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the network says of a picture: classes [C, h, w], and shapes [S, h, w], from 0 to 1.

        Args:
            image: [I, H, W] in [0, 1].

        Raises:
            DataError: the picture, scaled down, is too large.
        """
        ready = self.reading.prepared(image)
        _, height, width = ready.shape
        if height * width > LARGEST or image.shape[1] * image.shape[2] > LARGEST:
            raise DataError(
                f"a picture of {image.shape[1]:,} × {image.shape[2]:,} pixels arrived; expected at most "
                f"{LARGEST // 10**6} million pixels: cut it, or make it smaller"
            )
        tile, overlap, step = self.decoding.tile, self.decoding.overlap, self.model.stride
        tops, lefts = (_places(side, tile, overlap, step) for side in (height, width))
        with mode(self.model, training=False):
            whole = len(tops) == len(lefts) == 1
            found = self._outputs(ready) if whole else self._tiled(ready, tops, lefts)
        classes = len(self.classes) + 1
        return found[:classes].clone(), found[classes:].clone()

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        reading = {one.name: getattr(self.reading, one.name) for one in fields(PictureReading)}
        growing = None if self.growing is None else self.growing.to_dict()
        return {STORED: {"classes": list(self.classes), "reading": reading, "growing": growing}}

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any], decoding: SegmenterDecoding | None = None) -> Segmenter:
        """Return the segmenter of a network and what `to_extra` stored.

        Raises:
            DataError: the model names no pixels.
        """
        if STORED not in extra:
            raise DataError("the model names no pixels; expected one of a run of `rnnkit train segment`")
        stored = extra[STORED]
        growing = None if stored["growing"] is None else Growing.from_dict(stored["growing"])
        return Segmenter(model, stored["classes"], PictureReading(**stored["reading"]), growing, decoding)

    @property
    def _growing(self) -> Growing | None:
        """How things are grown, with what the decoding asks for."""
        growing, decoding = self.growing, self.decoding
        if growing is None or not isinstance(decoding, ThingsDecoding):
            return growing
        asked = {name: getattr(decoding, name) for name in ("foreground", "core", "smallest")}
        return replace(growing, **{name: value for name, value in asked.items() if value is not None})

    def _outputs(self, part: Tensor) -> Tensor:
        """Return the probabilities [C + S, h, w] of a part of a picture."""
        found = self._plain(part)
        if self.decoding.flips:
            for axes in ((-1,), (-2,), (-2, -1)):
                found = found + self._plain(part.flip(axes)).flip(axes)
            found = found / 4
        return found

    def _plain(self, part: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        logits = self.model(part[None].to(device))[0].float().cpu()
        classes = len(self.classes) + 1
        return torch.cat([logits[:classes].softmax(0), logits[classes:].sigmoid()])

    def _tiled(self, image: Tensor, tops: list[tuple[int, int]], lefts: list[tuple[int, int]]) -> Tensor:
        """Return the probabilities of a picture in parts, of which neighbours are mixed where they overlap."""
        channels = len(self.classes) + 1 + int(self.model.shapes)
        total = torch.zeros(channels, *image.shape[1:])
        weight = torch.zeros(image.shape[1:])
        for top, bottom in tops:
            for left, right in lefts:
                overlap = self.decoding.overlap
                ramp = _ramp(bottom - top, overlap)[:, None] * _ramp(right - left, overlap)[None]
                total[:, top:bottom, left:right] += self._outputs(image[:, top:bottom, left:right]) * ramp
                weight[top:bottom, left:right] += ramp
        return total.div_(weight)

    def __repr__(self) -> str:
        return f"Segmenter({self.model!r}, {self.classes}, {self.reading}, {self.growing})"


def load_segmenter(
    path: str | PathLike[str], *, device: str = "auto", decoding: SegmenterDecoding | None = None
) -> Segmenter:
    """Return the network of a run folder that names pixels.

    Args:
        path: the folder of a run of ``segment``, ``instances`` or ``nuclei``.
        device: where to compute.
        decoding: tiles and thresholds; None: the usual ones.

    Raises:
        RunFolderError: there is no model. DataError: it names no pixels.

    Example:
        >>> segmenter = load_segmenter("runs/segment-1")                      # doctest: +SKIP
        >>> segmenter.read("a.png").shares(2)                                 # doctest: +SKIP
        [0.81, 0.19]
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} names no pixels; expected a run of `rnnkit train segment` or `rnnkit train instances`")
    where = find_device(device)
    model: Any = load(path).to(where)
    model.take_form(usable_precision(model.precision, where), model.channels_last)
    return Segmenter.from_extra(model, extra, decoding)


def usable_precision(wanted: str, device: torch.device | str) -> Any:
    """Return "float32" or "bfloat16": what is asked for, and with "auto" the latter where a device computes with it.

    A processor without instructions for bfloat16 takes 3 to 40 times as long with it, so that it gets "float32" there.

    Args:
        wanted: "auto", "float32" or "bfloat16".
        device: where the network computes.

    Example:
        >>> usable_precision("float32", "cpu")
        'float32'
    """
    kind = torch.device(device).type
    if wanted == "float32":
        return wanted
    if kind == "cpu":
        able = any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    else:
        able = kind == "cuda" and torch.cuda.is_bf16_supported()
    return "bfloat16" if able else "float32"


def _places(side: int, tile: int, overlap: int, step: int) -> list[tuple[int, int]]:
    """Return (begin, end) of parts that cover a side, about `tile` long, with at least the overlap.

    Each begins at a multiple of the step: the stages of a network that halve their map then meet the same pixels.
    """
    if side <= tile:
        return [(0, side)]
    count = -(-(side - overlap) // (tile - overlap))
    begins = [number * (side - tile) // (count - 1) // step * step for number in range(count)]
    return list(dict.fromkeys((begin, min(begin + tile + step - 1, side)) for begin in begins))


def _ramp(length: int, overlap: int) -> Tensor:
    """Return weights that rise from an edge to the overlap, and fall to the other edge."""
    places = torch.arange(length, dtype=torch.float32) + 0.5
    near = torch.minimum(places, length - places)
    return (near / max(overlap, 1)).clamp(max=1)
