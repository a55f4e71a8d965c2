"""Pretraining on series without labels: stretches are taken out of them, and a network fills them in.

    x [B, T, I] with stretches set to 0 → network → x̂ [B, T / S, S I],   loss = mean of (x̂ − x)² over what was taken out

Stretches in the middle are filled from both sides, as masked language models do (Devlin et al. 2019, BERT; for series
Zerveas et al. 2021, "A Transformer-based Framework for Multivariate Time Series Representation Learning"). A stretch
at the end is a forecast of the next steps. Values are those of the network's inputs: a channel has a spread of about 1.

Legend: B batch, T time, I inputs of a step, S steps that the front makes one of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy.typing as npt
import torch
from torch import Tensor

from ..data.position import ResumableBatches
from ..errors import DataError, check_number, check_whole
from ..layers.modes import mode
from ..ops.losses import LOSSES
from ..training.objectives.horizon import HorizonObjective
from ..types import Batch, Sequences, fingerprint_sample

Array = npt.NDArray[Any]


class Stretches:
    """Draws which steps of series are taken out.

    Args:
        share: of a series that is taken out, on average.
        length: steps of a stretch in the middle, on average; lengths are geometric.
        ends: share of the series whose end is taken out in place of stretches in the middle.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> drawn = Stretches(0.3, 4)(torch.tensor([20, 10]), 20, torch.Generator().manual_seed(0))
        >>> drawn.shape, bool(drawn.any(1).all()), bool(drawn[1, 10:].any())
        (torch.Size([2, 20]), True, False)
    """

    def __init__(self, share: float = 0.3, length: int = 8, ends: float = 0.25) -> None:
        check_number(share, "share", below=1)
        check_whole(length, "length")
        check_number(ends, "ends", below=1)
        self.share, self.length, self.ends = share, length, ends

    def __call__(self, lengths: Tensor, steps: int, generator: torch.Generator) -> Tensor:
        """Return what is taken out, bool [B, T], at least one step of each row and never all of it.

        Args:
            lengths: valid steps of each row [B].
            steps: T.
            generator: draws.
        """
        rows = len(lengths)
        # A Markov chain of taken out and left: stretches of the mean length, gaps so that the share is right.
        leave = 1 / self.length
        enter = min(1.0, leave * self.share / (1 - self.share))
        draws = torch.rand(rows, steps, generator=generator)
        taken = torch.zeros(rows, steps, dtype=torch.bool)
        inside = torch.rand(rows, generator=generator) < self.share
        for step in range(steps):
            inside = torch.where(inside, draws[:, step] >= leave, draws[:, step] < enter)
            taken[:, step] = inside
        places = torch.arange(steps)
        ended = torch.rand(rows, generator=generator) < self.ends
        first = (lengths * (1 - self.share)).floor().clamp(min=1).long()
        taken = torch.where(ended[:, None], places >= first[:, None], taken)
        taken &= places < lengths[:, None]
        # One step of a row that has none; the first step of a row that would lose all.
        lacking = ~taken.any(1) & (lengths > 1)
        one = (torch.rand(rows, generator=generator) * lengths).long()
        taken[lacking, one[lacking]] = True
        every = taken.sum(1) == lengths
        taken[every, 0] = False
        return taken

    def __repr__(self) -> str:
        return f"Stretches({self.share}, {self.length}, {self.ends})"


class FillingObjective(HorizonObjective):
    """The mean squared error of what was taken out, at each step of the network's outputs.

    Example:
        >>> FillingObjective().name
        'filling'
    """

    name: ClassVar[str] = "filling"
    targets_follow: ClassVar[str] = "targets"

    def __init__(self) -> None:
        super().__init__(LOSSES["mse"])


class FillingBatches(ResumableBatches):
    """Batches of series with stretches taken out: what is left as inputs, what was there as targets.

    Targets and weights have the steps of the network's outputs: S steps of the series side by side, S I numbers; the
    weight is 1 where they were taken out. Stretches begin and end at multiples of S.

    Args:
        inputs: all series, [N, T, I], or ragged.
        batch_size: B.
        stretches: draws what is taken out.
        stride: S.
        shuffle: false: the order of the rows, and the same stretches in each epoch.
        seed: of order and stretches.

    Example:
        >>> batches = FillingBatches(torch.randn(6, 12, 2), 4, Stretches(), stride=2)
        >>> batch = next(iter(batches))
        >>> batch
        Batch(inputs [4, 12, 2], targets [4, 6, 4], weights [4, 6])
    """

    def __init__(
        self,
        inputs: Tensor | Sequences,
        batch_size: int,
        stretches: Stretches,
        *,
        stride: int = 1,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(seed, inputs)
        self.inputs, self.batch_size, self.stretches = inputs, batch_size, stretches
        self.stride, self.shuffle = stride, shuffle
        self._values = inputs if isinstance(inputs, Tensor) else inputs.values
        full = torch.full((len(self._values),), self._values.shape[1])
        self._lengths = full if isinstance(inputs, Tensor) else inputs.lengths
        if int(self._lengths.max()) < 2 * stride:
            raise DataError(
                f"series of at most {int(self._lengths.max())} steps arrived; expected {2 * stride} or more"
            )

    def __len__(self) -> int:
        return len(self._values)

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return -(-len(self._values) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch; after `load_state_dict` those that are left of it."""
        first = self.position.begin()
        order, seed = torch.arange(len(self)), self.seed
        if self.shuffle:
            order = torch.randperm(len(self), generator=self.generator)
            seed = int(torch.randint(2**62, (), generator=self.generator))
        return self._rest(order, torch.Generator().manual_seed(seed), first)

    def _rest(self, order: Tensor, generator: torch.Generator, first: int) -> Iterator[Batch]:
        for number, rows in enumerate(order.split(self.batch_size)):
            taken = self._draw(rows, generator)
            if number >= first:
                self.position.advance()
                yield self.marked(self._batch(self.own(rows), self.own(taken)), rows)
        self.position.end()

    def _draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Return which of the network's steps are taken out, bool [B, ⌈T / S⌉], of the longest of all series."""
        steps = -(-self._values.shape[1] // self.stride)
        return self.stretches(self._lengths[rows] // self.stride, steps, generator)

    def _batch(self, rows: Tensor, taken: Tensor) -> Batch:
        lengths = self._lengths[rows]
        x = self._values[rows][:, : int(lengths.max())]
        taken = taken[:, : -(-x.shape[1] // self.stride)]
        targets = fold(x, self.stride)
        out = taken.repeat_interleave(self.stride, 1)[:, : x.shape[1]]
        ragged = not isinstance(self.inputs, Tensor)
        return Batch(
            x.masked_fill(out[:, :, None], 0.0),
            targets,
            lengths if ragged else None,
            -(-lengths // self.stride) if ragged else None,
            taken.float(),
        )

    def fingerprint(self) -> dict[str, Any]:
        """Return what distinguishes these batches from others, JSON values."""
        return {
            "series": float(fingerprint_sample(self._values).double().sum()),
            "rows": len(self._values),
            "stretches": repr(self.stretches),
            "stride": self.stride,
        }

    def __repr__(self) -> str:
        return f"FillingBatches({len(self._values):,} series, batch_size={self.batch_size}, {self.stretches!r})"


def fold(x: Tensor, stride: int) -> Tensor:
    """Return S steps side by side, [B, ⌈T / S⌉, S I], the last ones filled up with 0.

    Example:
        >>> fold(torch.arange(3.0)[None, :, None], 2).tolist()
        [[[0.0, 1.0], [2.0, 0.0]]]
    """
    x = torch.nn.functional.pad(x, (0, 0, 0, -x.shape[1] % stride))
    return x.reshape(len(x), x.shape[1] // stride, -1)


def filled(model: torch.nn.Module, batches: FillingBatches, count: int) -> list[tuple[Array, Array, Array]]:
    """Return some series with what is filled in.

    Args:
        model: the network.
        batches: of the series.
        count: series at most.

    Returns:
        For each the true values [T, I], the network's [T, I], and what was taken out, bool [T].

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(1, 4, batch_first=True), outputs=1)
        >>> [(true, found, out)] = filled(model, FillingBatches(torch.randn(6, 12, 1), 4, Stretches()), 1)
        >>> true.shape, found.shape, out.shape
        ((12, 1), (12, 1), (12,))
    """
    batch = next(iter(batches))
    assert batch.targets is not None
    assert batch.weights is not None
    lengths = batch.input_lengths
    device = next(model.parameters()).device
    with torch.inference_mode(), mode(model, training=False):
        found = model(batch.inputs.to(device), **({} if lengths is None else {"lengths": lengths})).cpu()
    series = []
    for row in range(min(count, len(batch))):
        steps = batch.inputs.shape[1] if lengths is None else int(lengths[row])
        true, own = (one[row].reshape(-1, batch.inputs.shape[2])[:steps].numpy() for one in (batch.targets, found))
        out = batch.weights[row].bool().repeat_interleave(batches.stride)[:steps].numpy()
        series.append((true, own, out))
    return series


def score_filling(model: torch.nn.Module, batches: FillingBatches) -> dict[str, float]:
    """Return how well stretches are filled in: root mean square errors in units of the inputs.

    Args:
        model: the network.
        batches: made with `shuffle=False`, so that the same stretches are taken out each time.

    Returns:
        "rmse" of the network; "interpolation_rmse", of a straight line from the last step before a stretch to the
        first one after it, and of the last one held where there is none; "mean_rmse", of 0, the channels' mean.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(1, 4, batch_first=True), outputs=1)
        >>> sorted(score_filling(model, FillingBatches(torch.randn(6, 12, 1), 4, Stretches(), shuffle=False)))
        ['interpolation_rmse', 'mean_rmse', 'rmse']
    """
    errors = {"rmse": 0.0, "interpolation_rmse": 0.0, "mean_rmse": 0.0}
    count = 0.0
    device = next(model.parameters()).device
    with torch.inference_mode(), mode(model, training=False):
        for batch in batches:
            assert batch.targets is not None
            assert batch.weights is not None
            lengths = {} if batch.input_lengths is None else {"lengths": batch.input_lengths}
            found = model(batch.inputs.to(device), **lengths).cpu()
            out = batch.weights.bool()
            lines = fold(interpolate(batch.inputs, out, batches.stride, batch.input_lengths), batches.stride)
            for name, one in (("rmse", found), ("interpolation_rmse", lines), ("mean_rmse", torch.zeros_like(found))):
                errors[name] += float((one - batch.targets)[out].double().square().sum())
            count += int(out.sum()) * batch.targets.shape[2]
    return {name: (total / max(1.0, count)) ** 0.5 for name, total in errors.items()}


def interpolate(x: Tensor, out: Tensor, stride: int, lengths: Tensor | None = None) -> Tensor:
    """Return series whose stretches are straight lines between their neighbours.

    Args:
        x: [B, T, I], with stretches taken out.
        out: bool [B, ⌈T / S⌉], true where S steps were taken out.
        stride: S.
        lengths: valid steps of each row [B]; None: all.

    Example:
        >>> x = torch.tensor([1.0, 0.0, 0.0, 4.0, 0.0])[None, :, None]
        >>> interpolate(x, torch.tensor([[False, True, True, False, True]]), 1)[0, :, 0].tolist()
        [1.0, 2.0, 3.0, 4.0, 4.0]
    """
    steps = x.shape[1]
    taken = out.repeat_interleave(stride, 1)[:, :steps]
    places = torch.arange(steps).expand(len(x), steps)
    if lengths is not None:
        taken = taken | (places >= lengths[:, None])
    before = torch.where(taken, -1, places).cummax(1).values
    behind = torch.where(taken, steps, places).flip(1).cummin(1).values.flip(1)
    left = torch.where(before < 0, behind, before).clamp(max=steps - 1)
    right = torch.where(behind >= steps, before, behind).clamp(min=0)
    share = (places - left) / (right - left).clamp(min=1)
    one = x.gather(1, left[:, :, None].expand_as(x))
    other = x.gather(1, right[:, :, None].expand_as(x))
    return one + share[:, :, None] * (other - one)
