"""A trained recogniser of speech: from sound to text, words with times, and streams.

    samples → features → normalisation → network → tokens, by the search of `Decoding` → words

What is stored with the network makes it whole: the settings of the features, the normalisation, the tokenizer and the
search. Legend: N samples, T frames, T' steps of the network, V tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.text.tokenizer import Tokenizer
from ..errors import ConfigError, DataError
from ..layers.modes import mode
from ..serialization import read_config
from .speech_batches import SpeechFront
from .speech_settings import Decoding
from .speech_stream import as_samples
from .speech_words import Word, words_of

if TYPE_CHECKING:
    from ..generation.ctc_results import Decoded
    from .speech_stream import Recognizer

STORED = "speech"  # in the extra of a model's file


class Transcript(NamedTuple):
    """What was recognised.

    Attributes:
        text: it.
        words: with their times.
        confidence: the mean of the words' confidences; 0 where there are none.
        seconds: the length of the sound.

    Example:
        >>> Transcript("yes", [Word("yes", 0.5, 0.8, 0.9)], 0.9, 1.0).to_json()["confidence"]
        0.9
    """

    text: str
    words: list[Word]
    confidence: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "seconds": round(self.seconds, 3),
            "words": [word.to_json() for word in self.words],
        }


class Transcriber:
    """Recognise speech in waveforms, or in a stream of samples.

    Args:
        model: a :class:`rnnkit.SpeechRecognizer`, a :class:`rnnkit.TransducerModel`, or a
            :class:`rnnkit.AttentionRecognizer`, which takes no stream.
        front: what makes features for it.
        tokenizer: of its tokens, whose first one is the blank.
        decoding: the search.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "utterance"))
        >>> model = rnnkit.SpeechRecognizer(rnnkit.GRU(16, 8), 6, front=rnnkit.CausalConv(40, 16))
        >>> transcriber = Transcriber(model, front, train_tokenizer("word", ["yes no"]))
        >>> [transcript] = transcriber([torch.randn(8000)])
        >>> transcript.seconds
        1.0
    """

    def __init__(self, model: Any, front: SpeechFront, tokenizer: Tokenizer, decoding: Decoding | None = None) -> None:
        self.model, self.front, self.tokenizer = model, front, tokenizer
        self.decoding = Decoding(tail=front.tail) if decoding is None else decoding
        self._search: Any = None

    @property
    def rate(self) -> int:
        """Samples a second of the sound that the features are made of."""
        return self.front.rate

    @property
    def step_seconds(self) -> float:
        """Seconds of a step of the network."""
        settings = self.front.features.settings
        return float(self.model.stride * settings.hop / settings.rate)

    @property
    def streams(self) -> str | None:
        """Why the recogniser takes no stream; None where it does."""
        problem: str | None = self.model.carry_problem
        if problem is None and self.front.norm.needs_whole:
            return "its features are normalised by the whole utterance: train with features.norm=running"
        return problem

    def with_decoding(self, **changes: Any) -> Transcriber:
        """Return the same recogniser with another search; `changes` are fields of `Decoding`."""
        return Transcriber(self.model, self.front, self.tokenizer, replace(self.decoding, **changes))

    def __call__(self, waveforms: Sequence[Tensor], *, batch_size: int = 16) -> list[Transcript]:
        """Return what is said in waveforms.

        Args:
            waveforms: [N] each, float32 in [−1, 1], with `rate` samples a second; see
                :func:`rnnkit.data.audio.waveforms.read_audio`.
            batch_size: waveforms that are recognised together; those of similar length go together.

        Raises:
            DataError: what arrived is no list of waveforms, or holds NaN.
        """
        if isinstance(waveforms, Tensor | np.ndarray | str | PathLike) or not isinstance(waveforms, Sequence):
            what = f"an array of shape {tuple(waveforms.shape)}" if hasattr(waveforms, "shape") else repr(waveforms)
            raise DataError(f"{what} arrived; expected a list of waveforms: transcriber([read_audio(path).samples])")
        waveforms = [as_samples(one) for one in waveforms]
        search = self.search()
        found: dict[int, Transcript] = {}
        order = np.argsort([len(one) for one in waveforms], kind="stable").tolist()
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            frames, lengths = self._frames([waveforms[row] for row in rows])
            with torch.inference_mode(), mode(self.model, training=False):
                decoded = search.read(self.model, frames, lengths)
            for row, one in zip(rows, decoded, strict=True):
                found[row] = self._transcript(one, len(waveforms[row]) / self.rate)
        return [found[row] for row in range(len(waveforms))]

    def log_probs(self, waveform: Tensor) -> Tensor:
        """Return log p of each token at each step of the network, [T', V], of one waveform [N].

        Of a transducer: given the tokens that are found before the step. Of an attention decoder: of its branch of CTC.
        """
        search = self.search()
        frames, lengths = self._frames([as_samples(waveform)])
        with torch.inference_mode(), mode(self.model, training=False):
            found: Tensor = search.log_probs(self.model, frames, lengths)
        return found

    def align(self, waveform: Tensor, text: str) -> Transcript:
        """Find when each word of a known text is said; see :func:`rnnkit.generation.align_words`.

        Args:
            waveform: [N], float32 in [−1, 1], with `rate` samples a second.
            text: what is said, as the network writes it.

        Returns:
            The text with the times of its words. A confidence is the probability that the network gave the word.

        Raises:
            ConfigError: the network was not trained by CTC. DataError: the text has no word, or characters that the
                network does not write; or the sound is too short for it.
        """
        from ..generation.alignment import align
        from ..generation.ctc_text import CtcText
        from .speech_heads import head_of

        if not head_of(self.model).aligns(self.model):
            raise ConfigError(
                "the network has no output of CTC, by which a text is aligned with sound; train with model.head=ctc, "
                "or with model.head=attention and model.ctc_weight above 0"
            )
        blank = getattr(self.model, "blank", 0)
        tokens = CtcText(self.tokenizer, blank).encode(text)
        if not tokens:
            raise DataError(f"the text {text!r} has no word; expected what is said")
        samples = as_samples(waveform)
        found = align(self.log_probs(samples), tokens, blank=blank)
        seconds = len(samples) / self.rate
        times = [(one.start, one.end) for one in found]
        return self._timed(tokens, times, [one.confidence for one in found], seconds)

    def attention(self, waveform: Tensor) -> tuple[list[int], Tensor] | None:
        """Return the tokens that are found in a waveform [N], and what the decoder attended to for each [U, T'].

        None of a network without an attention decoder.
        """
        search = self.search()
        if not hasattr(search, "attention"):
            return None
        frames, lengths = self._frames([as_samples(waveform)])
        with torch.inference_mode(), mode(self.model, training=False):
            found: tuple[list[int], Tensor] = search.attention(self.model, frames, lengths)
        return found

    def search(self) -> Any:
        """Return the search of `decoding`, for the outputs of `model`.

        Raises:
            DataError: the language model is not there, or is none. ConfigError: the network's search takes none.
        """
        from .speech_heads import head_of

        if self._search is None:  # a language model is read once, and only if something is recognised
            self._search = head_of(self.model).search(self.model, self.decoding, self.tokenizer)
        return self._search

    def stream(self, *, rate: int | None = None, endpoint: float | None = None) -> Recognizer:
        """Return an object that takes samples as they come; see :class:`rnnkit.tasks.speech_stream.Recognizer`.

        Args:
            rate: samples a second of what comes; None: `rate` of the recogniser.
            endpoint: seconds without a new token that end an utterance, 0 for never; None: as in `decoding`.

        Raises:
            ConfigError: the recogniser needs whole utterances; the message says why.
        """
        from .speech_stream import Recognizer

        return Recognizer(self, rate=rate, endpoint=endpoint)

    def to_extra(self) -> dict[str, Any]:
        """Return what is stored with the network, JSON values, for ``learner.extra``."""
        return {
            STORED: {
                **self.front.to_json(),
                "decoding": {one.name: getattr(self.decoding, one.name) for one in fields(Decoding)},
            },
            "tokenizer": self.tokenizer.to_dict(),
        }

    @staticmethod
    def from_extra(model: Any, extra: Mapping[str, Any]) -> Transcriber:
        """Return the recogniser of a network and what `to_extra` stored.

        Raises:
            DataError: the model is no recogniser of speech.
        """
        if STORED not in extra:
            raise DataError(
                "the model recognises no speech; expected one of a run of `rnnkit train speech`, or another recipe of "
                "speech"
            )
        stored = extra[STORED]
        front = SpeechFront.from_json(stored)
        known = {one.name for one in fields(Decoding)}
        values = {name: value for name, value in stored["decoding"].items() if name in known}
        values["hot_words"] = tuple(values.get("hot_words", ()))
        return Transcriber(model, front, Tokenizer.from_dict(extra["tokenizer"]), Decoding(**values))

    @torch.inference_mode()
    def _frames(self, waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the features of waveforms [B, T, M], where the network is, and their lengths [B]."""
        frames, lengths = self.front(waveforms)
        return frames.to(next(self.model.parameters()).device), lengths

    def _transcript(self, decoded: Decoded, seconds: float) -> Transcript:
        return self._timed(decoded.tokens, decoded.times, decoded.confidences, seconds)

    def _timed(
        self, tokens: list[int], times: Sequence[tuple[int, int]], confidences: Sequence[float], seconds: float
    ) -> Transcript:
        words = words_of(tokens, times, confidences, self.tokenizer, self.step_seconds)
        words = [word._replace(start=min(word.start, seconds), end=min(word.end, seconds)) for word in words]
        confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
        return Transcript(self.tokenizer.decode(tokens).strip(), words, confidence, seconds)

    def __repr__(self) -> str:
        return f"Transcriber({self.model!r}, {self.front.features}, {self.tokenizer!r})"


def load_transcriber(path: str | PathLike[str], *, device: str = "auto") -> Transcriber:
    """Return the recogniser of a run folder.

    Args:
        path: the folder of a run of speech.
        device: where to compute.

    Raises:
        RunFolderError: there is no model. DataError: it recognises no speech.

    Example:
        >>> transcriber = load_transcriber("runs/speech-1")                   # doctest: +SKIP
        >>> recognizer = transcriber.stream(rate=16000)                       # doctest: +SKIP
    """
    from ..models.loading import load
    from ..training.execution import find_device

    extra = read_config(path).get("extra", {})
    if STORED not in extra:
        raise DataError(f"{path} recognises no speech; expected a run of `rnnkit train speech`")
    return Transcriber.from_extra(load(path).to(find_device(device)), extra)
