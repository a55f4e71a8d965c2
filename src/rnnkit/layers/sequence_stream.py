"""Layers over sequences, one step at a time, with the least work a step: streams of chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from ..errors import BackendError
from ..ops.state import reorder
from ..types import State
from ._adapters import Adapter
from ._recurrent import RecurrentLayer
from .chain import Chain
from .dropout import VariationalDropout
from .quantized_dense import QuantizedEmbedding
from .sequence_adapters import Chained, SequenceInterface

Tensor = torch.Tensor


class SequenceStream(Protocol):
    """One step at a time through layers over sequences; it holds the state, which is that of ``forward_chunk``."""

    state: State

    def __call__(self, x: Tensor) -> Tensor:
        """Map one step x [B, I], or what the first layer takes without time, to y [B, F]."""
        ...

    def reorder(self, index: Tensor) -> None:
        """Let row ``index[i]`` continue as row i; index has as many entries as there are rows."""
        ...


def sequence_stream(layers: SequenceInterface, batch: int) -> SequenceStream:
    """Return a stream through layers; recurrent layers of rnnkit become a :class:`rnnkit.layers.stream.Stream`.

    Args:
        layers: what :func:`rnnkit.layers.sequence_adapters.as_sequence_module` returns, or several of these chained.
        batch: the number of rows.

    Raises:
        BackendError: the layers cannot continue from a state.

    Example:
        >>> from rnnkit.layers.sequence_adapters import as_sequence_module
        >>> stream = sequence_stream(as_sequence_module(torch.nn.GRU(3, 5)), batch=2)
        >>> tuple(stream(torch.zeros(2, 3)).shape), tuple(stream.state.shape)
        ((2, 5), (1, 2, 5))
    """
    if layers.carry_problem is not None:
        raise BackendError(f"a stream goes on from a state, but {layers.carry_problem}")
    if isinstance(layers, Chain):
        layers = layers._chained()
    if isinstance(layers, Chained):
        kept = [part for part in layers.parts if not _drops_alone(part)] or layers.parts
        return _ChainStream(_part_streams(kept, batch))
    if (recurrent := _recurrent_layer(layers)) is not None:
        return recurrent.stream(batch)
    return _StepStream(layers, getattr(layers, "module", None) if isinstance(layers, Adapter) else None, batch)


def _recurrent_layer(layers: SequenceInterface) -> RecurrentLayer | None:
    module = getattr(layers, "module", None) if isinstance(layers, Adapter) else None
    return module if isinstance(module, RecurrentLayer) else None


def _part_streams(parts: Sequence[SequenceInterface], batch: int) -> list[tuple[SequenceStream, bool]]:
    """The stream of each part, and whether it has a state. The outputs between recurrent layers are not kept."""
    found: list[tuple[SequenceStream, bool]] = []
    for part, behind in zip(parts, [*parts[1:], None], strict=True):
        recurrent = _recurrent_layer(part)
        if recurrent is not None and behind is not None and _recurrent_layer(behind) is not None:
            found.append((recurrent.stream(batch, reuse_output=True), part.stateful))
        else:
            found.append((sequence_stream(part, batch), part.stateful))
    return found


def _drops_alone(part: SequenceInterface) -> bool:
    """Return whether a layer is a dropout, which a stream does without."""
    return isinstance(part, VariationalDropout) or isinstance(getattr(part, "module", None), torch.nn.Dropout)


def row_lookup(embedding: torch.nn.Embedding) -> Callable[[Tensor], Tensor]:
    """Return a function from ids to rows: without the calls around it where there are no hooks and no row is scaled."""
    if embedding.max_norm is not None or embedding._forward_hooks or embedding._forward_pre_hooks:
        return embedding
    if isinstance(embedding, QuantizedEmbedding):
        return embedding.forward
    return partial(_rows_of, embedding)


def _rows_of(embedding: torch.nn.Embedding, ids: Tensor) -> Tensor:
    return torch.embedding(embedding.weight, ids)


class _StepStream:
    """Any other layer: its own call on sequences of one step."""

    def __init__(self, layers: SequenceInterface, module: Any, batch: int) -> None:
        self._layers = layers
        self._direct = row_lookup(module) if isinstance(module, torch.nn.Embedding) else None
        self.state: State = layers.initial_state(batch)

    def __call__(self, x: Tensor) -> Tensor:
        if self._direct is not None:
            return self._direct(x)
        y, self.state = self._layers.forward_chunk(x[:, None], self.state)
        return y[:, 0]

    def reorder(self, index: Tensor) -> None:
        if self.state is not None:
            self.state = reorder(self.state, index, self._layers.state_batch_axis)


class _ChainStream:
    """Several, one behind the other; the state is nested as that of :class:`Chained`."""

    def __init__(self, parts: list[tuple[SequenceStream, bool]]) -> None:
        self._parts = [stream for stream, _ in parts]
        self._stateful = [stream for stream, stateful in parts if stateful]

    def __call__(self, x: Tensor) -> Tensor:
        for part in self._parts:
            x = part(x)
        return x

    @property
    def state(self) -> State:
        states = tuple(part.state for part in self._stateful)
        return states[0] if len(states) == 1 else states

    @state.setter
    def state(self, state: State) -> None:
        for part, own in zip(self._stateful, (state,) if len(self._stateful) == 1 else state, strict=True):
            part.state = own

    def reorder(self, index: Tensor) -> None:
        for part in self._stateful:
            part.reorder(index)
