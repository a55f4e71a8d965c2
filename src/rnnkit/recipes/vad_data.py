"""The recordings of a run of voice activity detection: read, divided, and made into scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from rnnkit.errors import DataError
from rnnkit.recipes.speech_data import ClipData
from rnnkit.recipes.wording import in_data_settings
from rnnkit.tasks.voice_settings import SceneSettings

if TYPE_CHECKING:
    from torch import Tensor

    from rnnkit.data.audio.clips import ClipSet
    from rnnkit.data.audio.labelled_speech import SpokenClipSet
    from rnnkit.data.audio.speech_segments import Segment
    from rnnkit.tasks.voice_scenes import Spoken

_COLUMNS = ("path_column", "label_column", "speaker_column", "start_column", "end_column")
_CLEAN = 15.0  # dB between the loudest and the quietest frames, below which energy does not detect speech
_SEEDS = {"validation": 1, "test": 2}


@dataclass(frozen=True)
class VoiceData(ClipData):
    """The recordings, and how it is known where somebody speaks in them.

    Attributes:
        labels: segments reads them from a table (path, start, end) or from label files of Audacity next to the
            recordings; energy takes recordings of clean speech, finds speech by its energy, and makes scenes of them;
            auto looks.
        speech_labels: the labels of segments that mean speech; none takes all.
    """

    labels: Literal["auto", "segments", "energy"] = "auto"
    speech_labels: tuple[str, ...] = ()

    def read(self, path: str | Path, *, new: bool = False) -> SpokenClipSet:
        """Return the recordings of a path, with their segments where these are known."""
        from rnnkit.data.audio.labelled_speech import read_spoken_clips

        columns = {name: getattr(self, name) for name in _COLUMNS}
        layout = "auto" if new and self.layout == "digits" else self.layout
        with in_data_settings(("layout", "labels", *_COLUMNS), new=new):
            return read_spoken_clips(path, labels=self.labels, names=self.speech_labels, layout=layout, **columns)


class Heard(NamedTuple):
    """Recordings in memory.

    Attributes:
        waveforms: of each, [N].
        segments: where somebody speaks in each.
        labelled: whether that was known; else it was found by energy.
        findings: sentences about them.
    """

    waveforms: list[Tensor]
    segments: list[list[Segment]]
    labelled: bool
    findings: list[str]


def hear(clips: ClipSet, rate: int, part: str) -> Heard:
    """Read the samples of recordings, and find speech by energy where its segments are unknown.

    Args:
        clips: them.
        rate: samples a second.
        part: for sentences.

    Raises:
        DataError: there is no speech in any.
    """
    from rnnkit.data.audio.labelled_speech import SpokenClip
    from rnnkit.data.audio.speech_segments import find_speech, noise_below

    waveforms = [clips.waveform(index, rate).samples for index in range(len(clips))]
    known = [list(clip.segments) for clip in clips if isinstance(clip, SpokenClip) and clip.segments is not None]
    labelled = len(known) == len(clips)
    segments = known if labelled else [find_speech(samples, rate) for samples in waveforms]
    findings = []
    if not any(segments):
        raise DataError(f"{clips.source}: nobody speaks in any recording of the part {part}; expected speech")
    if not labelled:
        noisy = sum(noise_below(samples, rate) < _CLEAN for samples in waveforms if len(samples) > rate)
        if noisy * 2 > len(waveforms):
            findings.append(
                f"{part}: {noisy:,} of {len(waveforms):,} recordings have noise less than {_CLEAN:g} dB below the "
                "speech, so that its energy does not tell where somebody speaks: name segments, see data.labels."
            )
        silent = sum(not own for own in segments)
        if silent:
            findings.append(f"{part}: {silent:,} of {len(waveforms):,} recordings are silent, and left out.")
    return Heard(waveforms, segments, labelled, findings)


def make_scenes(
    heard: Heard, settings: SceneSettings, rate: int, noises: Sequence[Tensor], part: str, seed: int
) -> Spoken:
    """Return data for training or the test: scenes of clean recordings, else recordings in pieces.

    Args:
        heard: the recordings.
        settings: of the scenes.
        rate: samples a second.
        noises: waveforms of other sound.
        part: train, validation or test.
        seed: of the scenes of training.
    """
    from rnnkit.data.audio.scenes import SceneMaker
    from rnnkit.tasks.voice_scenes import VoicePieces, VoiceScenes

    if heard.labelled:
        return VoicePieces(heard.waveforms, heard.segments, rate, settings.seconds)
    maker = SceneMaker(heard.waveforms, heard.segments, rate, settings.options(), noises)
    # The scenes that choose and judge are the same for each seed of the training.
    count = settings.count if part == "train" else settings.held
    return VoiceScenes(maker, count, kept=settings.kept, seed=_SEEDS.get(part, seed))


def read_noises(path: str | None, rate: int) -> tuple[dict[str, list[Tensor]], dict[str, str]]:
    """Return recordings without speech for each part, so that no noise is in two, and their digest.

    Raises:
        DataError: there are none, or fewer than three.
    """
    if path is None:
        return {"train": [], "validation": [], "test": []}, {}
    from rnnkit.data.audio.clips import read_clips

    with in_data_settings(("layout",), new=False):
        clips = read_clips(path, longest=1e6)
    if len(clips) < 3:
        raise DataError(f"scenes.noises={path} holds {len(clips)} recordings; expected 3 or more, one a part at least")
    sounds = [clips.waveform(index, rate).samples for index in range(len(clips))]
    # The digest of its name puts a noise in the same part, independent of the others; each part has one at least.
    order = sorted(range(len(clips)), key=lambda at: hashlib.sha256(clips[at].id.encode()).digest())
    held = max(1, len(order) // 5)
    parts = {"validation": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    return {part: [sounds[at] for at in rows] for part, rows in parts.items()}, {path: clips.fingerprint()}
