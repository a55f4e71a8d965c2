"""How a model's output meets its targets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError, DataError, ShapeError
from ..types import Sequences
from .arrays import Inputs, check_finite, check_inputs, describe, select, valid_steps
from .contexts import mode
from .losses import Loss, fit_targets


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

    def __call__(self, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensor]:
        output = self.output(inputs)
        if not self.per_step:
            return output, targets
        if isinstance(inputs, Sequences):
            valid = valid_steps(inputs.lengths, output.shape[1], output.device)
            return output[valid], targets[valid]
        return output.flatten(0, 1), targets.flatten(0, 1)

    def output(self, inputs: Inputs) -> Tensor:
        """Returns the model's output for a tensor or for `Sequences`."""
        if isinstance(inputs, Sequences):
            return self.module(inputs.values, lengths=inputs.lengths)  # type: ignore[no-any-return]
        return self.module(inputs)  # type: ignore[no-any-return]

    def prepare(self, inputs: Inputs, targets: Inputs) -> Tensor:
        """Checks inputs and targets, and returns the targets as the loss takes them.

        Raises:
            DataError: not as many targets as inputs, NaN, labels out of range, lengths that differ.
            ShapeError: targets whose shape does not belong to the model's output.
        """
        check_inputs(inputs)
        if len(inputs) != len(targets):
            raise DataError(f"{len(inputs):,} inputs arrived with {len(targets):,} targets; expected one for each")
        values, lengths = (inputs.values, inputs.lengths) if isinstance(inputs, Sequences) else (inputs, None)
        if isinstance(targets, Sequences):
            if lengths is None or not torch.equal(lengths, targets.lengths):
                raise DataError("targets of unequal lengths arrived; expected each to be as long as its sequence")
            targets = targets.values
        if self._outputs is None:
            self._try(inputs, targets, steps=values.shape[1:2] == targets.shape[1:2])

        output = torch.Size([*targets.shape[: 1 + self.per_step], *self._outputs])
        if self.loss.targets == "labels" and len(self._outputs) != 1:
            raise ShapeError(
                f"the model returns outputs of shape {list(output)} for targets of shape {list(targets.shape)}; "
                f"{self.loss.name!r} expects outputs [N, classes], or [N, T, classes] for labels [N, T]"
            )
        ragged = self.per_step and lengths is not None
        if self.loss.targets != "own":  # whose NaN may stand for what is not known
            check_finite("targets", Sequences(targets, lengths) if ragged else targets)
        valid = valid_steps(lengths, targets.shape[1], targets.device) if ragged else None
        return fit_targets(self.loss, targets, output, valid=valid, dtype=self.dtype)

    def _try(self, inputs: Inputs, targets: Tensor, *, steps: bool) -> None:
        """Learns the shape of the outputs from two rows; `steps`: the targets have as many steps as the inputs."""
        rows = select(inputs, torch.arange(min(2, len(inputs)))).to(self.device)
        with mode(self.module, False), torch.no_grad():
            output = self.output(rows)
        if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != len(rows):
            raise ConfigError(
                f"for {len(rows)} sequences the model returned {describe(output)}; expected one tensor with the "
                f"batch axis first, [{len(rows)}, ...]"
            )
        longest = (rows.values if isinstance(rows, Sequences) else rows).shape[1:2]
        self.per_step = steps and output.dim() >= 3 and output.shape[1:2] == longest
        self._outputs = output.shape[1 + self.per_step :]
        if self.loss.name == "bce" and not 0 <= output.min() <= output.max() <= 1:
            raise ConfigError(
                f"the model returns values from {output.min():.3g} to {output.max():.3g}, but loss 'bce' expects "
                "probabilities in [0, 1]; for outputs without a sigmoid pass loss='bce_logits'"
            )
