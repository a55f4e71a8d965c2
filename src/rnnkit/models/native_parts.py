"""What the native core computes of a model in a training step, see :mod:`rnnkit.ops.native_step`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..layers._options import DEFAULTS
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.simple_rnn import SimpleRNN
from ..ops.native_step import NativeGradients, StepLayer

Tensor = torch.Tensor

_BODIES = (SimpleRNN, LSTM, GRU)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_EVERYONES_HOOKS = tuple(f"_global{name}" for name in _HOOKS)


class NativeParts:
    """A body and a linear head whose loss and gradients the native core can compute.

    Args:
        model: with the attributes of :class:`rnnkit.models._sequence.PooledModel`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def problem(self) -> str | None:
        """Return why the core cannot, as the model is now; None where it can. Asked in every training step."""
        model, parts = self._model, self._model._modules
        body, head = parts["body"], parts["head"]
        if type(body) not in _BODIES:
            return (
                f"the body is a {type(body).__name__}, not a {', '.join(kind.__name__ for kind in _BODIES)} of rnnkit's"
            )
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
        return _watched(model, body, head) or _parameter_problem(self.parameters())

    def parameters(self) -> list[Tensor]:
        """Return the parameters in the order of :class:`NativeGradients`."""
        parts = self._model._modules
        return [one for name in ("body", "head") for one in parts[name]._parameters.values() if one is not None]

    def kind(self) -> tuple[Any, ...]:
        """Return what the call depends on beside the parameters."""
        body = self._model._modules["body"]
        return type(body), body.kernel_variant, body.num_layers, body.bias

    def gradients(self, loss: str) -> NativeGradients | None:
        """Return the native call for a loss, "cross_entropy" or "mse"; None where the weights do not fit each other."""
        body, head = self._model.body, self._model.head
        layers = []
        for index in range(body.num_layers):
            weights = [one for one in body._direction_weights(index)[:4] if one is not None]
            layers.append(StepLayer(body.kernel, body.kernel_variant, weights))
        top = head.weight, head.bias
        return NativeGradients(layers, top, loss) if NativeGradients.possible(layers, top) else None


def _watched(*modules: torch.nn.Module) -> str | None:
    for module in modules:
        state = module.__dict__
        if any(map(state.get, _HOOKS)) or "forward" in state or "_run_direction" in state:
            return "something watches the layers"
    if any(map(vars(torch.nn.modules.module).get, _EVERYONES_HOOKS)):
        return "something watches all layers"
    return None


def _parameter_problem(parameters: list[Tensor]) -> str | None:
    for parameter in parameters:
        if not (parameter.requires_grad and parameter.is_contiguous()):
            return "parameters are frozen, or do not lie in one piece"
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            return "something watches the gradients"
    if len(set(parameters)) < len(parameters):
        return "a parameter is in two places"
    return None
