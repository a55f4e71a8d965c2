"""Shards of tokens in parts: to train on, to choose by and to measure on. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, Place

if TYPE_CHECKING:
    from ..data import Tokenizer
    from ..data.shards import Mixture, ShardSet
    from ..data.text.texts import Texts
    from ..data.tokens import TokenArray
    from .text_source import TextSource

LARGEST_HELD = 5_000_000  # at most so many tokens in a part that is held back


@dataclass(frozen=True)
class ShardParts:
    """The parts of shards of tokens: consecutive ones, as `TextParts` of texts.

    Attributes:
        train: to train on.
        held: the other parts by their names, in memory; of several sources the same share of each, one after the other.
        held_of: the tokens of each source in those parts.
        sources: the shards, whole.
        division: how they were divided, in words.
        several: whether a token ends each text.
    """

    train: ShardSet | Mixture
    held: dict[str, TokenArray]
    held_of: dict[str, list[int]]
    sources: list[ShardSet]
    division: str
    several: bool

    def held_by_source(self, name: str) -> dict[str, TokenArray]:
        """Return a part that is held back, of each source by itself, by the sources' addresses."""
        from ..data.tokens import TokenArray

        counts = self.held_of[name]
        ids = np.split(self.held[name][:], np.cumsum(counts)[:-1])
        places = [one.storage.address for one in self.sources]
        return {place: TokenArray(part, place) for place, part in zip(places, ids, strict=True)}

    def test_texts(self, tokenizer: Tokenizer) -> Texts | None:
        """Return the texts of the test part, decoded from their tokens; None where there is none."""
        from ..data.text.texts import as_texts

        if "test" not in self.held:
            return None
        ids = self.held["test"][:]
        parts = [ids]
        if self.several and tokenizer.end is not None:
            parts = np.split(ids, np.flatnonzero(ids == tokenizer.end) + 1)
        texts = [tokenizer.decode(part) for part in parts]
        return as_texts([text for text in texts if text])


def divide_shards(source: TextSource, sets: Sequence[ShardSet]) -> ShardParts:
    """Divide shards of tokens by place: the last tokens are the test, those before them the validation.

    Args:
        source: the settings.
        sets: of each source by itself; several are mixed by the weights of the settings.

    Raises:
        DataError: there are too few tokens, or those that are held back lie in a damaged shard.
        ConfigError: weights that are too far from each other.
    """
    from ..data.shards import Mixture
    from ..data.tokens import TokenArray

    shares = {"validation": source.validation, "test": source.test}
    held: dict[str, list[TokenArray]] = {name: [] for name, share in shares.items() if share}
    train = []
    for one in sets:
        total = len(one)
        most = LARGEST_HELD // len(sets)
        counts = {name: max(1, min(round(total * shares[name]), most)) for name in held}
        begin = left = total - sum(counts.values())
        if left < 1:
            raise DataError(f"the shards hold {total} tokens; expected more", Place(one.storage.address))
        with source.wording():
            for name, count in counts.items():
                held[name].append(one.read_tokens(begin, begin + count))
                begin += count
        train.append(one.part(0, left) if held else one)
    joined = {
        name: found[0] if len(found) == 1 else TokenArray(np.concatenate([part[:] for part in found]), source.named())
        for name, found in held.items()
    }
    total, left = sum(map(len, sets)), sum(map(len, train))
    shown = ", ".join([f"{left:,} to train on", *(f"{len(ids):,} for {name}" for name, ids in joined.items())])
    division = f"by place: of {total:,} tokens {shown}"
    mixed: ShardSet | Mixture = train[0]
    if len(sets) > 1:
        with source.wording():
            mixed = Mixture(list(zip(train, source.weights or map(len, train), strict=True)), until=source.until)
        of_each = (f"{count:,} of {one.storage.address}" for one, count in zip(sets, mixed.counts(), strict=True))
        division += f"; an epoch has {' and '.join(of_each)}"
    several = all(bool(one.manifest.made.get("settings", {}).get("separators", True)) for one in sets)
    return ShardParts(
        mixed, joined, {name: list(map(len, found)) for name, found in held.items()}, list(sets), division, several
    )
