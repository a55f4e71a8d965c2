"""Where a recipe for plain texts reads them, and the tokens that it cuts them into. Importing this loads no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from ..errors import ConfigError, DataError, Place, Remedy
from ..runs.settings import show
from ..tasks.ranges import Count, Range, Seed, Settings, Share
from .table_settings import as_mark
from .wording import in_data_settings, with_remedies

if TYPE_CHECKING:
    from ..data import Tokenizer
    from ..data.shards import ShardSet
    from ..data.text.parts import TextParts
    from ..data.text.texts import Texts

# The settings that are arguments of `read_texts`.
_ARGUMENTS = ("field", "unit", "format", "encoding", "delimiter", "header", "quotes", "empty")


@dataclass(frozen=True)
class TextSource(Settings):
    """The texts, and how they are divided.

    Attributes:
        path: a file or folder of .txt, .jsonl, .json, .csv or .tsv (also .gz); none takes the `corpus`. A name that is
            not here is looked for in the folder RNNKIT_DATA.
        shards: the folder or address of shards, in place of files (`rnnkit shards make`). Shards of tokens have a
            vocabulary already, and several are mixed.
        weights: of several shards: how much of an epoch comes from each, as in 0.7,0.3; left out: as many tokens as
            each has.
        until: of several shards: whether an epoch ends where the first of them has been read, or where all have been;
            the others are then read again.
        shuffle: of shards of tokens: whether each epoch reads them in another order.
        damaged: whether a damaged shard ends the run, or is skipped and counted.
        corpus: python is the help topics that every Python brings along; the others are found in the folder
            RNNKIT_DATA, or downloaded.
        field: name of the column or field that holds the text, or the tokens of shards; none finds it.
        unit: of .txt files: what is a text, the file, a line, or a paragraph between empty lines.
        format: txt, jsonl, json, csv or tsv, where the files' suffix does not say it.
        encoding: of the files, such as gb18030; none is UTF-8, and what a file says of itself.
        delimiter: of tables: the character between cells, also by name (tab, blank); none finds it.
        header: of tables: whether the first line holds the columns' names.
        quotes: of tables: whether quotation marks enclose cells.
        empty: what becomes of files, fields and cells without text.
        validation: share of the text that is kept to choose by.
        test: share of the text that is kept to measure on.
        split: by place (the last characters are the test), by whole texts, or auto: whole texts from 100 on.
        split_seed: of the division by whole texts.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    shards: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    until: Literal["first", "all"] = "first"
    shuffle: bool = True
    damaged: Literal["refuse", "skip"] = "refuse"
    corpus: Literal["python", "tinyshakespeare", "tang"] = "python"
    field: str | None = None
    unit: Literal["file", "line", "paragraph"] | None = None
    format: Literal["txt", "jsonl", "json", "csv", "tsv"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    quotes: bool | None = None
    empty: Literal["error", "skip"] = "error"
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

        shown = f"data.shards={show(self.shards)}"
        if self.path is not None and self.shards:
            raise ConfigError(f"data.path={self.path} and {shown} arrived; expected one of them")
        if len(set(self.shards)) < len(self.shards):
            raise ConfigError(f"{shown} arrived, one of them twice; name each once, and give it a higher weight")
        weights = f"data.weights={show(self.weights)}"
        if self.weights and len(self.weights) != len(self.shards):
            example = ",".join(["0.5"] * max(2, len(self.shards)))
            raise ConfigError(
                f"{weights} arrived for {shown if self.shards else 'no data.shards'}; expected one number for each of "
                f"the shards, as in data.weights={example}"
            )
        if any(not isinstance(one, int | float) or not 0 < one < math.inf for one in self.weights):
            raise ConfigError(f"{weights} arrived; expected numbers above 0")

    def named(self) -> str:
        """Return what the source is called: its path, the address of its shards, or the corpus."""
        return self.path or ", ".join(self.shards) or self.corpus

    def open_shards(self) -> list[ShardSet]:
        """Return the shards, of each source by itself; none where files are named.

        Raises:
            DataError: there are none, or they are damaged, or hold no text; of several sources one holds no tokens.
        """
        from ..data.data_folder import find_data

        found = []
        for address in self.shards:
            from ..data.shards import ShardSet

            with self.wording():
                place = address if "://" in address else str(find_data(address))
                one = ShardSet.open(place, column=self.field, damaged=self.damaged)
                if one.kind not in ("text", "tokens"):
                    remedy = Remedy("field") if one.kind == "rows" else ()
                    raise DataError(f"holds shards of {one.kind}; expected text or tokens", Place(address), remedy)
            if one.kind == "text" and len(self.shards) > 1:
                raise DataError(
                    "holds shards of text; expected tokens, of which several sources can be mixed",
                    Place(address),
                    "make shards of tokens of all by one tokenizer: rnnkit shards make SOURCE --out DIR --tokenizer "
                    "FILE",
                )
            found.append(one)
        return found

    def check_use(self, shards: list[ShardSet]) -> None:
        """Raise ConfigError for a setting that has no effect on these shards, or, where there are none, on files."""
        tokens = bool(shards) and shards[0].kind == "tokens"
        unused = {}
        if shards:
            unused = dict.fromkeys(_ARGUMENTS, "it is for files, and for rnnkit shards make SOURCE --out DIR")
            del unused["field"]
        if tokens:
            unused |= dict.fromkeys(("split", "split_seed"), "shards of tokens are divided by place")
        else:
            unused["shuffle"] = "it is for shards of tokens: rnnkit shards make SOURCE --out DIR --tokens char"
        if not shards:
            unused["damaged"] = "it is for data.shards"
        if len(shards) < 2:
            unused |= dict.fromkeys(("weights", "until"), "it is for several shards, as in data.shards=a,b")
        for name, reason in unused.items():
            value = getattr(self, name)
            usual = type(self).__dataclass_fields__[name].default
            if value not in (usual, "place"):  # data.split=place is what is done
                beside = f" with data.shards={show(self.shards)}" if shards else ""
                raise ConfigError(f"data.{name}={show(value)} arrived{beside}; leave it out: {reason}")

    def texts(self) -> Texts:
        """Return all texts.

        Raises:
            DataError: a file that cannot be read as text; see :func:`rnnkit.data.read_texts`.
        """
        from ..data.data_folder import find_data
        from ..data.text.corpora import find_corpus, python_topics
        from ..data.text.texts import read_texts

        if shards := self.open_shards():
            from ..data.shards import ShardTexts

            return ShardTexts(shards[0])
        if self.path is not None:
            return self._read(find_data(self.path), _ARGUMENTS)
        if self.corpus == "python":
            return python_topics()
        files = find_corpus(self.corpus)
        return read_texts(files, field="paragraphs") if self.corpus == "tang" else read_texts(files)

    def read(self, path: Path, encoding: str | None = None) -> Texts:
        """Return the texts of another file, read as these are as far as its format allows."""
        from ..data.text.files import find_files, unused_by

        unused = unused_by(find_files(path, self.format)[1])
        return self._read(path, [name for name in _ARGUMENTS if name not in unused], encoding)

    def _read(self, path: Path, names: Iterable[str], encoding: str | None = None) -> Texts:
        """Return the texts of a file; the settings of these names say how it is read."""
        from ..data.text.texts import read_texts

        given: dict[str, Any] = {name: getattr(self, name) for name in names}
        if str(given.get("field")).isdecimal():
            given["field"] = int(given["field"])
        given["encoding"] = encoding or self.encoding
        if "delimiter" in given:
            given["delimiter"] = as_mark(self.delimiter)
        return read_texts(path, **{name: value for name, value in given.items() if value is not None})

    def parts(self) -> TextParts:
        """Return the texts in their parts: to train on, to choose by, to measure on."""
        from ..data.text.parts import divide_texts

        with self.wording():
            return divide_texts(
                self.texts(), validation=self.validation, test=self.test, by=self.split, seed=self.split_seed
            )

    @contextmanager
    def wording(self, *, new: bool = False) -> Iterator[None]:
        """Write errors about texts that a block raises in the words of the command line.

        Args:
            new: whether the texts are for a run that is trained already.
        """
        if not new:
            known = {name: name for name in (*_ARGUMENTS, "validation", "test", "damaged", "weights")}
            with in_data_settings(known | {"column": "field"}):
                yield
            return
        remedy = f"call the field of the text {self.field or 'text'!r}"
        with in_data_settings(_ARGUMENTS, new=True), with_remedies("field", remedy):
            yield


@dataclass(frozen=True)
class Vocabulary(Settings):
    """The tokens that a text is cut into; see :func:`rnnkit.data.train_tokenizer`.

    Attributes:
        tokens: characters, bytes, words (Chinese by characters), or pieces of words learned from the text.
        size: the largest number of tokens; none takes all characters, 30,000 words, or 8,000 pieces.
        minimum_count: how often a character or word must occur to be a token.
        lowercase: whether texts are written in small letters first.
        normalization: the Unicode form in which texts are written first.
        file: a tokenizer that is there already, in place of a new one: a .model of sentencepiece, or the .json of
            `Tokenizer.save`; the other settings do not count then. It is looked for in RNNKIT_DATA, too.
    """

    group_name: ClassVar[str] = "vocabulary"

    tokens: Literal["char", "byte", "word", "bpe", "unigram"] = "char"
    size: Annotated[int, Range(least=5, whole=True)] | None = None
    minimum_count: Count = 1
    lowercase: bool = False
    normalization: Literal["NFC", "NFKC"] | None = "NFC"
    file: str | None = None

    def train(self, texts: Texts) -> Tokenizer:
        """Return a tokenizer made of texts, or that of the file; give it the texts of the training part alone."""
        from ..data import Tokenizer, train_tokenizer
        from ..data.data_folder import find_data

        if self.file is not None:
            return Tokenizer.open(find_data(self.file))
        try:
            return train_tokenizer(
                self.tokens,
                texts,
                size=self.size,
                minimum_count=self.minimum_count,
                lowercase=self.lowercase,
                normalization=self.normalization,
            )
        except ConfigError as error:
            raise error.renamed(f"{self.group_name}.{error.argument}") if error.argument else error from None
