"""The data of a fine-tuning: new rows to train on and to measure on, old rows with new labels mixed in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ...finetuning.forgetting import Replay
from ...ops.padding import pad_steps, valid_steps
from ...types import Batch
from ..batching.arrays import in_memory, select
from ..batching.mapped import in_memory_rows
from ..batching.order import ReplayData, share_of


def rows_of(data: Any, name: str, dtype: torch.dtype) -> Batch:
    """Return all rows of data in memory; `name` is what the user calls the data."""
    batch = in_memory(data, dtype)
    if batch is None:
        raise ConfigError(f"{name} has to be in memory, (X, y) or a TensorDataset; a {type(data).__name__} arrived")
    return batch


def check_alike(new: Any, old: Batch, name: str, dtype: torch.dtype) -> None:
    """Raise DataError where old rows, called `name` by the user, have other features a step than the new ones."""
    batch = in_memory(new, dtype)
    if batch is None:
        return
    ours, theirs = list(batch.inputs.shape[2:]), list(old.inputs.shape[2:])
    if ours != theirs:
        raise DataError(f"{name} has {theirs} features a step and the new data {ours}; expected the same of both")


def split(data: Batch, share: float, generator: torch.Generator | None) -> tuple[Batch, Batch]:
    """Return new data to train on and to measure on, the rows that `fit(validation=share)` would take."""
    train, held_out = (select(data, rows) for rows in share_of(torch.arange(len(data)), share, generator))
    return train, held_out


def translate(data: Batch, keep: Mapping[int, int] | None) -> Batch | None:
    """Return old data with the new head's labels; None where the new head lacks some of them.

    Args:
        data: the old data.
        keep: classes that stay, new index → old index; None: the head is the old one.
    """
    values = data.targets
    assert values is not None
    if keep is None or values.is_floating_point():
        return data
    lengths = data.target_lengths
    valid = ... if lengths is None else valid_steps(lengths, values.shape[1], values.device)
    table = {old: new for new, old in keep.items()}
    labels = values[valid].unique().tolist()
    if any(label not in table for label in labels):
        return None
    changed = values.clone()
    for label in labels:
        changed[values == label] = table[label]
    return replace(data, targets=changed)


def mix(new: Batch, old: Batch, replay: Replay) -> ReplayData:
    """Return the new rows, then the old ones that an epoch draws from."""
    drawn = replay.drawn(len(new), len(old))
    inputs, input_lengths = _joined(
        (in_memory_rows(new.inputs), new.input_lengths), (in_memory_rows(old.inputs), old.input_lengths)
    )
    assert new.targets is not None
    assert old.targets is not None
    targets, target_lengths = _joined(_targets(new), _targets(old))
    joined = Batch(inputs, targets, input_lengths, target_lengths)
    return ReplayData(joined, new=len(new), drawn=drawn)


Padded = tuple[Tensor, Tensor | None]


def _targets(data: Batch) -> Padded:
    """Return the targets and their lengths: those of the inputs where there is a target a step."""
    targets, lengths = data.targets, data.target_lengths
    assert targets is not None
    if lengths is None and data.input_lengths is not None and targets.shape[1:2] == data.inputs.shape[1:2]:
        lengths = data.input_lengths
    return targets, lengths


def _joined(one: Padded, other: Padded) -> Padded:
    """Return the rows of both, padded to the longest where they differ in length."""
    if one[1] is None and other[1] is None and one[0].shape[1:] == other[0].shape[1:]:
        return torch.cat((one[0], other[0].to(one[0].device))), None
    ragged = [_with_lengths(*part) for part in (one, other)]
    features = [values.shape[2:] for values, _ in ragged]
    if features[0] != features[1]:
        raise DataError(f"new rows have {list(features[0])} features a step and old ones {list(features[1])}")
    longest = max(values.shape[1] for values, _ in ragged)
    padded = [pad_steps(values, longest) for values, _ in ragged]
    return torch.cat(padded), torch.cat([lengths for _, lengths in ragged])


def _with_lengths(values: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    if lengths is not None:
        return values, lengths
    if values.dim() < 2:
        raise DataError(f"values of shape {list(values.shape)} cannot be mixed with sequences; expected a row of steps")
    return values, torch.full((len(values),), values.shape[1])
