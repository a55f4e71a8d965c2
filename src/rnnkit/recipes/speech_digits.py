"""Strings of spoken digits: the free spoken digits, joined into strings with and without gaps, and in noise.

    recordings 0 to 4 of each digit and speaker judge; 5 to 9 choose; the others train

Jackson et al., "Free Spoken Digit Dataset": 3,000 recordings of 6 speakers, 8 kHz. Strings that are joined from single
digits are easier than spoken ones. Each epoch joins other strings of one speaker each. `data.without` keeps all of a
speaker from training and judges on his recordings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes.base import PreparedRun
from rnnkit.recipes.speech import PreparedSpeech, Speech
from rnnkit.recipes.speech_data import SpeechData, Spoken, speak
from rnnkit.recipes.speech_results import DIGITS
from rnnkit.tasks.ranges import Count
from rnnkit.tasks.speech_settings import RecognizerFit, RecognizerNetwork, SoundAugment

if TYPE_CHECKING:
    from rnnkit.data.audio.clips import ClipSet
    from rnnkit.tasks.speech_joined import Gaps, JoinedUtterances

_LABELS = tuple("0123456789")
_INDEX = re.compile(r"_(\d+)(?:\.\w+|#\d+)*$")
_COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
# `cd recordings; sha256sum *.wav | sha256sum` prints the digest (LC_ALL=C). GitHub sometimes packs a commit in other
# bytes, so the digest of its archives is not constant.
_FREE_SPOKEN_DIGITS: dict[str, Any] = {
    "folder": "fsdd",
    "archive": "free-spoken-digit-dataset.tar.gz",
    "address": f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{_COMMIT}.tar.gz",
    "members": "recordings",
    "suffix": ".wav",
    "number": 3000,
    "size": 21_128_848,
    "sha256": "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959",
    "about": "Jackson et al., CC BY-SA 4.0",
}


@dataclass(frozen=True)
class Data(SpeechData):
    """The recordings of digits, and the strings that are joined of them.

    Attributes:
        path: the folder or the archive of the recordings; none takes the free spoken digits, of RNNKIT_DATA or
            from the network.
        strings: strings of an epoch.
        longest_string: the most digits of a string to learn; the shortest has one.
        test_strings: strings of each test.
    """

    tokens: Literal["char", "word", "bpe", "unigram"] = "word"
    strings: Count = 2000
    longest_string: Count = 7
    test_strings: Count = 300


@dataclass(frozen=True)
class SpeechDigits(Speech):
    """The whole run; ``rnnkit train speech-digits --set GROUP.FIELD=VALUE`` changes a field."""

    model: RecognizerNetwork = field(
        default_factory=lambda: RecognizerNetwork(hidden_size=160, num_layers=2, dropout=0.1, front_dropout=0.0)
    )
    fit: RecognizerFit = field(
        default_factory=lambda: RecognizerFit(epochs=24, batch_size=16, lr=3e-3, average=0.99, curriculum=0, plain=4)
    )
    augment: SoundAugment = field(default_factory=lambda: SoundAugment(tilt=2.0, warp=0.08, time_width=6, band_width=4))
    data: Data = field(default_factory=Data)

    def prepare(self) -> PreparedRun:
        """Read the recordings, and join those for validation and test."""
        clips = self.read()
        rate = self.features.arguments(clips.rate)["rate"]
        train, validation, test = self.divide(clips)
        sounds = {
            name: [part.waveform(index, rate).samples for index in range(len(part))]
            for name, part in (("train", train), ("validation", validation), ("test", test))
        }
        parts = {"train": train, "validation": validation, "test": test}

        def join(
            name: str,
            count: int,
            lengths: tuple[int, int],
            gaps: Gaps | None = None,
            *,
            seed: int = 0,
        ) -> Any:
            from rnnkit.tasks.speech_joined import JoinedUtterances

            speakers = [clip.speaker for clip in parts[name]]
            words = [word_of(clip.label) for clip in parts[name]]
            return JoinedUtterances(
                sounds[name], words, speakers, count, rate=rate, lengths=lengths, gaps=gaps, seed=seed
            )

        from rnnkit.tasks.speech_batches import HeldUtterances
        from rnnkit.tasks.speech_joined import Gaps

        data = self.data
        learned = join("train", data.strings, (1, data.longest_string), seed=self.seed)
        held = join("validation", data.test_strings, (1, data.longest_string), seed=1) if len(validation) else None
        tests: dict[str, Any] = {}
        if len(test):
            spaced, close = Gaps(close=0.0, least=0.1), Gaps(close=1.0)
            words = [word_of(clip.label) for clip in test]
            tests["isolated"] = HeldUtterances(sounds["test"], words, rate)
            tests["strings"] = join("test", data.test_strings, (3, 7), spaced, seed=2)
            tests["close"] = join("test", data.test_strings, (3, 7), close, seed=3)
            tests["noise_10db"] = _noisy(join("test", data.test_strings, (3, 7), seed=4), 10.0, seed=5)
        division = (
            f"recordings 0 to 4 of each digit and speaker judge ({len(test):,}), 5 to 9 choose ({len(validation):,}), "
            f"the others train ({len(train):,})"
        )
        if data.without is not None:
            division += f"; of {data.without} all judge and none trains"
        source = data.path or "free spoken digits"
        return PreparedDigits(
            list(clips.findings),
            division,
            {str(source): clips.fingerprint()},
            self,
            train=learned,
            validation=held,
            tests=tests,
            tokenizer=data.tokenizer(DIGITS),
            rate=rate,
        )

    def read(self) -> ClipSet:
        """Return the recordings.

        Raises:
            DataError: files whose names contain no digit.
        """
        from rnnkit.data.audio.clips import read_clips

        path = free_spoken_digits() if self.data.path is None else self.data.path
        clips = read_clips(path, layout="digits")
        wrong = [clip.path for clip in clips if clip.label is None or not clip.label.isdigit() or len(clip.label) != 1]
        if wrong:
            raise DataError(f"{wrong[0]}: the name tells no digit; expected names such as 7_jackson_32.wav")
        return clips

    def speak(self, path: Path, rate: int) -> Spoken:
        """Return recordings of a path, labels of digits as words."""
        from dataclasses import replace

        clips = self.data.read(path, new=True)
        digits = [
            replace(clip, text=word_of(clip.label)) if clip.text is None and clip.label in _LABELS else clip
            for clip in clips
        ]
        return speak(replace(clips, clips=tuple(digits)), self.data, rate)

    def divide(self, clips: ClipSet) -> tuple[ClipSet, ClipSet, ClipSet]:
        """Return the recordings for training, validation and test."""
        without, speakers = self.data.without, clips.speakers
        if without is not None and without not in speakers:
            raise ConfigError(f"data.without={without} arrived; expected one of {', '.join(speakers)}")
        learned: list[int] = []
        chosen: list[int] = []
        judged: list[int] = []
        for at, clip in enumerate(clips):
            index = index_of(clip.path)
            if clip.speaker == without and without is not None:
                judged.append(at)
            elif index < 5:
                judged += [] if without is not None else [at]
            else:
                (chosen if index < 10 else learned).append(at)
        if not learned:
            raise DataError(
                f"{clips.source}: no recording is left to train on; expected recordings with numbers from 10 on, as in "
                "7_jackson_32.wav"
            )
        return clips.subset(learned), clips.subset(chosen), clips.subset(judged)


@dataclass(frozen=True)
class PreparedDigits(PreparedSpeech):
    """Digits that were read, divided and joined."""

    def figures(self, judged: Mapping[str, Any]) -> dict[str, float]:
        """Return the accuracy of isolated digits, and the word error rates of strings."""
        found = {}
        for name, one in judged.items():
            if name == "isolated":
                found["isolated_accuracy"] = one.scores.figures["sentence_accuracy"]
            else:
                found[f"{name}_wer"] = one.scores.figures["wer"]
        return found


def speech_digits() -> SpeechDigits:
    """Learn strings of 1 to 7 free spoken digits, or of data.path; judged with gaps, without, in noise."""
    return SpeechDigits()


def free_spoken_digits() -> Path:
    """Return the folder of the free spoken digits, of RNNKIT_DATA, of the cache, or from GitHub; checked file by file.

    Raises:
        DataError: what RNNKIT_DATA has is altered. DownloadError: they cannot be fetched.
    """
    from rnnkit.data.public_archives import PublicArchive, find_members

    return find_members("free spoken digits", PublicArchive(**_FREE_SPOKEN_DIGITS))


def word_of(label: str | None) -> str:
    """Return the word of a digit.

    Example:
        >>> word_of("7")
        'seven'
    """
    return DIGITS[int(label or 0)]


def index_of(path: str) -> int:
    """Return the number of a recording of a digit.

    Example:
        >>> index_of("recordings/7_jackson_32.wav")
        32
    """
    found = _INDEX.search(Path(path).name)
    return int(found.group(1)) if found else 10


def _noisy(joined: JoinedUtterances, decibels: float, seed: int) -> Any:
    """Return strings with pink noise, as loud below each of them."""
    import torch

    from rnnkit.data.audio import add_noise, coloured_noise
    from rnnkit.tasks.speech_batches import HeldUtterances

    generator = torch.Generator().manual_seed(seed)
    clean = [joined.waveform(at) for at in range(len(joined))]
    sounds = [add_noise(one, coloured_noise(len(one), -1.0, generator), decibels) for one in clean]
    return HeldUtterances(sounds, joined.texts, joined.rate)
