"""Intents and slots: what a sentence asks for, and the words that say of what, by one network.

    "will it rain in New York"  →  GetWeather;  city: New York

    words and their characters → embedding, convolution → BiLSTM(200) → attention → the intent
                                                                      → with the intent: CRF → a BIO tag a word

The characters describe words that training has not seen, the conditional random field of tags that follow each other.
What is validated and kept are the averaged weights of the run. Settings were chosen on 700 of SNIPS's training
sentences, which no training saw; its 700 test sentences chose nothing. Chinese is read by characters.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun, Recipe, no_validation
from rnnkit.recipes.intents_data import Data, Parts, divide, known, read_plain, troubles
from rnnkit.recipes.intents_results import slots_of, write_results
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, NotNegative, Positive, Range, Seed, Share, WholeNumber
from rnnkit.tasks.settings import AveragedSettings, Cell, NetworkSettings

if TYPE_CHECKING:
    from rnnkit.data.text.tagged import TaggedText
    from rnnkit.recipes.finetuning import FineTune, FineTuneJob
    from rnnkit.tasks.intent_rows import IntentRows, IntentVocabulary
    from rnnkit.tasks.intents import Understood


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network.

    Attributes:
        num_layers: layers, one above the other.
        word_size: features of a word's embedding.
        character_size: features of a character's embedding.
        filters: features that the convolution finds in a word's characters.
        intent_size: features of the intent that the tags see; 0 hides it from them.
        crf: whether the tags of a sentence are scored together.
        input_dropout: probability of dropping a feature of a word.
        word_dropout: probability that a word becomes the unknown one while training.
        dropout: probability of dropping a feature after the recurrence, and between layers.
    """

    cell: Cell = "lstm"
    hidden_size: Count = 200
    num_layers: Count = 1
    word_size: Count = 100
    character_size: Count = 32
    filters: Count = 64
    intent_size: WholeNumber = 32
    crf: bool = True
    input_dropout: Share = 0.4
    word_dropout: Share = 0.05
    dropout: Share = 0.4


@dataclass(frozen=True)
class Fit(AveragedSettings):
    """The training; see ``rnnkit.Learner``.

    Attributes:
        intent_weight: what the intent's loss counts.
        slot_weight: what the tags' loss counts.
    """

    epochs: Count = 12
    batch_size: Count = 64
    lr: Positive = 3e-3
    schedule: Literal["cosine", "warmup_cosine", "constant"] | None = "cosine"
    clip_norm: Positive | None = 5.0
    average: Annotated[float, Range(above=0, below=1)] | None = 0.999
    intent_weight: NotNegative = 1.0
    slot_weight: NotNegative = 1.0


@dataclass(frozen=True)
class Intents(Recipe):
    """The whole run; ``rnnkit train intents FILE --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order of the sentences and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"
    reads_text: ClassVar[bool] = True

    model: Model = field(default_factory=Model)
    fit: Fit = field(default_factory=Fit)
    data: Data = field(default_factory=Data)
    seed: Seed = 0
    device: str = "auto"

    def count_rows(self, count: int) -> str:
        """Return a number of sentences in words."""
        return f"{count} {'sentence' if count == 1 else 'sentences'}"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the sentences, and write nothing."""
        from rnnkit.tasks.intent_rows import IntentRows, IntentVocabulary, names_of

        parts = divide(self.data)
        if self.fit.early_stopping is not None and not parts.validation:
            raise ConfigError("fit.early_stopping needs sentences to judge by; add --set data.validation=0.1")
        intents, tags = names_of(parts.train)
        if len(intents) < 2:
            raise DataError(f"{self.data.path}: all sentences have the intent {intents[0]!r}; expected two or more")
        vocabulary = IntentVocabulary.of(parts.train, minimum_count=self.data.minimum_count)
        rows = IntentRows(parts.train, vocabulary, intents, tags)
        return PreparedIntents(self, parts, vocabulary, rows, tuple(intents), tuple(tags))

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test sentences, and write model, metrics, mistakes and reports into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the figures of the folder's model on its test sentences, or on a file of others."""
        from rnnkit.tasks.intents import scores

        understands = load(folder, self.device)
        texts = self.to_judge(folder, data)
        if data is not None:
            for clause in known(texts, understands.model.class_names, understands.model.tags)[1]:
                warnings.warn(f"{clause}; they count as wrong", stacklevel=2)
        return scores(texts, understands(texts))

    def validate(self, folder: Path) -> dict[str, float]:
        """Return the figures of the folder's model on its validation sentences."""
        from rnnkit.tasks.intents import scores

        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other sentences: --data FILE")
        if not parts.validation:
            raise no_validation(folder, "sentences")
        return scores(parts.validation, load(folder, self.device)(parts.validation))

    def to_judge(self, folder: Path, data: DataRequest | None) -> list[TaggedText]:
        """Return the sentences that the run held back, or those of a file."""
        if data is not None:
            return self.data.read(data.path, data.encoding, new=True)[0]
        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other sentences: --data FILE")
        if not (found := parts.test or parts.validation):
            raise DataError(f"{folder} held no sentences back; name a file of sentences: --data FILE")
        return found

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model as far as it names intents, sentences that it knows, and the loss."""
        from rnnkit.tasks.intent_rows import IntentRows
        from rnnkit.tasks.intents import IntentLogits

        trained = load(folder, "cpu")
        model = trained.model
        texts = known(self.to_judge(folder, data), model.class_names, model.tags)[0]
        batch = IntentRows(texts, trained.vocabulary, model.class_names, model.tags)[:]
        assert batch.targets is not None
        assert batch.input_lengths is not None
        inputs = rnnkit.Sequences(batch.inputs, batch.input_lengths)
        return InspectionData(IntentLogits(model), inputs, batch.targets[:, 0], "cross_entropy")

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return intent, confidence and slots of each sentence of a file."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a file, a sentence a line, to intents and slots."""
        understands = load(folder, self.device)

        def answer(data: DataRequest) -> Columns:
            texts = read_plain(data.path, self.data, data.encoding)
            return table(texts, understands(texts))

        return answer

    def understander(self, folder: Path) -> Trained:
        """Return the folder's model as a function from texts to intents and slots, for ``rnnkit understand``."""
        return load(folder, self.device)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with the sentences of a file to learn, whose intents and slots it knows."""
        from rnnkit.recipes.intents_finetuning import make_job

        return make_job(self, folder, data, settings)


@dataclass(frozen=True)
class PreparedIntents(PreparedRun):
    """A run whose sentences were read, divided and turned into numbers."""

    recipe: Intents
    parts: Parts
    vocabulary: IntentVocabulary
    rows: IntentRows
    intents: tuple[str, ...]
    tags: tuple[str, ...]

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other sentences than these."""
        data_digests.check(folder, self.parts.digests, "train into a new folder")

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder."""
        from rnnkit.data import LengthBatches
        from rnnkit.tasks.intent_rows import IntentRows
        from rnnkit.tasks.intents import ValidationScores, scores, understand

        recipe, parts, size = self.recipe, self.parts, self.recipe.fit.batch_size
        data_digests.record(folder, parts.digests)
        learner = self.learner()
        callbacks: list[Any] = [rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")]
        validation = None
        judged, _ = known(parts.validation, self.intents, self.tags)
        if judged:
            held = IntentRows(judged, self.vocabulary, self.intents, self.tags)
            validation = LengthBatches(held, max(size, 64), shuffle=False)
            callbacks.append(ValidationScores(self.vocabulary, judged))
        history = learner.fit(
            LengthBatches(self.rows, size, seed=recipe.seed),
            validation=validation,
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=callbacks,
            **recipe.fit.fit_settings(),
        )
        learner.save(folder)
        metrics: runs.Metrics = {"split": parts.division}
        model: Any = learner.model
        texts, found = [], []
        for part in ("validation", "test"):
            if getattr(parts, part):
                texts = getattr(parts, part)
                found = understand(model, self.vocabulary, texts)
                metrics[part] = scores(texts, found)
        counts = {"train": parts.train, "validation": parts.validation, "test": parts.test}
        metrics["rows"] = {name: len(texts) for name, texts in counts.items() if texts}
        early = recipe.fit.early_stopping is not None
        chosen_on = runs.chosen_on_validation(len(judged), "sentences") if early else None
        metrics = runs.record(folder, history, metrics, chosen_on=chosen_on, final=metrics.get("test", {}))
        write_results(texts, found, folder, troubles(parts, self.vocabulary), history, metrics, repr(model))
        return metrics

    def learner(self) -> rnnkit.Learner:
        """Return a learner with a network whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(self.recipe.seed)
        model = build(self.recipe.model, self.vocabulary, self.intents, self.tags)
        learner = learner_of(model, self.recipe.fit, self.recipe.device)
        learner.extra = self.vocabulary.to_dict()
        return learner


def intents() -> Intents:
    """Learn the intent and the slots of sentences: words and characters, BiLSTM(200), CRF, 12 epochs."""
    return Intents()


def snips() -> Intents:
    """Learn SNIPS's 7 intents and 39 slots, from the folder snips in RNNKIT_DATA; 700 sentences are held out."""
    return replace(intents(), data=Data(path="snips", validation=700))


def build(
    settings: Model, vocabulary: IntentVocabulary, intents: tuple[str, ...], tags: tuple[str, ...]
) -> rnnkit.IntentSlotModel:
    """Return the network with fresh weights."""
    from rnnkit.layers.by_name import RECURRENT_LAYERS

    front = rnnkit.WordFront(
        len(vocabulary.words),
        len(vocabulary.characters),
        settings.word_size,
        settings.character_size,
        settings.filters,
        dropout=settings.input_dropout,
        word_dropout=settings.word_dropout,
    )
    body = RECURRENT_LAYERS[settings.cell](
        front.output_size,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        bidirectional=True,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
    )
    return rnnkit.IntentSlotModel(
        body, intents, tags, front, crf=settings.crf, intent_size=settings.intent_size, dropout=settings.dropout
    )


def learner_of(model: Any, fit: Fit, device: str) -> rnnkit.Learner:
    """Return a learner of a network, with the settings of a training."""
    from rnnkit.tasks.intents import IntentSlotObjective

    objective = IntentSlotObjective(fit.intent_weight, fit.slot_weight)
    return rnnkit.Learner(model, objective=objective, metrics="accuracy", device=device, **fit.learner_settings())


@dataclass(frozen=True)
class Trained:
    """A trained network with its vocabulary; a call returns what it understands of sentences."""

    model: Any
    vocabulary: IntentVocabulary

    def __call__(self, texts: list[TaggedText]) -> list[Understood]:
        from rnnkit.tasks.intents import understand

        return understand(self.model, self.vocabulary, texts)


def load(folder: Path, device: str = "auto") -> Trained:
    """Return the network of a run folder, as a function from sentences to what it understands of them."""
    from rnnkit.serialization import read_config
    from rnnkit.tasks.intent_rows import IntentVocabulary
    from rnnkit.training.execution import find_device

    model = rnnkit.load(folder).to(find_device(device))
    return Trained(model, IntentVocabulary.from_dict(read_config(folder)["extra"]))


def table(texts: list[TaggedText], found: list[Understood]) -> Columns:
    """Return a row a sentence: the text, its intent, how sure that is, and the slots as JSON."""
    return {
        "text": [text.text for text in texts],
        "prediction": [one.intent for one in found],
        "confidence": [one.confidence for one in found],
        "slots": [slots_of(text, one) for text, one in zip(texts, found, strict=True)],
        "slots_confidence": [one.slot_confidence for one in found],
    }
