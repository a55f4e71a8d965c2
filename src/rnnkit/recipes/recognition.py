"""What runs of recognisers share, of speech and of lines of text: their data, training, and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError
from rnnkit.recipes.prepared_parts import PreparedParts
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from collections import Counter

    from rnnkit.data import Tokenizer
    from rnnkit.tasks.recognition_scores import RecognitionScores

CONFUSIONS, PICTURE = "confusions.csv", "confusions.png"
_FIGURES = {
    "wer": "word error rate",
    "cer": "character error rate",
    "exact_match": "share of texts without an error",
    "loss": "loss",
}
_NONE = "–"  # stands for no unit in a picture
_UNITS = 40  # of a picture of confusions
_SHOWN = 5  # names in a sentence


class Judged(NamedTuple):
    """What was recognised of items with texts.

    Attributes:
        items: recordings or pictures.
        found: what was recognised of each.
        scores: error rates.
    """

    items: Any
    found: list[Any]
    scores: RecognitionScores


class Training(NamedTuple):
    """What a run trains.

    Attributes:
        learner: with fresh weights.
        recognizer: of its network.
        batches: to train on.
        validation: those that choose; None: there are none.
    """

    learner: rnnkit.Learner
    recognizer: Any
    batches: Any
    validation: Any


@dataclass(frozen=True)
class PreparedRecognition(PreparedParts):
    """A run whose data was read and divided. A subclass has `training`, `judge_items` and `write_results`.

    Attributes:
        recipe: its settings.
        train, validation: what to learn, and what chooses the epoch; None where there is none.
        tests: what to judge by, by its name.
        tokenizer: of the training part.
    """

    nouns: ClassVar[str] = "items"

    recipe: Any
    train: Any
    validation: Any
    tests: dict[str, Any]
    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        """Raise ConfigError for early stopping without items to judge by, before there is a run folder."""
        if self.recipe.fit.early_stopping is not None and self.validation is None:
            raise ConfigError(f"fit.early_stopping needs {self.nouns} to judge by; add --set data.validation=0.1")

    def training(self) -> Training:
        """Return what is trained, with fresh weights."""
        raise NotImplementedError

    def callbacks(self, training: Training) -> list[Any]:
        """Return further callbacks of the training."""
        return []

    def judge_items(self, recognizer: Any, items: Any) -> Judged:
        """Recognise items, and compare with their texts."""
        raise NotImplementedError

    def measured(self, recognizer: Any) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return figures of the validation part that may choose the epoch, and a function that measures them.

        Returns:
            Whether higher is better by the figures' names, and a function of the model.
        """
        raise NotImplementedError

    def write_results(
        self, folder: Path, recognizer: Any, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Write tables, pictures and the page of the run."""
        raise NotImplementedError

    def judge(self, recognizer: Any) -> dict[str, Judged]:
        """Return what was recognised of the tests, else of the validation part, by its name."""
        tests = self.tests or ({} if self.validation is None else {"validation": self.validation})
        return {name: self.judge_items(recognizer, items) for name, items in tests.items()}

    def figures(self, judged: Mapping[str, Judged]) -> dict[str, float]:
        """Return the figures of what was judged; those of several tests have their names in front."""
        if len(judged) == 1:
            return next(iter(judged.values())).scores.figures
        chosen = ("exact_match", "wer", "cer")
        return {
            f"{name}_{what}": one.scores.figures[what]
            for name, one in judged.items()
            for what in chosen
            if what in one.scores.figures
        }

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder."""
        recipe = self.recipe
        data_digests.record(folder, self.digests)
        training = self.training()
        history = self.fit(training, folder)
        training.learner.save(folder)
        metrics: runs.Metrics = {"split": self.division}
        if self.validation is not None:
            metrics["validation"] = self.judge_items(training.recognizer, self.validation).scores.figures
        judged = self.judge(training.recognizer)
        if self.tests:
            metrics["test"] = self.figures(judged)
        counts = {"train": self.train, "validation": self.validation, **self.tests}
        metrics["rows"] = {name: len(part) for name, part in counts.items() if part is not None}
        metrics["troubles"] = list(self.told)
        chosen = None
        if self.validation is not None:
            figure = _FIGURES[recipe.fit.choose_by]
            chosen = f"the {figure} of {runs.chosen_on_validation(len(self.validation), self.nouns)}"
        metrics = runs.record(folder, history, metrics, chosen_on=chosen, final=metrics.get("test", {}))
        self.write_results(folder, training.recognizer, judged, history, metrics)
        return metrics

    def fit(self, training: Training, folder: Path) -> Any:
        """Train, and keep the epoch that is the best on the validation part.

        Returns:
            The history.
        """
        from rnnkit.training import ValidationFigures

        settings = self.recipe.fit
        callbacks = [rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json"), *self.callbacks(training)]
        chosen: dict[str, Any] = {}
        if self.validation is not None:
            callbacks.append(ValidationFigures(*self.measured(training.recognizer)))
            chosen = {"monitor": f"val_{settings.choose_by}", "restore_best": True}
        return training.learner.fit(
            training.batches,
            validation=training.validation,
            seed=self.recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=callbacks,
            **settings.fit_settings() | chosen,
        )


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
        grow: gives a network outputs for so many tokens, drawn by a generator.

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


def flat_figures(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Return the figures of groups by their names, as texts.

    Example:
        >>> flat_figures({"test": {"exact_match": 0.98765}})
        [('test, exact match', '0.9877')]
    """
    found: list[tuple[str, str]] = []
    for name, value in figures.items():
        label = f"{before}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            found += flat_figures(value, f"{label}, ")
        else:
            found.append((label, f"{value:.4g}" if isinstance(value, float) else str(value)))
    return found
