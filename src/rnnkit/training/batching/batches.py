"""The batches of an epoch: rows of tensors in memory picked by index, or whatever an iterable yields.

Both kinds have one face. Iterating gives the `(inputs, targets)` pairs of one epoch, `steps` is their number
(None if unknown) and `recall(step)` returns the rows and the batch of a step of this epoch, where it can.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from ...errors import ConfigError, DataError
from ...types import Sequences
from .arrays import Inputs, describe, select, to_inputs, to_targets

Batch = tuple[Inputs, Tensor]
Prepare = Callable[[Inputs, Inputs], Tensor]

# Data in memory up to this size is put on the device whole; above it, batch by batch.
_RESIDENT_BYTES = 1 << 30


@dataclass
class Order:
    """Which rows an epoch visits, in a new order each time where there is a generator.

    Under torchrun each of the `world` processes visits every `world`-th of them. With `even`, rows are repeated
    until all processes have equally many, so that their gradient exchanges stay in step. Beside `rows`, an epoch visits
    `drawn` of the `old` rows, others each time.
    """

    rows: Tensor
    generator: torch.Generator | None = None
    rank: int = 0
    world: int = 1
    even: bool = False
    old: Tensor | None = None
    drawn: int = 0

    def draw(self) -> Tensor:
        rows = self.rows
        if self.old is not None:
            rows = torch.cat([rows, self._old()])
        count = len(rows)
        if self.generator is not None:
            rows = rows[torch.randperm(count, generator=self.generator)]
        if self.even and count % self.world:
            rows = torch.cat([rows, rows.repeat(self.world)[: -count % self.world]])
        return rows[self.rank :: self.world]

    def _old(self) -> Tensor:
        """As many old rows as an epoch sees; all of them before any comes again."""
        assert self.old is not None
        found: list[Tensor] = []
        for start in range(0, self.drawn, len(self.old)):
            picked = self.old
            if self.generator is not None:
                picked = picked[torch.randperm(len(picked), generator=self.generator)]
            found.append(picked[: self.drawn - start])
        return torch.cat(found)

    def __iter__(self) -> Iterator[int]:  # a DataLoader takes an Order as its sampler
        return iter(self.draw().tolist())

    def __len__(self) -> int:
        count = len(self.rows) + self.drawn
        extra = -count % self.world if self.even else 0
        return len(range(self.rank, count + extra, self.world))


class Mixed(tuple[Any, Any]):
    """`(X, y)` with `new` rows that every epoch visits, and behind them old ones of which it draws so many."""

    new: int
    drawn: int

    def __new__(cls, x: Any, y: Any, *, new: int, drawn: int) -> Mixed:
        made = super().__new__(cls, (x, y))
        made.new, made.drawn = new, drawn
        return made

    def order(self, order: Order) -> Order:
        """The order of all rows as one of the new ones, with the old ones to draw from."""
        return replace(order, rows=order.rows[: self.new], old=order.rows[self.new :], drawn=self.drawn)


class ArrayBatches:
    """Batches picked by index out of whole tensors; the last one may be smaller.

    With `per_step`, targets [N, T, ...] are cut to the steps that their batch of `Sequences` keeps.
    """

    def __init__(
        self,
        inputs: Inputs,
        targets: Tensor,
        order: Order,
        batch_size: int,
        *,
        device: torch.device,
        per_step: bool,
    ) -> None:
        values = inputs if isinstance(inputs, Tensor) else inputs.values
        home = device if values.nbytes + targets.nbytes <= _RESIDENT_BYTES else values.device
        self.inputs, self.targets = inputs.to(home), targets.to(home)
        self.order, self.batch_size, self.device, self.per_step = order, batch_size, device, per_step
        self.chunks: tuple[Tensor, ...] = ()

    @property
    def steps(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        self.chunks = self.order.draw().split(self.batch_size)
        return map(self._pick, self.chunks)

    def recall(self, step: int) -> tuple[list[int] | None, Batch | None]:
        return self.chunks[step].tolist(), self._pick(self.chunks[step])

    def _pick(self, rows: Tensor) -> Batch:
        inputs, targets = select(self.inputs, rows), select(self.targets, rows)
        if self.per_step and isinstance(inputs, Sequences):
            targets = targets[:, : inputs.values.shape[1]]
        return inputs.to(self.device), targets.to(self.device)


@dataclass(frozen=True)
class Chunk:
    """A piece [B, T, ...] of B streams that go on from batch to batch.

    `resets`, bool, says where a stream begins anew: [B] with the chunk's first step, [B, T] before that step.
    """

    values: Tensor
    resets: Tensor | None

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> Chunk:
        return Chunk(self.values.to(device), None if self.resets is None else self.resets.to(device))


class StreamBatches:
    """The batches of any iterable, each checked and brought to the model's dtype and device.

    Where it is `stateful`, they are chunks of streams: (inputs, targets) or (inputs, targets, resets), and their inputs
    come as `Chunk`.
    """

    def __init__(
        self,
        source: Iterable[Any],
        prepare: Prepare,
        *,
        dtype: torch.dtype,
        device: torch.device,
        stateful: bool = False,
    ) -> None:
        self.source, self.prepare, self.dtype, self.device = source, prepare, dtype, device
        self.stateful = stateful
        try:
            self.steps: int | None = len(source)  # type: ignore[arg-type]
        except TypeError:  # also raised by a DataLoader whose data set has no length
            self.steps = None
        self.last: tuple[int, Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        for step, pair in enumerate(self.source):
            resets = None
            if self.stateful and isinstance(pair, tuple | list) and len(pair) == 3:
                *pair, resets = pair
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise DataError(
                    f"batch {step} is {describe(pair)}; expected a pair (inputs, targets). "
                    "Arrays are passed as one tuple: (X, y)"
                )
            inputs = to_inputs(pair[0], self.dtype)
            targets = self.prepare(inputs, to_targets(pair[1], self.dtype))
            batch: Any = _chunk(inputs, resets, step) if self.stateful else inputs
            self.last = step, (batch.to(self.device), targets.to(self.device))
            yield self.last[1]

    def recall(self, step: int) -> tuple[list[int] | None, Batch | None]:
        if not self.last or self.last[0] != step:
            return None, None
        inputs: Any = self.last[1][0]
        return None, (inputs.values if self.stateful else inputs, self.last[1][1])


def _chunk(inputs: Inputs, resets: Any, step: int) -> Chunk:
    if isinstance(inputs, Sequences):
        raise DataError(f"batch {step} has rows of unequal length; with stateful=True the rows of a batch end together")
    if resets is not None:
        resets = torch.as_tensor(resets)
        if resets.dtype != torch.bool or resets.shape not in (inputs.shape[:1], inputs.shape[:2]):
            raise DataError(
                f"batch {step} has resets {list(resets.shape)} of {resets.dtype} with inputs {list(inputs.shape)}; "
                f"expected truth values, [{len(inputs)}], or {list(inputs.shape[:2])} for resets between steps"
            )
    return Chunk(inputs, resets)


Batches = ArrayBatches | StreamBatches


def hold_out(batches: Batches, share: float) -> ArrayBatches:
    """Takes a share of the rows out of `batches` and returns it: drawn at random, without a generator the last."""
    if not isinstance(batches, ArrayBatches):
        raise ConfigError(f"validation={share} takes data in memory; pass the validation data itself")
    order = batches.order
    rest, rows = share_of(order.rows, share, order.generator)
    held_out = copy.copy(batches)
    held_out.order = replace(order, rows=rows, generator=None, even=False, old=None, drawn=0)
    batches.order = replace(order, rows=rest)
    return held_out


def share_of(rows: Tensor, share: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """The rows that stay and the share to validate on, each in their order: a random one, without a generator the end.

    Raises:
        ConfigError: no rows would be left on one side.
    """
    count = len(rows)
    size = max(1, round(count * share))
    if not 0 < share < 1 or size >= count:
        raise ConfigError(
            f"validation={share} of {count} rows arrived; expected a share that leaves rows on both sides"
        )
    if generator is not None:
        rows = rows[torch.randperm(count, generator=generator)]
    return rows[:-size].sort().values, rows[-size:].sort().values


def in_memory(data: Any, dtype: torch.dtype) -> tuple[Inputs, Inputs] | None:
    """Returns `(X, y)` as tensors where `data` holds its rows in memory, None where it has to be iterated."""
    if isinstance(data, Subset) and isinstance(data.dataset, TensorDataset):
        rows = torch.as_tensor(data.indices)
        data = tuple(tensor[rows] for tensor in data.dataset.tensors)
    elif isinstance(data, TensorDataset):
        data = data.tensors
    if isinstance(data, tuple):
        if len(data) != 2 or isinstance(data[0], tuple):
            raise DataError(
                f"a tuple of {len(data)} ({', '.join(map(describe, data[:4]))}) arrived; expected (X, y). "
                "Batches are passed as a list or any other iterable"
            )
        return to_inputs(data[0], dtype), to_targets(data[1], dtype)
    return None


def stream(data: Any, order: Callable[[int], Order], *, batch_size: int, passes: int) -> Iterable[Any]:
    """Returns an iterable of batches for what is not held in memory; raises `DataError` if there is none."""
    if isinstance(data, IterableDataset):
        return _loader(data, batch_size, None)
    if isinstance(data, Dataset):
        return _loader(data, batch_size, order(len(data)))  # type: ignore[arg-type]
    if isinstance(data, Sequences | Tensor | np.ndarray | str | dict) or not isinstance(data, Iterable):
        raise DataError(f"{describe(data)} arrived as data; expected (X, y), a torch Dataset or an iterable of batches")
    if passes > 1:
        check_rereadable(data, f"{passes} epochs were asked for", "pass epochs=1")
    return data


def check_rereadable(data: Any, why: str, instead: str) -> None:
    """Raises `ConfigError` for what can be iterated only once, and says why that will not do."""
    if isinstance(data, Iterator):
        raise ConfigError(
            f"{describe(data)} can be read once, but {why}; {instead}, or something that can be iterated again (a "
            "list, a DataLoader, a class with __iter__)"
        )


def _loader(data: Dataset[Any], batch_size: int, sampler: Order | None) -> DataLoader[Any]:
    # A loader without a generator of its own would draw from the global one at every epoch.
    own = torch.Generator()
    return DataLoader(data, batch_size, sampler=sampler, collate_fn=_collate, generator=own)


def _collate(samples: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Samples stay lists of rows: `to_inputs` stacks or pads them as it does the rows of `(X, y)`."""
    inputs, targets = zip(*samples, strict=True)
    return list(inputs), list(targets)
