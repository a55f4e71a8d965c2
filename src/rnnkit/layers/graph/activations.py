"""Activation functions by name, as other libraries' model files name them.

The two hard sigmoids differ: Keras 3 computes min(max(x + 3, 0), 6) / 6, Keras 1 and 2 clip(x / 5 + 1/2, 0, 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from ...errors import check_choice
from .base import GraphLayer, Mask

Tensor = torch.Tensor


def _softmax(x: Tensor) -> Tensor:
    return torch.softmax(x, -1)


def _log_softmax(x: Tensor) -> Tensor:
    return torch.log_softmax(x, -1)


def _hard_sigmoid_of_keras_2(x: Tensor) -> Tensor:
    return (0.2 * x + 0.5).clamp(0, 1)


def _leaky_relu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "relu6": F.relu6,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "hard_sigmoid_of_keras_2": _hard_sigmoid_of_keras_2,
    "hard_tanh": F.hardtanh,
    "hard_silu": F.hardswish,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "log_sigmoid": F.logsigmoid,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "exponential": torch.exp,
    "leaky_relu": _leaky_relu,
}


class Activation(GraphLayer):
    """y = f(x), f by its name.

    Args:
        function: a key of ``ACTIVATIONS``.
        options: numbers of the functions that have some: ``negative_slope``, ``max_value`` and ``threshold`` of "relu",
            ``negative_slope`` of "leaky_relu", ``alpha`` of "elu", ``axis`` of "softmax".

    Example:
        >>> Activation("relu", {"max_value": 1.0}).compute(torch.tensor([0.25, 0.5, 3.0]), None).tolist()
        [0.25, 0.5, 1.0]
    """

    def __init__(self, function: str, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        check_choice(function, "function", tuple(ACTIVATIONS))
        self.function, self.options = function, dict(options or {})

    def arguments(self) -> dict[str, Any]:
        return {"function": self.function, "options": self.options}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        options = self.options
        if not options:
            return ACTIVATIONS[self.function](x)
        if self.function == "relu":
            slope, threshold = options.get("negative_slope", 0.0), options.get("threshold", 0.0)
            y = torch.where(x >= threshold, x, slope * (x - threshold))
            limit = options.get("max_value")
            return y if limit is None else y.clamp(max=limit)
        if self.function == "leaky_relu":
            return F.leaky_relu(x, options["negative_slope"])
        if self.function == "elu":
            return F.elu(x, options["alpha"])
        if mask is not None and self.function == "softmax" and mask.shape == x.shape:
            x = x.masked_fill(~mask, -3e4 if x.dtype == torch.float16 else -1e9)
        return torch.softmax(x, options["axis"])

    def extra_repr(self) -> str:
        return ", ".join([self.function, *(f"{name}={value}" for name, value in self.options.items())])


class PReLU(GraphLayer):
    """y = max(0, x) + α min(0, x), α learned, of any shape that fits x [B, ...] without B.

    Args:
        shape: of α; 1 on the axes that share it.

    Example:
        >>> layer = PReLU([3])
        >>> layer.compute(torch.tensor([[-1.0, 0.0, 2.0]]), None).tolist()
        [[0.0, 0.0, 2.0]]
    """

    def __init__(self, shape: list[int]) -> None:
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.zeros(*shape))

    def arguments(self) -> dict[str, Any]:
        return {"shape": list(self.alpha.shape)}

    def compute(self, x: Tensor, mask: Mask) -> Tensor:
        return torch.relu(x) - self.alpha * torch.relu(-x)
