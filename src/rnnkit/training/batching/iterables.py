"""Batches of what is not held in memory: iterables, torch's datasets, and the user's own `Batches`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ...errors import ConfigError, DataError
from ...types import Batch, Batches, Sequences
from .arrays import describe, to_batch, to_dtype, to_inputs, to_resets, to_targets
from .class_names import encode_names, names_in
from .order import Order
from .scale_hints import warn_of_scale

Prepare = Callable[[Batch], Batch]


class IterableBatches:
    """The batches of any iterable, each checked and brought to the model's dtype and device.

    An item is a `Batch`, or a pair (inputs, targets). With `stateful` the batches are chunks of streams, and an item
    may be (inputs, targets, resets).

    Args:
        source: the iterable.
        prepare: checks a batch and fits its targets to the loss.
        dtype, device: of the model.
        stateful: see above.
        class_names: of the classes, for targets that are names; None: unknown.
        hints: see `sources.make_batches`.
    """

    def __init__(
        self,
        source: Iterable[Any],
        prepare: Prepare,
        *,
        dtype: torch.dtype,
        device: torch.device,
        stateful: bool = False,
        class_names: Sequence[str] | None = None,
        hints: bool = False,
    ) -> None:
        self.class_names, self._hints = class_names, hints
        self.source, self.prepare, self.dtype, self.device = source, prepare, dtype, device
        self.stateful = stateful
        # Whether all processes are known to have equally many, and whether another number of them can go on.
        self.in_step = bool(getattr(source, "in_step", False))
        self.any_number = bool(getattr(source, "any_number", False))
        # A source with a position of its own (`types.Batches`) keeps it; another is read again up to the position.
        self.own_position = isinstance(source, Batches)
        self.steps: int | None = _length(source)
        self.last: tuple[int, Batch] | None = None
        self._position = self._start = 0

    def __iter__(self) -> Iterator[Batch]:
        items = iter(self.source)
        self._position, self._start = self._start, 0
        if not self.own_position:
            next(islice(items, self._position, self._position), None)  # now, so that its generators move now
        return self._rest(items)

    def _rest(self, items: Iterator[Any]) -> Iterator[Batch]:
        for step, item in enumerate(items, self._position):
            batch = self.prepare(self._read(item, step)).to(self.device)
            self.last = step, batch
            self._position = step + 1
            yield batch

    def _read(self, item: Any, step: int) -> Batch:
        """Turn an item of the source into a batch."""
        if isinstance(item, Batch):
            return self._checked(to_dtype(item, self.dtype), item.resets, step)
        resets = None
        if self.stateful and isinstance(item, tuple | list) and len(item) == 3:
            *item, resets = item
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise DataError(
                f"batch {step} is {describe(item)}; expected a pair (inputs, targets). "
                "Arrays are passed as one tuple: (X, y)"
            )
        if self._hints:
            warn_of_scale(item[0], self.dtype)
            self._hints = False
        batch = to_batch(to_inputs(item[0], self.dtype), to_targets(self._numbered(item[1]), self.dtype))
        return self._checked(batch, resets, step)

    def _checked(self, batch: Batch, resets: Any, step: int) -> Batch:
        if self.stateful and batch.input_lengths is not None:
            raise DataError(
                f"batch {step} has rows of unequal length; with stateful=True the rows of a batch end together"
            )
        if resets is not None:
            batch.resets = to_resets(resets, batch.inputs, f"batch {step}")
        return batch

    def _numbered(self, targets: Any) -> Any:
        """Return targets with the numbers of the classes in place of their names."""
        found = names_in(targets)
        if found is None:
            return targets
        if self.class_names is None:
            raise DataError(
                f"labels such as {found[0]!r} arrived in a batch, and the names of all classes are not known from one "
                "batch; name them in the model: classes=['name', ...], or number the labels from 0"
            )
        return encode_names(targets, self.class_names)

    def recall(self, step: int) -> tuple[list[int] | None, Batch | None]:
        """Return the batch of a step if it is the last; rows are unknown."""
        return None, self.last[1] if self.last and self.last[0] == step else None

    def state_dict(self) -> dict[str, Any]:
        source: Any = self.source
        return {"position": self._position} | ({"source": source.state_dict()} if self.own_position else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start = int(state["position"])
        source: Any = self.source
        if self.own_position and "source" in state:
            source.load_state_dict(state["source"])

    def fingerprint(self) -> dict[str, Any]:
        """Return the class of the source and its number of batches, and its own fingerprint if it has one."""
        source: Any = self.source
        own = {"fingerprint": source.fingerprint()} if self.own_position else {}
        return {"kind": type(source).__name__, "batches": self.steps} | own


def _length(source: Any) -> int | None:
    if isinstance(source, Batches):
        return source.steps
    try:
        return len(source)
    except TypeError:  # also raised by a DataLoader whose data set has no length
        return None


def stream(data: Any, order: Callable[[int], Order], *, batch_size: int, passes: int) -> Iterable[Any]:
    """Return an iterable of batches for what is not held in memory; raises `DataError` if there is none."""
    if isinstance(data, IterableDataset):
        return _loader(data, batch_size, None)
    if isinstance(data, Dataset):
        return _loader(data, batch_size, order(len(data)))  # type: ignore[arg-type]
    makes_batches = callable(getattr(data, "batches", None))  # as shards do, whose own items are rows
    no_batches = isinstance(data, Sequences | Tensor | np.ndarray | str | dict) or not isinstance(data, Iterable)
    if makes_batches or no_batches:
        problem = f"{describe(data)} arrived as data; expected (X, y), a torch Dataset or an iterable of batches"
        raise DataError(problem, remedy=_calls(data) if makes_batches else None)
    if passes > 1:
        check_rereadable(data, f"{passes} epochs were asked for", "pass epochs=1")
    batches: Iterable[Any] = data
    return batches


def _calls(data: Any) -> str | list[str]:
    """The calls that make batches of data whose method `batches` does so, each a remedy."""
    window = inspect.signature(data.batches).parameters.get("window")
    rows = "pass data.batches(32)"
    if window is None:
        return rows
    windows = "pass data.batches(32, 100) and stateful=True, for windows of tokens"
    return windows if window.default is window.empty else [rows, windows]


def check_rereadable(data: Any, why: str, instead: str) -> None:
    """Raise `ConfigError` for what can be iterated only once."""
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
