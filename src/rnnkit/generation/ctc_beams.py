"""The beam search over prefixes of CTC's labellings (Graves 2012, section 7.5.3; Hannun et al. 2014).

A prefix is a node of a tree. The paths to it through the frames end with a blank or with its last token, and the search
keeps the sum of both kinds:

    b'(p) = (b(p) + n(p)) y(blank)
    n'(p) = n(p) y(last of p) + (b(q) + [last of q ≠ last of p] n(q)) y(last of p),   p = q and its last token

It also keeps the most probable path of both kinds, which has the times of the tokens. Sums are numbers between 0 and 1
of the most probable prefix's, with the logarithm of the scale beside them: two products take less time than a
logarithm.

Legend: T frames, V tokens, blank included.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError

if TYPE_CHECKING:
    from .ctc_results import Frames
    from .ctc_scoring import TextScorer, TextState

# A token's first frame, the frame after its last, its largest probability, and the tokens before: (…, link or None).
Link = Any
_NEVER = -math.inf
_MADE_UP = 5.0
_SETTLING = 16  # frames after which tokens are settled
_FORGET = 1_000  # prefixes after which those without a continuation are dropped


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
        self.blank_path = self.last_path = _NEVER
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


def _longer(link: Link, frame: int, share: float) -> Link:
    """Return the times of a path whose last token continues in a frame; None: it has no token."""
    if link is None:
        return None
    begin, _, sure, before = link
    return (begin, frame + 1, sure if sure >= share else share, before)


def _first(link: Link, count: int) -> Link:
    """Return the times of the last tokens of a path, without those before."""
    found: list[tuple[int, int, float]] = []
    while link is not None and len(found) < count:
        found.append(link[:3])
        link = link[3]
    link = None
    for begin, end, sure in reversed(found):
        link = (begin, end, sure, link)
    return link


class BeamCore:
    """Follows the most probable prefixes frame by frame.

    Args:
        blank: the id of the blank.
        width: prefixes that are kept after each frame.
        margin: tokens whose log-probability lies that far below the frame's largest are not tried; None: all are.
        most_tokens: the most probable tokens of a frame that are tried; None: all.
        beam_margin: prefixes whose score lies that far below the best are dropped; None: none is.
        scorer: what scores texts; None: nothing does.
        separators: tokens that are nothing but a boundary of words. One at a boundary changes no text, so it is no
            token more.
        settle_after: prefixes that differ from the best in a token that began this number of frames ago are dropped;
            None: none is. What is settled leaves the tree, so the work does not grow with the utterance.

    Attributes:
        frames: that were read.
        log_scale: ln of the scale of the sums.
        active: the prefixes that are continued, the best first.
        root: the prefix that all begin with.
        settled: the tokens of the root.
        settled_times: of each of these its first frame, the frame after its last, its largest probability.
    """

    def __init__(
        self,
        *,
        blank: int,
        width: int,
        margin: float | None,
        most_tokens: int | None,
        beam_margin: float | None,
        scorer: TextScorer | None,
        separators: Collection[int] = (),
        settle_after: int | None = None,
    ) -> None:
        self.blank, self.width, self.margin, self.most_tokens = blank, width, margin, most_tokens
        self.beam_margin, self.scorer = beam_margin, scorer
        # How far below the best a prefix may fall by its next token; a text may make up for some of it.
        self._reach = math.inf if beam_margin is None else beam_margin + (0.0 if scorer is None else _MADE_UP)
        self.separators, self.settle_after = frozenset(separators), settle_after
        self.restart()

    def restart(self, settled: Sequence[int] = (), times: Sequence[tuple[int, int, float]] = ()) -> None:
        """Begin a new text, or one whose first tokens are settled, with their times."""
        state = None if self.scorer is None else self.scorer.begin
        for token in settled:
            if self.scorer is not None and state is not None:
                state = self.scorer.extend(state, token)
        # The beginning is a boundary, too.
        token = settled[-1] if settled else min(self.separators, default=-1)
        self.root = root = Prefix(None, token, state, 0.0 if state is None else state.score)
        root.depth = len(settled)
        root.enter()
        root.blank, root.blank_path, root.key = 1.0, 0.0, root.score
        self.active, self.settled, self.settled_times = [root], list(settled), list(times)
        self.frames, self.log_scale, self._made = 0, 0.0, 0

    def push(self, log_probs: Frames) -> None:
        """Read frames [T, V] of log-probabilities."""
        largest = log_probs.max(1)
        tried = log_probs > -np.inf
        if self.margin is not None:
            tried &= log_probs >= (largest - self.margin)[:, None]
        tried[:, self.blank] = False
        most = self.most_tokens
        if most is not None and most < log_probs.shape[1] - 1:
            for frame in np.flatnonzero(tried.sum(1) > most):
                own = np.where(tried[frame], log_probs[frame], -np.inf)
                tried[frame] = False
                tried[frame, np.argpartition(-own, most - 1)[:most]] = True
        frames, tokens = np.nonzero(tried)
        values = log_probs[frames, tokens]
        order = np.lexsort((-values, frames))  # the most probable first
        frames, tokens, values = frames[order], tokens[order], values[order]
        ends = np.searchsorted(frames, np.arange(len(log_probs)), "right").tolist()
        every = list(zip(tokens.tolist(), values.tolist(), np.exp(values).tolist(), strict=True))
        begin = 0
        for at, end in enumerate(ends):
            self._step(log_probs[at], float(largest[at]), every[begin:end])
            begin = end

    def _step(self, row: Any, largest: float, tried: Sequence[tuple[int, float, float]]) -> None:
        """Read a frame.

        Args:
            row: the log-probabilities of all tokens, [V].
            largest: the largest of them.
            tried: id, log-probability and probability of the tokens that may follow, the most probable first.
        """
        frame, exp = self.frames, math.exp
        log_blank = float(row[self.blank])
        blank = exp(log_blank)
        candidates = list(self.active)
        # Each prefix as it is: a blank, or its last token once more.
        for prefix in candidates:
            prefix.frame = frame
            prefix.next_blank = (prefix.blank + prefix.last) * blank
            if prefix.last > 0.0:
                value = float(row[prefix.token])
                share = exp(value)
                prefix.next_last = prefix.last * share
                prefix.next_last_path = prefix.last_path + value
                prefix.next_last_link = _longer(prefix.last_link, frame, share)
            else:
                prefix.next_last, prefix.next_last_path, prefix.next_last_link = 0.0, _NEVER, None
        # Each prefix with one token more.
        if tried:
            least = self.active[0].key + largest - self._reach
            for prefix in self.active:
                needed = least - prefix.key
                total = prefix.blank + prefix.last
                path, link = prefix.best_path()
                children, last = prefix.children, prefix.token
                if children is None:
                    children = prefix.children = {}
                for token, value, share in tried:
                    if value < needed:  # too far below the best, and so are the others
                        break
                    if token == last:  # only after a blank, else it is the same token
                        if token in self.separators:
                            self._stay(prefix, value, share)
                            continue
                        added, reached, before = prefix.blank * share, prefix.blank_path + value, prefix.blank_link
                    else:
                        added, reached, before = total * share, path + value, link
                    if added <= 0.0:
                        continue
                    child = children[token] if token in children else self.make(prefix, token)
                    if child is None:
                        continue
                    if child.frame != frame:
                        child.frame = frame
                        child.next_blank = 0.0
                        child.next_last = added
                        child.next_last_path = reached
                        child.next_last_link = (frame, frame + 1, share, before)
                        child.enter()
                        candidates.append(child)
                    else:
                        child.next_last += added
                        if reached > child.next_last_path:
                            child.next_last_path = reached
                            child.next_last_link = (frame, frame + 1, share, before)
        self.frames += 1
        self._choose(candidates, log_blank)

    def _stay(self, prefix: Prefix, value: float, share: float) -> None:
        """Let a prefix that ends with a boundary of words stay as it is after another one."""
        prefix.next_last += prefix.blank * share
        reached = prefix.blank_path + value
        if reached > prefix.next_last_path:
            prefix.next_last_path = reached
            prefix.next_last_link = _longer(prefix.blank_link, self.frames, share)

    def make(self, prefix: Prefix, token: int) -> Prefix | None:
        """Return a prefix with one token more; None where the texts allow none."""
        state, score = None, 0.0
        child: Prefix | None
        if self.scorer is not None:
            assert prefix.state is not None
            state = self.scorer.extend(prefix.state, token)
            score = 0.0 if state is None else state.score
        child = None if self.scorer is not None and state is None else Prefix(prefix, token, state, score)
        if prefix.children is None:
            prefix.children = {}
        prefix.children[token] = child
        self._made += 1
        return child

    def _choose(self, candidates: list[Prefix], log_blank: float) -> None:
        """Continue the best prefixes with the values of this frame."""
        log = math.log
        ranked = [
            (log(total) + one.score, at)
            for at, one in enumerate(candidates)
            if (total := one.next_blank + one.next_last) > 0.0
        ]
        if not ranked:
            raise DataError(
                f"no text has a probability above 0 in frame {self.frames - 1}",
                remedy=() if self.scorer is None else "leave words= out, or add words to the list",
            )
        ranked.sort(key=itemgetter(0), reverse=True)
        del ranked[self.width :]
        if self.beam_margin is not None:
            least = ranked[0][0] - self.beam_margin
            while ranked[-1][0] < least:
                ranked.pop()
        self.active = [candidates[at] for _, at in ranked]
        scale = max(one.next_blank + one.next_last for one in self.active)
        log_scale = log(scale)
        self.log_scale += log_scale
        for (key, _), one in zip(ranked, self.active, strict=True):
            one.key = key - log_scale
            path, link = one.best_path()
            one.blank_path, one.blank_link = path + log_blank, link
            one.last_path, one.last_link = one.next_last_path, one.next_last_link
            one.blank, one.last = one.next_blank / scale, one.next_last / scale
        if self.settle_after is not None and self.frames % _SETTLING == 0:
            self._settle(self.frames - self.settle_after)
        if self._made > _FORGET:
            self._forget()

    def _settle(self, before: int) -> None:
        """Drop the prefixes that differ from the best in a token that began before a frame, and settle these tokens."""
        best, link = self.active[0], self.active[0].best_path()[1]
        while link is not None and link[0] >= before and best.parent is not None:
            best, link = best.parent, link[3]
        if best is self.root:
            return
        found: list[tuple[int, int, float]] = []
        while link is not None:
            found.append(link[:3])
            link = link[3]
        self.settled += best.tokens()
        self.settled_times += found[::-1]
        self.active = [one for one in self.active if one.begins_with(best)]
        self.root, best.parent = best, None
        for one in self.active:
            one.blank_link = _first(one.blank_link, one.depth - best.depth)
            one.last_link = _first(one.last_link, one.depth - best.depth)

    def _forget(self) -> None:
        """Drop the prefixes that no active one continues."""
        self._made = 0
        kept: dict[int, Prefix] = {}
        for prefix in self.active:
            at: Prefix | None = prefix
            while at is not None and id(at) not in kept:
                kept[id(at)] = at
                at = at.parent
        for one in kept.values():
            children = one.children or {}
            one.children = {token: child for token, child in children.items() if id(child) in kept} or None

    def common(self) -> Prefix:
        """Return the longest prefix that all active ones begin with, which no later frame can change."""
        found = self.active[0]
        for other in self.active[1:]:
            while found is not other:
                if found.depth >= other.depth:
                    assert found.parent is not None
                    found = found.parent
                else:
                    assert other.parent is not None
                    other = other.parent
        return found
