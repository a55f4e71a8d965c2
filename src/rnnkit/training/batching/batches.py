"""Batches of data in memory: rows picked by index out of whole tensors."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError
from ...types import Batch, Batches, fingerprint_sample
from .arrays import select, tensor_bytes, tensor_kind
from .order import Order, share_of

# Data in memory up to this size is put on the device whole; above it, batch by batch.
_RESIDENT_BYTES = 1 << 30


class ArrayBatches:
    """Batches picked by index out of whole tensors; the last one may be smaller.

    All processes yield equally many. One whose rows have come to an end yields a batch that stands in.

    Args:
        data: all rows.
        order: the rows of an epoch.
        batch_size: rows of a batch.
        device: where batches are needed.
        follow: see `arrays.select`.
        equally_many: whether that is so; else a process has as many batches as its rows make.

    Attributes:
        in_step: whether all processes are known to have equally many.
    """

    def __init__(
        self,
        data: Batch,
        order: Order,
        batch_size: int,
        *,
        device: torch.device,
        follow: str,
        equally_many: bool = False,
    ) -> None:
        size = sum(one.nbytes for one in (data.inputs, data.targets, data.weights) if one is not None)
        self.data = data.to(device if size <= _RESIDENT_BYTES else data.inputs.device)
        self.order, self.batch_size, self.device, self.follow = order, batch_size, device, follow
        self.equally_many = self.in_step = equally_many
        self.chunks: tuple[Tensor, ...] = ()
        self._position = self._start = 0

    @property
    def steps(self) -> int:
        return -(-(self.order.most if self.equally_many else len(self.order)) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows = self.order.draw()  # now, so that the generator moves now
        self.chunks = rows.split(self.batch_size) if len(rows) else ()  # of few rows, a process may get none
        self._position, self._start = self._start, 0
        return self._rest()

    def _rest(self) -> Iterator[Batch]:
        for rows in self.chunks[self._position :]:
            self._position += 1
            yield self._pick(rows)
        if self.equally_many and self._position < self.steps:  # others have a last row, at most one each
            self._position += 1
            yield replace(self._pick(self.order.rows[:1]), stands_in=True)

    def recall(self, step: int) -> tuple[list[int] | None, Batch | None]:
        """Return the rows and the batch of a step of this epoch."""
        if step >= len(self.chunks):  # one that stood in
            return None, None
        return self.chunks[step].tolist(), self._pick(self.chunks[step])

    def _pick(self, rows: Tensor) -> Batch:
        picked = select(self.data, rows, follow=self.follow)
        return picked if picked.inputs.device == self.device else picked.to(self.device)

    def state_dict(self) -> dict[str, Any]:
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._start = int(state["position"])

    def fingerprint(self) -> dict[str, Any]:
        """Return numbers of rows, shapes, dtypes and a hash.

        The hash is of the order and the lengths of all rows and of the numbers of 64 new and 64 old rows, evenly
        spaced. It changes with the data, their order and their split. Single rows may change without it.
        """
        data, order, hashed = self.data, self.order, hashlib.sha256()
        assert data.targets is not None
        for rows in (order.rows, order.old):
            if rows is not None:
                sample = fingerprint_sample(rows).to(data.inputs.device)
                for tensor in (rows, data.inputs[sample], data.targets[sample]):
                    hashed.update(tensor_bytes(tensor))
        for more in (data.input_lengths, data.target_lengths, data.weights):
            if more is not None:
                hashed.update(tensor_bytes(more))
        old = {} if order.old is None else {"old rows": len(order.old), "drawn of them": order.drawn}
        return {
            "rows": len(order.rows),
            **old,
            "inputs": tensor_kind(data.inputs[:0]),
            "targets": tensor_kind(data.targets[:0]),
            "hash": hashed.hexdigest()[:16],
        }

    def class_counts(self, classes: int, valid: Callable[[Batch], Tensor | None]) -> Tensor:
        """Return the number of targets of each class that an epoch sees, [C] float64.

        Args:
            classes: C.
            valid: which targets of a batch count, as `Objective.valid` says it.
        """
        order = self.order
        counts = self._counts(order.rows, classes, valid)
        if order.old is not None:  # of which an epoch sees a part
            counts += self._counts(order.old, classes, valid) * (order.drawn / len(order.old))
        return counts

    def _counts(self, rows: Tensor, classes: int, valid: Callable[[Batch], Tensor | None]) -> Tensor:
        part = select(self.data, rows, follow=self.follow)
        labels, counting = part.targets, valid(part)
        assert labels is not None
        return torch.bincount((labels if counting is None else labels[counting]).flatten(), minlength=classes).double()


def hold_out(batches: Batches, share: float) -> ArrayBatches:
    """Take a share of the rows out of `batches` and return it: drawn at random, without a generator the last."""
    if not isinstance(batches, ArrayBatches):
        raise ConfigError(f"validation={share} takes data in memory; pass the validation data itself")
    order = batches.order
    rest, rows = share_of(order.rows, share, order.generator)
    held_out = copy.copy(batches)
    held_out.equally_many = False
    held_out.order = replace(order, rows=rows, generator=None, even=False, old=None, drawn=0)
    batches.order = replace(order, rows=rest)
    return held_out
