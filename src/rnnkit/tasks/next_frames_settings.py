"""The settings of recipes that predict the next frames of clips. Importing loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from ..errors import ConfigError
from .ranges import Count, Positive, Range, Settings, Share, WholeNumber
from .settings import AveragedSettings
from .video_settings import check_size


@dataclass(frozen=True)
class ForecasterNetwork(Settings):
    """A network that predicts the next frames; see ``rnnkit.FrameForecaster``.

    Attributes:
        hidden_size: channels of the recurrence at a quarter of the size.
        coarse_size: channels of the recurrence at an eighth of the size.
        motions: the moves of each field of 8 × 8 pixels that the next frame is blended of; 0 draws all of each frame.
        reach: pixels that a field moves from a frame to the next one, at most.
        size: height and width that frames are scaled to, multiples of 8.
        fit: what becomes of frames of another shape: black edges are added (pad), both ends are cut off (crop), or
            height and width are scaled each on its own (stretch).
        colour: whether frames are read in colour, else in gray.
    """

    group_name: ClassVar[str] = "model"

    hidden_size: Count = 32
    coarse_size: Count = 48
    motions: WholeNumber = 2
    reach: Count = 4
    size: tuple[int, ...] = (64, 64)
    fit: Literal["pad", "crop", "stretch"] = "pad"
    colour: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size, "model.size", "64,64")
        if any(side % 8 for side in self.size):
            shown = ",".join(map(str, self.size))
            raise ConfigError(f"model.size={shown} arrived; expected multiples of 8, such as 64,64")


@dataclass(frozen=True)
class ForecasterFit(AveragedSettings):
    """The training of a network that predicts frames.

    Attributes:
        plain: the share of the epochs, from the first one on, in which each frame is predicted from the true ones.
        growing: the share of the epochs after them in which more and more frames are predicted from predictions.
        choose_by: what of the validation part chooses the epoch: the sum of squares of a frame, that of the first
            predicted frame (first_squares), the structural similarity (ssim), or the loss.
    """

    epochs: Count = 30
    batch_size: Count = 8
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    clip_norm: Positive | None = 0.02
    average: Annotated[float, Range(above=0, below=1)] | None = 0.99
    plain: Share = 0.2
    growing: Share = 0.3
    choose_by: Literal["squares", "first_squares", "ssim", "loss"] = "squares"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.plain + self.growing >= 1:
            raise ConfigError(
                f"fit.plain={self.plain:g} and fit.growing={self.growing:g} arrived; expected shares that leave epochs "
                "in which all frames are predicted from predictions"
            )

    def curriculum(self) -> tuple[int, int]:
        """Return the epochs that begin with true frames, and those in which predicted ones become more.

        Example:
            >>> ForecasterFit(epochs=10, plain=0.2, growing=0.3).curriculum()
            (2, 3)
        """
        return int(self.plain * self.epochs), int(self.growing * self.epochs)
