"""What translation and summaries share: pairs of texts, an encoder–decoder, beam search, and scores.

Importing this loads no torch: that is left to the run.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ..errors import DataError
from ..runs import Metrics, data_digests, record
from ..runs.tables import Columns, write_table
from ..tasks.ranges import Seed
from ..tasks.text_pairs import PairTokenizers, Search, TextPair
from ..tasks.text_scores import Scores, guess_language
from .base import PreparedRun, Recipe, no_validation
from .interface import Answerer, DataRequest, InspectionData, Predictor, TextAnswer
from .pair_choice import EpochChoice, check_choice_of_epoch
from .pair_model import PairModel
from .pair_network import build, make_learner, make_tokenizers
from .pair_page import Judged, troubles_of, write_page
from .pair_settings import Data, Fit, Model
from .text_files import read_new_pairs, read_pairs, read_sources

if TYPE_CHECKING:
    from ..data.bucketing import RaggedRows
    from .finetuning import FineTune, FineTuneJob

PREDICTIONS, TOKENIZERS, ATTENTION = "predictions.csv", "tokenizers.json", "attention-{}.png"
_PICTURES = 2
_INSPECTED = 32  # pairs that a network is measured on
_FIGURES = ("test", "validation", "baselines", "signatures", "rows", "chosen_on", "seconds")  # of the page


class Parts(NamedTuple):
    """The pairs of a run by "train", "validation" and "test"; how they were divided; a digest of each file."""

    pairs: dict[str, list[TextPair]]
    division: str
    digests: dict[str, str]


@dataclass(frozen=True)
class PairRecipe(Recipe):
    """Base of the recipes for pairs of texts; a recipe says how its answers are scored.

    Attributes:
        seed: of weights, order of the pairs and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"
    reads_text: ClassVar[bool] = True
    reads_parallel_files: ClassVar[bool] = True
    title: ClassVar[str] = "Answers"  # of the page
    quality: ClassVar[str] = "score"  # of an answer

    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    search: Search = field(default_factory=Search)
    seed: Seed = 0
    device: str = "auto"

    def scores(self, answers: Sequence[str], references: Sequence[Sequence[str]], language: str) -> Scores:
        """Return the scores of answers against references; every recipe for pairs overrides this."""
        raise NotImplementedError(f"{type(self).__name__} has no scores(answers, references, language)")

    def training_pairs(self, pairs: Sequence[TextPair]) -> list[TextPair]:
        """Return what is trained on: the pairs of the part "train", unless a recipe adds some."""
        return list(pairs)

    def baselines(self, pairs: Sequence[TextPair]) -> dict[str, list[str]]:
        """Return answers that no network made, by what they are called; they are scored together with the model's."""
        return {}

    def count_rows(self, count: int) -> str:
        """Return a number of pairs in words."""
        return f"{count} {'pair' if count == 1 else 'pairs'}"

    def left_out(self, count: int) -> list[str]:
        """Return a sentence about pairs that are too long to be learned; none where there are none."""
        rows, longest = self.count_rows(count), self.data.longest
        return [f"{rows} of more than {longest} tokens (data.longest) left out of training"] if count else []

    def short_pairs(self, tokenizers: PairTokenizers, pairs: Sequence[TextPair]) -> list[TextPair]:
        """Return the pairs whose source is short enough to be learned."""
        return [pair for pair in pairs if len(tokenizers.source.encode(pair.source)) <= self.data.longest]

    def prepare(self) -> PreparedRun:
        """Read, divide and check the pairs, and write nothing.

        Raises:
            ConfigError, DataError: settings or data that cannot be used.
        """
        parts = divide(self.data)
        check_choice_of_epoch(self.fit, self.data, parts.pairs.get("validation", []))
        return PreparedPairs(self, parts)

    def run(self, folder: Path) -> Metrics | None:
        """Train, judge on the held-out pairs, and write model, metrics, answers and pictures into the folder."""
        return self.prepare().run(folder)

    def answers(self, folder: Path) -> PairModel:
        """Return the folder's model, ready to answer."""
        return PairModel.load(folder, self.search, self.device)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the scores of the folder's model on the pairs it held out, or on a file of pairs."""
        pairs = self._to_judge(folder, data)
        return self.answered(self.answers(folder), pairs)[1].figures

    def answered(self, model: PairModel, pairs: Sequence[TextPair]) -> tuple[list[TextAnswer], Scores]:
        """Return a model's answers to the sources of pairs, and their scores."""
        answers = model.answer([pair.source for pair in pairs], progress="answering")
        return answers, self.judged([one.text for one in answers], pairs)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return the scores of the folder's model on its validation pairs."""
        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other pairs: --data FILE")
        if not (pairs := parts.pairs.get("validation")):
            raise no_validation(folder, "pairs")
        return self.answered(self.answers(folder), pairs)[1].figures

    def judged(self, answers: Sequence[str], pairs: Sequence[TextPair]) -> Scores:
        """Return the scores of answers to pairs."""
        references = [list(pair.targets) for pair in pairs]
        language = self.data.language
        if language == "auto":
            language = guess_language([texts[0] for texts in references])
        return self.scores(answers, references, language)

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return an answer to each text of a file: its lines, or the source's field of a table."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a file of sources to the answers."""
        model = self.answers(folder)

        def answer(data: DataRequest) -> Columns:
            texts = read_sources(data.path, self.data, data.encoding)
            _warn_of_trouble(model, texts)
            found = model.answer(texts, progress="answering")
            return {"source": texts, "prediction": [one.text for one in found], "score": [one.score for one in found]}

        return answer

    def answerer(self, folder: Path) -> Answerer:
        """Return a function from texts to the answers of the folder's model, with their attention."""
        model = self.answers(folder)

        def answer(
            texts: list[str],
            *,
            width: int | None = None,
            max_tokens: int | None = None,
            length_penalty: float | None = None,
            coverage_penalty: float | None = None,
        ) -> list[TextAnswer]:
            asked = {
                "width": width,
                "max_tokens": max_tokens,
                "length_penalty": length_penalty,
                "coverage_penalty": coverage_penalty,
            }
            given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
            _warn_of_trouble(model, texts)
            return model.answer(texts, replace(self.search, **given), attention=True)

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model on sources, with the first tokens of their answers given; and these tokens."""
        from ..models.teacher_forced import TeacherForced
        from ..training import SequenceToSequence
        from ..types import Sequences

        trained = self.answers(folder)
        rows = trained.tokenizers.rows(self._to_judge(folder, data)[:_INSPECTED])
        batch = rows[range(len(rows))]
        assert batch.targets is not None
        assert batch.target_lengths is not None
        assert batch.input_lengths is not None
        targets = batch.targets[:, : int(batch.target_lengths.min())]  # as many of each answer: none is padding
        model: Any = trained.model.cpu()
        previous = SequenceToSequence(model.start).previous(targets)
        return InspectionData(
            TeacherForced(model, previous), Sequences(batch.inputs, batch.input_lengths), targets, "cross_entropy"
        )

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with the pairs of a file to learn, read as its own were."""
        from .pair_finetuning import make_job

        return make_job(self, folder, data, settings)

    def _to_judge(self, folder: Path, data: DataRequest | None) -> list[TextPair]:
        if data is not None:
            return read_new_pairs(self.data, data)
        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other pairs: --data FILE")
        if not parts.pairs.get("test"):
            raise DataError(f"{folder} held no pairs back (data.test=0); name a file of pairs: --data FILE")
        return parts.pairs["test"]


def _warn_of_trouble(model: PairModel, texts: Sequence[str]) -> None:
    tokenizers = model.tokenizers
    unknown = tokenizers.unknown_sentences([TextPair(text, ()) for text in texts])
    for sentence in (*unknown, *tokenizers.long_sentences(texts)):
        warnings.warn(sentence, stacklevel=3)


def divide(data: Data) -> Parts:
    """Read the files, and hold pairs back where there are no files of them."""
    from ..data.text.groups import split_groups

    pairs = {name: read_pairs(data, *files) for name, files in data.files().items()}
    digests = {files[0]: data_digests.digest_records(pairs[name]) for name, files in data.files().items()}
    shares = {"validation": data.validation, "test": data.test}
    shares = {name: share for name, share in shares.items() if share and name not in pairs}
    told = [f"{name}: {files[0]}" for name, files in data.files().items() if name != "train"]
    if shares:
        every = pairs["train"]
        found = split_groups([(pair.source, pair.targets[0]) for pair in every], shares, seed=data.split_seed)
        pairs |= {name: [every[row] for row in rows] for name, rows in found.items()}
        told += [
            f"{name}: {share:.1%} of {data.path}, by a hash over groups of pairs that share a text "
            f"(split_seed {data.split_seed})"
            for name, share in shares.items()
        ]
        for name, part in pairs.items():
            if not part:
                off = f"--set data.{name}=0" if name != "train" else "a smaller share"
                raise DataError(
                    f"{data.path}: of {len(every)} pairs none is in the part {name}, as those that share a source or a "
                    f"target stay together; add pairs, or {off}"
                )
    if data.limit is not None:
        pairs["train"] = pairs["train"][: data.limit]
    return Parts(pairs, "; ".join(told) or "all pairs were trained on", digests)


@dataclass(frozen=True)
class PreparedPairs(PreparedRun):
    """A run whose pairs were read and divided."""

    recipe: PairRecipe
    parts: Parts

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other pairs than these."""
        data_digests.check(folder, self.parts.digests, "train into a new folder")

    def run(self, folder: Path) -> Metrics:
        """Train, judge on the held-out pairs, and write model, metrics, history, answers and pictures."""
        from ..data.bucketing import LengthBatches
        from ..plotting.attention import attention_picture
        from ..plotting.numbering import numbered_names
        from ..training.watching.scheduled_sampling import ScheduledSampling

        recipe, fit, pairs = self.recipe, self.recipe.fit, self.parts.pairs
        data_digests.record(folder, self.parts.digests)
        tokenizers = self._tokenizers(folder)
        learned = recipe.training_pairs(pairs["train"])
        train, left_out = short_enough(tokenizers.rows(learned), recipe.data.longest)
        tokenizers = tokenizers.learning(train)
        learner = make_learner(fit, build(recipe.model, tokenizers, recipe.seed), recipe.device)
        learner.extra = tokenizers.to_dict()
        batches = LengthBatches(train, fit.batch_size, seed=recipe.seed)
        held_out = None
        if pairs.get("validation"):
            rows = tokenizers.rows(pairs["validation"])
            held_out = LengthBatches(rows, fit.batch_size, shuffle=False)
        steps = fit.epochs * (batches.steps or 1)
        sampling = [ScheduledSampling(fit.sampling, max(1, steps // 2))] if fit.sampling else []
        choice = EpochChoice.of_settings(fit, pairs.get("validation", []))
        history = learner.fit(
            batches,
            validation=held_out,
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            average=fit.average,
            callbacks=[*sampling, *choice.callbacks(tokenizers, recipe.search, recipe.judged)],
            monitor=choice.monitor(),
            **(fit.fit_settings() | {"restore_best": held_out is not None}),
        )
        learner.save(folder)
        model = PairModel(learner.model.eval(), tokenizers, recipe.search)
        metrics, judged = self._judge(folder, model)
        counts = {name: len(part) for name, part in pairs.items()} | {"train": len(train)}
        told = recipe.left_out(left_out)
        if left_out:
            learned = recipe.short_pairs(tokenizers, learned)
        metrics["split"], metrics["rows"] = "; ".join([self.parts.division, *told]), counts
        troubles = metrics["troubles"] = [*told, *troubles_of(tokenizers, learned, judged, recipe.search)]
        metrics = record(folder, history, metrics, chosen_on=choice.described(), final=metrics.get("test", {}))
        shown = model.answer([pair.source for pair in judged.pairs[:_PICTURES]], attention=True)
        with numbered_names():
            for number, one in enumerate(shown, 1):
                attention_picture(one.source_tokens, one.tokens, one.attention, folder / ATTENTION.format(number))
            write_page(
                folder,
                f"{recipe.title} of {recipe.data.path}",
                judged,
                shown,
                quality=recipe.quality,
                lead=f"{learner.model!r}. {metrics['split']}.",
                history=history,
                troubles=troubles,
                figures={name: found for name, found in metrics.items() if name in _FIGURES},
            )
        return metrics

    def _tokenizers(self, folder: Path) -> PairTokenizers:
        """Read those of a resumed run; else make them from the training pairs, and keep them for a resumption."""
        file = folder / TOKENIZERS
        if file.is_file():
            return PairTokenizers.from_dict(json.loads(file.read_text(encoding="utf-8")))
        made = make_tokenizers(self.recipe.data, self.parts.pairs["train"], copy=self.recipe.model.copy)
        from ..serialization import json_text, replacing

        with replacing(file) as temporary:
            temporary.write_text(json_text(made.to_dict(), indent=0), encoding="utf-8")
        return made

    def _judge(self, folder: Path, model: PairModel) -> tuple[Metrics, Judged]:
        """Return the scores of each part that was held out, and the answers to the last of them.

        These answers are written, too. The last part is the test, where there is one.
        """
        metrics: Metrics = {}
        judged = Judged("test", [], [], [])
        for name in ("validation", "test"):
            pairs = self.parts.pairs.get(name, [])
            if not pairs:
                continue
            answers = model.answer([pair.source for pair in pairs], progress=f"answering the {name} pairs")
            scores = self.recipe.judged([one.text for one in answers], pairs)
            metrics["signatures"] = scores.signatures
            metrics[name] = scores.figures
            judged = Judged(name, pairs, answers, scores.each)
        if judged.pairs:
            if baselines := self.recipe.baselines(judged.pairs):
                metrics["baselines"] = {
                    label: self.recipe.judged(texts, judged.pairs).figures for label, texts in baselines.items()
                }
            write_answers(folder / PREDICTIONS, judged.pairs, judged.answers)
        return metrics, judged


def write_answers(file: Path, pairs: Sequence[TextPair], answers: Sequence[TextAnswer]) -> None:
    """Write sources, references and answers to a table."""
    columns: Columns = {
        "source": [pair.source for pair in pairs],
        "reference": [pair.targets[0] for pair in pairs],
        "prediction": [one.text for one in answers],
        "score": [one.score for one in answers],
    }
    write_table(columns, file)


def short_enough(rows: RaggedRows, longest: int) -> tuple[RaggedRows, int]:
    """Return the rows without those that have a longer side, and how many these are."""
    import numpy as np

    short = np.flatnonzero(np.max(rows.lengths, axis=0) <= longest + 1)  # the end is one more
    if not len(short):
        raise DataError(f"all {len(rows)} pairs are longer than data.longest={longest} tokens; type a larger number")
    return (rows, 0) if len(short) == len(rows) else (rows.select(short), len(rows) - len(short))
