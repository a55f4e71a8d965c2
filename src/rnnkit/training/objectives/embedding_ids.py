"""Ids that a model's embedding does not have: which embedding it is, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...errors import DataError


def check_embedding_ids(module: torch.nn.Module, inputs: Tensor, *labels: Tensor, **named: Any) -> None:
    """Call a model that raised IndexError again, and raise `DataError` where an embedding got an id that it lacks.

    Args:
        module: the model.
        inputs, labels, named: what it was called with.
    """
    with _watched(module, labels):
        module(inputs, *labels, **named)


@contextmanager
def _watched(module: torch.nn.Module, labels: tuple[Tensor, ...]) -> Iterator[None]:
    handles = [
        part.register_forward_pre_hook(lambda part, given, name=name: _check(part, name, given[0], labels))
        for name, part in module.named_modules()
        if isinstance(part, torch.nn.Embedding)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check(part: torch.nn.Embedding, name: str, ids: Any, labels: tuple[Tensor, ...]) -> None:
    if not isinstance(ids, Tensor) or ids.numel() == 0:
        return
    low, high = (int(end) for end in torch.aminmax(ids))
    if low >= 0 and high < part.num_embeddings:
        return
    of_labels = any(torch.equal(one, ids) for one in labels)
    what = "label" if of_labels else "id"
    advice = f"build it with at least {high + 1} entries: torch.nn.Embedding({high + 1}, {part.embedding_dim})"
    raise DataError(
        f"the {what} {low if low < 0 else high} arrived, but the embedding {name or type(part).__name__} has a "
        f"vocabulary of {part.num_embeddings}, {what}s 0 to {part.num_embeddings - 1}",
        remedy=f"give each {what} a number from 0 on" if low < 0 else advice,
    ) from None
