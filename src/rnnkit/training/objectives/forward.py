"""How a model's output meets its targets."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError
from ...ops.losses import Loss
from ...ops.padding import valid_steps
from ...types import Sequences
from ..batching.arrays import Inputs, check_finite, check_inputs, describe, select
from ..contexts import mode
from .targets import fit_targets


class Forward:
    """Calls a model on batches and pairs its outputs with their targets.

    Whether there is one target per sequence or one per step is settled by a trial on the first rows that `prepare`
    sees: a model of steps returns [B, T, outputs], for targets [B, T] or [B, T, outputs]. Pairs of steps come out
    flat, [n, outputs] and [n] or [n, outputs], without the padded ones: neither loss nor metrics see those.
    """

    def __init__(self, module: torch.nn.Module, loss: Loss, *, dtype: torch.dtype, device: torch.device) -> None:
        self.module, self.loss, self.dtype, self.device = module, loss, dtype, device
        self.per_step = False
        self._outputs: torch.Size | None = None  # the output's axes after B, or after B and T

    cuts = False  # whether `pieces` are more than one

    def begin(self) -> None:
        """Called before an epoch, and before an evaluation."""

    def pieces(self, inputs: Inputs, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the batch's outputs with their targets: all at once, or piece by piece, each backpropagated alone."""
        yield self(inputs, targets)

    def __call__(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        output = self.output(inputs)
        if not self.per_step:
            return output, targets
        if isinstance(inputs, Sequences):
            valid = valid_steps(inputs.lengths, output.shape[1], output.device)
            return output[valid], targets[valid]
        return output.flatten(0, 1), targets.flatten(0, 1)

    def count(self, inputs: Inputs, targets: Tensor) -> int:
        """The number of targets that the loss of a batch is the mean of."""
        if not self.per_step:
            return len(targets)
        return int(inputs.lengths.sum()) if isinstance(inputs, Sequences) else len(targets) * targets.shape[1]

    def output(self, inputs: Inputs) -> Tensor:
        """Returns the model's output for a tensor or for `Sequences`."""
        return run_model(self.module, inputs)

    def padded(self, inputs: Inputs, longest: int | None) -> Tensor:
        """As `output`; outputs per step of `Sequences` are padded with 0 to `longest` steps."""
        output = self.output(inputs)
        if not isinstance(inputs, Sequences) or output.shape[1:2] != inputs.values.shape[1:2] or output.dim() < 3:
            return output
        valid = valid_steps(inputs.lengths, output.shape[1], output.device)
        padded = output.new_zeros(len(output), longest or output.shape[1], *output.shape[2:])
        padded[:, : output.shape[1]][valid] = output[valid]
        return padded

    def prepare(self, inputs: Inputs, targets: Inputs) -> Tensor:
        """Checks inputs and targets, and returns the targets as the loss takes them.

        Raises:
            DataError: not as many targets as inputs, NaN, labels out of range, lengths that differ.
            ShapeError: targets whose shape does not belong to the model's output.
        """
        check_inputs(inputs)
        if len(inputs) != len(targets):
            raise DataError(f"{len(inputs):,} inputs arrived with {len(targets):,} targets; expected one for each")
        if isinstance(targets, Sequences):
            if not isinstance(inputs, Sequences) or not torch.equal(inputs.lengths, targets.lengths):
                raise DataError("targets of unequal lengths arrived; expected each to be as long as its sequence")
            targets = targets.values
        if self._outputs is None:
            self._outputs = self._try(inputs, targets)
        if self.per_step and targets.shape[1:2] != _steps(inputs):
            raise ShapeError(f"targets of {targets.shape[1]} steps arrived with inputs of {_steps(inputs)[0]} steps")
        output = torch.Size([*targets.shape[: 1 + self.per_step], *self._outputs])
        if self.loss.targets == "labels" and len(self._outputs) != 1:
            raise ShapeError(
                f"the model returns outputs of shape {list(output)} for targets of shape {list(targets.shape)}; "
                f"{self.loss.name!r} expects outputs [N, classes], or [N, T, classes] for labels [N, T]"
            )
        ragged = Sequences(targets, inputs.lengths) if self.per_step and isinstance(inputs, Sequences) else None
        if self.loss.targets != "own":  # whose NaN may stand for what is not known
            check_finite("targets", targets if ragged is None else ragged)
        valid = None if ragged is None else valid_steps(ragged.lengths, targets.shape[1], targets.device)
        return fit_targets(self.loss, targets, output, valid=valid, dtype=self.dtype)

    def _try(self, inputs: Inputs, targets: Tensor) -> torch.Size:
        """Runs two rows; returns the shape of one output and notes whether it is that of a sequence or of a step."""
        rows = select(inputs, torch.arange(min(2, len(inputs)))).to(self.device)
        with mode(self.module, False), torch.no_grad():
            output = self.output(rows)
        if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != len(rows):
            raise ConfigError(
                f"for {len(rows)} sequences the model returned {describe(output)}; expected one tensor with the "
                f"batch axis first, [{len(rows)}, ...]"
            )
        self.per_step = output.dim() >= 3 and output.shape[1:2] == _steps(rows) and targets.shape[1:2] == _steps(inputs)
        if self.loss.name == "bce" and not 0 <= output.min() <= output.max() <= 1:
            raise ConfigError(
                f"the model returns values from {output.min():.3g} to {output.max():.3g}, but loss 'bce' expects "
                "probabilities in [0, 1]; for outputs without a sigmoid pass loss='bce_logits'"
            )
        return output.shape[1 + self.per_step :]


def _steps(inputs: Inputs) -> torch.Size:
    return (inputs.values if isinstance(inputs, Sequences) else inputs).shape[1:2]


def run_model(module: torch.nn.Module, inputs: Inputs) -> Tensor:
    """Calls a model on a tensor or on `Sequences`."""
    if isinstance(inputs, Sequences):
        return module(inputs.values, lengths=inputs.lengths)  # type: ignore[no-any-return]
    return module(inputs)  # type: ignore[no-any-return]
