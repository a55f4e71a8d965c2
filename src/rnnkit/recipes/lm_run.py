"""The run of a language model: its network, training, figures, samples and page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import rnnkit
from rnnkit import runs
from rnnkit.recipes.base import PreparedRun
from rnnkit.runs import data_digests

if TYPE_CHECKING:
    from rnnkit.data import Tokenizer
    from rnnkit.data.text.parts import TextParts
    from rnnkit.data.tokens import TokenArray
    from rnnkit.recipes.lm import Lm, Model
    from rnnkit.tasks.language_modelling import TextSize
    from rnnkit.types import Batches


def build(settings: Model, vocabulary: int) -> rnnkit.LanguageModel:
    """Return the network with fresh weights, for this number of tokens."""
    return rnnkit.LanguageModel(
        vocabulary,
        settings.cell,
        settings.embedding_size,
        settings.hidden_size,
        settings.num_layers,
        settings.tied,
        settings.embedding_dropout,
        settings.input_dropout,
        settings.hidden_dropout,
        settings.output_dropout,
        settings.weight_dropout,
        settings.cutoffs or None,
        layer_norm=settings.layer_norm,
    )


@dataclass(frozen=True)
class PreparedLm(PreparedRun):
    """A run whose texts were read and divided."""

    recipe: Lm
    parts: TextParts
    tokenizer: Tokenizer
    tokens: dict[str, TokenArray]

    def digests(self) -> dict[str, str]:
        """Return a digest of the training text by its name, and of a tokenizer that was there before."""
        file = self.recipe.vocabulary.file
        found = {} if file is None else {file: self.tokenizer.fingerprint()}
        return {self.recipe.data.named(): self.parts.train.fingerprint(), **found}

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on another text."""
        data_digests.check(folder, self.digests(), "train into a new folder")

    def train_batches(self) -> Batches:
        """Return the batches to train on."""
        fit = self.recipe.fit
        return self.tokens["train"].batches(
            fit.batch_size, fit.window, random_windows=fit.random_windows, seed=self.recipe.seed
        )

    def size(self, name: str) -> TextSize:
        """Return how much text the tokens of a part stand for."""
        from rnnkit.tasks.language_modelling import size_of

        return size_of(self.parts.named()[name], self.tokenizer)

    def shown_tokens(self) -> dict[str, TokenArray]:
        """Return the tokens of the parts that the page looks at."""
        return self.tokens

    def troubles(self, samples: list[str]) -> list[str]:
        """Return the findings about the texts and the samples, in sentences."""
        from rnnkit.recipes.lm_results import troubles

        return troubles(self.parts, self.tokenizer, samples)

    def sentences(self, learner: rnnkit.Learner) -> list[str]:
        """Return further figures of the trained network in a sentence each, for the user to see."""
        return []

    def run(self, folder: Path) -> runs.Metrics:
        """Train, measure and generate; see `Lm.run`."""
        import torch

        from rnnkit.recipes.lm_results import write_page, write_samples
        from rnnkit.tasks.language_modelling import (
            SEPARATORS,
            TOKENIZER,
            evaluation_batches,
            measure_dynamically,
            measure_tokens,
        )
        from rnnkit.tasks.temperature import calibrate

        recipe, tokens, fit = self.recipe, self.tokens, self.recipe.fit
        data_digests.record(folder, self.digests())
        torch.manual_seed(recipe.seed)
        model = build(recipe.model, len(self.tokenizer))
        learner = rnnkit.Learner(model, device=recipe.device, **fit.learner_settings())
        learner.extra |= {TOKENIZER: self.tokenizer.to_dict(), SEPARATORS: self.parts.several}
        validation = tokens.get("validation")
        history = learner.fit(
            self.train_batches(),
            validation=None if validation is None else evaluation_batches(validation, fit.window),
            stateful=True,
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            **fit.fit_settings(),
        )
        temperature = None
        if fit.calibrate and validation is not None:
            temperature = calibrate(learner.model, validation)
        learner.save(folder)
        rows = {name: len(ids) for name, ids in tokens.items()}
        metrics: runs.Metrics = {"split": self.parts.division, "rows": rows}
        for name in ("validation", "test"):
            if name in tokens:
                metrics[name] = measure_tokens(learner, tokens[name], self.size(name), window=fit.window)
        if fit.dynamic_evaluation and validation is not None:
            metrics["dynamic_evaluation"] = measure_dynamically(
                learner.model, tokens["train"], validation, tokens["test"], self.size("test")
            )
        if temperature is not None:
            metrics["temperature"] = temperature
        if told := self.sentences(learner):
            metrics["summary"] = told
        judged = "validation text: the epoch with the lowest loss on it" if fit.keep_best else None
        final = {"loss": metrics["test"]["loss"]} if "test" in metrics else None
        samples = write_samples(folder, learner.model, self.tokenizer, recipe.prompt, recipe.seed)
        metrics["troubles"] = self.troubles(samples)
        metrics = runs.record(folder, history, metrics, chosen_on=judged, final=final)
        write_page(
            folder,
            recipe.data.named(),
            learner.model,
            self.tokenizer,
            self.parts.division,
            self.shown_tokens(),
            samples=samples,
            history=history,
            metrics=metrics,
        )
        return metrics
