"""Layers of graph models (:mod:`rnnkit.layers.graph`) in plain operators: one function for each kind.

Legend: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ...layers.graph import (
    Activation,
    BatchNormalisation,
    BothDirections,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    GlobalPooling,
    Graph,
    LayerNormalisation,
    Masking,
    Merge,
    Noise,
    Operation,
    Permute,
    Pooling,
    PReLU,
    Recurrent,
    Repeat,
    Rescaling,
    Reshape,
    TimeDistributed,
    TimeEdges,
    UpSampling,
)
from ...layers.graph.convolution import Padding
from .activations import activated
from .convolutions import channels_convolved
from .dense import kind_of, layer_normalised, refusal, write_dense, write_embedding
from .graph import BOOL, FLOAT, INT64
from .graph_operations import write_merge, write_operation
from .graph_recurrent import write_both_directions, write_recurrent
from .graph_values import Masked, MaskOf, Result, Value, any_of, cast, reshaped
from .writer import Writer

Simple = Callable[[Writer, Any, Value, Masked], Value]


def write_graph_layer(writer: Writer, layer: Any, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write a layer of a graph model.

    Raises:
        Unsupported: a kind of layer that is none of rnnkit's.
    """
    kind = kind_of(layer)
    with writer.graph.scope(kind.__name__):
        if kind in _SEVERAL:
            return _SEVERAL[kind](writer, layer, inputs, masks)
        if kind not in _SIMPLE:
            raise refusal(layer)
        found = _SIMPLE[kind](writer, layer, inputs[0], masks[0])
    return [found], [masks[0] if layer.keeps_mask else None]


def write_nodes(writer: Writer, graph: Graph, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write all nodes of a graph of layers, in their order."""
    found: list[Result] = [([value], [mask]) for value, mask in zip(inputs, masks, strict=True)]
    for node in graph.nodes:
        given = [found[place][0][output] for place, output in node["inputs"]]
        theirs = [found[place][1][output] for place, output in node["inputs"]]
        if (named := node.get("mask")) is not None:
            mask = cast(writer.graph, found[named[0]][0][named[1]], BOOL)
            theirs[0] = MaskOf(mask.name, mask.rank)
        elif not node.get("masked", True):
            theirs[0] = None
        found.append(write_graph_layer(writer, graph.layer(node["layer"]), given, theirs))
    return (
        [found[place][0][output] for place, output in graph.results],
        [found[place][1][output] for place, output in graph.results],
    )


# --- each step by itself ---------------------------------------------------------------------------------------------


def _dense(writer: Writer, layer: Dense, x: Value, mask: Masked) -> Value:
    y = write_dense(writer, layer.linear, cast(writer.graph, x, FLOAT).name)
    linear: Any = layer.linear
    return Value(activated(writer.graph, layer.activation, y), FLOAT, (*x.sizes[:-1], linear.out_features))


def _activation(writer: Writer, layer: Activation, x: Value, mask: Masked) -> Value:
    graph, options, name = writer.graph, layer.options, cast(writer.graph, x, FLOAT).name
    if not options:
        y = activated(graph, layer.function, name)
    elif layer.function == "relu":
        y = _relu(writer, name, options)
    elif layer.function == "leaky_relu":
        y = graph("LeakyRelu", name, alpha=float(options["negative_slope"]))
    elif layer.function == "elu":
        y = graph("Elu", name, alpha=float(options["alpha"]))
    else:
        if mask is not None and layer.function == "softmax" and mask.rank == x.rank:
            name = graph("Where", mask.name, name, graph.number(-1e9))
        y = graph("Softmax", name, axis=options["axis"])
    return Value(y, FLOAT, x.sizes)


def _relu(writer: Writer, x: str, options: dict[str, Any]) -> str:
    """x from a threshold on, a slope below it, and never more than a limit."""
    g = writer.graph
    threshold, limit = g.number(options.get("threshold", 0.0)), options.get("max_value")
    below = g("Mul", g("Sub", x, threshold), g.number(options.get("negative_slope", 0.0)))
    y = g("Where", g("GreaterOrEqual", x, threshold), x, below)
    return y if limit is None else g("Min", y, g.number(limit))


def _prelu(writer: Writer, layer: PReLU, x: Value, mask: Masked) -> Value:
    g = writer.graph
    negative = g("Mul", g.constant(layer.alpha, "slope"), g("Relu", g("Neg", x.name)))
    return x._replace(name=g("Sub", g("Relu", x.name), negative))


def _same(writer: Writer, layer: Any, x: Value, mask: Masked) -> Value:
    return x


def _embedding(writer: Writer, layer: Embedding, inputs: list[Value], masks: list[Masked]) -> Result:
    graph, mask = writer.graph, masks[0]
    ids = cast(graph, inputs[0], INT64)
    if mask is not None:
        ids = ids._replace(name=graph("Where", mask.name, ids.name, graph.whole(0)))
    if layer.mask_zero:
        there = graph("Not", graph("Equal", ids.name, graph.whole(0)))
        there = there if mask is None else graph("And", mask.name, there)
        mask = MaskOf(there, ids.rank)
    y = write_embedding(writer, layer.embedding, ids.name)
    return [Value(y, FLOAT, (*ids.sizes, layer.embedding.embedding_dim))], [mask]


def _masking(writer: Writer, layer: Masking, inputs: list[Value], masks: list[Masked]) -> Result:
    graph, x, mask = writer.graph, inputs[0], masks[0]
    other = graph("Not", graph("Equal", x.name, graph.number(layer.value)))
    valid = any_of(graph, other, [x.rank - 1])
    if mask is not None:
        valid = graph("And", valid, mask.name)
    shown = graph("Unsqueeze", valid, graph.ints(x.rank - 1))
    y = graph("Where", shown, x.name, graph.number(0.0))
    return [x._replace(name=y)], [MaskOf(valid, x.rank - 1)]


def _time_distributed(writer: Writer, layer: TimeDistributed, x: Value, mask: Masked) -> Value:
    """[B, T, ...] as [B·T, ...] and back."""
    graph, rows = writer.graph, writer.batch
    lead = graph("Shape", x.name, start=0, end=2)
    inner = graph("Shape", x.name, start=2)
    flat = graph("Reshape", x.name, graph("Concat", graph.ints(-1), inner, axis=0))
    writer.batch = writer.size(flat, 0)
    (y, *_), _ = write_graph_layer(writer, layer.layer, [Value(flat, x.kind, (None, *x.sizes[2:]))], [None])
    writer.batch = rows
    sizes = graph("Concat", lead, graph("Shape", y.name, start=1), axis=0)
    return Value(graph("Reshape", y.name, sizes), y.kind, (*x.sizes[:2], *y.sizes[1:]))


# --- normalisation ---------------------------------------------------------------------------------------------------


def _batch_normalisation(writer: Writer, layer: BatchNormalisation, x: Value, mask: Masked) -> Value:
    graph, axis = writer.graph, layer.axis % x.rank
    gain = (layer.variance + layer.epsilon).rsqrt()
    if layer.weight is not None:
        gain = gain * layer.weight
    shift = -layer.mean * gain if layer.bias is None else layer.bias - layer.mean * gain
    shape = [-1 if place == axis else 1 for place in range(axis, x.rank)]
    y = graph("Mul", x.name, graph.constant(gain.reshape(shape), "gain"))
    return x._replace(name=graph("Add", y, graph.constant(shift.reshape(shape), "shift")))


def _layer_normalisation(writer: Writer, layer: LayerNormalisation, x: Value, mask: Masked) -> Value:
    gain = torch.ones(*layer.shape) if layer.weight is None else layer.weight
    return x._replace(name=layer_normalised(writer.graph, x.name, gain, layer.bias, layer.epsilon))


def _rescaling(writer: Writer, layer: Rescaling, x: Value, mask: Masked) -> Value:
    graph, value = writer.graph, cast(writer.graph, x, FLOAT)
    scale, offset = (graph.constant(torch.tensor(one, dtype=torch.float32)) for one in (layer.scale, layer.offset))
    return value._replace(name=graph("Add", graph("Mul", value.name, scale), offset))


# --- over time -------------------------------------------------------------------------------------------------------


def _turned(writer: Writer, name: str) -> str:
    return writer.graph("Transpose", name, perm=[0, 2, 1])


def _same_steps(steps: int | None, stride: int) -> int | None:
    return None if steps is None else -(-steps // stride)


def _valid_steps(steps: int | None, reach: int, stride: int) -> int | None:
    return None if steps is None else (steps - reach) // stride + 1


def _convolution(writer: Writer, layer: Convolution, x: Value, mask: Masked) -> Value:
    conv = layer.conv
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]
    reach, steps = (kernel - 1) * dilation + 1, x.sizes[1]
    padding: Padding = layer.padding
    pads: Any = [0, 0]
    if padding == "causal":
        pads, steps = [reach - 1, 0], None if steps is None else steps + reach - 1
    if padding == "same":
        # With a stride the padding depends on the number of steps; Keras allows a dilation only without one.
        pads = [(reach - 1) // 2, reach - 1 - (reach - 1) // 2] if stride == 1 else "SAME_UPPER"
    y = channels_convolved(writer, conv, _turned(writer, cast(writer.graph, x, FLOAT).name), pads)
    after = _same_steps(steps, stride) if padding == "same" else _valid_steps(steps, reach, stride)
    y = activated(writer.graph, layer.activation, _turned(writer, y))
    return Value(y, FLOAT, (None, after, conv.out_channels))


def _pooling(writer: Writer, layer: Pooling, x: Value, mask: Masked) -> Value:
    same = layer.padding == "same"
    around: dict[str, Any] = {"auto_pad": "SAME_UPPER"} if same else {}
    operator = "MaxPool" if layer.kind == "max" else "AveragePool"
    y = writer.graph(
        operator, _turned(writer, x.name), kernel_shape=[layer.size], strides=[layer.stride], **around
    )  # fmt: skip
    steps = x.sizes[1]
    after = _same_steps(steps, layer.stride) if same else _valid_steps(steps, layer.size, layer.stride)
    return Value(_turned(writer, y), FLOAT, (None, after, x.sizes[2]))


def _global_pooling(writer: Writer, layer: GlobalPooling, x: Value, mask: Masked) -> Value:
    g, keep = writer.graph, int(layer.keep_axis)
    sizes = (x.sizes[0], 1, x.sizes[2]) if keep else (x.sizes[0], x.sizes[2])
    if layer.kind == "max":
        return Value(g("ReduceMax", x.name, axes=[1], keepdims=keep), FLOAT, sizes)
    if mask is None:
        return Value(g("ReduceMean", x.name, axes=[1], keepdims=keep), FLOAT, sizes)
    valid = g("Unsqueeze", mask.name, g.ints(2))
    total = g("ReduceSum", g("Where", valid, x.name, g.number(0.0)), g.ints(1), keepdims=keep)
    count = g("ReduceSum", g("Cast", valid, to=FLOAT), g.ints(1), keepdims=keep)
    return Value(g("Div", total, count), FLOAT, sizes)


def _time_edges(writer: Writer, layer: TimeEdges, x: Value, mask: Masked) -> Value:
    pads = [0, layer.before, 0, 0, layer.behind, 0]
    y = writer.graph("Pad", x.name, writer.graph.ints(*pads))
    steps = None if x.sizes[1] is None else x.sizes[1] + layer.before + layer.behind
    return x._replace(name=y, sizes=(x.sizes[0], steps, x.sizes[2]))


def _up_sampling(writer: Writer, layer: UpSampling, x: Value, mask: Masked) -> Value:
    g = writer.graph
    many = g("Tile", g("Unsqueeze", x.name, g.ints(2)), g.ints(1, 1, layer.times, 1))
    sizes = g("Concat", writer.size(x.name, 0), g.ints(-1), writer.size(x.name, 2), axis=0)
    steps = None if x.sizes[1] is None else x.sizes[1] * layer.times
    return Value(g("Reshape", many, sizes), x.kind, (x.sizes[0], steps, x.sizes[2]))


# --- shapes ----------------------------------------------------------------------------------------------------------


def _flatten(writer: Writer, layer: Flatten, x: Value, mask: Masked) -> Value:
    inner = x.sizes[1:]
    size = None if None in inner else int(torch.Size([one for one in inner if one is not None]).numel())
    return reshaped(writer, x, (None, size))


def _reshape(writer: Writer, layer: Reshape, x: Value, mask: Masked) -> Value:
    return reshaped(writer, x, (None, *(None if one == -1 else one for one in layer.shape)))


def _permute(writer: Writer, layer: Permute, x: Value, mask: Masked) -> Value:
    perm = [0, *layer.axes]
    return Value(writer.graph("Transpose", x.name, perm=perm), x.kind, tuple(x.sizes[place] for place in perm))


def _repeat(writer: Writer, layer: Repeat, x: Value, mask: Masked) -> Value:
    g = writer.graph
    y = g("Expand", g("Unsqueeze", x.name, g.ints(1)), g.ints(1, layer.steps, 1))
    return Value(y, x.kind, (x.sizes[0], layer.steps, *x.sizes[1:]))


_SIMPLE: dict[Any, Simple] = {
    Activation: _activation,
    BatchNormalisation: _batch_normalisation,
    Convolution: _convolution,
    Dense: _dense,
    Flatten: _flatten,
    GlobalPooling: _global_pooling,
    LayerNormalisation: _layer_normalisation,
    Noise: _same,
    PReLU: _prelu,
    Permute: _permute,
    Pooling: _pooling,
    Repeat: _repeat,
    Rescaling: _rescaling,
    Reshape: _reshape,
    TimeDistributed: _time_distributed,
    TimeEdges: _time_edges,
    UpSampling: _up_sampling,
}

_SEVERAL: dict[Any, Callable[[Writer, Any, list[Value], list[Masked]], Result]] = {
    BothDirections: write_both_directions,
    Embedding: _embedding,
    Graph: write_nodes,
    Masking: _masking,
    Merge: write_merge,
    Operation: write_operation,
    Recurrent: write_recurrent,
}
