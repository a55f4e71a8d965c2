"""Texts of one part that are equal or nearly equal to texts of another, by MinHash (Broder 1997)."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Literal
from unicodedata import normalize

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint32]

ALIKE = 0.8  # the share of common runs of characters from which on texts are nearly equal
# The characters of a run. Long texts of one language have most runs of 4 characters in common.
_SHORT, _LONG = 4, 12
_SHORT_BELOW, _LONG_FROM = 1250, 800  # characters; alike texts that differ in length share one of the two
_BANDS, _ROWS = 16, 4  # two texts with 0.8 of their runs in common share a band with probability 0.9998
_PRIME = np.uint64((1 << 31) - 1)
_SHORTEST = 12  # characters; shorter texts are compared for equality alone

Likeness = Literal["equal", "near"]


class NearTexts:
    """The texts of one part, among which those of another are looked up. Its size grows with the first part alone.

    Texts are compared in Unicode NFKC, in small letters, without punctuation and with single spaces. Two texts of at
    least 12 characters are nearly equal where they have 80% of their runs of 4 characters in common (Jaccard index); of
    texts from about 1,000 characters on, the runs have 12 characters.

    Example:
        >>> held = NearTexts()
        >>> for number, text in enumerate(["The dog barks at the old mailman.", "Hello!"]):
        ...     held.add(text, number)
        >>> held.find("hello"), held.find("The dog barks at the old mailmen."), held.find("Good-bye")
        ({1: 'equal'}, {0: 'near'}, {})
    """

    def __init__(self) -> None:
        self._equal: dict[bytes, list[int]] = defaultdict(list)
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
        self._runs: dict[tuple[int, int], Hashes] = {}  # by number and length of the runs
        draw = np.random.default_rng(0)
        count = _BANDS * _ROWS
        self._factors = draw.integers(1, int(_PRIME), count, np.uint64)[:, None]
        self._offsets = draw.integers(0, int(_PRIME), count, np.uint64)[:, None]

    def add(self, text: str, number: int) -> None:
        """Keep a text under a number."""
        plain = plain_text(text)
        self._equal[_key(plain)].append(number)
        for length in _lengths(plain):
            runs = _runs(plain, length)
            self._runs[number, length] = runs
            for band, key in zip(self._bands, self._keys(runs, length), strict=True):
                band[key].append(number)

    def find(self, text: str) -> dict[int, Likeness]:
        """Return the numbers of the kept texts that are equal or nearly equal to a text."""
        plain = plain_text(text)
        found: dict[int, Likeness] = dict.fromkeys(self._equal.get(_key(plain), ()), "equal")
        for length in _lengths(plain) if self._runs else ():
            runs = _runs(plain, length)
            keys = zip(self._bands, self._keys(runs, length), strict=True)
            candidates = {one for band, key in keys for one in band.get(key, ())}
            for number in sorted(candidates - set(found)):
                if _jaccard(runs, self._runs[number, length]) >= ALIKE:
                    found[number] = "near"
        return found

    def _keys(self, runs: Hashes, length: int) -> list[bytes]:
        """Return a key for each band: the smallest values of its hash functions over the runs."""
        least = np.full((_BANDS * _ROWS, 1), _PRIME, np.uint64)
        for begin in range(0, len(runs), 4096):  # of a long text not all at once
            part = runs[None, begin : begin + 4096].astype(np.uint64)
            values = (self._factors * part + self._offsets) % _PRIME
            least = np.minimum(least, values.min(1, keepdims=True))
        return [row.tobytes() + bytes([length]) for row in least.reshape(_BANDS, _ROWS).astype(np.uint32)]


def plain_text(text: str) -> str:
    """Return a text as it is compared: in small letters, without punctuation, with single spaces.

    A text of punctuation alone stays.

    Example:
        >>> plain_text("  Ｈello,\\nWORLD! "), plain_text("?!")
        ('hello world', '?!')
    """
    small = normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]|_", " ", small).split()) or " ".join(small.split())


def _key(plain: str) -> bytes:
    return hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=12).digest()


def _lengths(plain: str) -> list[int]:
    """Return the characters of the runs by which a text is compared; none for one that is too short."""
    size = len(plain)
    usable = ((_SHORT, _SHORTEST <= size < _SHORT_BELOW), (_LONG, size >= _LONG_FROM))
    return [length for length, applies in usable if applies]


def _runs(plain: str, length: int) -> Hashes:
    """Return the hashes of all runs of characters, sorted, each once."""
    codes = np.frombuffer(plain.encode("utf-32-le"), "<u4").astype(np.uint64)
    count = len(codes) - length + 1
    mixed = np.zeros(count, np.uint64)
    for place in range(length):
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + codes[place : place + count]
        mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed >> np.uint64(33)).astype(np.uint32))


def _jaccard(one: Hashes, other: Hashes) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
