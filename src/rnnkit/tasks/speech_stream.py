"""Speech as it is spoken: samples in, words out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.audio.waveforms import LOUDEST
from ..errors import ConfigError, DataError, check_number, check_whole
from ..layers.modes import mode
from .speech_words import Settled, Word, WordReader


class StreamedModel(Protocol):
    """What a stream asks of a recogniser; :class:`rnnkit.tasks.speech.Transcriber` documents each part."""

    model: Any
    front: Any
    tokenizer: Any
    decoding: Any

    @property
    def rate(self) -> int: ...

    @property
    def step_seconds(self) -> float: ...

    @property
    def streams(self) -> str | None: ...

    def search(self) -> Any: ...


class Partial(NamedTuple):
    """What is recognised so far.

    Attributes:
        text: of the utterance so far.
        words: those that became final since the call before, with their times from the beginning of the stream.
        pending: the end of the text that may still change.
        endpoint: whether the utterance ended: the next word begins another one.
        seconds: of sound that arrived.

    Example:
        >>> Partial("turn left", [Word("turn", 0.4, 0.6, 0.99)], "left", endpoint=False, seconds=1.2).pending
        'left'
    """

    text: str
    words: list[Word]
    pending: str
    endpoint: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "text": self.text,
            "words": [word.to_json() for word in self.words],
            "pending": self.pending,
            "endpoint": self.endpoint,
            "seconds": round(self.seconds, 3),
        }


class Recognizer:
    """Take samples as they come and return words as they are recognised; ``transcriber.stream()`` makes one.

    Chunks of any size give the same words. Without endpoints they are those of the whole sound at once. A word is final
    when another has begun, when the utterance ended, or at once where a token is a word. With a beam search a word is
    final when all beginnings that the search follows agree on it.

    The network is the transcriber's own: weights that change, as in training, count from the next push on. The work of
    a push does not grow with the utterance, but for copying its tokens.

    An utterance ends after `endpoint` seconds without a new token. The search then starts again. The network keeps its
    state: a word that is being spoken at that time is read completely, and belongs to the next utterance.

    Args:
        transcriber: the trained recogniser.
        rate: samples a second of what comes; None: that of the recogniser.
        endpoint: see above; 0: never; None: as in the recogniser's `decoding`.

    Attributes:
        rate: samples a second of what comes.

    Raises:
        ConfigError: the recogniser needs whole utterances; the message says why.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> from rnnkit.tasks.speech import Transcriber
        >>> from rnnkit.tasks.speech_batches import SpeechFront
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "none"))
        >>> model = rnnkit.SpeechRecognizer(rnnkit.GRU(16, 8), 6, front=rnnkit.CausalConv(40, 16))
        >>> transcriber, sound = Transcriber(model, front, train_tokenizer("word", ["yes no"])), torch.randn(8000)
        >>> recognizer = transcriber.stream(endpoint=0)
        >>> words = [word for chunk in sound.split(500) for word in recognizer.push(chunk).words]
        >>> words += recognizer.flush().words
        >>> [word.text for word in words] == [word.text for word in transcriber([sound])[0].words]
        True
    """

    def __init__(self, transcriber: StreamedModel, *, rate: int | None = None, endpoint: float | None = None) -> None:
        if transcriber.streams is not None:
            raise ConfigError(f"a stream hears no end of the utterance, but {transcriber.streams}")
        check_whole(rate, "rate", optional=True)
        check_number(endpoint, "endpoint", optional=True)
        self._transcriber = transcriber
        self.rate = transcriber.rate if rate is None else rate
        self._endpoint = transcriber.decoding.endpoint if endpoint is None else endpoint
        # What it has of a language model and of words is made once; an end of an utterance restarts it.
        self._search = transcriber.search()
        self._decoder = self._search.decoder()
        # Each token ends a word, unless words are made of several.
        self._whole_words = transcriber.tokenizer.kind == "word" and transcriber.decoding.greedy
        self._features = transcriber.front.features.stream()
        self._norm = transcriber.front.norm.stream()
        self.reset()

    def reset(self) -> None:
        """Forget all sound, and start again."""
        self._resampler = self._make_resampler()
        self._features.reset()
        self._norm.reset()
        self._decoder.flush()
        self._arrived = 0  # samples, at their own rate
        self._steps = 0  # of the network, from the beginning of the stream
        self._state: Any = None  # of the network
        self._begin_utterance(0)

    @torch.inference_mode()
    def push(self, samples: Any) -> Partial:
        """Take the next samples, and return what is recognised so far.

        Args:
            samples: [n], floats in [−1, 1], a tensor or an array; n may be 0. Integers of 16 bits are scaled.

        Raises:
            DataError: another shape or type, NaN, or floats far beyond 1. The stream can continue with other samples.
        """
        chunk = as_samples(samples)
        self._arrived += len(chunk)
        if self._resampler is not None:
            chunk = self._resampler.push(chunk)
        return self._take(self._features.push(chunk))

    @torch.inference_mode()
    def flush(self) -> Partial:
        """End the sound, and return what is recognised; the next samples begin another one.

        The silence that the network was trained to hear after an utterance is heard first, so that the last word is
        complete however close the sound ends after it.
        """
        front = self._transcriber.front
        rest = torch.zeros(0) if self._resampler is None else self._resampler.flush()
        last = torch.cat([rest, torch.zeros(front.tail_samples)])
        frames = torch.cat([self._features.push(last), self._features.flush()])
        found = self._take(frames, last=True)
        self.reset()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what a stream needs to continue elsewhere: numbers, texts and tensors, nested."""
        return {
            "rate": self.rate,
            "arrived": self._arrived,
            "steps": self._steps,
            "offset": self._offset,
            "told": self._told,
            "settled": tuple(self._reader.settled),
            "text": self._partial.text,
            "pending": self._partial.pending,
            "resampler": None if self._resampler is None else self._resampler.state_dict(),
            "features": self._features.state_dict(),
            "norm": self._norm.state_dict(),
            "network": self._state,
            "decoder": self._decoder.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where another stream of the same recogniser stood.

        Raises:
            ConfigError: that stream took another rate. DataError: it is not the state of a stream.
        """
        if not isinstance(state, Mapping) or not self.state_dict().keys() <= state.keys():
            what = f"{sorted(map(str, state))}" if isinstance(state, Mapping) else type(state).__name__
            raise DataError(f"{what} arrived; expected the state of a stream, which recognizer.state_dict() returns")
        if state["rate"] != self.rate:
            raise ConfigError(
                f"the state of a stream of {state['rate']} samples a second arrived; this one takes {self.rate}: type "
                f"transcriber.stream(rate={state['rate']})"
            )
        self.reset()
        self._arrived, self._steps = state["arrived"], state["steps"]
        self._begin_utterance(state["offset"])
        self._told, self._state = state["told"], state["network"]
        self._reader.settled = Settled(*state["settled"])
        self._partial = Partial(state["text"], [], state["pending"], False, 0.0)
        if self._resampler is not None:
            self._resampler.load_state_dict(state["resampler"])
        self._features.load_state_dict(state["features"])
        self._norm.load_state_dict(state["norm"])
        self._decoder.load_state_dict(state["decoder"])

    def _make_resampler(self) -> Any:
        if self.rate == self._transcriber.rate:
            return None
        from ..data.audio.resampling import Resampler

        return Resampler(self.rate, self._transcriber.rate)

    def _begin_utterance(self, offset: int) -> None:
        self._offset = offset  # the step that the utterance begins with
        step = self._transcriber.step_seconds
        self._reader = WordReader(self._transcriber.tokenizer, step, offset=offset * step)
        self._told = 0  # its words that were final
        self._partial = Partial("", [], "", False, 0.0)

    def _take(self, frames: Tensor, *, last: bool = False) -> Partial:
        if not last and not len(frames):  # no frame is complete: nothing changes
            return self._partial._replace(words=[], endpoint=False, seconds=self._arrived / self.rate)
        model = self._transcriber.model
        frames = self._norm.push(frames) if len(frames) else frames
        device = next(model.parameters()).device
        with mode(model, training=False):
            values, self._state = self._search.chunk(model, frames[None].to(device), self._state)
            if last:
                values = torch.cat([values, self._search.finish(model, self._state)])
            self._steps += len(values)
            decoded = self._decoder.push(values)
        ended = last or self._has_ended(decoded)
        if ended:
            decoded = self._decoder.flush()[0]
        words, known, seconds = self._words(decoded), self._reader.settled.words, self._arrived / self.rate
        count = max(self._told, known + len(words) if ended else self._final(decoded, known + len(words)))
        new, pending = words[self._told - known : count - known], " ".join(one.text for one in words[count - known :])
        text, self._told = self._reader.text, count
        self._reader.settle(count, decoded.stable)
        if ended and not last:
            self._begin_utterance(self._steps)
        else:
            self._partial = Partial(text, [], pending, False, seconds)
        return Partial(text, new, pending, ended, seconds)

    def _final(self, decoded: Any, words: int) -> int:
        """Return how many words of an unfinished utterance will not change."""
        if self._whole_words:
            return words
        if self._transcriber.decoding.greedy:
            return max(0, words - 1)
        return int(min(decoded.stable_words, words))

    def _has_ended(self, decoded: Any) -> bool:
        if not self._endpoint or not decoded.tokens:
            return False
        silent = self._steps - self._offset - decoded.times[-1][1]
        return bool(silent * self._transcriber.step_seconds >= self._endpoint)

    def _words(self, decoded: Any) -> list[Word]:
        """Return the words that are not settled."""
        found, latest = self._reader.read(decoded.tokens, decoded.times, decoded.confidences), self._arrived / self.rate
        return [word._replace(start=min(word.start, latest), end=min(word.end, latest)) for word in found]


def as_samples(samples: Any) -> Tensor:
    """Return samples as a tensor [n] of float32.

    Floats beyond 1 are cut there, as those of files are.

    Raises:
        DataError: another shape, no numbers, NaN, or floats that are integers of 16 bits.

    Example:
        >>> as_samples(np.array([0, 16384, -32768], np.int16)).tolist()
        [0.0, 0.5, -1.0]
    """
    expected = "expected floats [n] in [-1, 1], or integers of 16 bits"
    if isinstance(samples, list | tuple) or (isinstance(samples, np.ndarray) and not samples.flags.writeable):
        samples = np.array(samples)  # a copy: PyTorch warns of arrays that must not be written, as of np.frombuffer
    try:
        found = torch.as_tensor(samples)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"samples of the type {type(samples).__name__} arrived; {expected}") from None
    if found.dim() != 1 or not (found.is_floating_point() or found.dtype == torch.int16 or not len(found)):
        raise DataError(f"samples of shape {tuple(found.shape)} and type {found.dtype} arrived; {expected}")
    if found.dtype == torch.int16:
        return found.float() / 32768
    found = found.float()
    peak = float(found.abs().max()) if len(found) else 0.0
    if not peak <= LOUDEST:  # NaN, too
        raise DataError(
            f"samples hold NaN or infinity; {expected}"
            if not np.isfinite(peak)
            else f"samples are floats up to {peak:,.0f}; {expected}: type samples / 32768"
        )
    return found.clamp(-1, 1) if peak > 1 else found
