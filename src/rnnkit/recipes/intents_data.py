"""The sentences of a run on intents: read, divided, and reported on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from rnnkit.errors import ConfigError
from rnnkit.recipes.divided_data import DividedData
from rnnkit.recipes.wording import in_data_settings, with_remedies
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count

if TYPE_CHECKING:
    from rnnkit.data.text.tagged import TaggedText
    from rnnkit.tasks.intent_rows import IntentVocabulary

_SHOWN = 8
_ARGUMENTS = ("format", "encoding", "text", "slots", "intent")


@dataclass(frozen=True)
class Data(DividedData):
    """The sentences.

    Attributes:
        path: a file of sentences with intents and slots (.jsonl, .conll, .json), or a folder with files whose names
            begin with train, valid or dev, and test; or SNIPS's folder. A name that is not here is looked for in the
            folder RNNKIT_DATA.
        format: of the files, where their suffix does not say it.
        encoding: of the files; none is UTF-8.
        text: the field of JSON lines with the text, or its words; none takes the usual names.
        slots: the field with the slots; none takes the usual names.
        intent: the field with the intent; none takes the usual names.
        minimum_count: how often a word must occur to be known.
    """

    format: Literal["snips", "jsonl", "columns"] | None = None
    encoding: str | None = None
    text: str | None = None
    slots: str | None = None
    intent: str | None = None
    minimum_count: Count = 1

    def read(
        self, path: Path | Sequence[Path], encoding: str | None = None, *, tagged: bool = True, new: bool = False
    ) -> tuple[list[TaggedText], list[str]]:
        """Return the sentences of files, and notes about them.

        Args:
            path: the files.
            encoding: None: that of the settings.
            tagged: whether they need intents and slots.
            new: whether the run is trained already.
        """
        from rnnkit.data import read_tagged_texts

        named = {name: getattr(self, name) for name in _ARGUMENTS} | {"encoding": encoding or self.encoding}
        with in_data_settings(_ARGUMENTS, new=new):
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


def divide(data: Data) -> Parts:
    """Read and divide the sentences of a run.

    Raises:
        ConfigError: no path.
        DataError: a file cannot be read, or too few sentences.
    """
    from rnnkit.data.data_folder import find_data
    from rnnkit.data.text.tagged_files import parts_of

    if data.path is None:
        raise ConfigError("data.path is missing; name the file to learn from, as in `rnnkit train intents my.jsonl`")
    where = find_data(data.path)
    files = parts_of(where)
    if data.test is not None:
        files["test"] = [find_data(data.test)]
    read: dict[str, list[TaggedText]] = {}
    notes: list[str] = []
    for part, found in files.items():
        read[part], more = data.read(found)
        notes += more
    texts, held_out = data.hold_out(read, lambda text: text.intent, where, ("intent", "sentences"))
    named = {part: [str(file) for file in found] for part, found in files.items() if part != "train"}
    division = [f"{part}: {', '.join(found[:2])}{' …' if found[2:] else ''}" for part, found in named.items()]
    digest = data_digests.digest_records(
        (text.text, text.intent, text.slots) for found in read.values() for text in found
    )
    return Parts(
        texts["train"],
        texts.get("validation", []),
        texts.get("test", []),
        notes,
        "; ".join([*division, *held_out]),
        {str(where): digest},
    )


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


def troubles(parts: Parts, vocabulary: IntentVocabulary, *, pretrained: bool = False) -> list[str]:
    """Return sentences about what keeps a model from learning, and what it knows beforehand.

    Args:
        parts: the sentences.
        vocabulary: of the model.
        pretrained: whether it learned from other sentences before, which have all intents and slots.
    """
    from rnnkit.data import text_report
    from rnnkit.data.text.troubles import few_examples
    from rnnkit.tasks.intent_rows import names_of

    found = list(parts.notes)
    for part in () if pretrained else ("validation", "test"):
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
        found += text_report(own, other, vocabulary.words, names=("train", judged), untrained=not pretrained).sentences
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
    from rnnkit.data.text.files import suffix_of
    from rnnkit.data.text.tagged_files import FORMATS

    suffix = suffix_of(path)
    if suffix in FORMATS and suffix != "txt":
        return data.read(path, encoding, tagged=False, new=True)[0]
    remedy = f"call the column of the sentences {data.text or 'text'!r}"
    with in_data_settings(_ARGUMENTS, new=True), with_remedies("field", remedy):
        if suffix == "csv":
            texts = read_texts(path, field=data.text, encoding=encoding or data.encoding)
        else:
            texts = read_texts(path, unit="line", format="txt", encoding=encoding or data.encoding)
        return [TaggedText(text.strip(), place=place) for text, place in texts]
