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
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .ctc_prefixes import NEVER, Prefix, last_times, linked, longer, unlinked
from .ctc_results import Decoded, joined

if TYPE_CHECKING:
    from .ctc_results import Frames
    from .ctc_scoring import TextScorer
    from .ctc_text import CtcText

_MADE_UP = 5.0
_SETTLING = 16  # frames after which tokens are settled
_FORGET = 1_000  # prefixes after which those without a continuation are dropped


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

    kind = "beam"

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
                prefix.next_last_link = longer(prefix.last_link, frame, share)
            else:
                prefix.next_last, prefix.next_last_path, prefix.next_last_link = 0.0, NEVER, None
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
            prefix.next_last_link = longer(prefix.blank_link, self.frames, share)

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
            one.blank_link = last_times(one.blank_link, one.depth - best.depth)
            one.last_link = last_times(one.last_link, one.depth - best.depth)

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

    def partial(self, text: CtcText | None) -> Decoded:
        """Return the best hypothesis so far; `stable` says how many of its tokens no later frame can change."""
        best = self.active[0]
        return self._decoded(best, best.score, self.common().depth, text)

    def finished(self, text: CtcText | None) -> list[Decoded]:
        """Return the hypotheses at the end, the best first; of those that the word list lets end, if there are any."""
        ended: list[tuple[float, Prefix]] = []
        for prefix in self.active:
            score: float | None = 0.0
            if self.scorer is not None and prefix.state is not None:
                score = self.scorer.finish(prefix.state)
            if score is not None:
                ended.append((score, prefix))
        ended = ended or [(prefix.score, prefix) for prefix in self.active]
        found = [self._decoded(prefix, score, prefix.depth, text) for score, prefix in ended]
        found = found if text is None else joined(found)
        return sorted(found, key=lambda one: -one.score)

    def _decoded(self, prefix: Prefix, score: float, stable: int, text: CtcText | None) -> Decoded:
        log_probability = math.log(prefix.blank + prefix.last) + self.log_scale
        times = [*self.settled_times, *unlinked(prefix.best_path()[1])]
        return Decoded(
            self.settled + prefix.tokens(),
            [(begin, end) for begin, end, _ in times],
            log_probability + score,
            [sure for _, _, sure in times],
            log_probability,
            stable,
            text,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return JSON values that `load_state_dict` continues from; they include the tokens so far."""
        return {
            "frames": self.frames,
            "log_scale": self.log_scale,
            "settled": list(self.settled),
            "settled_times": list(self.settled_times),
            "hypotheses": [
                {
                    "tokens": prefix.tokens(),
                    "blank": prefix.blank,
                    "last": prefix.last,
                    "blank_path": _finite(prefix.blank_path),
                    "last_path": _finite(prefix.last_path),
                    "blank_times": unlinked(prefix.blank_link),
                    "last_times": unlinked(prefix.last_link),
                }
                for prefix in self.active
            ],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError, TypeError, ValueError, IndexError: it is not the state of such a search.
        """
        times = [(int(begin), int(end), float(sure)) for begin, end, sure in state["settled_times"]]
        self.restart([int(one) for one in state["settled"]], times)
        active = [self._restored(one) for one in state["hypotheses"]]
        self.frames, self.log_scale = int(state["frames"]), float(state["log_scale"])
        if not active:
            raise ValueError("no hypothesis")
        self.active = active

    def _restored(self, values: Mapping[str, Any]) -> Prefix:
        """Return a prefix of the tree with the values that it had."""
        prefix = self.root
        for token in values["tokens"]:
            child = (prefix.children or {}).get(token) or self.make(prefix, int(token))
            if child is None:
                raise ValueError("a hypothesis is not of the word list")
            prefix = child
        prefix.enter()
        prefix.blank, prefix.last = float(values["blank"]), float(values["last"])
        prefix.blank_path, prefix.last_path = (
            NEVER if values[name] is None else float(values[name]) for name in ("blank_path", "last_path")
        )
        prefix.key = math.log(prefix.blank + prefix.last) + prefix.score
        prefix.blank_link, prefix.last_link = (linked(values[name]) for name in ("blank_times", "last_times"))
        return prefix


def _finite(value: float) -> float | None:
    return None if value == -math.inf else value
