"""Recurrences over maps in a graph, step by step in a Scan: :class:`rnnkit.ConvGRU` and :class:`rnnkit.ConvLSTM`.

The equations are those of :mod:`rnnkit.ops.conv_gru` and :mod:`rnnkit.ops.conv_lstm`. What depends on the input alone,
W ∗ x + b, is one convolution over all steps in front of the loop.

Legend: B batch, T time, C channels in, H channels of the state, G gates, h × w the map.
"""

from __future__ import annotations

from typing import Any

import torch

from ...layers.conv_gru import ConvGRU
from .graph import BOOL, FLOAT, Graph
from .maps import HEIGHT, WIDTH
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, unequal_lengths, written_part
from .sequence_models import LENGTHS
from .writer import BATCH, TIME, Steps, Writer

State = dict[str, str]
_HIGH, _WIDE = 5, 6  # pixels of made maps


def write_conv_layer(module: Any, states: bool) -> list[Part]:
    """Write a recurrence over maps by itself."""
    writer = Writer(type(module).__name__, carry=states)
    channels, hidden = module.input_size, module.hidden_size
    steps = writer.sequences("x", FLOAT, channels, HEIGHT, WIDTH)
    before, ports = {}, {}
    for name in module.state_names:
        before[name], ports[name] = writer.begin_state(name, (BATCH, hidden, HEIGHT, WIDTH))
    y, after = write_conv_recurrence(writer, module, writer.masked(steps, rank=5), before)
    for name, state_port in ports.items():
        writer.end_state(state_port, after[name])
    inputs = (Port("x", FLOAT, (BATCH, TIME, channels, HEIGHT, WIDTH), "maps"), LENGTHS)
    meaning = "the outputs of each step, 0 behind a row's length"
    port = Port("y", FLOAT, (BATCH, f"{TIME}_out", hidden, f"{HEIGHT}_out", f"{WIDTH}_out"), meaning)

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        x = torch.randn(batch, time, channels, _HIGH, _WIDE, generator=generator)
        zeros = torch.zeros(batch, hidden, _HIGH, _WIDE)
        return {"x": x, "lengths": unequal_lengths(batch, time)} | dict.fromkeys(ports if states else (), zeros)

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        x = given["x"]
        like = module.initial_state(len(x), size=(x.shape[3], x.shape[4]))
        y, after = module(x, None if state is None else state_like(state, like), lengths=given["lengths"])
        return {"y": y}, leaves_of(after) if states else []

    return [
        written_part(
            writer, inputs, ((y, port),), name="", example=example, run=run, in_chunks=("x", "y") if states else ()
        )
    ]  # fmt: skip


def write_conv_recurrence(writer: Writer, module: Any, steps: Steps, before: State) -> tuple[str, State]:
    """Write a recurrence over maps.

    Args:
        writer: of the graph.
        module: ``rnnkit.ConvGRU`` or ``ConvLSTM``.
        steps: [B, T, C, h, w], 0 behind each row's length.
        before: the state before the first step by name, [B, H, h, w]; "" for zeros.

    Returns:
        the outputs [B, T, H, h, w], 0 behind each row's length, and the state after them by name.
    """
    graph = writer.graph
    x = graph("Transpose", steps.value, perm=[1, 0, 2, 3, 4])
    lead, size = graph("Shape", x, start=0, end=2), graph("Shape", x, start=3)
    flat = graph("Reshape", x, graph("Concat", graph.ints(-1, module.input_size), size, axis=0))
    with graph.scope("input"):
        from_x = convolved(graph, flat, module.weight_ih, module.bias_ih)
    wide = graph.ints(module.gates * module.hidden_size)
    sequences = [graph("Reshape", from_x, graph("Concat", lead, wide, size, axis=0))]
    zeros_like = graph("Concat", writer.batch, graph.ints(module.hidden_size), size, axis=0)
    state = {name: value or graph("Expand", graph.number(0.0), zeros_like) for name, value in before.items()}
    body = graph.body("step")
    old = {name: body.input(f"{body.name}/{name}", FLOAT, None) for name in state}
    x_t = body.input(f"{body.name}/x", FLOAT, None)
    new = _gru(body, module, x_t, old) if isinstance(module, ConvGRU) else _lstm(body, module, x_t, old)
    y_t, kept = new["h"], new
    if steps.lengths is not None:
        valid = graph("Transpose", writer.valid(steps), perm=[1, 0])
        sequences.append(graph("Unsqueeze", valid, graph.ints(2, 3, 4)))
        valid_t = body.input(f"{body.name}/valid", BOOL, None)
        kept = {name: body("Where", valid_t, value, old[name]) for name, value in new.items()}
        y_t = body("Where", valid_t, y_t, graph.number(0.0))
    for value in [*kept.values(), y_t]:
        body.result(value, FLOAT)
    *after, y = graph.scan(body, list(state.values()), sequences, outputs=1, reverse=False)
    return graph("Transpose", y, perm=[1, 0, 2, 3, 4]), dict(zip(state, after, strict=True))


def convolved(graph: Graph, x: str, weight: Tensor, bias: Tensor | None) -> str:
    """A convolution with zeros around the map, which keeps its size."""
    extra = [] if bias is None else [graph.constant(bias, "bias")]
    size = weight.shape[-1]
    return graph(
        "Conv", x, graph.constant(weight, "kernel"), *extra, kernel_shape=[size, size], pads=[size // 2] * 4
    )  # fmt: skip


def _chunks(graph: Graph, value: str, count: int, size: int) -> tuple[str, ...]:
    return graph.several("Split", value, graph.ints(*[size] * count), outputs=count, axis=1)


def _gru(graph: Graph, module: Any, x: str, state: State) -> State:
    h, size, weight, bias = state["h"], module.hidden_size, module.weight_hh, module.bias_hh
    x_r, x_z, x_n = _chunks(graph, x, 3, size)
    if module.reset_after:
        h_r, h_z, h_n = _chunks(graph, convolved(graph, h, weight, bias), 3, size)
        r = graph("Sigmoid", graph("Add", x_r, h_r))
        inner = graph("Mul", r, h_n)
    else:
        of_gates, of_n = (None, None) if bias is None else (bias[: 2 * size], bias[2 * size :])
        h_r, h_z = _chunks(graph, convolved(graph, h, weight[: 2 * size], of_gates), 2, size)
        r = graph("Sigmoid", graph("Add", x_r, h_r))
        inner = convolved(graph, graph("Mul", r, h), weight[2 * size :], of_n)
    z = graph("Sigmoid", graph("Add", x_z, h_z))
    n = graph("Tanh", graph("Add", x_n, inner))
    new = graph("Mul", graph("Sub", graph.number(1.0), z), n)
    return {"h": graph("Add", new, graph("Mul", z, h))}


def _lstm(graph: Graph, module: Any, x: str, state: State) -> State:
    h, c = state["h"], state["c"]
    summed = graph("Add", x, convolved(graph, h, module.weight_hh, module.bias_hh))
    i, f, g, o = _chunks(graph, summed, 4, module.hidden_size)

    def gate(value: str, row: int, cell: str) -> str:
        if module.peephole is not None:
            weight = graph.constant(module.peephole[row][:, None, None], "peephole")
            value = graph("Add", value, graph("Mul", weight, cell))
        return graph("Sigmoid", value)

    kept = graph("Mul", gate(f, 1, c), c)
    new = graph("Add", kept, graph("Mul", gate(i, 0, c), graph("Tanh", g)))
    return {"h": graph("Mul", gate(o, 2, new), graph("Tanh", new)), "c": new}
