"""The data of a fine-tuning: new rows to train on and to measure on, old rows with new labels mixed in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ...finetuning.forgetting import Replay
from ...ops.padding import valid_steps
from ...types import Sequences
from ..batching.arrays import Inputs, select
from ..batching.batches import Mixed, in_memory, share_of

Pair = tuple[Inputs, Inputs]


def pair(data: Any, name: str, dtype: torch.dtype) -> Pair:
    """`(X, y)` as tensors; `name` is what the user calls the data."""
    arrays = in_memory(data, dtype)
    if arrays is None:
        raise ConfigError(f"{name} has to be in memory, (X, y) or a TensorDataset; a {type(data).__name__} arrived")
    return arrays


def check_alike(new: Any, old: Pair, name: str, dtype: torch.dtype) -> None:
    """Raises DataError where old rows, called `name` by the user, have other features a step than the new ones."""
    arrays = in_memory(new, dtype)
    if arrays is None:
        return
    ours, theirs = (list(_values(inputs).shape[2:]) for inputs in (arrays[0], old[0]))
    if ours != theirs:
        raise DataError(f"{name} has {theirs} features a step and the new data {ours}; expected the same of both")


def split(data: Pair, share: float, generator: torch.Generator | None) -> tuple[Pair, Pair]:
    """New data to train on and to measure on, the rows that `fit(validation=share)` would take."""
    inputs, targets = data
    train, held_out = (
        (select(inputs, rows), select(targets, rows)) for rows in share_of(torch.arange(len(inputs)), share, generator)
    )
    return train, held_out


def translate(pair: Pair, keep: Mapping[int, int] | None) -> Pair | None:
    """Old data with the new head's labels; None where the new head lacks some of them.

    Args:
        pair: the old data.
        keep: classes that stay, new index → old index; None: the head is the old one.
    """
    inputs, targets = pair
    values = targets.values if isinstance(targets, Sequences) else targets
    if keep is None or values.is_floating_point():
        return pair
    valid = valid_steps(targets.lengths, values.shape[1], values.device) if isinstance(targets, Sequences) else ...
    table = {old: new for new, old in keep.items()}
    labels = values[valid].unique().tolist()
    if any(label not in table for label in labels):
        return None
    changed = values.clone()
    for label in labels:
        changed[values == label] = table[label]
    return inputs, (Sequences(changed, targets.lengths) if isinstance(targets, Sequences) else changed)


def mix(new: Pair, old: Pair, replay: Replay) -> Mixed:
    """The new rows, and behind them the old ones that an epoch draws from."""
    drawn = replay.drawn(len(new[0]), len(old[0]))
    inputs, targets = (_joined(one, other) for one, other in zip(new, old, strict=True))
    return Mixed(inputs, targets, new=len(new[0]), drawn=drawn)


def _joined(one: Inputs, other: Inputs) -> Inputs:
    if isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape[1:] == other.shape[1:]:
        return torch.cat((one, other.to(one.device)))
    ragged = [part if isinstance(part, Sequences) else _whole(part) for part in (one, other)]
    features = [part.values.shape[2:] for part in ragged]
    if features[0] != features[1]:
        raise DataError(f"new rows have {list(features[0])} features a step and old ones {list(features[1])}")
    longest = max(part.values.shape[1] for part in ragged)
    values = [
        torch.cat((part.values, part.values.new_zeros(len(part), longest - part.values.shape[1], *features[0])), 1)
        for part in ragged
    ]
    return Sequences(torch.cat(values), torch.cat([part.lengths for part in ragged]))


def _values(inputs: Inputs) -> Tensor:
    return inputs.values if isinstance(inputs, Sequences) else inputs


def _whole(values: Tensor) -> Sequences:
    if values.dim() < 2:
        raise DataError(f"values of shape {list(values.shape)} cannot be mixed with sequences; expected a row of steps")
    return Sequences(values, torch.full((len(values),), values.shape[1]))
