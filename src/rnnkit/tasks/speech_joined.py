"""Utterances that are joined from recordings of single words, such as strings of digits.

Strings made by joining are easier than spoken ones: each word was spoken by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..data.audio.joining import join_waveforms
from ..data.audio.waveforms import Waveform
from ..errors import ConfigError, DataError, check_whole


class Gaps(NamedTuple):
    """The silence of joined words, in seconds.

    Attributes:
        close: the share of utterances whose words follow each other without a gap.
        least, most: between words of the others.
        around: the longest before the first word, and after the last one.

    Example:
        >>> Gaps(close=1.0).close  # no gaps
        1.0
    """

    close: float = 0.5
    least: float = 0.05
    most: float = 0.4
    around: float = 0.2


class _Plan(NamedTuple):
    clips: list[int]
    gaps: list[int]  # samples before each clip, and after the last
    seed: int  # of the noise in them


class JoinedUtterances:
    """Utterances of words that were recorded one by one; each epoch joins others.

    The words of an utterance are of one speaker.

    Args:
        waveforms: of each recording, [N] float32.
        words: what is said in each.
        speakers: of each; None: all are of one.
        count: utterances of an epoch.
        rate: samples a second.
        lengths: the least and the most words of an utterance; each number is as frequent.
        gaps: the silence between them.
        seed: of the first epoch.

    Raises:
        DataError: no recordings, or not as many words. ConfigError: a number outside its range.

    Example:
        >>> import torch
        >>> joined = JoinedUtterances([torch.ones(800), torch.ones(400)], ["one", "two"], None, 3, rate=8000)
        >>> len(joined), joined.texts[0], len(joined.waveform(0)) == round(joined.seconds[0] * 8000)
        (3, 'two two one one one one', True)
    """

    def __init__(
        self,
        waveforms: Sequence[Tensor],
        words: Sequence[str],
        speakers: Sequence[str | None] | None,
        count: int,
        *,
        rate: int,
        lengths: tuple[int, int] = (1, 7),
        gaps: Gaps | None = None,
        seed: int = 0,
    ) -> None:
        check_whole(count, "count")
        check_whole(lengths[0], "lengths[0]")
        check_whole(lengths[1], "lengths[1]", lengths[0])
        if not waveforms or len(waveforms) != len(words):
            raise DataError(
                f"{len(words)} words arrived for {len(waveforms)} recordings; expected as many, at least one"
            )
        gaps = Gaps() if gaps is None else gaps
        if not 0 <= gaps.close <= 1 or not 0 <= gaps.least <= gaps.most or gaps.around < 0:
            raise ConfigError(f"gaps={gaps} arrived; expected a share for close, and least at most as much as most")
        self.waveforms, self.words, self.rate = list(waveforms), list(words), rate
        self.count, self.lengths, self.gaps = count, lengths, gaps
        self._seed = seed
        known = sorted({str(one) for one in speakers}) if speakers is not None else [""]
        self._groups = [
            [at for at in range(len(words)) if speakers is None or str(speakers[at]) == speaker] for speaker in known
        ]
        self.redraw(seed, 0)

    def __len__(self) -> int:
        return self.count

    def redraw(self, seed: int, epoch: int) -> None:
        """Join other words."""
        random = np.random.default_rng(seed)
        self._plans = [self._plan(random) for _ in range(self.count)]
        self.texts = [" ".join(self.words[clip] for clip in plan.clips) for plan in self._plans]
        self.seconds = np.array(
            [sum(len(self.waveforms[clip]) for clip in plan.clips) + sum(plan.gaps) for plan in self._plans]
        ) / float(self.rate)

    def waveform(self, index: int) -> Tensor:
        """Return the samples of an utterance."""
        plan = self._plans[index]
        waves = [Waveform(self.waveforms[clip], self.rate) for clip in plan.clips]
        return join_waveforms(waves, [gap / self.rate for gap in plan.gaps], seed=plan.seed).samples

    def ends(self, index: int) -> list[float]:
        """Return where each word of an utterance ends, in seconds."""
        plan, at, found = self._plans[index], 0, []
        for gap, clip in zip(plan.gaps, plan.clips, strict=False):
            at += gap + len(self.waveforms[clip])
            found.append(at / self.rate)
        return found

    def fingerprint(self) -> str:
        """Return a digest of the recordings and of how they are joined."""
        how = (self.rate, self.words, self.count, self.lengths, self.gaps, self._seed)
        found = hashlib.sha256(repr(how).encode("utf-8", "surrogatepass"))
        for one in self.waveforms:
            found.update(one.contiguous().numpy().tobytes())
        return found.hexdigest()

    def _plan(self, random: np.random.Generator) -> _Plan:
        group, (least, most) = self._groups[random.integers(len(self._groups))], self.lengths
        count = int(random.integers(least, most + 1))
        clips = [group[at] for at in random.integers(len(group), size=count)]
        gaps = self.gaps
        inner = (
            np.zeros(count - 1) if random.random() < gaps.close else random.uniform(gaps.least, gaps.most, count - 1)
        )
        first, last = random.uniform(0, gaps.around, 2)
        whole = [round(gap * self.rate) for gap in (first, *inner.tolist(), last)]
        return _Plan(clips, whole, int(random.integers(2**31)))
