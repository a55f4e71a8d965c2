"""What the layers of a model write into: a graph, the lengths of its sequences, and the states that it carries.

Legend: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from ...errors import ConfigError
from .graph import FLOAT, INT64, Graph

Tensor = torch.Tensor
BATCH, TIME = "batch", "time"


class Unsupported(ConfigError):
    """A part of a model that cannot be written as an ONNX graph."""


@dataclass(frozen=True)
class StatePort:
    """A tensor of a state: an input of the graph, and the output that holds it after the steps.

    Attributes:
        input, output: their names.
        shape: with names in place of free sizes.
        start: the values before the first step, with 1 for a free size; None: zeros.
    """

    input: str
    output: str
    shape: tuple[int | str, ...]
    start: np.ndarray[Any, Any] | None = None

    @property
    def batch_axis(self) -> int:
        """Where the batch lies."""
        return self.shape.index(BATCH)


class Steps(NamedTuple):
    """Sequences in a graph.

    Attributes:
        value: [B, T, ...].
        lengths: int64 [B], the valid steps of each row; None: all are valid.
        clean: whether the value is 0 behind each row's length.
    """

    value: str
    lengths: str | None = None
    clean: bool = False


class Written(NamedTuple):
    """What a layer over sequences has written.

    Attributes:
        steps: its outputs.
        last: the output at each row's last valid step [B, F]; None: it is taken from the outputs.
    """

    steps: Steps
    last: str | None = None


class Writer:
    """A graph under construction, with what all of its layers share.

    Args:
        name: of the graph.
        carry: whether states are inputs and outputs; else each call begins with the initial ones.
    """

    def __init__(self, name: str, *, carry: bool) -> None:
        self.graph, self.carry = Graph(name), carry
        self.states: list[StatePort] = []
        """Those whose outputs are written."""
        self._taken: set[str] = set()
        self._valid: dict[str, str] = {}
        self._transposed: dict[str, str] = {}
        self._ends: list[tuple[StatePort, str]] = []
        self.batch = ""
        """int64 [1], the number of rows; set by the first input."""

    # --- inputs ------------------------------------------------------------------------------------------------------

    def sequences(self, name: str, kind: int, *features: int | str, lengths: bool = True) -> Steps:
        """Add an input [B, T, ...] and, unless there are none, the input "lengths"."""
        value = self.graph.input(name, kind, [BATCH, TIME, *features])
        self.batch = self.size(value, 0)
        return Steps(value, self.graph.input("lengths", INT64, [BATCH]) if lengths else None)

    # --- states ------------------------------------------------------------------------------------------------------

    def begin_state(self, name: str, shape: Sequence[int | str], start: Tensor | None = None) -> tuple[str, StatePort]:
        """Return a tensor of a state before the steps, and the port for :meth:`end_state`.

        Args:
            name: a name for it; it gets a number where it is taken.
            shape: with BATCH for the number of rows, and other texts for sizes that change from call to call.
            start: the values before the first step, with 1 for the batch; None: zeros.

        Returns:
            The value, "" where zeros are meant and nothing is carried.
        """
        count = 1 + sum(one == name or one.startswith(f"{name}_") for one in self._taken)
        unique = name if count == 1 else f"{name}_{count}"
        self._taken.add(unique)
        zeros = start is None or (not bool(start.any()) and start.shape[1:] == tuple(shape)[1:])
        values = None if start is None or zeros else start.detach().float().cpu().numpy()
        port = StatePort(unique, f"{unique}_out", tuple(shape), values)
        if self.carry:
            return self.graph.root.input(unique, FLOAT, port.shape), port
        return ("" if values is None else self.expanded(self.graph.constant(values, "start"), port)), port

    def end_state(self, port: StatePort, value: str) -> None:
        """Declare what a tensor of a state is after the steps."""
        if self.carry:
            self._ends.append((port, value))

    def write_states(self) -> None:
        """Add the outputs of the states, behind those of the model."""
        for port, value in self._ends:
            shape = [one if one == BATCH or isinstance(one, int) else f"{one}_out" for one in port.shape]
            self.graph.output(value, port.output, FLOAT, shape)
            self.states.append(port)

    def unless_empty(self, x: str, features: int, write: Callable[[str], str]) -> str:
        """Write what a function makes of sequences; where they have no step, none come out and states stay.

        ONNX Runtime's recurrent operators end the process where there is no step.

        Args:
            x: [B, T, ...], T may be 0.
            features: of what comes out [B, T, F].
            write: takes x and returns what comes out.
        """
        graph, kept, ends = self.graph, (dict(self._valid), dict(self._transposed)), self._ends
        there = graph("Greater", graph("Squeeze", self.size(x, 1), graph.ints(0)), graph.whole(0))
        run, leave = graph.body("steps"), graph.body("no_steps")
        self.graph, self._ends = run, []
        run.result(write(x), FLOAT)
        ended, self.graph, self._ends = self._ends, graph, ends
        self._valid, self._transposed = kept
        leave.result(leave("Expand", leave.number(0.0), graph_sizes(leave, self.batch, 0, features)), FLOAT)
        for port, value in ended:
            run.result(value, FLOAT)
            leave.result(port.input, FLOAT)
        y, *after = graph.several(
            "If", there, outputs=1 + len(ended), then_branch=run.proto(), else_branch=leave.proto()
        )
        for (port, _), value in zip(ended, after, strict=True):
            self.end_state(port, value)
        return y

    def expanded(self, value: str, port: StatePort) -> str:
        """A value with 1 in place of the batch, repeated for each row."""
        graph = self.graph
        before, after = port.shape[: port.batch_axis], port.shape[port.batch_axis + 1 :]
        sizes = [graph.ints(*(1 for _ in before)) if before else "", self.batch, graph.ints(*(1 for _ in after))]
        return graph("Expand", value, graph("Concat", *(one for one in sizes if one), axis=0))

    def filled(self, value: str, port: StatePort) -> str:
        """The same state with zeros in place of ""."""
        if value:
            return value
        sizes = [1 if one == BATCH else one for one in port.shape]
        return self.expanded(self.graph.constant(np.zeros(sizes, np.float32), "zeros"), port)

    # --- shapes and lengths ------------------------------------------------------------------------------------------

    def size(self, value: str, axis: int) -> str:
        """One size of a value, int64 [1]."""
        return self.graph("Shape", value, start=axis, end=axis + 1)

    def valid(self, steps: Steps) -> str:
        """Bool [B, T], true at the valid steps."""
        assert steps.lengths is not None
        if steps.lengths not in self._valid:
            graph = self.graph
            time = graph("Squeeze", self.size(steps.value, 1), graph.ints(0))
            numbers = graph("Range", graph.whole(0), time, graph.whole(1))
            self._valid[steps.lengths] = graph("Less", numbers, graph("Unsqueeze", steps.lengths, graph.ints(1)))
        return self._valid[steps.lengths]

    def masked(self, steps: Steps, rank: int = 3) -> Steps:
        """The same sequences with 0 behind each row's length.

        Args:
            steps: of which the value has so many axes.
            rank: the number of axes.
        """
        if steps.lengths is None or steps.clean:
            return steps
        graph, valid = self.graph, self.valid(steps)
        if rank > 2:
            valid = graph("Unsqueeze", valid, graph.ints(*range(2, rank)))
        zero = graph.whole(0) if rank == 2 else graph.number(0.0)
        return steps._replace(value=graph("Where", valid, steps.value, zero), clean=True)

    def last_valid(self, steps: Steps) -> str:
        """The values [B, F] at each row's last valid step."""
        graph = self.graph
        if steps.lengths is None:
            return graph("Gather", steps.value, graph.whole(-1), axis=1)
        index = graph("Unsqueeze", graph("Sub", steps.lengths, graph.whole(1)), graph.ints(1))
        return graph("GatherND", steps.value, index, batch_dims=1)

    # --- products ----------------------------------------------------------------------------------------------------

    def linear(self, x: str, weight: Tensor, bias: Tensor | None, name: str = "weight") -> str:
        """x Wᵀ + b over the last axis, with the weight [out, in]."""
        y = self.graph("MatMul", x, self.transposed(weight, name))
        return y if bias is None else self.graph("Add", y, self.graph.constant(bias.float(), "bias"))

    def transposed(self, weight: Tensor, name: str = "weight") -> str:
        """Wᵀ; where W is a constant already (tied embeddings), it is not stored twice."""
        found = self.graph.constants_like(weight)
        if found is None:
            return self.graph.constant(weight.detach().float().T, name)
        if found not in self._transposed:
            self._transposed[found] = self.graph("Transpose", found, perm=[1, 0])
        return self._transposed[found]


def graph_sizes(graph: Graph, batch: str, *sizes: int) -> str:
    """A shape whose first size is the number of rows, int64 [n]."""
    return graph("Concat", batch, graph.ints(*sizes), axis=0)
