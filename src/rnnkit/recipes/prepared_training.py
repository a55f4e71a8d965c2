"""Runs that train a network on batches, keep its best epoch by a validation part, and judge it on tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import no_validation
from rnnkit.recipes.prepared_parts import PreparedParts
from rnnkit.runs import data_digests


class Judged(NamedTuple):
    """What was answered about items, and how good that is.

    Attributes:
        items: recordings or pictures.
        found: the answer about each.
        scores: they have `figures`, numbers by their names.
    """

    items: Any
    found: list[Any]
    scores: Any

    @property
    def figures(self) -> dict[str, float]:
        """The figures of `scores`."""
        found: dict[str, float] = self.scores.figures
        return found


class Training(NamedTuple):
    """What a run trains.

    Attributes:
        learner: with fresh weights.
        predictor: answers with its network, such as a recogniser.
        batches: to train on.
        validation: those that choose; None: there are none.
    """

    learner: rnnkit.Learner
    predictor: Any
    batches: Any
    validation: Any


@dataclass(frozen=True)
class PreparedTraining(PreparedParts):
    """A run whose data was read and divided. A subclass has `training`, `judge_items`, `measured` and `write_results`.

    Attributes:
        recipe: its settings.
        train, validation: what to learn, and what chooses the epoch; None where there is none.
        tests: the test data, by its name.
    """

    nouns: ClassVar[str] = "items"
    figure_names: ClassVar[Mapping[str, str]] = {"loss": "loss"}  # of those that may choose the epoch
    figures_of_tests: ClassVar[tuple[str, ...]] = ()  # reported where there are several tests

    recipe: Any
    train: Any
    validation: Any
    tests: dict[str, Any]

    def __post_init__(self) -> None:
        """Raise ConfigError for early stopping without items for the test, before there is a run folder."""
        if self.recipe.fit.early_stopping is not None and self.validation is None:
            raise ConfigError(f"fit.early_stopping needs {self.nouns} to judge by; add --set data.validation=0.1")

    def training(self) -> Training:
        """Return what is trained, with fresh weights."""
        raise NotImplementedError

    def callbacks(self, training: Training) -> list[Any]:
        """Return further callbacks of the training."""
        return []

    def judge_items(self, predictor: Any, items: Any) -> Judged:
        """Answer about items, and compare with what is true."""
        raise NotImplementedError

    def measured(self, predictor: Any) -> tuple[dict[str, bool], Callable[[Any], Mapping[str, float]]]:
        """Return figures of the validation part that may choose the epoch, and a function that measures them.

        Returns:
            Whether higher is better by the figures' names, and a function of the model.
        """
        raise NotImplementedError

    def write_results(
        self, folder: Path, predictor: Any, judged: Mapping[str, Judged], history: Any, metrics: Mapping[str, Any]
    ) -> None:
        """Write tables, pictures and the page of the run."""
        raise NotImplementedError

    def judge(self, predictor: Any) -> dict[str, Judged]:
        """Return what was answered about the tests, else of the validation part, by its name."""
        tests = self.tests or ({} if self.validation is None else {"validation": self.validation})
        return {name: self.judge_items(predictor, items) for name, items in tests.items()}

    def judge_held(self, folder: Path, predictor: Any) -> dict[str, Judged]:
        """Return what was answered about what a trained run held back, as `judge` does.

        Args:
            folder: of the run, for the message.
            predictor: of the run.

        Raises:
            DataError: nothing was held back.
        """
        judged = self.judge(predictor)
        if not judged:
            raise DataError(f"{folder} held no {self.nouns} back; name some: --data FOLDER")
        return judged

    def inspected(self) -> Any:
        """Return the items that a network is measured on: of the first test, else to choose by, else to learn."""
        return next(iter(self.tests.values()), self.validation or self.train)

    def inspected_part(self) -> str:
        """Return which items `inspected` returns."""
        return f"the {'test' if self.tests else 'validation' if self.validation else 'training'} {self.nouns}"

    def figures(self, judged: Mapping[str, Judged]) -> dict[str, float]:
        """Return the figures of what was judged; those of several tests have their names in front."""
        if len(judged) == 1:
            return next(iter(judged.values())).figures
        return {
            f"{name}_{what}": one.figures[what]
            for name, one in judged.items()
            for what in self.figures_of_tests
            if what in one.figures
        }

    def validated(self, folder: Path, predictor: Any) -> dict[str, float]:
        """Return the figures of a run's predictor on the validation part.

        Raises:
            ConfigError: there is none.
            DataError: the run in the folder learned from other data.
        """
        self.check_data(folder)
        if self.validation is None:
            raise no_validation(folder, self.nouns)
        return self.judge_items(predictor, self.validation).figures

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder."""
        recipe = self.recipe
        data_digests.record(folder, self.digests)
        training = self.training()
        history = self.fit(training, folder)
        training.learner.save(folder)
        metrics: runs.Metrics = {"split": self.division}
        if self.validation is not None:
            metrics["validation"] = self.judge_items(training.predictor, self.validation).figures
        judged = self.judge(training.predictor)
        if self.tests:
            metrics["test"] = self.figures(judged)
        counts = {"train": self.train, "validation": self.validation, **self.tests}
        metrics["rows"] = {name: len(part) for name, part in counts.items() if part is not None}
        metrics["troubles"] = list(self.told)
        chosen = None
        if self.validation is not None:
            figure = self.figure_names[recipe.fit.choose_by]
            chosen = f"the {figure} of {runs.chosen_on_validation(len(self.validation), self.nouns)}"
        metrics = runs.record(folder, history, metrics, chosen_on=chosen, final=metrics.get("test", {}))
        self.write_results(folder, training.predictor, judged, history, metrics)
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
            callbacks.append(ValidationFigures(*self.measured(training.predictor)))
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
