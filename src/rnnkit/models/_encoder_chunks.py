"""An encoder that goes on from chunk to chunk: a front that joins steps, and a recurrent body."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError
from ..layers.causal_conv import CausalConv
from ..layers.chain import Chain
from ..layers.description import short_repr
from ..layers.sequence_adapters import SequenceInterface, as_sequence_module
from ..ops.state import reorder, tensors
from ..types import State
from .layer_steps import LayerSteps, step_layer

Tensor = torch.Tensor


class EncoderChunks:
    """What a recogniser needs to read utterances that come in chunks; a part of models that have `front` and `body`.

    Legend: B batch, T steps, T' steps behind the front, M features of a step, F features of the body.
    """

    front: Any
    body: Any
    training: bool
    _steps: LayerSteps

    def _body_layers(self) -> SequenceInterface:
        return as_sequence_module(self.body, "body")

    @property
    def stride(self) -> int:
        """The number of steps that become one in the front."""
        return getattr(self.front, "stride", 1)

    @property
    def carry_problem(self) -> str | None:
        """Why :meth:`encode_chunk` cannot go on from chunk to chunk; None where it can."""
        if (problem := self._body_layers().carry_problem) is not None:
            return problem
        if self.front is None or isinstance(self.front, CausalConv):
            return None
        return f"its front {short_repr(self.front)} does not go on from chunk to chunk; use a rnnkit.CausalConv"

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step of ``batch`` rows: that of the front, and that of the body."""
        front = None if self.front is None else self.front.initial_state(batch, device, dtype)
        return front, self._body_layers().initial_state(batch, device, dtype)

    def encode_chunk(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return what the encoder makes of the next steps, from a state on.

        Args:
            x: [B, T, M], the next steps; T may be 0.
            state: what this method returned for the chunk before; None at the beginning.

        Returns:
            The body's outputs [B, n, F] that are complete, n from 0 on, and the state after these steps.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        if (problem := self.carry_problem) is not None:
            raise ConfigError(f"{type(self).__name__} goes on from a state, but {problem}")
        front_state, body_state = self.initial_state(len(x), x.device, x.dtype) if state is None else state
        if self.front is not None:
            x, front_state = self.front.forward_chunk(x, front_state)
        y, body_state = self._body_chunk(x, body_state)
        return y, (front_state, body_state)

    def finish_encoding(self, state: State) -> Tensor:
        """Return the body's outputs [B, n, F] of the last steps, where no more steps follow; n is 0 or 1.

        Args:
            state: what :meth:`encode_chunk` returned last.
        """
        front_state, body_state = state
        if self.front is None:
            layers = self._body_layers()
            leaf = tensors(body_state)[0]
            return leaf.new_zeros(leaf.shape[layers.state_batch_axis], 0, layers.output_size or leaf.shape[-1])
        return self._body_chunk(self.front.finish(front_state), body_state)[0]

    def reorder_state(self, state: State, index: Tensor) -> State:
        """Return a state whose row i is row ``index[i]`` of another."""
        front, body = state
        axis = self._body_layers().state_batch_axis
        return None if front is None else reorder(front, index, 0), reorder(body, index, axis)

    def _body_chunk(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        layers = self._body_layers()
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, layers.output_size or x.shape[2]), state
        return step_layer(self._steps, layers, x, state, gradients=self.training or torch.is_grad_enabled())


def front_of(encoder: torch.nn.Module) -> CausalConv | None:
    """Return the convolutions that an encoder begins with, where it is a chain that does."""
    parts = list(encoder.children()) if isinstance(encoder, Chain) else []
    return parts[0] if len(parts) > 1 and isinstance(parts[0], CausalConv) else None
