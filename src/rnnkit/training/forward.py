"""How a model's output meets its targets."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ConfigError, DataError, ShapeError
from ..types import Sequences
from .arrays import Inputs, check_finite, select, valid_steps
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
        """Returns the targets as the loss takes them; raises `DataError` or `ShapeError` if the two do not fit."""
        if len(inputs) != len(targets):
            raise DataError(f"{len(inputs):,} inputs arrived with {len(targets):,} targets; expected as many of both")
        check_inputs(inputs)
        ragged = isinstance(inputs, Sequences)
        if isinstance(targets, Sequences):
            if not isinstance(inputs, Sequences) or not torch.equal(inputs.lengths, targets.lengths):
                raise DataError("targets of unequal lengths arrived; expected each as long as its input sequence")
            targets = targets.values
        values = inputs.values if isinstance(inputs, Sequences) else inputs
        if self._outputs is None:
            self._try(inputs, targets)
        ...
