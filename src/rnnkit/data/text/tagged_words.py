"""The words of texts that have slots as tokens: as `cut_words` cuts them, so that each token has its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .characters import SPECIAL, SPECIAL_IDS
from .tagged import cut_words
from .tokenizer import Preparation, Tokenizer, as_ids, ranked
from .words import WordTokenizer

if TYPE_CHECKING:
    from .tokenizer import Ids


class TaggedWordTokenizer(WordTokenizer):
    """Words, numbers and marks as they are written, and "'s" apart; each character of scripts without spaces."""

    kind = "tagged_word"

    @staticmethod
    def of_words(
        words: Iterable[Sequence[str]], prepare: Preparation, *, minimum_count: int = 1
    ) -> TaggedWordTokenizer:
        """Return a tokenizer of the words of texts that occur at least `minimum_count` times."""
        counts = Counter(prepare(word) for text in words for word in text)
        for special in SPECIAL:
            counts.pop(special, None)
        return TaggedWordTokenizer(ranked(counts, minimum_count, None), prepare)

    def ids_of(self, words: Sequence[str]) -> Ids:
        """Return the ids of words."""
        table, unknown = self._table.get, SPECIAL_IDS["unknown"]
        return as_ids([table(self.prepare(word), unknown) for word in words])

    def split(self, text: str) -> list[str]:
        """Return the words of a text, those that the vocabulary lacks among them."""
        text = self._checked(text)
        return [text[begin:end] for begin, end in cut_words(text)]

    def _ids(self, texts: list[str]) -> list[Ids]:
        table, unknown = self._table.get, SPECIAL_IDS["unknown"]
        return [as_ids([table(text[begin:end], unknown) for begin, end in cut_words(text)]) for text in texts]


CLASSES: dict[str, type[Tokenizer]] = {"tagged_word": TaggedWordTokenizer}
