"""Recurrences step by step in a Scan, for options that ONNX's operators lack: their equations in plain operators.

The equations are those of :mod:`rnnkit.ops.lstm`, :mod:`rnnkit.ops.gru` and :mod:`rnnkit.ops.simple_rnn`. What depends
on the input alone, W x + b, is one product over all steps in front of the loop.

Legend: B batch, T time, I input, H hidden, S features of h, G gates.
"""

from __future__ import annotations

from collections.abc import Callable

from ...ops.normalisation import EPS
from .activations import activated
from .dense import layer_normalised
from .graph import BOOL, FLOAT, Graph
from .recurrences import GATES, Direction, Recurrence
from .writer import Steps, Tensor, Writer

State = dict[str, str]


def write_directions(
    writer: Writer,
    directions: tuple[Direction, ...],
    x: str,
    steps: Steps,
    before: State,
    resets: str | None,
    start: dict[str, Tensor],
    first: int,
) -> tuple[str, State]:
    """Write one layer: x [T, B, I] → outputs [T, B, D·S] and the states [D, B, S].

    Args:
        writer: of the graph.
        directions: one or two.
        x: the input.
        steps: for the lengths.
        before: the states before the first step, [D, B, S] each; "" for zeros.
        resets: bool [B, T]; None: none.
        start: the learned initial states [L·D, 1, S], which resets put a row back to.
        first: the row of the first direction in the states of the whole stack.
    """
    graph = writer.graph
    outputs, after = [], []
    for place, direction in enumerate(directions):
        state = {}
        for name, size in direction.state_sizes.items():
            value = before[name]
            if value:
                state[name] = graph("Gather", value, graph.whole(place), axis=0)
            else:
                state[name] = _zeros(writer, size)
        initial = {name: graph.constant(values[first + place].detach(), "start") for name, values in start.items()}
        y, last = _write_direction(writer, direction, x, steps, state, resets, initial)
        outputs.append(y)
        after.append({name: graph("Unsqueeze", value, graph.ints(0)) for name, value in last.items()})
    if len(directions) == 1:
        return outputs[0], after[0]
    joined = {name: graph("Concat", *(one[name] for one in after), axis=0) for name in after[0]}
    return graph("Concat", *outputs, axis=-1), joined


def _zeros(writer: Writer, size: int) -> str:
    """Zeros [B, size]."""
    graph = writer.graph
    return graph("Expand", graph.number(0.0), graph("Concat", writer.batch, graph.ints(size), axis=0))


def _write_direction(
    writer: Writer,
    direction: Direction,
    x: str,
    steps: Steps,
    state: State,
    resets: str | None,
    initial: State,
) -> tuple[str, State]:
    graph, weights, norm = writer.graph, direction.weights, direction.options.norm
    with graph.scope("input"):
        from_input = pre_activation(graph, x, weights.w_ih, weights.b_ih, None if norm is None else norm.gain_ih)
    sequences = [from_input]
    body = graph.body("step")
    before = {name: body.input(f"{body.name}/{name}", FLOAT, None) for name in state}
    x_t = body.input(f"{body.name}/x", FLOAT, None)
    valid_t = reset_t = None
    if steps.lengths is not None:
        sequences.append(graph("Unsqueeze", graph("Transpose", writer.valid(steps), perm=[1, 0]), graph.ints(2)))
        valid_t = body.input(f"{body.name}/valid", BOOL, None)
    if resets is not None:
        sequences.append(graph("Unsqueeze", graph("Transpose", resets, perm=[1, 0]), graph.ints(2)))
        reset_t = body.input(f"{body.name}/reset", BOOL, None)
    old = before
    if reset_t is not None:
        zero = graph.number(0.0)
        old = {name: body("Where", reset_t, initial.get(name, zero), value) for name, value in before.items()}
    new = STEPS[direction.kind](body, direction, x_t, old)
    kept = new
    y_t = new["h"]
    if valid_t is not None:
        kept = {name: body("Where", valid_t, value, before[name]) for name, value in new.items()}
        y_t = body("Where", valid_t, y_t, graph.number(0.0))
    for value in [*kept.values(), y_t]:
        body.result(value, FLOAT)
    *after, y = graph.scan(body, list(state.values()), sequences, outputs=1, reverse=direction.reverse)
    return y, dict(zip(state, after, strict=True))


# --- parts of a step -------------------------------------------------------------------------------------------------


def pre_activation(graph: Graph, x: str, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> str:
    """W x + b, or gain ⊙ N(W x) + b with a gain."""
    y = graph("MatMul", x, graph.constant(weight.detach().T, "weight"))
    if gain is not None:
        return layer_normalised(graph, y, gain, bias, EPS)
    return y if bias is None else graph("Add", y, graph.constant(bias, "bias"))


def _gates(graph: Graph, value: str, direction: Direction, count: int | None = None) -> tuple[str, ...]:
    """The gates of [B, G·H], one by one."""
    count = GATES[direction.kind] if count is None else count
    return graph.several("Split", value, graph.ints(*[direction.hidden] * count), outputs=count, axis=-1)


def _zoned(graph: Graph, share: Tensor | None, old: str, new: str) -> str:
    """ζ ⊙ old + (1 − ζ) ⊙ new."""
    if share is None:
        return new
    kept = graph("Mul", graph.constant(share, "zoneout"), old)
    return graph("Add", kept, graph("Mul", graph.constant(1 - share.detach(), "zoneout"), new))


def _from_state(graph: Graph, direction: Direction, h: str) -> str:
    norm = direction.options.norm
    gain = None if norm is None else norm.gain_hh
    return pre_activation(graph, h, direction.weights.w_hh, direction.weights.b_hh, gain)


def _simple_rnn(graph: Graph, direction: Direction, x: str, state: State) -> State:
    h = state["h"]
    summed = graph("Add", x, _from_state(graph, direction, h))
    new = activated(graph, direction.nonlinearity, summed)
    return {"h": _zoned(graph, direction.options.zoneout_h, h, new)}


def _lstm(graph: Graph, direction: Direction, x: str, state: State) -> State:
    h, c, options = state["h"], state["c"], direction.options
    i, f, g, o = _gates(graph, graph("Add", x, _from_state(graph, direction, h)), direction)
    peephole = options.peephole

    def peeped(gate: str, row: int, cell: str) -> str:
        if peephole is None:
            return gate
        return graph("Add", gate, graph("Mul", graph.constant(peephole[row], "peephole"), cell))

    phi, rho = direction.nonlinearity, direction.gate
    i, f = activated(graph, rho, peeped(i, 0, c)), activated(graph, rho, peeped(f, 1, c))
    g = activated(graph, phi, g)
    new_c = graph("Add", graph("Mul", f, c), graph("Mul", i, g))
    o = activated(graph, rho, peeped(o, 2, new_c))
    inner = new_c
    if options.norm is not None:
        assert options.norm.gain_c is not None
        inner = layer_normalised(graph, new_c, options.norm.gain_c, options.norm.shift_c, EPS)
    new_h = graph("Mul", o, activated(graph, phi, inner))
    if direction.weights.w_hr is not None:
        new_h = graph("MatMul", new_h, graph.constant(direction.weights.w_hr.detach().T, "projection"))
    return {"h": _zoned(graph, options.zoneout_h, h, new_h), "c": _zoned(graph, options.zoneout_c, c, new_c)}


def _gru(graph: Graph, direction: Direction, x: str, state: State) -> State:
    h, weights, rho = state["h"], direction.weights, direction.gate
    x_r, x_z, x_n = _gates(graph, x, direction)
    if direction.reset_after:
        h_r, h_z, h_n = _gates(graph, _from_state(graph, direction, h), direction)
        r = activated(graph, rho, graph("Add", x_r, h_r))
        inner = graph("Mul", r, h_n)
    else:
        size = 2 * direction.hidden
        u_rz, u_n = weights.w_hh[:size], weights.w_hh[size:]
        b_rz, b_n = (None, None) if weights.b_hh is None else (weights.b_hh[:size], weights.b_hh[size:])
        h_r, h_z = _gates(graph, pre_activation(graph, h, u_rz, b_rz, None), direction, 2)
        r = activated(graph, rho, graph("Add", x_r, h_r))
        inner = pre_activation(graph, graph("Mul", r, h), u_n, b_n, None)
    z = activated(graph, rho, graph("Add", x_z, h_z))
    n = activated(graph, direction.nonlinearity, graph("Add", x_n, inner))
    new = graph("Add", graph("Mul", graph("Sub", graph.number(1.0), z), n), graph("Mul", z, h))
    return {"h": _zoned(graph, direction.options.zoneout_h, h, new)}


STEPS: dict[str, Callable[[Graph, Direction, str, State], State]] = {
    "simple_rnn": _simple_rnn,
    "lstm": _lstm,
    "gru": _gru,
}


def step_stack(graph: Graph, recurrence: Recurrence, x: str, state: State) -> tuple[str, State]:
    """Write one step of a stack of layers in one direction, within the body of a Scan.

    Args:
        graph: the body.
        recurrence: the layers.
        x: [B, I].
        state: [L, B, S] by name.

    Returns:
        the top layer's output [B, S], and the state after the step.
    """
    after: dict[str, list[str]] = {name: [] for name in state}
    for number, (direction,) in enumerate(recurrence.layers):
        norm, weights = direction.options.norm, direction.weights
        x = pre_activation(graph, x, weights.w_ih, weights.b_ih, None if norm is None else norm.gain_ih)
        before = {name: graph("Gather", value, graph.whole(number), axis=0) for name, value in state.items()}
        new = STEPS[direction.kind](graph, direction, x, before)
        x = new["h"]
        for name, value in new.items():
            after[name].append(graph("Unsqueeze", value, graph.ints(0)))
    return x, {name: graph("Concat", *found, axis=0) for name, found in after.items()}
