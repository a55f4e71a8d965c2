"""The parts of an exported model: one graph each, with what checks it against rnnkit.

Legend: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from ...types import State
from .graph import BOOL, FLOAT, INT8, INT32, INT64, UINT8, Graph
from .writer import StatePort, Writer

Tensor = torch.Tensor
Values = dict[str, Tensor]
TYPES = {FLOAT: "float32", INT64: "int64", INT32: "int32", BOOL: "bool", INT8: "int8", UINT8: "uint8"}


@dataclass(frozen=True)
class Port:
    """An input or an output of a graph.

    Attributes:
        name: in the file.
        kind: the number of its elements' type.
        shape: with names in place of free sizes.
        meaning: in words.
    """

    name: str
    kind: int
    shape: tuple[int | str, ...]
    meaning: str

    def as_json(self) -> dict[str, Any]:
        """Return what the description beside the file says."""
        return {"name": self.name, "type": TYPES[self.kind], "shape": list(self.shape), "meaning": self.meaning}


@dataclass(frozen=True)
class Part:
    """A graph, and rnnkit's own computation of the same.

    Attributes:
        name: "" where it is the only one, else what it is called in the name of its file.
        graph: the graph.
        inputs, outputs: its ports, states not among them.
        states: in the order of the tensors of rnnkit's state.
        example: ``(batch, steps, generator) -> inputs``, made ones; with states where the first ones are no zeros.
        run: ``(inputs, state or None) -> (outputs, state)``, rnnkit's own computation; the state is a list of tensors.
        in_chunks: names of the inputs and outputs whose axis 1 is the time, which may come in chunks; (): none may.
        least_steps: the fewest steps that it takes.
        fixed_steps: whether it takes one number of steps alone.
        stepwise: whether a call is one step, with a state that is carried from call to call.
        notes: what else the description says.
    """

    name: str
    graph: Graph
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[StatePort, ...]
    example: Callable[[int, int, torch.Generator], Values]
    run: Callable[[Values, list[Tensor] | None], tuple[Values, list[Tensor]]]
    in_chunks: tuple[str, ...] = ()
    least_steps: int = 1
    fixed_steps: bool = False
    stepwise: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def as_json(self, file: str) -> dict[str, Any]:
        """Return what the description beside the file says of the part."""
        return {
            "name": self.name or "model",
            "file": file,
            "inputs": [port.as_json() for port in self.inputs],
            "outputs": [port.as_json() for port in self.outputs],
            "states": [state_json(state) for state in self.states],
            **self.notes,
        }


def state_json(state: StatePort) -> dict[str, Any]:
    """Return what the description says of a state."""
    return {
        "input": state.input,
        "output": state.output,
        "type": "float32",
        "shape": list(state.shape),
        "start": "zeros" if state.start is None else state.start.tolist(),
    }


def written_part(
    writer: Writer,
    inputs: tuple[Port, ...],
    outputs: tuple[tuple[str, Port], ...],
    **others: Any,
) -> Part:
    """Return a part, with its outputs added to the graph.

    Args:
        writer: of the graph; its inputs are written.
        inputs: their ports.
        outputs: the value and the port of each output.
        others: further fields of :class:`Part`.
    """
    for value, port in outputs:
        writer.graph.output(value, port.name, port.kind, port.shape)
    writer.write_states()
    return Part(
        graph=writer.graph,
        inputs=inputs,
        outputs=tuple(port for _, port in outputs),
        states=tuple(writer.states),
        **others,
    )


def state_like(leaves: list[Tensor], like: State) -> State:
    """Return a state with these tensors, nested as another one."""
    found = iter(leaves)

    def build(part: State) -> State:
        if part is None:
            return None
        return next(found) if isinstance(part, Tensor) else tuple(build(one) for one in part)

    return build(like)


def leaves_of(state: State) -> list[Tensor]:
    """Return the tensors of a state, in order; a part that has none is left out."""
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [state]
    return [leaf for part in state for leaf in leaves_of(part)]


def unequal_lengths(batch: int, time: int, least: int = 1) -> Tensor:
    """Lengths [B] in no order from the least to T, T among them."""
    return torch.tensor([least + (time - least - 3 * row) % (time - least + 1) for row in range(batch)])
