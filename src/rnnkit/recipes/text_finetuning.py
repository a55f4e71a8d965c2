"""Fine-tuning of a language model: on the texts of its new use, and to a classifier of texts (ULMFiT).

Howard & Ruder 2018 ("Universal Language Model Fine-tuning for Text Classification"): pretrain a language model on plain
text, fine-tune it on the texts of the task, then put a new head on it and unfreeze it layer by layer, the lower layers
at lower rates.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import rnnkit

from ..errors import ConfigError, DataError, Place
from ..runs import REPORT, data_digests
from .finetuning import FineTune, FineTuneWork, refuse_old_rows, write_results
from .finetuning_page import Shown
from .interface import DataRequest

if TYPE_CHECKING:
    from ..data.text.parts import TextParts
    from ..data.text.texts import Texts
    from ..data.text.tokenizer import Tokenizer
    from ..data.tokens import TokenArray
    from ..training.fine_tuning.report import Quality
    from ..training.history import History
    from ..types import Batches
    from .lm import Lm


class TextsToClassify(Protocol):
    """Texts of classes that were read and divided, as the recipe for classes of texts has them."""

    def batches(self, learner: rnnkit.Learner, batch_size: int, seed: int) -> tuple[Batches, Batches | None]:
        """Return the batches to train on, and those of the validation texts."""
        ...

    def conclude(self, learner: rnnkit.Learner, history: History, folder: Path) -> Any:
        """Judge the network, and write the results into the folder."""


ON_TEXTS = FineTune(epochs=5, batch_size=16, discriminative=2.6, replay=None, validation=0.1)
TO_CLASSIFY = FineTune(
    epochs=20, batch_size=16, lr=3e-3, discriminative=2.6, gradual_unfreezing=True, classes="replace", replay=None
)


@dataclass(frozen=True)
class LanguageModelJob(FineTuneWork):
    """A language model with new texts to learn, read and checked.

    Attributes:
        recipe: of the run.
        learner: of the model, which has the characters and words of the new texts, too.
        tokenizer: the model's, with these.
        parts: the new texts: for training and test.
        old: held-out text of the first training; None where there is none.
        old_separators: whether a token ended each text of the first training.
        old_from: where it comes from, for the report.
        folder: of the run that is fine-tuned.
    """

    recipe: Lm
    learner: rnnkit.Learner
    tokenizer: Tokenizer
    parts: TextParts
    old: Texts | None
    old_separators: bool
    old_from: str
    folder: Path

    @classmethod
    def open(cls, recipe: Lm, folder: Path, data: DataRequest, settings: FineTune) -> LanguageModelJob:
        """Read the folder's model and the new texts, and write nothing."""
        from ..data import divide_texts, tokenize
        from ..tasks.language_modelling import SEPARATORS, TOKENIZER, stored_separators, stored_tokenizer
        from .finetuning import name_old, read_old
        from .shard_parts import divide_shards

        source, fit = recipe.data, recipe.fit
        with source.wording(new=True):
            texts = source.read(data.path, data.encoding)
            parts = divide_texts(texts, validation=settings.validation, test=0.0, by=source.split)
        model, tokenizer = _extended(folder, parts.train)
        for name, part in parts.named().items():
            if len(tokenize(part, tokenizer, separators=parts.several)) < 2:
                off = "" if name == "train" else ", or type --set validation=0"
                raise DataError(
                    f"the {name} part has 1 token; expected 2 or more: add text{off}", Place(str(data.path))
                )
        learning = rnnkit.Learner(
            model, device=settings.device, lr=fit.lr, clip_norm=fit.clip_norm, optimizer=fit.optimizer
        )
        learning.extra |= {TOKENIZER: tokenizer.to_dict(), SEPARATORS: parts.several}

        def read() -> Texts | None:
            shards = source.open_shards()
            if shards and shards[0].kind == "tokens":
                parts_of_shards = divide_shards(source, shards)
                known = {source.named(): parts_of_shards.train.fingerprint()}
                data_digests.check(folder, known, "its old version is expected")
                return parts_of_shards.test_texts(stored_tokenizer(folder))
            first = source.parts()
            data_digests.check(folder, {source.named(): first.train.fingerprint()}, "its old version is expected")
            return first.test

        # A language model has no old rows to replay, so what is lost is described and not measured.
        old = read_old(folder, replace(settings, replay=None, protect=None), read)
        old_from = name_old(folder, f"the test text of {source.named()}")
        return cls(recipe, learning, tokenizer, parts, old, stored_separators(folder), old_from, folder)

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that a language model cannot use, before there is a run folder."""
        from ..finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        refuse_old_rows(
            settings, "a language model's batches go on from each other, so rows of the first text cannot be mixed in"
        )

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder."""
        from ..data import tokenize
        from ..tasks.language_modelling import evaluation_batches
        from ..training.fine_tuning.report import Quality

        window, parts = self.recipe.fit.window, self.parts
        several = parts.several
        before = self._figures(parts.validation, several), self._old_before()
        train = tokenize(parts.train, self.tokenizer, separators=several)
        rows = min(settings.batch_size, max(1, len(train) // (2 * window)))
        judged = None
        if parts.validation is not None:
            tokens = tokenize(parts.validation, self.tokenizer, separators=several)
            judged = evaluation_batches(tokens, window)
        chosen = {name: value for name, value in settings.arguments(folder).items() if name != "batch_size"}
        history = self.learner.fine_tune(
            train.batches(rows, window, random_windows=True, seed=settings.seed),
            validation=judged,
            stateful=True,
            **chosen,
        )
        report = history.report
        assert report is not None

        def side(first: dict[str, float] | None, texts: Texts | None, separators: bool) -> Quality | None:
            return None if first is None else Quality(None, first, self._figures(texts, separators))

        report = replace(
            report,
            new=side(before[0], parts.validation, several),
            old=side(before[1], self.old, self.old_separators),
        )
        if report.old is not None:
            report = replace(report, method={"old data": self.old_from, **report.method})
        looked_at = train if judged is None else tokens
        shown = self._shown(settings, folder, looked_at)
        return write_results(
            self.learner, report, history, settings, folder, self._save, old_test=self.old is not None, shown=shown
        )

    def _shown(self, settings: FineTune, folder: Path, tokens: TokenArray) -> Shown:
        """Write a sample, and return what the page shows of the texts and of what the model writes."""
        from .lm_results import answers_of, troubles, write_samples
        from .text_page import add_answers

        model = self.learner.model
        samples = write_samples(folder, model, self.tokenizer, self.recipe.prompt, settings.seed)
        answers = answers_of(model, self.tokenizer, tokens, samples)
        return Shown(
            troubles(self.parts, self.tokenizer, samples, pretrained=True), lambda page: add_answers(page, answers)
        )

    def _save(self, to: Path) -> None:
        self.learner.save(to)
        data_digests.carry(self.folder, to)

    def _old_before(self) -> dict[str, float] | None:
        """Return the figures of the run on its old text, by its own vocabulary: a larger one costs it something."""
        from ..tasks.language_modelling import measure, stored_tokenizer

        if self.old is None:
            return None
        learner = rnnkit.Learner(rnnkit.load(self.folder), device=self.learner.device)
        tokenizer = stored_tokenizer(self.folder)
        return measure(learner, self.old, tokenizer, separators=self.old_separators, window=self.recipe.fit.window)

    def _figures(self, texts: Texts | None, separators: bool) -> dict[str, float] | None:
        from ..tasks.language_modelling import measure

        if texts is None:
            return None
        return measure(self.learner, texts, self.tokenizer, separators=separators, window=self.recipe.fit.window)


def _extended(folder: Path, texts: Texts) -> tuple[Any, Tokenizer]:
    """Return a folder's model and tokenizer with the characters or words of new texts, where the model can grow."""
    from ..data import extend_tokenizer
    from ..tasks.language_modelling import stored_tokenizer

    model: Any = rnnkit.load(folder)
    before = stored_tokenizer(folder)
    tokenizer = extend_tokenizer(before, texts)
    more = len(tokenizer) - len(before)
    if not more:
        return model, before
    if not model.can_grow:
        warnings.warn(
            f"{more:,} characters or words of the new texts stay unknown: the adaptive softmax of {folder} has its "
            "tokens for good",
            stacklevel=4,
        )
        return model, before
    return model.extended(len(tokenizer)), tokenizer


@dataclass(frozen=True)
class ClassifierJob(FineTuneWork):
    """A language model's layers under a new head, with texts of classes to learn.

    Attributes:
        texts: for training and test.
        learner: of the network.
    """

    texts: TextsToClassify
    learner: rnnkit.Learner

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that a new task cannot use, before there is a run folder."""
        from ..finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if settings.replay is not None or settings.protect == "ewc":
            asked = "protect=ewc" if settings.replay is None else f"replay={settings.replay:g}"
            raise ConfigError(f"{asked} arrived, but a new task has no old rows; type --set replay=none")

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder."""
        from ..finetuning.adapters import merge_adapters

        train, validation = self.texts.batches(self.learner, settings.batch_size, settings.seed)
        chosen = {name: value for name, value in settings.arguments(folder).items() if name != "batch_size"}
        history = self.learner.fine_tune(train, validation=validation, **chosen)
        if settings.rank is not None:
            merge_adapters(self.learner.model)
        report = history.report
        self.texts.conclude(self.learner, history, folder)
        assert report is not None
        report.to_json(folder / REPORT)
        history.report = report
        return history
