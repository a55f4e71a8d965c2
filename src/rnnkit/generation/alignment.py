"""Forced alignment: when each token of a known text was said, by CTC.

Legend: T frames, V tokens, blank included, L tokens of the text, S = 2 L + 1 states: the
tokens with blanks around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .ctc_results import check_blank, read_frames
from .ctc_text import CtcText, TimedWord

if TYPE_CHECKING:
    from ..data.text.tokenizer import Tokenizer
    from .ctc_results import Frames


@dataclass(frozen=True)
class Aligned:
    """A token of a known text, and when it is said.

    Attributes:
        token: its id.
        start, end: its first frame, and the frame after its last.
        confidence: the largest probability that the network gave it in one of these frames.

    Example:
        >>> Aligned(7, 3, 5, 0.9).end
        5
    """

    token: int
    start: int
    end: int
    confidence: float


def align(log_probs: Any, tokens: Sequence[int], *, blank: int = 0) -> list[Aligned]:
    """Find the most probable path of CTC that is a known text, by the Viterbi algorithm over its lattice.

        δ_t(s) = ln y_t(l_s) + max(δ_{t−1}(s), δ_{t−1}(s − 1), [l_s no blank and l_s ≠ l_{s−2}] δ_{t−1}(s − 2))

    l is the text with a blank before, between and after its tokens (Graves et al. 2006). The time and the memory are
    those of T × S steps.

    Args:
        log_probs: ln y, [T, V], an array or a tensor: `log_softmax` of a network's outputs for one utterance.
        tokens: the ids of the text, without blanks.
        blank: the id of the blank.

    Returns:
        The tokens with their times, in the order of the text.

    Raises:
        ShapeError: log_probs has another shape.
        DataError: there are fewer frames than the text needs: one a token, and one more between equal neighbours; an id
            is none; or the network gives every path the probability 0.

    Example:
        >>> import numpy as np
        >>> frames = np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
        >>> [(one.token, one.start, one.end, round(one.confidence, 3)) for one in align(frames, [1, 2])]
        [(1, 0, 2, 0.8), (2, 3, 4, 0.8)]
    """
    values = read_frames(log_probs, None, check_blank(blank))
    ids = _checked(tokens, values.shape[1], blank)
    if not ids:
        return []
    repeated = sum(one == other for one, other in pairwise(ids))
    if len(values) < len(ids) + repeated:
        between = f" and {repeated} between equal neighbours" if repeated else ""
        raise DataError(
            f"{len(values)} frames arrived for {len(ids)} tokens; expected at least {len(ids) + repeated}, one a token"
            f"{between}",
            remedy="check that text and sound belong together, or give the network more frames a second",
        )
    states = _viterbi(values, ids, blank)
    found = []
    for at, token in enumerate(ids):
        frames = np.flatnonzero(states == 2 * at + 1)
        start, end = int(frames[0]), int(frames[-1]) + 1
        found.append(Aligned(token, start, end, float(np.exp(values[start:end, token].max()))))
    return found


def align_words(log_probs: Any, text: str, tokenizer: Tokenizer, *, blank: int = 0) -> list[TimedWord]:
    """Find when each word of a known text is said; see `align`.

    Args:
        log_probs: ln y, [T, V], an array or a tensor.
        text: what is said.
        tokenizer: what cuts it into the network's tokens.
        blank: the id of the blank.

    Returns:
        The words with their times; in scripts without spaces each character is a word.

    Raises:
        ShapeError, DataError: as `align`; also for a text with characters or words that the tokenizer lacks.

    Example:
        >>> import numpy as np
        >>> from rnnkit.data import train_tokenizer
        >>> tokenizer = train_tokenizer("char", ["a b"])
        >>> frames = np.full((4, len(tokenizer)), 0.01)
        >>> for frame, token in enumerate(tokenizer.encode("a") + [0] + tokenizer.encode(" b")):
        ...     frames[frame, token] = 1 - frames[frame].sum() + 0.01
        >>> [(word.text, word.start, word.end) for word in align_words(np.log(frames), "a b", tokenizer)]
        [('a', 0, 1), ('b', 3, 4)]
    """
    written = CtcText(tokenizer, check_blank(blank))
    ids = written.encode(text)
    read_frames(log_probs, written.size, blank)
    found = align(log_probs, ids, blank=blank)
    return written.words(ids, [(one.start, one.end) for one in found], [one.confidence for one in found])


def _checked(tokens: Sequence[int], size: int, blank: int) -> list[int]:
    if isinstance(tokens, str):
        raise DataError(
            "a text arrived; expected the ids of its tokens", remedy="type align_words(log_probs, text, tokenizer)"
        )
    listed = tokens.tolist() if hasattr(tokens, "tolist") else list(tokens)
    ids: list[int] = []
    for one in listed:
        if isinstance(one, bool) or not isinstance(one, Integral):
            raise DataError(f"the id {one!r} arrived; expected whole numbers, the tokens of a text")
        ids.append(int(one))
    for one in ids:
        if one == blank or not 0 <= one < size:
            what = "the blank" if one == blank else f"none of the {size} tokens"
            raise DataError(f"the id {one} arrived, which is {what}; expected the tokens of a text")
    return ids


def _viterbi(values: Frames, ids: Sequence[int], blank: int) -> Any:
    """Return the state of each frame on the most probable path, [T]."""
    size = 2 * len(ids) + 1
    labels = np.full(size, blank)
    labels[1::2] = ids
    skips = np.zeros(size, bool)
    skips[3::2] = labels[3::2] != labels[1:-2:2]
    best = np.full(size, -np.inf)
    best[:2] = values[0, labels[:2]]
    moves = np.zeros((len(values), size), np.int8)
    for frame in range(1, len(values)):
        one, two = np.full(size, -np.inf), np.full(size, -np.inf)
        one[1:] = best[:-1]
        two[2:] = np.where(skips[2:], best[:-2], -np.inf)
        step = one > best
        best = np.where(step, one, best)
        jump = two > best
        best = np.where(jump, two, best) + values[frame, labels]
        moves[frame] = np.where(jump, 2, step)
    at = size - 1 if best[-1] >= best[-2] else size - 2
    if not best[at] > -np.inf:
        raise DataError("every path of the text has the probability 0; check that text and sound belong together")
    states = np.empty(len(values), np.int64)
    for frame in range(len(values) - 1, -1, -1):
        states[frame] = at
        at -= int(moves[frame, at])
    return states
