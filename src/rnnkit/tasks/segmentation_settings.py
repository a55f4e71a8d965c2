"""The settings of recipes that name the pixels of pictures, and separate things. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from ..errors import ConfigError
from .augment_settings import AugmentSettings
from .ranges import Count, NotNegative, Positive, Range, Settings, Share, WholeNumber
from .settings import Average, AveragedSettings, Norm, Optimizer

LARGEST = 64_000_000  # pixels of a picture that is segmented, or of what it is scaled to


@dataclass(frozen=True)
class SegmenterNetwork(Settings):
    """A network that names pixels: convolutions down, what joins the places of the coarsest map, convolutions up.

    Attributes:
        context: what joins places of the coarsest map: a GRU that reads its rows and then its columns both ways
            (renet), convolutions of 3 × 3 with as many parameters (conv), or nothing (none), where a pixel sees what
            the convolutions see alone.
        hidden_size: units of the recurrence of renet, in each direction.
        channels: of the stages, from the full size to the coarsest map; each but the first halves the map.
        blocks: pairs of convolutions of a stage, after its first one.
        norm: of the convolutions: over the pixels of each channel (batch), or over the channels of each pixel (layer),
            with which the pictures of a batch do not influence each other.
        dropout: probability of dropping a channel of the coarsest map while training.
        longest: pixels of the longer side above which pictures are scaled down; what is found is scaled back; none
            never scales.
        colour: rgb, or gray for pictures without colours.
        contrast: picture scales the values of each picture so that its 1% and its 99.8% quantile become 0 and 1, for
            microscopes and cameras whose brightness varies; none takes them as they are.
        precision: of the convolutions: float32, bfloat16, or auto, which takes bfloat16 where this processor or device
            computes with it.
    """

    group_name: ClassVar[str] = "model"

    context: Literal["renet", "conv", "none"] = "renet"
    hidden_size: Count = 48
    channels: tuple[int, ...] = (16, 32, 64, 96)
    blocks: WholeNumber = 1
    norm: Norm = "layer"
    dropout: Share = 0.1
    longest: Annotated[int, Range(least=16, whole=True)] | None = 512
    colour: Literal["rgb", "gray"] = "rgb"
    contrast: Literal["picture", "none"] = "none"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) < 2 or min(self.channels) < 1:
            shown = ",".join(map(str, self.channels)) or "none"
            raise ConfigError(
                f"model.channels={shown} arrived; expected numbers of at least 1 for two stages or more: 16,32,64,96"
            )


@dataclass(frozen=True)
class SegmentAugmentation(AugmentSettings):
    """How pictures are changed at random while training; see :class:`rnnkit.data.images.PictureAugment`.

    Attributes:
        blur: the largest standard deviation of a blur, in pixels.
    """

    degrees: NotNegative = 10.0
    noise: NotNegative = 0.02
    blur: NotNegative = 0.0

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `PictureAugment`."""
        return super().arguments() | {"blur": (0.0, self.blur)}


@dataclass(frozen=True)
class SegmenterFit(AveragedSettings):
    """The training of a network that names pixels.

    Attributes:
        crop: pixels of each side of the parts that are learned from; smaller pictures are filled up.
        repeats: parts of each picture in an epoch.
        dice: what the Dice coefficient weighs in the loss relative to the cross-entropy.
        choose_by: what of the validation part chooses the epoch: the intersection over the union, mean of the classes
            (mean_iou), or the loss.
    """

    epochs: Count = 60
    batch_size: Count = 4
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    optimizer: Optimizer = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive | None = 1.0
    average: Average = 0.99
    crop: Annotated[int, Range(least=16, whole=True)] = 256
    repeats: Count = 1
    dice: NotNegative = 1.0
    choose_by: Literal["mean_iou", "loss"] = "mean_iou"


@dataclass(frozen=True)
class InstancesFit(SegmenterFit):
    """The training of a network that separates things.

    Attributes:
        choose_by: what of the validation part chooses the epoch: the intersection over the union of the classes
            (mean_iou), the precision of whole things as the Data Science Bowl counts it (bowl_map), or the loss.
    """

    choose_by: Literal["mean_iou", "bowl_map", "loss"] = "bowl_map"  # type: ignore[assignment]  # one more


@dataclass(frozen=True)
class SegmenterDecoding(Settings):
    """How a picture is passed through the network once it is trained.

    Attributes:
        tile: pixels of each side of the parts that a larger picture is cut into.
        overlap: pixels that neighbouring parts share; there both are mixed, each the less, the nearer its edge is.
        flips: whether the mean over the picture and its three mirror images is taken, which takes four times as long.

    Example:
        >>> SegmenterDecoding(tile=512).overlap
        128
    """

    group_name: ClassVar[str] = "decode"

    tile: Annotated[int, Range(least=64, whole=True)] = 1024
    overlap: WholeNumber = 128
    flips: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if 2 * self.overlap > self.tile:
            raise ConfigError(
                f"decode.overlap={self.overlap} and decode.tile={self.tile} arrived; expected an overlap of at most "
                "half a tile"
            )


@dataclass(frozen=True)
class ThingsDecoding(SegmenterDecoding):
    """How things are grown of what the network says; none takes what the run chose on its own pictures.

    Attributes:
        foreground: probability from which on a pixel belongs to a thing.
        core: score from which on a pixel belongs to the core of a thing.
        smallest: pixels of the smallest thing.
        least: things of a lower score are left out.

    Example:
        >>> ThingsDecoding(core=0.6).foreground is None
        True
    """

    foreground: Annotated[float, Range(above=0, below=1)] | None = None
    core: Annotated[float, Range(above=0, below=1)] | None = None
    smallest: Count | None = None
    least: Share = 0.0
