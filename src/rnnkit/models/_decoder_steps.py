"""The steps of an encoder–decoder's decoder: its state, the attention's place in a step, dropout.

Legend: B rows, T steps of the targets, S steps of the sources, E features of an embedding, H of the decoder.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional as F

from ..layers._exports import NotScriptable
from ..layers.dropout import drop_features
from ..layers.sequence_adapters import SequenceInterface
from ..ops.state import map_state, tensors
from ..types import State
from .attention import Attention
from .layer_steps import LayerSteps, step_layer

Tensor = torch.Tensor


class DecoderOutputs(NamedTuple):
    """What some steps of the decoder give.

    Attributes:
        vectors: o [B, T, ·], of which the logits are made.
        gate: what the copying gate sees [B, T, ·]; None without copying.
        weights: the attention [B, T, S].
        state: after these steps.
    """

    vectors: Tensor
    gate: Tensor | None
    weights: Tensor
    state: State


class DecoderSteps(NotScriptable):
    """Runs steps of the decoder; :class:`rnnkit.EncoderDecoder` has the parts, and says what they are."""

    embedding: torch.nn.Embedding
    attention: Attention
    bridge: torch.nn.Linear | None
    combine: torch.nn.Linear
    upper: torch.nn.Module | None
    form: str
    copy: bool
    unknown: int | None
    vocabulary: int
    dropout: float
    variational: bool
    word_dropout: float
    state_batch_axis: Any
    _steps: LayerSteps

    def _layers(self, name: str) -> SequenceInterface:
        raise NotImplementedError

    def _recurrent(self) -> list[str]:
        raise NotImplementedError

    def _width(self, name: str) -> int:
        raise NotImplementedError

    def _state_widths(self) -> list[int]:
        raise NotImplementedError

    # --- states ------------------------------------------------------------------------------------------------------

    def _first_state(self, summary: Tensor) -> State:
        """The states of the recurrent layers, in a tuple, of what the encoder read [B, F]."""
        begin = tuple(self._layers(name).initial_state(len(summary)) for name in self._recurrent())
        if self.bridge is None:
            return begin
        parts = iter(self.bridge(summary).tanh().split(self._state_widths(), 1))
        axis = self.state_batch_axis

        def filled(leaf: Tensor) -> Tensor:
            shape = [*leaf.shape[:axis], *leaf.shape[axis + 1 :]]
            part: Tensor = next(parts)
            return part.reshape(len(summary), *shape).movedim(0, axis).contiguous()

        return map_state(filled, begin)

    def _begin(self, recurrent: State, padding: Tensor, like: Tensor) -> State:
        """The first state: those of the recurrent layers, and what the form and the coverage add to them."""
        state: tuple[Any, ...] = recurrent
        if self.form == "bahdanau":
            state = (*state, self._on_axis(self._first_query(recurrent[0], like)))
        if self.form == "input_feeding":
            state = (*state, self._on_axis(like.new_zeros(len(like), self.combine.out_features)))
        if self.attention.coverage:
            state = (*state, self._on_axis(like.new_zeros(padding.shape)))
        return state

    def _first_query(self, state: State, like: Tensor) -> Tensor:
        """h_0 [B, H]: the top layer's h of the first state, zeros where a cell keeps its output nowhere."""
        h, width = tensors(state)[0], self._width("decoder")
        h = h[-1] if self.state_batch_axis == 1 else h
        return h if h.shape == (len(like), width) else like.new_zeros(len(like), width)

    def _on_axis(self, row: Tensor) -> Tensor:
        """A tensor [B, ...] with its batch where the states have theirs."""
        return row[None] if self.state_batch_axis == 1 else row

    def _off_axis(self, leaf: Tensor) -> Tensor:
        return leaf[0] if self.state_batch_axis == 1 else leaf

    def _run(self, ids: Tensor, state: State, memory: tuple[Tensor, ...]) -> tuple[DecoderOutputs, Tensor]:
        """Run steps of the decoder on ids [B, T]; return what they give, and the embeddings [B, T, E]."""
        embedded = self._embedded(self.embedding, ids)
        recurrent, rest = list(state[: len(self._recurrent())]), list(state[len(self._recurrent()) :])
        covered = self._off_axis(rest.pop()) if self.attention.coverage else None
        run = self._parallel if self.form == "parallel" else self._in_turn
        h, contexts, weights, covered, recurrent[0], fed = run(embedded, recurrent[0], rest, covered, memory)
        gate = torch.cat((h, contexts), -1)
        if self.upper is not None:
            h, recurrent[1] = self._go_on("upper", self._drop(gate), recurrent[1])
            gate = torch.cat((h, contexts), -1)
        vectors = self._vectors(gate)
        following = [*recurrent, *map(self._on_axis, fed)]
        if covered is not None:
            following.append(self._on_axis(covered))
        return DecoderOutputs(vectors, gate if self.copy else None, weights, tuple(following)), embedded

    def _go_on(self, name: str, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run some steps x [B, T, I] of a recurrent layer."""
        return step_layer(self._steps, self._layers(name), x, state, gradients=self._learns())

    def _linear(self, layer: torch.nn.Linear, x: Tensor) -> Tensor:
        """Return layer(x) of some steps x [B, T, F]."""
        if self._learns() or x.shape[1] != 1:
            return layer(x)  # type: ignore[no-any-return]
        return self._steps.linear(layer, x[:, 0])[:, None]

    def _learns(self) -> bool:
        return self.training or torch.is_grad_enabled()

    def _vectors(self, features: Tensor) -> Tensor:
        """o of [h; c]."""
        return self._linear(self.combine, self._drop(features)).tanh()

    def _parallel(
        self, embedded: Tensor, state: State, rest: list[Tensor], covered: Tensor | None, memory: tuple[Tensor, ...]
    ) -> tuple[Any, ...]:
        h, state = self._go_on("decoder", embedded, state)
        return h, *self.attention(h, *memory[:3], covered), state, ()

    def _in_turn(
        self, embedded: Tensor, state: State, rest: list[Tensor], covered: Tensor | None, memory: tuple[Tensor, ...]
    ) -> tuple[Any, ...]:
        """The forms whose recurrence waits for the attention; rest holds h_0, or what feeds the next step."""
        found = []
        feeds = self.form == "input_feeding"
        before = self._off_axis(rest[0])
        for one in embedded.split(1, 1):
            if feeds:
                h, state = self._go_on("decoder", torch.cat((one, before[:, None]), -1), state)
                attended = self.attention(h, *memory[:3], covered)
                before = self._vectors(torch.cat((h, attended.contexts), -1))[:, 0]
            else:
                attended = self.attention(before[:, None], *memory[:3], covered)
                h, state = self._go_on("decoder", torch.cat((one, attended.contexts), -1), state)
                before = h[:, 0]
            covered = attended.covered
            found.append((h, attended.contexts, attended.weights))
        h, contexts, weights = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        return h, contexts, weights, covered, state, (before,)

    def _known(self, ids: Tensor) -> Tensor:
        """The ids that an embedding has in place of those of copied words."""
        if self.unknown is None or not self.copy:
            return ids
        return torch.where(ids < self.vocabulary, ids, self.unknown)

    # --- dropout -----------------------------------------------------------------------------------------------------

    def _embedded(self, table: torch.nn.Embedding, ids: Tensor) -> Tensor:
        embedded = self._drop(table(self._known(ids)))
        if not (self.training and self.word_dropout):
            return embedded
        return embedded * F.dropout(embedded.new_ones(*ids.shape, 1), self.word_dropout)

    def _drop(self, x: Tensor) -> Tensor:
        if not (self.training and self.dropout):
            return x
        if self.variational and x.dim() == 3:
            return drop_features(x, self.dropout)
        return F.dropout(x, self.dropout)
