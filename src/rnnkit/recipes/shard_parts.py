"""Shards of tokens in parts: to train on, to choose by and to measure on. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, Place

if TYPE_CHECKING:
    from ..data import Tokenizer
    from ..data.shards import ShardSet
    from ..data.text.texts import Texts
    from ..data.tokens import TokenArray
    from .text_source import TextSource

LARGEST_HELD = 5_000_000  # tokens of a part that is held back, whatever its share


@dataclass(frozen=True)
class ShardParts:
    """The parts of shards of tokens: consecutive ones, as `TextParts` of texts.

    Attributes:
        train: to train on.
        held: the other parts by their names, in memory.
        division: how they were divided, in words.
        several: whether a token ends each text.
    """

    train: ShardSet
    held: dict[str, TokenArray]
    division: str
    several: bool

    def test_texts(self, tokenizer: Tokenizer) -> Texts | None:
        """Return the texts of the test part as their tokens tell them; None where there is none."""
        from ..data.text.texts import as_texts

        if "test" not in self.held:
            return None
        ids = self.held["test"][:]
        parts = [ids]
        if self.several and tokenizer.end is not None:
            parts = np.split(ids, np.flatnonzero(ids == tokenizer.end) + 1)
        texts = [tokenizer.decode(part) for part in parts]
        return as_texts([text for text in texts if text])


def divide_shards(source: TextSource, shards: ShardSet) -> ShardParts:
    """Divide shards of tokens by place: the last tokens are the test, those before them the validation.

    Raises:
        DataError: there are too few tokens, or those that are held back lie in a damaged shard.
    """
    total = len(shards)
    shares = {"validation": source.validation, "test": source.test}
    counts = {name: max(1, min(round(total * share), LARGEST_HELD)) for name, share in shares.items() if share}
    begin = left = total - sum(counts.values())
    if left < 1:
        raise DataError(f"the shards hold {total} tokens; expected more", Place(shards.storage.address))
    held = {}
    with source.wording():
        for name, count in counts.items():
            held[name] = shards.read_tokens(begin, begin + count)
            begin += count
    shown = ", ".join([f"{left:,} to train on", *(f"{count:,} for {name}" for name, count in counts.items())])
    several = bool(shards.manifest.made.get("settings", {}).get("separators", True))
    train = shards.part(0, left) if held else shards
    return ShardParts(train, held, f"by place: of {total:,} tokens {shown}", several)
