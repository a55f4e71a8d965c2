"""All measurements at once, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import ConfigError, DataError
from ..layers.quantized import refuse_quantized
from ..ops.losses import LossFunction
from ..ops.padding import valid_steps
from ..types import Sequences
from ._calls import batch_axis, rows_of, taken, unwrapped
from ._trace import recurrent_layers
from .activity import Activity, saturation
from .findings import Evidence, Finding, findings
from .gradients import gradient_flow
from .memory import RowsDiffer, horizon
from .seen_pixels import ReceptiveField, receptive_field
from .spectrum import spectra

Tensor = torch.Tensor
ROWS = 64


@dataclass(frozen=True)
class Diagnosis:
    """What was measured, and what is wrong.

    Attributes:
        findings: the worst first; empty where nothing is wrong.
        evidence: the measurements: ``flow``, ``activity``, ``spectra``, ``horizon`` or, of
            pictures, ``field``, and what was recorded.
        model: the model's class, and ``parameters`` how many numbers it learns.
        rows: how many rows were looked at, of up to ``steps`` steps in the recurrent layers.
    """

    findings: tuple[Finding, ...]
    evidence: Evidence
    model: str
    parameters: int
    rows: int
    steps: int

    @property
    def verdict(self) -> str:
        """One sentence."""
        if not self.findings:
            return "Nothing wrong was found."
        first, *others = dict.fromkeys(one.title for one in self.findings)
        listed = [first, *(title[0].lower() + title[1:] for title in others)]
        return f"{', '.join(listed[:-1])} and {listed[-1]}." if others else f"{first}."

    def __repr__(self) -> str:
        return f"Diagnosis({self.model}, {self.rows} rows: {self.verdict})"

    def __str__(self) -> str:
        lines = [self.verdict]
        if (seen := self.evidence.horizon) is not None:
            lines.append(f"The output sees {seen.steps} of {seen.length} steps back.")
        if (field := self.evidence.field) is not None:
            lines.append(f"The output sees {field.extent}.")
        return "\n".join([*lines, *(f"- {one}" for one in self.findings)])


def diagnose(
    model: torch.nn.Module,
    inputs: Any,
    targets: Any = None,
    loss: str | LossFunction | None = None,
    *,
    records: Sequence[Mapping[str, Any]] = (),
    history: Sequence[Mapping[str, float]] = (),
    rows: int = ROWS,
) -> Diagnosis:
    """Measure a network on some rows and say what is wrong with it and what usually helps; ``print`` shows it.

    The rules, their thresholds and their sentences are :data:`rnnkit.diagnostics.findings.RULES`; where none applies
    nothing is said. The model is left as it was.

    Args:
        model: any module with recurrent layers.
        inputs: what the model is called with, see :func:`rnnkit.diagnostics.gradient_flow`.
        targets: what the loss compares the output with; None leaves the gradient through time out. `diagnose(model,
            (x, y))` and `diagnose(model, x, y)` are the same.
        loss: as in :func:`rnnkit.diagnostics.gradient_flow`.
        records: what a :class:`rnnkit.Diagnostics` recorded while training, ``watch.records``.
        history: rows of the run, ``learner.history.rows``.
        rows: only the first so many are looked at.

    Raises:
        ConfigError: the model has no recurrent layer, or weights in 8 bits, or no loss is known. DataError, ShapeError:
            unusable data.

    Example:
        >>> import torch, rnnkit
        >>> _ = torch.manual_seed(0)
        >>> model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 32))
        >>> x = torch.randn(16, 400, 1)
        >>> found = diagnose(model, x, x.sum(1))
        >>> found.verdict, found.evidence.horizon.steps < 40
        ('Gradients vanish.', True)
    """
    if rows < 1:
        raise ConfigError(f"rows={rows} arrived; expected at least 1")
    if targets is None and type(inputs) is tuple and len(inputs) == 2:
        inputs, targets = inputs
    model = unwrapped(model)
    recurrent_layers(model)  # refuses a model without
    refuse_quantized(model, "be inspected")
    if isinstance(inputs, PackedSequence):
        raise DataError("a PackedSequence arrived; pass padded steps as rnnkit.Sequences(values, lengths)")
    ready = _first(model, taken(model, inputs), rows)
    spectrum = spectra(model)
    problems = _not_finite(model)
    flow, seen = None, None
    field: ReceptiveField | None = None
    activity: tuple[Activity, ...] = ()
    if not problems:
        activity = saturation(model, ready)
        try:
            seen = horizon(model, ready)
        except RowsDiffer:
            if not isinstance(ready, Tensor) or ready.dim() != 4:
                raise
            field = receptive_field(model, ready)
        measured = seen if field is None else field
        if measured is not None and not measured.gradient.isfinite().all():
            problems, seen, field = ("The gradient by the inputs overflows",), None, None
        if targets is not None:
            try:
                flow = gradient_flow(model, ready, _first(model, targets, rows), loss)
            except DataError as error:
                problems = (*problems, "T" + str(error).partition(",")[0][1:])  # the loss is nan
    if flow is not None and any(one.rows.isinf().any() for one in flow.layers):
        problems = (*problems, "Gradients through time overflow")
    count, steps = (
        (len(ready), ready.values.shape[1]) if isinstance(ready, Sequences) else rows_of(model, ready).shape[:2]
    )
    if field is not None:  # the layers read rows and columns
        steps = max(field.gradient.shape)
    evidence = Evidence(flow, activity, spectrum, seen, _sizes(model, ready), records, history, problems, field)
    return Diagnosis(
        findings(evidence),
        evidence,
        type(model).__name__,
        sum(p.numel() for p in model.parameters()),
        count,
        steps if seen is None else seen.length,
    )


def _first(model: torch.nn.Module, data: Any, rows: int) -> Any:
    """The first rows of inputs or targets."""
    if isinstance(data, Sequences):
        return data[: min(rows, len(data))]
    data = torch.as_tensor(data)
    return data[:, :rows] if batch_axis(model) == 1 and data.dim() > 2 else data[:rows]


def _not_finite(model: torch.nn.Module) -> tuple[str, ...]:
    broken = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    return (f"The weights {', '.join(broken)} hold NaN or infinite numbers",) if broken else ()


def _sizes(model: torch.nn.Module, inputs: Any) -> tuple[float, ...]:
    """The root mean square of each input feature over the valid steps; nothing for token ids."""
    values = inputs.values if isinstance(inputs, Sequences) else rows_of(model, inputs)
    if not values.is_floating_point():
        return ()
    if isinstance(inputs, Sequences):
        values = values[valid_steps(inputs.lengths, values.shape[1], values.device)]
    else:
        values = values.flatten(0, 1)
    features = values.double().reshape(len(values), -1)
    return tuple(features.square().mean(0).sqrt().tolist())
