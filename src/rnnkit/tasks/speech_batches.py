"""Batches of utterances for a recogniser: sound is augmented, turned into features and normalised as it is needed.

Legend: N samples, B batch, T frames, M features, U tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.audio.cutting import trim_silence
from ..errors import DataError, check_number
from .recognition_batches import TokenBatches

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.audio.features import Features
    from ..data.audio.normalisation import FeatureNorm, Heard
    from ..data.text.tokenizer import Tokenizer

Augment = Callable[[Tensor, torch.Generator], Tensor]


class Utterances(Protocol):
    """What is said, and how it sounds.

    Attributes:
        texts: what is said in each.
        seconds: the length of each, [N].
    """

    @property
    def texts(self) -> Sequence[str]: ...

    @property
    def seconds(self) -> npt.NDArray[np.float64]: ...

    def __len__(self) -> int: ...

    def waveform(self, index: int) -> Tensor:
        """Return the samples [N] of an utterance, float32 in [−1, 1]."""
        ...

    def redraw(self, seed: int, epoch: int) -> None:
        """Make other utterances for an epoch, counted from 0, where they are made; recordings stay."""
        ...

    def fingerprint(self) -> str:
        """Return a digest of all utterances."""
        ...


class HeldUtterances:
    """Utterances whose samples are held in memory.

    Args:
        waveforms: of each, [N] float32.
        texts: what is said in each.
        rate: samples a second.
        speakers: who speaks in each; None: unknown.

    Raises:
        DataError: not as many texts or speakers as waveforms, or none.

    Example:
        >>> held = HeldUtterances([torch.zeros(8000), torch.zeros(4000)], ["one", "two"], rate=8000)
        >>> len(held), held.seconds.tolist()
        (2, [1.0, 0.5])
    """

    def __init__(
        self,
        waveforms: Sequence[Tensor],
        texts: Sequence[str],
        rate: int,
        speakers: Sequence[str | None] | None = None,
    ) -> None:
        self.speakers = [None] * len(waveforms) if speakers is None else list(speakers)
        for what, given in (("texts", texts), ("speakers", self.speakers)):
            if len(waveforms) != len(given) or not waveforms:
                raise DataError(
                    f"{len(given)} {what} arrived for {len(waveforms)} waveforms; expected as many, at least one"
                )
        self.waveforms, self.texts, self.rate = list(waveforms), list(texts), rate
        self.seconds = np.array([len(one) / rate for one in waveforms])

    def __len__(self) -> int:
        return len(self.texts)

    def waveform(self, index: int) -> Tensor:
        """Return the samples of an utterance."""
        return self.waveforms[index]

    def redraw(self, seed: int, epoch: int) -> None:
        """Leave the utterances as they are."""

    def fingerprint(self) -> str:
        """Return a digest of samples and texts."""
        found = hashlib.sha256(repr((self.rate, self.texts)).encode("utf-8", "surrogatepass"))
        for one in self.waveforms:
            found.update(one.contiguous().numpy().tobytes())
        return found.hexdigest()


class SpeechFront:
    """What becomes of sound before the network: silence at its end, features, normalisation.

    Args:
        features: of the sound.
        norm: of the features.
        tail: seconds of digital silence that follow each utterance, so that a network that looks back alone has the
            time to output the last word.
        trim: what is so many decibels below the loudest frame is cut off at both ends of each utterance, see
            ``rnnkit.data.audio.trim_silence``; None: nothing is. A stream knows no end, and cuts nothing off.

    Example:
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "utterance"), tail=0.2)
        >>> frames, lengths = front([torch.randn(4000), torch.randn(8000)])
        >>> tuple(frames.shape), lengths.tolist()
        ((2, 118, 40), [68, 118])
    """

    def __init__(self, features: Features, norm: FeatureNorm, *, tail: float = 0.3, trim: float | None = None) -> None:
        check_number(tail, "tail")
        check_number(trim, "trim", optional=True)
        self.features, self.norm, self.tail, self.trim = features, norm, tail, trim

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.features.settings.rate

    @property
    def tail_samples(self) -> int:
        """The samples of silence that follow each utterance."""
        return round(self.tail * self.rate)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        norm = self.norm
        trim = {} if self.trim is None else {"trim": self.trim}
        return {
            "features": self.features.settings.to_json(),
            "norm": norm.to_json() | {"mean": norm.mean.tolist(), "std": norm.std.tolist()},
            "frames": int(norm.frames),
            "tail": self.tail,
            **trim,
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> SpeechFront:
        """Return what `to_json` wrote, also beside other values."""
        from ..data.audio.features import Features, FeatureSettings
        from ..data.audio.normalisation import FeatureNorm

        arguments = dict(values["norm"])
        mean, std = torch.tensor(arguments.pop("mean")), torch.tensor(arguments.pop("std"))
        norm = FeatureNorm(**arguments)
        norm.load_state_dict({"mean": mean, "std": std, "frames": torch.tensor(values["frames"])})
        features = Features(FeatureSettings.from_json(values["features"]))
        return SpeechFront(features, norm, tail=values["tail"], trim=values.get("trim"))

    def raw(self, waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return features before the normalisation [B, T, M] and their lengths [B]."""
        if self.trim is not None:
            waveforms = [trim_silence(one, self.rate, self.trim) for one in waveforms]
        counts = torch.tensor([len(one) + self.tail_samples for one in waveforms])
        samples = torch.zeros(len(waveforms), max(int(counts.max()), self.features.settings.window))
        for row, one in enumerate(waveforms):
            samples[row, : len(one)] = one
        return self.features(samples), self.features.frames(counts)

    def __call__(self, waveforms: Sequence[Tensor], heard: Sequence[Heard] | None = None) -> tuple[Tensor, Tensor]:
        """Return normalised features [B, T, M] and their lengths [B].

        Args:
            waveforms: [N] each.
            heard: what is known of the speaker of each, for a norm of the kind "speaker".
        """
        frames, lengths = self.raw(waveforms)
        return self.norm(frames, lengths, heard), lengths

    def hear(self, waveforms: Sequence[Tensor], speakers: Sequence[str | None]) -> list[Heard] | None:
        """Return what is known of the speaker of each waveform by all of them together.

        Args:
            waveforms: [N] each.
            speakers: of each; those without a name are one speaker.

        Returns:
            One for each waveform; None: the norm is of another kind than "speaker".
        """
        if self.norm.kind != "speaker":
            return None
        found = {
            speaker: self.norm.hear(
                self._unpadded(one for one, other in zip(waveforms, speakers, strict=True) if other == speaker)
            )
            for speaker in set(speakers)
        }
        return [found[speaker] for speaker in speakers]

    def _unpadded(self, waveforms: Iterable[Tensor]) -> Iterator[Tensor]:
        for one in waveforms:
            frames, lengths = self.raw([one])
            yield frames[0, : int(lengths[0])]

    def fit(self, utterances: Utterances, *, most: int = 500) -> None:
        """Measure mean and variance for the normalisation on some of the utterances, evenly spread.

        Args:
            utterances: of the training part.
            most: utterances that are read at most.
        """
        picked = np.unique(np.linspace(0, len(utterances) - 1, min(most, len(utterances))).astype(int))
        self.norm.fit(self._unpadded(utterances.waveform(index) for index in picked.tolist()))


class SpeechBatches(TokenBatches):
    """Batches of utterances: features as inputs, tokens as targets; see :class:`TokenBatches` for order and epochs.

    A network that is trained by CTC outputs only blanks until it distinguishes sounds, and leaves that the sooner the
    plainer they are.

    Args:
        utterances: what is said.
        tokenizer: of the texts; or the names of classes, where each text is one of them: targets are their numbers [B].
        front: makes features.
        batch_size: B, utterances of a batch at most.
        waves: augments samples [N]; None: nothing does.
        frames: augments normalised features [T, M], of as many frames; None: nothing does.
        shuffle: false: all are always sorted by length, and nothing is drawn again.
        curriculum: this number of epochs come from short to long.
        plain: this number of epochs begin without augmentation.
        seed: of all that is drawn.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "utterance"))
        >>> held = HeldUtterances([torch.randn(8000), torch.randn(4000)], ["one two", "two"], rate=8000)
        >>> [batch] = SpeechBatches(held, train_tokenizer("word", held.texts), front, batch_size=2)
        >>> batch, batch.target_lengths.tolist()
        (Batch(inputs [2, 128, 40], targets [2, 2], input_lengths [2], target_lengths [2]), [1, 2])
    """

    def __init__(
        self,
        utterances: Utterances,
        tokenizer: Tokenizer | tuple[str, ...],
        front: SpeechFront,
        batch_size: int,
        *,
        waves: Augment | None = None,
        frames: Augment | None = None,
        shuffle: bool = True,
        curriculum: int = 0,
        plain: int = 0,
        seed: int = 0,
    ) -> None:
        self.utterances, self.front, self.waves, self.frames = utterances, front, waves, frames
        self._heard: list[Heard] | None = None
        if isinstance(utterances, HeldUtterances):
            self._heard = front.hear(utterances.waveforms, utterances.speakers)
        super().__init__(
            utterances, tokenizer, batch_size, shuffle=shuffle, curriculum=curriculum, plain=plain, seed=seed
        )

    def sizes(self) -> npt.NDArray[Any]:
        """Return the length of each utterance in seconds."""
        return self.utterances.seconds

    def inputs(self, rows: list[int], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return normalised features [B, T, M] and their lengths [B], augmented where a generator is given."""
        waveforms = [self.utterances.waveform(row) for row in rows]
        heard = None if self._heard is None else [self._heard[row] for row in rows]
        if generator is not None and self.waves is not None:
            waveforms = [self.waves(one, generator) for one in waveforms]
        inputs, lengths = self.front(waveforms, heard)
        if generator is not None and self.frames is not None:
            for row, length in enumerate(lengths.tolist()):
                inputs[row, :length] = self.frames(inputs[row, :length], generator)
        return inputs, lengths

    def drawn_by(self) -> list[Any]:
        """Return what augments."""
        return [repr(self.waves), repr(self.frames)]

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that distinguish the data and its order from others."""
        front = [self.front.features.settings.to_json(), self.front.norm.to_json(), self.front.tail]
        front += [] if self.front.trim is None else [self.front.trim]
        return super().fingerprint() | {"front": front}

    def __repr__(self) -> str:
        return f"SpeechBatches({len(self.utterances):,} utterances, batch_size={self.batch_size})"
