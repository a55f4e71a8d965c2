"""The sentences of a run on intents: read, divided, and reported on."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from rnnkit.errors import ConfigError, DataError, Place
from rnnkit.recipes.wording import in_data_settings
from rnnkit.tasks.ranges import Count, NotNegative, Seed, Settings

if TYPE_CHECKING:
    from rnnkit.data.text.tagged import TaggedText
    from rnnkit.tasks.intent_rows import IntentVocabulary

_SHOWN = 8
_ARGUMENTS = ("format", "encoding", "text", "slots", "intent")


@dataclass(frozen=True)
class Data(Settings):
    """The sentences.

    Attributes:
        path: a file of sentences with intents and slots (.jsonl, .conll, .json), or a folder with files whose names
            begin with train, valid or dev, and test; or SNIPS's folder. A name that is not here is looked for in the
            folder RNNKIT_DATA.
        test: a file to judge by; none takes the folder's, or holds `test_share` back.
        test_share: share of the sentences held back to judge by (0.1), or how many (700); for a file without another.
        validation: share of the training sentences to choose settings by (0.1), or how many (700).
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same sentences.
        format: of the files, where their suffix does not say it.
        encoding: of the files; none is UTF-8.
        text: the field of JSON lines with the text, or its words; none takes the usual names.
        slots: the field with the slots; none takes the usual names.
        intent: the field with the intent; none takes the usual names.
        minimum_count: how often a word must occur to be known.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    split_seed: Seed = 0
    format: Literal["snips", "jsonl", "columns"] | None = None
    encoding: str | None = None
    text: str | None = None
    slots: str | None = None
    intent: str | None = None
    minimum_count: Count = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("validation", "test_share"):
            amount = getattr(self, name)
            if amount >= 1 and amount != int(amount):
                raise ConfigError(f"data.{name}={amount} arrived; expected a share (0.1) or a number (700)")

    def read(
        self, path: Path | Sequence[Path], encoding: str | None = None, *, tagged: bool = True
    ) -> tuple[list[TaggedText], list[str]]:
        """Return the sentences of files, and notes about them."""
        from rnnkit.data import read_tagged_texts

        named = {name: getattr(self, name) for name in _ARGUMENTS} | {"encoding": encoding or self.encoding}
        with in_data_settings({name: name for name in _ARGUMENTS}):
            found = read_tagged_texts(path, tagged=tagged, **named)
        return found.texts, found.notes


class Parts(NamedTuple):
    """The sentences of a run.

    Attributes:
        train, validation, test: the parts; () for one that there is not.
        notes: sentences about the files.
        division: a sentence about how the parts were made.
        digests: of each file or folder as it was read.
    """

    train: list[TaggedText]
    validation: list[TaggedText]
    test: list[TaggedText]
    notes: list[str]
    division: str
    digests: dict[str, str]


def located(path: str) -> Path:
    """Return a path as it is, or in the folder RNNKIT_DATA where it is not here.

    Raises:
        DataError: it is in neither.
    """
    root = os.environ.get("RNNKIT_DATA")
    places = [Path(path)] + ([Path(root).expanduser() / path] if root else [])
    found = next((place for place in places if place.exists()), None)
    if found is None:
        looked = "" if root is None else f", nor in the folder RNNKIT_DATA, {root}"
        advice = "let the variable RNNKIT_DATA name the folder that holds it" if root is None else "name another one"
        raise DataError(f"there is no such file or folder{looked}", Place(path), advice)
    return found


def divide(data: Data) -> Parts:
    """Read and divide the sentences of a run.

    Raises:
        ConfigError: no path.
        DataError: a file cannot be read, or too few sentences.
    """
    from rnnkit.data.splits import held_out
    from rnnkit.data.text.tagged_files import parts_of

    if data.path is None:
        raise ConfigError("data.path is missing; name the file to learn from, as in `rnnkit train intents my.jsonl`")
    where = located(data.path)
    files = parts_of(where)
    if data.test is not None:
        files["test"] = [located(data.test)]
    texts: dict[str, list[TaggedText]] = {}
    notes: list[str] = []
    for part, found in files.items():
        texts[part], more = data.read(found)
        notes += more
    amounts = {"test": data.test_share, "validation": data.validation}
    amounts = {part: amount for part, amount in amounts.items() if part not in files and amount}
    whole = texts["train"]
    if amounts:
        try:
            parts = held_out([text.intent for text in whole], amounts, data.split_seed)
        except DataError as error:
            raise DataError(f"{where}: {error}; add sentences, or --set data.validation=0") from None
        texts |= {part: [whole[row] for row in rows.tolist()] for part, rows in parts.items()}
    named = {part: [str(file) for file in found] for part, found in files.items() if part != "train"}
    division = [f"{part}: {', '.join(found[:2])}{' …' if found[2:] else ''}" for part, found in named.items()]
    division += [
        f"{part}: {len(texts[part])} of {where} at random, each intent alike (split_seed {data.split_seed})"
        for part in amounts
    ]
    digest = {str(where): _digest(text for part in files for text in (whole if part == "train" else texts[part]))}
    return Parts(texts["train"], texts.get("validation", []), texts.get("test", []), notes, "; ".join(division), digest)


def _digest(texts: Iterable[TaggedText]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(repr((text.text, text.intent, text.slots)).encode())
    return digest.hexdigest()


def known(
    texts: Sequence[TaggedText], intents: Sequence[str], tags: Sequence[str]
) -> tuple[list[TaggedText], list[str]]:
    """Return the sentences whose intent and slots are known, and clauses about the others."""
    lost = Counter(text.intent for text in texts if text.intent not in intents)
    slots = Counter(slot.name for text in texts for slot in text.slots if f"B-{slot.name}" not in tags)
    kept = [text for text in texts if text.intent in intents and all(f"B-{slot.name}" in tags for slot in text.slots)]
    return kept, [
        f"{sum(counts.values()):,} {what} that training has none of: {_listed(counts)}"
        for what, counts in (("sentences are of intents", lost), ("slots are of names", slots))
        if counts
    ]


def troubles(parts: Parts, vocabulary: IntentVocabulary) -> list[str]:
    """Return sentences about what keeps a model from learning, and what it knows beforehand."""
    from rnnkit.data import text_report
    from rnnkit.data.text.troubles import few_examples
    from rnnkit.tasks.intent_rows import names_of

    found = list(parts.notes)
    for part in ("validation", "test"):
        texts = getattr(parts, part)
        if texts:
            found += [
                f"{part}: {sentence}; they count as wrong." for sentence in known(texts, *names_of(parts.train))[1]
            ]
    found += few_examples(Counter(text.intent for text in parts.train))
    found += few_examples(Counter(f"slot {slot.name}" for text in parts.train for slot in text.slots))
    judged = "test" if parts.test else "validation"
    if getattr(parts, judged):
        own, other = ([text.text for text in texts] for texts in (parts.train, getattr(parts, judged)))
        found += text_report(own, other, vocabulary.words, names=("train", judged)).sentences
    return found


def _listed(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    shown = ", ".join(f"{name} ({count})" for name, count in ordered[:_SHOWN])
    return shown + (f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else "")


def read_plain(path: Path, data: Data, encoding: str | None) -> list[TaggedText]:
    """Return sentences to answer: a file as it was trained on, or plain text, a sentence a line.

    Raises:
        DataError: the file cannot be read, or holds no sentence.
    """
    from rnnkit.data import TaggedText, read_texts
    from rnnkit.data.text.tagged_files import FORMATS

    suffix = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if suffix in FORMATS and suffix != "txt":
        return data.read(path, encoding, tagged=False)[0]
    if suffix == "csv":
        texts = read_texts(path, field=data.text, encoding=encoding or data.encoding)
    else:
        texts = read_texts(path, unit="line", format="txt", encoding=encoding or data.encoding)
    return [TaggedText(text.strip(), place=place) for text, place in texts]
