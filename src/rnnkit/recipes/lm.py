"""A language model: pretrained on plain text, to generate text and to be fine-tuned.

    tokens [B, T] → Embedding → LSTM, GRU or SimpleRNN, several layers → a distribution over the next token, [B, T, V]

``lm()`` learns characters. Without data it reads the help topics that every Python brings along. Each row of a batch is
a part of the text, read from beginning to end in windows. The state is carried from window to window, the gradient is
cut (truncated backpropagation through time); the windows' lengths are drawn at random.

``tinyshakespeare()`` and ``tang()`` are trained on public corpora, ``awd()`` is the AWD-LSTM for words
(Merity, Keskar & Socher 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import rnnkit
from rnnkit import runs
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun, Recipe, no_validation
from rnnkit.recipes.interface import DataRequest, InspectionData, TextModel
from rnnkit.recipes.text_source import TextSource, Vocabulary
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, NotNegative, Range, Seed, Share
from rnnkit.tasks.settings import Cell, NetworkSettings, OptimizerSettings

if TYPE_CHECKING:
    from rnnkit.data import Tokenizer
    from rnnkit.recipes.finetuning import FineTune, FineTuneWork

WORDS = Vocabulary(tokens="word", minimum_count=3)


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network; see :class:`rnnkit.LanguageModel`.

    Attributes:
        num_layers: layers, one above the other.
        embedding_size: features of a token.
        tied: whether the head has the embedding's weights; the last layer then has `embedding_size` units.
        embedding_dropout: probability of dropping a token's whole embedding.
        input_dropout: of dropping a feature of the embedded tokens, for all steps of a window.
        hidden_dropout: of dropping a feature between layers, for all steps of a window.
        output_dropout: of dropping a feature in front of the head, for all steps of a window.
        weight_dropout: of dropping a recurrent weight, for all steps of a window.
        layer_norm: whether recurrent layers normalise their products.
        cutoffs: the first ids of the clusters of an adaptive softmax, as in 2000,10000, for large vocabularies.
    """

    cell: Cell = "lstm"
    hidden_size: Count = 256
    num_layers: Count = 2
    embedding_size: Count = 128
    tied: bool = False
    embedding_dropout: Share = 0.0
    input_dropout: Share = 0.0
    hidden_dropout: Share = 0.2
    output_dropout: Share = 0.2
    weight_dropout: Share = 0.0
    layer_norm: bool = True
    cutoffs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tied and self.cutoffs:
            shown = ",".join(map(str, self.cutoffs))
            raise ConfigError(f"model.tied=true and model.cutoffs={shown} arrived; expected one of them")


@dataclass(frozen=True)
class Fit(OptimizerSettings):
    """The training; see ``rnnkit.Learner`` for what each setting does.

    Attributes:
        epochs: passes over the training text.
        batch_size: rows of a batch, each a part of the text of its own.
        window: steps that a gradient goes back.
        random_windows: whether the windows' lengths are drawn at random around `window`.
        early_stopping: end after this number of epochs without a lower loss on the validation text.
        keep_best: whether the weights of the epoch with the lowest loss on the validation text are kept.
        average: whether validation and the result use an average of the weights.
        ar: activation regularisation: coefficient of the mean square of the last layer's outputs.
        tar: temporal activation regularisation: of their differences from step to step.
        calibrate: whether the head's weights are divided by the temperature with the lowest loss on the validation
            text, unless they are the embedding's (model.tied) or in clusters (model.cutoffs).
        dynamic_evaluation: whether the test text is also measured by a model that continues to learn from it.
    """

    epochs: Count = 10
    batch_size: Count = 32
    window: Annotated[int, Range(least=2, whole=True)] = 100
    random_windows: bool = True
    lr: Annotated[float, Range(above=0)] = 3e-3
    schedule: Literal["warmup_cosine", "cosine", "one_cycle", "constant"] | None = "warmup_cosine"
    clip_norm: Annotated[float, Range(above=0)] | None = 1.0
    keep_best: bool = True
    average: Literal["ema", "nt-asgd"] | None = None
    ar: NotNegative = 0.0
    tar: NotNegative = 0.0
    calibrate: bool = True
    dynamic_evaluation: bool = False

    def learner_settings(self) -> dict[str, Any]:
        """Return the arguments of ``rnnkit.Learner`` among these settings."""
        return {**super().learner_settings(), "ar": self.ar, "tar": self.tar}

    def fit_settings(self) -> dict[str, Any]:
        """Return the arguments of ``Learner.fit`` among these settings."""
        return {**super().fit_settings(), "average": self.average, "restore_best": self.keep_best}


@dataclass(frozen=True)
class Lm(Recipe):
    """The whole run; ``rnnkit train lm --set GROUP.FIELD=VALUE`` changes a field.

    Attributes:
        prompt: what the sample of the run begins with.
        seed: of weights, windows and dropout.
        device: where to compute: auto, cpu, cuda, cuda:1, mps.
    """

    data_setting: ClassVar[str | None] = "data.path"
    reads_text: ClassVar[bool] = True
    before: ClassVar[dict[str, Any]] = {"model.layer_norm": False, "fit.calibrate": False}

    model: Model = Model()
    fit: Fit = Fit()
    data: TextSource = field(default_factory=TextSource)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    prompt: str = "The "
    seed: Seed = 0
    device: str = "auto"

    def prepare(self) -> PreparedRun:
        """Read and divide the texts, make the vocabulary and the token files.

        Raises:
            ConfigError, DataError: settings or texts that cannot be used.
        """
        if not self.data.validation and (self.fit.keep_best or self.fit.early_stopping is not None):
            raise ConfigError(
                "data.validation=0 arrived, but fit.keep_best or fit.early_stopping judges by it; add --set "
                "fit.keep_best=false and leave fit.early_stopping out, or hold some text back"
            )
        if self.fit.dynamic_evaluation and not (self.data.validation and self.data.test):
            part = "test" if self.data.validation else "validation"
            raise ConfigError(
                f"data.{part}=0 arrived, but fit.dynamic_evaluation chooses on the validation text and measures on the "
                "test text; hold some of both back, or leave fit.dynamic_evaluation out"
            )
        shards = self.data.open_shards()
        self.data.check_use(shards)
        if shards and shards[0].kind == "tokens":
            from rnnkit.recipes.lm_shards import prepare_shards

            return prepare_shards(self, shards)
        from rnnkit.recipes.lm_run import PreparedLm

        parts = self.data.parts()
        tokenizer = self.vocabulary.train(parts.train)
        self.check_cutoffs(tokenizer)
        tokens = {
            name: rnnkit.data.tokenize(part, tokenizer, separators=parts.several)
            for name, part in parts.named().items()
        }
        self.check_tokens({name: len(ids) for name, ids in tokens.items()})
        return PreparedLm(self, parts, tokenizer, tokens)

    def check_cutoffs(self, tokenizer: Tokenizer) -> None:
        """Raise ConfigError for clusters of an adaptive softmax that do not fit the vocabulary."""
        cutoffs, size = self.model.cutoffs, len(tokenizer)
        rising = list(cutoffs) == sorted(set(cutoffs))
        if cutoffs and not (rising and cutoffs[0] >= 1 and cutoffs[-1] < size):
            raise ConfigError(
                f"model.cutoffs={','.join(map(str, cutoffs))} arrived; expected rising numbers from 1 to {size - 1}, "
                f"as the vocabulary has {size:,} tokens: type others, or leave model.cutoffs out"
            )

    def check_tokens(self, tokens: dict[str, int]) -> None:
        """Raise ConfigError or DataError where a part has too few tokens."""
        short = [name for name, count in tokens.items() if count < 2]
        if short:
            off = [f"data.{name}=0" for name in short]
            off += ["fit.keep_best=false"] if "validation" in short and self.fit.keep_best else []
            remedy = "" if "train" in short else f", or hold none back: {' '.join(f'--set {one}' for one in off)}"
            parts = f"{' and '.join(short)} {'part has' if len(short) == 1 else 'parts have'}"
            each = "" if len(short) == 1 else " each"
            raise DataError(f"the {parts} 1 token{each}; expected 2 or more: add text{remedy}")
        most = tokens["train"] - 1
        if self.fit.batch_size > most:
            raise ConfigError(
                f"fit.batch_size={self.fit.batch_size} arrived for {self.count_rows(most + 1)} to train on; expected "
                f"{most} at most, and 10 tokens a row or more to learn much"
            )

    def run(self, folder: Path) -> runs.Metrics | None:
        """Train, measure, generate a sample, and write all of it into the folder."""
        return self.prepare().run(folder)

    def evaluate(self, folder: Path, data: DataRequest | None = None) -> dict[str, float]:
        """Return loss, perplexity and bits of the folder's model on its test text, or on another text."""
        from rnnkit.tasks.language_modelling import measure, stored_separators, stored_tokenizer

        if data is None and (shards := self._token_shards(folder)) is not None:
            found: dict[str, float] = shards.evaluate(folder)
            return found
        if data is None:
            parts = self.data.parts()
            texts, several = parts.test, parts.several
            data_digests.check(folder, {self.data.named(): parts.train.fingerprint()}, "name a text: --data FILE")
            if texts is None:
                raise ConfigError(f"{folder} held no text back (data.test=0); name a text to measure: --data FILE")
        else:
            with self.data.wording(new=True):
                texts, several = self.data.read(data.path, data.encoding), stored_separators(folder)
        learner = rnnkit.Learner(rnnkit.load(folder), device=self.device)
        with self.data.wording(new=True):
            tokenizer = stored_tokenizer(folder)
            return measure(learner, texts, tokenizer, separators=several, window=self.fit.window, warns=True)

    def validate(self, folder: Path) -> dict[str, float]:
        """Return loss, perplexity and bits of the folder's model on its validation text."""
        from rnnkit.tasks.language_modelling import measure, stored_tokenizer

        if (shards := self._token_shards(folder)) is not None:
            found: dict[str, float] = shards.evaluate(folder, "validation")
            return found
        parts = self.data.parts()
        data_digests.check(folder, {self.data.named(): parts.train.fingerprint()}, "name a text: --data FILE")
        if parts.validation is None:
            raise no_validation(folder, "text")
        learner, tokenizer = rnnkit.Learner(rnnkit.load(folder), device=self.device), stored_tokenizer(folder)
        return measure(learner, parts.validation, tokenizer, separators=parts.several, window=self.fit.window)

    def _token_shards(self, folder: Path) -> Any:
        """Return the shards of tokens that the run in a folder learned from; None where it learned from texts."""
        shards = self.data.open_shards()
        if not shards or shards[0].kind != "tokens":
            return None
        from rnnkit.recipes.lm_shards import prepare_shards

        found = prepare_shards(self, shards)
        data_digests.check(folder, found.digests(), "name a text: --data FILE")
        return found

    def language_model(self, folder: Path) -> TextModel:
        """Return the folder's model and its tokenizer, for ``rnnkit generate``."""
        from rnnkit.tasks.language_modelling import stored_tokenizer
        from rnnkit.training.execution import find_device

        return TextModel(rnnkit.load(folder).to(find_device(self.device)), stored_tokenizer(folder))

    def inspection_data(self, folder: Path, data: DataRequest | None = None) -> InspectionData:
        """Return the folder's model and windows of its validation text, or of another text."""
        from rnnkit.tasks.language_modelling import stored_separators, stored_tokenizer

        if data is None and (shards := self._token_shards(folder)) is not None:
            inputs, targets, part = shards.windows()
            return InspectionData(
                rnnkit.load(folder), inputs, targets, "cross_entropy", f"windows of the {part} shards"
            )
        which = ""
        if data is None:
            parts = self.data.parts()
            texts = parts.validation or parts.train
            which = f"windows of the {'validation' if parts.validation else 'training'} text"
        with self.data.wording(new=True):
            if data is not None:
                texts = self.data.read(data.path, data.encoding)
            tokens = rnnkit.data.tokenize(texts, stored_tokenizer(folder), separators=stored_separators(folder))
        batch = next(iter(tokens.batches(max(1, min(16, len(tokens) - 1)), self.fit.window)))
        return InspectionData(rnnkit.load(folder), batch.inputs, batch.targets, "cross_entropy", which)

    def fine_tune_job(self, folder: Path, data: DataRequest, settings: FineTune) -> FineTuneWork:
        """Return the folder's model with other texts to learn."""
        from rnnkit.recipes.text_finetuning import LanguageModelJob

        return LanguageModelJob.open(self, folder, data, settings)

    def fine_tune_defaults(self) -> FineTune:
        """Return the settings of a fine-tuning on other texts that a user has not set."""
        from rnnkit.recipes.text_finetuning import ON_TEXTS

        return ON_TEXTS

    def successor(self, task: str, data: DataRequest) -> tuple[str, Recipe]:
        """Return the recipe that fine-tunes the folder's model: "classify" learns classes of texts."""
        from rnnkit.errors import check_choice
        from rnnkit.recipes.text_classify import text_classify

        check_choice(task, "--task", ("classify",))
        found = text_classify()
        return "text-classify", replace(
            found, data=replace(found.data, path=str(data.path), encoding=data.encoding), device=self.device
        )

    def count_rows(self, count: int) -> str:
        """Return a number of tokens in words."""
        return f"{count:,} {'token' if count == 1 else 'tokens'}"


def lm() -> Lm:
    """Learn English by characters from the help topics that Python brings along: LSTM(256), two layers."""
    return Lm()


def tinyshakespeare() -> Lm:
    """Learn Shakespeare's plays by characters: LSTM(512), two layers, 9 epochs, with dynamic evaluation."""
    model = Model(hidden_size=512, hidden_dropout=0.35, output_dropout=0.35)
    fit = Fit(epochs=9, window=32, lr=6e-3, dynamic_evaluation=True)
    return replace(lm(), model=model, fit=fit, data=TextSource(corpus="tinyshakespeare"), prompt="ROMEO:")


def tang() -> Lm:
    """Learn Chinese poems of the Tang dynasty by characters: two LSTM layers, tied embeddings."""
    model = Model(
        hidden_size=512,
        embedding_size=256,
        tied=True,
        input_dropout=0.2,
        hidden_dropout=0.3,
        output_dropout=0.3,
        layer_norm=False,
    )
    fit = Fit(epochs=20, window=60)
    return replace(lm(), model=model, fit=fit, data=TextSource(corpus="tang"), prompt="春")


def awd() -> Lm:
    """Learn words with the AWD-LSTM, 3 layers of up to 1,150 units; for texts of a million words and more."""
    model = Model(
        hidden_size=1150,
        num_layers=3,
        embedding_size=400,
        tied=True,
        embedding_dropout=0.1,
        input_dropout=0.65,
        hidden_dropout=0.2,
        output_dropout=0.4,
        weight_dropout=0.5,
        layer_norm=False,
    )
    fit = Fit(epochs=40, batch_size=40, window=70, lr=2e-3, clip_norm=0.25, ar=2.0, tar=1.0, weight_decay=1.2e-6)
    return replace(lm(), model=model, fit=fit, vocabulary=WORDS)
