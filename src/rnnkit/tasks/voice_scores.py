"""How well voice activity is detected: of frames, of segments, and how soon.

Legend: T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.audio.speech_segments import Segment, merged
from ..errors import DataError
from .voice_stream import VoiceSegment

_EARLY = 0.1  # seconds that a segment may begin before the true one and still belong to it


class VoiceTruth(NamedTuple):
    """What is true of a recording.

    Attributes:
        segments: where somebody speaks.
        labels: 1 for each frame with speech, else 0, [T].
        seconds: its length.

    Example:
        >>> VoiceTruth([Segment(0.1, 0.3)], torch.ones(3), 0.3).seconds
        0.3
    """

    segments: Sequence[Segment]
    labels: Tensor
    seconds: float


def frame_auc(scores: Tensor, labels: Tensor) -> float:
    """Return the probability that a frame of speech has a higher score than another frame; equal ones count half.

    Args:
        scores, labels: [T].

    Raises:
        DataError: all frames are of one kind.

    Example:
        >>> frame_auc(torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
        0.75
    """
    positive, negative = _both(scores, labels)
    ordered = negative.sort().values
    below = torch.searchsorted(ordered, positive)
    upto = torch.searchsorted(ordered, positive, right=True)
    return float((below + upto).double().mean() / (2 * len(negative)))


def best_threshold(scores: Tensor, labels: Tensor) -> float:
    """Return the threshold with the least mean of the share of speech that is missed and of silence that is taken.

    Args:
        scores, labels: [T].

    Raises:
        DataError: all frames are of one kind.

    Example:
        >>> round(best_threshold(torch.tensor([0.1, 0.4, 0.5, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0])), 2)
        0.45
    """
    positive, negative = (one.double().sort().values for one in _both(scores, labels))
    values = torch.cat([positive, negative]).unique()
    middles = torch.cat([values[:1] - 1e-6, (values[:-1] + values[1:]) / 2])
    missed = torch.searchsorted(positive, middles).double() / len(positive)
    taken = 1 - torch.searchsorted(negative, middles).double() / len(negative)
    return float(middles[int((missed + taken).argmin())])


def score_frames(scores: Tensor, labels: Tensor, threshold: float) -> dict[str, float]:
    """Return AUC, and the shares of speech that is missed and of silence that is taken at a threshold.

    Example:
        >>> score_frames(torch.tensor([0.1, 0.6, 0.5, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0]), 0.55)
        {'auc': 0.75, 'miss_rate': 0.5, 'false_alarm_rate': 0.5}
    """
    positive, negative = _both(scores, labels)
    return {
        "auc": frame_auc(scores, labels),
        "miss_rate": float((positive < threshold).double().mean()),
        "false_alarm_rate": float((negative >= threshold).double().mean()),
    }


def score_segments(
    found: Sequence[Sequence[VoiceSegment]], truth: Sequence[VoiceTruth], *, pause: float
) -> dict[str, float]:
    """Return what becomes of segments.

    Args:
        found: of each recording.
        truth: of each.
        pause: seconds; true segments that are less apart count as one, because the detector joins them.

    Returns:
        ``missed_speech``, the share of the time of speech that no segment covers; ``false_speech``, the share of the
        other time that one covers; ``missed_segments``, the share of true segments that none touches;
        ``false_alarms_per_hour``, found segments that touch no true one; ``delay_ms`` and ``delay_ms_worst_tenth``,
        from the beginning of true segments to the moment at which it is reported, for those that are reported: the
        median, and the median of the worst tenth.

    Example:
        >>> truth = VoiceTruth([Segment(1.0, 2.0)], torch.zeros(0), 3600.0)
        >>> found = [VoiceSegment(1.05, 2.0, 0.9, 1.12), VoiceSegment(5.0, 6.0, 0.6, 5.1)]
        >>> figures = score_segments([found], [truth], pause=0.3)
        >>> round(figures["missed_speech"], 3), figures["false_alarms_per_hour"], round(figures["delay_ms"])
        (0.05, 1.0, 120)
    """
    speech = other = missed = false = hours = 0.0
    true_count = untouched = alarms = 0
    delays: list[float] = []
    for own, one in zip(found, truth, strict=True):
        told = merged(Segment(found.start, found.end) for found in own)
        total, covered = _length(one.segments), _overlap(told, one.segments)
        speech, missed = speech + total, missed + total - covered
        other, false = other + one.seconds - total, false + _length(told) - covered
        hours += one.seconds / 3600
        alarms += sum(not _touches(segment, one.segments) for segment in told)
        for true in merged(one.segments, pause):
            true_count += 1
            untouched += not _touches(true, told)
            first = next((hit for hit in own if true.start - _EARLY <= hit.start < true.end), None)
            if first is not None:
                delays.append(max(first.told - true.start, 0.0))
    late = np.sort(delays)[-max(1, len(delays) // 10) :] if delays else np.full(1, np.nan)
    figures = {
        "missed_speech": missed / speech if speech else 0.0,
        "false_speech": false / other if other else 0.0,
        "missed_segments": untouched / true_count if true_count else 0.0,
        "false_alarms_per_hour": alarms / hours if hours else 0.0,
    }
    if delays:
        figures |= {"delay_ms": 1e3 * float(np.median(delays)), "delay_ms_worst_tenth": 1e3 * float(np.median(late))}
    return figures


def _both(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    spoken = labels > 0.5
    if not spoken.any() or spoken.all():
        what = "speech" if spoken.all() and len(spoken) else "silence"
        raise DataError(f"all {len(labels):,} frames are {what}; expected frames of both kinds")
    return scores[spoken], scores[~spoken]


def _length(segments: Sequence[Any]) -> float:
    return float(sum(one.end - one.start for one in segments))


def _overlap(first: Sequence[Segment], second: Sequence[Segment]) -> float:
    """Return the time that two lists of segments share; each is in order, and its segments do not overlap."""
    total, at = 0.0, 0
    for one in first:
        while at < len(second) and second[at].end <= one.start:
            at += 1
        number = at
        while number < len(second) and second[number].start < one.end:
            total += max(0.0, min(one.end, second[number].end) - max(one.start, second[number].start))
            number += 1
    return total


def _touches(one: Segment, others: Sequence[Segment]) -> bool:
    return any(other.start < one.end and other.end > one.start for other in others)
