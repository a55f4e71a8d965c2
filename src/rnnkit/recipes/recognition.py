"""What runs of recognisers share, of speech and of lines of text: tokens, and tables and pictures of confusions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rnnkit.errors import ConfigError
from rnnkit.recipes.prepared_training import PreparedTraining

if TYPE_CHECKING:
    from collections import Counter

    from rnnkit.data import Tokenizer
    from rnnkit.recipes.prepared_training import Judged

CONFUSIONS, PICTURE = "confusions.csv", "confusions.png"
_NONE = "–"  # stands for no unit in a picture
_UNITS = 40  # of a picture of confusions
_SHOWN = 5  # names in a sentence


@dataclass(frozen=True)
class PreparedRecognition(PreparedTraining):
    """A run of a recogniser whose data was read and divided.

    Attributes:
        tokenizer: of the training part.
    """

    figure_names: ClassVar[Mapping[str, str]] = {
        "wer": "word error rate",
        "cer": "character error rate",
        "exact_match": "share of texts without an error",
        "loss": "loss",
    }
    figures_of_tests: ClassVar[tuple[str, ...]] = ("exact_match", "wer", "cer")

    tokenizer: Tokenizer


def unknown_tokens(texts: Sequence[str], tokenizer: Tokenizer, part: str) -> list[str]:
    """Return a sentence about tokens that the training part lacks; none where it has all."""
    unknown = tokenizer.unknown
    if unknown is None:
        return []
    lost = sum(unknown in tokenizer.encode(text) for text in texts)
    what = "words" if tokenizer.kind == "word" else "characters"
    if not lost:
        return []
    return [f"{part}: {lost:,} of {len(texts):,} texts hold {what} that training has none of; they count as wrong."]


def fitting(texts: Sequence[str], tokenizer: Tokenizer, steps: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the numbers of texts that have a step for each token, and one between equal ones, and of the others.

    Args:
        texts: them.
        tokenizer: of the texts.
        steps: of the network, for each text.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> fitting(["aab", "aab", ""], train_tokenizer("char", ["ab"]), [3, 4, 9])
        ([1], [0, 2])
    """
    kept: list[int] = []
    short: list[int] = []
    for index, text in enumerate(texts):
        ids = tokenizer.encode(text)
        needed = len(ids) + sum(first == second for first, second in pairwise(ids))
        (kept if ids and needed <= steps[index] else short).append(index)
    return kept, short


def names_of(names: Sequence[str]) -> str:
    """Return some names for a sentence.

    Example:
        >>> names_of(["a", "b", "c", "d", "e", "f", "g"])
        'a, b, c, d, e and 2 more'
    """
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def learn_new_tokens(
    model: Any, tokenizer: Tokenizer, texts: Sequence[str], folder: Path, grow: Callable[[Any, int, Any], object]
) -> tuple[Tokenizer, str]:
    """Give a network more outputs where texts hold words or characters that it has none for.

    Args:
        model: it is changed.
        tokenizer: of the network.
        texts: to learn.
        folder: of the run, for the message.
        grow: gives a network outputs for this number of tokens, drawn by a generator.

    Returns:
        The tokenizer with the new tokens, and a sentence about them; "" where there are none.

    Raises:
        DataError: the head cannot grow.
    """
    import torch

    from rnnkit.data import extend_tokenizer
    from rnnkit.errors import DataError

    extended = extend_tokenizer(tokenizer, list(texts))
    more = extended.tokens[len(tokenizer) :]
    if not more:
        return tokenizer, ""
    try:
        grow(model, len(extended), torch.Generator().manual_seed(0))
    except ConfigError as error:
        raise DataError(f"{folder} cannot learn new words ({', '.join(more[:5])}): {error}") from error
    shown = ", ".join(more[:8]) + (" …" if len(more) > 8 else "")
    what = "words" if extended.kind == "word" else "characters"
    return extended, f"New {what} to write ({len(more):,}): {shown}."


def write_confusions(confusions: Counter[tuple[str, str]], folder: Path, order: Sequence[str] = ()) -> None:
    """Write ``confusions.csv`` and ``confusions.png``.

    Args:
        confusions: (true unit, found unit) → how often.
        folder: the run folder.
        order: as in `draw_confusions`.
    """
    from rnnkit.tasks.recognition_scores import mistakes_of

    write_rows(("true", "found", "count"), mistakes_of(confusions), folder / CONFUSIONS)
    draw_confusions(confusions, folder / PICTURE, order)


def confusions_of(judged: Mapping[str, Judged]) -> Counter[tuple[str, str]]:
    """Return how often each unit was taken for each other one, over all tests."""
    from collections import Counter

    return sum((one.scores.confusions for one in judged.values()), Counter())


def write_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], path: Path) -> None:
    """Write a table of rows.

    Args:
        names: of the columns.
        rows: with a value a column.
        path: the file.
    """
    from rnnkit.runs.tables import write_table

    write_table({name: [row[at] for row in rows] for at, name in enumerate(names)}, path)


def draw_confusions(confusions: Counter[tuple[str, str]], path: Path, order: Sequence[str] = ()) -> None:
    """Draw which unit was taken for which: those with errors, the most frequent first.

    Args:
        confusions: (true unit, found unit) → how often; "" stands for none.
        path: the picture.
        order: units that are drawn in this order, and all of them, where no other unit is true.
    """
    import numpy as np

    from rnnkit.diagnostics import pictures
    from rnnkit.tasks.recognition_scores import MISSING, mistakes_of

    weights: dict[str, int] = {}
    for true, other, count in mistakes_of(confusions):
        for unit in {true, other} - {MISSING}:
            weights[unit] = weights.get(unit, 0) + count
    every = {true for true, _ in confusions if true}
    units = sorted(sorted(weights, key=lambda unit: (-weights[unit], unit))[:_UNITS])
    if not units:  # no errors: the units themselves
        units = sorted(every)[:_UNITS]
    if every <= set(order):
        places = {unit: at for at, unit in enumerate(order)}
        units = sorted(every | set(units), key=lambda unit: (places.get(unit, len(places)), unit))
    names = [*units, _NONE]
    numbers = {unit: at for at, unit in enumerate(units)}
    matrix = np.zeros((len(names), len(names)), int)
    for (true, other), count in confusions.items():
        row, column = (numbers.get(unit, len(units) if unit == MISSING else None) for unit in (true, other))
        if row is not None and column is not None:
            matrix[row, column] += count
    pictures.confusion(matrix, names, path)
