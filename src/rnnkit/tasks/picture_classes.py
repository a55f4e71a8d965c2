"""A trained classifier of pictures: from files to names of classes, with probabilities.

    picture → upright, scaled into the network's size → network → softmax

What is stored with the network makes it whole: whether it reads colour, and whether pictures are first brought into the
form of MNIST's. Legend: N pictures, C classes, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ..data.images.held import as_pixels
from ..errors import DataError
from ..layers.modes import mode
from ..serialization import read_config

STORED = "picture_classes"  # in the extra of a model's file
Form = Literal["plain", "digits"]


class PictureAnswer(NamedTuple):
    """What a picture was taken for.

    Attributes:
        name: the most probable class.
        confidence: its probability.
        ranked: (class, probability), the most probable first.

    Example:
        >>> PictureAnswer("cat", 0.9, [("cat", 0.9), ("dog", 0.1)]).to_json()
        {'class': 'cat', 'confidence': 0.9, 'classes': [{'class': 'cat', 'probability': 0.9}, {'class': 'dog', \
'probability': 0.1}]}
    """

    name: str
    confidence: float
    ranked: list[tuple[str, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        ranked = [{"class": name, "probability": round(share, 4)} for name, share in self.ranked]
        return {"class": self.name, "confidence": round(self.confidence, 4), "classes": ranked}


class PictureNamer:
    """Name the classes of pictures.

    Args:
        model: a :class:`rnnkit.PictureClassifier` with a size and names of classes.
        form: "digits" brings pictures of a file into the form of MNIST's first (`rnnkit.data.images.prepare_digit`),
            "plain" takes them as they are.

    Attributes:
        classes: the names.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.PictureClassifier([rnnkit.ReNet(1, 4, patch=2)], ["cat", "dog"], size=8)
        >>> namer = PictureNamer(model)
        >>> namer.shares(torch.rand(3, 1, 8, 8)).shape, namer.answers(torch.rand(1, 1, 8, 8))[0].name in namer.classes
        (torch.Size([3, 2]), True)
    """

    def __init__(self, model: Any, form: Form = "plain") -> None:
        self.model, self.form = model, form

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        names = self.model.class_names
        return tuple(map(str, range(self.model.head.out_features))) if names is None else tuple(names)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the pictures that the network takes."""
        found: tuple[int, int] = self.model.size
        return found

    @property
    def colour(self) -> Literal["RGB", "L"]:
        """How pictures are read."""
        return "RGB" if self.model.body[0].input_size == 3 else "L"

    @torch.inference_mode()
    def shares(self, images: Tensor, *, batch_size: int = 256) -> Tensor:
        """Return the probability of each class, [N, C], on the CPU.

        Args:
            images: [N, C, H, W], bytes or numbers in [0, 1].
            batch_size: pictures at a time.
        """
        device, found = next(self.model.parameters()).device, []
        with mode(self.model, training=False):
            for part in images.split(batch_size):
                values = part.float() / 255 if part.dtype == torch.uint8 else part
                found.append(self.model(values.to(device)).softmax(1).cpu())
        return torch.cat(found)

    def answers(self, images: Tensor, most: int | None = None) -> list[PictureAnswer]:
        """Return what each picture was taken for.

        Args:
            images: as for `shares`.
            most: so many classes are ranked; None: all.
        """
        names, found = self.classes, []
        for line in self.shares(images):
            values, places = line.topk(len(names) if most is None else min(most, len(names)))
            ranked = [(names[place], value) for place, value in zip(places.tolist(), values.tolist(), strict=True)]
            found.append(PictureAnswer(*ranked[0], ranked))
        return found

    def pixels(self, path: str | PathLike[str]) -> Tensor:
        """Return the picture of a file as the network takes it, bytes [C, H, W].

        Raises:
            DataError: there is no such file, it is no picture, or, of digits, it shows nothing.
        """
        from ..data.images import prepare_digit, read_picture

        if self.form == "digits":
            image = torch.from_numpy(prepare_digit(path))[None]
        else:
            image = read_picture(path, mode=self.colour)
        return as_pixels(image, self.size, fill=0.0 if self.form == "digits" else 0.5)

    def read(self, path: str | PathLike[str], most: int | None = None) -> PictureAnswer:
        """Return what the picture of a file was taken for; see `answers` and `pixels`."""
        return self.answers(self.pixels(path)[None], most)[0]

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        return {STORED: {"form": self.form}}

    def __repr__(self) -> str:
        return f"PictureNamer({self.model!r}, {self.form!r})"


def load_picture_namer(path: str | PathLike[str], *, device: str = "auto") -> PictureNamer:
    """Return the classifier of a run folder.

    Args:
        path: the folder of a run of ``classify-images`` or ``mnist-renet``.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it names no classes of pictures.

    Example:
        >>> namer = load_picture_namer("runs/classify-images")           # doctest: +SKIP
        >>> namer.read("leaf.jpg").name                                  # doctest: +SKIP
        'birch'
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra: Mapping[str, Any] = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} names no classes of pictures; expected a run of `rnnkit train classify-images`")
    return PictureNamer(load(path).to(find_device(device)), extra[STORED]["form"])


def score_pictures(namer: PictureNamer, images: Tensor, labels: Sequence[int]) -> tuple[Tensor, Any]:
    """Return the probabilities of pictures [N, C], and the scores of the most probable classes.

    Args:
        namer: the classifier.
        images: as for `PictureNamer.shares`.
        labels: the number of each one's class.
    """
    from .class_scores import ClassScores

    shares = namer.shares(images)
    return shares, ClassScores.of(labels, shares.argmax(1).tolist(), namer.classes)
