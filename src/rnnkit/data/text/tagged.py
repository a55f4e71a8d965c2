"""Texts with an intent and slots: stretches of the text, tags of its words, and the way between them.

Tags are those of BIO: B-city begins a slot, I-city continues it, O is outside of all slots. Characters and words are
counted from 0; a stretch ends before its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ...errors import DataError, Place, suggest
from .words import is_spaceless, word_places

_POSSESSIVE = re.compile("['’][sS]$")


class Slot(NamedTuple):
    """A stretch of a text, or of its words.

    Attributes:
        name: what it is, such as "city".
        start, end: its first character or word, and the one behind its last.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class TaggedText:
    """A text, its intent, and its slots by their characters.

    Attributes:
        text: as it is written.
        intent: its class; "" where that is not known.
        slots: in the order of the text; none overlaps another.
        place: where it was read.

    Example:
        >>> text = TaggedText("Rain in Oslo's west?", "weather", (Slot("city", 8, 12),))
        >>> text.words
        ('Rain', 'in', 'Oslo', "'s", 'west', '?')
        >>> text.tags
        ('O', 'O', 'B-city', 'O', 'O', 'O')
    """

    text: str
    intent: str = ""
    slots: tuple[Slot, ...] = ()
    place: Place = field(default_factory=Place)

    @cached_property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The begin and the end of each word in the text."""
        return tuple(cut_words(self.text))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words; each character of Chinese, Japanese or Thai is one."""
        return tuple(self.text[begin:end] for begin, end in self.offsets)

    @cached_property
    def word_slots(self) -> tuple[Slot, ...]:
        """The slots by their words. One that begins or ends within a word has the whole word, the first of several."""
        found: list[Slot] = []
        for slot in self.slots:
            inside = [index for index, (begin, end) in enumerate(self.offsets) if begin < slot.end and slot.start < end]
            if not found or inside[0] >= found[-1].end:
                found.append(Slot(slot.name, inside[0], inside[-1] + 1))
        return tuple(found)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tag of each word."""
        return tuple(tags_of(self.word_slots, len(self.words)))

    @property
    def inexact(self) -> int:
        """How many slots begin or end within a word, or share a word with another."""
        exact = {(name, self.offsets[start][0], self.offsets[end - 1][1]) for name, start, end in self.word_slots}
        return sum(trimmed(self.text, slot) not in exact for slot in self.slots)

    def with_tags(self, tags: Sequence[str], intent: str) -> TaggedText:
        """Return the same text with another intent and the slots of other tags, one a word."""
        slots = (Slot(name, self.offsets[start][0], self.offsets[end - 1][1]) for name, start, end in slots_of(tags))
        return TaggedText(self.text, intent, tuple(slots), self.place)


def cut_words(text: str) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each word, number and mark of a text; "'s" is a word of its own.

    Example:
        >>> [text[begin:end] for text in ["Oslo's U2 song, 3.5%", "把灯打开"] for begin, end in cut_words(text)]
        ['Oslo', "'s", 'U2', 'song', ',', '3.5', '%', '把', '灯', '打', '开']
    """
    for begin, end in word_places(text):
        found = _POSSESSIVE.search(text, begin, end) if end - begin > 2 else None
        if found is None:
            yield begin, end
        else:
            yield begin, found.start()
            yield found.start(), end


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of words, and where each lies in it; spaces stand between words of scripts that have them.

    Example:
        >>> join_words(["Play", "Jay"]), join_words(["打", "开", "U2"])[0]
        (('Play Jay', [(0, 4), (5, 8)]), '打开U2')
    """
    text, places = "", []
    for word in words:
        if text and not (is_spaceless(text[-1]) or is_spaceless(word[0])):
            text += " "
        places.append((len(text), len(text) + len(word)))
        text += word
    return text, places


def trimmed(text: str, slot: Slot) -> Slot:
    """Return a slot without the spaces at its ends."""
    inside = text[slot.start : slot.end]
    return Slot(slot.name, slot.start + len(inside) - len(inside.lstrip()), slot.start + len(inside.rstrip()))


def tags_of(slots: Sequence[Slot], words: int) -> list[str]:
    """Return the tags of so many words.

    Example:
        >>> tags_of([Slot("city", 1, 3)], 4)
        ['O', 'B-city', 'I-city', 'O']
    """
    tags = ["O"] * words
    for name, start, end in slots:
        tags[start:end] = [f"B-{name}", *(f"I-{name}" for _ in range(end - start - 1))]
    return tags


def slots_of(tags: Sequence[str]) -> list[Slot]:
    """Return the slots of tags, as the shared task of CoNLL 2000 counts them.

    ``I-x`` that stands behind anything but ``B-x`` or ``I-x`` begins a slot.

    Example:
        >>> slots_of(["I-city", "I-city", "B-city", "I-artist", "O"])
        [Slot(name='city', start=0, end=2), Slot(name='city', start=2, end=3), Slot(name='artist', start=3, end=4)]
    """
    found: list[Slot] = []
    begin, name = 0, ""
    for index, tag in enumerate([*tags, "O"]):
        kind = tag[2:] if tag != "O" else ""
        if kind != name or tag[:2] == "B-":
            if name:
                found.append(Slot(name, begin, index))
            begin, name = index, kind
    return found


def check_slots(text: str, slots: Sequence[Slot], place: Place) -> tuple[Slot, ...]:
    """Return slots in the order of the text, without spaces at their ends.

    Raises:
        DataError: one lies outside of the text, is empty, has no name, or overlaps another.
    """
    found = sorted((slot for slot in slots), key=lambda slot: slot.start)
    before: Slot | None = None
    checked = []
    for slot in found:
        if not slot.name.strip():
            raise DataError(f"a slot from {slot.start} to {slot.end} has no name", place)
        if not 0 <= slot.start < slot.end <= len(text) or not text[slot.start : slot.end].strip():
            raise DataError(
                f"the slot {slot.name!r} from {slot.start} to {slot.end} holds no text; the text has {len(text)} "
                "characters, counted from 0",
                place,
            )
        slot = trimmed(text, slot)
        if before is not None and slot.start < before.end:
            raise DataError(
                f"the slots {before.name!r} and {slot.name!r} overlap at {text[slot.start : before.end]!r}; expected "
                "at most one slot a word",
                place,
            )
        checked.append(slot)
        before = slot
    return tuple(checked)


def check_tags(tags: Sequence[str], place: Place) -> int:
    """Return how many tags I-x stand behind neither B-x nor I-x.

    Raises:
        DataError: a tag that is none of O, B-x and I-x.
    """
    loose, before = 0, "O"
    for tag in tags:
        if tag != "O" and not (tag[:2] in ("B-", "I-") and tag[2:]):
            near = suggest(tag, ("O", "B-x", "I-x")) if tag.upper() in ("O", "0") else ""
            raise DataError(f"the tag {tag!r} arrived; expected O, B-x or I-x, such as B-city{near}", place)
        loose += tag[:2] == "I-" and before[1:] != tag[1:]
        before = tag
    return loose
