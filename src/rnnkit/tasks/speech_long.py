"""Speech in recordings of any length: read in blocks, recognised in pieces, with times from the beginning.

A recogniser that streams hears the recording as a stream, whose utterances end at silences. One that needs whole
utterances gets pieces that are cut at silences. With a detector of voice activity any recogniser gets its segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..data.audio.cutting import Piece, cut_at_silences, quietest
from ..data.audio.resampling import resample
from .speech import Transcript

if TYPE_CHECKING:
    from ..data.audio.waveforms import AudioBlocks
    from .speech import Transcriber
    from .voice_activity import VoiceDetector

LONG = 60.0  # seconds: longer recordings are recognised in pieces
_CHUNK = 0.2  # seconds that a stream takes at a time: it looks for the end of an utterance after each
_ENDPOINT = 0.8  # seconds without a token that end an utterance where the recogniser never ends one
_LONGEST = 30.0  # seconds of a piece
EDGE = 0.2  # seconds around a segment of speech
KEPT = 1.0  # seconds of silence that are kept, because a beginning is detected late


def transcribe_long(
    transcriber: Transcriber,
    blocks: AudioBlocks,
    *,
    detector: VoiceDetector | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Transcript]:
    """Yield what is said in a recording, an utterance or a piece after the other; see `joined`.

    A recording of up to a minute is recognised as a whole, unless there is a detector. Of a longer one no more than
    some pieces are in memory.

    Args:
        transcriber: the recogniser.
        blocks: of the recording, of :func:`rnnkit.data.audio.open_blocks`.
        detector: finds where somebody speaks; all else is not recognised.
        progress: called with the seconds of the recording that were read.

    Raises:
        DataError: the file is damaged.

    Example:
        >>> with open_blocks("talk.flac") as blocks:                           # doctest: +SKIP
        ...     transcript = joined(transcribe_long(transcriber, blocks), blocks.info.seconds)
    """
    told = _told(blocks, blocks.rate, progress)
    if detector is None and blocks.info.seconds <= LONG:
        sound = resample(torch.cat(list(told)), blocks.rate, transcriber.rate)
        yield transcriber([sound])[0]
    elif detector is not None:
        yield from _of_pieces(transcriber, spoken_pieces(detector, told, blocks.rate), blocks.rate)
    elif transcriber.streams is None:
        yield from _of_stream(transcriber, told, blocks.rate)
    else:
        yield from _of_pieces(transcriber, cut_at_silences(told, blocks.rate, most=_LONGEST), blocks.rate)


def joined(parts: Iterable[Transcript], seconds: float) -> Transcript:
    """Return transcripts that follow one another as one.

    Args:
        parts: their words have times from the beginning of the whole.
        seconds: the length of the whole.

    Example:
        >>> from rnnkit.tasks.speech_words import Word
        >>> parts = [Transcript("yes", [Word("yes", 0.5, 0.8, 0.9)], 0.9, 2.0), Transcript("", [], 0.0, 3.0)]
        >>> whole = joined(parts, 5.0)
        >>> whole.text, whole.words[0].end, whole.seconds
        ('yes', 0.8, 5.0)
    """
    texts, words = [], []
    for part in parts:
        texts.append(part.text)
        words += part.words
    confidence = sum(word.confidence for word in words) / len(words) if words else 0.0
    return Transcript(" ".join(filter(None, texts)), words, confidence, seconds)


def spoken_pieces(
    detector: VoiceDetector, blocks: Iterable[Tensor], rate: int, *, most: float = _LONGEST
) -> Iterator[Piece]:
    """Yield the stretches of sound in which somebody speaks, with 0.2 seconds around them.

    Args:
        detector: of voice activity.
        blocks: [n] each.
        rate: samples a second.
        most: seconds of a piece; longer speech is cut at its quietest place.

    Example:
        >>> for piece in spoken_pieces(detector, blocks, blocks.rate):        # doctest: +SKIP
        ...     print(piece.start, len(piece.samples) / blocks.rate)
    """
    stream = detector.stream(rate=rate)
    edge, longest = round(EDGE * rate), round(most * rate)
    held, first = torch.zeros(0), 0  # samples, and the number of the first of them
    begun: int | None = None  # the sample that a piece begins with
    for block in blocks:
        for chunk in block.split(rate):
            held = torch.cat([held, chunk])
            for event in stream.push(chunk):
                if event.kind == "start":
                    begun = max(round(event.time * rate) - edge, first)
                elif begun is not None:
                    end = round(event.time * rate) + edge
                    yield Piece(begun / rate, held[begun - first : end - first].clone())
                    begun, held, first = None, held[max(end - first, 0) :], max(first, min(end, first + len(held)))
            if begun is not None and first + len(held) - begun > longest:
                part = held[begun - first :][:longest]
                cut = quietest(part, rate, longest // 3)
                yield Piece(begun / rate, part[:cut].clone())
                held, first = held[begun - first + cut :].clone(), begun + cut
                begun = first
            if begun is None and len(held) > KEPT * rate:
                drop = len(held) - round(KEPT * rate)
                held, first = held[drop:].clone(), first + drop
    for event in stream.flush():
        if event.kind == "start":
            begun = max(round(event.time * rate) - edge, first)
        elif begun is not None:
            end = round(event.time * rate) + edge
            yield Piece(begun / rate, held[begun - first : end - first].clone())


def _told(blocks: Iterable[Tensor], rate: int, progress: Callable[[float], None] | None) -> Iterator[Tensor]:
    count = 0
    for block in blocks:
        yield block
        count += len(block)
        if progress is not None:
            progress(count / rate)


def _of_stream(transcriber: Transcriber, blocks: Iterable[Tensor], rate: int) -> Iterator[Transcript]:
    recognizer = transcriber.stream(rate=rate, endpoint=transcriber.decoding.endpoint or _ENDPOINT)
    size, words = max(1, round(_CHUNK * rate)), []
    for block in blocks:
        for chunk in block.split(size):
            partial = recognizer.push(chunk)
            words += partial.words
            if partial.endpoint:
                yield joined([Transcript(partial.text, words, 0.0, 0.0)], partial.seconds)
                words = []
    last = recognizer.flush()
    yield joined([Transcript(last.text, [*words, *last.words], 0.0, 0.0)], last.seconds)


def _of_pieces(transcriber: Transcriber, pieces: Iterable[Piece], rate: int) -> Iterator[Transcript]:
    for piece in pieces:
        found = transcriber([resample(piece.samples, rate, transcriber.rate)])[0]
        shift = piece.start
        words = [word._replace(start=word.start + shift, end=word.end + shift) for word in found.words]
        yield found._replace(words=words)
