"""What the samples of clips tell: silence, clipping, damage, doubled files; as sentences."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from ...errors import DataError, DataWarning
from .clip_headers import sentence
from .clips import ClipSet

_SILENT_DB = -70.0  # the loudest sample of silence: 10 steps of 16 bits
_FAINT_DB = -40.0
_CLIPPED = 0.001  # share of samples at the highest level, in runs of at least three
_OFFSET = 0.05  # a mean that far from 0 is a fault of the recording


def clip_findings(clips: ClipSet, *, most: int | None = 2000) -> list[str]:
    """Listen to clips, and name what is wrong with them.

    Args:
        clips: the set.
        most: so many clips are read, spread evenly over the set; None: all.

    Returns:
        Sentences about clips that are silent, faint, clipped, that have an offset, that are damaged, and files that are
        the same. [] where there is nothing to say. What headers tell stands in ``clips.findings``.

    Example:
        >>> import pathlib, tempfile
        >>> from rnnkit.data.audio import read_clips, write_wav
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> write_wav(folder / "a.wav", torch.zeros(8000), 8000)
        >>> write_wav(folder / "b.wav", torch.sin(torch.arange(8000) * 0.1) * 2, 8000)
        >>> clip_findings(read_clips(folder))
        ['1 of 2 clips is silent: a.', '1 of 2 clips is clipped: b (67% of its samples).']
    """
    count = len(clips) if most is None else min(most, len(clips))
    chosen = [number * len(clips) // count for number in range(count)] if count else []
    found: dict[str, list[str]] = defaultdict(list)
    same: dict[bytes, list[int]] = defaultdict(list)
    for number in chosen:
        clip = clips[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # truncated files stand in clips.findings
            try:
                samples = clips.waveform(number).samples
            except DataError as error:
                found["cannot be read"].append(f"{clip.id} ({error.problem})")
                continue
        same[hashlib.sha256(samples.numpy().tobytes()).digest()].append(number)
        for what, detail in faults(samples):
            found[what].append(clip.id + (f" ({detail})" if detail else ""))
    said = [sentence(what, names, count) for what, names in found.items()]
    return said + _doubled(clips, [numbers for numbers in same.values() if len(numbers) > 1])


def faults(samples: Tensor) -> list[tuple[str, str]]:
    """Return what is wrong with samples [N]: a phrase about clips, and a detail.

    Example:
        >>> faults(torch.zeros(100)), faults(torch.full((100,), 0.5))
        ([('are silent', '')], [('have an offset', 'their mean is +0.50')])
    """
    offset = float(samples.mean())
    centred = samples - offset
    peak = float(centred.abs().max())
    decibels = 20 * float(torch.tensor(max(peak, 1e-12)).log10())
    if abs(offset) > _OFFSET:
        return [("have an offset", f"their mean is {offset:+.2f}")]
    if decibels < _SILENT_DB:
        return [("are silent", "")]
    if decibels < _FAINT_DB:
        return [("are faint", f"at most {decibels:.0f} dB")]
    share = clipped_share(samples)
    return [("are clipped", f"{share:.{0 if share >= 0.1 else 1}%} of its samples")] if share > _CLIPPED else []


def clipped_share(samples: Tensor) -> float:
    """Return the share of samples [N] that stand at the highest level, in runs of at least three.

    Example:
        >>> clipped_share(torch.tensor([0.0, 0.9, 0.9, 0.9, 0.1, -0.9, 0.2, 0.0, 0.0, 0.0]))
        0.3
    """
    level = float(samples.abs().max())
    if len(samples) < 3 or level < 0.1:
        return 0.0
    # Both ends count, each with its own sign: integers reach from -32768 to 32767.
    at_top = torch.zeros(len(samples), dtype=torch.bool)
    for sign in (1, -1):
        at = sign * samples >= level * 0.9995
        run = at[:-2] & at[1:-1] & at[2:]
        at_top[:-2] |= run
        at_top[1:-1] |= run
        at_top[2:] |= run
    return float(at_top.double().mean())


def _doubled(clips: ClipSet, groups: Sequence[list[int]]) -> list[str]:
    if not groups:
        return []
    names = [" = ".join(clips[number].id for number in numbers[:3]) for numbers in groups]
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    total = sum(map(len, groups))
    advice = "Keep them in one part of a split, or remove them."
    said = [f"{total:,} clips have the same sound as another one: {shown}. {advice}"]
    known = [[(clips[number].text, clips[number].label) for number in numbers] for numbers in groups]
    unlike = [name for name, what in zip(names, known, strict=True) if len(set(what)) > 1]
    if unlike:
        shown = ", ".join(unlike[:3]) + (" …" if len(unlike) > 3 else "")
        said.append(f"{len(unlike):,} of these say different things by their transcripts or labels: {shown}.")
    return said
