"""Beam search of a transducer, frame by frame.

Label sequences y are kept, as many as the beam is wide, ordered by

    ln Σ_a P(a | x) + score(y),    a the alignments of y that were followed

with the score of :mod:`rnnkit.generation.ctc_scoring`: a language model and the like count for labels, not for blanks
(shallow fusion). Alignments with the same labels are summed (Graves 2012; Saon et al. 2020, "Alignment-length
synchronous decoding for RNN transducer", have this variant as time-synchronous decoding).

Legend: T frames, F features of the encoder, J of the joiner, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..errors import DataError
from ..layers.quantized_dense import weight_like
from ..ops.state import map_state, reorder
from ..types import State
from .ctc_results import Decoded, joined
from .transducer_best_path import Joiner

if TYPE_CHECKING:
    from .ctc_scoring import TextScorer, TextState
    from .ctc_text import CtcText

Tensor = torch.Tensor
Link = Any  # the frame of a label, its probability, and the labels before: (…, link or None)
_MADE_UP = 5.0  # that a label may score below the last that is kept, since the text of the next one may raise it


class Labels:
    """Labels, and what predictor and text make of them; made once, while any hypothesis begins with them.

    Attributes:
        tokens: the labels.
        text: the state of their text; None without a scorer.
        at_labels: W_p p_u [1, J]; None before the predictor has read the last label.
        state: the predictor's, of one row.
        following: the labels with one more, by this one; None where the texts allow none.
    """

    __slots__ = ("at_labels", "following", "state", "text", "tokens")

    def __init__(self, tokens: tuple[int, ...], text: TextState | None) -> None:
        self.tokens, self.text = tokens, text
        self.at_labels: Tensor | None = None
        self.state: State = None
        self.following: dict[int, Labels | None] = {}


class Hypothesis(NamedTuple):
    """Labels with their probability.

    Attributes:
        labels: them.
        log_p: ln of the sum over the alignments that were followed.
        path: ln of the most probable of these.
        link: the times of the labels on that one.
    """

    labels: Labels
    log_p: float
    path: float
    link: Link

    @property
    def key(self) -> float:
        """What hypotheses are ordered by."""
        return self.log_p + (0.0 if self.labels.text is None else self.labels.text.score)

    def times(self) -> list[tuple[int, float]]:
        """Return of each label the frame at which it was found, and its probability there."""
        found, link = [], self.link
        while link is not None:
            frame, sure, link = link
            found.append((frame, sure))
        return found[::-1]


class TransducerBeam:
    """Keeps the best label sequences of one sequence, whose frames may come in pieces.

    At a frame the hypotheses take the blank, which ends the frame for them, or a label, up to `max_symbols` times.
    Equal labels are one hypothesis, whose probabilities add up.

    Args:
        model: the transducer, in evaluation mode while frames are read.
        width: hypotheses that are kept.
        max_symbols: labels that may be found at one frame.
        margin: labels whose log-probability lies that far below the largest are not tried; None: all are.
        most_tokens: the most probable labels that are tried after a hypothesis; None: all.
        scorer: what scores texts; None: nothing does.
        settle_after: hypotheses that differ from the best in a label that was found this number of frames ago are
            dropped, so that the first labels become stable; None: none is.

    Attributes:
        frames: encoder frames that were read.
        kept: the hypotheses, the best first.
    """

    kind = "beam"

    def __init__(
        self,
        model: Joiner,
        *,
        width: int,
        max_symbols: int,
        margin: float | None = None,
        most_tokens: int | None = None,
        scorer: TextScorer | None = None,
        settle_after: int | None = None,
    ) -> None:
        self._model, self._width, self._max_symbols = model, width, max_symbols
        self._margin, self._most_tokens, self.scorer = margin, most_tokens, scorer
        self._settle_after = settle_after
        self.kept: list[Hypothesis] = []
        self.frames = 0
        self.restart()

    def restart(self) -> None:
        """Start again, before the first frame."""
        labels = Labels((), None if self.scorer is None else self.scorer.begin)
        labels.at_labels, labels.state = self._model.start(1)
        self.kept, self.frames = [Hypothesis(labels, 0.0, 0.0, None)], 0

    def push(self, encoded: Tensor) -> None:
        """Read frames [1, T, F] of the encoder."""
        for at_frame in self._model.from_encoder(encoded[0]):
            self.kept = self._read_frame(at_frame)
            self.frames += 1

    @property
    def stable(self) -> int:
        """How many first labels all hypotheses share: more frames do not change them."""
        first, *others = (one.labels.tokens for one in self.kept)
        count = min(map(len, (first, *others)))
        return next((at for at in range(count) if any(one[at] != first[at] for one in others)), count)

    def partial(self, text: CtcText | None) -> Decoded:
        """Return the best labels so far."""
        return self._decoded(self.kept[0], self.kept[0].key, self.stable, text)

    def finished(self, text: CtcText | None) -> list[Decoded]:
        """Return the hypotheses at the end, the best first; of those that the word list lets end, if there are any."""
        ended = []
        for one in self.kept:
            score: float | None = 0.0
            if self.scorer is not None and one.labels.text is not None:
                score = self.scorer.finish(one.labels.text)
            if score is not None:
                ended.append((one, one.log_p + score))
        ended = ended or [(one, one.key) for one in self.kept]
        found = [self._decoded(one, score, len(one.labels.tokens), text) for one, score in ended]
        return sorted(found, key=lambda one: -one.score) if text is None else joined(found)

    def _decoded(self, one: Hypothesis, score: float, stable: int, text: CtcText | None) -> Decoded:
        times = one.times()
        return Decoded(
            list(one.labels.tokens),
            [(frame, frame + 1) for frame, _ in times],
            score,
            [sure for _, sure in times],
            one.log_p,
            stable,
            text,
        )

    def _read_frame(self, at_frame: Tensor) -> list[Hypothesis]:
        model, width = self._model, self._width
        going, ended = self.kept, dict[tuple[int, ...], Hypothesis]()  # with the blank of this frame, by their labels
        for count in range(self._max_symbols + 1):
            logits = model.join(at_frame, torch.cat([_at_labels(one) for one in going]))
            log_p = logits.float().log_softmax(-1).cpu().double()
            for one, blank in zip(going, log_p[:, model.blank].tolist(), strict=True):
                _end(ended, one._replace(log_p=one.log_p + blank, path=one.path + blank))
            if count == self._max_symbols:
                break
            # What follows can only be less probable: below the last that is kept, nothing is of use.
            keys = sorted((one.key for one in ended.values()), reverse=True)
            least = keys[width - 1] if len(keys) >= width else -math.inf
            if self.scorer is not None:
                least -= _MADE_UP
            longer = [one for one in self._longer(going, log_p) if one.key > least]
            going = sorted(longer, key=lambda one: -one.key)[:width]
            if not going:
                break
            self._read_labels(going)
        best = sorted(ended.values(), key=lambda one: -one.key)[:width]
        if not best[0].key > -math.inf:
            raise DataError(f"no labels have a probability above 0 in frame {self.frames}")
        return self._settled(best)

    def _longer(self, going: list[Hypothesis], log_p: Tensor) -> Iterator[Hypothesis]:
        """Yield the hypotheses with one label more, of log_p [hypotheses, V]."""
        own = log_p.clone()
        own[:, self._model.blank] = -torch.inf
        if self._margin is not None:
            own[own < log_p.max(1, keepdim=True).values - self._margin] = -torch.inf
        if self.scorer is None:  # no text changes their order
            scores = own + torch.tensor([[one.log_p] for one in going], dtype=torch.float64)
            places = scores.flatten().topk(min(self._width, scores.numel())).indices
            rows, tokens = places // own.shape[1], places % own.shape[1]
        else:
            most = own.shape[1] if self._most_tokens is None else min(self._most_tokens, own.shape[1])
            tokens = own.topk(most, 1).indices.flatten()
            rows = torch.arange(len(going)).repeat_interleave(most)
        values = own[rows, tokens].tolist()
        for row, token, value in zip(rows.tolist(), tokens.tolist(), values, strict=True):
            if value == -math.inf:
                continue
            before = going[row]
            labels = self._labels(before.labels, token)
            if labels is not None:
                link = (self.frames, math.exp(value), before.link)
                yield Hypothesis(labels, before.log_p + value, before.path + value, link)

    def _labels(self, before: Labels, token: int) -> Labels | None:
        """Return labels with one more; None where the texts allow none."""
        if token not in before.following:
            text = None
            if self.scorer is not None:
                assert before.text is not None
                text = self.scorer.extend(before.text, token)
            allowed = self.scorer is None or text is not None
            before.following[token] = Labels((*before.tokens, token), text) if allowed else None
            if allowed:
                # The predictor continues from here when the label is taken.
                before.following[token].state = before.state  # type: ignore[union-attr]
        return before.following[token]

    def _read_labels(self, hypotheses: list[Hypothesis]) -> None:
        """Let the predictor read the last labels of hypotheses where it has not, all in one call."""
        new = [one.labels for one in hypotheses if one.labels.at_labels is None]
        if not new:
            return
        model, device = self._model, weight_like(self._model.from_encoder).device
        axis = model.state_batch_axis
        before = map_state(lambda *leaves: torch.cat(leaves, axis), *(one.state for one in new))
        at_labels, state = model.read_label(torch.tensor([one.tokens[-1] for one in new], device=device), before)
        for row, one in enumerate(new):
            one.at_labels = at_labels[row : row + 1]
            one.state = reorder(state, torch.tensor([row], device=device), axis)

    def _settled(self, kept: list[Hypothesis]) -> list[Hypothesis]:
        """Drop the hypotheses that differ from the best in a label that was found long ago."""
        if self._settle_after is None or len(kept) == 1:
            return kept
        link, count = kept[0].link, len(kept[0].labels.tokens)
        while link is not None and link[0] > self.frames - self._settle_after:
            link, count = link[2], count - 1
        begin = kept[0].labels.tokens[:count]
        return [one for one in kept if one.labels.tokens[:count] == begin] if count else kept

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left: tensors, numbers and lists."""
        hypotheses = [
            {
                "tokens": list(one.labels.tokens),
                "log_p": one.log_p,
                "path": one.path,
                "times": one.times(),
                "at_labels": _at_labels(one).clone(),
                "predictor": map_state(torch.clone, one.labels.state),
            }
            for one in self.kept
        ]
        return {"frames": self.frames, "hypotheses": hypotheses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            LookupError, TypeError, ValueError, AttributeError, RuntimeError: it is not the state of such a search.
        """
        at_labels, predictor = self._model.start(1)
        kept = []
        for one in state["hypotheses"]:
            text = None if self.scorer is None else self.scorer.begin
            for token in one["tokens"]:
                text = None if self.scorer is None or text is None else self.scorer.extend(text, token)
            if self.scorer is not None and text is None:
                raise ValueError("a hypothesis is not of the word list")
            labels = Labels(tuple(map(int, one["tokens"])), text)
            if one["at_labels"].shape != at_labels.shape:
                raise ValueError(f"features {tuple(one['at_labels'].shape)} of a joiner of {tuple(at_labels.shape)}")
            labels.at_labels = one["at_labels"].to(at_labels).clone()
            labels.state = map_state(
                lambda leaf, given: given.to(leaf).reshape(leaf.shape).clone(), predictor, one["predictor"]
            )
            link: Link = None
            for frame, sure in one["times"]:
                link = (int(frame), float(sure), link)
            kept.append(Hypothesis(labels, float(one["log_p"]), float(one["path"]), link))
        if not kept:
            raise ValueError("no hypothesis")
        self.kept, self.frames = kept, int(state["frames"])


def _at_labels(one: Hypothesis) -> Tensor:
    found = one.labels.at_labels
    assert found is not None
    return found


def _end(ended: dict[tuple[int, ...], Hypothesis], one: Hypothesis) -> None:
    """Add a hypothesis to those that ended. Probabilities of equal labels add up; the likelier path has the times."""
    before = ended.get(one.labels.tokens)
    if before is not None:
        likelier = one if one.path > before.path else before
        one = likelier._replace(log_p=_log_add(before.log_p, one.log_p))
    ended[one.labels.tokens] = one


def _log_add(a: float, b: float) -> float:
    most, least = max(a, b), min(a, b)
    return most if most == -math.inf else most + math.log1p(math.exp(least - most))
