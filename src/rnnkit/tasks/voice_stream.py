"""Voice activity as it is heard: samples in, beginnings and ends of speech out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from ..data.audio.resampling import Resampler
from ..errors import ConfigError, DataError, check_number, check_whole
from ..layers.modes import mode
from .speech_stream import as_samples
from .voice_settings import Segmenting

_FEW = 8  # frames up to which single steps cost less than a call for all of them


class StreamedDetector(Protocol):
    """What a stream asks of a detector; :class:`rnnkit.tasks.voice_activity.VoiceDetector` documents each part."""

    model: Any
    front: Any

    @property
    def rate(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def segmenter(self) -> Segmenter: ...


class VoiceSegment(NamedTuple):
    """A stretch of time in which somebody speaks.

    Attributes:
        start, end: in seconds.
        confidence: the mean probability of its frames.
        told: the seconds of sound that had arrived when the beginning was reported.

    Example:
        >>> VoiceSegment(0.5, 2.0, 0.987, 0.61).to_json()
        {'start': 0.5, 'end': 2.0, 'confidence': 0.987}
    """

    start: float
    end: float
    confidence: float
    told: float

    def to_json(self) -> dict[str, float]:
        """Return start, end and confidence, rounded to milliseconds."""
        return {"start": round(self.start, 3), "end": round(self.end, 3), "confidence": round(self.confidence, 4)}


class VoiceEvent(NamedTuple):
    """Speech begins, or has ended.

    Attributes:
        kind: "start" or "end".
        time: when it happened, in seconds from the beginning of the stream.
        told: the seconds of sound that had arrived when it was reported.
        confidence: the mean probability of the frames of the segment so far.

    Example:
        >>> VoiceEvent("start", 1.2, 1.29, 0.97).told > 1.2
        True
    """

    kind: str
    time: float
    told: float
    confidence: float


class Segmenter:
    """Make segments of the probabilities of frames, as they come.

    A segment begins at the first of the frames that reach the threshold for `min_speech` seconds. It ends after the
    last frame that reaches `release` times the threshold, when none did for `min_silence` seconds.

    Args:
        settings: with a threshold.
        hop: seconds from one frame to the next.
        window: seconds of a frame.

    Raises:
        ConfigError: the threshold is missing.

    Example:
        >>> segmenter = Segmenter(Segmenting(threshold=0.5, min_speech=0.02, min_silence=0.03), hop=0.01, window=0.02)
        >>> events = segmenter.push([0.1, 0.9, 0.8, 0.9, 0.1, 0.1, 0.1])
        >>> [(event.kind, round(event.time, 3), round(event.told, 3)) for event in events]
        [('start', 0.015, 0.04), ('end', 0.045, 0.08)]
    """

    def __init__(self, settings: Segmenting, *, hop: float, window: float) -> None:
        if settings.threshold is None:
            raise ConfigError("threshold=None arrived; expected a number between 0 and 1")
        check_number(hop, "hop", above=0)
        check_number(window, "window", above=0)
        self.settings, self.hop, self.window = settings, hop, window
        self._on, self._off = settings.threshold, settings.threshold * settings.release
        self._least = max(1, round(settings.min_speech / hop))
        self._pause = max(1, round(settings.min_silence / hop))
        self.reset()

    def reset(self) -> None:
        """Start again."""
        self._frame = 0  # the next one
        self._begin = -1  # the first frame of a segment, or of what may become one
        self._last = -1  # the last one of speech, of a segment that was reported
        self._sum = self._since = 0.0  # of probabilities up to the last frame of speech, and after it
        self.speaking = False

    def push(self, probabilities: Iterable[float]) -> list[VoiceEvent]:
        """Take the probabilities of the next frames, and return what begins and ends."""
        found = []
        for value in probabilities:
            event = self._speaking(value) if self.speaking else self._silent(value)
            self._frame += 1
            if event is not None:
                found.append(event)
        return found

    def flush(self, seconds: float) -> list[VoiceEvent]:
        """End the sound, which was so long, and a segment with it; the next frames begin another one."""
        found = []
        if self.speaking:
            # Frames end with the sound: speech up to the last frame lasts to the end of the sound.
            last = self._last == self._frame - 1
            time = seconds if last else min(self._time(self._last + 1), seconds)
            found = [VoiceEvent("end", time, seconds, self._mean())]
        self.reset()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to continue elsewhere."""
        return {
            "frame": self._frame, "begin": self._begin, "last": self._last,
            "sum": self._sum, "since": self._since, "speaking": self.speaking,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another one stood."""
        self._frame, self._begin, self._last = int(state["frame"]), int(state["begin"]), int(state["last"])
        self._sum, self._since, self.speaking = float(state["sum"]), float(state["since"]), bool(state["speaking"])

    def _silent(self, value: float) -> VoiceEvent | None:
        if value < self._on:
            self._begin = -1
            return None
        if self._begin < 0:
            self._begin, self._sum = self._frame, 0.0
        self._sum += value
        if self._frame - self._begin + 1 < self._least:
            return None
        self.speaking, self._last, self._since = True, self._frame, 0.0
        return VoiceEvent("start", self._time(self._begin), self._told(), self._mean())

    def _speaking(self, value: float) -> VoiceEvent | None:
        self._since += value
        if value >= self._off:
            self._last = self._frame
            self._sum, self._since = self._sum + self._since, 0.0
            return None
        if self._frame - self._last < self._pause:
            return None
        event = VoiceEvent("end", self._time(self._last + 1), self._told(), self._mean())
        self.speaking, self._begin = False, -1
        return event

    def _mean(self) -> float:
        return self._sum / max(self._last - self._begin + 1 if self.speaking else self._frame - self._begin + 1, 1)

    def _time(self, frame: int) -> float:
        """Return where the middle hop of a frame begins: so long from the beginning of the sound; 0 of the first."""
        return frame * self.hop + (self.window - self.hop) / 2 if frame else 0.0

    def _told(self) -> float:
        return self._frame * self.hop + self.window


def segments_of(events: Iterable[VoiceEvent]) -> list[VoiceSegment]:
    """Return the segments of beginnings and ends that follow one another.

    Example:
        >>> segments_of([VoiceEvent("start", 0.5, 0.6, 0.9), VoiceEvent("end", 1.0, 1.4, 0.95)])
        [VoiceSegment(start=0.5, end=1.0, confidence=0.95, told=0.6)]
    """
    found, begun = [], None
    for event in events:
        if event.kind == "start":
            begun = event
        elif begun is not None:
            found.append(VoiceSegment(begun.time, event.time, event.confidence, begun.told))
            begun = None
    return found


class VoiceStream:
    """Take samples as they come, and return where speech begins and ends; ``detector.stream()`` makes one.

    Chunks of any size give the events of the whole sound.

    Args:
        detector: the trained one.
        rate: samples a second of what comes; None: that of the detector.

    Attributes:
        rate: samples a second of what comes.
        probability: of the last frame that is complete; 0 before the first.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> from rnnkit.tasks.speech_batches import SpeechFront
        >>> from rnnkit.tasks.voice_activity import VoiceDetector
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "none"), tail=0.0)
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(40, 8), outputs=1, activation="sigmoid")
        >>> detector = VoiceDetector(model, front, Segmenting(threshold=0.5))
        >>> stream, sound = detector.stream(), torch.randn(8000)
        >>> events = [event for chunk in sound.split(240) for event in stream.push(chunk)] + stream.flush()
        >>> len(segments_of(events)) == len(detector(sound))
        True
    """

    def __init__(self, detector: StreamedDetector, *, rate: int | None = None) -> None:
        check_whole(rate, "rate", optional=True)
        self._detector = detector
        self.rate = detector.rate if rate is None else rate
        self._resampler = None if self.rate == detector.rate else Resampler(self.rate, detector.rate)
        self._features, self._norm = detector.front.features.stream(), detector.front.norm.stream()
        self._segmenter = detector.segmenter()
        self._steps = detector.model.stream(1)
        self.reset()

    @property
    def speaking(self) -> bool:
        """Whether somebody speaks."""
        return self._segmenter.speaking

    @property
    def seconds(self) -> float:
        """The sound that arrived."""
        return self._arrived / self.rate

    def reset(self) -> None:
        """Forget all sound, and start again."""
        if self._resampler is not None:
            self._resampler.reset()
        self._features.reset()
        self._norm.reset()
        self._segmenter.reset()
        self._steps.state = self._detector.model.initial_state(1, self._detector.device)
        self._arrived, self.probability = 0, 0.0

    def push(self, samples: Any) -> list[VoiceEvent]:
        """Take the next samples, and return what begins and ends.

        Args:
            samples: [n], floats in [−1, 1], a tensor or an array; n may be 0. Integers of 16 bits are scaled.

        Raises:
            DataError: another shape or type.
        """
        chunk = as_samples(samples)
        self._arrived += len(chunk)
        if self._resampler is not None:
            chunk = self._resampler.push(chunk)
        return self._segmenter.push(self._probabilities(self._features.push(chunk)))

    def flush(self) -> list[VoiceEvent]:
        """End the sound, and a segment with it; the next samples begin another one."""
        events: list[VoiceEvent] = []
        if self._resampler is not None:
            events = self._segmenter.push(self._probabilities(self._features.push(self._resampler.flush())))
        events += self._segmenter.push(self._probabilities(self._features.flush()))
        events += self._segmenter.flush(self.seconds)
        self.reset()
        return events

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere: numbers and tensors, nested."""
        return {
            "rate": self.rate,
            "arrived": self._arrived,
            "probability": self.probability,
            "resampler": None if self._resampler is None else self._resampler.state_dict(),
            "features": self._features.state_dict(),
            "norm": self._norm.state_dict(),
            "network": self._steps.state,
            "segmenter": self._segmenter.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream of the same detector stood.

        Raises:
            ConfigError: that stream took another rate. DataError: it is not the state of a stream.
        """
        if not isinstance(state, Mapping) or not self.state_dict().keys() <= state.keys():
            raise DataError("expected the state of a stream of a detector, which stream.state_dict() returns")
        if state["rate"] != self.rate:
            raise ConfigError(
                f"the state of a stream of {state['rate']} samples a second arrived; this one takes {self.rate}: type "
                f"detector.stream(rate={state['rate']})"
            )
        self._steps.state = state["network"]
        self._arrived, self.probability = state["arrived"], state["probability"]
        if self._resampler is not None:
            self._resampler.load_state_dict(state["resampler"])
        self._features.load_state_dict(state["features"])
        self._norm.load_state_dict(state["norm"])
        self._segmenter.load_state_dict(state["segmenter"])

    @torch.inference_mode()
    def _probabilities(self, frames: Tensor) -> list[float]:
        if not len(frames):
            return []
        frames = self._norm.push(frames).to(self._detector.device)
        found: list[float]
        if len(frames) <= _FEW:
            found = [self._steps(frame[None]).item() for frame in frames]
        else:
            with mode(model := self._detector.model, training=False):
                values, state = model.forward_chunk(frames[None], self._steps.state)
            self._steps.state, found = state, values[0, :, 0].tolist()
        self.probability = found[-1]
        return found
