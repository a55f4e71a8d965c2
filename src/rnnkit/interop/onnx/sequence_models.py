"""Classifiers, regressors, taggers and bare layers in graphs.

Legend: B batch, T time, F features of the body's output.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from ...layers.chain import Chain
from ...layers.sequence_adapters import as_sequence_module
from .activations import activated
from .dense import write_dense, write_embedding
from .graph import FLOAT, INT64
from .layers import InputKind, input_of, write_chain, write_layer
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, unequal_lengths, written_part
from .writer import BATCH, TIME, Steps, Writer, Written

LENGTHS = Port("lengths", INT64, (BATCH,), "the valid steps of each row; what stands behind them is not read")


# --- what all models over sequences share ----------------------------------------------------------------------------


def begin(writer: Writer, read: InputKind) -> tuple[Steps, tuple[Port, ...]]:
    """Add the inputs of a model over sequences; return them, and their ports."""
    time: int | str = TIME if read.steps is None else read.steps
    steps = writer.sequences("x", read.kind, *read.features, lengths=read.lengths)
    x = Port("x", read.kind, (BATCH, time, *read.features), read.meaning)
    return steps, (x, LENGTHS) if read.lengths else (x,)


def begin_label(writer: Writer, embedding: Any, layer: Any, meaning: str) -> tuple[Port, str]:
    """Add the input of a label a row, and one step of a layer that reads it.

    Args:
        writer: of a graph that carries states.
        embedding: of the labels.
        layer: over sequences.
        meaning: of the input.

    Returns:
        the input's port, and the layer's output [B, 1, F].
    """
    ids = Port("ids", INT64, (BATCH,), meaning)
    writer.graph.input(ids.name, ids.kind, ids.shape)
    writer.batch = writer.size("ids", 0)
    embedded = write_embedding(writer, embedding, writer.graph("Unsqueeze", "ids", writer.graph.ints(1)))
    return ids, write_layer(writer, layer, Steps(embedded)).steps.value


def example_labels(vocabulary: int) -> Callable[[int, int, torch.Generator], Values]:
    """Return a function that makes a label a row, below the size of the vocabulary."""
    return lambda batch, time, generator: {"ids": torch.randint(vocabulary, (batch,), generator=generator)}


def layers_of(model: Any) -> list[Any]:
    """Front and body of a model; what changes its input while training does nothing in evaluation."""
    return [part for part in (model.augment, model.front, model.body) if part is not None]


def example_of(read: InputKind, least: int = 1) -> Callable[[int, int, torch.Generator], Values]:
    """Return a function that makes inputs of unequal lengths, each of so many steps at least."""

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        x = read.example(batch, time, generator)
        return {"x": x, "lengths": unequal_lengths(batch, time, least)} if read.lengths else {"x": x}

    return example


def least_steps(layers: Any) -> int:
    """Steps that are enough for the unpadded convolutions of PyTorch's among the layers."""
    kinds = (nn.Conv1d, nn.Sequential, Chain)
    found = [one for layer in layers if type(layer) in kinds for one in layer.modules() if type(one) is nn.Conv1d]
    unpadded = [one for one in found if one.padding != "same"]
    return 1 + sum(one.dilation[0] * (one.kernel_size[0] - 1) * one.stride[0] for one in unpadded)


def carries(model: Any, states: bool) -> bool:
    """Whether states are inputs and outputs."""
    return states and model.carry_problem is None


def _running(
    model: Any, carry: bool, outputs: Callable[[Tensor], Values]
) -> Callable[[Values, list[Tensor] | None], tuple[Values, list[Tensor]]]:
    """Rnnkit's computation of a model over sequences."""

    def run(inputs: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        x, lengths = inputs["x"], inputs.get("lengths")
        if not carry:
            return outputs(model(x, lengths) if lengths is not None else model(x)), []
        before = None if state is None else state_like(state, model.initial_state(len(x)))
        y, after = model.forward_chunk(x, before, lengths=lengths)
        return outputs(y), leaves_of(after)

    return run


# --- the models ------------------------------------------------------------------------------------------------------


def write_pooled(model: Any, states: bool) -> list[Part]:
    """Write a classifier or a regressor: one vector a sequence."""
    carry = carries(model, states)
    writer = Writer(type(model).__name__, carry=carry)
    layers = layers_of(model)
    least = least_steps(layers)
    read = input_of(layers[0] if len(layers) == 1 else nn.Sequential(*layers))
    steps, inputs = begin(writer, read)
    pooled = _pooled(writer, model, write_chain(writer, layers, steps))
    ports, notes = pooled_ports(writer, model, pooled)
    outputs = partial(pooled_outputs, model, len(ports))
    return [
        written_part(
            writer, inputs, ports, name="", example=example_of(read, least), run=_running(model, carry, outputs),
            in_chunks=("x",) if carry else (), least_steps=least, fixed_steps=read.steps is not None, notes=notes,
        )
    ]  # fmt: skip


def write_tagger(model: Any, states: bool) -> list[Part]:
    """Write a tagger: an output at every step."""
    carry = carries(model, states)
    writer = Writer(type(model).__name__, carry=carry)
    layers = layers_of(model)
    least = least_steps(layers)
    read = input_of(nn.Sequential(*layers))
    if carry and any(hasattr(part, "finish") for layer in layers for part in layer.modules()):
        read = read._replace(lengths=False)  # convolutions that join steps continue with rows of equal lengths alone
    steps, inputs = begin(writer, read)
    found = write_chain(writer, layers, steps).steps
    y = _activated(writer, model, write_dense(writer, model.head, found.value))
    y = writer.masked(Steps(y, found.lengths)).value
    name, meaning = "y", "the numbers of each step, 0 behind a row's length"
    count = getattr(model, "vocabulary", 0) or _outputs(model)
    if hasattr(model, "vocabulary"):
        name, meaning = "logits", "one number for each token that may come next"
        if type(model.head) is not nn.Linear:
            name, meaning = "log_probabilities", "of each token that may come next"
    port = Port(name, FLOAT, (BATCH, TIME, count), meaning)
    return [
        written_part(
            writer, inputs, ((y, port),), name="", example=example_of(read, least),
            run=_running(model, carry, lambda found: {name: found}), in_chunks=("x", name) if carry else (),
            least_steps=least, fixed_steps=read.steps is not None,
        )
    ]  # fmt: skip


def write_bare_layer(model: Any, states: bool) -> list[Part]:
    """Write a layer over sequences by itself: batch first, also where its own layout is time first."""
    layer = as_sequence_module(model)
    carry = states and layer.stateful and layer.carry_problem is None
    writer = Writer(type(model).__name__, carry=carry)
    read, least = input_of(model), least_steps([model])
    steps, inputs = begin(writer, read)
    found = writer.masked(write_layer(writer, model, steps).steps)
    features = layer.output_size or (read.features[0] if read.features else "features")

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        x, lengths = given["x"], given.get("lengths")
        if not carry:
            y, _, _ = layer(x, lengths)
            return {"y": y}, []
        before = None if state is None else state_like(state, layer.initial_state(len(x)))
        y, after = layer.forward_chunk(x, before, lengths=lengths)
        return {"y": y}, leaves_of(after)

    port = Port("y", FLOAT, (BATCH, f"{TIME}_out", features), "the outputs of each step, 0 behind a row's length")
    return [
        written_part(
            writer, inputs, ((found.value, port),), name="", example=example_of(read, least), run=run,
            in_chunks=("x", "y") if carry else (), least_steps=least,
            fixed_steps=read.steps is not None,
        )
    ]  # fmt: skip


def pooled_ports(writer: Writer, model: Any, pooled: str) -> tuple[tuple[tuple[str, Port], ...], dict[str, Any]]:
    """The outputs that a classifier or a regressor makes of pooled features [B, F], and its notes."""
    with writer.graph.scope("head"):
        y = write_dense(writer, model.head, pooled)
    count = _outputs(model)
    if hasattr(model, "class_names"):
        return class_ports(writer, model, y, count)
    return ((y, Port("y", FLOAT, (BATCH, count), "the numbers of each row")),), {}


def pooled_outputs(model: Any, count: int, found: Tensor) -> Values:
    """What a classifier or a regressor returns, by the names of its outputs, of which there are so many."""
    name = "logits" if hasattr(model, "class_names") else "y"
    return {name: found, "probabilities": found.softmax(-1)} if count == 2 else {name: found}


def class_ports(writer: Writer, model: Any, y: str, count: int) -> tuple[tuple[tuple[str, Port], ...], dict[str, Any]]:
    """The outputs of a classifier: logits [B, C] and, of several classes, probabilities; and its notes, the classes."""
    ports = [(y, Port("logits", FLOAT, (BATCH, count), "one number a class"))]
    if count > 1:
        shares = writer.graph("Softmax", y, axis=-1)
        ports.append((shares, Port("probabilities", FLOAT, (BATCH, count), "of each class, together 1")))
    names = model.class_names
    return tuple(ports), {"classes": list(range(count)) if names is None else list(names)}


# --- heads -----------------------------------------------------------------------------------------------------------


def _outputs(model: Any) -> int:
    linears = [part for part in model.head.modules() if isinstance(part, nn.Linear)]
    found = linears[-1].out_features if linears else model._arguments.get("classes", model._arguments.get("outputs"))
    return len(found) if isinstance(found, list) else int(found)


def _activated(writer: Writer, model: Any, y: str) -> str:
    name = model._arguments.get("activation", "none")
    return y if name == "none" else activated(writer.graph, name, y)


def _pooled(writer: Writer, model: Any, written: Written) -> str:
    """The pooled features [B, F] of the body's outputs."""
    graph, pooling = writer.graph, model.pooling
    steps = writer.masked(written.steps)
    with graph.scope("pooling"):
        if pooling == "attention":
            return attended(writer, model.query, steps)
        names = ("last", "max", "mean") if pooling == "concat" else (pooling,)
        found = [_pool(writer, name, steps, written.last) for name in names]
        return found[0] if len(found) == 1 else graph("Concat", *found, axis=-1)


def _pool(writer: Writer, name: str, steps: Steps, last: str | None) -> str:
    graph = writer.graph
    if name == "last":
        return writer.last_valid(steps) if last is None else last
    if name == "max":
        return largest(writer, steps)
    if steps.lengths is None:
        return graph("ReduceMean", steps.value, axes=[1], keepdims=0)
    count = graph("Unsqueeze", graph("Cast", steps.lengths, to=FLOAT), graph.ints(1))
    return graph("Div", graph("ReduceSum", steps.value, graph.ints(1), keepdims=0), count)


def largest(writer: Writer, steps: Steps) -> str:
    """The largest value of each feature over the valid steps [B, F]."""
    graph, value = writer.graph, steps.value
    if steps.lengths is not None:
        valid = graph("Unsqueeze", writer.valid(steps), graph.ints(2))
        value = graph("Where", valid, value, graph.number(float("-inf")))
    return graph("ReduceMax", value, axes=[1], keepdims=0)


def attended(writer: Writer, query: Any, steps: Steps) -> str:
    """The mean of the outputs [B, F] by the softmax of what the query says of each valid step."""
    graph = writer.graph
    scores = write_dense(writer, query, steps.value)
    if steps.lengths is not None:
        valid = graph("Unsqueeze", writer.valid(steps), graph.ints(2))
        scores = graph("Where", valid, scores, graph.number(float("-inf")))
    weighted = graph("Mul", graph("Softmax", scores, axis=1), steps.value)
    return graph("ReduceSum", weighted, graph.ints(1), keepdims=0)
