"""The most probable path of CTC, frame by frame: repetitions are one token, and blanks are none (Graves et al. 2006).

Legend: T frames, V tokens, blank included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .ctc_results import Decoded, check_blank, read_frames
from .ctc_text import CtcText, Tokens

if TYPE_CHECKING:
    from .ctc_results import Frames


class GreedyCore:
    """Collects the tokens of the most probable path.

    Args:
        blank: the id of the blank.
    """

    kind = "greedy"

    def __init__(self, blank: int) -> None:
        self.blank = blank
        self.restart()

    def restart(self) -> None:
        """Begin a new text."""
        self.tokens: list[int] = []
        self.times: list[tuple[int, int]] = []
        self.confidences: list[float] = []
        self.score, self.frames, self.last = 0.0, 0, self.blank

    def push(self, log_probs: Frames) -> None:
        """Read frames [T, V] of log-probabilities."""
        import numpy as np

        if not len(log_probs):
            return
        best = log_probs.argmax(1)
        values = log_probs[np.arange(len(best)), best]
        self.score += float(values.sum())
        changes = np.flatnonzero(np.diff(best)) + 1
        begins = [0, *changes.tolist()]
        largest = np.exp(np.maximum.reduceat(values, begins)).tolist()
        ends = [*begins[1:], len(best)]
        for begin, end, sure, token in zip(begins, ends, largest, best[begins].tolist(), strict=True):
            if token != self.blank and token == self.last and begin == 0:  # continues from the frames before
                self.times[-1] = (self.times[-1][0], self.frames + end)
                self.confidences[-1] = max(self.confidences[-1], sure)
            elif token != self.blank:
                self.tokens.append(token)
                self.times.append((self.frames + begin, self.frames + end))
                self.confidences.append(sure)
            self.last = token
        self.frames += len(best)

    def partial(self, text: CtcText | None) -> Decoded:
        """Return all tokens so far; none of them will change."""
        return Decoded(
            list(self.tokens),
            list(self.times),
            self.score,
            list(self.confidences),
            self.score,
            len(self.tokens),
            text,
        )

    def finished(self, text: CtcText | None) -> list[Decoded]:
        """Return what was found, the only hypothesis."""
        return [self.partial(text)]

    def state_dict(self) -> dict[str, Any]:
        """Return JSON values that `load_state_dict` continues from."""
        return {
            "tokens": list(self.tokens),
            "times": [list(time) for time in self.times],
            "confidences": list(self.confidences),
            "score": self.score,
            "frames": self.frames,
            "last": self.last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.tokens = [int(one) for one in state["tokens"]]
        self.times = [(int(begin), int(end)) for begin, end in state["times"]]
        self.confidences = [float(one) for one in state["confidences"]]
        self.score, self.frames, self.last = float(state["score"]), int(state["frames"]), int(state["last"])


def ctc_greedy(log_probs: Any, *, blank: int = 0, tokenizer: Tokens | None = None) -> Decoded:
    """Decode the most probable path π of CTC (Graves et al. 2006, best path decoding).

        π_t = argmax_k y_t(k),   tokens = π without repetitions, then without blanks

    Args:
        log_probs: ln y, [T, V], an array or a tensor: `log_softmax` of a network's outputs for one utterance.
        blank: the id of the blank, which is also the `pad` of a tokenizer of characters, words or subwords.
        tokenizer: what the ids mean, for `text` and `words`; or the list of the V tokens as texts.

    Returns:
        The tokens with their times and confidences; `score` is ln of the path's probability.

    Raises:
        ShapeError: another shape.
        DataError: NaN, or what is no logarithm of a probability.

    Example:
        >>> import numpy as np
        >>> frames = np.log([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
        >>> found = ctc_greedy(frames, tokenizer=["-", "a", "b"])
        >>> found.text, found.times, [round(one, 3) for one in found.confidences], round(found.score, 3)
        ('ab', [(0, 2), (3, 4)], [0.8, 0.8], -1.026)
    """
    text = None if tokenizer is None else CtcText(tokenizer, check_blank(blank))
    core = GreedyCore(check_blank(blank))
    core.push(read_frames(log_probs, None if text is None else text.size, blank))
    return core.partial(text)
