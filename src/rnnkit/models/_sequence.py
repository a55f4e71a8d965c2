"""What the models share: a batch-first body, pooling over valid steps, and the description that rebuilds them."""

from __future__ import annotations

from typing import Any, Literal

import torch

from ..errors import ConfigError, suggest
from ..layers._checks import Lengths
from ..layers._recurrent import RecurrentLayer
from ..layers.augment import SeriesAugment
from ..layers.conv import ConvFront
from ..layers.pixels import PixelFront
from ..ops.padding import valid_steps
from ..types import State

Tensor = torch.Tensor
Front = ConvFront | PixelFront
Pooling = Literal["last", "mean", "max", "concat"]
POOLINGS: tuple[Pooling, ...] = ("last", "mean", "max", "concat")


def valid_outputs(lengths: Lengths, output: Tensor) -> Tensor:
    """Bool [B, T, 1], true where output [B, T, ...] belongs to a valid step."""
    return valid_steps(torch.as_tensor(lengths), output.shape[1], output.device)[:, :, None]


class SequenceModel(torch.nn.Module):
    """Body and head over batch-first sequences.

    Attributes:
        default_loss, default_metrics: what a :class:`rnnkit.Learner` uses unless told otherwise.
    """

    default_loss: str
    default_metrics: tuple[str, ...]

    def __init__(
        self,
        body: RecurrentLayer,
        outputs: int,
        dropout: float,
        arguments: dict[str, Any],
        *,
        front: Front | None = None,
        augment: SeriesAugment | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(body, RecurrentLayer):
            raise ConfigError(
                f"body is a {type(body).__name__}; expected an rnnkit layer such as "
                "rnnkit.SimpleRNN(input_size, hidden_size, batch_first=True)"
            )
        if outputs < 1:
            raise ConfigError(f"{outputs} outputs were asked for; expected at least 1")
        if front is not None and front.output_size != body.input_size:
            raise ConfigError(
                f"front puts out {front.output_size} features but body takes {body.input_size}; "
                f"build the body with input_size={front.output_size}"
            )
        self.augment, self.front, self.body = augment, front, body  # from input to output, as groups of layers go
        self.dropout = dropout
        self.head = torch.nn.Linear(width or body.output_size, outputs)
        if (dtype := body.weight_ih_l0.dtype) != self.head.weight.dtype:
            self.head.to(dtype)
        self._arguments = arguments

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this model anew, for ``rnnkit.load``."""
        parts = {"body": self.body, "front": self.front, "augment": self.augment}
        described = {name: part.config() for name, part in parts.items() if part is not None}
        return {"builder": type(self).__name__, "arguments": {**described, **self._arguments}}

    def set_head(self, head: torch.nn.Linear) -> None:
        """Puts another output layer in place; ``config()`` tells its width."""
        self.head = head
        self._arguments["classes" if "classes" in self._arguments else "outputs"] = head.out_features

    def _drop(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, self.dropout) if self.dropout and self.training else x

    @property
    def carry_problem(self) -> str | None:
        """Why :meth:`forward_chunk` cannot go on from chunk to chunk; None where it can."""
        if self.body.bidirectional:
            return "its body is bidirectional, and reads each sequence from its end too: build it with one direction"
        if self.front is not None or self.augment is not None:
            return "it has a front or an augmentation, which needs whole sequences: apply it to the data beforehand"
        return None

    @property
    def state_batch_axis(self) -> int:
        """Where the batch lies in the tensors of a state."""
        return self.body.state_batch_axis

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """The state before the first step; see the body's."""
        return self.body.initial_state(batch, device, dtype)

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """As a call, from a state on, for sequences that come in chunks.

        Args:
            x: [B, T, I], or what the call takes.
            state: what this method returned for the chunk before; None for the beginning.
            lengths, resets: as for the body: valid steps [B], and where a row begins anew [B, T].

        Returns:
            what the call returns for these steps, and the state after them.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        if self.carry_problem is not None:
            raise ConfigError(f"{type(self).__name__}.forward_chunk goes on from a state, but {self.carry_problem}")
        output, state = self._run_body(x, lengths, state, resets)
        return self._put_out(output, state, lengths), state

    def _put_out(self, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        """What the model makes of the body's outputs [B, T, D·H] and its last state."""
        raise NotImplementedError

    def _run_body(
        self, x: Tensor, lengths: Lengths | None, state: State | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """x [B, T, I] to outputs [B, T, D·H] and the state, whichever layout the body has."""
        if self.body.batch_first:
            return self.body(x, state, lengths=lengths, resets=resets)  # type: ignore[no-any-return]
        output, state = self.body(x.transpose(0, 1), state, lengths=lengths, resets=resets)
        return output.transpose(0, 1), state


class PooledModel(SequenceModel):
    """One vector a sequence: the last valid step, or the mean or maximum over valid steps, through the head.

    ``front`` stands before the body and may shorten the sequences (:class:`rnnkit.ConvFront`) or make them of images
    (:class:`rnnkit.PixelFront`); ``augment`` stands before both and changes them while training
    (:class:`rnnkit.SeriesAugment`).
    """

    def __init__(
        self,
        body: RecurrentLayer,
        outputs: int,
        pooling: Pooling,
        dropout: float,
        name: str,
        front: Front | None,
        augment: SeriesAugment | None,
    ) -> None:
        if pooling not in POOLINGS:
            raise ConfigError(f"pooling={pooling!r} is unknown{suggest(pooling, POOLINGS)}")
        arguments = {name: outputs, "pooling": pooling, "dropout": dropout}
        width = 3 * body.output_size if pooling == "concat" else None
        super().__init__(body, outputs, dropout, arguments, front=front, augment=augment, width=width)
        self.pooling = pooling

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> Tensor:
        """x [B, T, I] and lengths [B] or None to [B, outputs]."""
        if self.augment is not None:
            x = self.augment(x, lengths)
        if self.front is not None:
            x, lengths = self.front(x, lengths)
        output, state = self._run_body(x, lengths)
        return self._put_out(output, state, lengths)

    @property
    def carry_problem(self) -> str | None:
        if self.pooling != "last":
            return (
                f"its pooling={self.pooling!r} looks at all steps of a sequence: use pooling='last', or the body's "
                "recompute=K for less memory"
            )
        return super().carry_problem

    def _put_out(self, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        return self.head(self._drop(self._pool(output, state, lengths)))  # type: ignore[no-any-return]

    def _pool(self, output: Tensor, state: Any, lengths: Lengths | None) -> Tensor:
        kinds = ("last", "max", "mean") if self.pooling == "concat" else (self.pooling,)
        valid = None if lengths is None or kinds == ("last",) else valid_outputs(lengths, output)
        last = self.body.final_output
        pooled = [last(state) if kind == "last" else _over_time(output, valid, kind) for kind in kinds]
        return pooled[0] if len(pooled) == 1 else torch.cat(pooled, -1)


def _over_time(output: Tensor, valid: Tensor | None, kind: str) -> Tensor:
    if kind == "max":
        return (output if valid is None else output.masked_fill(~valid, float("-inf"))).amax(1)
    return output.mean(1) if valid is None else output.sum(1) / valid.sum(1)  # 0 behind a row's length
