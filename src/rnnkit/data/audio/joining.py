"""Strings of clips, joined with gaps, such as digits that follow one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, Place, check_seed, check_whole
from .clips import ClipSet
from .waveforms import Waveform

_FADE = 0.002  # seconds at each end of a clip, so that no edge clicks
_QUIET = 0.01  # seconds of the stretches of which the quietest gives the noise of the gaps


@dataclass(frozen=True)
class ClipString:
    """Clips of a set that follow one another.

    Attributes:
        numbers: of the clips in their set.
        gaps: the seconds before each clip, and behind the last: one more than clips.
        text: what they say together: their transcripts or labels, with spaces between.
        speaker: who speaks; None where several do, or where it is unknown.
        starts, ends: of each clip in the string, in seconds.
        seed: of the noise in the gaps.
    """

    numbers: tuple[int, ...]
    gaps: tuple[float, ...]
    text: str
    speaker: str | None
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    seed: int

    @property
    def seconds(self) -> float:
        """The length of the whole."""
        return self.ends[-1] + self.gaps[-1]


@dataclass(frozen=True, eq=False, repr=False)
class ClipStrings(Sequence[ClipString]):
    """Strings of clips, whose sound is made where it is asked for; `join_clips` makes it.

    Attributes:
        clips: the set of the clips.
        strings: which clips follow one another.
    """

    clips: ClipSet
    strings: tuple[ClipString, ...]

    def __len__(self) -> int:
        return len(self.strings)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return ClipStrings(self.clips, self.strings[index])
        return self.strings[index]

    def __iter__(self) -> Iterator[ClipString]:
        return iter(self.strings)

    @property
    def seconds(self) -> float:
        """The length of all strings in seconds."""
        return sum(string.seconds for string in self.strings)

    def waveform(self, index: int, rate: int | None = None) -> Waveform:
        """Return the sound of a string: its clips with gaps of faint noise, as strong as the quietest part of a clip.

        Args:
            index: the string's number.
            rate: samples a second; None: that of most clips.

        Raises:
            DataError: a file is damaged; see `read_audio`.
        """
        string = self.strings[index]
        rate = self.clips.rate if rate is None else rate
        waves = [self.clips.waveform(number, rate) for number in string.numbers]
        return join_waveforms(waves, string.gaps, seed=string.seed)

    def __repr__(self) -> str:
        words = sum(len(string.numbers) for string in self.strings)
        return f"ClipStrings({len(self):,} strings of {words:,} clips, {self.seconds / 60:.1f} min)"


def join_clips(
    clips: ClipSet,
    count: int | None = None,
    *,
    words: tuple[int, int] = (3, 7),
    gaps: tuple[float, float] = (0.05, 0.4),
    edges: tuple[float, float] = (0.1, 0.4),
    same_speaker: bool = True,
    seed: int = 0,
) -> ClipStrings:
    """Draw strings of clips: a recogniser of digits trains and is tested on these.

    Args:
        clips: isolated utterances, with a transcript or a label each.
        count: how many strings; None: so many that each clip is in about one.
        words: (fewest, most) clips of a string; each number is as likely.
        gaps: (shortest, longest) silence between two clips in seconds; (0, 0): none.
        edges: the same before the first and behind the last clip.
        same_speaker: whether one speaker says all of a string.
        seed: of the draw. All clips are used before one comes again (of each speaker, where `same_speaker`).

    Returns:
        The strings; their sound is read and joined by ``strings.waveform(index)``.

    Raises:
        DataError: there are no clips, or one has neither transcript nor label.
        ConfigError: an argument outside its range.

    Example:
        >>> import pathlib, tempfile
        >>> from rnnkit.data.audio import read_clips, write_wav
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("0_anna_0", "1_anna_0", "2_anna_0"):
        ...     write_wav(folder / f"{name}.wav", torch.ones(4000) / 2, 8000)
        >>> strings = join_clips(read_clips(folder), 5, words=(2, 4), seed=1)
        >>> strings[0].text, strings.waveform(0)
        ('1 0', Waveform(1.86 s, 8000 Hz))
    """
    check_whole(count, "count", optional=True)
    check_seed(seed)
    for name, pair in (("gaps", gaps), ("edges", edges)):
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1] < math.inf:
            raise ConfigError.of(name, pair, "expected (shortest, longest) seconds, of at least 0")
    if len(words) != 2 or not all(isinstance(one, int) for one in words) or not 1 <= words[0] <= words[1]:
        raise ConfigError.of("words", words, "expected (fewest, most), two whole numbers of at least 1")
    if not len(clips):
        raise DataError("no clips arrived; expected at least one", Place(clips.source))
    said = [clip.text if clip.text is not None else clip.label for clip in clips]
    if None in said:
        problem = "the clip has neither a transcript nor a label"
        raise DataError(problem, Place(clips[said.index(None)].path), "leave it out by clips.subset")
    random = torch.Generator().manual_seed(seed)
    queues = _queues(clips, same_speaker, random)
    mean = (words[0] + words[1]) / 2
    strings = []
    for _ in range(max(round(len(clips) / mean), 1) if count is None else count):
        who = list(queues)[_weighted([queue.size for queue in queues.values()], random)]
        length = int(torch.randint(words[0], words[1] + 1, (), generator=random))
        numbers = tuple(queues[who].next() for _ in range(length))
        silences = [edges, *[gaps] * (length - 1), edges]
        drawn = [low + (high - low) * float(torch.rand((), generator=random)) for low, high in silences]
        text = " ".join(said[number] or "" for number in numbers)
        starts, at = [], 0.0
        for gap, number in zip(drawn, numbers, strict=False):
            starts.append(at + gap)
            at += gap + clips[number].seconds
        ends = tuple(start + clips[number].seconds for start, number in zip(starts, numbers, strict=True))
        noise = int(torch.randint(1 << 31, (), generator=random))
        strings.append(ClipString(numbers, tuple(drawn), text, who, tuple(starts), ends, noise))
    return ClipStrings(clips, tuple(strings))


def join_waveforms(waves: Sequence[Waveform], gaps: Sequence[float], *, seed: int = 0) -> Waveform:
    """Join waveforms, with gaps of faint noise.

    Args:
        waves: of one rate, [N] each.
        gaps: the seconds before each waveform, and behind the last: one more than waveforms.
        seed: of the noise. It is as strong as the quietest 10 ms of a waveform.

    Returns:
        The whole. The ends of each waveform are faded over 2 ms.

    Raises:
        DataError: there are no waveforms, or they have different rates or several channels.
        ConfigError: another number of gaps, or one below 0.

    Example:
        >>> wave = Waveform(torch.ones(800), 8000)
        >>> join_waveforms([wave, wave], [0.0, 0.1, 0.2])
        Waveform(0.50 s, 8000 Hz)
    """
    if not waves or len({wave.rate for wave in waves}) > 1 or any(wave.samples.ndim != 1 for wave in waves):
        found = ", ".join(map(repr, waves[:4])) or "none"
        raise DataError(f"waveforms of one rate and one channel were expected; {found} arrived")
    if len(gaps) != len(waves) + 1 or any(not 0 <= gap < math.inf for gap in gaps):
        raise ConfigError.of("gaps", list(gaps), f"expected {len(waves) + 1} numbers of at least 0")
    rate = waves[0].rate
    level = min(_quietest(wave) for wave in waves)
    random = torch.Generator().manual_seed(seed)
    parts: list[Tensor] = []
    for gap, wave in zip(gaps, [*waves, None], strict=True):
        parts.append(level * torch.randn(round(gap * rate), generator=random))
        if wave is not None:
            parts.append(_faded(wave.samples, round(_FADE * rate)))
    return Waveform(torch.cat(parts).clamp(-1, 1), rate)


def _faded(samples: Tensor, count: int) -> Tensor:
    count = min(count, len(samples) // 2)
    if not count:
        return samples
    rise = torch.arange(1, count + 1) / (count + 1)
    return torch.cat([samples[:count] * rise, samples[count:-count], samples[-count:] * rise.flip(0)])


def _quietest(wave: Waveform) -> float:
    size = max(round(_QUIET * wave.rate), 1)
    if len(wave.samples) < size:
        return 0.0
    frames = wave.samples.unfold(0, size, size)
    return float((frames - frames.mean(1, keepdim=True)).square().mean(1).min().sqrt())


class _Queue:
    """Numbers in random order; all come before one comes again."""

    def __init__(self, numbers: list[int], random: torch.Generator) -> None:
        self._numbers, self._random, self._left = numbers, random, list[int]()

    @property
    def size(self) -> int:
        return len(self._numbers)

    def next(self) -> int:
        if not self._left:
            order = torch.randperm(len(self._numbers), generator=self._random).tolist()
            self._left = [self._numbers[place] for place in order]
        return self._left.pop()


def _queues(clips: ClipSet, same_speaker: bool, random: torch.Generator) -> dict[str | None, _Queue]:
    numbers: dict[str | None, list[int]] = {}
    for number, clip in enumerate(clips):
        numbers.setdefault(clip.speaker if same_speaker else None, []).append(number)
    return {who: _Queue(own, random) for who, own in numbers.items()}


def _weighted(sizes: list[int], random: torch.Generator) -> int:
    """Return a number drawn by weights."""
    return int(torch.multinomial(torch.tensor(sizes, dtype=torch.float64), 1, generator=random))
