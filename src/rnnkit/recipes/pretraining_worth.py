"""What a pretraining without labels is worth, by the number of labelled examples, as a fine-tuning reports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..tasks.figure_names import figure_name
from .finetuning import FineTune

Rows = npt.NDArray[np.int64]
_MAIN = ("accuracy", "mae", "mse")  # the reported figure is the first of these that exists


@dataclass(frozen=True)
class TransferFineTune(FineTune):
    """The settings for a network that was pretrained on series; ``rnnkit finetune RUN --set FIELD=VALUE`` changes one.

    Attributes:
        compare: numbers of labelled rows (of a forecast: windows), as in 10,50: for each the report says what two
            networks that learned from so many are worth on the rows held back, one with the pretrained layers and one
            with fresh weights, in as many steps. Nothing is chosen by it.
    """

    compare: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.compare, default=2) < 2:
            raise ConfigError(f"compare={','.join(map(str, self.compare))} arrived; expected numbers of at least 2")

    def check_compare(self, rows: int, held_back: int, nouns: str) -> None:
        """Raise ConfigError where there are too few rows to compare with.

        Args:
            rows: to train on.
            held_back: for the test.
            nouns: what rows are called.
        """
        if self.compare and not held_back:
            raise ConfigError(f"compare={self.compare[0]} arrived, but no {nouns} are held back to judge by")
        if max(self.compare, default=0) > rows:
            raise ConfigError(f"compare={max(self.compare)} arrived for {rows:,} {nouns} to train on; expected no more")

    def fresh(self) -> dict[str, Any]:
        """Return the arguments of ``Learner.fine_tune`` for fresh weights, of which nothing is kept as it is."""
        plain = {"freeze": (), "gradual_unfreezing": False, "discriminative": None, "adapters": None, "protect": None}
        return self.arguments() | plain


def draw_rows(count: int, classes: Sequence[Any] | None, total: int, seed: int) -> Rows:
    """Return so many rows drawn by a seed; of classes as many of each as there are.

    Args:
        count: how many.
        classes: of the rows; None: there are none.
        total: the number of rows.
        seed: of the draw.

    Example:
        >>> sorted(draw_rows(2, ["a", "a", "a", "b"], 4, 0).tolist())[-1]
        3
    """
    order = np.random.default_rng(seed).permutation(total)
    if classes is not None:
        seen: dict[Any, int] = {}
        turn = np.empty(total, np.int64)
        for place, row in enumerate(order.tolist()):
            turn[place] = seen[classes[row]] = seen.get(classes[row], -1) + 1
        order = order[np.argsort(turn, kind="stable")]
    return np.sort(order[:count])


def tell_worth(
    counts: Sequence[int],
    draw: Callable[[int], Rows],
    learn: Callable[[Rows, bool], Mapping[str, float]],
    judged: str,
) -> dict[str, str]:
    """Train two networks on so many rows each, and return what they are worth in words, by the number of rows.

    Args:
        counts: numbers of rows.
        draw: returns so many of them.
        learn: trains on rows, with the pretrained layers or (True) with fresh weights; returns figures.
        judged: what figures are of, in words.
    """
    found = {}
    for count in counts:
        rows = draw(count)
        before, fresh = learn(rows, False), learn(rows, True)
        name = next((one for one in _MAIN if one in before), next(iter(before)))
        found[f"with {count:,} labelled"] = (
            f"{figure_name(name)} {before[name]:.4g} after the pretraining, {fresh[name]:.4g} with fresh weights, of "
            f"{judged}"
        )
    return found
