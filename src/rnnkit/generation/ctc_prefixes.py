"""The tree of labellings that the beam search over prefixes of CTC grows, and the times of their tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ctc_scoring import TextState

# A token's first frame, the frame after its last, its largest probability, and the tokens before: (…, link or None).
Link = Any
NEVER = -math.inf


class Prefix:
    """A labelling, as a node of the tree of all, and what the search knows of it in a frame."""

    __slots__ = (
        "blank",
        "blank_link",
        "blank_path",
        "children",
        "depth",
        "frame",
        "key",
        "last",
        "last_link",
        "last_path",
        "next_blank",
        "next_last",
        "next_last_link",
        "next_last_path",
        "parent",
        "score",
        "state",
        "token",
    )

    parent: Prefix | None
    token: int
    state: TextState | None
    score: float  # of the text
    depth: int
    children: dict[int, Prefix | None] | None
    key: float  # ln of the sum, and the score of the text
    frame: int  # in which the next values were begun
    blank: float  # b
    last: float  # n
    blank_path: float  # ln p of the most probable path of both kinds, and its times
    last_path: float
    blank_link: Link
    last_link: Link
    next_blank: float
    next_last: float
    next_last_path: float
    next_last_link: Link

    def __init__(self, parent: Prefix | None, token: int, state: TextState | None, score: float) -> None:
        self.parent, self.token, self.state, self.score = parent, token, state, score
        self.depth = 0 if parent is None else parent.depth + 1
        self.children, self.frame = None, -1

    def enter(self) -> None:
        """Begin without a path to it."""
        self.blank = self.last = 0.0
        self.blank_path = self.last_path = NEVER
        self.blank_link = self.last_link = None

    def tokens(self) -> list[int]:
        """Return the labelling after the root."""
        found, at = [], self
        while at.parent is not None:
            found.append(at.token)
            at = at.parent
        return found[::-1]

    def begins_with(self, prefix: Prefix) -> bool:
        """Return whether this prefix equals another one, or continues it."""
        at: Prefix | None = self
        while at is not None and at.depth > prefix.depth:
            at = at.parent
        return at is prefix

    def best_path(self) -> tuple[float, Link]:
        """Return ln p of the most probable path, and the times on it."""
        if self.blank_path >= self.last_path:
            return self.blank_path, self.blank_link
        return self.last_path, self.last_link


def longer(link: Link, frame: int, share: float) -> Link:
    """Return the times of a path whose last token continues in a frame; None: it has no token."""
    if link is None:
        return None
    begin, _, sure, before = link
    return (begin, frame + 1, sure if sure >= share else share, before)


def last_times(link: Link, count: int) -> Link:
    """Return the times of the last tokens of a path, without those before."""
    found: list[tuple[int, int, float]] = []
    while link is not None and len(found) < count:
        found.append(link[:3])
        link = link[3]
    link = None
    for begin, end, sure in reversed(found):
        link = (begin, end, sure, link)
    return link


def unlinked(link: Link) -> list[tuple[int, int, float]]:
    """Return the times of a path, the first token first."""
    found = []
    while link is not None:
        begin, end, sure, link = link
        found.append((begin, end, sure))
    return found[::-1]


def linked(times: Any) -> Link:
    """Return the times of a path, of a list with the first token first."""
    link: Link = None
    for begin, end, sure in times:
        link = (int(begin), int(end), float(sure), link)
    return link
