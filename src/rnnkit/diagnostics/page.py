"""A diagnosis as one HTML file that needs nothing else: verdict, findings, pictures, figures, rules.

It fits light and dark pages, phones and screen readers; it runs no script and fetches nothing.
"""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any

from ..plotting.style import dark_svg
from ..serialization import replacing
from . import measurement_pictures, pictures
from .diagnosis import Diagnosis
from .findings import RULES, Evidence

Draw = Callable[[Path], object]


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
    path = Path(path)
    evidence = diagnosis.evidence
    seen = evidence.horizon
    lead = (
        f"{diagnosis.model}, {_count(diagnosis.parameters, 'parameter')}, looked at on {_count(diagnosis.rows, 'row')} "
        f"of up to {_count(diagnosis.steps, 'step')}."
    )
    if seen is not None:
        lead += f" The output sees {seen.steps} of {seen.length} steps back."
    text = Template(_PAGE).substitute(
        title=escape(f"{name}: {diagnosis.verdict}" if name else diagnosis.verdict),
        verdict=escape(diagnosis.verdict),
        state="ill" if diagnosis.findings else "well",
        name=escape(name),
        lead=escape(lead),
        findings=_findings(diagnosis),
        pictures="\n".join(_figures(evidence)),
        figures=_table(("what", "where", "figure"), _figures_measured(evidence)),
        rules=_table(
            ("finding", "measured", "from"), ((r.title, r.measure, f"{r.threshold:g}") for r in RULES.values())
        ),
        version=escape(_version()),
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _findings(diagnosis: Diagnosis) -> str:
    if not diagnosis.findings:
        return f"<p>None of the {len(RULES)} rules below applies.</p>"
    return "\n".join(
        f"<article><h3>{escape(one.title)}</h3><p>{escape(one.problem)}</p>"
        f"<p><strong>What usually helps:</strong> {escape(one.helps)}</p>"
        f'<p class="small">Measured: {escape(RULES[one.rule].measure)} {one.threshold:g}. '
        f"{escape(one.where)}: {one.figure:.3g}.</p></article>"
        for one in diagnosis.findings
    )


# --- pictures --------------------------------------------------------------------------------------------------------


def _figures(evidence: Evidence) -> Iterable[str]:
    """Each picture that something was measured for, with its title, what it shows, and how to read it."""
    if (flow := evidence.flow) is not None:
        shown = "; ".join(
            f"{one.layer} {one.norms[0]:.2g} at the first and {one.norms[-1]:.2g} at the last step"
            for one in flow.layers
        )
        yield _figure(
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
        yield _figure(
            "How far back the output sees",
            lambda path: measurement_pictures.horizon(seen, path),
            f"Gradient of the output by the input k steps back as a share of its largest: at least "
            f"{seen.threshold:.0%} within the last {seen.steps} of {seen.length} steps.",
            f"How much the output for {which} depends on the input k steps before the end. {limit}",
        )
    if evidence.spectra:
        largest = max(evidence.spectra, key=lambda one: -1.0 if math.isnan(one.radius) else one.radius)
        yield _figure(
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
        yield _figure(
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
        yield _figure(
            "Learning curves",
            lambda path: pictures.curves(rows, path, stacked=True),
            f"Loss and metrics over {_count(len(rows), 'epoch')}; at the end {last}.",
            "Training, and validation if data was held out. Both should fall (or rise, for an accuracy) together; "
            "where they separate, the network overfits.",
        )


def _over_training(evidence: Evidence) -> Iterable[str]:
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
        yield _figure(
            "Update-to-weight ratios",
            lambda path: measurement_pictures.over_training(
                updates, epochs, path, label="‖Δw‖ / ‖w‖ a step", band=(1e-4, 1e-2)
            ),
            f"Size of a step as a share of the weights, over the epochs: {_last(updates)} in the last.",
            "How much one step changes each weight matrix. About 0.001 is usual (grey: 0.0001 to 0.01). Far above it "
            "the learning rate is high; far below it the weights hardly move.",
        )
    if gradients:
        yield _figure(
            "Gradients over training",
            lambda path: measurement_pictures.over_training(
                gradients, epochs, path, label="gradient norm, before clipping"
            ),
            f"Norm of the gradient by layer, over the epochs: {_last(gradients)} in the last.",
            "The gradient's norm by layer, before clipping: a guide to what to clip at (clip_norm=).",
        )


def _figure(title: str, draw: Draw, alt: str, caption: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.svg"
        draw(file)
        svg = file.read_text(encoding="utf-8")
    return (
        f"<figure><h3>{escape(title)}</h3><picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{_embedded(dark_svg(svg))}">'
        f'<img src="{_embedded(svg)}" alt="{escape(alt)}"></picture><figcaption>{escape(caption)}</figcaption></figure>'
    )


def _embedded(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode('ascii')}"


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


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{first}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _version() -> str:
    try:
        return f"rnnkit {version('rnnkit')}"
    except PackageNotFoundError:
        return "rnnkit"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --paper: #fff; --ink: #1f2328; --faint: #5c6470; --line: #d9dde2; --card: #f6f7f9;
  --ill: #b3470a; --well: #00714f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1c1e22; --ink: #e8e8e8; --faint: #a3a9b2; --line: #3a3d42; --card: #25282d;
    --ill: #f0a060; --well: #4fd1a5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 70rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .2rem 0 .6rem; padding-left: .7rem;
  border-left: .35rem solid var(--ill); }
.well h1 { border-color: var(--well); }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .6rem; max-width: 48rem; }
.small, figcaption, footer, .name { color: var(--faint); font-size: .9rem; }
article { background: var(--card); border-radius: .5rem; padding: .9rem 1rem .4rem; margin: 0 0 .8rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1.8rem; }
figure { margin: 0; }
img { display: block; width: 100%; max-width: 34rem; height: auto; }
figcaption { margin-top: .4rem; max-width: 34rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; font-weight: 600; margin: 1.2rem 0 .6rem; }
</style>
</head>
<body class="$state">
<header>
<p class="name">$name</p>
<h1>$verdict</h1>
<p>$lead</p>
</header>
<main>
<section aria-label="Findings">
$findings
</section>
<h2>Pictures</h2>
<section class="grid" aria-label="Pictures">
$pictures
</section>
<h2>Figures</h2>
$figures
<details><summary>The rules and their thresholds</summary>
$rules
</details>
</main>
<footer><p>Measured in evaluation mode by $version.</p></footer>
</body>
</html>
"""
