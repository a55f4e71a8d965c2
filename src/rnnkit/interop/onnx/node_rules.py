"""What the operators of an ONNX graph do to the axes of a network's values, and which of them are layers.

Each rule takes the reader of :mod:`.reading` and a node, and returns the value that comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from ...errors import DataError, Place
from .files import Array
from .from_nodes import attributes_of, linear_of, norm_of

_SAME = ("Identity", "Dropout", "Cast")


class Value(NamedTuple):
    """A value of the network in the graph.

    Attributes:
        axes: one letter an axis: "a" and "b" of the input, whose order is not known, then B, T, D, F; S of the states
            of several layers; "0" or "1" at the end of one direction's.
        pooled: how the time went away: "last", "mean", "max", or "sum" on the way to a mean; None: it is there.
    """

    axes: str
    pooled: str | None = None


class Follower(Protocol):
    """What the rules need of the reader of a graph; :class:`rnnkit.interop.onnx.reading.Reader` documents each part."""

    place: Place
    known: dict[str, Value]
    constants: dict[str, Array]
    side: set[str]
    times: dict[str, str]
    front: list[nn.Module]
    head: list[nn.Module]
    recurrent: list[nn.Module]
    both_ways: bool
    at: str | None

    def error(self, problem: str, node: Any = None) -> DataError:
        """The error about a node."""
        ...

    def source(self, node: Any) -> Value:
        """The value of the network that a node reads."""
        ...

    def chained(self, node: Any, name: str | None = None) -> None:
        """Raise where a layer does not read the output of the layer before it."""
        ...

    def moved(self, node: Any) -> None:
        """Note that an output is the same numbers as an input."""
        ...

    def constant(self, node: Any, place: int) -> Array:
        """A constant input of a node."""
        ...

    def add_layer(self, node: Any, layer: nn.Module) -> None:
        """Put a layer behind those so far."""
        ...

    def end_steps(self) -> None:
        """Note that the time goes away."""
        ...


def _transposed(reader: Follower, node: Any) -> Value:
    source = reader.source(node)
    order = attributes_of(node, reader.place).get("perm", list(range(len(source.axes)))[::-1])
    if sorted(order) != list(range(len(source.axes))):
        raise reader.error(f"has perm={order} for {len(source.axes)} axes", node)
    reader.moved(node)
    return source._replace(axes="".join(source.axes[place] for place in order))


def _squeezed(reader: Follower, node: Any) -> Value:
    source = reader.source(node)
    axes = (
        reader.constant(node, 1).ravel() if len(node.input) > 1 else attributes_of(node, reader.place).get("axes", [])
    )
    gone = {int(axis) % len(source.axes) for axis in axes}
    if {source.axes[axis] for axis in gone} != {"D"} or reader.both_ways:
        raise reader.error("takes an axis away that is not that of the one direction", node)
    reader.moved(node)
    return source._replace(axes=source.axes.replace("D", ""))


def _reshaped(reader: Follower, node: Any) -> Value:
    """Joins the directions: [.., D, F] → [.., D·F]."""
    source = reader.source(node)
    reader.moved(node)
    if source.axes.endswith("DF"):
        return source._replace(axes=source.axes.replace("DF", "F"))
    if "D" in source.axes and not reader.both_ways:
        return source._replace(axes=source.axes.replace("D", ""))
    if source.axes == "BF" and node.op_type == "Flatten":
        return source
    raise reader.error(f"reshapes the axes {source.axes}; expected the directions side by side", node)


def _gathered(reader: Follower, node: Any) -> Value:
    source = reader.known.get(node.input[1])
    axis = int(attributes_of(node, reader.place).get("axis", 0))
    if source is not None:  # rows of a table by ids
        table = reader.constant(node, 0)
        if source.axes != "ab" or axis != 0 or table.ndim != 2:
            raise reader.error("gathers by the network's values what is no table of embeddings", node)
        reader.add_layer(node, nn.Embedding.from_pretrained(torch.from_numpy(table.copy()), freeze=False))
        return Value("abF")
    source, index = reader.source(node), reader.constant(node, 1)
    letter = source.axes[axis % len(source.axes)]
    reader.moved(node)
    axes = source.axes.replace(letter, "")
    if index.size == 1 and letter == "D" and not reader.both_ways and int(index.ravel()[0]) in (0, -1):
        return source._replace(axes=axes)
    at = int(index.ravel()[0]) if index.size == 1 else 0
    if letter == "S" and at == -1 and not reader.both_ways:
        return source._replace(axes=axes)
    if index.size == 1 and (letter == "D" or (letter == "S" and at in (-1, -2))) and source.pooled == "last":
        return source._replace(axes=axes + ("0" if at in (0, -2) else "1"))
    if index.ndim == 0 and letter == "T" and int(index) == -1:
        return _last(reader, node, source._replace(axes=axes))
    raise reader.error("gathers something else than the last step, a direction, or rows of a table", node)


def _last(reader: Follower, node: Any, value: Value) -> Value:
    if reader.both_ways:
        raise reader.error("takes the last step of both directions; the backward one ends at the first step", node)
    reader.end_steps()
    return value._replace(pooled="last")


def _last_valid(reader: Follower, node: Any) -> Value:
    """Each row's last valid step, as rnnkit writes it."""
    source = reader.source(node)
    if source.axes != "BTF" or node.input[1] not in reader.side:
        raise reader.error("gathers something else than each row's last step", node)
    reader.moved(node)
    return _last(reader, node, Value("BF"))


def _sliced(reader: Follower, node: Any) -> Value:
    source = reader.source(node)
    begin, end, axes = (int(reader.constant(node, place).ravel()[0]) for place in (1, 2, 3))
    reader.moved(node)
    if source.axes[axes % len(source.axes)] == "T" and begin == -1 and end > 1 << 30:
        raise reader.error("keeps the last step as an axis; expected it gathered", node)
    raise reader.error("cuts the network's values", node)


def _joined(reader: Follower, node: Any) -> Value:
    """The two directions' last outputs side by side."""
    sources = [reader.known.get(name) for name in node.input]
    axis = int(attributes_of(node, reader.place).get("axis", 0))
    if [one and (one.axes, one.pooled) for one in sources] == [("BF0", "last"), ("BF1", "last")] and axis in (-1, 1):
        reader.moved(node)
        return Value("BF", "last")
    if axis == 0 and all(one is not None and one.axes == "DBF" and one.pooled == "last" for one in sources):
        reader.times[node.output[0]] = node.input[-1]  # the states of all layers, those of the last one at the end
        return Value("SBF", "last")
    raise reader.error("joins something else than the last outputs of the two directions", node)


def _reduced(reader: Follower, node: Any) -> Value:
    source = reader.source(node)
    found = attributes_of(node, reader.place)
    axes = found.get("axes") if len(node.input) < 2 else [int(one) for one in reader.constant(node, 1).ravel()]
    letters = {source.axes[int(axis) % len(source.axes)] for axis in axes or []}
    if letters != {"T"} or found.get("keepdims", 1):
        raise reader.error("reduces another axis than the time, or keeps it", node)
    reader.moved(node)
    reader.end_steps()
    kinds = {"ReduceMean": "mean", "ReduceMax": "max", "ReduceSum": "sum"}
    return Value(source.axes.replace("T", ""), kinds[node.op_type])


def _divided(reader: Follower, node: Any) -> Value:
    """A sum over the steps by their number."""
    source = reader.source(node)
    if source.pooled != "sum" or node.input[1] not in reader.side:
        raise reader.error("divides something else than the sum of the steps by their number", node)
    reader.moved(node)
    return source._replace(pooled="mean")


def _product(reader: Follower, node: Any) -> Value:
    """A linear layer; its bias may be the next operator."""
    source = reader.source(node)
    if node.input[0] not in reader.known or source.axes[-1] != "F":
        raise reader.error("multiplies by the network's values; expected x · constant", node)
    bias = reader.constant(node, 2) if node.op_type == "Gemm" and len(node.input) > 2 else None
    options = attributes_of(node, reader.place) if node.op_type == "Gemm" else {}
    reader.add_layer(node, linear_of(reader.constant(node, 1), bias, options, reader.place))
    return source


def _added(reader: Follower, node: Any) -> Value:
    """The bias of the linear layer in front."""
    source = reader.source(node)
    layers = reader.head if reader.recurrent else reader.front
    constants = [reader.constant(node, at) for at, name in enumerate(node.input) if name in reader.constants]
    last = layers[-1] if layers else None
    fits = constants and isinstance(last, nn.Linear) and last.bias is None and constants[0].size == last.out_features
    if not fits or not isinstance(last, nn.Linear):
        raise reader.error("adds something else than the bias of a linear layer", node)
    reader.chained(node)
    last.bias = nn.Parameter(torch.from_numpy(constants[0].reshape(-1).copy()))
    reader.at = node.output[0]
    return source


def _normed(reader: Follower, node: Any) -> Value:
    source = reader.source(node)
    gain = reader.constant(node, 1)
    shift = reader.constant(node, 2) if len(node.input) > 2 and node.input[2] else None
    reader.add_layer(node, norm_of(gain, shift, attributes_of(node, reader.place), reader.place))
    return source


def _masked(reader: Follower, node: Any) -> Value | None:
    """Zeros behind the lengths, or what no maximum takes: rnnkit's models take lengths of their own."""
    condition, one, other = node.input
    filling = reader.constants.get(other)
    harmless = filling is not None and bool(((filling == 0) | (filling == -np.inf)).all())
    if condition in reader.side and one in reader.known and harmless:
        reader.moved(node)
        return reader.known[one]
    raise reader.error("chooses between values; expected zeros behind the lengths", node)


def _unchanged(reader: Follower, node: Any) -> Value:
    reader.moved(node)
    return reader.source(node)


RULES: dict[str, Callable[[Any, Any], Value | None]] = {
    **dict.fromkeys(_SAME, _unchanged),
    "Transpose": _transposed,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Flatten": _reshaped,
    "Gather": _gathered,
    "GatherND": _last_valid,
    "Slice": _sliced,
    "Concat": _joined,
    "ReduceMean": _reduced,
    "ReduceMax": _reduced,
    "ReduceSum": _reduced,
    "Div": _divided,
    "MatMul": _product,
    "Gemm": _product,
    "Add": _added,
    "LayerNormalization": _normed,
    "Where": _masked,
}
