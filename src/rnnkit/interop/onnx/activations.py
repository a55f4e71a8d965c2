"""Activation functions by name, as :data:`rnnkit.layers.graph.activations.ACTIVATIONS` has them, in plain operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .graph import Graph

Function = Callable[[Graph, str], str]


def activated(graph: Graph, name: str, x: str) -> str:
    """f(x), f by its name.

    Args:
        graph: or the body of a Scan.
        name: a key of `FUNCTIONS`.
        x: of any shape; softmax is taken over the last axis.
    """
    return FUNCTIONS[name](graph, x)


def clip(graph: Graph, x: str, low: float, high: float) -> str:
    """x, at least low and at most high."""
    return graph("Clip", x, graph.number(low), graph.number(high))


def gelu(graph: Graph, x: str) -> str:
    """x Φ(x), Φ the normal distribution function."""
    inner = graph("Erf", graph("Mul", x, graph.number(math.sqrt(0.5))))
    return graph("Mul", graph("Mul", x, graph.number(0.5)), graph("Add", inner, graph.number(1.0)))


def silu(graph: Graph, x: str) -> str:
    """x σ(x)."""
    return graph("Mul", x, graph("Sigmoid", x))


def mish(graph: Graph, x: str) -> str:
    """x tanh(softplus(x))."""
    return graph("Mul", x, graph("Tanh", graph("Softplus", x)))


def log_sigmoid(graph: Graph, x: str) -> str:
    """log σ(x)."""
    return graph("Neg", graph("Softplus", graph("Neg", x)))


def operator(name: str, **attributes: Any) -> Function:
    """Return a function that is one operator."""
    return lambda graph, x: graph(name, x, **attributes)


FUNCTIONS: dict[str, Function] = {
    "linear": lambda graph, x: x,
    "relu": operator("Relu"),
    "relu6": lambda graph, x: clip(graph, x, 0.0, 6.0),
    "tanh": operator("Tanh"),
    "sigmoid": operator("Sigmoid"),
    "hard_sigmoid": operator("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_sigmoid_of_keras_2": operator("HardSigmoid", alpha=0.2, beta=0.5),
    "hard_tanh": lambda graph, x: clip(graph, x, -1.0, 1.0),
    "hard_silu": operator("HardSwish"),
    "softmax": operator("Softmax", axis=-1),
    "log_softmax": operator("LogSoftmax", axis=-1),
    "log_sigmoid": log_sigmoid,
    "softplus": operator("Softplus"),
    "softsign": operator("Softsign"),
    "elu": operator("Elu"),
    "selu": operator("Selu"),
    "celu": operator("Celu"),
    "gelu": gelu,
    "silu": silu,
    "mish": mish,
    "exponential": operator("Exp"),
    "leaky_relu": operator("LeakyRelu", alpha=0.2),
}

OF_OPERATORS: dict[str, tuple[str, tuple[float, float] | None]] = {
    "tanh": ("Tanh", None),
    "relu": ("Relu", None),
    "sigmoid": ("Sigmoid", None),
    "softsign": ("Softsign", None),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "hard_sigmoid_of_keras_2": ("HardSigmoid", (0.2, 0.5)),
    "linear": ("Affine", (1.0, 0.0)),
}
"""Those that ONNX's operators RNN, LSTM and GRU take: the name there, and its α and β where it has some."""
