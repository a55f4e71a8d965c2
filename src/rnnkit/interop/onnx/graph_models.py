"""Models whose layers form a graph (:class:`rnnkit.models.GraphModel`), such as those that Keras wrote.

States of stateful layers are inputs and outputs. A model with one input of sequences takes their lengths, too, unless
it computes masks of its own.
"""

from __future__ import annotations

from typing import Any

import torch

from ...errors import RnnkitError
from ...layers.graph import (
    Activation,
    BatchNormalisation,
    BothDirections,
    Convolution,
    Dense,
    Embedding,
    GlobalPooling,
    Graph,
    LayerNormalisation,
    Masking,
    Merge,
    Noise,
    Pooling,
    Recurrent,
    Rescaling,
    TimeDistributed,
    TimeEdges,
    UpSampling,
)
from ...models.graph import GraphModel
from .activations import activated
from .graph import FLOAT, INT64
from .graph_layers import write_nodes
from .graph_values import Masked, MaskOf, Value, cast
from .parts import Part, Port, Tensor, Values, unequal_lengths, written_part
from .sequence_models import LENGTHS
from .writer import BATCH, TIME, Steps, Unsupported, Writer

_SAMPLE = 5  # of an axis that is free and no time
_MOST_STEPS = 64

# Layers that take any number of steps, even if their file fixes it.
_ANY_TIME = (
    Activation, BatchNormalisation, BothDirections, Convolution, Dense, Embedding, GlobalPooling, LayerNormalisation,
    Masking, Merge, Noise, Pooling, Recurrent, Rescaling, TimeDistributed, TimeEdges, UpSampling,
)  # fmt: skip


def write_graph_model(model: GraphModel, states: bool) -> list[Part]:
    """Write a graph model."""
    writer = Writer("GraphModel", carry=states)
    inputs = _inputs(model)
    masks: list[Masked] = [None] * len(inputs)
    values = []
    for place, (name, port) in enumerate(zip(model.inputs, inputs, strict=True)):
        writer.graph.input(name, port.kind, port.shape)
        values.append(Value(name, port.kind, tuple(one if isinstance(one, int) else None for one in port.shape)))
        if not place:
            writer.batch = writer.size(name, 0)
    lengths = _takes_lengths(model, inputs)
    if lengths:
        writer.graph.input("lengths", INT64, [BATCH])
        valid = writer.valid(Steps(values[0].name, "lengths"))
        values[0] = values[0]._replace(name=writer.masked(Steps(values[0].name, "lengths"), rank=values[0].rank).value)
        masks = [MaskOf(valid, 2, "lengths")]
    results, _ = write_nodes(writer, model, values, masks)
    outputs, named = _outputs(writer, model, results)
    ports = (*inputs, LENGTHS) if lengths else tuple(inputs)
    stateful = _stateful(model)
    stateful = stateful if states else []
    notes = {} if model.logits or model.final == ["linear"] * len(results) else {"final": model.final}
    part = written_part(
        writer, ports, tuple(outputs), name="", example=_example(model, inputs, lengths),
        run=_running(model, stateful, named), stepwise=bool(stateful), notes=notes,
        fixed_steps=_fixed(inputs), least_steps=_least_steps(model, inputs),
    )  # fmt: skip
    return [part]


# --- inputs and outputs ----------------------------------------------------------------------------------------------


def _inputs(model: GraphModel) -> list[Port]:
    """The port of each input, with a free batch and, where the layers allow it, a free time."""
    if model.shapes is None:
        raise Unsupported(
            "a GraphModel arrived that does not tell the shapes of its inputs; make it with shapes=[[None, None, 3]] "
            "for an input of 3 features a step, a list for each input"
        )
    free = len(model.inputs) == 1 and _takes_any_time(model)
    found = []
    for place, (name, shape) in enumerate(zip(model.inputs, model.shapes, strict=True)):
        sizes: list[int | str] = [BATCH]
        for axis, size in enumerate(shape[1:], 1):
            timed = axis == 1 and (len(shape) > 2 or name in model.integers)
            label = TIME if timed else f"size_{axis}"
            sizes.append(f"{label}_{name}" if place and size is None else label if size is None else size)
            if timed and free:
                sizes[-1] = TIME
        ids = name in model.integers
        found.append(Port(name, INT64 if ids else FLOAT, tuple(sizes), "ids" if ids else "numbers"))
    return found


def _takes_any_time(graph: Any) -> bool:
    """Whether no layer needs one number of steps."""
    for layer in graph.layers.values():
        inner: Any = layer.layer if isinstance(layer, TimeDistributed) else layer
        if isinstance(inner, Graph):
            if isinstance(layer, TimeDistributed) or not _takes_any_time(inner):
                return False
        elif (
            not isinstance(inner, _ANY_TIME)
            or (isinstance(inner, LayerNormalisation) and len(inner.shape) > 1)
            or (isinstance(inner, BatchNormalisation) and inner.axis not in (-1, 2))
            or (isinstance(inner, Merge) and inner.kind == "concat" and inner.axis not in (-1, 2))
            or (isinstance(inner, Activation) and inner.options.get("axis", -1) not in (-1, 2))
        ):
            return False
    return True


def _takes_lengths(model: GraphModel, inputs: list[Port]) -> bool:
    """Whether lengths can be given: of a single input with time, in a graph that computes no masks from tensors."""
    own = any("mask" in node or not node.get("masked", True) for node in model.nodes)
    timed = len(inputs[0].shape) > 2 or (inputs[0].kind == INT64 and len(inputs[0].shape) == 2)
    return len(inputs) == 1 and timed and not own and "lengths" not in model.inputs


def _outputs(writer: Writer, model: GraphModel, results: list[Value]) -> tuple[list[tuple[str, Port]], list[str]]:
    """The results with their ports; and for logits of classes the probabilities, too."""
    graph = writer.graph
    taken = {*model.inputs, "lengths", *(name for state in writer._taken for name in (state, f"{state}_out"))}
    found: list[tuple[str, Port]] = []
    for name, value, final in zip(model.output_names, results, model.final, strict=True):
        unique = f"{name}_output" if name in taken else name
        while unique in taken:
            unique += "_"
        taken.add(unique)
        shape = tuple(
            BATCH if not axis else f"{unique}_size_{axis}" if size is None else size
            for axis, size in enumerate(value.sizes)
        )
        y = cast(graph, value, FLOAT).name
        if not model.logits:
            y = activated(graph, final, y)
        meaning = {"softmax": "one number a class", "sigmoid": "one number an answer"}.get(final, "numbers")
        if not model.logits and final != "linear":
            meaning = "probabilities"
        found.append((y, Port(unique, FLOAT, shape, meaning)))
    named = [port.name for _, port in found]
    if model.logits and model.final == ["softmax"] and "probabilities" not in taken:
        (y, port), *_ = found
        shares = activated(graph, "softmax", y)
        found.append((shares, Port("probabilities", FLOAT, port.shape, "of each class, together 1")))
    return found, named


# --- the check -------------------------------------------------------------------------------------------------------


def _stateful(model: Any) -> list[Recurrent]:
    """The layers that continue where the call before ended, in the order in which they are computed."""
    found: list[Recurrent] = []
    for node in model.nodes:
        layer = model.layer(node["layer"])
        for one in (layer.forward_layer, layer.backward_layer) if isinstance(layer, BothDirections) else (layer,):
            if isinstance(one, Graph):
                found += _stateful(one)
            elif isinstance(one, Recurrent) and one.stateful and len(node["inputs"]) == 1:
                found.append(one)
    if len(set(map(id, found))) < len(found):
        raise Unsupported(
            "a stateful layer is called at several places of the graph and goes on there from its own state, which an "
            "ONNX graph cannot hold; write a .keras file: rnnkit export RUN --to keras, in Python to_keras(model, path)"
        )
    return found


def _running(model: GraphModel, stateful: list[Recurrent], names: list[str]) -> Any:
    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        model.reset_states()
        coming = iter(state or ())
        for layer in stateful if state is not None else ():
            layer._carried = [next(coming) for _ in range(sum(layer._counts))]
        inputs = [given[name] for name in model.inputs]
        y = model(inputs, given.get("lengths"))
        results = list(y) if isinstance(y, tuple) else [y]
        after = [one for layer in stateful for one in layer._carried or ()]
        model.reset_states()
        found = {
            name: one.float() if one.dtype == torch.bool else one for name, one in zip(names, results, strict=True)
        }
        if model.logits and model.final == ["softmax"]:
            found.setdefault("probabilities", results[0].softmax(-1))
        return found, after

    return run


def _example(model: GraphModel, inputs: list[Port], lengths: bool) -> Any:
    """Return a function that makes inputs; of those that a mask reads, some steps are masked."""
    rows = {name: _first(model, place, Embedding) for place, name in enumerate(model.inputs)}
    masking = {name: _first(model, place, Masking) for place, name in enumerate(model.inputs)}

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        found: Values = {}
        for port in inputs:
            sizes = [batch]
            sizes += [size if isinstance(size, int) else time if TIME in size else _SAMPLE for size in port.shape[1:]]
            table, mask = rows[port.name], masking[port.name]
            if port.kind == INT64 or table is not None:
                ids = torch.randint(
                    table.embedding.num_embeddings if table is not None else 2, sizes, generator=generator
                )
                found[port.name] = ids if port.kind == INT64 else ids.float()
                continue
            x = torch.randn(sizes, generator=generator)
            if mask is not None and len(sizes) > 2:
                x[torch.rand(sizes[:-1], generator=generator) < 0.3] = mask.value
            found[port.name] = x
        if lengths:
            found["lengths"] = unequal_lengths(batch, found[model.inputs[0]].shape[1])
        return found

    return example


def _first(graph: Any, place: int, kind: type) -> Any:
    """The layer of a kind that reads an input first; None where there is none."""
    for node in graph.nodes:
        if [place, 0] in node["inputs"]:
            layer = graph.layer(node["layer"])
            inner = layer.layer if isinstance(layer, TimeDistributed) else layer
            if isinstance(inner, kind):
                return inner
            if (
                isinstance(inner, Graph)
                and (found := _first(inner, node["inputs"].index([place, 0]), kind)) is not None
            ):
                return found
    return None


def _fixed(inputs: list[Port]) -> bool:
    return not any(isinstance(size, str) and TIME in size for port in inputs for size in port.shape)


def _least_steps(model: GraphModel, inputs: list[Port]) -> int:
    """The fewest steps with which the model computes anything."""
    example = _example(model, inputs, False)
    for steps in range(1, 2 if _fixed(inputs) else _MOST_STEPS):
        try:
            with torch.no_grad():
                model.reset_states()
                model([example(1, steps, torch.Generator().manual_seed(0))[name] for name in model.inputs])
            return steps
        except RnnkitError:
            continue
        finally:
            model.reset_states()
    return 1
