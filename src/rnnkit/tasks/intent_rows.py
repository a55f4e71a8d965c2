"""Texts with intents and slots as the numbers that an :class:`rnnkit.IntentSlotModel` reads and learns.

Legend: N texts, B batch, T words, K characters of a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.sentences import quoted
from ..data.text.characters import CharTokenizer
from ..data.text.tagged_words import TaggedWordTokenizer
from ..data.text.tokenizer import Preparation, Tokenizer
from ..errors import DataError
from ..ordering import sorted_names
from ..types import Batch, pad_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.text.tagged import TaggedText

    Ids = npt.NDArray[np.int32]

LONGEST_WORD = 20  # characters; what is after them says little


@dataclass(frozen=True)
class IntentVocabulary:
    """The words and characters that a model knows.

    Attributes:
        words: in small letters.
        characters: as they are written.

    Example:
        >>> from rnnkit.data.text.tagged import TaggedText
        >>> vocabulary = IntentVocabulary.of([TaggedText("Play Jay")])
        >>> vocabulary.encode(["play", "it"])[:, :5].tolist()
        [[5, 1, 9, 4, 5], [1, 1, 1, 0, 0]]
    """

    words: TaggedWordTokenizer
    characters: CharTokenizer

    @classmethod
    def of(cls, texts: Iterable[TaggedText], *, minimum_count: int = 1) -> IntentVocabulary:
        """Return the vocabulary of texts to train on.

        Args:
            texts: the training part alone.
            minimum_count: how often a word must occur to be known.
        """
        texts = list(texts)
        words = TaggedWordTokenizer.of_words(
            (text.words for text in texts), Preparation(lowercase=True), minimum_count=minimum_count
        )
        characters = CharTokenizer.train((text.text for text in texts), Preparation(), size=None, minimum_count=1)
        return cls(words, characters)

    def encode(self, words: Sequence[str]) -> Ids:
        """Return words as numbers [T, 1 + K]: of the word, then of its characters, 0 after the last."""
        ids = np.zeros((len(words), 1 + LONGEST_WORD), np.int32)
        ids[:, 0] = self.words.ids_of(words)
        for row, letters in zip(ids, self.characters.encode_many(word[:LONGEST_WORD] for word in words), strict=True):
            row[1 : 1 + len(letters)] = letters[:LONGEST_WORD]
        return ids

    def unknown_sentences(self, texts: Iterable[TaggedText]) -> list[str]:
        """Return a sentence about the words of texts that the vocabulary lacks; nothing where it has all.

        Example:
            >>> from rnnkit.data.text.tagged import TaggedText
            >>> IntentVocabulary.of([TaggedText("Play Jay")]).unknown_sentences([TaggedText("Play it")])
            ["1 word is unknown to the model, which reads the letters alone: 'it'."]
        """
        new = dict.fromkeys(
            word
            for text in texts
            for word, number in zip(text.words, self.words.ids_of(text.words), strict=True)
            if number == self.words.unknown
        )
        if not new:
            return []
        words = "1 word is" if len(new) == 1 else f"{len(new):,} words are"
        return [f"{words} unknown to the model, which reads the letters alone: {quoted(list(new), 8)}."]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values that `from_dict` makes the same vocabulary of."""
        return {"tokenizer": self.words.to_dict(), "characters": self.characters.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IntentVocabulary:
        """Return the vocabulary that `to_dict` described.

        Raises:
            DataError: the values are others.
        """
        found = [Tokenizer.from_dict(values[name]) for name in ("tokenizer", "characters") if name in values]
        if len(found) != 2 or not isinstance(found[0], TaggedWordTokenizer) or not isinstance(found[1], CharTokenizer):
            raise DataError("the model is stored without the vocabulary of intents and slots")
        return cls(found[0], found[1])


class IntentRows:
    """Texts as inputs [T, 1 + K] and targets [1 + T], the intent first and then a tag a word.

    Args:
        texts: with intents and slots that the names have.
        vocabulary: of the model.
        intents, tags: the names, by their numbers.

    Raises:
        DataError: no texts, or an intent or slot that the names lack.

    Example:
        >>> from rnnkit.data.text.tagged import Slot, TaggedText
        >>> texts = [TaggedText("in Oslo", "weather", (Slot("city", 3, 7),))]
        >>> rows = IntentRows(texts, IntentVocabulary.of(texts), ["weather"], ["O", "B-city", "I-city"])
        >>> rows[0], rows[0].targets.tolist()
        (Batch(inputs [1, 2, 21], targets [1, 3], input_lengths [1]), [[0, 0, 1]])
    """

    def __init__(
        self, texts: Sequence[TaggedText], vocabulary: IntentVocabulary, intents: Sequence[str], tags: Sequence[str]
    ) -> None:
        if not texts:
            raise DataError("no texts arrived; expected at least one")
        intent_ids = {name: number for number, name in enumerate(intents)}
        tag_ids = {name: number for number, name in enumerate(tags)}
        for text in texts:
            if text.intent not in intent_ids:
                raise DataError(f"the intent {text.intent!r} is not one of {', '.join(intents)}", text.place)
            unknown = next((tag for tag in text.tags if tag not in tag_ids), None)
            if unknown is not None:
                raise DataError(f"the slot {unknown[2:]!r} is not one of the model's", text.place)
        self.inputs = [vocabulary.encode(text.words) for text in texts]
        self.targets = [
            np.array([intent_ids[text.intent], *(tag_ids[tag] for tag in text.tags)], np.int64) for text in texts
        ]
        self.steps = np.array([len(row) for row in self.inputs], np.int64)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> Batch:
        """Return the texts of an array of indices as a batch."""
        import torch

        rows = np.atleast_1d(np.arange(len(self))[index]).tolist()
        batch = padded([self.inputs[number] for number in rows])
        batch.targets = pad_rows([torch.from_numpy(self.targets[number]) for number in rows])[0]
        return batch

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], ...]:
        """The numbers of words, [N], as `rnnkit.data.LengthBatches` asks for them."""
        return (self.steps,)

    def fingerprint(self) -> str:
        """Return a digest of all numbers."""
        digest = hashlib.sha256()
        for row, target in zip(self.inputs, self.targets, strict=True):
            digest.update(row.tobytes() + b"|" + target.tobytes())
        return digest.hexdigest()


def padded(rows: Sequence[Ids]) -> Batch:
    """Return inputs [T_b, 1 + K] as a batch [B, T, 1 + K] with its lengths."""
    import torch

    inputs, lengths = pad_rows([torch.from_numpy(row) for row in rows])
    return Batch(inputs.long(), input_lengths=lengths)


def names_of(texts: Iterable[TaggedText]) -> tuple[list[str], list[str]]:
    """Return the names of the intents, and of the tags, of texts to train on.

    Example:
        >>> from rnnkit.data.text.tagged import Slot, TaggedText
        >>> names_of([TaggedText("in Oslo", "weather", (Slot("city", 3, 7),))])
        (['weather'], ['O', 'B-city', 'I-city'])
    """
    texts = list(texts)
    slots = sorted_names({slot.name for text in texts for slot in text.slots})
    tags = ["O", *(f"{begin}-{name}" for name in slots for begin in "BI")]
    return list(sorted_names({text.intent for text in texts})), tags
