"""Recurrent layers in a graph: ONNX's own operators RNN, LSTM and GRU where they compute the recurrence.

    ONNX's gates: LSTM i, o, f, c of our i, f, g, o; GRU z, r, h of our r, z, n

A GRU of the usual form has ``linear_before_reset=1``, one with ``reset_after=False`` 0. Layer normalisation, zoneout
and projections, which the operators lack, are written step by step (:mod:`.expanded`).

Legend: B batch, T time, I input, H hidden, L layers, D directions.
"""

from __future__ import annotations

from typing import Any

import torch

from . import expanded
from .activations import OF_OPERATORS
from .graph import INT32, Graph
from .recurrences import Direction, Recurrence, recurrence_of, recurrences_of_cells
from .writer import BATCH, Steps, Tensor, Writer, Written

OPERATORS = {"simple_rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def write_recurrent(writer: Writer, module: Any, steps: Steps) -> Written:
    """Write a recurrent layer of rnnkit's or PyTorch's."""
    return write_recurrence(writer, recurrence_of(module), steps)


def write_cells(writer: Writer, module: Any, steps: Steps) -> Written:
    """Write a :class:`rnnkit.RNN` over cells that rnnkit knows."""
    found = [write_recurrence(writer, one, steps) for one in recurrences_of_cells(module)]
    if len(found) == 1:
        return found[0]
    y, last = zip(*((one.steps.value, one.last) for one in found), strict=True)
    joined = writer.graph("Concat", *y, axis=2), writer.graph("Concat", *last, axis=1)
    return Written(found[0].steps._replace(value=joined[0]), joined[1])


def write_recurrence(writer: Writer, recurrence: Recurrence, steps: Steps, resets: str | None = None) -> Written:
    """Write a stack of recurrent layers.

    Args:
        writer: of the graph.
        recurrence: what they compute.
        steps: [B, T, I].
        resets: bool [B, T], true where a row's state is put back to the initial one before the step.
    """
    sequences, states = write_time_first(
        writer, recurrence, writer.graph("Transpose", steps.value, perm=[1, 0, 2]), steps, resets
    )
    y = writer.graph("Transpose", sequences, perm=[1, 0, 2])
    return Written(Steps(y, steps.lengths, clean=True), _last_output(writer, recurrence, states["h"]))


def write_time_first(
    writer: Writer,
    recurrence: Recurrence,
    x: str,
    steps: Steps,
    resets: str | None = None,
    begin: dict[str, str] | None = None,
) -> tuple[str, dict[str, str]]:
    """Write a stack of recurrent layers over sequences with the time first.

    Args:
        writer, recurrence, resets: as for :func:`write_recurrence`.
        x: [T, B, I].
        steps: the same sequences with the batch first, for their lengths.
        begin: the state before the first step by name; None: the model's initial one, or what it carries.

    Returns:
        the outputs [T, B, D·S], and the state after them by name, [L·D, B, S].
    """
    graph, sizes = writer.graph, recurrence.state_sizes
    rows = len(recurrence.layers) * recurrence.directions
    ports = {}
    before: dict[str, str] = dict(begin or {})
    for name, size in sizes.items() if begin is None else ():
        shape = (rows, BATCH, size) if recurrence.stacked else (BATCH, size)
        start = recurrence.start.get(name)
        before[name], ports[name] = writer.begin_state(name, shape, start)
        if before[name] and not recurrence.stacked:
            before[name] = graph("Unsqueeze", before[name], graph.ints(0))
    after: dict[str, list[str]] = {name: [] for name in sizes}
    for number, directions in enumerate(recurrence.layers):
        first = number * recurrence.directions
        here = {
            name: value and _rows(graph, value, first, recurrence.directions, rows) for name, value in before.items()
        }
        if resets is None and all(one.problem() is None for one in directions):
            x, found = _operator(writer, directions, x, steps, here)
        else:
            x, found = expanded.write_directions(writer, directions, x, steps, here, resets, recurrence.start, first)
        for name, value in found.items():
            after[name].append(value)
    last = {name: graph("Concat", *found, axis=0) if len(found) > 1 else found[0] for name, found in after.items()}
    for name, port in ports.items():
        writer.end_state(port, last[name] if recurrence.stacked else graph("Squeeze", last[name], graph.ints(0)))
    return x, last


def _rows(graph: Graph, state: str, first: int, count: int, rows: int) -> str:
    """Some rows of a state [L·D, B, S]."""
    if count == rows:
        return state
    return graph("Slice", state, graph.ints(first), graph.ints(first + count), graph.ints(0))


def _last_output(writer: Writer, recurrence: Recurrence, h: str) -> str:
    """The top layer's output at each row's last valid step [B, D·S], of its state h [L·D, B, S]."""
    graph, count = writer.graph, recurrence.directions
    picked = [graph("Gather", h, graph.whole(place), axis=0) for place in range(-count, 0)]
    return picked[0] if count == 1 else graph("Concat", *picked, axis=-1)


def _operator(
    writer: Writer, directions: tuple[Direction, ...], x: str, steps: Steps, before: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """One layer as ONNX's operator: x [T, B, I] → [T, B, D·H]."""
    graph, one = writer.graph, directions[0]
    weights, attributes = operator_weights(directions)
    names = [graph.constant(weights[name], name) for name in ("W", "R", "B")]
    lengths = "" if steps.lengths is None else graph("Cast", steps.lengths, to=INT32)
    inputs = [x, *names, lengths, before["h"]]
    if one.kind == "lstm":
        inputs.append(before["c"])
        if "P" in weights:
            inputs.append(graph.constant(weights["P"], "P"))
    while not inputs[-1]:
        inputs.pop()
    y, *after = graph.several(OPERATORS[one.kind], *inputs, outputs=1 + len(one.state_sizes), **attributes)
    if len(directions) == 1:
        y = graph("Squeeze", y, graph.ints(1))
    else:  # [T, D, B, H] → [T, B, D·H]
        y = graph("Reshape", graph("Transpose", y, perm=[0, 2, 1, 3]), graph.ints(0, 0, -1))
    return y, dict(zip(one.state_sizes, after, strict=True))


def operator_weights(directions: tuple[Direction, ...]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors W, R, B (and P) of ONNX's operator, and its attributes."""
    one = directions[0]
    attributes: dict[str, Any] = {"hidden_size": one.hidden}
    attributes["direction"] = "bidirectional" if len(directions) == 2 else "reverse" if one.reverse else "forward"
    attributes |= _activations(directions)
    if one.kind == "gru":
        attributes["linear_before_reset"] = int(one.reset_after)
    found = {
        "W": torch.stack([in_onnx_order(each.kind, each.weights.w_ih) for each in directions]),
        "R": torch.stack([in_onnx_order(each.kind, each.weights.w_hh) for each in directions]),
        "B": torch.stack([torch.cat([in_onnx_order(each.kind, b) for b in each.bias()]) for each in directions]),
    }
    if one.options.peephole is not None:
        found["P"] = torch.stack([_peephole(each) for each in directions])
    return {name: tensor.detach().float() for name, tensor in found.items()}, attributes


def _activations(directions: tuple[Direction, ...]) -> dict[str, Any]:
    """The operator's functions where they are not its usual ones: of each direction, the gates' first."""
    names = []
    for each in directions:
        phi, rho = each.nonlinearity, each.gate
        names += {"simple_rnn": [phi], "gru": [rho, phi], "lstm": [rho, phi, phi]}[each.kind]
    usual: dict[str, list[str]] = {"gru": ["sigmoid", "tanh"], "lstm": ["sigmoid", "tanh", "tanh"]}
    if names == usual.get(directions[0].kind, []) * len(directions):
        return {}
    found: dict[str, Any] = {"activations": [OF_OPERATORS[name][0] for name in names]}
    numbers = [both for name in names if (both := OF_OPERATORS[name][1]) is not None]
    if numbers:
        found |= {"activation_alpha": [a for a, _ in numbers], "activation_beta": [b for _, b in numbers]}
    return found


def in_onnx_order(kind: str, weight: Tensor) -> Tensor:
    """Rows of gates in ONNX's order."""
    if kind == "lstm":
        i, f, g, o = weight.chunk(4)
        return torch.cat((i, o, f, g))
    if kind == "gru":
        r, z, n = weight.chunk(3)
        return torch.cat((z, r, n))
    return weight


def _peephole(direction: Direction) -> Tensor:
    peephole = direction.options.peephole
    assert peephole is not None
    i, f, o = peephole
    return torch.cat((i, o, f))
