"""The settings of the recipes for pairs of texts. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import ConfigError
from ..tasks.ranges import Count, NotNegative, Positive, Seed, Settings, Share
from ..tasks.settings import NetworkSettings, OptimizerSettings


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network; see ``rnnkit.EncoderDecoder``.

    Attributes:
        cell: the recurrence.
        hidden_size: units of a decoder's layer, and of the encoder's two directions together.
        embedding_size: features of a token.
        encoder_layers: bidirectional layers of the encoder.
        upper: whether the decoder has a layer above the attention; not with form=input_feeding.
        attention: how a step of the source is scored: dot and general are Luong's, additive is Bahdanau's.
        form: parallel runs each layer once over a target; input_feeding (Luong) and bahdanau go token by token, and
            take several times as long.
        copy: whether words of the source can be copied (See et al. 2017); both sides share a vocabulary.
        coverage: whether the attention sees what it attended to before (See et al. 2017).
        tied: output shares the decoder's embedding with the output layer; all shares the source's, too; auto is all
            where both sides share a vocabulary.
        dropout: probability of dropping a feature.
        variational: whether the same features are dropped at all tokens of a text.
        word_dropout: probability of dropping a token's embedding as a whole.
    """

    cell: Literal["simple_rnn", "lstm", "gru"] = "lstm"
    hidden_size: Count = 256
    embedding_size: Count = 256
    encoder_layers: Count = 1
    upper: bool = True
    attention: Literal["dot", "general", "additive"] = "general"
    form: Literal["parallel", "input_feeding", "bahdanau"] = "parallel"
    copy: bool = False
    coverage: bool = False
    tied: Literal["auto", "none", "output", "all"] = "auto"
    dropout: Share = 0.3
    variational: bool = True
    word_dropout: Share = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % 2:
            raise ConfigError(
                f"model.hidden_size={self.hidden_size} arrived; expected an even number, half for each direction"
            )


@dataclass(frozen=True)
class Fit(OptimizerSettings):
    """The training.

    Attributes:
        batch_size: pairs of an optimizer step, of about the same length.
        label_smoothing: share of the target that is spread over all tokens (Szegedy et al. 2016).
        coverage: what attending to the same token again costs (See et al. 2017).
        sampling: the probability, at the end, that the decoder reads its own token while training (Bengio et al.
            2015); it rises over the first half of the steps.
        average: ema validates and keeps the moving average of the weights.
        early_stopping: end after this number of epochs without a better one. The best epoch's weights are kept wherever
            there are validation pairs.
        choose_by: what decides the best epoch: the loss on the validation pairs, or a score of answers to them that
            take the most probable token at each step.
        choose_pairs: validation pairs that are answered after each epoch for that score, the first so many.
    """

    epochs: Count = 20
    batch_size: Count = 64
    lr: Positive = 1e-3
    schedule: Literal["constant", "warmup_constant", "cosine", "warmup_cosine"] | None = "warmup_cosine"
    clip_norm: Positive | None = 1.0
    label_smoothing: Share = 0.1
    coverage: NotNegative = 0.0
    sampling: Share = 0.0
    average: Literal["ema"] | None = "ema"
    choose_by: Literal["loss", "bleu", "chrf", "rouge1", "rouge2", "rougeL"] = "loss"
    choose_pairs: Count = 500


@dataclass(frozen=True)
class TranslationFit(Fit):
    """The training of a translator."""

    choose_by: Literal["loss", "bleu", "chrf"] = "loss"


@dataclass(frozen=True)
class SummaryFit(Fit):
    """The training of a summarizer."""

    choose_by: Literal["loss", "rouge1", "rouge2", "rougeL"] = "loss"


@dataclass(frozen=True)
class Data(Settings):
    """The pairs of texts. A path that does not exist is looked for in the folder RNNKIT_DATA.

    Attributes:
        path: a .csv, .tsv, .jsonl or .json file with a source and a target a record; or a file of sources, one a line.
        target_path: the file of targets, line by line, where path is a file of sources.
        source: the field of the source; the number of a column (from 0) where a table has no header.
        target: the field of the target.
        format: of files whose name does not say it.
        header: whether a table's first line names its columns.
        encoding: of text files; none: by the byte order mark, else UTF-8.
        delimiter: the character between the cells of a table, also by name (tab, blank); none finds it.
        quotes: whether quotation marks enclose cells; none: in .csv files.
        empty: what becomes of pairs without a source or a target.
        validation_path: pairs to choose the epoch by; none holds a share of path back.
        validation_target_path: as target_path.
        test_path: pairs that judge; none holds a share of path back.
        test_target_path: as target_path.
        validation: share of the pairs held back to choose by, where there is no file of them.
        test: share of the pairs held back for the test. Pairs that share a source or a target stay together.
        split_seed: another one holds other pairs back.
        tokenizer: what texts are cut into.
        target_tokenizer: what targets are cut into; none: as the sources.
        vocabulary: the most tokens of a vocabulary.
        minimum_count: how often a word or character must occur to be in the vocabulary.
        shared: whether both sides share a vocabulary; auto: unless they are written in different scripts, or have
            different tokenizers.
        lowercase: whether texts are written in small letters; the scores then say so.
        normalization: the Unicode form.
        longest: pairs with a longer side, in tokens, are not trained on.
        cut: sources are cut to this number of tokens, in answering too; none never cuts.
        language: of the targets, for the scores: zh, ja or another; auto sees whether they are Chinese or Japanese.
        limit: train on this number of the first pairs, for a quick look; none takes all.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    target_path: str | None = None
    source: str = "source"
    target: str = "target"
    format: Literal["csv", "tsv", "jsonl", "json"] | None = None
    header: bool = True
    encoding: str | None = None
    delimiter: str | None = None
    quotes: bool | None = None
    empty: Literal["error", "skip"] = "error"
    validation_path: str | None = None
    validation_target_path: str | None = None
    test_path: str | None = None
    test_target_path: str | None = None
    validation: Share = 0.05
    test: Share = 0.05
    split_seed: Seed = 0
    tokenizer: Literal["bpe", "unigram", "word", "char", "byte"] = "bpe"
    target_tokenizer: Literal["bpe", "unigram", "word", "char", "byte"] | None = None
    vocabulary: Count = 8000
    minimum_count: Count = 1
    shared: Literal["auto", "yes", "no"] = "auto"
    lowercase: bool = False
    normalization: Literal["NFC", "NFKC"] | None = "NFC"
    longest: Count = 100
    cut: Count | None = None
    language: str = "auto"
    limit: Count | None = None

    def files(self) -> dict[str, tuple[str, str | None]]:
        """Return the files of each part: sources, and targets where they are in a file of their own."""
        if self.path is None:
            raise ConfigError("data.path is missing; name the file of pairs: --set data.path=pairs.csv")
        found = {"train": (self.path, self.target_path)}
        if self.validation_path is not None:
            found["validation"] = (self.validation_path, self.validation_target_path)
        if self.test_path is not None:
            found["test"] = (self.test_path, self.test_target_path)
        return found
