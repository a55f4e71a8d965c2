"""Beam search of a transducer, frame by frame.

Legend: T frames, F features of the encoder, J of the joiner, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch

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


def beam_search(model: Joiner, encoded: Tensor, width: int, max_symbols: int) -> list[TransducerDecoded]:
    """Return up to `width` label sequences of one row, the best first; their scores are ln P over what was kept.

    At a frame the hypotheses take the blank, which ends the frame for them, or a label, up to `max_symbols` times.
    Equal labels are one hypothesis, whose probabilities add up.

    Args:
        model: the transducer, in evaluation mode.
        encoded: the encoder's frames [T, F].
        width: hypotheses that are kept.
        max_symbols: labels that may be found at one frame.
    """
    at_labels, state = model.start(1)
    kept = [_Hypothesis(TransducerDecoded(), at_labels, state)]
    for frame, at_frame in enumerate(model.from_encoder(encoded)):
        kept = _read_frame(model, at_frame, frame, kept, width, max_symbols)
    return [one.found for one in kept]


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
