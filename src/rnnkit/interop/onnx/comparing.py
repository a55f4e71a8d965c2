"""What weights in 8 bits change: the size of a file, the time of a call, and figures on rows with known answers."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from ...errors import ConfigError, DataError, RnnkitError
from ...ops.losses import resolve_loss
from ...types import Sequences
from .checking import Session, deviation, start_of
from .parts import Part, Tensor, Values
from .writer import BATCH

_ROWS, _STEPS, _REPEATS = 16, 50, 5
_MOST = 10_000  # rows that are measured on
_BATCH = 250


@dataclass(frozen=True)
class Quantised:
    """A graph in float32 and with weights in 8 bits; each pair is before and after.

    Attributes:
        part: the name of the part.
        form: "runtime" or "portable".
        bits: of the weights: 7 where some meet quantised inputs and the processor asks for it, 32 where all are small.
        sizes: bytes of the files.
        milliseconds: processor time of a call, on one thread.
        change: the largest deviation of an output on made inputs.
        figures: on rows with known answers, such as the loss; {} where there were none.
        reason: why so many bits, as the rest of a sentence.
    """

    part: str
    form: str
    bits: int
    sizes: tuple[int, int]
    milliseconds: tuple[float, float]
    change: float
    figures: dict[str, tuple[float, float]] = field(default_factory=dict)
    reason: str = ""

    def lines(self) -> list[str]:
        """Return the report for the user, a sentence each."""
        size, small = self.sizes
        before, after = self.milliseconds
        why = f"{self.bits} bits, {self.reason}" if self.reason else f"{self.bits} bits"
        told = [
            f"{self.part} in {why}: {size / 1e3:.1f} kB → {small / 1e3:.1f} kB ({small / size:.2f} ×)",
            f"{self.part}: {before:.2f} ms → {after:.2f} ms a call ({before / max(after, 1e-9):.2f} × as fast)",
            f"{self.part}: the largest change of an output on made inputs is {self.change:.1e}",
        ]
        for name, (one, other) in self.figures.items():
            shown = f"{one:.2%} → {other:.2%}" if name == "accuracy" else f"{one:.4f} → {other:.4f}"
            told.append(f"{self.part}: {name} {shown}")
        return told


def compare(
    part: Part,
    plain: bytes,
    small: bytes,
    *,
    form: str,
    bits: int,
    reason: str = "",
    model: Any = None,
    rows: tuple[Any, Any, Any] | None,
) -> Quantised:
    """Measure a graph before and after.

    Args:
        part: the graph.
        plain, small: the files in float32 and in 8 bits.
        form, bits, reason: how it was written; see :class:`Quantised`.
        model: rnnkit's, for its loss.
        rows: inputs, targets and the loss; None: no figures.
    """
    sessions = Session(plain, threads=1), Session(small, threads=1)
    steps = part.least_steps if part.fixed_steps else 1 if part.stepwise else _STEPS + part.least_steps
    with torch.no_grad():
        inputs = part.example(_ROWS, steps, torch.Generator().manual_seed(0))
        given = start_of(part, _ROWS) | inputs
        one, other = (session(given) for session in sessions)
        change = max(deviation(other[name], one[name]) for name in one if one[name].is_floating_point())
        spent = _times([partial(session, given) for session in sessions])
        figures = {}
        if rows is not None and _reads_sequences(part):
            first, second = (_figures_of_rows(part, session, model, rows) for session in sessions)
            figures = {name: (first[name], second[name]) for name in first}
    return Quantised(part.name or "model", form, bits, (len(plain), len(small)), spent, change, figures, reason)


def checked_rows(rows: Any) -> tuple[Any, torch.Tensor, Any]:
    """Return inputs, targets and the loss that files are compared on.

    Args:
        rows: (inputs, targets) or (inputs, targets, loss).

    Raises:
        ConfigError: no such tuple. DataError: inputs or targets that are no numbers, or not as many of each.
    """
    if not isinstance(rows, tuple | list) or len(rows) not in (2, 3):
        told = f"{len(rows)} values" if isinstance(rows, tuple | list) else f"a {type(rows).__name__}"
        raise ConfigError(f"rows= has {told}; expected (inputs, targets), or (inputs, targets, loss)")
    inputs, targets, loss = (*rows, None)[:3]
    values = inputs.values if isinstance(inputs, Sequences) else _numbers(inputs, "inputs")
    targets = _numbers(targets, "targets")
    if values.dim() < 2 or targets.dim() < 1 or not 0 < len(values) == len(targets):
        raise DataError(
            f"rows= has inputs {list(values.shape)} and targets {list(targets.shape)}; expected inputs [N, T, ...] and "
            "targets [N, ...], at least one row"
        )
    return (inputs if isinstance(inputs, Sequences) else values), targets, loss


def _numbers(values: Any, what: str) -> torch.Tensor:
    try:
        found: torch.Tensor = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())[:100]
        raise DataError(
            f"rows= has {what} that are no array of numbers ({told}); expected a tensor or an array"
        ) from None
    if found.is_complex() or found.dtype == torch.bool:
        raise DataError(f"rows= has {what} of {found.dtype}; expected numbers")
    return found


def _times(calls: list[Callable[[], Any]]) -> tuple[float, float]:
    """Milliseconds of processor time of two calls, the median of runs in turn."""
    found: list[list[float]] = [[], []]
    for repeat in range(_REPEATS + 1):
        for place, call in enumerate(calls):
            began = time.process_time()
            call()
            if repeat:
                found[place].append(1e3 * (time.process_time() - began))
    return statistics.median(found[0]), statistics.median(found[1])


def _reads_sequences(part: Part) -> bool:
    """Whether a graph answers on rows of one input, with lengths at most, and begins with states of known sizes."""
    others = {port.name for port in part.inputs[1:]} - {"lengths"}
    free = [size for state in part.states if state.start is None for size in state.shape if isinstance(size, str)]
    return not part.stepwise and not others and set(free) <= {BATCH}


def _figures_of_rows(part: Part, session: Session, model: Any, rows: tuple[Any, Any, Any]) -> dict[str, float]:
    """As `_figures`; what the runtime or a loss says of rows that do not fit becomes a message with their shapes."""
    try:
        return _figures(part, session, model, rows)
    except RnnkitError:
        raise
    except Exception as error:  # the runtime's own classes derive from nothing narrower
        inputs, targets, _ = rows
        values = inputs.values if isinstance(inputs, Sequences) else inputs
        kinds = [f"{list(one.shape)} of {str(one.dtype).removeprefix('torch.')}" for one in (values, targets)]
        told = " ".join(str(error).split())[:160]
        raise DataError(
            f"rows= has inputs {kinds[0]} and targets {kinds[1]}, which do not fit the model ({told}); expected what "
            "model(inputs) takes, and a target for each output"
        ) from error


def _figures(part: Part, session: Session, model: Any, rows: tuple[Any, Any, Any]) -> dict[str, float]:
    """The loss, and of classes the accuracy."""
    inputs, targets, loss = rows
    values = inputs.values if isinstance(inputs, Sequences) else torch.as_tensor(inputs)
    lengths = inputs.lengths if isinstance(inputs, Sequences) else torch.full((len(values),), values.shape[1])
    targets = torch.as_tensor(targets)[:_MOST]
    outputs = []
    for begin in range(0, len(targets), _BATCH):
        x, ends = values[begin : begin + _BATCH], lengths[begin : begin + _BATCH]
        given: Values = {part.inputs[0].name: x.float() if x.is_floating_point() else x.long(), "lengths": ends.long()}
        outputs.append(session(start_of(part, len(x)) | given)[part.outputs[0].name])
    found = torch.cat(outputs)
    if targets.dim() == 2 and found.dim() == 3:  # an answer at every step
        valid = torch.arange(found.shape[1]) < lengths[: len(found), None]
        found, targets = found[valid], targets[:, : valid.shape[1]][valid]
    figures = {"loss": float(resolve_loss(loss, model).mean(found, _like(found, targets)))}
    if not targets.is_floating_point() and found.dim() == 2 and targets.dim() == 1:
        figures["accuracy"] = float((found.argmax(1) == targets).float().mean())
    return figures


def _like(output: Tensor, targets: Tensor) -> Tensor:
    """Targets in the shape that the loss takes."""
    return targets.reshape(output.shape).to(output.dtype) if targets.is_floating_point() else targets
