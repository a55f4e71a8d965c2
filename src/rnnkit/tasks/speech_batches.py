"""Batches of utterances for a recogniser: sound is augmented, turned into features and normalised as it is needed.

Legend: N samples, B batch, T frames, M features, U tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..data.position import ResumableBatches
from ..errors import DataError, check_number, check_whole
from ..types import Batch

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.audio.features import Features
    from ..data.audio.normalisation import FeatureNorm
    from ..data.text.tokenizer import Tokenizer

Augment = Callable[[Tensor, torch.Generator], Tensor]
_POOL = 8  # batches: utterances are sorted by length within so many; more would put the same words into a batch


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

    Raises:
        DataError: not as many texts as waveforms, or none.

    Example:
        >>> held = HeldUtterances([torch.zeros(8000), torch.zeros(4000)], ["one", "two"], rate=8000)
        >>> len(held), held.seconds.tolist()
        (2, [1.0, 0.5])
    """

    def __init__(self, waveforms: Sequence[Tensor], texts: Sequence[str], rate: int) -> None:
        if len(waveforms) != len(texts) or not waveforms:
            raise DataError(
                f"{len(texts)} texts arrived for {len(waveforms)} waveforms; expected as many, at least one"
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
            time to tell the last word.

    Example:
        >>> from rnnkit.data.audio.features import Features, FeatureSettings
        >>> from rnnkit.data.audio.normalisation import FeatureNorm
        >>> front = SpeechFront(Features(FeatureSettings(rate=8000)), FeatureNorm(40, "utterance"), tail=0.2)
        >>> frames, lengths = front([torch.randn(4000), torch.randn(8000)])
        >>> tuple(frames.shape), lengths.tolist()
        ((2, 118, 40), [68, 118])
    """

    def __init__(self, features: Features, norm: FeatureNorm, *, tail: float = 0.3) -> None:
        check_number(tail, "tail")
        self.features, self.norm, self.tail = features, norm, tail

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
        return {
            "features": self.features.settings.to_json(),
            "norm": norm.to_json() | {"mean": norm.mean.tolist(), "std": norm.std.tolist()},
            "frames": int(norm.frames),
            "tail": self.tail,
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
        return SpeechFront(Features(FeatureSettings.from_json(values["features"])), norm, tail=values["tail"])

    def raw(self, waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return features before the normalisation [B, T, M] and their lengths [B]."""
        counts = torch.tensor([len(one) + self.tail_samples for one in waveforms])
        samples = torch.zeros(len(waveforms), max(int(counts.max()), self.features.settings.window))
        for row, one in enumerate(waveforms):
            samples[row, : len(one)] = one
        return self.features(samples), self.features.frames(counts)

    def __call__(self, waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return normalised features [B, T, M] and their lengths [B]."""
        frames, lengths = self.raw(waveforms)
        return self.norm(frames, lengths), lengths

    def fit(self, utterances: Utterances, *, most: int = 500) -> None:
        """Measure mean and variance for the normalisation on some of the utterances, evenly spread.

        Args:
            utterances: of the training part.
            most: utterances that are read at most.
        """
        picked = np.unique(np.linspace(0, len(utterances) - 1, min(most, len(utterances))).astype(int))

        def features() -> Iterator[Tensor]:
            for index in picked.tolist():
                frames, lengths = self.raw([utterances.waveform(index)])
                yield frames[0, : int(lengths[0])]

        self.norm.fit(features())


class SpeechBatches(ResumableBatches):
    """Batches of utterances: features as inputs, tokens as targets.

    Each epoch draws new augmentation, new made utterances, and a new order: utterances are sorted by length within 8
    batches, and the batches come in a random order. In the first `curriculum` epochs all come from short to long
    (Amodei et al. 2016, SortaGrad). In the first `plain` epochs nothing is augmented: a network that is trained by CTC
    puts out blanks alone until it tells sounds apart, and leaves that the sooner the plainer they are.

    Args:
        utterances: what is said.
        tokenizer: of the texts; or the names of classes, where each text is one of them: targets are their numbers [B].
        front: makes features.
        batch_size: B, utterances of a batch at most.
        waves: augments samples [N]; None: nothing does.
        frames: augments normalised features [T, M], of as many frames; None: nothing does.
        shuffle: false: all are sorted by length, always, and nothing is drawn anew.
        curriculum, plain: see above.
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
        check_whole(batch_size, "batch_size")
        check_whole(curriculum, "curriculum", 0)
        check_whole(plain, "plain", 0)
        self.utterances, self.tokenizer, self.front = utterances, tokenizer, front
        self.batch_size, self.shuffle, self.curriculum, self.plain = batch_size, shuffle, curriculum, plain
        self.waves, self.frames, self.epoch = waves, frames, 0
        super().__init__(seed)

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self.utterances) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        if not self.shuffle:
            return self._rest(self._cut(np.arange(len(self.utterances))), first, None)
        drawn = int(torch.randint(2**62, (), generator=self.generator))
        self.utterances.redraw(drawn, self.epoch)
        return self._rest(self._drawn(), first, drawn)

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the epoch, and the number of epochs that are over."""
        return {**super().state_dict(), "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on behind that position, with the same batches to the bit."""
        super().load_state_dict(state)
        self.epoch = int(state["epoch"])

    def fingerprint(self) -> dict[str, Any]:
        """Return JSON values that tell the data and its order from others."""
        order = [self.seed, self.curriculum, self.plain, repr(self.waves), repr(self.frames)] if self.shuffle else None
        front = [self.front.features.settings.to_json(), self.front.norm.to_json(), self.front.tail]
        return {
            "data": self.utterances.fingerprint(),
            "tokenizer": self.tokenizer if isinstance(self.tokenizer, tuple) else self.tokenizer.fingerprint(),
            "front": front,
            "batch_size": self.batch_size,
            "order": order,
        }

    def __repr__(self) -> str:
        return f"SpeechBatches({len(self.utterances):,} utterances, batch_size={self.batch_size})"

    def _rest(self, batches: list[npt.NDArray[np.int64]], first: int, drawn: int | None) -> Iterator[Batch]:
        for number, rows in enumerate(batches[first:], first):
            self.position.advance()
            yield self._batch(rows.tolist(), None if drawn is None else drawn + number)
        self.epoch += 1
        self.position.end()

    def _batch(self, rows: list[int], seed: int | None) -> Batch:
        generator = torch.Generator().manual_seed(0 if seed is None else seed)
        seed = None if self.epoch < self.plain else seed
        waveforms = [self.utterances.waveform(row) for row in rows]
        if seed is not None and self.waves is not None:
            waveforms = [self.waves(one, generator) for one in waveforms]
        inputs, lengths = self.front(waveforms)
        if seed is not None and self.frames is not None:
            for row, length in enumerate(lengths.tolist()):
                inputs[row, :length] = self.frames(inputs[row, :length], generator)
        targets, counts = self._targets(rows)
        return Batch(inputs, targets, lengths, counts)

    def _targets(self, rows: list[int]) -> tuple[Tensor, Tensor | None]:
        """Return the targets of rows, and their lengths where they are sequences."""
        texts = [self.utterances.texts[row] for row in rows]
        if isinstance(self.tokenizer, tuple):
            return torch.tensor([self.tokenizer.index(text) for text in texts]), None
        ids = [torch.as_tensor(self.tokenizer.encode(text), dtype=torch.int64) for text in texts]
        return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), torch.tensor([len(one) for one in ids])

    def _drawn(self) -> list[npt.NDArray[np.int64]]:
        """The rows of each batch of an epoch."""
        if self.epoch < self.curriculum:
            return self._cut(np.arange(len(self.utterances)))
        order = torch.randperm(len(self.utterances), generator=self.generator).numpy()
        pool = self.batch_size * (1 if self.epoch < self.plain else _POOL)
        # Pools are whole numbers of batches, so that an epoch has as many batches whatever the order.
        batches = [one for begin in range(0, len(order), pool) for one in self._cut(order[begin : begin + pool])]
        return [batches[at] for at in torch.randperm(len(batches), generator=self.generator).tolist()]

    def _cut(self, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Sort rows by length and cut them into batches."""
        rows = rows[np.argsort(self.utterances.seconds[rows], kind="stable")]
        return [rows[begin : begin + self.batch_size] for begin in range(0, len(rows), self.batch_size)]
