"""Recurrent layers of a graph model: masks that lie anywhere, given states, both directions, states that are carried.

A row with masked steps is read without them: its valid steps are put in front, in their order, and their outputs back
to their places. Where the mask is that of lengths, ONNX's own operators leave the steps behind them out.

Legend: B batch, T time, I input, H hidden.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from ...layers._recurrent import RecurrentLayer
from ...layers.graph import BothDirections, Recurrent
from .dense import kind_of
from .graph import FLOAT, INT64
from .graph_values import Masked, MaskOf, Result, Value, flipped
from .recurrences import Recurrence, recurrence_of, recurrences_of_cells
from .recurrent import write_time_first
from .writer import BATCH, Steps, Writer


class Run(NamedTuple):
    """What a layer over sequences has computed.

    Attributes:
        y: all outputs [B, T, H], in the order in which the steps are read.
        in_time: the same in the order of the input; "": they are not written yet.
        last: the last output [B, H].
        states: after the steps [B, H].
        size: H.
    """

    y: str
    in_time: str
    last: str
    states: list[Value]
    size: int


def write_recurrent(writer: Writer, layer: Recurrent, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write :class:`rnnkit.layers.graph.Recurrent`."""
    run = _run(writer, layer, inputs[0], masks[0], inputs[1:])
    time = inputs[0].sizes[1]
    y = (
        Value(run.y, FLOAT, (None, time, run.size))
        if layer.return_sequences
        else Value(run.last, FLOAT, (None, run.size))
    )
    kept = run.states if layer.return_state else []
    return [y, *kept], [masks[0] if layer.return_sequences else None, *[None] * len(kept)]


def write_both_directions(writer: Writer, layer: BothDirections, inputs: list[Value], masks: list[Masked]) -> Result:
    """Write :class:`rnnkit.layers.graph.BothDirections`."""
    graph, (x, *given) = writer.graph, inputs
    half = len(given) // 2
    first, second = layer.forward_layer, layer.backward_layer
    one = _run(writer, first, x, masks[0], given[:half])
    other = _run(writer, second, x, masks[0], given[half:])
    whole = first.return_sequences
    y, z = (one.y, other.in_time or flipped(graph, other.y)) if whole else (one.last, other.last)
    lead = (None, x.sizes[1]) if whole else (None,)
    merged = _merged(writer, layer.merge, y, z)
    width = one.size + other.size if layer.merge == "concat" else one.size
    found = [Value(name, FLOAT, (*lead, width)) for name in merged]
    kept = [*one.states, *other.states] if first.return_state else []
    return [*found, *kept], [*[masks[0] if whole else None] * len(found), *[None] * len(kept)]


def _merged(writer: Writer, mode: Any, y: str, z: str) -> list[str]:
    graph = writer.graph
    if mode is None:
        return [y, z]
    if mode == "concat":
        return [graph("Concat", y, z, axis=-1)]
    found = graph("Mul" if mode == "mul" else "Add", y, z)
    return [graph("Div", found, graph.number(2.0)) if mode == "ave" else found]


# --- the computation -------------------------------------------------------------------------------------------------


def _run(writer: Writer, layer: Recurrent, x: Value, mask: Masked, given: list[Value]) -> Run:
    stacks = [_recurrence(part) for part in layer.layers]
    states, ports = _initial(writer, layer, stacks, given)
    backward = layer.backward_in_time
    if mask is None:
        found = _plain(writer, stacks, x.name, states, backward)
    elif mask.lengths:
        found = _with_lengths(writer, layer, stacks, x.name, mask, states)
    else:
        found = _masked(writer, layer, stacks, x.name, mask, states)
    for port, state in zip(ports, found.states, strict=False):
        writer.end_state(port, state.name)
    return found


def _recurrence(part: Any) -> Recurrence:
    """What one of the layers computes, in the order in which it is given its steps."""
    if isinstance(part, RecurrentLayer) or kind_of(part).__module__.startswith("torch.nn"):
        return recurrence_of(part)
    return recurrences_of_cells(part)[0]


def _initial(writer: Writer, layer: Recurrent, stacks: list[Recurrence], given: list[Value]) -> tuple[list[str], Any]:
    """The states before the first step [B, H], "" for zeros; and the ports of those that are carried."""
    sizes = [(name, size) for one in stacks for name, size in one.state_sizes.items()]
    if given:
        return [one.name for one in given], ()
    if not (layer.stateful and writer.carry):
        return [""] * len(sizes), ()
    begun = [writer.begin_state(name, (BATCH, size)) for name, size in sizes]
    return [value for value, _ in begun], [port for _, port in begun]


def _layers(
    writer: Writer, stacks: list[Recurrence], x: str, states: list[str], lengths: str | None, reverse: bool
) -> tuple[str, list[Value]]:
    """All layers over x [B, T, I], one behind the other: the outputs [B, T, H] in the order of x, and the states."""
    graph, before, after = writer.graph, iter(states), []
    steps = Steps(x, lengths)
    y = graph("Transpose", x, perm=[1, 0, 2])
    for stack in stacks:
        one = replace(
            stack, layers=tuple(tuple(replace(way, reverse=reverse) for way in part) for part in stack.layers)
        )
        begin = {}
        for name in one.state_sizes:
            value = next(before)
            begin[name] = value and graph("Unsqueeze", value, graph.ints(0))
        y, last = write_time_first(writer, one, y, steps, begin=begin)
        after += [
            Value(graph("Squeeze", last[name], graph.ints(0)), FLOAT, (None, size))
            for name, size in one.state_sizes.items()
        ]
    return graph("Transpose", y, perm=[1, 0, 2]), after


def _top(stacks: list[Recurrence], states: list[Value]) -> Value:
    """h of the last layer."""
    return states[-len(stacks[-1].state_sizes)]


def _size(stacks: list[Recurrence]) -> int:
    return stacks[-1].state_sizes["h"]


def _plain(writer: Writer, stacks: list[Recurrence], x: str, states: list[str], backward: bool) -> Run:
    y, after = _layers(writer, stacks, x, states, None, backward)
    reading = flipped(writer.graph, y) if backward else y
    return Run(reading, y, _top(stacks, after).name, after, _size(stacks))


def _with_lengths(
    writer: Writer, layer: Recurrent, stacks: list[Recurrence], x: str, mask: MaskOf, states: list[str]
) -> Run:
    """Lengths of at least one step; read backwards, the steps behind them come first and are 0."""
    graph = writer.graph
    y, after = _layers(writer, stacks, x, states, mask.lengths, layer.backward_in_time)
    last = _top(stacks, after).name
    if layer.backward_in_time:
        return Run(flipped(graph, y), y, last, after, _size(stacks))
    if layer.zero_masked:
        return Run(y, y, graph("Gather", y, graph.whole(-1), axis=1), after, _size(stacks))
    shown = graph("Unsqueeze", mask.name, graph.ints(2))
    y = graph("Where", shown, y, graph("Unsqueeze", last, graph.ints(1)))
    return Run(y, y, last, after, _size(stacks))


def _masked(writer: Writer, layer: Recurrent, stacks: list[Recurrence], x: str, mask: MaskOf, states: list[str]) -> Run:
    """Any mask; see the module."""
    graph, valid, size = writer.graph, mask.name, _size(stacks)
    if layer.backward_in_time:
        x, valid = flipped(graph, x), flipped(graph, valid)
    whole = graph("Cast", valid, to=INT64)
    counts = graph("ReduceSum", whole, graph.ints(1), keepdims=0)
    # The largest first, those that are equal in their order: as many as there are steps.
    _, order = graph.several("TopK", graph("Cast", valid, to=FLOAT), writer.size(valid, 1), outputs=2, axis=1)
    lengths = graph("Max", counts, graph.whole(1))
    y, after = _layers(writer, stacks, _gathered(writer, x, order), states, lengths, False)
    some = graph("Unsqueeze", graph("Greater", counts, graph.whole(0)), graph.ints(1))
    after = [
        new._replace(name=graph("Where", some, new.name, old or graph.number(0.0)))
        for new, old in zip(after, states, strict=True)
    ]
    place = graph("Sub", graph("CumSum", whole, graph.whole(1)), graph.whole(1))
    y = _gathered(writer, y, graph("Max", place, graph.whole(0)))
    shown = valid if layer.zero_masked else graph("GreaterOrEqual", place, graph.whole(0))
    y = graph("Where", graph("Unsqueeze", shown, graph.ints(2)), y, graph.number(0.0))
    return Run(y, "", graph("Gather", y, graph.whole(-1), axis=1), after, size)


def _gathered(writer: Writer, x: str, places: str) -> str:
    """x [B, T, F] at places [B, T'] of the time."""
    graph = writer.graph
    return graph("GatherND", x, graph("Unsqueeze", places, graph.ints(2)), batch_dims=1)
