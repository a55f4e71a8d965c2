"""Speech with intents and slots, read for `rnnkit understand`, and scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnkit.errors import DataError

if TYPE_CHECKING:
    from rnnkit.data.audio.clips import ClipSet
    from rnnkit.data.text.tagged import TaggedText
    from rnnkit.tasks.spoken_understanding import SpokenUnderstanding, UnderstandingScores

SCORES = "understanding.json"  # in the folder of the run of intents
TEST = "test.jsonl"  # in a folder of recordings
_AT_A_TIME = 64  # clips whose sound is in memory


class TaggedSpeech(NamedTuple):
    """Clips with what is said in each, and what is meant.

    Attributes:
        clips: the sound.
        texts: as many, with intents and slots.
        findings: sentences about the files.
    """

    clips: ClipSet
    texts: list[TaggedText]
    findings: list[str]


def has_truth(path: Path) -> bool:
    """Return whether a path holds recordings with intents and slots: JSON lines, or a folder with ``test.jsonl``."""
    from rnnkit.data.data_folder import find_data

    try:
        found = find_data(str(path))
    except DataError:
        return path.suffix.lower() == ".jsonl"  # whose reader says what is wrong
    return (found / TEST).is_file() if found.is_dir() else found.suffix.lower() == ".jsonl"


def read_tagged_speech(path: Path) -> TaggedSpeech:
    """Read recordings with intents and slots from JSON lines, or from ``test.jsonl`` of a folder.

    Args:
        path: lines with ``path``, ``text``, ``intent`` and ``slots``; see
            :mod:`rnnkit.data.audio.spoken_commands` for an example.

    Raises:
        DataError: the file cannot be read, or has rows without a text or an intent.
    """
    from rnnkit.data import read_tagged_texts
    from rnnkit.data.audio.clips import read_clips
    from rnnkit.data.data_folder import find_data

    found = find_data(str(path))
    if found.is_dir():
        if not (found / TEST).is_file():
            raise DataError(f"{path} holds no {TEST}; name a file of JSON lines with path, text, intent and slots")
        found /= TEST
    tagged = read_tagged_texts(found, format="jsonl")
    clips = read_clips(found)
    texts, rest = [], iter(tagged.texts)
    for clip in clips:  # in the order of the file; those that cannot be read are left out
        text = next((text for text in rest if _plain(text.text) == _plain(clip.text or "")), None)
        if text is None:
            raise DataError(f"{found}: the text of {clip.path} is not among the texts with intents and slots")
        texts.append(text)
    return TaggedSpeech(clips, texts, [*tagged.notes, *clips.findings])


def score(understanding: SpokenUnderstanding, speech: TaggedSpeech) -> UnderstandingScores:
    """Recognise recordings, and compare what is understood with what is meant; see
    :func:`rnnkit.tasks.spoken_understanding.score_understanding`.
    """
    from rnnkit.tasks.spoken_understanding import score_understanding

    transcripts: list[Any] = []
    for begin in range(0, len(speech.clips), _AT_A_TIME):
        rows = range(begin, min(begin + _AT_A_TIME, len(speech.clips)))
        transcripts += understanding.transcriber(
            [speech.clips.waveform(row, understanding.rate).samples for row in rows]
        )
    return score_understanding(understanding, speech.texts, transcripts)


def answers(speech: TaggedSpeech, scores: UnderstandingScores) -> list[dict[str, Any]]:
    """Return JSON values of each recording: what was understood, and the truth."""
    return [
        {
            "file": clip.path,
            **meaning.to_json(),
            "true_text": text.text,
            "true_intent": text.intent,
            "true_slots": [{"slot": name, "text": text.text[start:end]} for name, start, end in text.slots],
        }
        for clip, text, meaning in zip(speech.clips, speech.texts, scores.meanings, strict=True)
    ]


def summary(figures: Mapping[str, float]) -> str:
    """Return in a sentence what the recogniser's errors cost.

    Example:
        >>> summary({"wer": 0.04, "intent_accuracy": 0.95, "true_words_intent_accuracy": 0.99, "slot_f1": 0.9,
        ...          "true_words_slot_f1": 0.98})
        'With 4.0% of the words wrong, the intent accuracy is 95.0% (on true words 99.0%), slot F1 90.0% (98.0%).'
    """
    return (
        f"With {figures['wer']:.1%} of the words wrong, the intent accuracy is {figures['intent_accuracy']:.1%} (on "
        f"true words {figures['true_words_intent_accuracy']:.1%}), slot F1 {figures['slot_f1']:.1%} "
        f"({figures['true_words_slot_f1']:.1%})."
    )


def write_scores(folder: Path, recogniser: Path, data: Path, figures: Mapping[str, float], count: int) -> Path:
    """Write the figures as ``understanding.json`` into the folder of the run of intents, and return the path."""
    written = {"recogniser": str(recogniser), "data": str(data), "recordings": count, **figures}
    path = folder / SCORES
    path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _plain(text: str | Sequence[str]) -> str:
    return "".join(str(text).split())
