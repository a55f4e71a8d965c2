"""Bytes or characters as tokens.

Legend: V size of the vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DataError
from .tokenizer import AS_IT_IS, BEGINNING, END, PAD, UNKNOWN, Preparation, Tokenizer, Values, as_ids, ranked

if TYPE_CHECKING:
    from .tokenizer import Ids

SPECIAL = (PAD, UNKNOWN, BEGINNING, END)
SPECIAL_IDS = {"pad": 0, "unknown": 1, "beginning": 2, "end": 3}


class ByteTokenizer(Tokenizer):
    """The bytes of UTF-8 are the ids 0 … 255; then follow pad, beginning and end. Nothing is unknown.

    The text stays as it is, so that `decode` returns it exactly. Ids that are no UTF-8 become U+FFFD.
    """

    kind = "byte"

    def __init__(self, prepare: Preparation = AS_IT_IS) -> None:
        shown = [chr(byte) if 32 <= byte < 127 else f"<0x{byte:02X}>" for byte in range(256)]
        super().__init__([*shown, PAD, BEGINNING, END], {"pad": 256, "beginning": 257, "end": 258}, prepare)

    def _ids(self, texts: list[str]) -> list[Ids]:
        return [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]

    def _text(self, ids: list[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    def _values(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> ByteTokenizer:
        return cls(prepare)


class CharTokenizer(Tokenizer):
    """Each character is a token, with one id: a letter, a Chinese character, a line break, a code point of an emoji.

    Args:
        characters: those of the vocabulary, in the order of their ids, which begin after the four special ones.
        prepare: how a text is prepared first.
    """

    kind = "char"

    def __init__(self, characters: Sequence[str], prepare: Preparation) -> None:
        super().__init__([*SPECIAL, *characters], SPECIAL_IDS, prepare)
        self._characters = list(characters)

    @staticmethod
    def train(texts: Iterable[str], prepare: Preparation, *, size: int | None, minimum_count: int) -> CharTokenizer:
        """Return a tokenizer of the characters that occur at least `minimum_count` times."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(prepare(text))
        return CharTokenizer(ranked(counts, minimum_count, None if size is None else size - len(SPECIAL)), prepare)

    @cached_property
    def _table(self) -> Ids:
        """The id of each code point."""
        table = np.full(0x110000, self.unknown, np.int32)
        table[[ord(one) for one in self._characters]] = np.arange(len(self._characters)) + len(SPECIAL)
        return table

    def _ids(self, texts: list[str]) -> list[Ids]:
        return [as_ids(self._table[np.frombuffer(text.encode("utf-32-le"), "<u4")]) for text in texts]

    def split(self, text: str) -> list[str]:
        """Return the characters of a text, those that the vocabulary lacks among them."""
        return list(self._checked(text))

    def _text(self, ids: list[int]) -> str:
        return "".join(self.tokens[one] for one in ids)

    def _values(self) -> dict[str, Any]:
        return {"tokens": self._characters}

    @classmethod
    def _build(cls, values: Values, prepare: Preparation) -> CharTokenizer:
        characters = values.texts("tokens")
        if any(len(one) != 1 for one in characters):
            raise DataError("the tokenizer's tokens are not all single characters")
        return cls(characters, prepare)


CLASSES: dict[str, type[Tokenizer]] = {"byte": ByteTokenizer, "char": CharTokenizer}
