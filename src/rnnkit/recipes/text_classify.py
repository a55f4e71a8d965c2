"""Classes of texts: reviews, news, letters. A recurrent network reads the words, and pooling over all steps decides.

    tokens [B, T] → Embedding(100) → BiLSTM(128) → last, max and mean over the steps → Linear → softmax, cross-entropy

Words are tokens, and characters in Chinese. Rare words are unknown, so that the unknown word is trained. Pooling by
last, max and mean side by side is that of ULMFiT (Howard & Ruder 2018); `build` takes the embedding and the body of a
language model that was trained before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun, Recipe, no_validation
from rnnkit.recipes.interface import Columns, DataRequest, InspectionData, Predictor
from rnnkit.recipes.text_classify_data import Data, Parts, check_labels, divide, troubles
from rnnkit.recipes.text_classify_results import write_results
from rnnkit.recipes.text_classify_trained import Trained
from rnnkit.recipes.wording import TOKENIZER_SETTINGS, in_data_settings
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, Positive, Seed, Share
from rnnkit.tasks.settings import AveragedSettings, Cell, NetworkSettings

if TYPE_CHECKING:
    import torch

    from rnnkit.data import Tokenizer
    from rnnkit.data.text.labelled import LabelledText
    from rnnkit.recipes.finetuning import FineTune, FineTuneJob
    from rnnkit.recipes.text_finetuning import ClassifierJob
    from rnnkit.tasks.text_rows import TextClassRows
    from rnnkit.training.history import History
    from rnnkit.types import Batches


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network.

    Attributes:
        num_layers: layers, one above the other.
        bidirectional: whether texts are read from the end, too.
        embedding_size: features of a token.
        pooling: what of the outputs the head sees; concat is last, max and mean side by side.
        input_dropout: probability of dropping a feature of a token.
        dropout: probability of dropping a pooled feature, and an output between layers.
    """

    cell: Cell = "lstm"
    hidden_size: Count = 128
    num_layers: Count = 1
    bidirectional: bool = True
    embedding_size: Count = 100
    pooling: Literal["concat", "last", "mean", "max"] = "concat"
    input_dropout: Share = 0.4
    dropout: Share = 0.4


@dataclass(frozen=True)
class Fit(AveragedSettings):
    """The training; see ``rnnkit.Learner``.

    Attributes:
        label_smoothing: share of the target that is spread over all classes.
        class_weights: balanced counts each class as often as the others, however many texts it has.
    """

    epochs: Count = 10
    batch_size: Count = 32
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine", "constant"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0
    label_smoothing: Share = 0.0
    class_weights: Literal["balanced"] | None = None


@dataclass(frozen=True)
class TextClassify(Recipe):
    """The whole run; ``rnnkit train text-classify FILE --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        seed: of weights, order of the texts and dropout.
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
        """Return a number of texts in words."""
        return f"{count} {'text' if count == 1 else 'texts'}"

    def prepare(self) -> PreparedRun:
        """Read, divide and check the texts, make the tokenizer, and write nothing."""
        from rnnkit.data.labels import sorted_classes
        from rnnkit.tasks.text_rows import TextClassRows

        parts = divide(self.data)
        if self.fit.early_stopping is not None and not parts.validation:
            raise ConfigError("fit.early_stopping needs texts to judge by; add --set data.validation=0.1")
        classes = sorted_classes([one.label for one in parts.train])
        check_labels(parts, classes)
        tokenizer = make_tokenizer(self.data, parts.train)
        rows = TextClassRows(parts.train, tokenizer, classes, most=self.data.max_tokens)
        return PreparedTexts(self, parts, tokenizer, rows, classes)

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, judge on the test texts, and write model, metrics, mistakes and reports into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return the figures of the folder's model on its test texts, or on a file of others with their labels."""
        trained = Trained.of(folder, self)
        texts = self.to_judge(folder, data)
        if data is not None:
            trained.warn_of_unknown(texts)
        return trained.evaluate(texts)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return the figures of the folder's model on its validation texts."""
        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other texts: --data FILE")
        if not parts.validation:
            raise no_validation(folder, "texts")
        return Trained.of(folder, self).evaluate(parts.validation)

    def predict(self, folder: Path, data: DataRequest) -> Columns:
        """Return the class of each text of a file, and its probability."""
        return self.predictor(folder)(data)

    def predictor(self, folder: Path) -> Predictor:
        """Return a function from a file (records, or plain text, a text a line) to classes and their probabilities."""
        trained = Trained.of(folder, self)

        def answer(data: DataRequest) -> Columns:
            texts = self.data.read(data.path, data.encoding, labelled=False, new=True)
            trained.warn_of_unknown(texts)
            return trained.table(texts)

        return answer

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model, token ids of texts with their classes, and the loss."""
        trained = Trained.of(folder, self)
        which, texts = self._held(folder) if data is None else ("", self.to_judge(folder, data))
        inputs, targets = trained.rows(texts).arrays()
        return InspectionData(trained.model, inputs, targets, "cross_entropy", which)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneJob:
        """Return the folder's model with the texts of a file to learn; new classes join the old ones."""
        from rnnkit.recipes.text_classify_finetuning import make_job

        return make_job(self, folder, data, settings)

    def transfer_defaults(self) -> FineTune:
        """Return the settings of ULMFiT's fine-tuning, from a language model to classes of texts."""
        from rnnkit.recipes.text_finetuning import TO_CLASSIFY

        return TO_CLASSIFY

    def transfer_job(self, folder: Path, settings: FineTune) -> ClassifierJob:
        """Return the language model of a folder with the texts of this recipe to learn."""
        from rnnkit.data.labels import sorted_classes
        from rnnkit.recipes.text_finetuning import ClassifierJob
        from rnnkit.tasks.language_modelling import stored_tokenizer
        from rnnkit.tasks.text_rows import TextClassRows

        parts = divide(self.data)
        classes = sorted_classes([one.label for one in parts.train])
        check_labels(parts, classes)
        tokenizer = stored_tokenizer(folder)
        rows = TextClassRows(parts.train, tokenizer, classes, most=self.data.max_tokens)
        prepared = PreparedTexts(self, parts, tokenizer, rows, classes)
        return ClassifierJob(prepared, prepared.pretrained(rnnkit.load(folder), settings.seed, settings.device))

    def to_judge(self, folder: Path, data: DataRequest | None) -> list[LabelledText]:
        """Return the texts that the run held back, or those of a file."""
        if data is not None:
            return self.data.read(data.path, data.encoding, new=True)
        return self._held(folder)[1]

    def _held(self, folder: Path) -> tuple[str, list[LabelledText]]:
        """Return the texts that the run held back, with their name in front."""
        parts = divide(self.data)
        data_digests.check(folder, parts.digests, "judge on a file of other texts: --data FILE")
        if not (found := parts.test or parts.validation):
            raise DataError(f"{folder} held no texts back; name a file of texts with their labels: --data FILE")
        return "the test texts" if parts.test else "the validation texts", found


@dataclass(frozen=True)
class PreparedTexts(PreparedRun):
    """A run whose texts were read, divided and turned into numbers."""

    recipe: TextClassify
    parts: Parts
    tokenizer: Tokenizer
    rows: TextClassRows
    classes: tuple[str, ...]

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other texts than these."""
        data_digests.check(folder, self.parts.digests, "train into a new folder")

    def run(self, folder: Path) -> runs.Metrics:
        """Train, judge, and write the results into the folder."""
        recipe, fit = self.recipe, self.recipe.fit
        data_digests.record(folder, self.parts.digests)
        learner = self.learner()
        train, validation = self.batches(learner, fit.batch_size, recipe.seed)
        history = learner.fit(
            train,
            validation=validation,
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[rnnkit.Diagnostics(every=100, file=folder / "diagnostics.json")],
            **fit.fit_settings(),
        )
        return self.conclude(learner, history, folder)

    def batches(self, learner: rnnkit.Learner, batch_size: int, seed: int) -> tuple[Batches, Batches | None]:
        """Return the batches to train on, and those of the validation texts."""
        from rnnkit.data import LengthBatches

        train = LengthBatches(self.rows, batch_size, seed=seed)
        if not self.parts.validation:
            return train, None
        held = Trained(learner.model, self.tokenizer, self.classes, self.recipe).rows(self.parts.validation)
        return train, LengthBatches(held, max(batch_size, 64), shuffle=False)

    def conclude(self, learner: rnnkit.Learner, history: History, folder: Path) -> runs.Metrics:
        """Judge the trained network, and write model, metrics, mistakes and reports into the folder."""
        recipe, parts, fit = self.recipe, self.parts, self.recipe.fit
        trained = Trained(learner.model, self.tokenizer, self.classes, recipe)
        learner.save(folder)
        metrics: runs.Metrics = {"split": parts.division}
        if parts.validation:
            metrics["validation"] = trained.evaluate(parts.validation)
        if parts.test:
            metrics["test"] = trained.evaluate(parts.test)
        counts = {"train": parts.train, "validation": parts.validation, "test": parts.test}
        metrics["rows"] = {name: len(texts) for name, texts in counts.items() if texts}
        early = fit.early_stopping is not None
        chosen_on = runs.chosen_on_validation(len(parts.validation), "texts") if early else None
        metrics = runs.record(folder, history, metrics, chosen_on=chosen_on, final=metrics.get("test", {}))
        told = troubles(parts, self.tokenizer, self.rows.cut, recipe.data.max_tokens)
        write_results(trained, parts.test or parts.validation, folder, told, history, metrics)
        return metrics

    def learner(self) -> rnnkit.Learner:
        """Return a learner with a network whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(self.recipe.seed)
        return self._learner(build(self.recipe.model, len(self.tokenizer), self.classes), self.recipe.device)

    def pretrained(self, model: Any, seed: int, device: str) -> rnnkit.Learner:
        """Return a learner with a language model's layers and a new head, whose weights are drawn with the seed."""
        import torch

        torch.manual_seed(seed)
        return self._learner(model.classifier(self.classes, self.recipe.model.dropout), device)

    def _learner(self, model: torch.nn.Module, device: str) -> rnnkit.Learner:
        labels = self.rows.labels
        assert labels is not None
        learner = learner_of(model, self.recipe.fit, device, labels.tolist())
        learner.extra = {"tokenizer": self.tokenizer.to_dict()}
        return learner


def text_classify() -> TextClassify:
    """Learn the classes of texts, from a table, JSON lines or a folder a class: words, BiLSTM(128), concat pooling."""
    return TextClassify()


def make_tokenizer(data: Data, texts: list[LabelledText]) -> Tokenizer:
    """Return the tokenizer of the training texts."""
    from rnnkit.data import train_tokenizer

    counted: dict[str, Any] = {"minimum_count": data.minimum_count} if data.tokens in ("word", "char") else {}
    size = None if data.tokens == "byte" else data.vocabulary
    whole = [one.text for one in texts]
    with in_data_settings(TOKENIZER_SETTINGS):
        return train_tokenizer(data.tokens, whole, size=size, lowercase=data.lowercase, **counted)


def build(settings: Model, vocabulary: int, classes: tuple[str, ...]) -> rnnkit.SequenceClassifier:
    """Return the network with fresh weights.

    Args:
        settings: of the network.
        vocabulary: the number of tokens.
        classes: their names.
    """
    import torch

    from rnnkit.layers.by_name import RECURRENT_LAYERS

    embedding = torch.nn.Embedding(vocabulary, settings.embedding_size)
    torch.nn.init.normal_(embedding.weight, std=settings.embedding_size**-0.5)
    body = RECURRENT_LAYERS[settings.cell](
        settings.embedding_size,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        bidirectional=settings.bidirectional,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
    )
    front = [embedding, torch.nn.Dropout(settings.input_dropout)]
    return rnnkit.SequenceClassifier(body, classes, settings.pooling, settings.dropout, front=front)


def learner_of(model: torch.nn.Module, fit: Fit, device: str, labels: list[int] | None = None) -> rnnkit.Learner:
    """Return a learner of a network.

    Args:
        model: the network.
        fit: the settings of its training.
        device: where to compute.
        labels: of the training texts, for balanced class weights.
    """
    from collections import Counter

    weights = None
    if fit.class_weights is not None and labels is not None:
        counts = Counter(labels)
        weights = [len(labels) / (len(counts) * counts[label]) for label in range(len(counts))]
    return rnnkit.Learner(
        model,
        metrics=["accuracy", "f1_macro"],
        device=device,
        label_smoothing=fit.label_smoothing,
        class_weights=weights,
        **fit.learner_settings(),
    )
