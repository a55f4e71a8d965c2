"""The settings of recipes of clips. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..errors import ConfigError
from .ranges import Count, NotNegative, Positive, Range, Settings, Share
from .settings import AveragedSettings


@dataclass(frozen=True)
class ClipNetwork(Settings):
    """A network that names the class of a clip: convolutions over each frame, then what joins the frames.

    Attributes:
        context: what joins frames: a recurrence (lstm, gru), convolutions over the frames before with as many
            parameters as that LSTM (conv), or nothing (none), where only the pooling does.
        hidden_size: units of a recurrent layer.
        num_layers: recurrent layers, one above the other, or layers of convolutions.
        chrono: whether the gates of a recurrence start so that units forget over 2 to `data.frames` frames
            (:func:`rnnkit.chrono_`), in place of about two.
        kernel_size: frames of a kernel of conv.
        pooling: what of the outputs over time the head sees; concat is last, max and mean side by side. All can stream.
        size: height and width that frames are scaled to.
        fit: what becomes of frames of another shape: black edges are added (pad), both ends are cut off (crop), or
            height and width are scaled each on its own (stretch).
        colour: whether frames are read in colour, else in gray.
        channels: of each stage of the convolutions.
        strides: of each stage.
        features: of a frame.
        grid: fields a side whose means show where something is in a frame.
        differences: whether the change since the frame before is an input, too.
        front_dropout: probability of dropping a feature of all frames of a clip.
        dropout: probability of dropping a feature between recurrent layers and in front of the head.
    """

    group_name: ClassVar[str] = "model"

    context: Literal["lstm", "gru", "conv", "none"] = "lstm"
    hidden_size: Count = 96
    num_layers: Count = 1
    chrono: bool = True
    kernel_size: Count = 5
    pooling: Literal["mean", "last", "max", "concat"] = "mean"
    size: tuple[int, ...] = (64, 64)
    fit: Literal["pad", "crop", "stretch"] = "pad"
    colour: bool = True
    channels: tuple[int, ...] = (16, 32, 48)
    strides: tuple[int, ...] = (2, 2, 2)
    features: Count = 96
    grid: Count = 4
    differences: bool = True
    front_dropout: Share = 0.1
    dropout: Share = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, "model.size", "64,64")
        if len(self.channels) != len(self.strides) or not self.strides or min(*self.channels, *self.strides) < 1:
            shown = ",".join(map(str, self.channels)), ",".join(map(str, self.strides))
            raise ConfigError(
                f"model.channels={shown[0]} and model.strides={shown[1]} arrived; expected one of each for every "
                "stage, at least 1"
            )


@dataclass(frozen=True)
class ClipAugmentation(Settings):
    """How clips are changed at random while training, each frame of a clip alike.

    Attributes:
        shift: by how much frames are moved each way, at most, as a share of their size; edges are repeated.
        flip: the share of clips that are mirrored left to right; 0 where right and left are classes.
        light: by how much brightness varies, as a share of the full range.
        contrast: by how much contrast varies, as a share.
    """

    group_name: ClassVar[str] = "augment"

    shift: Annotated[float, Range(least=0, below=0.5)] = 0.06
    flip: Share = 0.0
    light: Share = 0.1
    contrast: Share = 0.2


@dataclass(frozen=True)
class ClipFit(AveragedSettings):
    """The training of a network for classes of clips.

    Attributes:
        choose_by: what of the validation part chooses the epoch: the share of clips that are named right (accuracy),
            its mean over the classes (balanced_accuracy), or the loss.
    """

    epochs: Count = 30
    batch_size: Count = 8
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive | None = 1.0
    average: Annotated[float, Range(above=0, below=1)] | None = 0.99
    choose_by: Literal["accuracy", "balanced_accuracy", "loss"] = "accuracy"


def check_size(size: tuple[int, ...], name: str, example: str, least: int = 8) -> None:
    """Raise ConfigError for what is no height and width.

    Args:
        size: what arrived.
        name: of the setting.
        example: a right value.
        least: pixels.
    """
    if len(size) != 2 or min(size) < least:
        shown = ",".join(map(str, size))
        raise ConfigError(f"{name}={shown} arrived; expected a height and a width of at least {least}: {example}")
