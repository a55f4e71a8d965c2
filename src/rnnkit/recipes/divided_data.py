"""Texts with a label each that a run divides: each class alike, at random, where there are no files of the parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks.ranges import NotNegative, Seed, Settings

Text = TypeVar("Text")


@dataclass(frozen=True)
class DividedData(Settings):
    """The files, and how their texts are divided.

    Attributes:
        path: what to learn from. A name that is not here is looked for in the folder RNNKIT_DATA.
        test: the test data; none takes the test part of the folder, or holds `test_share` back.
        test_share: share of the texts held back for the test (0.1), or how many (700).
        validation: share of the training texts to choose settings by (0.1), or how many (700).
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same texts.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    split_seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation", "test_share"):
            amount = getattr(self, name)
            if amount >= 1 and amount != int(amount):
                raise ConfigError(f"data.{name}={amount} arrived; expected a share (0.1) or a number (700)")

    def hold_out(
        self, texts: Mapping[str, Sequence[Text]], label: Callable[[Text], str], where: Path, words: tuple[str, str]
    ) -> tuple[dict[str, list[Text]], list[str]]:
        """Divide the texts of "train" where the other parts are not there.

        Args:
            texts: by their part, as they were read.
            label: returns the class of a text.
            where: the file or folder, for messages.
            words: what a class and several texts are called.

        Returns:
            The parts, and a clause about each that was held out.

        Raises:
            DataError: too few texts.
        """
        from rnnkit.data.splits import held_out

        amounts = {"test": self.test_share, "validation": self.validation}
        amounts = {part: amount for part, amount in amounts.items() if part not in texts and amount}
        parts = {part: list(found) for part, found in texts.items()}
        if not amounts:
            return parts, []
        whole = texts["train"]
        try:
            rows = held_out([label(one) for one in whole], amounts, self.split_seed)
        except DataError as error:
            raise DataError(f"{where}: {error}; add {words[1]}, or --set data.validation=0") from None
        parts |= {part: [whole[row] for row in found.tolist()] for part, found in rows.items()}
        return parts, [
            f"{part}: {len(parts[part])} of {where} at random, each {words[0]} alike (split_seed {self.split_seed})"
            for part in amounts
        ]


def check_shares(test_share: float, validation: float) -> None:
    """Raise ConfigError for shares to judge and to choose by that leave nothing to train on."""
    if test_share + validation >= 1:
        raise ConfigError(
            f"data.test_share={test_share:g} and data.validation={validation:g} arrived; expected shares that leave "
            "some to train on"
        )
