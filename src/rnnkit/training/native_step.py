"""Training steps of the common kind as a few native calls, see :mod:`rnnkit.ops.native_step`.

The common kind is a model with `native_parts` (:class:`rnnkit.SequenceClassifier` or :class:`rnnkit.SequenceRegressor`:
one of rnnkit's layers and a linear head, on the last state), in float32 or float64 on the CPU, without what is drawn at
random, with cross-entropy or mean squared error. Then one call computes the loss and all gradients. Where the optimizer
is Adam, AdamW or SGD, another call takes its step. Every step asks anew whether all this holds, since callbacks may
change the model, watch its layers, or freeze parameters. The numbers are those of the general way within rounding.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from ..ops.backend import native_problem
from ..ops.native_step import NativeGradients, NativeUpdate
from ..types import Batch
from .execution import Execution
from .objectives.forward import Forward
from .objectives.objective import Objective, Score, SequenceObjective
from .optimization.clipping import Clipping

_LOSSES: dict[Any, str] = {F.cross_entropy: "cross_entropy", F.mse_loss: "mse"}
# Products of the head in a batch beyond which PyTorch's own matrix products are worth their calls.
_MOST_PRODUCTS = 1 << 24


class Parts(Protocol):
    """What a model says about the calls that compute its gradients; its `native_parts()` returns it, or None."""

    def problem(self) -> str | None:
        """Return why there are none, as the model is now."""

    def parameters(self) -> list[Tensor]:
        """Return what has gradients, in the order of `NativeGradients`."""

    def kind(self) -> tuple[Any, ...]:
        """Return what the call depends on beside the parameters."""

    def gradients(self, loss: str) -> NativeGradients | None:
        """Return the call for a loss, "cross_entropy" or "mse"; None where the parameters do not fit each other."""


class Settings(Protocol):
    """What a step uses of a :class:`rnnkit.training.loop.Run`."""

    execution: Execution
    forward: Forward
    optimizer: Optimizer
    clip: Clipping | None
    penalty: Callable[[], Tensor] | None
    accumulate: int


def run_problem(run: Settings) -> str | None:
    """Return why the steps of a run are no native calls, apart from what its model says; None where they may be."""
    execution, forward = run.execution, run.forward
    if execution.fabric is not None:
        return "Lightning Fabric runs the model"
    if run.accumulate != 1:
        return "an update adds up several batches"
    if run.penalty is not None:
        return "a penalty is added to the loss"
    if type(forward) is not Forward:
        return "the state is carried from batch to batch, or something stands around the forward pass"
    if type(forward.objective) not in (SequenceObjective, Objective):
        return f"the objective is {forward.objective.name!r}, not 'sequence'"
    if forward.objective.loss.function not in _LOSSES:
        plain = ", ".join(map(repr, _LOSSES.values()))
        return f"the loss is {forward.objective.loss.name!r}, not one of {plain} without options"
    return native_problem(execution.device, execution.dtype)


class NativeStep:
    """The gradients and the update of a run's steps, natively where that can be.

    Attributes:
        gradient_steps, update_steps: how many steps had their gradients from here, and how many their update.
    """

    def __init__(self) -> None:
        self._gradients: NativeGradients | None = None
        self._update: NativeUpdate | None = None
        self._fresh = False  # whether the gradients of the current step are from here
        self._asked: tuple[Any, ...] = ()
        self._problem: str | None = None
        self._parts: Parts | None = None
        self._kind: tuple[Any, ...] = ()
        self.gradient_steps = self.update_steps = 0

    def __getstate__(self) -> dict[str, Any]:
        """Return the counts alone: a copy asks anew, since the core's objects hold addresses of this one's tensors."""
        return {**vars(NativeStep()), "gradient_steps": self.gradient_steps, "update_steps": self.update_steps}

    def _find_problem(self, run: Settings) -> str | None:
        """Return why the gradients are no native call, as things are now, or None."""
        execution, objective = run.execution, getattr(run.forward, "objective", None)
        asked = (execution, run.forward, objective, getattr(objective, "loss", None), run.penalty, run.accumulate)
        if not self._asked or any(map(operator.is_not, asked, self._asked)):
            self._asked, self._problem = asked, run_problem(run)
            self._gradients = self._update = None
            made = getattr(execution.model, "native_parts", None)
            self._parts = made() if callable(made) else None
        if self._problem is not None:
            return self._problem
        if self._parts is None:
            return (
                f"the model is a {type(execution.model).__name__}; SequenceClassifier and SequenceRegressor have them"
            )
        return self._parts.problem()

    def score(self, run: Settings, batch: Batch) -> Score | None:
        """Return the score of a batch, with all gradients in place; None where the general way has to compute it.

        Where the loss is NaN or infinite, no gradient was touched.
        """
        self._fresh = False
        if self._find_problem(run) is not None:
            return None
        targets = batch.targets
        if targets is None or batch.weights is not None or batch.resets is not None:
            return None
        if torch.is_anomaly_enabled() or torch.is_autocast_enabled("cpu"):
            return None
        found = self._ready_gradients(run)
        if found is None or not found.fits(batch.inputs, batch.input_lengths, targets):
            return None
        if len(batch) * found.products > _MOST_PRODUCTS:
            return None
        made = found(batch.inputs, batch.input_lengths, targets)
        if made is None:
            return None
        self._fresh = True
        self.gradient_steps += 1
        loss, output = made
        if math.isfinite(loss):
            _clear_others(run.optimizer, found)
        return Score(torch.tensor(loss, dtype=output.dtype), len(targets), output, targets)

    def step(self, run: Settings) -> None:
        """Clip the gradients and take the optimizer's step."""
        # Several processes must take the same step to the bit, and a batch of one of them may not be computed here.
        alone, clip = run.execution.exchange is None, run.clip
        update = self._ready_update(run.optimizer) if alone else None
        if clip is not None:
            if update is None or clip.norm is None or clip.value is not None:
                clip()
            else:
                clip.norm_before = torch.tensor(update.clip(clip.norm))
        if update is None:
            run.optimizer.step()
        else:
            update()
            self.update_steps += 1

    def _ready_gradients(self, run: Settings) -> NativeGradients | None:
        parts, found = self._parts, self._gradients
        assert parts is not None
        kind = parts.kind()
        if found is None or kind != self._kind or not found.serves(parts.parameters()):
            self._gradients = parts.gradients(_LOSSES[run.forward.objective.loss.function])
            self._kind, self._update = kind, None
        return self._gradients

    def _ready_update(self, optimizer: Optimizer) -> NativeUpdate | None:
        found = self._gradients
        if not self._fresh or found is None or not found.held():
            return None
        if NativeUpdate.problem(optimizer, found.by_parameter) is not None:
            return None
        if self._update is None or not self._update.serves(optimizer):
            ready = NativeUpdate.ready(optimizer)
            self._update = NativeUpdate(optimizer, found.by_parameter) if ready else None
        return self._update

    def describe(self, run: Settings) -> str:
        """Return a sentence that says how the steps so far were computed, and if not natively, why."""
        found = self._gradients
        if not self.gradient_steps or found is None:
            why = self._find_problem(run) or "the batches have what it does not take"
            return f"A step goes operation by operation: {why}"
        if self.update_steps:
            return "A step is two native calls: the gradients, and the optimizer's step"
        why = NativeUpdate.problem(run.optimizer, found.by_parameter) or "the optimizer has not taken a step before"
        return f"The gradients are one native call, the optimizer's step goes operation by operation: {why}"


def _clear_others(optimizer: Optimizer, found: NativeGradients) -> None:
    """Clear the gradients that a step of the general way would: of what the optimizer holds and the model has not."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter not in found.by_parameter:
                parameter.grad = None
