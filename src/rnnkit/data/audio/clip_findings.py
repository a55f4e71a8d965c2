"""What the samples of clips show: silence, clipping, damage, doubled files; as sentences."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from ...errors import DataError, DataWarning
from ..sentences import Phrase, listed, sentence
from .clips import ClipSet
from .levels import faults

_UNREADABLE = ("cannot be read", "cannot be read")
_WARNED = ("is read with a warning", "are read with a warning")


def clip_findings(clips: ClipSet, *, most: int | None = 2000) -> list[str]:
    """Listen to clips, and name what is wrong with them.

    Args:
        clips: the set.
        most: so many clips are read, spread evenly over the set; None: all.

    Returns:
        Sentences about clips that are silent, faint, clipped, that have an offset, that are damaged, and files that are
        the same. [] where there is nothing to say. What headers say is in ``clips.findings``.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from rnnkit.data.audio import read_clips, write_wav
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> write_wav(folder / "a.wav", torch.zeros(8000), 8000)
        >>> write_wav(folder / "b.wav", torch.sin(torch.arange(8000) * 0.1) * 2, 8000)
        >>> clip_findings(read_clips(folder))
        ['1 of 2 clips is silent: a.', '1 of 2 clips is clipped: b (67% of its samples).']
    """
    chosen = _spread(len(clips), most)
    found: dict[Phrase, list[str]] = defaultdict(list)

    def read() -> Iterator[tuple[int, Tensor]]:
        for number in chosen:
            clip = clips[number]
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                try:
                    samples = clips.waveform(number).samples
                except DataError as error:
                    found[_UNREADABLE].append(f"{clip.id} ({error.problem})")
                    continue
            for one in warned:
                what = one.message.problem if isinstance(one.message, DataWarning) else str(one.message)
                found[_WARNED].append(f"{clip.id} ({what})")
            yield number, samples

    same = _listen(clips, read(), found)
    return _said(found, len(chosen)) + _doubled(clips, same) + _unlike(clips, same)


def sound_findings(clips: ClipSet, sounds: Sequence[Tensor], *, most: int | None = 2000) -> list[str]:
    """Name what is wrong with clips whose samples were read, as `clip_findings` does.

    Args:
        clips: the set, or a part of one.
        sounds: the samples [N] of each clip.
        most: so many clips are examined, spread evenly; None: all.

    Returns:
        Sentences about clips that are silent, faint or clipped, that have an offset, and about equal sounds with
        different transcripts or labels.

    Example:
        >>> import torch
        >>> from rnnkit.data.audio import Clip
        >>> clips = ClipSet(tuple(Clip(f"{name}.wav", text=name, id=name) for name in ("yes", "no")))
        >>> sound_findings(clips, [torch.zeros(800), torch.zeros(800)])
        ['2 of 2 clips are silent: yes, no.', '1 sound has different transcripts or labels: yes = no.']
    """
    chosen = _spread(len(clips), most)
    found: dict[Phrase, list[str]] = defaultdict(list)
    same = _listen(clips, ((number, sounds[number]) for number in chosen), found)
    return _said(found, len(chosen)) + _unlike(clips, same)


def _spread(count: int, most: int | None) -> list[int]:
    """Return the numbers of clips, at most so many of them, spread evenly."""
    few = count if most is None else min(most, count)
    return [number * count // few for number in range(few)]


def _listen(clips: ClipSet, heard: Iterable[tuple[int, Tensor]], found: dict[Phrase, list[str]]) -> list[list[int]]:
    """Note the faults of clips by their numbers and samples [N], and return the numbers of those that are the same."""
    same: dict[bytes, list[int]] = defaultdict(list)
    for number, samples in heard:
        same[hashlib.sha256(samples.numpy().tobytes()).digest()].append(number)
        for phrase, detail in faults(samples):
            found[phrase].append(clips[number].id + (f" ({detail})" if detail else ""))
    return [numbers for numbers in same.values() if len(numbers) > 1]


def _said(found: dict[Phrase, list[str]], count: int) -> list[str]:
    return [sentence(phrase, names, count, "clips") for phrase, names in found.items()]


def _doubled(clips: ClipSet, groups: Sequence[list[int]]) -> list[str]:
    if not groups:
        return []
    total = sum(map(len, groups))
    advice = "Keep them in one part of a split, or remove them."
    return [f"{total:,} clips have the same sound as another one: {_equal(clips, groups)}. {advice}"]


def _unlike(clips: ClipSet, groups: Sequence[list[int]]) -> list[str]:
    """Return a sentence about clips of the same sound that are said to be different things."""
    unlike = [group for group in groups if len({(clips[number].text, clips[number].label) for number in group}) > 1]
    if not unlike:
        return []
    have = "sound has" if len(unlike) == 1 else "sounds have"
    return [f"{len(unlike):,} {have} different transcripts or labels: {_equal(clips, unlike)}."]


def _equal(clips: ClipSet, groups: Sequence[list[int]]) -> str:
    return listed([" = ".join(clips[number].id for number in group[:3]) for group in groups])
