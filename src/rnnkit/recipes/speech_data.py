"""The recordings of a run of speech: read, divided, and what is found in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from rnnkit.errors import ConfigError, DataError, Place
from rnnkit.recipes.divided_data import check_shares
from rnnkit.recipes.recognition import fitting, names_of
from rnnkit.recipes.wording import in_data_settings
from rnnkit.runs import data_digests
from rnnkit.tasks.ranges import Count, NotNegative, Positive, Seed, Settings

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.audio.clips import ClipSet
    from rnnkit.data.text.tokenizer import Tokenizer
    from rnnkit.tasks.speech_batches import HeldUtterances

_COLUMNS = ("path_column", "text_column", "label_column", "speaker_column", "start_column", "end_column")
Layout = Literal["auto", "labels", "digits", "transcripts", "table", "kaldi", "librispeech", "plain"]


@dataclass(frozen=True)
class ClipData(Settings):
    """The recordings, and how they are divided.

    Attributes:
        path: a folder, a table, or an archive of sound files with what is said in each, or with its class; see
            ``rnnkit.data.audio.read_clips``. A name that is not here is looked for in the folder RNNKIT_DATA.
        test: the test data, as `path`; none holds `test_share` back.
        test_share: share of the recordings held back for the test.
        validation: share of the recordings to choose the epoch by.
        by: whether a speaker is in one part alone (speaker) or recordings are drawn at random; auto takes speaker where
            each recording names one and there are five or more.
        split_seed: of the division; it does not follow `seed`, so that seeds are judged on the same recordings.
        layout: how the recordings lie; auto looks.
        path_column: of a table, the column of the files, where its name does not say it; the next ones are alike.
        text_column: what is said.
        label_column: the class.
        speaker_column: who speaks.
        start_column: where it begins in the file, in seconds.
        end_column: where it ends.
        longest: seconds; longer recordings are not trained on.
        without: a speaker who is not trained on and judges alone; none trains on all.
    """

    group_name: ClassVar[str] = "data"

    path: str | None = None
    test: str | None = None
    test_share: NotNegative = 0.1
    validation: NotNegative = 0.1
    by: Literal["auto", "speaker", "random"] = "auto"
    split_seed: Seed = 0
    layout: Layout = "auto"
    path_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    speaker_column: str | None = None
    start_column: str | None = None
    end_column: str | None = None
    longest: Positive = 30.0
    without: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self.test_share, self.validation)
        if self.without is not None and self.test is not None:
            raise ConfigError(
                f"data.without={self.without} and data.test={self.test} arrived, and each says what judges; leave one "
                "of them out"
            )

    def read(self, path: str | Path, *, new: bool = False) -> ClipSet:
        """Return the clips of a path.

        Args:
            path: it.
            new: whether the run is trained already.
        """
        from rnnkit.data.audio.clips import read_clips

        columns = {name: getattr(self, name) for name in _COLUMNS}
        layout = "auto" if new and self.layout == "digits" else self.layout
        with in_data_settings(("layout", *_COLUMNS), new=new):
            return read_clips(path, layout=layout, longest=self.longest, **columns)


@dataclass(frozen=True)
class SpeechData(ClipData):
    """The recordings and their transcripts.

    Attributes:
        tokens: what the network writes: characters (char), whole words (word), or pieces of words (bpe, unigram).
        vocabulary: the largest number of pieces or words; none takes all words, and 500 pieces.
        lowercase: whether transcripts are written in small letters.
        marks: whether full stops, commas and other marks of transcripts are kept.
    """

    tokens: Literal["char", "word", "bpe", "unigram"] = "char"
    vocabulary: Count | None = None
    lowercase: bool = True
    marks: bool = False

    def written(self, text: str) -> str:
        """Return a transcript as the network is to write it.

        Example:
            >>> SpeechData().written("Don't stop,  now!")
            "don't stop now"
        """
        text = unicodedata.normalize("NFC", text)
        text = text.lower() if self.lowercase else text
        return " ".join((text if self.marks else _without_marks(text)).split())

    def tokenizer(self, texts: Sequence[str]) -> Tokenizer:
        """Return a tokenizer of the transcripts of the training part; its first token, padding, is CTC's blank."""
        from rnnkit.data import train_tokenizer

        size = self.vocabulary
        if self.tokens in ("bpe", "unigram"):
            size = size or 500
        with in_data_settings({"size": "vocabulary"}):
            return train_tokenizer(self.tokens, list(texts), size=size)


class ClipParts(NamedTuple):
    """The recordings of a run.

    Attributes:
        train, validation, test: the parts; None for one that there is not.
        findings: sentences about the files.
        division: a sentence about how the parts were made.
        digests: of each path as it was read.
    """

    train: ClipSet
    validation: ClipSet | None
    test: ClipSet | None
    findings: list[str]
    division: str
    digests: dict[str, str]

    @property
    def held_out(self) -> ClipSet | None:
        """The test data: the test part, else that of the validation."""
        return self.test if self.test is not None else self.validation


def divide_clips(data: ClipData, command: str) -> ClipParts:
    """Read and divide the recordings of a run.

    Args:
        data: the settings.
        command: the recipe's name, for the message where there is no path.

    Raises:
        ConfigError: no path, or no recording of the speaker who is to be kept out. DataError: a file cannot be read, or
            too few recordings.
    """
    if data.path is None:
        raise ConfigError(
            f"data.path is missing; name the recordings to learn from, as in `rnnkit train {command} FOLDER`"
        )
    from rnnkit.data.audio.clips import leave_out_speaker

    clips = data.read(data.path)
    findings = list(clips.findings)
    test = None if data.test is None else data.read(data.test)
    digests = {str(data.path): clips.fingerprint()}
    if test is not None and data.test is not None:
        findings += [one for one in test.findings if one not in findings]
        digests[str(data.test)] = test.fingerprint()
    if data.without is not None:
        if not clips.speakers:
            raise ConfigError(
                f"data.without={data.without} arrived, but no recording of {data.path} has a speaker; name the column "
                "of a table that has them, --set data.speaker_column=NAME, or leave data.without out"
            )
        with in_data_settings({"speaker": "without"}):
            clips, test = leave_out_speaker(clips, data.without)
        if not len(clips):
            raise DataError(
                f"all recordings are of {data.without}, so none is left to learn from",
                Place(str(data.path)),
                "leave data.without out, or add recordings of others",
            )
        unknown = [clip.id for clip in clips if clip.speaker is None]
        if unknown:
            findings.append(
                f"{_count(unknown)} without a speaker may be of {data.without}, and {_is_or_are(unknown)} not kept "
                f"out: {names_of(unknown)}."
            )
    amounts = {"test": 0.0 if test is not None else data.test_share, "validation": data.validation}
    amounts = {part: share for part, share in amounts.items() if share}
    by = _division(data, clips)
    parts = _split(clips, amounts, by, data) if amounts else {"train": clips}
    told = [f"test: {data.test}"] if data.test is not None else []
    if data.without is not None and test is not None:
        told.append(f"test: all {len(test):,} recordings of {data.without}, who is in no other part")
    told += [
        f"{part}: {len(parts[part]):,} of {len(clips):,} recordings"
        + (
            f", of speakers that no other part has: {names_of(parts[part].speakers)}"
            if by == "speaker"
            else " at random"
        )
        + f" (split_seed {data.split_seed})"
        for part in amounts
    ]
    return ClipParts(
        parts["train"],
        parts.get("validation"),
        test if test is not None else parts.get("test"),
        findings,
        "; ".join(told),
        digests,
    )


def check_parts(folder: Path, parts: ClipParts, instead: str) -> None:
    """Raise DataError where the recordings have changed since a run was trained on them."""
    data_digests.check(folder, parts.digests, instead)


def texts_of(clips: ClipSet, data: SpeechData) -> list[str | None]:
    """Return what is said in each clip, as the network writes it, or its label; None: unknown."""
    found = [clip.text if clip.text is not None else clip.label for clip in clips]
    return [None if text is None else data.written(text) for text in found]


class Spoken(NamedTuple):
    """Clips with transcripts, in memory.

    Attributes:
        clips: those that were kept.
        utterances: their samples and texts.
        findings: sentences about those that were not.
    """

    clips: ClipSet
    utterances: HeldUtterances
    findings: list[str]


def speak(clips: ClipSet, data: SpeechData, rate: int, *, part: str = "", longest: float | None = None) -> Spoken:
    """Read the samples of clips whose transcripts are known.

    Args:
        clips: them.
        data: how transcripts are written.
        rate: samples a second.
        part: for sentences.
        longest: seconds; longer ones are left out. None: none is.

    Raises:
        DataError: none is left.
    """
    from rnnkit.tasks.speech_batches import HeldUtterances

    texts = texts_of(clips, data)
    silent = [clip.id for clip, text in zip(clips, texts, strict=True) if text is None]
    empty = [clip.id for clip, text in zip(clips, texts, strict=True) if text == ""]
    long = [clip.id for clip in clips if longest is not None and clip.seconds > longest]
    kept = [
        index
        for index, (clip, text) in enumerate(zip(clips, texts, strict=True))
        if text and (longest is None or clip.seconds <= longest)
    ]
    findings = [
        *left_out(part, silent, "without a transcript"),
        *left_out(part, empty, "with a transcript without a word"),
        *left_out(part, long, f"longer than data.longest={longest or 0:g} seconds"),
    ]
    if not kept:
        advice = "put a .txt file beside each, or name a table with a column of texts"
        if long and not (silent or empty):
            advice = "take a larger data.longest, or cut the recordings"
        raise DataError(
            "no recording to learn from or to judge by is left", Place(clips.source), advice, note=" ".join(findings)
        )
    chosen = clips.subset(kept)
    waveforms = [chosen.waveform(index, rate).samples for index in range(len(chosen))]
    findings += heard_in(part, chosen, waveforms)
    return Spoken(chosen, HeldUtterances(waveforms, [str(texts[index]) for index in kept], rate), findings)


def heard_in(part: str, clips: ClipSet, waveforms: Sequence[Tensor]) -> list[str]:
    """Return sentences about recordings that are silent, faint or clipped, and about equal ones of different texts.

    Args:
        part: for sentences.
        clips: the recordings.
        waveforms: the samples of each.
    """
    from rnnkit.data.audio.clip_findings import sound_findings

    return [f"{part}: " * bool(part) + one for one in sound_findings(clips, waveforms)]


def left_out(part: str, names: Sequence[str], what: str) -> list[str]:
    """Return a sentence about recordings that are left out; none where there are none.

    Example:
        >>> left_out("test", ["a", "b"], "without a transcript")
        ['test: 2 recordings without a transcript are left out: a, b.']
    """
    if not names:
        return []
    return [f"{part}: " * bool(part) + f"{_count(names)} {what} {_is_or_are(names)} left out: {names_of(names)}."]


def without_short(
    utterances: HeldUtterances, tokenizer: Tokenizer, steps: Any, names: Sequence[str]
) -> tuple[HeldUtterances, list[str]]:
    """Return the utterances that have a step for each token, and one between equal ones, and a sentence of the others.

    Args:
        utterances: them.
        tokenizer: of their texts.
        steps: a function from samples to the network's steps.
        names: of the utterances.

    Raises:
        DataError: none is left.
    """
    from rnnkit.tasks.speech_batches import HeldUtterances

    kept, narrow = fitting(utterances.texts, tokenizer, [steps(len(one)) for one in utterances.waveforms])
    short = [names[index] for index in narrow]
    if not kept:
        raise DataError(
            f"all {len(utterances):,} recordings are too short for their transcripts, such as {short[0]}; expected a "
            "step of the network for each token: look at the transcripts, or take smaller model.strides"
        )
    left = HeldUtterances(
        [utterances.waveforms[index] for index in kept], [utterances.texts[index] for index in kept], utterances.rate
    )
    return left, left_out("train", short, "too short for the transcript")


def _count(names: Sequence[str]) -> str:
    return f"{len(names):,} {'recording' if len(names) == 1 else 'recordings'}"


def _is_or_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _division(data: ClipData, clips: ClipSet) -> Literal["speaker", "random"]:
    if data.by != "auto":
        return data.by
    known = all(clip.speaker is not None for clip in clips)
    return "speaker" if known and len(clips.speakers) >= 5 else "random"


def _split(
    clips: ClipSet, amounts: dict[str, float], by: Literal["speaker", "random"], data: ClipData
) -> dict[str, ClipSet]:
    from rnnkit.data.audio.clips import split_clips

    try:
        found = split_clips(clips, (1 - sum(amounts.values()), *amounts.values()), by=by, seed=data.split_seed)
    except DataError as error:
        remedies = ["add recordings", "type --set data.validation=0 --set data.test_share=0"]
        if by == "speaker":
            remedies.insert(1, "type --set data.by=random")
        raise DataError(error.problem, error.place, remedies, note=" ".join(clips.findings)) from None
    return dict(zip(("train", *amounts), found, strict=True))


def _without_marks(text: str) -> str:
    """Return a text without marks; apostrophes and hyphens within words stay."""
    within = re.sub(r"(?<=\w)[’]|(?<=\w)['](?=\w)", "'", text)
    return "".join(
        one if not unicodedata.category(one).startswith(("P", "S")) or _inside(within, at) else " "
        for at, one in enumerate(within)
    )


def _inside(text: str, at: int) -> bool:
    if text[at] not in "'-":
        return False
    return 0 < at < len(text) - 1 and text[at - 1].isalnum() and text[at + 1].isalnum()
