"""The settings of recipes that read lines of text in pictures. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..errors import ConfigError
from .ranges import Count, NotNegative, Positive, Range, Settings, Share, WholeNumber
from .settings import AveragedSettings


@dataclass(frozen=True)
class ReaderNetwork(Settings):
    """A network that reads a line of text: convolutions, then what joins the steps from left to right.

    Attributes:
        context: what joins steps: a recurrence that reads both ways (lstm, gru), convolutions over steps with as many
            parameters as that LSTM (conv), or nothing (none), where each step sees what the convolutions see alone.
        hidden_size: units of a recurrent layer and direction.
        num_layers: recurrent layers, one above the other, or layers of convolutions.
        kernel_size: steps of a kernel of conv, an odd number.
        height: rows that pictures are scaled to.
        channels: of the four convolutions over the picture.
        features: of a step after them.
        stride: columns that become a step, 2 or 4; 2 for narrow letters.
        front_dropout: probability of dropping a feature of the convolutions.
        dropout: probability of dropping a feature between and after the layers that join steps.
        layer_norm: whether recurrent layers normalise their products: training by CTC then leaves the blanks sooner.
    """

    group_name: ClassVar[str] = "model"

    context: Literal["lstm", "gru", "conv", "none"] = "lstm"
    hidden_size: Count = 128
    num_layers: Count = 1
    kernel_size: Count = 5
    height: Annotated[int, Range(least=8, whole=True)] = 32
    channels: tuple[int, ...] = (24, 48, 96, 128)
    features: Count = 128
    stride: Literal[2, 4] = 4
    front_dropout: Share = 0.0
    dropout: Share = 0.1
    layer_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) != 4 or min(self.channels) < 1:
            shown = ",".join(map(str, self.channels))
            raise ConfigError(f"model.channels={shown} arrived; expected four numbers of at least 1: 24,48,96,128")
        if self.kernel_size % 2 == 0:
            raise ConfigError(f"model.kernel_size={self.kernel_size} arrived; expected an odd number, such as 5")


@dataclass(frozen=True)
class LineAugmentation(Settings):
    """How pictures are changed at random while training; see ``rnnkit.data.line_pictures.LineAugment``.

    Attributes:
        shift: rows that a picture is moved up or down, at most.
        scale: by how much width and height vary, as a share, each on its own.
        slant: columns that a row is moved aside for each row above the middle, at most.
        contrast: by how much ink varies, as a share.
        noise: the largest spread of noise, of ink 1.
    """

    group_name: ClassVar[str] = "augment"

    shift: NotNegative = 1.5
    scale: Annotated[float, Range(least=0, below=0.5)] = 0.1
    slant: NotNegative = 0.2
    contrast: Share = 0.2
    noise: NotNegative = 0.05


@dataclass(frozen=True)
class ReaderFit(AveragedSettings):
    """The training of a recogniser of lines.

    Attributes:
        curriculum: this number of epochs begin with the narrowest pictures and end with the widest.
        plain: this number of epochs begin without augmentation.
        choose_by: what of the validation part chooses the epoch: the share of texts without an error (exact_match), the
            character error rate (cer), or the loss.
    """

    epochs: Count = 40
    batch_size: Count = 16
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0
    average: Annotated[float, Range(above=0, below=1)] | None = 0.99
    curriculum: WholeNumber = 1
    plain: WholeNumber = 2
    choose_by: Literal["exact_match", "cer", "loss"] = "cer"
