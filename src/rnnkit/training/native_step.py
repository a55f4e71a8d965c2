"""Training steps of the common kind as a few native calls, see :mod:`rnnkit.ops.native_step`.

The common kind is a :class:`rnnkit.SequenceClassifier` or :class:`rnnkit.SequenceRegressor` of one of rnnkit's layers
and a linear head, on the last state, in float32 or float64 on the CPU, without what is drawn at random, with
cross-entropy or mean squared error. Then one call computes the loss and all gradients. Where the optimizer is Adam,
AdamW or SGD, another call takes its step. Every step asks anew whether all this holds, since callbacks may change the
model, watch its layers, or freeze parameters. The numbers are those of the general way within rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from ..layers._options import DEFAULTS
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.simple_rnn import SimpleRNN
from ..models.classifier import SequenceClassifier
from ..models.regressor import SequenceRegressor
from ..ops.backend import native_problem
from ..ops.native_step import NativeGradients, NativeUpdate, StepLayer
from ..types import Batch
from .objectives.forward import Forward
from .objectives.objective import Objective, Score, SequenceObjective

if TYPE_CHECKING:
    from .loop import Run

_MODELS, _BODIES = (SequenceClassifier, SequenceRegressor), (SimpleRNN, LSTM, GRU)
_LOSSES: dict[Any, str] = {F.cross_entropy: "cross_entropy", F.mse_loss: "mse"}
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_EVERYONES_HOOKS = tuple(f"_global{name}" for name in _HOOKS)
# Products of the head in a batch beyond which PyTorch's own matrix products are worth their calls.
_MOST_PRODUCTS = 1 << 24


def model_problem(model: Any) -> str | None:
    """Return why a model's gradients are no native call, as it is now; None where they are.

    Args:
        model: of any kind.
    """
    if type(model) not in _MODELS:
        kinds = " or ".join(kind.__name__ for kind in _MODELS)
        return f"the model is a {type(model).__name__}, not a {kinds}"
    parts = model._modules
    body, head = parts["body"], parts["head"]
    if type(body) not in _BODIES:
        return f"the body is a {type(body).__name__}, not a {', '.join(kind.__name__ for kind in _BODIES)} of rnnkit's"
    if type(head) is not torch.nn.Linear:
        return f"the head is a {type(head).__name__}, not a Linear"
    if parts.get("front") is not None or parts.get("augment") is not None:
        return "something stands before the body"
    if model.pooling != "last":
        return f"the model has pooling={model.pooling!r}, not 'last'"
    if model.dropout or (body.dropout and body.num_layers > 1):
        return "dropout is drawn"
    if body.bidirectional or body.proj_size or body.backend not in ("auto", "native"):
        return "the body is bidirectional, has a projection, or names another backend"
    if body.options is not DEFAULTS and replace(body.options, reset_after=True) != DEFAULTS:
        return "the body has options"
    for module in (model, body, head):
        state = module.__dict__
        if any(map(state.get, _HOOKS)) or "forward" in state or "_run_direction" in state:
            return "something watches the layers"
    if any(map(vars(torch.nn.modules.module).get, _EVERYONES_HOOKS)):
        return "something watches all layers"
    for module in (body, head):
        for parameter in module._parameters.values():
            if parameter is not None and not (parameter.requires_grad and parameter.is_contiguous()):
                return "parameters are frozen, or do not lie in one piece"
            if parameter is not None and (parameter._backward_hooks or parameter._post_accumulate_grad_hooks):
                return "something watches the gradients"
    return None


def run_problem(run: Run) -> str | None:
    """Return why the steps of a run are no native calls, as far as its model does not tell; None where nothing is."""
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
        return f"the loss is {forward.objective.loss.name!r}, not one of {', '.join(map(repr, _LOSSES.values()))}"
    return native_problem(execution.device, execution.dtype)


class NativeStep:
    """The gradients and the update of a run's steps, natively where that can be.

    Attributes:
        gradients, updates: how many steps had their gradients from here, and how many their update.
    """

    def __init__(self) -> None:
        self._gradients: NativeGradients | None = None
        self._update: NativeUpdate | None = None
        self._fresh = False  # whether the gradients of the current step are from here
        self._asked: tuple[Any, ...] = ()
        self._problem: str | None = None
        self.gradients = self.updates = 0

    def _run_problem(self, run: Run) -> str | None:
        """Return why no step can be native with what the run consists of now, or None."""
        objective = getattr(run.forward, "objective", None)
        parts = (run.execution, run.forward, objective, run.penalty, run.accumulate)
        if parts != self._asked:
            self._asked, self._problem = parts, run_problem(run)
            self._gradients = self._update = None
        return self._problem

    def score(self, run: Run, batch: Batch) -> Score | None:
        """Return the score of a batch, with all gradients in place; None where the general way has to compute it.

        Where the loss is NaN or infinite, no gradient was touched.
        """
        self._fresh = False
        if self._run_problem(run) is not None or model_problem(run.execution.model) is not None:
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
        self.gradients += 1
        loss, output = made
        return Score(torch.tensor(loss, dtype=output.dtype), len(targets), output, targets)

    def step(self, run: Run) -> None:
        """Clip the gradients and take the optimizer's step."""
        update, clip = self._ready_update(run.optimizer), run.clip
        if clip is not None:
            if update is None or clip.norm is None or clip.value is not None:
                clip()
            else:
                clip.norm_before = torch.tensor(update.clip(clip.norm))
        if update is None:
            run.optimizer.step()
        else:
            update()
            self.updates += 1

    def _ready_gradients(self, run: Run) -> NativeGradients | None:
        model: Any = run.execution.model
        body, head = model._modules["body"], model._modules["head"]
        parameters = [one for part in (body, head) for one in part._parameters.values() if one is not None]
        if self._gradients is None or not self._gradients.serves(parameters):
            if len(set(parameters)) < len(parameters):  # a weight in two places has the sum of two gradients
                return None
            weights = [body._direction_weights(index)[:4] for index in range(body.num_layers)]
            layers = [
                StepLayer(body.kernel, body.kernel_variant, [one for one in four if one is not None])
                for four in weights
            ]
            loss = _LOSSES[run.forward.objective.loss.function]
            self._gradients = NativeGradients(layers, (head.weight, head.bias), loss)
            self._update = None
        return self._gradients

    def _ready_update(self, optimizer: torch.optim.Optimizer) -> NativeUpdate | None:
        found = self._gradients
        if not self._fresh or found is None or not found.held():
            return None
        if NativeUpdate.problem(optimizer, found.by_parameter) is not None:
            return None
        if self._update is None or not self._update.serves(optimizer):
            ready = NativeUpdate.ready(optimizer)
            self._update = NativeUpdate(optimizer, found.by_parameter) if ready else None
        return self._update

    def describe(self, run: Run) -> str:
        """Return a sentence that says how the steps so far were computed, and if not natively, why."""
        found = self._gradients
        if not self.gradients or found is None:
            why = (
                self._run_problem(run) or model_problem(run.execution.model) or "the batches have what it does not take"
            )
            return f"A step goes operation by operation: {why}"
        if self.updates:
            return "A step is two native calls: the gradients, and the optimizer's step"
        why = NativeUpdate.problem(run.optimizer, found.by_parameter) or "the optimizer has not taken a step before"
        return f"The gradients are one native call, the optimizer's step goes operation by operation: {why}"
