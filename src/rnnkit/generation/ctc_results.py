"""What the decoders of CTC and of transducers return, and what those of CTC take.

Legend: T frames, V tokens, blank included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import DataError, ShapeError, check_whole
from .ctc_text import CtcText, TimedWord

if TYPE_CHECKING:
    import numpy.typing as npt

    Frames = npt.NDArray[np.float64]

_SUM_ERROR = 0.1  # of Σ p in a frame: half precision loses some


@dataclass(frozen=True)
class Decoded:
    """What a decoder heard: of CTC, of a transducer, or of attention. Text and words are made when first asked for.

    Attributes:
        tokens: the ids, without blanks and, of CTC, without repetitions.
        times: of each token its first frame, and the frame after its last, on the most probable path; a transducer
            emits a token in a single frame.
        score: what hypotheses are ordered by: `log_probability` and what model, words and hot words add.
        confidences: of each token a probability: of CTC the largest that the network gave it in one of its frames, else
            that at its place, given the tokens before it.
        log_probability: ln p(tokens | frames): of the most probable path where the decoder is greedy, else of all paths
            that the search followed; after the end, of all that have the same text.
        stable: how many of the first tokens no further frame can change.
        written: what the tokens mean; None without a tokenizer.

    Example:
        >>> Decoded([3, 4], [(0, 2), (2, 5)], -0.3, [0.9, 0.8], -0.3).times[1]
        (2, 5)
    """

    tokens: list[int]
    times: list[tuple[int, int]]
    score: float
    confidences: list[float]
    log_probability: float
    stable: int = 0
    written: CtcText | None = field(default=None, repr=False, compare=False)

    @cached_property
    def text(self) -> str | None:
        """The tokens as text; None without a tokenizer."""
        return None if self.written is None else self.written.decode(self.tokens)

    @cached_property
    def words(self) -> tuple[TimedWord, ...]:
        """The words of the text with their times; empty without a tokenizer."""
        if self.written is None:
            return ()
        return tuple(self.written.words(self.tokens, self.times, self.confidences))

    @cached_property
    def stable_words(self) -> int:
        """How many of the first words will not change."""
        if self.written is None:
            return 0
        # A word is over where a token after it is certain, or its own last token ends it.
        lasts = [group[-1] for group in self.written.group(self.tokens)]
        spellings = self.written.spellings
        return sum(at < self.stable and (at + 1 < self.stable or spellings[self.tokens[at]][-1] == " ") for at in lasts)


class DecoderCore(Protocol):
    """The search of a decoder for one utterance: the most probable path, or the beam search.

    Attributes:
        kind: of its state, "greedy" or "beam".
        frames: that were read.
    """

    kind: str
    frames: int

    def restart(self) -> None: ...

    def push(self, frames: Any, /) -> None: ...

    def partial(self, text: CtcText | None) -> Decoded: ...

    def finished(self, text: CtcText | None) -> list[Decoded]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def joined(found: list[Decoded]) -> list[Decoded]:
    """Return one hypothesis for each text, the best first.

    Tokens may write a text in several ways, as with a space at the end; their probabilities add up.
    """
    best: dict[str | None, Decoded] = {}
    for one in sorted(found, key=lambda one: -one.log_probability):
        other = best.get(one.text)
        if other is None:
            best[one.text] = one
            continue
        more = math.log1p(math.exp(one.log_probability - other.log_probability))
        best[one.text] = replace(other, log_probability=other.log_probability + more, score=other.score + more)
    return sorted(best.values(), key=lambda one: -one.score)


def read_frames(log_probs: Any, size: int | None, blank: int) -> Frames:
    """Return log-probabilities [T, V] as an array of float64.

    Args:
        log_probs: an array, a tensor or lists.
        size: V, where it is known.
        blank: the id of the blank.

    Raises:
        ShapeError: another shape.
        DataError: NaN, or what is no logarithm of a probability.
    """
    if hasattr(log_probs, "detach"):
        log_probs = log_probs.detach().cpu().double().numpy()
    try:
        values = np.asarray(log_probs, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"log_probs is no array of numbers ({error}); expected [T frames, V tokens]") from None
    if values.ndim != 2:
        raise ShapeError.of("log_probs", values.shape, "; expected [T frames, V tokens], one utterance at a time")
    if size is not None and values.shape[1] != size:
        raise ShapeError.of(
            "log_probs", values.shape, f"; expected [T, {size}], as the tokenizer has {size} tokens, the blank included"
        )
    if not 0 <= blank < values.shape[1]:
        raise ShapeError.of("log_probs", values.shape, f"; expected [T, V] with V above the blank's id {blank}")
    sums = np.exp(np.minimum(values, 700.0)).sum(1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) < _SUM_ERROR))
    if len(wrong):
        frame = int(wrong[0])
        if np.isnan(values[frame]).any():
            raise DataError(f"log_probs is NaN in frame {frame}; expected log-probabilities")
        raise DataError(
            f"log_probs is not of probabilities: those of frame {frame} sum to {sums[frame]:.4g}, not 1",
            remedy="type log_probs.log_softmax(-1) where they are logits",
        )
    return values


def check_blank(blank: int) -> int:
    """Return the blank's id.

    Raises:
        ConfigError: it is no whole number of at least 0.
    """
    check_whole(blank, "blank", least=0)
    return int(blank)
