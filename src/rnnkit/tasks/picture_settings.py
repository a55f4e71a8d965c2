"""The settings of recipes that name classes of pictures. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import ConfigError
from .ranges import Count, NotNegative, Positive, Settings, Share, WholeNumber
from .settings import Average, AveragedSettings, Cell, Optimizer


@dataclass(frozen=True)
class PictureNetwork(Settings):
    """A network that names the class of a picture: convolutions, then what joins the places of their map.

    Attributes:
        context: what joins places: rows and columns read both ways by a recurrence (renet), convolutions of 3 × 3 with
            as many parameters (conv), or nothing (none), where each place sees what the convolutions see alone.
        cell: the recurrence of renet.
        units: of each ReNet and direction, from the lowest one on; as many numbers as ReNets above each other.
        patch: places that a ReNet reads at once, along each side.
        size: pixels of each side of the square that a picture is scaled into, as a whole.
        mode: whether pictures are read in colour (rgb) or gray.
        channels: of each stage of convolutions, which halves both sides; none: there are no convolutions.
        blocks: pairs of convolutions of a stage, after its first one.
        pooling: what the head sees of the last map: mean and maximum over its places (concat), one of them, or all of
            its numbers (flatten).
        dropout: probability of dropping a number in front of the head.
    """

    group_name: ClassVar[str] = "model"

    context: Literal["renet", "conv", "none"] = "renet"
    cell: Cell = "gru"
    units: tuple[int, ...] = (48,)
    patch: Count = 1
    size: Count = 64
    mode: Literal["rgb", "gray"] = "rgb"
    channels: tuple[int, ...] | None = (24, 48)
    blocks: WholeNumber = 1
    pooling: Literal["concat", "mean", "max", "flatten"] = "concat"
    dropout: Share = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context != "none" and (not self.units or min(self.units) < 1):
            shown = ",".join(map(str, self.units)) or "none"
            raise ConfigError(f"model.units={shown} arrived; expected a number of at least 1 for each ReNet: 48")
        if self.channels and min(self.channels) < 1:
            shown = ",".join(map(str, self.channels))
            raise ConfigError(f"model.channels={shown} arrived; expected numbers of at least 1: 24,48")
        if self.context == "none" and not self.channels:
            raise ConfigError(
                "model.context=none and model.channels=none leave no layer; name channels: model.channels=24,48"
            )
        stages = len(self.channels or ())
        if self.size % 2**stages:
            raise ConfigError(
                f"model.size={self.size} arrived with {stages} stages that halve it; expected a multiple of {2**stages}"
            )


@dataclass(frozen=True)
class PictureChanges(Settings):
    """How pictures are changed at random while training; see :class:`rnnkit.PictureWarp`.

    Attributes:
        degrees: the most by which a picture is turned, either way.
        scale: the most by which its size changes, as a share.
        shift: the most by which it is moved along each side, as a share of the side.
        shear: the most by which a row is moved aside for each row above the middle.
        elastic: the spread in pixels of the smooth field that bends it.
        flip: how often left and right are exchanged; 0 where that makes another class of a picture.
        brightness: the most that is added to its values, of 1, or taken off.
        contrast: the most by which its contrast changes, as a share.
        noise: the spread of noise, of 1.
    """

    group_name: ClassVar[str] = "augment"

    degrees: NotNegative = 10.0
    scale: NotNegative = 0.15
    shift: Share = 0.08
    shear: NotNegative = 0.0
    elastic: NotNegative = 0.0
    flip: Share = 0.5
    brightness: NotNegative = 0.1
    contrast: NotNegative = 0.2
    noise: NotNegative = 0.0

    def arguments(self, size: int) -> dict[str, Any]:
        """Return the arguments of :class:`rnnkit.PictureWarp`.

        Args:
            size: pixels of a side.
        """
        names = ("degrees", "scale", "shear", "elastic", "flip", "brightness", "contrast", "noise")
        return {name: getattr(self, name) for name in names} | {"shift": self.shift * size}


@dataclass(frozen=True)
class PictureFit(AveragedSettings):
    """The training of a classifier of pictures.

    Attributes:
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016).
        class_weights: balanced counts each class as often as the others, however many pictures it has.
        choose_by: what of the validation part chooses the epoch: the share of pictures that are named right (accuracy),
            the mean of the classes' F1 (macro_f1), or the loss.
    """

    epochs: Count = 40
    batch_size: Count = 32
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    optimizer: Optimizer = "adamw"
    weight_decay: NotNegative = 1e-2
    clip_norm: Positive | None = 1.0
    average: Average = 0.99
    label_smoothing: Share = 0.1
    class_weights: Literal["balanced"] | None = None
    choose_by: Literal["accuracy", "macro_f1", "loss"] = "accuracy"

    def learner_settings(self) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` among these settings."""
        own = {"label_smoothing": self.label_smoothing, "class_weights": self.class_weights, "metrics": "accuracy"}
        return {**super().learner_settings(), **own}
