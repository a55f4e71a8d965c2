"""Read recurrent networks from ONNX files of other programs, as rnnkit's models.

A graph is followed from its one input of numbers or ids. Its axes are followed along: a recurrent operator shows which
is the time. What depends on shapes, lengths and states alone does not change the network and is left out.

Legend: B batch, T time, D directions, F features.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from torch import nn

from ...errors import DataError, DataWarning, Place
from ...layers.chain import Chain
from ...layers.sequence_adapters import as_sequence_module
from ...models.classifier import SequenceClassifier
from ...models.regressor import SequenceRegressor
from ...models.tagger import SequenceTagger
from ..finite import refuse_not_finite
from .files import Array, array_of, open_model, opset_of
from .from_nodes import ACTIVATIONS, attributes_of, recurrent_of
from .from_whole_numbers import as_floats, has_whole_numbers
from .graph import FLOAT, INT32, INT64
from .node_rules import RULES, Value

RECURRENT = ("RNN", "LSTM", "GRU")


def from_onnx(path: str | os.PathLike[str]) -> SequenceClassifier | SequenceRegressor | SequenceTagger:
    """Read a recurrent network from an ONNX file, with its weights, in evaluation mode.

    The graph may have an embedding, linear layers, activations and layer normalisations around RNN, LSTM and GRU
    operators, in one or both directions, one behind the other; and at the end the last step, or the mean or the maximum
    over the steps. Initial states are taken as zeros. Weights in 8 bits, as :func:`export` and ONNX Runtime write them,
    are read as float32, with a :class:`rnnkit.errors.DataWarning`. Nothing of the file is executed.

    Args:
        path: the file.

    Returns:
        A tagger where there is an output at every step. Else a classifier, where a softmax over classes ends the graph
        (the model returns logits), or a regressor. Models take batch-first input whatever the graph's layout.

    Raises:
        DataError: the file is damaged or not safe, has weights that are no finite numbers, or an operator or an option
            that rnnkit does not read; the message names it.
        MissingExtraError: onnx is not installed: ``pip install 'rnnkit[onnx]'``.

    Example:
        >>> import tempfile, rnnkit, torch
        >>> from rnnkit.interop.onnx import export, from_onnx
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(6, 8, bidirectional=True), classes=3)
        >>> file = export(model, tempfile.mkdtemp() + "/m.onnx").files["model"]
        >>> again, x = from_onnx(file), torch.randn(2, 5, 6)
        >>> bool(torch.allclose(again(x), model.eval()(x), atol=1e-5))
        True
    """
    place = Place(str(path))
    try:
        model = open_model(path)
        if has_whole_numbers(model):
            model = as_floats(model, place)
            warnings.warn(
                DataWarning("has weights in 8 bits; they are read as float32, with the rounding that they have", place),
                stacklevel=2,
            )
        found: SequenceClassifier | SequenceRegressor | SequenceTagger = Reader(model, place).model()
        return found
    except DataError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OverflowError, MemoryError) as error:
        raise DataError(
            f"is damaged: its graph cannot be built ({' '.join(str(error).split())[:120]})", place
        ) from error


class Reader:
    """Follows one graph."""

    def __init__(self, model: Any, place: Place) -> None:
        self.place, self.graph = place, model.graph
        self.last_axis = 1 if 0 < opset_of(model) < 13 else -1  # of a softmax that names none
        self.constants: dict[str, Array] = {one.name: array_of(one, place) for one in self.graph.initializer}
        self.known: dict[str, Value] = {}
        self.side: set[str] = set()  # what depends on shapes, lengths and states
        self.front: list[nn.Module] = []
        self.head: list[nn.Module] = []
        self.recurrent: list[nn.Module] = []
        self.both_ways = False  # whether the last recurrent layer runs both ways
        self.ended: str | None = None  # the softmax at the end
        self.at: str | None = None  # the value that the next layer has to read
        self.times: dict[str, str] = {}
        self.broken: dict[str, None] = {}  # names of weights that hold what is no finite number

    def model(self) -> Any:
        self._begin()
        for node in self.graph.node:
            self._follow(node)
        refuse_not_finite(list(self.broken), self.place.source)
        if not self.recurrent:
            raise self.error("has no RNN, LSTM or GRU operator")
        outputs = [self.known[one.name] for one in self.graph.output if one.name in self.known]
        if not outputs:
            raise self.error("has no output that depends on the recurrent layers")
        return self._built(outputs[0])

    def error(self, problem: str, node: Any = None) -> DataError:
        where = "" if node is None else f"the operator {node.op_type} ({node.name or node.output[0]}) "
        return DataError(where + problem, self.place)

    def _begin(self) -> None:
        """Find the input of numbers or ids; others are lengths and states."""
        first = None
        for one in self.graph.input:
            if one.name in self.constants:
                continue
            shape, kind = one.type.tensor_type.shape.dim, one.type.tensor_type.elem_type
            usable = (kind in (FLOAT, 10, 11) and len(shape) == 3) or (kind in (INT32, INT64) and len(shape) == 2)
            if first is None and usable:
                first = one.name
                self.known[first] = Value("abF" if len(shape) == 3 else "ab")
            else:
                self.side.add(one.name)
        if first is None:
            raise self.error("has no input of sequences: numbers [batch, time, features] or ids [batch, time]")
        self.at = first

    # --- following ---------------------------------------------------------------------------------------------------

    def _follow(self, node: Any) -> None:
        kind = node.op_type
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise self.error("holds a graph of its own, which rnnkit does not read", node)
        given = [name for name in node.input if name]
        sources = [name for name in given if name in self.known]
        if kind == "Constant":
            value = attributes_of(node, self.place).get("value")
            if not isinstance(value, np.ndarray):
                raise self.error("has a value that is no tensor", node)
            self.constants[node.output[0]] = value
            return
        for name in given:
            if name not in self.known and name not in self.constants and name not in self.side:
                raise self.error(f"reads {name!r}, which nothing before it puts out", node)
        if kind in ("Shape", "Size") or not sources:
            self._computed(node)
            return
        if node.domain not in ("", "ai.onnx"):
            raise self.error(f"is of the domain {node.domain!r}; rnnkit reads ONNX's own operators alone", node)
        if kind in RECURRENT:
            self._recurrent(node)
            return
        rule = RULES.get(kind)
        if rule is None and kind not in ACTIVATIONS:
            raise self.error("is none that rnnkit reads; expected recurrent and dense layers", node)
        made = self._activated(node) if rule is None else rule(self, node)
        if made is not None:
            self.known[node.output[0]] = made

    def _computed(self, node: Any) -> None:
        """What no layer is part of: folded where it is of constants, else left out."""
        folded = _folded(node, [self.constants.get(name) for name in node.input], self.place)
        if folded is not None:
            self.constants[node.output[0]] = folded
        else:
            self.side.update(name for name in node.output if name)

    def source(self, node: Any) -> Value:
        """The value of the network that a node reads."""
        return next(self.known[name] for name in node.input if name in self.known)

    def chained(self, node: Any, name: str | None = None) -> None:
        """Raise where a layer does not read the output of the layer before it: the graph has branches."""
        read = next(one for one in node.input if one in self.known) if name is None else name
        if self._layer_of(read) != self.at:
            raise self.error("reads a value that another layer has read: the graph has branches", node)

    def _layer_of(self, name: str) -> str:
        """The output of the layer that a value was moved or reshaped from."""
        while name in self.times:
            name = self.times[name]
        return name

    def moved(self, node: Any) -> None:
        """Note that an output is the same numbers as an input."""
        self.times[node.output[0]] = next(one for one in node.input if one in self.known)

    def constant(self, node: Any, place: int) -> Array:
        name = node.input[place] if place < len(node.input) else ""
        if name not in self.constants:
            raise self.error(f"takes input {place} from the network; expected a constant there", node)
        return self._finite(self.constants[name], name)

    def _finite(self, value: Array, name: str) -> Array:
        """A weight; noted where it holds what is no finite number."""
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            self.broken[name] = None
        return value

    def add_layer(self, node: Any, layer: nn.Module) -> None:
        self.chained(node)
        source = self.source(node)
        if self.ended is not None:
            raise self.error(f"stands behind the {self.ended} that ends the network", node)
        (self.head if self.recurrent else self.front).append(layer)
        if "D" in source.axes:
            raise self.error("reads both directions before they are joined", node)
        self.at = node.output[0]

    def _recurrent(self, node: Any) -> None:
        self.chained(node, node.input[0])
        source = self.known.get(node.input[0])
        if source is None or len(source.axes) != 3 or source.pooled is not None:
            raise self.error("reads what is no sequence", node)
        batch_first = bool(attributes_of(node, self.place).get("layout", 0))
        self._name_axes(source.axes[1] if batch_first else source.axes[0], node)
        wanted = "BTF" if batch_first else "TBF"
        if self.known[node.input[0]].axes != wanted:
            raise self.error(f"reads the axes {self.known[node.input[0]].axes}; expected {wanted}", node)
        for place in (5, 6):
            name = node.input[place] if place < len(node.input) else ""
            if name in self.constants and np.any(self.constants[name]):
                raise self.error("begins with a state that is not zero, which rnnkit does not take over", node)
        weights = [self._finite(self.constants[name], name) if name in self.constants else None for name in node.input]
        if any(weights[place] is None for place in (1, 2)):
            raise self.error("has weights that are no constants", node)
        layer = recurrent_of(node, weights, self.place)
        self.recurrent += [*self.head, layer]
        self.head, self.both_ways = [], layer.bidirectional
        outputs = [*node.output, "", "", ""]
        whole = "BTDF" if batch_first else "TDBF"
        last = "BDF" if batch_first else "DBF"
        self.known[outputs[0]] = Value(whole)
        if outputs[1]:
            self.known[outputs[1]] = Value(last, "last")
            self.times[outputs[1]] = outputs[0] or outputs[1]
        if outputs[2]:
            self.side.add(outputs[2])
        self.at = outputs[0] or outputs[1]

    def _name_axes(self, time: str, node: Any) -> None:
        """Find which of the input's first axes is the time."""
        if time in "ab":
            other = "b" if time == "a" else "a"
            turned = str.maketrans({time: "T", other: "B"})
            self.known = {name: one._replace(axes=one.axes.translate(turned)) for name, one in self.known.items()}
        elif time != "T":
            raise self.error("takes another axis for the time than the recurrent operator before it", node)

    def end_steps(self) -> None:
        """Note that the time goes away: the layers so far see each step."""
        self.recurrent, self.head = [*self.recurrent, *self.head], []

    def _activated(self, node: Any) -> Value:
        source, kind = self.source(node), node.op_type
        if kind in ("Softmax", "LogSoftmax"):
            axis = attributes_of(node, self.place).get("axis", self.last_axis)
            self.chained(node)
            if axis not in (-1, len(source.axes) - 1):
                raise self.error(f"has axis={axis}; expected the last one, over the classes", node)
            if self.recurrent:
                self.ended = kind
                self.moved(node)
                return source
        self.add_layer(node, ACTIVATIONS[kind](attributes_of(node, self.place)))
        return source

    # --- the model ---------------------------------------------------------------------------------------------------

    def _built(self, output: Value) -> Any:
        if "D" in output.axes:
            raise self.error("puts out both directions of a recurrent layer apart; expected them joined")
        front = [one for one in self.front if isinstance(one, nn.Embedding)]
        body = [one for one in self.front if not isinstance(one, nn.Embedding)] + self.recurrent
        chain = body[0] if len(body) == 1 else Chain(*body)
        linears = [one for one in self.head if isinstance(one, nn.Linear)]
        outputs = linears[-1].out_features if linears else int(as_sequence_module(chain).output_size or 0)
        head = self.head[0] if len(self.head) == 1 else nn.Sequential(*self.head) if self.head else nn.Identity()
        common: dict[str, Any] = {"front": front[0] if front else None, "head": head}
        if output.pooled is None:
            if self.ended == "LogSoftmax":
                common["head"] = nn.Sequential(head, nn.LogSoftmax(-1))
            activation: Any = "softmax" if self.ended == "Softmax" else "none"
            return SequenceTagger(chain, outputs, activation, **common).eval()
        pooling: Any = output.pooled
        if pooling not in ("last", "mean", "max"):
            raise self.error("ends with a sum over the steps; expected the last step, the mean or the maximum")
        if self.ended is not None and outputs > 1:
            return SequenceClassifier(chain, outputs, pooling, **common).eval()
        return SequenceRegressor(chain, outputs, pooling, **common).eval()


def _folded(node: Any, inputs: list[Array | None], place: Place) -> Array | None:
    """What a few operators make of constants; None where it is not known or not needed."""
    if any(one is None for one in inputs) or not inputs:
        return None
    first, found = inputs[0], attributes_of(node, place)
    assert first is not None
    if node.op_type in ("Identity", "Cast"):
        return first
    if node.op_type == "Transpose" and first.ndim <= 4:
        return np.transpose(first, found.get("perm"))
    if node.op_type in ("Unsqueeze", "Squeeze") and first.size <= 16:
        return first.reshape(-1) if node.op_type == "Unsqueeze" else first.squeeze()
    return None
