"""What a run of speech recognises and writes at its end: texts with their transcripts, and confusions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit.recipes.prepared_training import Judged

if TYPE_CHECKING:
    from rnnkit.tasks.speech import Transcriber, Transcript
    from rnnkit.tasks.speech_batches import Utterances

PREDICTIONS = "predictions.csv"
# In this order in pictures of confusions where nothing else is said.
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def judge(transcriber: Transcriber, utterances: Utterances, *, most: int = 64) -> Judged:
    """Recognise utterances, and compare with what is said in them.

    Args:
        transcriber: the recogniser.
        utterances: with their texts.
        most: utterances whose sound is held at a time.
    """
    from rnnkit.tasks.speech_scores import score_speech

    found: list[Transcript] = []
    for begin in range(0, len(utterances), most):
        rows = range(begin, min(begin + most, len(utterances)))
        found += transcriber([utterances.waveform(row) for row in rows])
    texts = list(utterances.texts)
    return Judged(utterances, found, score_speech(texts, [one.text for one in found]))


def write_predictions(folder: Path, judged: Mapping[str, Judged]) -> None:
    """Write ``predictions.csv``, ``confusions.csv`` and ``confusions.png``.

    Args:
        folder: the run folder.
        judged: what was recognised, by the name of the test; {}: nothing is written.
    """
    from rnnkit.recipes.recognition import confusions_of, write_confusions, write_rows

    if not judged:
        return
    rows = [
        (name, number, text, found.text, wer, found.confidence, found.seconds)
        for name, one in judged.items()
        for number, (text, found, wer) in enumerate(zip(one.items.texts, one.found, one.scores.each, strict=True))
    ]
    names = ("test", "number", "text", "prediction", "wer", "confidence", "seconds")
    write_rows(names, rows, folder / PREDICTIONS)
    write_confusions(confusions_of(judged), folder, DIGITS)
