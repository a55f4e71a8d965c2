"""Tensors within a graph model, with their types, their sizes as far as they are known, and their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .graph import BOOL, FLOAT, INT64, Graph
from .writer import Writer

Sizes = tuple[int | None, ...]


class Value(NamedTuple):
    """A tensor.

    Attributes:
        name: in the graph.
        kind: FLOAT, INT64 or BOOL.
        sizes: of its axes, None where one is free; the batch is the first.
    """

    name: str
    kind: int
    sizes: Sizes

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.sizes)


class MaskOf(NamedTuple):
    """Which steps count.

    Attributes:
        name: a bool, as long as the first axes of the tensor.
        rank: the number of its axes.
        lengths: int64 [B], where the mask is true up to these steps alone, at least 1; "": it may lie anywhere.
    """

    name: str
    rank: int = 2
    lengths: str = ""


Masked = MaskOf | None
Result = tuple[list[Value], list[Masked]]


def cast(graph: Graph, value: Value, kind: int) -> Value:
    """The same numbers in another type."""
    return value if value.kind == kind else value._replace(name=graph("Cast", value.name, to=kind), kind=kind)


def as_mask(graph: Graph, name: str) -> str:
    """A bool [...] as float32."""
    return graph("Cast", name, to=FLOAT)


def any_of(graph: Graph, name: str, axes: Sequence[int], keep: bool = False) -> str:
    """Whether a bool is true anywhere on some axes."""
    return graph("Cast", graph("ReduceMax", as_mask(graph, name), axes=list(axes), keepdims=int(keep)), to=BOOL)


def flipped(graph: Graph, name: str, axis: int = 1) -> str:
    """A tensor with one axis from its end to its beginning."""
    ends = graph.ints(-(1 << 62))
    return graph("Slice", name, graph.ints(-1), ends, graph.ints(axis), graph.ints(-1))


def reshaped(writer: Writer, value: Value, sizes: Sizes) -> Value:
    """A tensor in other sizes, of which the first is the batch and one more at most is free."""
    wanted = [0, *(-1 if one is None else one for one in sizes[1:])]
    name = writer.graph("Reshape", value.name, writer.graph.ints(*wanted))
    return Value(name, value.kind, sizes)


def of_number(number: float) -> int:
    """The type of a number."""
    if isinstance(number, bool):
        return BOOL
    return INT64 if isinstance(number, int) else FLOAT


def wider(kinds: Sequence[int]) -> int:
    """The type that several meet in."""
    return max(kinds, key=[BOOL, INT64, FLOAT].index)
