"""Truncated backpropagation through time: the state of a network is carried on, the gradient is cut.

Legend: K the steps that a gradient goes back at most, T a sequence's steps, s_t the state after step t.

- `bptt=K`, targets per step: a batch is run in chunks of K steps. Each starts from the state that the one before ended
  with, detached, and is backpropagated by itself, so that memory is that of K steps. The gradients of the chunks are
  added, weighted by their numbers of targets: one update a batch, as without, and with K ≥ T the same.
- `bptt=K`, one target per sequence: all but each row's last K steps are run without a graph, then those K from the
  state s_{T−K}. The gradient is exactly that of the last K steps.
- `stateful=True`: the batches are consecutive chunks of as many streams as they have rows, as for language models. Each
  starts from the detached state in which the one before left its row; one update a batch.

Variant: Williams & Peng 1990 ("An efficient gradient-based algorithm for on-line training of recurrent network
trajectories"), their BPTT(h; h') with h = h' = K, which `stateful` is; `bptt` joins a batch's chunks to one update.
Dropout masks, the "variational" ones too, are drawn anew for each chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ...ops.state import detach, map_state, reorder, reset, tensors
from ...types import Batch, State
from ..execution import Execution
from .forward import Forward, chunked, over_time, run_chunk
from .objective import Objective, Score


class StatefulForward(Forward):
    """Runs a model on chunks. The state is carried from chunk to chunk without a gradient.

    It calls `model.forward_chunk(x, state=None, *, lengths=None, resets=None) -> (output, state)` with the keywords
    that are needed; `model.initial_state(batch, device, dtype)`, zeros where the model has none; and reads
    `model.state_batch_axis`, 1 where the model has none.

    Args:
        execution, objective: see `Forward`.
        steps: K; None: batches are whole chunks.
        stateful: whether a batch continues the one before.
    """

    def __init__(self, execution: Execution, objective: Objective, *, steps: int | None, stateful: bool) -> None:
        super().__init__(execution, objective)
        model: Any = execution.model
        self.axis = getattr(model, "state_batch_axis", 1)
        self.model, self.steps, self.stateful = chunked(execution), steps, stateful
        self.splits_batch = steps is not None
        self.state: State | None = None
        self.trying = False

    def begin(self) -> None:
        self.state = None

    def output(self, batch: Batch) -> Tensor:
        if not self.stateful or self.trying:  # a trial on two rows is no chunk of a stream
            return super().output(batch)
        output, state = self._run(batch.inputs, self._start(batch), None, over_time(batch))
        self.state = detach(state)
        return output

    def _try(self, batch: Batch) -> torch.Size:
        self.trying = True
        try:
            return super()._try(batch)
        finally:
            self.trying = False

    def microbatches(self, batch: Batch) -> Iterator[Score]:
        follow = self.objective.targets_follow
        if self.steps is None:
            yield self.score(batch)
        elif follow == "inputs" and batch.input_lengths is not None:
            yield from self._ragged(batch, self.steps)
        elif follow == "inputs":
            yield from self._chunks(batch, self.steps)
        elif self.stateful:
            raise ConfigError("bptt with stateful=True is for targets per step; leave bptt away")
        else:
            yield self.objective(self._last_steps(batch, self.steps), batch)

    def _chunks(self, batch: Batch, steps: int) -> Iterator[Score]:
        state, resets = self._start(batch), over_time(batch)
        for begin in range(0, batch.inputs.shape[1], steps):
            here = slice(begin, begin + steps)
            output, state = self._run(batch.inputs[:, here], state, None, None if resets is None else resets[:, here])
            state = self.state = detach(state)
            yield self.objective(output, _cut(batch, here))

    def _ragged(self, batch: Batch, steps: int) -> Iterator[Score]:
        state: State | None = None
        lengths = batch.input_lengths
        assert lengths is not None
        for begin in range(0, int(lengths.max()), steps):
            ongoing = (lengths > begin).nonzero().flatten()
            if len(ongoing) < len(lengths):  # the other rows have ended
                lengths, index = lengths[ongoing], ongoing.to(batch.inputs.device)
                batch, state = _rows(batch, index), reorder(state, index, self.axis)
            left = (lengths - begin).clamp(max=steps)
            here = slice(begin, begin + int(left.max()))
            resets = over_time(batch)
            output, state = self._run(batch.inputs[:, here], state, left, None if resets is None else resets[:, here])
            state = detach(state)
            yield self.objective(output, replace(_cut(batch, here), input_lengths=left))

    def _last_steps(self, batch: Batch, steps: int) -> Tensor:
        """Run all but the last K steps of each row without a graph, then those K steps from the resulting state."""
        values, lengths, resets = batch.inputs, batch.input_lengths, over_time(batch)
        longest = values.shape[1] if lengths is None else int(lengths.max())
        if longest <= steps:
            return self._run(values[:, :longest], None, lengths, None if resets is None else resets[:, :longest])[0]
        if lengths is None:
            with torch.no_grad():
                _, state = self._run(values[:, :-steps], None, None, None if resets is None else resets[:, :-steps])
            return self._run(values[:, -steps:], state, None, None if resets is None else resets[:, -steps:])[0]
        ahead = (lengths - steps).clamp(min=0)
        with torch.no_grad():  # of a row that has none, the first step, to be forgotten
            first = slice(0, int(ahead.max()))
            _, state = self._run(
                values[:, first], None, ahead.clamp(min=1), None if resets is None else resets[:, first]
            )
        state = reset(state, (ahead == 0).to(values.device), self._initial(values), self.axis)
        last = (ahead[:, None] + torch.arange(steps)).clamp(max=values.shape[1] - 1).to(values.device)
        rows = torch.arange(len(values), device=values.device)[:, None]
        tail = None if resets is None else resets[rows, last]
        return self._run(values[rows, last], state, lengths.clamp(max=steps), tail)[0]

    def _start(self, batch: Batch) -> State | None:
        """Return the state that a chunk starts from; resets [B] are applied here, resets [B, T] by the layer."""
        state, values, resets = self.state if self.stateful else None, batch.inputs, batch.resets
        if state is None:
            return None
        rows = tensors(state)[0].shape[self.axis]
        if rows != len(values):
            raise DataError(
                f"a batch of {len(values)} rows follows one of {rows}, whose states it should go on with; with "
                "stateful=True every batch of an epoch has the same rows"
            )
        if resets is not None and resets.dim() == 1:
            state = reset(state, resets, self._initial(values), self.axis)
        return state

    def _initial(self, values: Tensor) -> State | None:
        make = getattr(self.model, "initial_state", None)
        return make(len(values), values.device, self.dtype) if callable(make) else None

    def _run(
        self, values: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None = None
    ) -> tuple[Tensor, State]:
        return run_chunk(self.execution, self.model, values, state, lengths, resets)

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        kept = state["state"]
        self.state = None if kept is None else map_state(lambda leaf: leaf.to(self.device), kept)


def _cut(batch: Batch, steps: slice) -> Batch:
    """Return some steps of inputs, targets and weights."""
    weights = batch.weights
    assert batch.targets is not None
    return Batch(
        batch.inputs[:, steps],
        batch.targets[:, steps],
        weights=weights[:, steps] if weights is not None and weights.dim() > 1 else weights,
    )


def _rows(batch: Batch, index: Tensor) -> Batch:
    assert batch.targets is not None
    weights = None if batch.weights is None else batch.weights[index]
    resets = None if batch.resets is None else batch.resets[index]
    return Batch(batch.inputs[index], batch.targets[index], weights=weights, resets=resets)
