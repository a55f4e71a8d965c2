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
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ...ops.padding import valid_steps
from ...ops.state import detach, map_state, reorder, reset, tensors
from ...types import Sequences, State
from ..objectives.forward import Forward
from .arrays import HALF, Inputs
from .batches import Chunk

if TYPE_CHECKING:
    from ...ops.losses import Loss


def check_carries(model: torch.nn.Module, setting: str) -> None:
    """Raises `ConfigError` for a model whose state cannot be carried from chunk to chunk, and says why."""
    problem: str | None = getattr(model, "carry_problem", None)
    if not callable(getattr(model, "run", None)):
        problem = (
            f"{type(model).__name__} does not tell its state; give it a method run(x, state=None) -> (output, state), "
            "as rnnkit.SequenceTagger and rnnkit.SequenceClassifier have it"
        )
    if problem is not None:
        raise ConfigError(f"{setting} carries the state of the model from one chunk to the next, but {problem}")


class Carrying(Forward):
    """Runs a model on chunks, its state carried from each to the next without a gradient.

    The model's door is `run(x, state=None, *, lengths=None, resets=None) -> (output, state)`, called with the keywords
    that are needed; `initial_state(batch, device, dtype)`, zeros where it has none; and `state_batch_axis`, 1 where it
    says nothing.

    Args:
        module: the model as its calls go, with Fabric's wrapper.
        model: itself.
        steps: K; None: batches are whole chunks.
        stateful: whether batches go on where the one before ended.
        autocast: the context of Fabric's precision.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Loss,
        *,
        dtype: torch.dtype,
        device: torch.device,
        model: Any,
        steps: int | None,
        stateful: bool,
        autocast: Any = nullcontext,
    ) -> None:
        super().__init__(module, loss, dtype=dtype, device=device)
        self.model, self.steps, self.stateful, self.autocast = model, steps, stateful, autocast
        self.cuts = steps is not None
        self.axis = getattr(model, "state_batch_axis", 1)
        self.state: State | None = None

    def begin(self) -> None:
        self.state = None

    def output(self, inputs: Inputs | Chunk) -> Tensor:
        if not self.stateful or not isinstance(inputs, Chunk):  # a trial on two rows is no chunk
            return super().output(inputs)  # type: ignore[arg-type]
        values, resets = _chunk(inputs)
        output, state = self._run(values, self._start(values, resets), None, resets)
        self.state = detach(state)
        return output

    def pieces(self, inputs: Inputs | Chunk, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        if self.steps is None:
            yield self(inputs, targets)  # type: ignore[arg-type]
        elif self.per_step:
            yield from self._per_step(inputs, targets, self.steps)
        elif self.stateful:
            raise ConfigError("bptt with stateful=True is for targets per step; leave bptt away")
        else:
            yield self._last_steps(inputs, self.steps), targets

    def _per_step(self, inputs: Inputs | Chunk, targets: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        if isinstance(inputs, Sequences):
            yield from self._ragged(inputs, targets, steps)
            return
        values, resets = _chunk(inputs)
        state = self._start(values, resets)
        for begin in range(0, values.shape[1], steps):
            here = slice(begin, begin + steps)
            over_time = resets[:, here] if resets is not None and resets.dim() == 2 else None
            output, state = self._run(values[:, here], state, None, over_time)
            state = self.state = detach(state)
            yield output.flatten(0, 1), targets[:, here].flatten(0, 1)

    def _ragged(self, rows: Sequences, targets: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        values, lengths, state = rows.values, rows.lengths, None
        for begin in range(0, int(lengths.max()), steps):
            going = (lengths > begin).nonzero().flatten()
            if len(going) < len(lengths):  # the others are over
                lengths, index = lengths[going], going.to(values.device)
                values, targets, state = values[index], targets[index], reorder(state, index, self.axis)
            left = (lengths - begin).clamp(max=steps)
            here = slice(begin, begin + int(left.max()))
            output, state = self._run(values[:, here], state, left)
            state = detach(state)
            valid = valid_steps(left, output.shape[1], output.device)
            yield output[valid], targets[:, here][valid]

    def _last_steps(self, inputs: Inputs | Chunk, steps: int) -> Tensor:
        """Runs all but the last K steps of each row without a graph, and those from the state that this led to."""
        values, lengths = (
            (inputs.values, inputs.lengths) if isinstance(inputs, Sequences) else (_chunk(inputs)[0], None)
        )
        longest = values.shape[1] if lengths is None else int(lengths.max())
        if longest <= steps:
            return self._run(values[:, :longest], None, lengths)[0]
        if lengths is None:
            with torch.no_grad():
                _, state = self._run(values[:, :-steps], None, None)
            return self._run(values[:, -steps:], state, None)[0]
        ahead = (lengths - steps).clamp(min=0)
        with torch.no_grad():  # of a row that has none, the first step, to be forgotten
            _, state = self._run(values[:, : int(ahead.max())], None, ahead.clamp(min=1))
        state = reset(state, (ahead == 0).to(values.device), self._initial(values), self.axis)
        last = (ahead[:, None] + torch.arange(steps)).clamp(max=values.shape[1] - 1).to(values.device)
        tail = values[torch.arange(len(values), device=values.device)[:, None], last]
        return self._run(tail, state, lengths.clamp(max=steps))[0]

    def _start(self, values: Tensor, resets: Tensor | None) -> State | None:
        """The state that a chunk starts from; `resets` [B] clears rows, [B, T] is the layer's affair."""
        state = self.state if self.stateful else None
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
        keywords = {}
        if lengths is not None:
            keywords["lengths"] = lengths
        if resets is not None and resets.dim() == 2:
            keywords["resets"] = resets
        with self.autocast():
            output, state = self.model.run(values, state, **keywords)
        return output.float() if output.dtype in HALF else output, state

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        kept = state["state"]
        self.state = None if kept is None else map_state(lambda leaf: leaf.to(self.device), kept)


def _chunk(inputs: Inputs | Chunk) -> tuple[Tensor, Tensor | None]:
    if isinstance(inputs, Chunk):
        return inputs.values, inputs.resets
    assert isinstance(inputs, Tensor)
    return inputs, None
