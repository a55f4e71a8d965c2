"""Where a recipe for plain texts reads them, and the tokens that it cuts them into. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from ..errors import ConfigError
from ..tasks.ranges import Count, Range, Seed, Settings, Share

if TYPE_CHECKING:
    from ..data import Tokenizer
    from ..data.text.parts import TextParts
    from ..data.text.texts import Texts


@dataclass(frozen=True)
class TextSource(Settings):
    """The texts, and how they are divided.

    Attributes:
        path: a file or folder of .txt, .jsonl, .json, .csv or .tsv (also .gz); none takes the `corpus`.
        corpus: python is the help topics that every Python brings along; the others are found in the folder
            RNNKIT_DATA, or downloaded.
        field: name of the column or field that holds the text; none finds it.
        unit: of .txt files: what is a text, the file, a line, or a paragraph between empty lines.
        format: txt, jsonl, json, csv or tsv, where the files' suffix does not say it.
        encoding: of the files, such as gb18030; none is UTF-8, and what a file says of itself.
        validation: share of the text that is kept to choose by.
        test: share of the text that is kept to measure on.
        split: by place (the last characters are the test), by whole texts, or auto: whole texts from 100 on.
        split_seed: of the division by whole texts.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    corpus: Literal["python", "tinyshakespeare", "tang"] = "python"
    field: str | None = None
    unit: Literal["file", "line", "paragraph"] | None = None
    format: Literal["txt", "jsonl", "json", "csv", "tsv"] | None = None
    encoding: str | None = None
    validation: Share = 0.05
    test: Share = 0.05
    split: Literal["auto", "place", "text"] = "auto"
    split_seed: Seed = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation + self.test >= 1:
            raise ConfigError(
                f"data.validation={self.validation} and data.test={self.test} arrived; expected shares that leave text "
                "to train on"
            )

    def named(self) -> str:
        """Return what the source is called: its path, or the corpus."""
        return self.corpus if self.path is None else self.path

    def texts(self) -> Texts:
        """Return all texts.

        Raises:
            DataError: a file that cannot be read as text; see :func:`rnnkit.data.read_texts`.
        """
        from ..data.text.corpora import find_corpus, python_topics
        from ..data.text.texts import read_texts

        if self.path is not None:
            return self.read(Path(self.path))
        if self.corpus == "python":
            return python_topics()
        files = find_corpus(self.corpus)
        return read_texts(files, field="paragraphs") if self.corpus == "tang" else read_texts(files)

    def read(self, path: Path, encoding: str | None = None) -> Texts:
        """Return the texts of another file, read as these are."""
        from ..data.text.texts import read_texts

        given: dict[str, Any] = {
            "field": int(self.field) if self.field is not None and self.field.isdigit() else self.field,
            "unit": self.unit,
            "format": self.format,
            "encoding": encoding or self.encoding,
        }
        return read_texts(path, **{name: value for name, value in given.items() if value is not None})

    def parts(self) -> TextParts:
        """Return the texts in their parts: to train on, to choose by, to measure on."""
        from ..data.text.parts import divide_texts

        return divide_texts(
            self.texts(), validation=self.validation, test=self.test, by=self.split, seed=self.split_seed
        )


@dataclass(frozen=True)
class Vocabulary(Settings):
    """The tokens that a text is cut into; see :func:`rnnkit.data.train_tokenizer`.

    Attributes:
        tokens: characters, bytes, words (Chinese by characters), or pieces of words learnt from the text.
        size: the largest number of tokens; none takes all characters, 30,000 words, or 8,000 pieces.
        minimum_count: how often a character or word must occur to be a token.
        lowercase: whether texts are written in small letters first.
        normalization: the Unicode form in which texts are written first.
    """

    group_name: ClassVar[str] = "vocabulary"

    tokens: Literal["char", "byte", "word", "bpe", "unigram"] = "char"
    size: Annotated[int, Range(least=5, whole=True)] | None = None
    minimum_count: Count = 1
    lowercase: bool = False
    normalization: Literal["NFC", "NFKC"] | None = "NFC"

    def train(self, texts: Texts) -> Tokenizer:
        """Return a tokenizer made of texts; give it those of the training part alone."""
        from ..data import train_tokenizer

        return train_tokenizer(
            self.tokens,
            texts,
            size=self.size,
            minimum_count=self.minimum_count,
            lowercase=self.lowercase,
            normalization=self.normalization,
        )
