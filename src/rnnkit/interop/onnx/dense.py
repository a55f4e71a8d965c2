"""Modules that treat the last axis of a value: linear layers, activations and normalisations, in steps and in heads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ...layers.conv import StepNorm
from ...layers.dropout import Embedding
from ...layers.map_norm import MapNorm
from ...models.adaptive_softmax import AdaptiveSoftmax
from . import activations
from .graph import Graph
from .writer import Unsupported, Writer

DenseWriter = Callable[[Writer, Any, str], str]


def kind_of(module: Any) -> Any:
    """The class of a module, whatever adapters it has."""
    return parametrize.type_before_parametrizations(module)


def writes_dense(module: Any) -> bool:
    """Return whether :func:`write_dense` knows a module."""
    return kind_of(module) in _WRITERS


def write_dense(writer: Writer, module: Any, x: str) -> str:
    """Write a module that maps [..., F] to [..., F'].

    Raises:
        Unsupported: another kind of module.
    """
    found = _WRITERS.get(kind_of(module))
    if found is None:
        raise refusal(module)
    return found(writer, module, x)


def refusal(module: Any) -> Unsupported:
    """The error about a module that cannot be written."""
    kind = kind_of(module)
    root = kind.__module__.split(".")[0]
    name = f"torch.nn.{kind.__name__}" if root == "torch" else f"{root}.{kind.__name__}"
    return Unsupported(
        f"the model has a {name}, for which rnnkit writes no ONNX operators; replace it by layers of rnnkit's or "
        "PyTorch's that the guide on export names"
    )


def _same(writer: Writer, module: Any, x: str) -> str:
    return x


def _linear(writer: Writer, module: nn.Linear, x: str) -> str:
    return writer.linear(x, module.weight, module.bias)


def _named(name: str) -> DenseWriter:
    """An activation function by its name."""

    def write(writer: Writer, module: Any, x: str) -> str:
        return activations.activated(writer.graph, name, x)

    return write


def _with(operator: str, **names: str) -> DenseWriter:
    """An operator whose attributes are those of the module, by the names there."""

    def write(writer: Writer, module: Any, x: str) -> str:
        attributes: Any = {one: float(getattr(module, name)) for one, name in names.items()}
        return writer.graph(operator, x, **attributes)

    return write


def _sequential(writer: Writer, module: nn.Sequential, x: str) -> str:
    for part in module:
        x = write_dense(writer, part, x)
    return x


def _gelu(writer: Writer, module: nn.GELU, x: str) -> str:
    g = writer.graph
    if module.approximate != "tanh":
        return activations.gelu(g, x)
    cube = g("Mul", g("Mul", g("Mul", x, x), x), g.number(0.044715))
    inner = g("Tanh", g("Mul", g("Add", x, cube), g.number(math.sqrt(2 / math.pi))))
    return g("Mul", g("Mul", x, g.number(0.5)), g("Add", inner, g.number(1.0)))


def _softplus(writer: Writer, module: nn.Softplus, x: str) -> str:
    # PyTorch's threshold only says where x stands for its softplus: in float32 they are equal there.
    g = writer.graph
    if module.beta == 1:
        return g("Softplus", x)
    return g("Div", g("Softplus", g("Mul", x, g.number(module.beta))), g.number(module.beta))


def _hardtanh(writer: Writer, module: nn.Hardtanh, x: str) -> str:
    return activations.clip(writer.graph, x, module.min_val, module.max_val)


def _softmax(operator: str) -> DenseWriter:
    def write(writer: Writer, module: Any, x: str) -> str:
        return writer.graph(operator, x, axis=-1 if module.dim is None else module.dim)

    return write


def _prelu(writer: Writer, module: nn.PReLU, x: str) -> str:
    return writer.graph("PRelu", x, writer.graph.constant(module.weight, "slope"))


def _glu(writer: Writer, module: nn.GLU, x: str) -> str:
    g = writer.graph
    one, other = g.several("Split", x, outputs=2, axis=module.dim)
    return g("Mul", one, g("Sigmoid", other))


def layer_normalised(g: Graph, x: str, gain: torch.Tensor, shift: torch.Tensor | None, eps: float) -> str:
    """gain ⊙ N(x) + shift over the last axes, as many as the gain has."""
    extra = [] if shift is None else [g.constant(shift, "shift")]
    return g("LayerNormalization", x, g.constant(gain, "gain"), *extra, axis=-gain.dim(), epsilon=eps)


def _layer_norm(writer: Writer, module: nn.LayerNorm, x: str) -> str:
    gain = torch.ones(module.normalized_shape) if module.weight is None else module.weight
    return layer_normalised(writer.graph, x, gain, module.bias, module.eps)


def _rms_norm(writer: Writer, module: nn.RMSNorm, x: str) -> str:
    g = writer.graph
    eps = torch.finfo(torch.float32).eps if module.eps is None else module.eps
    axes = list(range(-len(module.normalized_shape), 0))
    square = g("ReduceMean", g("Mul", x, x), axes=axes, keepdims=1)
    y = g("Div", x, g("Sqrt", g("Add", square, g.number(eps))))
    return y if module.weight is None else g("Mul", y, g.constant(module.weight, "gain"))


def _batch_norm(writer: Writer, module: nn.BatchNorm1d | MapNorm, x: str) -> str:
    if module.running_mean is None or module.running_var is None:
        raise Unsupported(
            "the model has a BatchNorm1d with track_running_stats=False, which needs the whole batch; type "
            "torch.nn.LayerNorm in its place"
        )
    g = writer.graph
    gain = torch.rsqrt(module.running_var + module.eps)
    if module.weight is not None:
        gain = gain * module.weight
    shift = -module.running_mean * gain
    if module.bias is not None:
        shift = shift + module.bias
    return g("Add", g("Mul", x, g.constant(gain, "gain")), g.constant(shift, "shift"))


def write_embedding(writer: Writer, module: nn.Embedding, ids: str) -> str:
    """Write the rows of ids [...]: [..., E]."""
    return writer.graph("Gather", writer.graph.constant(embedding_rows(module), "embedding"), ids, axis=0)


def embedding_rows(module: nn.Embedding) -> torch.Tensor:
    """The rows of an embedding as a call returns them."""
    weight = module.weight.detach()
    if module.max_norm is None:
        return weight
    every = torch.arange(len(weight))
    return torch.embedding_renorm_(weight.clone(), every, module.max_norm, module.norm_type)


def _adaptive_softmax(writer: Writer, module: AdaptiveSoftmax, x: str) -> str:
    """Log-probabilities: those of the head's words, and of each cluster plus those of the words in it."""
    g, inner = writer.graph, module.clusters
    head = g("LogSoftmax", write_dense(writer, inner.head, x), axis=-1)
    sizes = [inner.shortlist_size, *[1] * inner.n_clusters]
    short, *clusters = g.several("Split", head, g.ints(*sizes), outputs=len(sizes), axis=-1)
    parts = [short]
    for cluster, tail in zip(clusters, inner.tail, strict=True):
        parts.append(g("Add", g("LogSoftmax", write_dense(writer, tail, x), axis=-1), cluster))
    return g("Concat", *parts, axis=-1)


_WRITERS: dict[Any, DenseWriter] = {
    nn.Linear: _linear,
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.AlphaDropout: _same,
    nn.Sequential: _sequential,
    nn.ReLU: _named("relu"),
    nn.Tanh: _named("tanh"),
    nn.Sigmoid: _named("sigmoid"),
    nn.Softsign: _named("softsign"),
    nn.SELU: _named("selu"),
    nn.Hardswish: _named("hard_silu"),
    nn.Hardsigmoid: _named("hard_sigmoid"),
    nn.LeakyReLU: _with("LeakyRelu", alpha="negative_slope"),
    nn.ELU: _with("Elu", alpha="alpha"),
    nn.CELU: _with("Celu", alpha="alpha"),
    nn.GELU: _gelu,
    nn.SiLU: _named("silu"),
    nn.Mish: _named("mish"),
    nn.Softplus: _softplus,
    nn.LogSigmoid: _named("log_sigmoid"),
    nn.Hardtanh: _hardtanh,
    nn.ReLU6: _hardtanh,
    nn.Softmax: _softmax("Softmax"),
    nn.LogSoftmax: _softmax("LogSoftmax"),
    nn.PReLU: _prelu,
    nn.GLU: _glu,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
    nn.BatchNorm1d: _batch_norm,
    StepNorm: _batch_norm,
    MapNorm: _batch_norm,
    AdaptiveSoftmax: _adaptive_softmax,
}

EMBEDDINGS = (nn.Embedding, Embedding)
