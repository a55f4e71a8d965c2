"""The texts of a run on classes of texts: read, divided, and reported on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.divided_data import DividedData
from rnnkit.recipes.table_settings import as_mark
from rnnkit.recipes.wording import in_data_settings, with_remedies
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, Range

if TYPE_CHECKING:
    from rnnkit.data import Tokenizer
    from rnnkit.data.text.labelled import LabelledText

_UNEVEN = 5  # times as many texts as the smallest class
_ARGUMENTS = ("text", "label", "format", "encoding", "delimiter", "header", "quotes", "empty")


@dataclass(frozen=True)
class Data(DividedData):
    """The texts, and how they are cut into tokens. Columns are guessed where they are not named.

    Attributes:
        path: a file with a text and a label a row (.csv, .tsv, .jsonl, .json), or a folder with a folder of .txt files
            for each class, or a folder with such files or folders called train, test and valid. A name that is not
            here is looked for in the folder RNNKIT_DATA.
        text: the column with the text; without a header its number, from 0.
        label: the column with the label.
        format: of the files, where their suffix does not say it.
        encoding: such as gb18030; none is UTF-8.
        delimiter: the character between cells, also by name (tab, blank); none finds it.
        header: whether the first line holds the columns' names.
        quotes: whether quotation marks enclose cells.
        empty: what becomes of rows without a text or a label.
        tokens: words (each character of Chinese and the like is one), characters, bytes, or pieces of words.
        vocabulary: the largest number of tokens.
        minimum_count: how often a word or character must occur to be known; rarer ones train the unknown one.
        lowercase: whether texts are written in small letters.
        max_tokens: number of the first tokens of a text that are read.
    """

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

        named = {name: getattr(self, name) for name in _ARGUMENTS}
        named |= {"encoding": encoding or self.encoding, "delimiter": as_mark(self.delimiter)}
        remedy = "call the fields as in the training data" if new else "type --set data.text=NAME --set data.label=NAME"
        known = ("fields", "text", "label") if new else ("fields",)
        with in_data_settings(_ARGUMENTS, new=new), with_remedies(known, remedy):
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
    from rnnkit.data.data_folder import find_data
    from rnnkit.data.text.labelled import labelled_parts

    if data.path is None:
        raise ConfigError(
            "data.path is missing; name the file to learn from, as in `rnnkit train text-classify my.csv`"
        )
    where = find_data(data.path)
    files = labelled_parts(where)
    if data.test is not None:
        files["test"] = find_data(data.test)
    read = {part: data.read(file) for part, file in files.items()}
    texts, held_out = data.hold_out(read, lambda text: text.label, where, ("class", "texts"))
    division = [f"{part}: {file}" for part, file in files.items() if part != "train"]
    digest = data_digests.digest_records(one[:2] for found in read.values() for one in found)
    return Parts(
        texts["train"],
        texts.get("validation", []),
        texts.get("test", []),
        "; ".join([*division, *held_out]),
        {str(where): digest},
    )


def troubles(parts: Parts, tokenizer: Tokenizer, cut: int, most: int, *, pretrained: bool = False) -> list[str]:
    """Return sentences about what keeps a model from learning, and what it knows beforehand.

    Args:
        parts: the texts.
        tokenizer: the model's.
        cut: how many training texts are longer than is read.
        most: the number of tokens that are read.
        pretrained: whether the model learned from other texts before.
    """
    from rnnkit.data import text_report
    from rnnkit.data.text.troubles import few_examples

    counts = Counter(one.label for one in parts.train)
    found = few_examples(counts)
    rare, common = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
    if counts[common] >= _UNEVEN * counts[rare]:
        told = f"The classes are uneven: {common} has {counts[common]:,} texts to train on, {rare} {counts[rare]:,}."
        found.append(told if pretrained else f"{told} --set fit.class_weights=balanced counts each class alike.")
    if cut:
        found.append(
            f"{cut:,} of {len(parts.train):,} texts to train on have more than {most} tokens; what follows them is not "
            "read (data.max_tokens)."
        )
    judged = "test" if parts.test else "validation"
    if getattr(parts, judged):
        own, other = ([one.text for one in texts] for texts in (parts.train, getattr(parts, judged)))
        found += text_report(own, other, tokenizer, names=("train", judged), untrained=not pretrained).sentences
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
