"""Scenes and recordings for a detector of voice activity, with the frames in which somebody speaks, and their batches.

Legend: N samples, B batch, T frames, M features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.audio.scenes import SceneMaker
from ..data.audio.speech_segments import Segment, frame_labels
from ..errors import DataError, check_whole
from ..types import Batch
from .speech_batches import SpeechBatches, SpeechFront
from .voice_scores import VoiceTruth

_KEPT = 128  # scenes whose samples are in memory
_MOST = 2000  # scenes whose features are in memory: 0.25 GB of 8 seconds each


class Spoken(Protocol):
    """Sound whose speech is known; the attributes are those of `VoiceScenes`."""

    rate: int
    seconds: Any

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def seeds(self) -> Sequence[int]: ...

    def __len__(self) -> int: ...

    def waveform(self, index: int) -> Tensor: ...

    def segments(self, index: int) -> Sequence[Segment]: ...

    def redraw(self, seed: int, epoch: int) -> None: ...

    def fingerprint(self) -> str: ...


class VoiceScenes:
    """Scenes that are made where they are asked for.

    To make a scene takes longer than to learn from it: each is kept for some epochs, and a part of them is replaced in
    each epoch.

    Args:
        maker: of the scenes.
        count: scenes of an epoch.
        kept: epochs that a scene stays.
        seed: of all scenes.
        kind: what else is heard in all of them; None: drawn.
        db: the ratio of speech to it; None: drawn.

    Attributes:
        rate: samples a second.
        texts: what else is heard in each.
        seconds: the length of each, [count].
        seeds: of each scene of the epoch.

    Example:
        >>> from rnnkit.data.audio.scenes import SceneOptions
        >>> maker = SceneMaker([torch.ones(4000)], [[Segment(0.0, 0.5)]], 8000, SceneOptions(seconds=2.0))
        >>> scenes = VoiceScenes(maker, 3, seed=1)
        >>> len(scenes), scenes.waveform(0).shape
        (3, torch.Size([16000]))
    """

    def __init__(
        self,
        maker: SceneMaker,
        count: int,
        *,
        kept: int = 1,
        seed: int = 0,
        kind: str | None = None,
        db: float | None = None,
    ) -> None:
        check_whole(count, "count")
        check_whole(kept, "kept")
        self.maker, self.rate, self.kind, self.db = maker, maker.rate, kind, db
        self.seconds = np.full(count, maker.options.seconds)
        self.texts = [kind or ""] * count
        self.kept, self._seed = kept, seed
        self._made: dict[int, Any] = {}
        self.redraw(seed, 0)

    def __len__(self) -> int:
        return len(self.texts)

    def redraw(self, seed: int, epoch: int) -> None:
        """Replace some scenes: those of an epoch follow from its number alone, so that a resumed run has the same."""
        turns = [(epoch + index) // self.kept for index in range(len(self.texts))]
        self.seeds = [
            int(np.random.SeedSequence((self._seed, index, turn)).generate_state(1)[0])
            for index, turn in enumerate(turns)
        ]

    def waveform(self, index: int) -> Tensor:
        """Return the samples of a scene."""
        samples: Tensor = self._scene(index).samples
        return samples

    def segments(self, index: int) -> Sequence[Segment]:
        """Return where somebody speaks in a scene."""
        found: list[Segment] = self._scene(index).segments
        return found

    def fingerprint(self) -> str:
        """Return a digest of the recordings and of how they are joined."""
        how = (self.rate, len(self), self.kept, self._seed, self.kind, self.db, asdict(self.maker.options))
        found = hashlib.sha256(repr(how).encode())
        for samples, segments in self.maker.clips:
            found.update(samples.contiguous().numpy().tobytes() + repr(segments).encode())
        for noise in self.maker.noises:
            found.update(noise.contiguous().numpy().tobytes())
        return found.hexdigest()

    def _scene(self, index: int) -> Any:
        # A batch asks for the sound of its scenes, then for the segments; scenes that judge are asked for each epoch.
        seed = self.seeds[index]
        if seed not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            self._made[seed] = self.maker(seed, kind=self.kind, db=self.db)
        return self._made[seed]


class VoicePieces:
    """Recordings whose speech is known, cut into pieces.

    Args:
        waveforms: of the recordings, [N] each.
        segments: where somebody speaks in each.
        rate: samples a second.
        seconds: of a piece; the last one of a recording is shorter.

    Attributes:
        rate: samples a second.
        texts: "recorded" for each.
        seconds: the length of each.
        seeds: the number of each.

    Raises:
        DataError: there is no sound.

    Example:
        >>> pieces = VoicePieces([torch.zeros(20000)], [[Segment(0.5, 1.5)]], 8000, 1.0)
        >>> len(pieces), pieces.segments(0), pieces.segments(1)
        (3, [Segment(start=0.5, end=1.0)], [Segment(start=0.0, end=0.5)])
    """

    def __init__(
        self, waveforms: Sequence[Tensor], segments: Sequence[Sequence[Segment]], rate: int, seconds: float
    ) -> None:
        size = max(1, round(seconds * rate))
        self.rate, self._waveforms = rate, list(waveforms)
        self._segments: list[list[Segment]] = []
        self._places: list[tuple[int, int, int]] = []
        for number, (samples, own) in enumerate(zip(waveforms, segments, strict=True)):
            for begin in range(0, len(samples), size):
                end = min(begin + size, len(samples))
                self._places.append((number, begin, end))
                first, length = begin / rate, (end - begin) / rate
                cut = [Segment(max(a - first, 0.0), min(b - first, length)) for a, b in own]
                self._segments.append([one for one in cut if one.end > one.start])
        if not self._places:
            raise DataError("the recordings hold no sound; expected some")
        self.texts, self.seeds = ["recorded"] * len(self._places), list(range(len(self._places)))
        self.seconds = np.array([(end - begin) / rate for _, begin, end in self._places])

    def __len__(self) -> int:
        return len(self._places)

    def redraw(self, seed: int, epoch: int) -> None:
        """Leave the pieces as they are."""

    def waveform(self, index: int) -> Tensor:
        """Return the samples of a piece."""
        number, begin, end = self._places[index]
        return self._waveforms[number][begin:end]

    def segments(self, index: int) -> Sequence[Segment]:
        """Return where somebody speaks in a piece."""
        return self._segments[index]

    def fingerprint(self) -> str:
        """Return a digest of samples and segments."""
        found = hashlib.sha256(repr((self.rate, self._places, self._segments)).encode())
        for one in self._waveforms:
            found.update(one.contiguous().numpy().tobytes())
        return found.hexdigest()


class VoiceBatches(SpeechBatches):
    """Batches of scenes: features as inputs, 1 for each frame with speech as targets.

    Args:
        scenes: sound whose speech is known.
        front: makes features; its tail is 0.
        batch_size: B, scenes of a batch at most.
        others: as in :class:`rnnkit.tasks.speech_batches.SpeechBatches`. What augments samples must keep their length.
            Where nothing does, the features of scenes that stay are kept.

    Example:
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "none"), tail=0.0)
        >>> pieces = VoicePieces([torch.randn(8000)], [[Segment(0.0, 0.5)]], 8000, 1.0)
        >>> [batch] = VoiceBatches(pieces, front, 4)
        >>> batch, int(batch.targets.sum())
        (Batch(inputs [1, 98, 40], targets [1, 98, 1], input_lengths [1]), 49)
    """

    def __init__(self, scenes: Spoken, front: SpeechFront, batch_size: int, **others: Any) -> None:
        self.scenes = scenes
        self._held: dict[int, tuple[Tensor, Tensor]] = {}
        super().__init__(scenes, (), front, batch_size, **others)

    def _batch(self, rows: list[int], seed: int | None) -> Batch:
        if self.waves is not None or self.frames is not None or len(self.scenes) > _MOST:
            return super()._batch(rows, seed)
        pairs = [self._features(row) for row in rows]
        inputs = torch.nn.utils.rnn.pad_sequence([frames for frames, _ in pairs], batch_first=True)
        targets = torch.nn.utils.rnn.pad_sequence([labels for _, labels in pairs], batch_first=True)[..., None]
        return Batch(inputs, targets, torch.tensor([len(frames) for frames, _ in pairs]))

    def _features(self, row: int) -> tuple[Tensor, Tensor]:
        key = self.scenes.seeds[row]
        if key not in self._held:
            if len(self._held) >= 2 * len(self.scenes):  # half of them, at least, are of scenes that were replaced
                there = set(self.scenes.seeds)
                self._held = {one: pair for one, pair in self._held.items() if one in there}
            frames, _ = self.front([self.scenes.waveform(row)])
            self._held[key] = frames[0], truth_of(self.scenes, self.front, row).labels
        return self._held[key]

    def targets(self, rows: list[int]) -> tuple[Tensor, Tensor | None]:
        """Return 1 for each frame with speech, [B, T, 1]."""
        labels = [truth_of(self.scenes, self.front, row).labels for row in rows]
        return torch.nn.utils.rnn.pad_sequence(labels, batch_first=True)[..., None], None


def truth_of(scenes: Spoken, front: SpeechFront, index: int) -> VoiceTruth:
    """Return what is true of a scene, for the frames of its features."""
    count = len(scenes.waveform(index))
    segments, settings = scenes.segments(index), front.features.settings
    frames = front.features.frames(count)
    labels = frame_labels(segments, frames, rate=settings.rate, window=settings.window, hop=settings.hop)
    return VoiceTruth(segments, labels, count / scenes.rate)
