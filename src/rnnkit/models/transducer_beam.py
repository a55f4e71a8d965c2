"""Beam search of a transducer, frame by frame.

Legend: T frames, F features of the encoder, J of the joiner, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch

from ..errors import DataError
from ..ops.state import map_state, reorder
from ..types import State
from .transducer_greedy import Joiner, TransducerDecoded

Tensor = torch.Tensor


class _Hypothesis(NamedTuple):
    """Labels with their score, and the predictor after them.

    Attributes:
        found: the labels.
        at_labels: W_p p_u [1, J].
        state: the predictor's, of one row.
    """

    found: TransducerDecoded
    at_labels: Tensor
    state: State


class _Extension(NamedTuple):
    """A label behind a hypothesis."""

    score: float
    parent: int
    token: int


class Beam:
    """Keeps the most probable label sequences of one sequence, whose frames may come in pieces.

    At a frame the hypotheses take the blank, which ends the frame for them, or a label, up to `max_symbols` times.
    Equal labels are one hypothesis, whose probabilities add up.

    Args:
        model: the transducer.
        width: hypotheses that are kept.
        max_symbols: labels that may be found at one frame.

    Attributes:
        frames: encoder frames that were read.
    """

    def __init__(self, model: Joiner, width: int, max_symbols: int) -> None:
        self._model, self._width, self._max_symbols = model, width, max_symbols
        self._kept: list[_Hypothesis] = []
        self.reset()

    def reset(self) -> None:
        """Begin anew, before the first frame."""
        self._kept, self.frames = [_Hypothesis(TransducerDecoded(), *self._model.start(1))], 0

    def push(self, encoded: Tensor) -> None:
        """Read frames [T, F] of the encoder, without gradients; the model is in evaluation mode."""
        with torch.no_grad():
            for at_frame in self._model.from_encoder(encoded):
                self._kept = _read_frame(self._model, at_frame, self.frames, self._kept, self._width, self._max_symbols)
                self.frames += 1

    @property
    def found(self) -> list[TransducerDecoded]:
        """Up to `width` label sequences, the best first; their scores are ln P over what was kept."""
        return [one.found.copy() for one in self._kept]

    @property
    def stable(self) -> int:
        """How many first labels all hypotheses share: more frames do not change them."""
        first, *others = (one.found.tokens for one in self._kept)
        count = min(len(first), *(len(one) for one in others)) if others else len(first)
        return next((at for at in range(count) if any(one[at] != first[at] for one in others)), count)

    def flush(self) -> list[TransducerDecoded]:
        """Return `found`, and begin anew."""
        found = self.found
        self.reset()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what the frames so far left: tensors, numbers and lists."""
        hypotheses = [
            {
                "found": asdict(one.found),
                "at_labels": one.at_labels.clone(),
                "predictor": map_state(torch.clone, one.state),
            }
            for one in self._kept
        ]
        return {"frames": self.frames, "hypotheses": hypotheses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            DataError: it is not the state of such a search.
        """
        at_labels, predictor = self._model.start(1)
        try:
            kept = [
                _Hypothesis(
                    TransducerDecoded(**one["found"]).copy(),
                    one["at_labels"].to(at_labels).reshape(at_labels.shape).clone(),
                    map_state(lambda leaf, given: given.to(leaf).reshape(leaf.shape), predictor, one["predictor"]),
                )
                for one in state["hypotheses"]
            ]
            frames = int(state["frames"])
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise DataError(f"this is not the state of a transducer's beam search ({error!r})") from error
        self._kept, self.frames = kept, frames


def _read_frame(
    model: Joiner, at_frame: Tensor, frame: int, kept: list[_Hypothesis], width: int, max_symbols: int
) -> list[_Hypothesis]:
    ended: dict[tuple[int, ...], _Hypothesis] = {}  # with the blank of this frame, by their labels
    for count in range(max_symbols + 1):
        logits = model.join(at_frame, torch.cat([one.at_labels for one in kept]))
        log_p = logits.float().log_softmax(-1).cpu().double()
        for one, blank in zip(kept, log_p[:, model.blank].tolist(), strict=True):
            _add(ended, one, one.found.score + blank)
        if count == max_symbols:
            break
        # What follows can only be less probable: below the last that is kept, nothing is of use.
        scores = sorted((one.found.score for one in ended.values()), reverse=True)
        least = scores[width - 1] if len(scores) >= width else -math.inf
        chosen = [one for one in _extensions(log_p, kept, model.blank, width) if one.score > least]
        if not chosen:
            break
        kept = _extended(model, kept, chosen, log_p, frame)
    return sorted(ended.values(), key=lambda one: -one.found.score)[:width]


def _add(ended: dict[tuple[int, ...], _Hypothesis], one: _Hypothesis, score: float) -> None:
    """Put a hypothesis to those that ended. Probabilities of equal labels add up; the likelier one tells the times."""
    key = tuple(one.found.tokens)
    before = ended.get(key)
    if before is not None:
        total = _log_add(before.found.score, score)
        one = one if score > before.found.score else before
        score = total
    ended[key] = one._replace(found=replace(one.found, score=score))


def _log_add(a: float, b: float) -> float:
    most, least = max(a, b), min(a, b)
    return most if most == -math.inf else most + math.log1p(math.exp(least - most))


def _extensions(log_p: Tensor, kept: list[_Hypothesis], blank: int, width: int) -> list[_Extension]:
    """The most probable labels behind the hypotheses, of log_p [hypotheses, V]."""
    scores = log_p + torch.tensor([[one.found.score] for one in kept], dtype=torch.float64)
    scores[:, blank] = -torch.inf
    values, places = scores.flatten().topk(min(width, scores.numel()))
    vocabulary = log_p.shape[1]
    found = zip(values.tolist(), places.tolist(), strict=True)
    return [_Extension(value, place // vocabulary, place % vocabulary) for value, place in found if value > -math.inf]


def _extended(
    model: Joiner, kept: list[_Hypothesis], chosen: list[_Extension], log_p: Tensor, frame: int
) -> list[_Hypothesis]:
    """The hypotheses with their labels; the predictor reads all labels in one call."""
    device, axis = kept[0].at_labels.device, model.state_batch_axis
    before = map_state(lambda *leaves: torch.cat(leaves, axis), *(kept[one.parent].state for one in chosen))
    ids = torch.tensor([one.token for one in chosen], device=device)
    at_labels, state = model.read_label(ids, before)
    made = []
    for row, (score, parent, token) in enumerate(chosen):
        found = kept[parent].found.copy()
        found.add(token, frame, float(log_p[parent, token]))
        found.score = score
        own = reorder(state, torch.tensor([row], device=device), axis)
        made.append(_Hypothesis(found, at_labels[row : row + 1], own))
    return made
