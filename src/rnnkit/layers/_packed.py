"""Packed sequences for layers that take padded sequences with lengths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..errors import ShapeError
from ..types import State


def refuse_beside_packed(lengths: Any, resets: Any) -> None:
    """Raise ShapeError where lengths or resets are given with a packed sequence."""
    if lengths is not None or resets is not None:
        raise ShapeError("a PackedSequence carries its lengths and takes no resets; pass a padded tensor instead")


def run_padded(
    call: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, State]], packed: PackedSequence, batch_first: bool
) -> tuple[PackedSequence, State]:
    """Run ``call(padded, lengths) -> (output, state)`` on a packed sequence; all results keep its order of rows."""
    padded, rows = pad_packed_sequence(packed, batch_first)
    output, state = call(padded, rows)
    if packed.sorted_indices is not None:
        output = output.index_select(0 if batch_first else 1, packed.sorted_indices)
        rows = rows[packed.sorted_indices.cpu()]
    data = pack_padded_sequence(output, rows, batch_first).data
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state
