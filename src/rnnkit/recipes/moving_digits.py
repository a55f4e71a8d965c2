"""Moving MNIST: the next ten frames of clips of two digits that bounce, made on the fly of MNIST's pictures.

    training clips from the first 55,000 training images, clips to choose by from the last 5,000, tests from the test
    images

:mod:`rnnkit.data.moving_digits` says how clips are made. New training clips are made in each epoch. The clips for
validation and test are fixed by their own seeds. Nothing is chosen on the test clips.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from rnnkit.errors import ConfigError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.next_frames import FrameWindows, NextFrames, PreparedFrames
from rnnkit.tasks.next_frames_settings import ForecasterFit, ForecasterNetwork
from rnnkit.tasks.ranges import Count

if TYPE_CHECKING:
    import torch

    from rnnkit.data.moving_digits import MovingDigits


@dataclass(frozen=True)
class Data(FrameWindows):
    """The digits, and the clips that are made of them.

    Attributes:
        path: a folder with MNIST's four files; none looks for them, see ``rnnkit.data.mnist.load``.
        clips: clips of an epoch.
        holdout: this number of the last training images make the clips to choose by.
        held_clips: clips to choose by.
        test_clips: clips for the test.
        digits: of a clip.
    """

    clips: Count = 1000
    holdout: Count = 5000
    held_clips: Count = 200
    test_clips: Count = 1000
    digits: Count = 2


@dataclass(frozen=True)
class MovingDigitsRun(NextFrames):
    """The whole run; ``rnnkit train moving-digits --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Moving digits"

    model: ForecasterNetwork = field(default_factory=ForecasterNetwork)
    fit: ForecasterFit = field(default_factory=lambda: ForecasterFit(epochs=32))
    data: Data = field(default_factory=Data)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.size[0] != self.model.size[1] or self.model.size[0] < 32 or self.model.colour:
            shown = ",".join(map(str, self.model.size))
            raise ConfigError(
                f"model.size={shown} and model.colour={str(self.model.colour).lower()} arrived; expected equal sides "
                "of 32 or more, and gray frames"
            )

    def prepare(self) -> PreparedRun:
        """Read MNIST, and make the clips for validation and test."""
        data = self.data
        train, held, test = self.digits()
        learned = self._clips(train, data.clips, self.seed)
        division = (
            f"clips to learn are made of {len(train):,} training images, those to choose by of the last {len(held):,}, "
            f"those to judge by of {len(test):,} test images"
        )
        return PreparedDigits(
            [],
            division,
            {"MNIST": self._clips(train, 1, 0).fingerprint()},  # of the digits, not of what is made of them
            self,
            learned,
            self._clips(held, data.held_clips, 1),
            {"test": self._clips(test, data.test_clips, 2)},
        )

    def digits(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the pictures of digits for training, validation and test."""
        from rnnkit.data import mnist

        train, test = mnist.load(self.data.path)
        total, held = len(train.labels), self.data.holdout
        if held >= total:
            raise ConfigError(f"data.holdout={held} arrived; expected less than the {total} training images")
        return train.images[: total - held], train.images[total - held :], test.images

    def _clips(self, images: torch.Tensor, count: int, seed: int) -> MovingDigits:
        from rnnkit.data.moving_digits import MovingDigits

        data = self.data
        return MovingDigits(images, count, frames=data.frames, digits=data.digits, size=self.model.size[0], seed=seed)


@dataclass(frozen=True)
class PreparedDigits(PreparedFrames):
    """Clips of digits that were made."""

    nouns: ClassVar[str] = "clips"


def moving_digits() -> MovingDigitsRun:
    """Predict ten frames of two bouncing digits from ten (Moving MNIST, made of MNIST): ConvGRUs at two sizes."""
    return MovingDigitsRun()
