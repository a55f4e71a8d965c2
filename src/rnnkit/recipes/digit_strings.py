"""Strings of overlapping digits, made on the fly of MNIST's pictures, read by convolutions, an LSTM both ways and CTC.

    training strings from the first 55,000 training images, strings to choose by from the last 5,000, tests from the
    test images

:mod:`rnnkit.data.digit_strings` says how strings are made: frames of 28 × 28 pixels follow each other in 12 to 18
pixels, so that 48% of neighbours share columns of ink and the ink of 30% crosses; each digit is moved up or down by 2
pixels at most. New training strings of 1 to 5 digits are made in each epoch, of digits that are each turned, scaled,
sheared and bent at random: what a network learns so does not depend on the place, and strings of ten, of which none
was trained on, are read as well. Test strings are fixed by their own seeds. Nothing is chosen on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.read import PreparedReading, Read
from rnnkit.recipes.read_data import LineData
from rnnkit.tasks.picture_settings import PictureChanges
from rnnkit.tasks.ranges import Count, WholeNumber
from rnnkit.tasks.reading_settings import LineAugmentation, ReaderFit, ReaderNetwork

if TYPE_CHECKING:
    from rnnkit.data.mnist import Split

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Data(LineData):
    """The digits, and the strings that are made of them.

    Attributes:
        path: a folder with MNIST's four files; none looks for them, see ``rnnkit.data.mnist.load``.
        strings: strings of an epoch.
        longest: the most digits of a string to learn; the shortest has one. The test strings have as many, and twice as
            many.
        growing: this number of epochs begin with strings of two digits at most.
        holdout: this number of the last training images make the strings to choose by.
        held_strings: strings to choose by.
        test_strings: strings of each test.
        least_step: the least pixels from one digit's frame of 28 pixels to the next one's.
        most_step: the most.
        jitter: pixels that a digit is moved up or down, at most.
    """

    strings: Count = 5000
    longest: Count = 5
    growing: WholeNumber = 2
    holdout: Count = 5000
    held_strings: Count = 1000
    test_strings: Count = 2000
    least_step: Count = 12
    most_step: Count = 18
    jitter: WholeNumber = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least_step > self.most_step:
            raise ConfigError(
                f"data.least_step={self.least_step} and data.most_step={self.most_step} arrived; expected the smaller "
                "one first"
            )


@dataclass(frozen=True)
class DigitChanges(PictureChanges):
    """How each digit of a training string is changed at random before they are joined; see `PictureChanges`."""

    group_name: ClassVar[str] = "digits"


@dataclass(frozen=True)
class DigitStringsRun(Read):
    """The whole run; ``rnnkit train digit-strings --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Strings of digits"
    before: ClassVar[dict[str, Any]] = {f"digits.{name}": 0.0 for name in ("degrees", "scale", "shear", "elastic")}

    model: ReaderNetwork = field(default_factory=ReaderNetwork)
    digits: DigitChanges = field(
        default_factory=lambda: DigitChanges(
            degrees=10, scale=0.1, shift=0.0, shear=0.1, elastic=0.7, flip=0.0, brightness=0.0, contrast=0.0
        )
    )
    augment: LineAugmentation = field(default_factory=lambda: LineAugmentation(noise=0.0))
    fit: ReaderFit = field(
        default_factory=lambda: ReaderFit(
            epochs=60, batch_size=16, lr=3e-3, average=0.995, curriculum=0, plain=2, choose_by="exact_match"
        )
    )
    data: Data = field(default_factory=Data)

    def prepare(self) -> PreparedRun:
        """Read MNIST, and make the strings for validation and test."""
        from rnnkit.data import train_tokenizer
        from rnnkit.data.digit_strings import FRAME, DigitStrings

        data = self.data
        train, held, test = self.single_digits()
        warp = rnnkit.PictureWarp(**self.digits.arguments(FRAME))
        if self.model.height != FRAME + 2 * data.jitter:
            raise ConfigError(
                f"model.height={self.model.height} arrived with data.jitter={data.jitter}; strings are {FRAME} + 2 · "
                f"jitter rows high: type --set model.height={FRAME + 2 * data.jitter}"
            )

        def strings(part: Split, count: int, lengths: tuple[int, int], seed: int, **others: Any) -> Any:
            return DigitStrings(
                part.images, part.labels, count, lengths=lengths, step=(data.least_step, data.most_step),
                jitter=data.jitter, seed=seed, **others,
            )  # fmt: skip

        long = 2 * data.longest
        tests = {
            f"digits_{count}": strings(test, data.test_strings, (count, count), seed)
            for seed, count in ((2, data.longest), (3, long))
        }
        learned = strings(train, data.strings, (1, data.longest), self.seed, growing=data.growing, change=warp)
        chosen = strings(held, data.held_strings, (data.longest, data.longest), 1)
        division = (
            f"strings to learn are made of {len(train.labels):,} training images, those to choose by of the last "
            f"{len(held.labels):,}, those to judge by of {len(test.labels):,} test images"
        )
        digests = {"MNIST": strings(train, 1, (1, 1), 0).fingerprint()}  # of the digits, not of what is made of them
        return PreparedStrings(
            [], division, digests, self, learned, chosen, tests, train_tokenizer("char", ["".join(DIGITS)])
        )

    def single_digits(self) -> tuple[Split, Split, Split]:
        """Return the digits for training, validation and test."""
        from rnnkit.data import mnist

        train, test = mnist.load(self.data.path)
        total, held = len(train.labels), self.data.holdout
        if held >= total:
            raise ConfigError(f"data.holdout={held} arrived; expected less than the {total} training images")
        parts = (slice(total - held), slice(total - held, total))
        first, second = (train._replace(images=train.images[part], labels=train.labels[part]) for part in parts)
        return first, second, test


@dataclass(frozen=True)
class PreparedStrings(PreparedReading):
    """Strings of digits that were made."""

    nouns: ClassVar[str] = "strings"
    order: ClassVar[tuple[str, ...]] = DIGITS


def digit_strings() -> DigitStringsRun:
    """Read strings of overlapping digits, made of MNIST: trained on 1 to 5, judged on 5 and 10; LSTM both ways, CTC."""
    return DigitStringsRun()
