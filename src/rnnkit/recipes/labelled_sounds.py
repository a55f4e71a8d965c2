"""Labelled recordings for the recipe sound-classify: read, checked, and made voices beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnkit.errors import DataError, Place
from rnnkit.recipes.speech_data import ClipData, left_out
from rnnkit.recipes.wording import in_data_settings
from rnnkit.tasks.ranges import WholeNumber

if TYPE_CHECKING:
    from rnnkit.data.audio.clips import ClipSet
    from rnnkit.tasks.speech_batches import HeldUtterances


@dataclass(frozen=True)
class LabelledClips(ClipData):
    """The recordings and their classes.

    Attributes:
        voices: so many voices of espeak-ng say the name of each class once, to learn from beside the recordings. Where
            few people were recorded, words of new people are known better. The names must be English words or numbers.
    """

    voices: WholeNumber = 0


def without_long(clips: ClipSet, longest: float) -> tuple[ClipSet, list[str]]:
    """Return the clips that are not too long to be trained on, and a sentence about the others.

    Args:
        clips: them.
        longest: seconds.

    Raises:
        DataError: no clip is left.
    """
    kept = clips.subset(lambda clip: clip.seconds <= longest)
    long = [clip.id for clip in clips if clip.seconds > longest]
    if not len(kept):
        raise DataError(
            f"all recordings are longer than data.longest={longest:g} seconds",
            Place(clips.source),
            "take a larger data.longest, or cut the recordings",
        )
    return kept, left_out("train", long, f"longer than data.longest={longest:g} seconds")


def labelled(clips: ClipSet, rate: int, *, known: tuple[str, ...] | None = None) -> HeldUtterances:
    """Return the samples of clips with their labels.

    Args:
        clips: them.
        rate: samples a second.
        known: the classes; None: any.

    Raises:
        DataError: a clip without a label or of an unknown class.
    """
    from rnnkit.tasks.speech_batches import HeldUtterances

    for clip in clips:
        if clip.label is None:
            raise DataError(
                f"{clip.path} has no class; expected a folder a class, or a table with a column of labels: --set "
                "data.label_column=NAME"
            )
        if known is not None and clip.label not in known:
            raise DataError(f"{clip.path} is of the class {clip.label!r}; the model knows {', '.join(known[:10])}")
    sounds = [clips.waveform(at, rate).samples for at in range(len(clips))]
    return HeldUtterances(sounds, [str(clip.label) for clip in clips], rate, [clip.speaker for clip in clips])


def without_speaker(speakers: Sequence[str | None], source: object) -> list[str]:
    """Return a sentence about recordings without a speaker, for features that are normalised by speaker.

    Args:
        speakers: of each recording.
        source: where the recordings come from.

    Example:
        >>> len(without_speaker(["ann", None, None], "words")), without_speaker(["ann"], "words")
        (1, [])
    """
    if not (unknown := speakers.count(None)):
        return []
    return [
        f"{source}: {unknown:,} of {len(speakers):,} recordings name no speaker, and are normalised together as of "
        "one; where they are of several, give a table with a column of speakers, or one folder of files such as "
        "WORD_SPEAKER_1.wav."
    ]


def with_voices(utterances: HeldUtterances, classes: tuple[str, ...], voices: int) -> HeldUtterances:
    """Return utterances and after them the names of the classes, said by voices that espeak-ng makes.

    Raises:
        DataError: espeak-ng is not installed. ConfigError: it has fewer voices.
    """
    from rnnkit.data.audio import spoken_words
    from rnnkit.tasks.speech_batches import HeldUtterances

    with in_data_settings(["voices"]):
        made = spoken_words.make_words(classes, voices, rate=utterances.rate)
    return HeldUtterances(
        [*utterances.waveforms, *(one.samples for one in made)],
        [*utterances.texts, *(one.word for one in made)],
        utterances.rate,
        [*utterances.speakers, *(f"espeak-ng {one.voice}" for one in made)],
    )
