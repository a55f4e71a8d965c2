"""A model's summary as a table: what each layer holds and costs, and the totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .tables import aligned, html, quantity, size

_NOT_COUNTED = "not counted"
_HEADER = ("layer", "kind", "output", "trainable", "frozen", "forward", "backward", "weights", "activations")


@dataclass(frozen=True)
class Row:
    """A layer, or (``level`` 1) one layer of a recurrent stack, whose numbers are contained in the row above it.

    Attributes:
        name: as ``model.named_modules()`` has it.
        kind: its class.
        output: shape of what its first call returned; None where it was not called.
        trainable, frozen: numbers that train and do not; shared ones stand in the first row that has them.
        forward, backward: FLOPs, a multiply-add counted as 2; None: not counted.
        weights, gradients: bytes of parameters and buffers, and of the gradients that training gives them.
        optimizer: bytes of the optimizer's state; None: not known.
        activations: bytes kept for the backward pass; None: not known.
        note: a remark on the numbers.
    """

    name: str
    kind: str
    level: int
    output: tuple[int, ...] | None
    trainable: int
    frozen: int
    forward: int | None
    backward: int | None
    weights: int
    gradients: int
    optimizer: int | None
    activations: int | None
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """A model by layers; print it, or read ``rows`` and the totals. In a notebook it is a table.

    Attributes:
        rows: in the order of the model's modules.
        optimizer: the optimizer that the bytes of its state are of.
        ran: whether the model was run on a shape or a batch: otherwise shapes, FLOPs and activations are unknown.
    """

    rows: tuple[Row, ...]
    optimizer: str
    ran: bool

    @property
    def trainable(self) -> int:
        """Numbers that train."""
        return sum(row.trainable for row in self._layers)

    @property
    def frozen(self) -> int:
        """Numbers that do not train."""
        return sum(row.frozen for row in self._layers)

    @property
    def parameters(self) -> int:
        """Numbers, trainable or not."""
        return self.trainable + self.frozen

    @property
    def forward(self) -> int:
        """FLOPs of a forward pass, without the layers in `uncounted`."""
        return sum(row.forward or 0 for row in self._layers)

    @property
    def backward(self) -> int:
        """FLOPs of a backward pass, without the layers in `uncounted`."""
        return sum(row.backward or 0 for row in self._layers)

    @property
    def flops(self) -> int:
        """FLOPs of a training step, forward and backward."""
        return self.forward + self.backward

    @property
    def weights(self) -> int:
        """Bytes of parameters and buffers."""
        return sum(row.weights for row in self._layers)

    @property
    def gradients(self) -> int:
        """Bytes of the gradients."""
        return sum(row.gradients for row in self._layers)

    @property
    def optimizer_state(self) -> int | None:
        """Bytes of the optimizer's state; None where it is not known."""
        return sum_or_none(row.optimizer for row in self._layers)

    @property
    def activations(self) -> int:
        """Bytes kept for the backward pass, without the layers of which they are not known."""
        return sum(row.activations or 0 for row in self._layers)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Names of the layers that were called and whose FLOPs are not in the totals."""
        return tuple(row.name for row in self._layers if row.output is not None and row.forward is None)

    @property
    def _layers(self) -> list[Row]:
        return [row for row in self.rows if row.level == 0]

    def __repr__(self) -> str:
        step = f", {quantity(self.flops, 'FLOP')} a step" if self.ran else ""
        return f"Summary({len(self._layers)} layers, {self.parameters:,} parameters{step}; print it for the table)"

    def __str__(self) -> str:
        return "\n".join([aligned(_HEADER, [*self._cells(), self._totals()], left=3, total=True), *self._below()])

    def _repr_html_(self) -> str:
        return html(_HEADER, [*self._cells(), self._totals()], self._below(), left=3)

    def _cells(self) -> list[list[str]]:
        return [
            [
                "  " * row.level + row.name,
                row.kind,
                " × ".join(map(str, row.output)) if row.output is not None else "—",
                f"{row.trainable:,}",
                f"{row.frozen:,}",
                *(self._amount(number, row) for number in (row.forward, row.backward)),
                size(row.weights),
                "—" if row.output is None else _NOT_COUNTED if row.activations is None else size(row.activations),
            ]
            for row in self.rows
        ]

    def _amount(self, number: int | None, row: Row) -> str:
        if number is not None:
            return quantity(number, "FLOP")
        if row.output is not None:
            return _NOT_COUNTED
        return "not called" if self.ran else "—"

    def _totals(self) -> list[str]:
        ran = [quantity(self.forward, "FLOP"), quantity(self.backward, "FLOP")] if self.ran else ["—", "—"]
        kept = size(self.activations) if self.ran else "—"
        return ["total", "", "", f"{self.trainable:,}", f"{self.frozen:,}", *ran, size(self.weights), kept]

    def _below(self) -> list[str]:
        state = self.optimizer_state
        memory = [
            f"weights {size(self.weights)}",
            f"gradients {size(self.gradients)}",
            f"{self.optimizer}'s state {_NOT_COUNTED if state is None else size(state)}",
        ]
        total = self.weights + self.gradients + (state or 0)
        if self.ran:
            memory.append(f"activations {size(self.activations)}")
            total += self.activations
        lines = [f"Parameters: {self.parameters:,}, of which {self.trainable:,} train"]
        if self.ran:
            lines.append(f"A training step: {quantity(self.flops, 'FLOP')}, a multiply-add counted as 2")
        lines.append(f"Memory of training: {', '.join(memory)}; together {size(total)}, without the batch")
        if not self.ran:
            lines.append("Output shapes, FLOPs and activations need a shape, as in summary((32, 100, 28)), or a batch")
        if self.uncounted:
            lines.append(f"Not in the totals, FLOPs not counted: {', '.join(self.uncounted)}")
        if unknown := [row.name for row in self._layers if row.output is not None and row.activations is None]:
            lines.append(f"Not in the totals, activations not known: {', '.join(unknown)}")
        return [*lines, *(f"{row.name}: {row.note}" for row in self.rows if row.note)]


def sum_or_none(numbers: Iterable[int | None]) -> int | None:
    """The sum, or None where one of them is."""
    known = list(numbers)
    return None if any(number is None for number in known) else sum(number or 0 for number in known)
