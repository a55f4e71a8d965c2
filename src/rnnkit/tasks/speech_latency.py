"""How soon a stream outputs a word, and how much of real time it needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch

from ..errors import DataError, check_number, check_whole
from ..layers.modes import mode
from .speech_words import split_spoken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .speech import Transcriber

_BEHIND = 1.0  # seconds of silence after an utterance, as of a microphone that stays open

_SOUND = 20.0  # seconds of sound for the real-time factor of an evaluation
_STRINGS = 40  # utterances for the latency of an evaluation


class TimedUtterances(Protocol):
    """Utterances whose words end at known times, as of :class:`rnnkit.tasks.speech_joined.JoinedUtterances`."""

    @property
    def texts(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def waveform(self, index: int) -> Tensor: ...

    def ends(self, index: int) -> list[float]:
        """Return where each word of an utterance ends, in seconds."""
        ...


class Latency(NamedTuple):
    """When words appeared, in seconds behind their ends.

    Attributes:
        each: of each word that was recognised, in the order of the words; negative where it appeared before its end.
        words: words that were said.

    Example:
        >>> latency = Latency([0.1, 0.2, 0.3], 4)
        >>> latency.median, round(latency.worst_tenth, 2)
        (0.2, 0.28)
    """

    each: list[float]
    words: int

    @property
    def median(self) -> float:
        """The median; NaN where no word was recognised."""
        return self._quantile(0.5)

    @property
    def worst_tenth(self) -> float:
        """What nine of ten words stay below; NaN where no word was recognised."""
        return self._quantile(0.9)

    def _quantile(self, share: float) -> float:
        return float(np.quantile(self.each, share)) if self.each else float("nan")


def measure_latency(
    transcriber: Transcriber, utterances: TimedUtterances, *, chunk: float = 0.02, most: int | None = None
) -> Latency:
    """Measure the time between a word's end and its appearance in the partial results of a stream.

    The time is that of the sound: how much of it had arrived, not how long computing took. Utterances come in pieces,
    each with a second of silence after it. A word appears with the piece from which on the text keeps it. Words that
    are missed or wrong do not count. The end of a recorded word is that of its recording, silence in it included.

    Args:
        transcriber: the recogniser; it must stream.
        utterances: with the ends of their words.
        chunk: seconds of a piece.
        most: utterances to measure, the first ones; None: all.

    Raises:
        ConfigError: the recogniser does not stream. DataError: not as many ends as words.

    Example:
        >>> from rnnkit.tasks.speech import load_transcriber
        >>> latency = measure_latency(load_transcriber("runs/speech"), joined)  # doctest: +SKIP
        >>> latency.median < 0.4                                                # doctest: +SKIP
        True
    """
    check_number(chunk, "chunk")
    check_whole(most, "most", optional=True)
    recognizer = transcriber.stream(endpoint=0)
    piece, silence = max(1, round(chunk * recognizer.rate)), torch.zeros(round(_BEHIND * recognizer.rate))
    each: list[float] = []
    said = 0
    for index in range(len(utterances) if most is None else min(most, len(utterances))):
        true, ends = split_spoken(utterances.texts[index]), utterances.ends(index)
        if len(true) != len(ends):
            raise DataError(f"utterance {index} has {len(true)} words and {len(ends)} ends; expected as many")
        partials = []
        for samples in torch.cat([utterances.waveform(index), silence]).split(piece):
            partial = recognizer.push(samples)
            partials.append((partial.seconds, partial.text))
        final = split_spoken(recognizer.flush().text)
        seen = _appearances(partials, final)
        said += len(true)
        each += [seen[other] - ends[own] for own, other in _matched(true, final) if seen[other] is not None]
    return Latency(each, said)


def stream_figures(transcriber: Transcriber, utterances: Any) -> dict[str, float]:
    """Return what `rnnkit evaluate` prints of a stream: {} where the recogniser does not stream.

    Args:
        transcriber: the recogniser.
        utterances: to measure with; where they have `ends`, latency is measured, too.
    """
    if transcriber.streams is not None or not len(utterances):
        return {}
    figures: dict[str, float] = {}
    if hasattr(utterances, "ends"):
        latency = measure_latency(transcriber, utterances, most=_STRINGS)
        if latency.each:
            figures |= {"latency_median": latency.median, "latency_worst_tenth": latency.worst_tenth}
    samples: list[Tensor] = []
    for index in range(len(utterances)):
        samples.append(utterances.waveform(index))
        if sum(map(len, samples)) >= _SOUND * transcriber.rate:
            break
    sound = torch.cat(samples)[: round(_SOUND * transcriber.rate)]
    return figures | {"real_time_factor": real_time_factor(transcriber, sound)}


def _appearances(partials: Sequence[tuple[float, str]], final: Sequence[str]) -> list[Any]:
    """Return for each word of the final text the seconds from which on partial texts keep it; None where none does."""
    seen: list[float | None] = [None] * len(final)
    before: str | None = None
    words: list[str] = []
    for seconds, text in partials:
        if text != before:
            before, words = text, split_spoken(text)
        for at, word in enumerate(final):
            if at >= len(words) or words[at] != word:
                seen[at] = None
            elif seen[at] is None:
                seen[at] = seconds
    return seen


def _matched(true: Sequence[str], found: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of words that both texts have, in their order."""
    from difflib import SequenceMatcher

    blocks = SequenceMatcher(None, true, found, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]


def real_time_factor(transcriber: Transcriber, samples: Tensor, *, chunk: float = 0.1) -> float:
    """Measure the seconds that a stream needs for a second of sound, on one thread.

    Args:
        transcriber: the recogniser; it must stream.
        samples: [N], at the recogniser's rate.
        chunk: seconds of a piece; `rnnkit transcribe --live` reads a tenth.

    Raises:
        ConfigError: the recogniser does not stream. DataError: no samples.

    Example:
        >>> from rnnkit.tasks.speech import load_transcriber
        >>> real_time_factor(load_transcriber("runs/speech"), torch.randn(160_000)) < 1  # doctest: +SKIP
        True
    """
    return streams_at_once(transcriber, samples, 1, chunk=chunk)


def streams_at_once(transcriber: Transcriber, samples: Tensor, count: int, *, chunk: float = 0.1) -> float:
    """Measure the seconds that several streams at once need for a second of the sound that each hears.

    Each stream has a thread of Python of its own, and PyTorch one thread in each. Below 1 all keep up with real time.

    Args:
        transcriber: the recogniser; it must stream.
        samples: [N], at the recogniser's rate.
        count: streams.
        chunk: seconds of a piece.

    Raises:
        ConfigError: the recogniser does not stream. DataError: no samples, or a stream outputs another text than the
            others.

    Example:
        >>> from rnnkit.tasks.speech import load_transcriber
        >>> streams_at_once(load_transcriber("runs/speech"), torch.randn(160_000), 16) < 1  # doctest: +SKIP
        True
    """
    check_whole(count, "count")
    check_number(chunk, "chunk")
    if not len(samples):
        raise DataError("no samples arrived; expected some sound to measure with")
    recognizers = [transcriber.stream(endpoint=0) for _ in range(count)]
    pieces = samples.split(max(1, round(chunk * transcriber.rate)))
    recognizers[0].push(pieces[0])  # what is made once is made
    recognizers[0].reset()
    texts: list[str | None] = [None] * count

    def hear(number: int) -> None:
        torch.set_num_threads(1)  # each thread has a number of its own
        for piece in pieces:
            recognizers[number].push(piece)
        texts[number] = recognizers[number].flush().text

    threads = [threading.Thread(target=hear, args=(number,)) for number in range(count)]
    # One mode for all: each push puts back the mode that it found, while other threads compute.
    with _one_thread(), mode(transcriber.model, training=False):
        begun = time.perf_counter()
        if count == 1:
            hear(0)
        else:
            for one in threads:
                one.start()
            for one in threads:
                one.join()
        needed = time.perf_counter() - begun
    if len(set(texts)) > 1:
        raise DataError(f"streams of the same sound output {len(set(texts))} texts; expected one")
    return needed * transcriber.rate / len(samples)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
