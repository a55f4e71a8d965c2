"""The texts of a run on classes of texts: read, divided, and reported on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.intents_data import located
from rnnkit.recipes.wording import in_data_settings
from rnnkit.tasks.ranges import Count, NotNegative, Range, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data import Tokenizer
    from rnnkit.data.text.labelled import LabelledText

_UNEVEN = 5  # times as many texts as the smallest class
_ARGUMENTS = ("text", "label", "format", "encoding", "delimiter", "header", "quotes", "empty")


@dataclass(frozen=True)
class Data(Settings):
    """The texts, and how they are cut into tokens. Columns are guessed where they are not named.

    Attributes:
        path: a file with a text and a label a row (.csv, .tsv, .jsonl, .json), or a folder with a folder of .txt files
            for each class, or a folder with such files or folders called train, test and valid. A name that is not
            here is looked for in the folder RNNKIT_DATA.
        test: a file or folder to judge by; none takes that of the folder, or holds `test_share` back.
        test_share: share of the texts held back to judge by (0.1), or how many (700).
        validation: share of the training texts to choose by (0.1), or how many (700).
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same texts.
        text: the column with the text; without a header its number, from 0.
        label: the column with the label.
        format: of the files, where their suffix does not say it.
        encoding: such as gb18030; none is UTF-8.
        delimiter: the character between cells; none finds it.
        header: whether the first line holds the columns' names.
        quotes: whether quotation marks enclose cells.
        empty: what becomes of rows without a text or a label.
        tokens: words (each character of Chinese and the like is one), characters, bytes, or pieces of words.
        vocabulary: the largest number of tokens.
        minimum_count: how often a word or character must occur to be known; rarer ones train the unknown one.
        lowercase: whether texts are written in small letters.
        max_tokens: so many tokens of a text are read, the first ones.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    split_seed: Seed = 0
    text: str | None = None
    label: str | None = None
    format: Literal["csv", "tsv", "jsonl", "json"] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    quotes: bool | None = None
    empty: Literal["error", "skip"] = "error"
    tokens: Literal["word", "char", "byte", "bpe", "unigram"] = "word"
    vocabulary: Annotated[int, Range(least=10, whole=True)] | None = None
    minimum_count: Count = 2
    lowercase: bool = True
    max_tokens: Count = 400

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation", "test_share"):
            amount = getattr(self, name)
            if amount >= 1 and amount != int(amount):
                raise ConfigError(f"data.{name}={amount} arrived; expected a share (0.1) or a number (700)")

    def read(
        self, path: Path, encoding: str | None = None, *, labelled: bool = True, new: bool = False
    ) -> list[LabelledText]:
        """Return the texts of a file or folder.

        Args:
            path: the file or folder.
            encoding: None: that of the settings.
            labelled: whether they need labels.
            new: whether the run is trained already.
        """
        from rnnkit.data.text.labelled import read_labelled_texts

        named = {name: getattr(self, name) for name in _ARGUMENTS} | {"encoding": encoding or self.encoding}
        with in_data_settings({name: name for name in _ARGUMENTS}, new=new):
            return read_labelled_texts(path, labelled=labelled, **named)


class Parts(NamedTuple):
    """The texts of a run.

    Attributes:
        train, validation, test: the parts; [] for one that there is not.
        division: a sentence about how they were made.
        digests: of what was read.
    """

    train: list[LabelledText]
    validation: list[LabelledText]
    test: list[LabelledText]
    division: str
    digests: dict[str, str]


def divide(data: Data) -> Parts:
    """Read and divide the texts of a run.

    Raises:
        ConfigError: no path.
        DataError: a file cannot be read, or too few texts.
    """
    from rnnkit.data.splits import held_out
    from rnnkit.data.text.labelled import labelled_parts

    if data.path is None:
        raise ConfigError(
            "data.path is missing; name the file to learn from, as in `rnnkit train text-classify my.csv`"
        )
    where = located(data.path)
    files = labelled_parts(where)
    if data.test is not None:
        files["test"] = located(data.test)
    read = {part: data.read(file) for part, file in files.items()}
    amounts = {"test": data.test_share, "validation": data.validation}
    amounts = {part: amount for part, amount in amounts.items() if part not in files and amount}
    texts, whole = dict(read), read["train"]
    if amounts:
        try:
            parts = held_out([one.label for one in whole], amounts, data.split_seed)
        except DataError as error:
            raise DataError(f"{where}: {error}; add texts, or --set data.validation=0") from None
        texts |= {part: [whole[row] for row in rows.tolist()] for part, rows in parts.items()}
    division = [f"{part}: {file}" for part, file in files.items() if part != "train"]
    division += [
        f"{part}: {len(texts[part])} of {where} at random, each class alike (split_seed {data.split_seed})"
        for part in amounts
    ]
    digest = hashlib.sha256()
    for found in read.values():
        for one in found:
            digest.update(repr(one[:2]).encode())
    return Parts(
        texts["train"],
        texts.get("validation", []),
        texts.get("test", []),
        "; ".join(division),
        {str(where): digest.hexdigest()},
    )


def troubles(parts: Parts, tokenizer: Tokenizer, cut: int, most: int) -> list[str]:
    """Return sentences about what keeps a model from learning, and what it knows beforehand.

    Args:
        parts: the texts.
        tokenizer: the model's.
        cut: how many training texts are longer than is read.
        most: the number of tokens that are read.
    """
    from rnnkit.data import text_report
    from rnnkit.data.text.troubles import few_examples

    counts = Counter(one.label for one in parts.train)
    found = few_examples(counts)
    rare, common = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[common] >= _UNEVEN * counts[rare]:
        found.append(
            f"The classes are uneven: {common} has {counts[common]:,} texts to train on, {rare} {counts[rare]:,}. "
            "--set fit.class_weights=balanced counts each class alike."
        )
    if cut:
        found.append(
            f"{cut:,} of {len(parts.train):,} texts to train on have more than {most} tokens; what follows them is not "
            "read (data.max_tokens)."
        )
    judged = "test" if parts.test else "validation"
    if getattr(parts, judged):
        own, other = ([one.text for one in texts] for texts in (parts.train, getattr(parts, judged)))
        found += text_report(own, other, tokenizer, names=("train", judged)).sentences
    return found


def check_labels(parts: Parts, classes: Sequence[str]) -> None:
    """Raise DataError where the parts have no classes to learn, or a label that training has not.

    Args:
        parts: the texts.
        classes: of the training texts.
    """
    from rnnkit.data.text.labelled import check_known

    if len(classes) < 2:
        raise DataError(f"all texts have the label {classes[0]!r}; expected two classes or more")
    if len(classes) > max(8, 0.5 * len(parts.train)):
        raise DataError(
            f"{len(classes):,} labels for {len(parts.train):,} texts; expected a class for many texts: name the column "
            "of the classes: --set data.label="
        )
    check_known([*parts.validation, *parts.test], classes)
