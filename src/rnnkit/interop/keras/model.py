"""A whole model of a Keras configuration as a graph of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...layers.graph import Activation, BothDirections, Dense, Graph, GraphLayer, Operation, TimeDistributed
from .builder import Builder
from .layers_others import OTHERS
from .layers_recurrent import RECURRENT, described, read_bidirectional
from .plan import MAX_LAYERS, MODELS, Call, Plan, plan_functional
from .settings import LayerSettings, Location, short
from .weights import LayerWeights

MAX_DEPTH = 12  # of models and wrappers inside one another

# Keras's operations on tensors, and rnnkit's names of them.
OPERATIONS = {
    "Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Divide": "divide", "TrueDivide": "divide",
    "Maximum": "maximum", "Minimum": "minimum", "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater",
    "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal", "LogicalAnd": "logical_and",
    "LogicalOr": "logical_or", "LogicalNot": "logical_not", "Negative": "negative", "Any": "any", "All": "all",
    "ExpandDims": "expand_dims", "Squeeze": "squeeze", "OnesLike": "ones_like", "ZerosLike": "zeros_like",
    "Concatenate": "concatenate",
}  # fmt: skip


@dataclass
class ReadGraph:
    """Arguments of a graph.

    Attributes:
        layers, names, inputs, nodes, results: see :class:`rnnkit.layers.graph.Graph`.
        outputs: names of the results.
    """

    layers: list[Any]
    names: list[str]
    inputs: list[str]
    nodes: list[dict[str, Any]]
    results: list[list[int]]
    outputs: list[str]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that a graph takes."""
        names = ("layers", "names", "inputs", "nodes", "results")
        return {name: getattr(self, name) for name in names}


def read_model(kind: str, config: Any, weights: Any, builder: Builder, place: Location, depth: int = 0) -> ReadGraph:
    """Read Sequential or a functional model.

    Args:
        kind: the class.
        config: of the model.
        weights: the arrays of the model.
        builder: takes what fills the layers.
        place: of the model.
        depth: how many models and wrappers it stands in.

    Raises:
        DataError: a layer, a setting, a call or an array that is not read.
    """
    if depth > MAX_DEPTH:
        raise place.problem(f"models are nested deeper than {MAX_DEPTH} levels")
    if isinstance(config, list):  # Sequential of the first versions
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise place.problem(f"its configuration is {short(config)}; expected an object with layers")
    layers = [_described(one, index, place) for index, one in enumerate(config["layers"][: MAX_LAYERS + 1])]
    if not 0 < len(layers) <= MAX_LAYERS:
        raise place.problem(f"the model has {len(config['layers'])} layers; expected 1 to {MAX_LAYERS}")
    names = [layer["name"] for layer in layers]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise place.problem(f"two layers are named {short(twice)}")
    plan = _sequence(layers, place) if kind == "Sequential" else plan_functional(config, layers, place)
    needed = {call.layer for _, call in plan.calls}
    stored = [layer for layer in layers if not _is_operation(layer)]
    if kind == "Sequential":
        stored = [layer for layer in stored if layer["class_name"] != "InputLayer"]
    own = weights.layers().members([one["class_name"] for one in stored], [one["name"] for one in stored])
    theirs = dict(zip([one["name"] for one in stored], own, strict=True))
    by_name = {layer["name"]: layer for layer in layers}
    made: dict[str, GraphLayer] = {}
    for name in dict.fromkeys(call.layer for _, call in plan.calls):  # in the order of their first call
        layer = by_name[name]
        inside = place.inside(f"layer {name!r} ({layer['class_name']})")
        if _is_operation(layer):
            continue
        made[name] = read_layer(layer, theirs[name], builder, inside, depth)
    for layer in stored:  # the file must fit as a whole
        if layer["name"] not in needed and layer["class_name"] != "InputLayer":
            inside = place.inside(f"layer {layer['name']!r} ({layer['class_name']})")
            raise inside.problem("the layer has no part in the model's results")
    return _graph(plan, by_name, made, place)


def read_layer(
    layer: Mapping[str, Any], weights: LayerWeights, builder: Builder, place: Location, depth: int
) -> GraphLayer:
    """Return one layer of a description with ``class_name`` and ``config``.

    Raises:
        DataError: an unknown class, or one that would execute what the file holds.
    """
    kind, config = layer["class_name"], layer["config"]
    if kind in MODELS:
        inner = read_model(kind, config, weights, builder, place, depth + 1)
        return Graph(**inner.arguments())
    _refuse_foreign(layer, place)
    if not isinstance(config, dict):
        raise place.problem(f"its config is {short(config)}; expected an object")
    _check_dtype(config.get("dtype"), place)
    built = layer.get("build_config")
    if isinstance(built, dict) and kind == "LayerNormalization":
        config = {**config, "built_with": built.get("input_shape")}
    settings = LayerSettings(config, place, {"built_with"})
    found: GraphLayer
    if kind == "TimeDistributed":
        found = _time_distributed(settings, weights, builder, depth)
    elif kind == "Bidirectional":
        found = read_bidirectional(kind, settings, weights, builder)
    else:
        read = RECURRENT.get(kind) or OTHERS.get(kind)
        if read is None:
            raise place.problem(
                f"layers of class {short(kind)} are not read; build the model without it, or read the weights with h5py"
            )
        found = read(kind, settings, weights, builder)
    settings.finish()
    dropped = settings.not_carried()
    if dropped:
        builder.notes.append(f"{place.path}: {', '.join(dropped)} act while training and are not taken over")
    if config.get("trainable", True) is False:
        builder.frozen.append(found)
    return found


def final_activations(graph: ReadGraph) -> list[str]:
    """Take the last softmax or sigmoid off each result that ends in one, and return what was taken off."""
    final = []
    first = len(graph.inputs)
    for place, (node, output) in enumerate(graph.results):
        found = "linear"
        users = sum([node, output] in one["inputs"] or one.get("mask") == [node, output] for one in graph.nodes)
        users += sum(result == [node, output] for result in graph.results)
        if node >= first and users == 1:
            call = graph.nodes[node - first]
            called = sum(one["layer"] == call["layer"] for one in graph.nodes)
            layer = graph.layers[graph.names.index(call["layer"])]
            layer = layer.layer if isinstance(layer, TimeDistributed) else layer
            if called == 1 and isinstance(layer, Dense) and layer.activation in ("softmax", "sigmoid"):
                found, layer.activation = layer.activation, "linear"
            elif _is_final(layer) and called == 1:
                found = str(layer.function)
                graph.results[place] = list(call["inputs"][0])
                _remove(graph, node)
        final.append(found)
    return final


def _is_final(layer: Any) -> bool:
    """Whether a layer is a softmax over the last axis, or a sigmoid."""
    kinds = ("softmax", "sigmoid")
    plain: tuple[dict[str, Any], ...] = ({}, {"axis": -1})
    return isinstance(layer, Activation) and layer.function in kinds and layer.options in plain


def _remove(graph: ReadGraph, node: int) -> None:
    """Remove a node whose result is not read."""
    first = len(graph.inputs)
    name = graph.nodes.pop(node - first)["layer"]
    place = graph.names.index(name)
    del graph.names[place], graph.layers[place]

    def moved(one: list[int]) -> list[int]:
        return [one[0] - (one[0] > node), one[1]]

    for other in graph.nodes:
        other["inputs"] = [moved(one) for one in other["inputs"]]
        if other.get("mask") is not None:
            other["mask"] = moved(other["mask"])
    graph.results[:] = [moved(one) for one in graph.results]


def _time_distributed(settings: LayerSettings, weights: LayerWeights, builder: Builder, depth: int) -> TimeDistributed:
    place = settings.place
    if depth > MAX_DEPTH:
        raise place.problem(f"layers are nested deeper than {MAX_DEPTH} levels")
    value = settings.get("layer")
    kind, config = described(value, place, "layer")
    inside = place.inside(f"layer ({short(kind)})")
    inner = {**value, "class_name": kind, "config": config}
    found = read_layer(inner, weights.child("layer"), builder, inside, depth + 1)
    if found.outputs != 1:
        raise inside.problem("it has several outputs, which TimeDistributed does not take")
    return TimeDistributed(found)


def _described(layer: Any, index: int, place: Location) -> dict[str, Any]:
    """A description of a layer with its name."""
    inside = place.inside(f"layers[{index}]")
    if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
        raise inside.problem(f"it is {short(layer)}; expected an object with a class_name")
    config = layer.get("config")
    name = layer.get("name") or (config.get("name") if isinstance(config, dict) else None)
    if name is None and isinstance(config, list):
        name = f"model_{index}"
    if not isinstance(name, str) or not 0 < len(name) <= 300:
        raise inside.problem(f"its name is {short(name)}; expected a text")
    return {**layer, "name": name, "config": config}


def _refuse_foreign(layer: Mapping[str, Any], place: Location) -> None:
    kind = str(layer["class_name"])
    if "Lambda" in kind:
        raise place.problem(
            "a Lambda layer holds Python code, and nothing of a file is executed; replace it by layers, and save again"
        )
    module = layer.get("module")
    registered = str(layer.get("registered_name") or "")
    if (isinstance(module, str) and module.split(".")[0] not in ("keras", "tensorflow", "tf_keras", "builtins")) or (
        ">" in kind or (">" in registered and not registered.startswith("Keras"))
    ):
        raise place.problem(f"it is a class of one's own ({short(registered or module or kind)}), which is not read")


def _check_dtype(dtype: Any, place: Location) -> None:
    """Refuse types that are no floating-point ones: quantised layers store other arrays."""
    name = dtype
    for _ in range(3):
        if isinstance(name, dict):
            if "Quantized" in str(name.get("class_name")):
                break
            name = name.get("config")
            name = name.get("name") if isinstance(name, dict) else name
    known = {
        "float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "int32", "int64", "uint8",
        "bool",
    }  # fmt: skip
    if isinstance(name, dict):
        name = name.get("class_name")
    if name is not None and (not isinstance(name, str) or name not in known):
        raise place.problem(f"its type is {short(name)}; expected float32, or another floating-point type")


def _is_operation(layer: Mapping[str, Any]) -> bool:
    """Whether a description is an operation on tensors, and no layer."""
    module = layer.get("module")
    if isinstance(module, str) and ".ops" in module:
        return True
    config = layer["config"]
    return (
        module is None and layer["class_name"] in OPERATIONS and isinstance(config, dict) and "trainable" not in config
    )


def _operation(layer: Mapping[str, Any], call: Call, place: Location) -> Operation:
    kind = layer["class_name"]
    if kind not in OPERATIONS:
        raise place.problem(f"operations of class {short(kind)} are not read")
    settings = LayerSettings(layer["config"] if isinstance(layer["config"], dict) else {}, place)
    options: dict[str, Any] = {}
    if kind in ("Any", "All", "ExpandDims", "Squeeze", "Concatenate"):
        axis = settings.get("axis", -1)
        if not isinstance(axis, int) or isinstance(axis, bool) or not -8 <= axis <= 8:
            raise place.problem(f"axis={short(axis)} arrived; expected one axis")
        options["axis"] = axis
    if kind in ("Any", "All"):
        options["keepdims"] = settings.flag("keepdims", False)
    if kind in ("OnesLike", "ZerosLike"):
        options["bool"] = settings.get("dtype", None) == "bool"
    settings.finish()
    return Operation(OPERATIONS[kind], call.operands, options)


def _sequence(layers: list[dict[str, Any]], place: Location) -> Plan:
    """The plan of Sequential."""
    inputs = [layer["name"] for layer in layers if layer["class_name"] == "InputLayer"]
    if len(inputs) > 1 or (inputs and layers[0]["name"] != inputs[0]):
        raise place.problem("an InputLayer stands behind other layers")
    rest = [layer["name"] for layer in layers if layer["class_name"] != "InputLayer"]
    if not rest:
        raise place.problem("the model has no layer behind its input")
    first = inputs[0] if inputs else "input"
    while first in rest:
        first += "_"
    calls = []
    before = (first, 0, 0)
    for name in rest:
        calls.append(((name, 0), Call(name, [before], [None])))
        before = (name, 0, 0)
    return Plan([first], calls, [before], [rest[-1]])


def _graph(
    plan: Plan, by_name: Mapping[str, Mapping[str, Any]], made: Mapping[str, GraphLayer], place: Location
) -> ReadGraph:
    places: dict[tuple[str, int], int] = {(name, 0): index for index, name in enumerate(plan.inputs)}
    names = list(made)
    layers: list[GraphLayer] = list(made.values())
    nodes: list[dict[str, Any]] = []
    counts = [1] * len(plan.inputs)

    def reference(tensor: tuple[str, int, int], inside: Location) -> list[int]:
        node = places[tensor[0], tensor[1]]
        if tensor[2] >= counts[node]:
            raise inside.problem(f"output {tensor[2]} of {tensor[0]!r} is used, which has {counts[node]}")
        return [node, tensor[2]]

    for key, call in plan.calls:
        layer = by_name[call.layer]
        inside = place.inside(f"layer {call.layer!r} ({layer['class_name']})")
        if call.layer in made:
            name, module = call.layer, made[call.layer]
            if any(one is not None for one in call.operands):
                raise inside.problem("a call has a number among its tensors, which is not read")
            if len(call.inputs) > 1 and isinstance(module, BothDirections) and len(call.inputs) % 2 == 0:
                raise inside.problem(
                    f"{len(call.inputs) - 1} initial states arrive; expected as many for each direction"
                )
        else:
            module = _operation(layer, call, inside)
            name = call.layer if call.layer not in names else f"{call.layer}_{key[1]}"
            while name in names:
                name += "_"
            names.append(name)
            layers.append(module)
        node: dict[str, Any] = {"layer": name, "inputs": [reference(one, inside) for one in call.inputs]}
        if call.mask is not None:
            node["mask"] = reference(call.mask, inside)
        elif not call.masked and not isinstance(module, Operation):
            node["masked"] = False
        places[key] = len(plan.inputs) + len(nodes)
        nodes.append(node)
        counts.append(module.outputs)
    results = [reference(tensor, place) for tensor in plan.results]
    return ReadGraph(layers, names, plan.inputs, nodes, results, plan.names)
