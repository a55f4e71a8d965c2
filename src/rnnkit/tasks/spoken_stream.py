"""Speech as it is spoken, of which a detector of voice activity lets through what is speech alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError
from .speech_long import EDGE, KEPT
from .speech_stream import Partial, as_samples

if TYPE_CHECKING:
    from .speech import Transcriber
    from .voice_activity import VoiceDetector


class SpokenStream:
    """Take samples as they come, and recognise those in which somebody speaks, with 0.2 seconds around them.

    The detector notices a beginning late, so the last second is held and heard then. Each stretch of speech is an
    utterance, or several where the recogniser ends one earlier.

    Args:
        transcriber: the recogniser.
        detector: of voice activity.
        rate: samples a second of what comes; None: that of the recogniser.

    Attributes:
        rate: samples a second of what comes.

    Raises:
        ConfigError: the recogniser needs whole utterances; the message says why.

    Example:
        >>> stream = SpokenStream(transcriber, detector, rate=16000)            # doctest: +SKIP
        >>> for chunk in chunks:                                                # doctest: +SKIP
        ...     for partial in stream.push(chunk):
        ...         print(partial.text)
    """

    def __init__(self, transcriber: Transcriber, detector: VoiceDetector, *, rate: int | None = None) -> None:
        self._recognizer = transcriber.stream(rate=rate)
        self.rate = self._recognizer.rate
        self._voice = detector.stream(rate=self.rate)
        self._edge, self._kept = round(EDGE * self.rate), round(KEPT * self.rate)
        self.reset()

    def reset(self) -> None:
        """Forget all sound, and start again."""
        self._recognizer.reset()
        self._voice.reset()
        self._held = torch.zeros(0)  # sound that the recogniser did not hear
        self._first = 0  # the number of its first sample
        self._begin = 0  # the sample that the speech begins with
        self._speaking = False

    def push(self, samples: Any) -> list[Partial]:
        """Take the next samples, and return what is recognised so far; see :meth:`Recognizer.push`.

        Args:
            samples: [n], floats in [−1, 1], a tensor or an array; n may be 0. Integers of 16 bits are scaled.

        Returns:
            what became known, in order: of speech that ended, and of speech that continues. Times are those from the
            beginning of the stream.

        Raises:
            DataError: another shape or type, NaN, or floats far beyond 1.
        """
        chunk = as_samples(samples)
        self._held = torch.cat([self._held, chunk])
        found = [partial for event in self._voice.push(chunk) for partial in self._turn(event)]
        if self._speaking:
            found.append(self._hear(self._arrived))
        else:
            self._drop(self._arrived - self._kept)
        return found or [Partial("", [], "", False, self._arrived / self.rate)]

    def flush(self) -> list[Partial]:
        """End the sound, and return what is recognised; the next samples begin another one."""
        found = [partial for event in self._voice.flush() for partial in self._turn(event)]
        if self._speaking:
            found += self._end(self._arrived)
        found = found or [Partial("", [], "", True, self._arrived / self.rate)]
        self.reset()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere: numbers, texts and tensors, nested."""
        return {
            "recognizer": self._recognizer.state_dict(),
            "voice": self._voice.state_dict(),
            "held": self._held,
            "first": self._first,
            "begin": self._begin,
            "speaking": self._speaking,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream of the same recogniser and detector stood.

        Raises:
            ConfigError: that stream took another rate. DataError: it is not the state of such a stream.
        """
        if not isinstance(state, Mapping) or not self.state_dict().keys() <= state.keys():
            raise DataError("expected the state of a stream of speech alone, which stream.state_dict() returns")
        self._recognizer.load_state_dict(state["recognizer"])
        self._voice.load_state_dict(state["voice"])
        self._held, self._first = state["held"], state["first"]
        self._begin, self._speaking = state["begin"], state["speaking"]

    @property
    def _arrived(self) -> int:
        return self._first + len(self._held)

    def _turn(self, event: Any) -> list[Partial]:
        """Begin or end speech."""
        at = round(event.time * self.rate)
        if event.kind == "start":
            self._drop(at - self._edge)
            self._begin, self._speaking = self._first, True
            return []
        return self._end(at + self._edge) if self._speaking else []

    def _end(self, at: int) -> list[Partial]:
        """Let the recogniser hear speech to its end, sample number `at`, unless it heard more already."""
        found = [self._hear(at), self._placed(self._recognizer.flush())]
        self._speaking = False
        return found

    def _hear(self, to: int) -> Partial:
        """Let the recogniser hear up to sample number `to`."""
        count = max(0, min(to, self._arrived) - self._first)
        partial = self._recognizer.push(self._held[:count])
        self._drop(self._first + count)
        return self._placed(partial)

    def _placed(self, partial: Partial) -> Partial:
        """Count the times of a stretch of speech from the beginning of the stream."""
        shift = self._begin / self.rate
        words = [word._replace(start=word.start + shift, end=word.end + shift) for word in partial.words]
        return partial._replace(words=words, seconds=self._arrived / self.rate)

    def _drop(self, to: int) -> None:
        """Forget held sound before sample number `to`."""
        count = min(max(0, to - self._first), len(self._held))
        self._held = self._held[count:].clone()
        self._first += count
