"""A diagnosis as one HTML file that needs nothing else: verdict, findings, pictures, figures, rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from ..plotting.page import Draw, Page, Paragraph
from . import measurement_pictures, pictures
from .diagnosis import Diagnosis
from .findings import RULES, Evidence


def write_page(diagnosis: Diagnosis, path: str | PathLike[str], *, name: str = "") -> Path:
    """Write a diagnosis as a self-contained page, whole or not at all.

    Args:
        diagnosis: what :func:`rnnkit.diagnose` returned.
        path: the HTML file to write.
        name: what was looked at, such as the run folder.

    Returns:
        The file.

    Example:
        >>> import torch, rnnkit, tempfile
        >>> found = rnnkit.diagnose(rnnkit.GRU(1, 4, batch_first=True), torch.randn(3, 9, 1))
        >>> file = write_page(found, tempfile.mkdtemp() + "/report.html")
        >>> "<h1>Nothing wrong was found.</h1>" in file.read_text(encoding="utf-8")
        True
    """
    evidence = diagnosis.evidence
    seen = evidence.horizon
    lead = (
        f"{diagnosis.model}, {_count(diagnosis.parameters, 'parameter')}, looked at on {_count(diagnosis.rows, 'row')} "
        f"of up to {_count(diagnosis.steps, 'step')}."
    )
    if seen is not None:
        lead += f" The output sees {seen.steps} of {seen.length} steps back."
    if evidence.field is not None:
        lead += f" The output sees {evidence.field.extent}."
    page = Page(
        diagnosis.verdict,
        lead,
        name=name,
        state="ill" if diagnosis.findings else "well",
        tab=f"{name}: {diagnosis.verdict}" if name else None,
        made="Measured in evaluation mode by",
    )
    _add_findings(page, diagnosis)
    page.section("Pictures")
    for figure in _figures(evidence):
        page.picture(figure.draw, figure.alt, title=figure.title, caption=figure.caption)
    page.section("Figures").table(("what", "where", "figure"), _figures_measured(evidence))
    page.section("The rules and their thresholds", folded=True).table(
        ("finding", "measured", "from"), ((r.title, r.measure, f"{r.threshold:g}") for r in RULES.values())
    )
    return page.write(path)


def _add_findings(page: Page, diagnosis: Diagnosis) -> None:
    none = [] if diagnosis.findings else [f"None of the {len(RULES)} rules below applies."]
    page.section("Findings", *none, shown=False)
    for one in diagnosis.findings:
        page.card(
            one.title,
            one.problem,
            Paragraph(one.helps, "What usually helps:"),
            Paragraph(
                f"Measured: {RULES[one.rule].measure} {one.threshold:g}. {one.where}: {one.figure:.3g}.", small=True
            ),
        )


# --- pictures --------------------------------------------------------------------------------------------------------


class _Figure(NamedTuple):
    title: str
    draw: Draw
    alt: str
    caption: str


def _figures(evidence: Evidence) -> Iterable[_Figure]:
    """Each picture that something was measured for, with its title, what it shows, and how to read it."""
    if (flow := evidence.flow) is not None:
        shown = "; ".join(
            f"{one.layer} {one.norms[0]:.2g} at the first and {one.norms[-1]:.2g} at the last step"
            for one in flow.layers
        )
        yield _Figure(
            "Gradients through time",
            lambda path: measurement_pictures.gradients(flow, path),
            f"Norm of the gradient of the loss by the hidden state, over the time steps, logarithmic: {shown}.",
            "The gradient of the loss at each step. If it falls steeply from the last step to the first, the network "
            "does not learn from early steps; if it rises steeply, early steps dominate the updates. A level curve is "
            "good.",
        )
    if (seen := evidence.horizon) is not None:
        which = "each row's last step" if seen.per_step else "the whole sequence"
        limit = f"It stays below {seen.threshold:.0%} of its largest value to the right of the dashed line."
        if not 0 < seen.steps < seen.length:  # the picture has no such line
            limit = f"The grey line is at {seen.threshold:.0%} of the largest value."
        yield _Figure(
            "How far back the output sees",
            lambda path: measurement_pictures.horizon(seen, path),
            f"Gradient of the output by the input k steps back as a share of its largest: at least "
            f"{seen.threshold:.0%} within the last {seen.steps} of {seen.length} steps.",
            f"How much the output for {which} depends on the input k steps before the end. {limit}",
        )
    if (field := evidence.field) is not None:
        yield _Figure(
            "Which pixels the output sees",
            lambda path: measurement_pictures.receptive_field(field, path),
            f"Gradient of the output by each pixel, as a share of its largest: it sees {field.extent}.",
            f"How much the output depends on each pixel, the darker the more, on a logarithmic scale down to "
            f"{field.threshold:.0%} of the largest value.",
        )
    if evidence.spectra:
        largest = max(evidence.spectra, key=lambda one: -1.0 if math.isnan(one.radius) else one.radius)
        yield _Figure(
            "Recurrent weights",
            lambda path: measurement_pictures.spectra(evidence.spectra, path),
            f"Eigenvalues in the complex plane around the unit circle, and singular values, by layer and gate. The "
            f"largest spectral radius is {largest.radius:.3g} ({largest.layer}, {largest.gate}).",
            "The effect of one step on the state: eigenvalues inside the circle shrink it, those outside let it grow. "
            "A singular value above 1 stretches some direction. In gated layers most of the state bypasses these "
            "weights.",
        )
    if evidence.activity:
        fullest = [
            f"{one.layer} {max(one.saturated, key=lambda gate: one.saturated[gate])} {max(one.saturated.values()):.1%}"
            for one in evidence.activity
            if one.saturated
        ]
        idle = [f"{one.layer} {one.dead_share + one.constant_share:.1%} idle units" for one in evidence.activity]
        yield _Figure(
            "Saturated and idle units",
            lambda path: measurement_pictures.saturation(evidence.activity, path),
            f"Share of saturated values by layer and gate, and of idle units: {'; '.join([*fullest, *idle])}.",
            "Values within 0.01 of an end of their tanh or sigmoid pass hardly any gradient. A forget gate at its "
            "upper end remembers, which does no harm. Dead units are 0 on all rows.",
        )
    yield from _over_training(evidence)
    if evidence.history:
        rows = evidence.history
        last = ", ".join(f"{name} {rows[-1][name]:.4g}" for name in ("loss", "val_loss") if name in rows[-1])
        yield _Figure(
            "Learning curves",
            lambda path: pictures.curves(rows, path, stacked=True),
            f"Loss and metrics over {_count(len(rows), 'epoch')}; at the end {last}.",
            "Training, and validation if data was held out. Both should fall (or rise, for an accuracy) together; "
            "where they separate, the network overfits.",
        )


def _over_training(evidence: Evidence) -> Iterable[_Figure]:
    records = evidence.records
    if not records:
        return
    epochs = [record["epoch"] for record in records]

    def series(kind: str, keep: Callable[[str], bool] = lambda name: True) -> dict[str, list[float]]:
        names = dict.fromkeys(name for record in records for name in record.get(kind, {}) if keep(name))
        return {name: [_number(record.get(kind, {}).get(name)) for record in records] for name in names}

    updates = series("updates", lambda name: "weight" in name.rpartition(".")[2])
    gradients = series("gradients")
    if updates:
        yield _Figure(
            "Update-to-weight ratios",
            lambda path: measurement_pictures.over_training(
                updates, epochs, path, label="‖Δw‖ / ‖w‖ a step", band=(1e-4, 1e-2)
            ),
            f"Size of a step as a share of the weights, over the epochs: {_last(updates)} in the last.",
            "How much one step changes each weight matrix. About 0.001 is usual (grey: 0.0001 to 0.01). Far above it "
            "the learning rate is high; far below it the weights hardly move.",
        )
    if gradients:
        yield _Figure(
            "Gradients over training",
            lambda path: measurement_pictures.over_training(
                gradients, epochs, path, label="gradient norm, before clipping"
            ),
            f"Norm of the gradient by layer, over the epochs: {_last(gradients)} in the last.",
            "The gradient's norm by layer, before clipping: a guide to what to clip at (clip_norm=).",
        )


def _last(series: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} {values[-1]:.2g}" for name, values in series.items())


# --- figures ---------------------------------------------------------------------------------------------------------


def _figures_measured(evidence: Evidence) -> Iterable[tuple[str, str, str]]:
    if evidence.flow is not None:
        yield "loss", "", f"{evidence.flow.loss:.4g}"
        for flow in evidence.flow.layers:
            yield "∂L/∂h, far end over near end of time", flow.layer, f"{flow.far_to_near:.3g}"
    if (seen := evidence.horizon) is not None:
        yield "steps back that the output sees", "", f"{seen.steps} of {seen.length}"
    if (field := evidence.field) is not None:
        yield "pixels that the output sees", "", field.extent
    for one in evidence.spectra:
        where = f"{one.layer} {one.gate}"
        yield "spectral radius, largest singular value", where, f"{one.radius:.3g}, {one.norm:.3g}"
    for unit in evidence.activity:
        for gate in unit.low:
            yield (
                "saturated at the lower, upper end",
                f"{unit.layer} {gate}",
                f"{unit.low[gate]:.1%}, {unit.high[gate]:.1%}",
            )
        yield "dead, constant units", unit.layer, f"{unit.dead_share:.1%}, {unit.constant_share:.1%}"
    if evidence.features:
        low, high = min(evidence.features), max(evidence.features)
        yield "root mean square of the input features", "", f"{low:.3g} to {high:.3g}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
