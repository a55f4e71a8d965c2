"""A corpus in three parts: to train on, to choose by and to test on, without a copy of the texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from ...errors import ConfigError, DataError, Place, Remedy, check_choice
from .decoding import OnBytes
from .texts import Piece, Texts, TextSource, as_texts

MANY = 100  # texts from which on whole texts are dealt to the parts
_NAMES = ("train", "validation", "test")


class TextParts(NamedTuple):
    """The parts of a corpus; a part of share 0 is None.

    Attributes:
        train, validation, test: texts.
        division: how they were divided, in words.
        several: whether the corpus has more than one text.
    """

    train: Texts
    validation: Texts | None
    test: Texts | None
    division: str
    several: bool

    def named(self) -> dict[str, Texts]:
        """Return the parts that there are by their names."""
        found = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}


def divide_texts(
    source: TextSource,
    *,
    validation: float = 0.05,
    test: float = 0.05,
    by: Literal["auto", "place", "text"] = "auto",
    seed: int = 0,
) -> TextParts:
    """Divide a corpus into three parts, which read it from where it is.

    Args:
        source: what `read_texts` returns, a path, or texts.
        validation, test: the shares of these parts.
        by: "place" cuts the corpus by its characters: the first are for training, the last for the test, as is usual
            for one long text. "text" deals whole texts by a hash of their content, so that equal texts are in one part.
            "auto" is "text" from 100 texts on.
        seed: of the hash.

    Returns:
        The parts.

    Raises:
        ConfigError: shares out of range, or texts that can be read only once.
        DataError: a part has no text.

    Example:
        >>> parts = divide_texts(["abcdefghijklmnopqrst"], validation=0.1, test=0.05)
        >>> [text for text, _ in parts.train], [text for text, _ in parts.validation], [text for text, _ in parts.test]
        (['abcdefghijklmnopq'], ['rs'], ['t'])
        >>> parts.division
        'by place: the first 85%, the next 10% and the last 5% of 20 characters'
    """
    check_choice(by, "by", ("auto", "place", "text"))
    shares = (1 - validation - test, validation, test)
    if min(validation, test) < 0 or shares[0] <= 0:
        raise ConfigError(f"validation={validation} and test={test} arrived; expected shares that leave some to train")
    texts = as_texts(source)
    if texts.once:
        raise ConfigError("the texts can be read only once, but are read for each part", remedy="pass a list or a path")
    characters, count = _measure(texts)
    if by == "auto":
        by = "text" if count >= MANY else "place"
    bounds = _bounds(shares)
    if by == "text":
        parts: list[_PartTexts] = [_DealtTexts(texts, low, high, seed) for low, high in bounds]
        shown = ", ".join(f"{share:.0%} {name}" for name, share in zip(_NAMES, shares, strict=True) if share)
        division = f"by whole texts: of {count:,} texts {shown}, by a hash of their content (seed {seed})"
    else:
        cuts = [(round(low * characters), round(high * characters)) for low, high in bounds]
        parts = [_SlicedTexts(texts, begin, end) for begin, end in cuts]
        shown = f"the first {shares[0]:.0%}" + (f", the next {validation:.0%}" if validation else "")
        shown += f" and the last {test:.0%}" if test else ""
        division = f"by place: {shown} of {characters:,} characters"
    found: list[_PartTexts | None] = [part if share else None for part, share in zip(parts, shares, strict=True)]
    for name, part in zip(_NAMES, found, strict=True):
        if part is not None and part.is_empty():
            raise DataError(
                f"the {name} part of {count:,} {'text' if count == 1 else 'texts'} is empty; expected more text"
                + (", or no such part" if name != "train" else ""),
                Place(texts.source),
                Remedy(name, 0) if name != "train" else None,
            )
    assert found[0] is not None
    return TextParts(found[0], found[1], found[2], division, count > 1)


def _bounds(shares: Sequence[float]) -> list[tuple[float, float]]:
    ends = [0.0, shares[0], shares[0] + shares[1], 1.0]
    return list(pairwise(ends))


def _measure(texts: Texts) -> tuple[int, int]:
    """Return the number of characters and of texts."""
    characters = count = 0
    for piece in texts.pieces():
        characters += len(piece.text)
        count += piece.ends
    return characters, count


@dataclass(frozen=True, eq=False)
class _PartTexts(Texts):
    """A part of texts."""

    texts: Texts

    @property
    def source(self) -> str:  # type: ignore[override]
        return self.texts.source

    @property
    def size(self) -> int | None:
        """The number of bytes of the whole on the disk, all of which is read for a part."""
        return self.texts.size

    def is_empty(self) -> bool:
        """Return whether the part has no text."""
        return next(self.pieces(), None) is None


@dataclass(frozen=True, eq=False)
class _DealtTexts(_PartTexts):
    """The texts whose hash lies between two shares of all hashes."""

    low: float
    high: float
    seed: int

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        belongs: bool | None = None  # of the text at hand, by its first piece
        for piece in self.texts.pieces(on_bytes):
            if belongs is None:
                digest = hashlib.sha256(f"{self.seed} {piece.text.strip()}".encode()).digest()
                belongs = self.low <= int.from_bytes(digest[:7]) / (1 << 56) < self.high
            if belongs:
                yield piece
            if piece.ends:
                belongs = None

    def fingerprint(self) -> str:
        return f"{self.texts.fingerprint()} hashed {self.seed} {self.low} {self.high}"


@dataclass(frozen=True, eq=False)
class _SlicedTexts(_PartTexts):
    """The characters from one place of a corpus to another."""

    begin: int
    end: int

    def is_empty(self) -> bool:
        return self.begin >= self.end

    def pieces(self, on_bytes: OnBytes | None = None) -> Iterator[Piece]:
        here = 0
        for piece in self.texts.pieces(on_bytes):
            first, here = here, here + len(piece.text)
            if here <= self.begin:
                continue
            if first >= self.end:
                return
            kept = piece.text[max(0, self.begin - first) : self.end - first]
            if kept:
                yield Piece(kept, piece.place, piece.ends or here >= self.end)

    def fingerprint(self) -> str:
        return f"{self.texts.fingerprint()} from {self.begin} to {self.end}"
