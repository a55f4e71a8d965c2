"""The settings of recipes that find things in pictures. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..errors import ConfigError
from .augment_settings import AugmentSettings
from .ranges import Count, NotNegative, Positive, Range, Settings, Share, WholeNumber
from .settings import Average, AveragedSettings, Norm, Optimizer


@dataclass(frozen=True)
class DetectorNetwork(Settings):
    """A network that finds things: convolutions over the picture, what joins their places, and a head.

    Attributes:
        head: dense predicts at each place whether the centre of a thing is there (:class:`rnnkit.CentreDetector`); set
            lets an LSTM predict the things of each cell of a grid one by one (:class:`rnnkit.CellDetector`).
        context: what joins the places of the coarsest map: a GRU that reads its rows and then its columns both ways
            (renet), convolutions with as many parameters (conv), or nothing (none).
        hidden_size: units of the recurrence of renet, in each direction.
        size: pixels that the longer side of pictures is scaled to.
        channels: of the stages in front, each of which halves the map; the picture is halved before, without losing
            pixels. The last one is the map of centres of dense.
        deep: of the further stages, each of which halves the map; the last one is the grid of cells of set.
        blocks: pairs of convolutions of a deep stage, after its first one.
        norm: of the convolutions: over the pixels of each channel (batch), or over the channels of each pixel (layer),
            with which the pictures of a batch do not influence each other.
        features: channels in front of the head of dense.
        decoder_size: units of the LSTM of set.
        steps: things that a cell of set predicts; none takes the most that a cell holds in the training pictures, and
            one more.
    """

    group_name: ClassVar[str] = "model"

    head: Literal["dense", "set"] = "dense"
    context: Literal["renet", "conv", "none"] = "renet"
    hidden_size: Count = 32
    size: Annotated[int, Range(least=32, whole=True)] = 320
    channels: tuple[int, ...] = (32,)
    deep: tuple[int, ...] = (64, 96)
    blocks: WholeNumber = 1
    norm: Norm = "batch"
    features: Count = 48
    decoder_size: Count = 64
    steps: Count | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, usual in (("channels", "32"), ("deep", "64,96")):
            given = getattr(self, name)
            if not given or min(given) < 1:
                shown = ",".join(map(str, given)) or "none"
                raise ConfigError(f"model.{name}={shown} arrived; expected numbers of at least 1, one a stage: {usual}")


@dataclass(frozen=True)
class DetectorAugmentation(AugmentSettings):
    """How pictures are changed at random while training; see :class:`rnnkit.data.images.PictureAugment`.

    Attributes:
        shift: the most by which a picture is shifted, a share of its sides, either way.
        saturation: the most by which a factor of the saturation differs from 1.
    """

    shift: Share = 0.1
    saturation: Share = 0.2


@dataclass(frozen=True)
class DetectorFit(AveragedSettings):
    """The training of a detector.

    Attributes:
        choose_by: what of the validation part chooses the epoch: the mean average precision over IoU 0.5 to 0.95 (map),
            at 0.5 (map50), which varies more from epoch to epoch, or the loss.
    """

    epochs: Count = 40
    batch_size: Count = 4
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    optimizer: Optimizer = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive | None = 5.0
    average: Average = 0.99
    choose_by: Literal["map50", "map", "loss"] = "map"


@dataclass(frozen=True)
class DetectorDecoding(Settings):
    """What is shown of what a detector finds.

    Attributes:
        least: the score from which on things are shown and counted; none takes that of each class which counts best on
            the validation pictures of the run.
        flips: whether the mean over the picture and its three mirror images is taken; for dense alone. Pictures take
            four times as long.
    """

    group_name: ClassVar[str] = "decode"

    least: Share | None = None
    flips: bool = False
