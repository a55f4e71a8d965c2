"""Operations on several tensors of a graph model: arithmetic with PyTorch's types, and merging with Keras's masks."""

from __future__ import annotations

from typing import Any

from ...layers.graph import Merge, Operation
from .graph import BOOL, FLOAT, INT64, Graph
from .graph_values import Masked, MaskOf, Result, Sizes, Value, any_of, cast, of_number, wider
from .writer import Writer

_ARITHMETIC = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max", "minimum": "Min"}
_COMPARISONS = {
    "equal": "Equal",
    "not_equal": "Equal",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
}
_LOGIC = {"logical_and": "And", "logical_or": "Or"}


def write_operation(writer: Writer, layer: Operation, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write :class:`rnnkit.layers.graph.Operation`; its result has no mask."""
    graph, name, options = writer.graph, layer.name, layer.options
    if name == "concatenate":
        return [_concatenated(graph, inputs, options["axis"])], [None]
    if name in _ARITHMETIC or name in _COMPARISONS or name in _LOGIC:
        coming = iter(inputs)
        operands = [next(coming) if one is None else one for one in layer.operands]
        return [_binary(graph, name, operands)], [None]
    return [_unary(graph, name, inputs[0], options)], [None]


def _binary(graph: Graph, name: str, operands: list[Any]) -> Value:
    kinds = [one.kind if isinstance(one, Value) else of_number(one) for one in operands]
    kind = BOOL if name in _LOGIC else wider(kinds)
    if kind == BOOL and name not in _LOGIC:
        kind = INT64  # ONNX orders and adds no bools
    if name == "divide":
        kind = FLOAT
    values = [cast(graph, one, kind) if isinstance(one, Value) else _number(graph, one, kind) for one in operands]
    operator = _ARITHMETIC.get(name) or _COMPARISONS.get(name) or _LOGIC[name]
    found = graph(operator, *(one.name for one in values))
    if name == "not_equal":
        found = graph("Not", found)
    return Value(found, kind if name in _ARITHMETIC else BOOL, broadcast(*(one.sizes for one in values)))


def _number(graph: Graph, number: float, kind: int) -> Value:
    if kind == BOOL:
        return Value(graph("Cast", graph.whole(int(bool(number))), to=BOOL), BOOL, ())
    return Value(graph.whole(int(number)) if kind == INT64 else graph.number(float(number)), kind, ())


def broadcast(*sizes: Sizes) -> Sizes:
    """The sizes of what tensors of these sizes make together."""
    rank = max(len(one) for one in sizes)
    level = [(*(1,) * (rank - len(one)), *one) for one in sizes]
    return tuple(next((size for size in axis if size != 1), 1) for axis in zip(*level, strict=True))


def _unary(graph: Graph, name: str, x: Value, options: dict[str, Any]) -> Value:
    if name == "logical_not":
        return Value(graph("Not", cast(graph, x, BOOL).name), BOOL, x.sizes)
    if name == "negative":
        return x._replace(name=graph("Neg", x.name))
    if name in ("any", "all"):
        return _reduced(graph, name, x, options)
    if name in ("ones_like", "zeros_like"):
        kind = BOOL if options.get("bool") else x.kind
        one = graph("Cast", graph.whole(int(name == "ones_like")), to=kind)
        return Value(graph("Expand", one, graph("Shape", x.name)), kind, x.sizes)
    axis, sizes = options["axis"], list(x.sizes)
    if name == "expand_dims":
        axis %= x.rank + 1
        sizes.insert(axis, 1)
        return Value(graph("Unsqueeze", x.name, graph.ints(axis)), x.kind, tuple(sizes))
    axis %= x.rank
    if sizes[axis] != 1:  # as PyTorch, which leaves another size as it is
        return x
    sizes.pop(axis)
    return Value(graph("Squeeze", x.name, graph.ints(axis)), x.kind, tuple(sizes))


def _reduced(graph: Graph, name: str, x: Value, options: dict[str, Any]) -> Value:
    axis, keep = options["axis"], bool(options.get("keepdims", False))
    axes = sorted(
        one % x.rank for one in (range(x.rank) if axis is None else [axis] if isinstance(axis, int) else axis)
    )
    value = cast(graph, x, BOOL).name
    if name == "all":
        value = graph("Not", value)
    found = any_of(graph, value, axes, keep)
    kept = [1 if place in axes else size for place, size in enumerate(x.sizes) if keep or place not in axes]
    return Value(graph("Not", found) if name == "all" else found, BOOL, tuple(kept))


def _concatenated(graph: Graph, values: list[Value], axis: int) -> Value:
    kind = wider([one.kind for one in values])
    level = [cast(graph, one, kind) for one in values]
    axis %= values[0].rank
    sizes = list(values[0].sizes)
    joined = [one.sizes[axis] for one in values]
    sizes[axis] = None if None in joined else sum(size for size in joined if size is not None)
    return Value(graph("Concat", *(one.name for one in level), axis=axis), kind, tuple(sizes))


# --- merging ---------------------------------------------------------------------------------------------------------


def write_merge(writer: Writer, layer: Merge, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write :class:`rnnkit.layers.graph.Merge`."""
    graph, kind = writer.graph, layer.kind
    if kind == "concat":
        return [_concatenated(graph, inputs, layer.axis)], [_joined_mask(graph, inputs, masks, layer.axis)]
    rank = max(x.rank for x in inputs)
    level = [_widened(graph, x, rank) for x in inputs]
    name = {"average": "add"}.get(kind, kind)
    y = level[0]
    for x in level[1:]:
        y = _binary(graph, name, [y, x])
    if kind == "average":
        y = _binary(graph, "divide", [y, len(inputs)])
    known = [mask for mask in masks if mask is not None]
    if len(known) != len(masks):
        return [y], [None]
    return [y], [_either(graph, known)]


def _widened(graph: Graph, x: Value, rank: int) -> Value:
    """x with axes of 1 behind the batch, so many that it has a rank."""
    more = rank - x.rank
    if not more:
        return x
    name = graph("Unsqueeze", x.name, graph.ints(*range(1, 1 + more)))
    return Value(name, x.kind, (x.sizes[0], *(1,) * more, *x.sizes[1:]))


def _either(graph: Graph, masks: list[MaskOf]) -> MaskOf:
    found = masks[0]
    for other in masks[1:]:
        if other.name != found.name:
            found = MaskOf(graph("Or", found.name, other.name), max(found.rank, other.rank))
    return found


def _joined_mask(graph: Graph, inputs: list[Value], masks: list[Masked], axis: int) -> Masked:
    """True where the mask of any part is, which is true everywhere for a part without one."""
    known = [mask for mask in masks if mask is not None]
    rank = inputs[0].rank
    if not known:
        return None
    if axis % rank == rank - 1 and all(mask.rank == rank - 1 for mask in known):
        if len(known) == len(masks):
            return _either(graph, known)
        true = graph("Cast", graph.whole(1), to=BOOL)
        return MaskOf(graph("Expand", true, graph("Shape", known[0].name)), rank - 1)
    wide = []
    for x, mask in zip(inputs, masks, strict=True):
        value = graph("Cast", graph.whole(1), to=BOOL) if mask is None else mask.name
        if mask is not None and mask.rank < rank:
            value = graph("Unsqueeze", value, graph.ints(mask.rank))
        wide.append(graph("Expand", value, graph("Shape", x.name)))
    return MaskOf(any_of(graph, graph("Concat", *wide, axis=axis), [rank - 1]), rank - 1)
