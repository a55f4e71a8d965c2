"""Scenes of sound whose speech is known to the frame: recordings of speech with silence, noise, tones and rooms.

A scene is made of a seed: recordings follow one another in utterances, with silence between. A room, noise, knocks or
notes of instruments are added, of a signal-to-noise ratio over the speech. Legend: N samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, DataError, check_number, check_whole
from .augmentation import add_room, coloured_noise, make_room, tilt
from .speech_segments import Segment, merged

KINDS = ("quiet", "noise", "tones", "knocks")
_LEVEL = -25.0  # dB of full scale of speech, before the gain of the scene
_FADE = 0.003  # seconds at each end of a recording
_TABLE = 2048  # points of a period
_NOTES, _LENGTHS = (0, 2, 4, 5, 7, 9, 11, 12, 16, 19), (0.5, 1, 1, 2)  # half tones; shares of a length
_COLOURS = 8  # faint noises, whose parts are drawn
_EDGE = 0.03  # seconds that a recording keeps around its speech


@dataclass(frozen=True)
class SceneOptions:
    """What scenes are made of.

    Attributes:
        seconds: of a scene.
        silent: the share of scenes without speech.
        quiet: the share of scenes with a faint noise alone.
        noise_db: (lowest, highest) ratio of speech to noise, tones and knocks.
        room: the share of scenes in a room.
        tilt_db: the most that the highest frequencies are raised or lowered against the lowest, as by microphones.
        gain_db: (lowest, highest) gain of a scene.
        gaps: (shortest, longest) silence between utterances in seconds.
        words: (fewest, most) recordings of an utterance, that follow each other closely.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> SceneOptions(seconds=4.0).gaps
        (0.3, 2.5)
    """

    seconds: float = 8.0
    silent: float = 0.1
    quiet: float = 0.15
    noise_db: tuple[float, float] = (-5.0, 25.0)
    room: float = 0.25
    tilt_db: float = 3.0
    gain_db: tuple[float, float] = (-20.0, 10.0)
    gaps: tuple[float, float] = (0.3, 2.5)
    words: tuple[int, int] = (1, 5)

    def __post_init__(self) -> None:
        check_number(self.seconds, "seconds", above=0)
        check_number(self.tilt_db, "tilt_db")
        for name in ("silent", "quiet", "room"):
            check_number(getattr(self, name), name, below=1 + 1e-9)
        for name in ("noise_db", "gain_db", "gaps", "words"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ConfigError.of(name, (low, high), "expected (lowest, highest)")


class Scene(NamedTuple):
    """Sound whose speech is known.

    Attributes:
        samples: [N].
        segments: where somebody speaks.
        kind: what else is heard: quiet, noise, tones, knocks or recorded.
        db: the ratio of speech to that; infinity of a quiet scene.
    """

    samples: Tensor
    segments: list[Segment]
    kind: str
    db: float


class SceneMaker:
    """Make scenes of recordings of speech; equal seeds give equal scenes.

    Args:
        waveforms: of the recordings, [N] each.
        segments: where somebody speaks in each; recordings without speech are left out.
        rate: samples a second.
        options: what scenes are made of.
        noises: waveforms of other sound, such as of a street, which are drawn as often as each kind that is made.

    Attributes:
        clips: the recordings, cut to their speech and equally loud, with where somebody speaks in each.

    Raises:
        DataError: no recording holds speech.

    Example:
        >>> voice = torch.sin(torch.arange(8000) * 0.3)
        >>> maker = SceneMaker([voice], [[Segment(0.1, 0.9)]], 8000, SceneOptions(seconds=4.0))
        >>> scene = maker(seed=3)
        >>> scene.samples.shape, scene.kind
        (torch.Size([32000]), 'tones')
        >>> torch.equal(scene.samples, maker(seed=3).samples)
        True
    """

    def __init__(
        self,
        waveforms: Sequence[Tensor],
        segments: Sequence[Sequence[Segment]],
        rate: int,
        options: SceneOptions | None = None,
        noises: Sequence[Tensor] = (),
    ) -> None:
        check_whole(rate, "rate")
        self.rate, self.options = rate, options or SceneOptions()
        self.noises = [one for one in noises if len(one) and float(one.abs().max()) > 0]
        self._floors: dict[int, Tensor] = {}
        self.clips = [
            _trimmed(samples, own, rate) for samples, own in zip(waveforms, segments, strict=True) if len(own)
        ]
        if not self.clips:
            raise DataError("nobody speaks in any recording; expected recordings of speech")

    def __call__(self, seed: int, *, kind: str | None = None, db: float | None = None) -> Scene:
        """Return a scene.

        Args:
            seed: of all that is drawn.
            kind: what else is heard, one of `KINDS` or "recorded"; None: drawn.
            db: the ratio of speech to it; None: drawn.
        """
        random, options = np.random.default_rng(seed), self.options
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        count = round(options.seconds * self.rate)
        spoken = random.random() >= options.silent
        samples, segments = self._speech(count, random) if spoken else (torch.zeros(count), [])
        level = 10 ** (_LEVEL / 20)
        if segments:
            mask = torch.zeros(count, dtype=torch.bool)
            for start, end in segments:
                mask[round(start * self.rate) : round(end * self.rate)] = True
            level = float(samples[mask].square().mean().sqrt())
        if random.random() < options.room:
            response = make_room(self.rate, random.uniform(0.1, 0.6), random.uniform(0, 15), generator)
            samples = add_room(samples, response)
        drawn = self._kind(random)
        ratio = float(random.uniform(*options.noise_db))
        kind, ratio = kind or drawn, ratio if db is None else db
        # A microphone is never silent: a faint noise is in every scene.
        samples = samples + self._floor(count, random) * (level * 10 ** (-random.uniform(35, 60) / 20))
        if kind != "quiet":
            other = self._other(kind, count, random, generator)
            power = float(other.square().mean().sqrt())
            if power > 0:
                samples = samples + other * (level / power * 10 ** (-ratio / 20))
        samples = tilt(samples, random.uniform(-options.tilt_db, options.tilt_db))
        samples = samples * 10 ** (random.uniform(*options.gain_db) / 20)
        return Scene(samples.clamp(-1, 1), segments, kind, math.inf if kind == "quiet" else ratio)

    def _speech(self, count: int, random: np.random.Generator) -> tuple[Tensor, list[Segment]]:
        """Return recordings with silence between, and where somebody speaks."""
        options, rate = self.options, self.rate
        samples, segments = torch.zeros(count), []
        at = round(random.uniform(0, options.gaps[1]) * rate)
        while at < count:
            for _ in range(int(random.integers(options.words[0], options.words[1] + 1))):
                clip, own = self.clips[random.integers(len(self.clips))]
                part = clip[: max(count - at, 0)] * 10 ** (random.uniform(-6, 6) / 20)
                samples[at : at + len(part)] += part
                for start, end in own:
                    begin, behind = at / rate + start, min(at / rate + end, count / rate)
                    if behind > begin:
                        segments.append(Segment(begin, behind))
                at += len(clip) + round(random.uniform(0, 0.12) * rate)
            at += round(random.uniform(*options.gaps) * rate)
        return samples, merged(segments, 0.2)

    def _floor(self, count: int, random: np.random.Generator) -> Tensor:
        """Return a part of a faint noise: making one for each scene would take half of the time."""
        which = int(random.integers(_COLOURS))
        if which not in self._floors:
            generator = torch.Generator().manual_seed(which)
            # Of a power of two samples, so that its end goes on with its beginning.
            self._floors[which] = coloured_noise(1 << count.bit_length(), -2 * which / (_COLOURS - 1), generator)
        floor = self._floors[which]
        begin = int(random.integers(len(floor)))
        return torch.cat([floor[begin:], floor[:begin]])[:count]

    def _kind(self, random: np.random.Generator) -> str:
        kinds = [*KINDS[1:], *(["recorded"] if self.noises else [])]
        drawn, which = random.random(), kinds[random.integers(len(kinds))]
        return "quiet" if drawn < self.options.quiet else which

    def _other(self, kind: str, count: int, random: np.random.Generator, generator: torch.Generator) -> Tensor:
        if kind == "tones":
            return make_tones(count, self.rate, random)
        if kind == "knocks":
            return make_knocks(count, self.rate, random, generator)
        if kind == "recorded":
            noise = self.noises[random.integers(len(self.noises))]
            begin = int(random.integers(len(noise)))
            return noise.repeat(-(-(begin + count) // len(noise)))[begin : begin + count]
        noise = coloured_noise(count, random.uniform(-2, 0), generator)
        if random.random() < 0.5:  # it swells and fades, as traffic does
            time = torch.arange(count) / self.rate
            swing = 1 + random.uniform(0.3, 1) * torch.sin(
                2 * math.pi * random.uniform(0.1, 4) * time + random.uniform(0, 6)
            )
            noise = noise * swing
        return noise


def make_tones(count: int, rate: int, random: np.random.Generator) -> Tensor:
    """Make notes of one to three instruments, [count]: a fundamental of 80 to 900 Hz with harmonics, that fades.

    Example:
        >>> make_tones(8000, 8000, np.random.default_rng(0)).shape
        torch.Size([8000])
    """
    sound = np.zeros(count, np.float32)
    steps = np.arange(_TABLE) / _TABLE
    for _ in range(int(random.integers(1, 4))):
        root, at = random.uniform(80, 300), int(random.uniform(0, 0.3) * rate)
        length, decay = random.uniform(0.1, 0.8), random.uniform(0.5, 8)
        # One period of the instrument, read at the speed of each note: a sine a harmonic and sample would cost more.
        highest = max(1, min(int(random.integers(1, 9)), int(rate / 2 / (root * 3))))
        harmonics = np.arange(1, highest + 1)[:, None]
        period = (np.sin(2 * math.pi * (harmonics * steps + random.random((highest, 1)))) / harmonics).sum(0)
        while at < count:
            part = min(max(round(length * random.choice(_LENGTHS) * rate), 1), count - at)
            height = root * 2 ** (random.choice(_NOTES) / 12)
            time = np.arange(part, dtype=np.float32) / rate
            note = period[(time * (height * _TABLE)).astype(np.int64) % _TABLE]
            shape = np.minimum(np.minimum(time / 0.01, 1), np.minimum((part / rate - time) / 0.02, 1))
            if random.random() > 0.15:  # else a rest
                sound[at : at + part] += note * shape * np.exp(-decay * time)
            at += part
    return torch.from_numpy(sound)


def make_knocks(count: int, rate: int, random: np.random.Generator, generator: torch.Generator) -> Tensor:
    """Make knocks, steps and clatter, [count]: bursts of noise that fade within 5 to 200 ms.

    Example:
        >>> make_knocks(8000, 8000, np.random.default_rng(0), torch.Generator().manual_seed(0)).shape
        torch.Size([8000])
    """
    level, at = np.zeros(count, np.float32), int(random.uniform(0, 0.5) * rate)
    spacing, fade, colour = random.uniform(0.08, 1.0), random.uniform(0.005, 0.2), random.uniform(-2, 0)
    shape = np.exp(-np.arange(max(round(6 * fade * rate), 2), dtype=np.float32) / (fade * rate))
    while at < count:
        part = shape[: count - at]
        level[at : at + len(part)] += part * 10 ** (random.uniform(-10, 0) / 20)
        at += max(round(spacing * random.uniform(0.5, 1.5) * rate), 1)
    return coloured_noise(count, colour, generator) * torch.from_numpy(level)


def _trimmed(samples: Tensor, segments: Sequence[Segment], rate: int) -> tuple[Tensor, list[Segment]]:
    """Return a recording cut to its speech, as loud as all others, and where its speech is then."""
    edge = round(_EDGE * rate)
    begin = max(round(segments[0].start * rate) - edge, 0)
    end = min(round(segments[-1].end * rate) + edge, len(samples))
    part = samples[begin:end]
    own = [Segment(start - begin / rate, behind - begin / rate) for start, behind in segments]
    spoken = torch.cat([part[max(round(start * rate), 0) : round(behind * rate)] for start, behind in own])
    power = float(spoken.square().mean().sqrt()) if len(spoken) else 0.0
    if power > 0:
        part = part * (10 ** (_LEVEL / 20) / power)
    fade = min(round(_FADE * rate), len(part) // 2)
    ramp: Any = torch.ones(len(part))
    if fade:
        rise = torch.arange(1, fade + 1) / (fade + 1)
        ramp[:fade], ramp[-fade:] = rise, rise.flip(0)
    return part * ramp, own
