"""Digits by ReNet: their rows and columns are read both ways, twice, and no convolution is there.

    28 × 28 → patches of 2 × 2 → ReNet(24) → 14 × 14 → patches of 2 × 2 → ReNet(48) → 7 × 7 → all numbers → softmax

Visin et al. 2015 ("ReNet: a recurrent neural network based alternative to convolutional networks") reach 99.55% with
256 units and a hidden layer of 4,096. These are 24 and 48 GRU units without a hidden layer, 174,000 parameters, so that
45 minutes of two cores are enough. Each step augments the images again: it turns, scales, moves, shears and bends them.

Nothing here is made for digits but the form in which `rnnkit predict` brings a picture of a digit: the same settings
learn other sets of four IDX files, such as letters or garments: ``rnnkit train mnist-renet FOLDER``. A share of the
training images chooses the epoch. The test images choose nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.classify_images import ClassifyImages, PreparedClasses
from rnnkit.recipes.classify_images_data import hold_new
from rnnkit.tasks.picture_settings import PictureChanges, PictureFit, PictureNetwork
from rnnkit.tasks.ranges import Count, NotNegative, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data.images.held import HeldPictures
    from rnnkit.tasks.picture_classes import Form, PictureNamer


@dataclass(frozen=True)
class Data(Settings):
    """The images.

    Attributes:
        path: a folder with four IDX files of MNIST's form (:func:`rnnkit.data.idx_folder.read_idx_folder`); none looks
            for MNIST itself, see ``rnnkit.data.mnist.load``.
        validation: share of the training images, each class alike, to choose the epoch by; 0: the last epoch is kept.
        split_seed: of that choice; it does not follow `seed`.
        form: what is done with a picture of a file: digits brings it into MNIST's form (ink on black, 20 pixels high,
            centred), plain scales it; auto takes digits for MNIST itself.
        limit: use only this number of the first images of each part, for a quick look; none uses all.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    validation: NotNegative = 0.08
    split_seed: Seed = 0
    form: Literal["auto", "digits", "plain"] = "auto"
    limit: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation >= 1:
            raise ConfigError(f"data.validation={self.validation:g} arrived; expected a share below 1, such as 0.08")


class _Parts(NamedTuple):
    train: HeldPictures
    validation: HeldPictures | None
    test: HeldPictures
    classes: tuple[str, ...]
    form: Form
    source: str


@dataclass(frozen=True)
class MnistRenet(ClassifyImages):
    """The whole run; ``rnnkit train mnist-renet --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Digits by ReNet"
    noun: ClassVar[str] = "image"

    model: PictureNetwork = field(
        default_factory=lambda: PictureNetwork(
            units=(24, 48), patch=2, size=28, mode="gray", channels=None, pooling="flatten", dropout=0.2
        )
    )
    augment: PictureChanges = field(
        default_factory=lambda: PictureChanges(
            degrees=10, scale=0.1, shift=0.07, shear=0.1, elastic=0.7, flip=0.0, brightness=0.0, contrast=0.0
        )
    )
    fit: PictureFit = field(
        default_factory=lambda: PictureFit(epochs=16, batch_size=64, lr=4e-3, average=0.998, label_smoothing=0.05)
    )
    data: Data = field(default_factory=Data)

    def describe_input(self) -> dict[str, Any]:
        """Return how a picture becomes an input, as JSON values."""
        found = super().describe_input()
        found["image"]["form"] = (
            "plain takes a picture as it is; digits makes it ink 1 on paper 0, with the digit within 20 x 20 pixels "
            "and its centre of mass in the middle of 28 x 28, as MNIST's are"
        )
        return found

    def prepare(self) -> PreparedRun:
        """Read and divide the images, and write nothing."""
        parts = self.parts()
        held = "" if parts.validation is None else (
            f"validation: {len(parts.validation):,} of the training images at random, each class alike (split_seed "
            f"{self.data.split_seed}); "
        )  # fmt: skip
        division = f"{held}test: the {len(parts.test):,} test images of {parts.source}"
        return PreparedImages(
            [], division, {parts.source: parts.train.fingerprint()}, self, train=parts.train,
            validation=parts.validation, tests={"test": parts.test}, classes=parts.classes, form=parts.form,
        )  # fmt: skip

    def new_pictures(self, path: Path, namer: PictureNamer, *, known: bool = True) -> tuple[HeldPictures, list[str]]:
        """Return pictures that a trained run is given: the test images of IDX files, or a folder for each class."""
        from rnnkit.data.idx_folder import has_idx_files, read_idx_folder
        from rnnkit.data.images import read_pictures

        if not (path.is_dir() and has_idx_files(path)):
            return hold_new(read_pictures(path), namer, known=known)
        found = read_idx_folder(path)
        part = found.test if known else found.train
        classes = list(namer.classes)
        names = [str(number) for number in part.labels.unique().tolist()]
        new = [name for name in names if name not in classes]
        if new and known:
            raise DataError(f"{path} has images of {', '.join(new[:5])}, which the model does not know")
        classes += new
        return self._held(part.images, part.labels, classes, path), classes

    def parts(self) -> _Parts:
        """Return the images for training, validation and test.

        Raises:
            DataError: no such files, or test images of a class that no training image has.
        """
        import torch

        from rnnkit.data import mnist
        from rnnkit.data.idx_folder import read_idx_folder
        from rnnkit.data.splits import held_out

        data, path = self.data, self.data.path
        if path is None:
            arrays = [((part.images * 255).round().to(torch.uint8), part.labels) for part in mnist.load()]
            source, is_mnist = "MNIST", True
        else:
            found = read_idx_folder(path)
            arrays = [(part.images, part.labels) for part in (found.train, found.test)]
            source, is_mnist = found.source, found.is_mnist
        arrays = [(images[: data.limit], labels[: data.limit]) for images, labels in arrays]
        (images, labels), test = arrays
        classes = tuple(str(number) for number in labels.unique().tolist())
        train = self._held(images, labels, classes, source)
        validation = None
        if data.validation:
            rows = held_out([classes[one] for one in train.labels.tolist()], {"held": data.validation}, data.split_seed)
            train, validation = train.subset(rows["train"].tolist()), train.subset(rows["held"].tolist())
        form: Form = ("digits" if is_mnist else "plain") if data.form == "auto" else data.form
        return _Parts(train, validation, self._held(*test, classes, source), classes, form, source)

    def _held(self, images: object, labels: object, classes: object, source: object) -> HeldPictures:
        """Return images [N, H, W] in the network's size, with the places of their labels among the classes."""
        import torch

        from rnnkit.data.images.held import HeldPictures, as_pixels

        assert isinstance(images, torch.Tensor)
        assert isinstance(labels, torch.Tensor)
        assert isinstance(classes, tuple | list)
        places = {int(name): place for place, name in enumerate(classes)}
        strange = [one for one in labels.unique().tolist() if one not in places]
        if strange:
            raise DataError(f"{source} has images of the class {strange[0]}, of which no training image is")
        size = self.model.size
        if tuple(images.shape[1:]) != (size, size):
            images = torch.stack([as_pixels(one[None].float() / 255, (size, size), 0.0)[0] for one in images])
        numbers = torch.tensor([places[one] for one in labels.tolist()])
        return HeldPictures(images[:, None], numbers)


@dataclass(frozen=True)
class PreparedImages(PreparedClasses):
    """Images that were read and divided."""

    nouns: ClassVar[str] = "images"


def mnist_renet() -> MnistRenet:
    """Read MNIST's digits, or other IDX files (data.path), by two ReNets without a convolution; 45 minutes, 2 cores."""
    return MnistRenet()
