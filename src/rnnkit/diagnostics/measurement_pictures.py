"""Pictures of measurements: gradients through time, the horizon, spectra, saturation, updates.

Each function draws one picture and writes it to ``path``; the suffix chooses the format. They are narrow enough to be
read on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plotting.palette import BLUE, COLOURS, FAINT, GRID, INK, ORANGE, looks_of, widths
from ..plotting.style import figure as _figure
from ..plotting.style import open_axes as _open
from ..plotting.style import shortened as _shortened
from ..plotting.style import write as _write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .activity import Activity
    from .gradients import GradientFlow
    from .memory import Horizon
    from .seen_pixels import ReceptiveField
    from .spectrum import Spectrum

WIDTH = 4.8
LINES = len(COLOURS)  # more curves than colours become a map
DECADES = 16  # of a logarithmic axis below its largest value
LAYERS = 4  # panels of spectra in one picture


def gradients(flow: GradientFlow | Mapping[str, GradientFlow], path: Path) -> None:
    """Draw ‖∂L/∂h_t‖ over the time steps, a curve a layer and direction, on a logarithmic axis.

    Args:
        flow: what ``gradient_flow`` returned, or several by the name to put beside them, in one picture. An LSTM's
            ∂L/∂c_t is dotted. More than six curves become a map of colours, a line a layer.
        path: the file to write.
    """
    flows = flow if isinstance(flow, Mapping) else {"": flow}
    curves: list[tuple[str, list[float], list[float] | None]] = []
    for name, one in flows.items():
        for layer in one.layers:
            alone = len(one.layers) == 1 and name
            label = name if alone else " ".join(part for part in (name, layer.layer) if part)
            cells = None if layer.cell_norms is None else layer.cell_norms.tolist()
            curves.append((label, layer.norms.tolist(), cells))
    if len(curves) > LINES:
        return _map([(label, norms) for label, norms, _ in curves], path)
    figure = _figure(WIDTH, 3.2)
    axes = figure.subplots()
    _open(axes)
    names = [label for label, *_ in curves]
    looks = zip(looks_of(names), widths(len(names)), _shortened(names), strict=True)
    for (_, norms, cells), ((colour, style), width, label) in zip(curves, looks, strict=True):
        _line(axes, norms, color=colour, linestyle=style, linewidth=width, label=label)
        if cells is not None:
            _line(axes, cells, color=colour, linestyle=":", linewidth=1.3)
    axes.set_xlabel("time step t" + (" (dotted: ∂L/∂cₜ)" if any(cells for _, _, cells in curves) else ""))
    axes.set_ylabel("gradient norm ‖∂L/∂hₜ‖")
    _logarithmic(axes, [value for _, norms, cells in curves for value in (*norms, *(cells or ()))])
    _legend(axes)
    _write(figure, path)
    return None


def horizon(seen: Horizon | Mapping[str, Horizon], path: Path) -> None:
    """Draw how much the last output depends on the input k steps before, as a share of the largest.

    Args:
        seen: what ``horizon`` returned, or several by the name to put beside them.
        path: the file to write.
    """
    every = seen if isinstance(seen, Mapping) else {"": seen}
    figure = _figure(WIDTH, 3.2)
    axes = figure.subplots()
    _open(axes)
    shown = []
    looks = zip(looks_of(every), widths(len(every)), _shortened(list(every)), strict=True)
    for one, ((colour, style), width, name) in zip(every.values(), looks, strict=True):
        largest = float(one.gradient.max())
        shares = [value / largest if largest > 0 else 0.0 for value in one.gradient.tolist()]
        shown += shares
        label = f"{name}: " if name else ""
        seen_steps = f"{label}sees {one.steps} of {one.length} steps"
        _line(axes, shares, color=colour, linestyle=style, linewidth=width, label=seen_steps)
        if 0 < one.steps < one.length:
            axes.axvline(one.steps - 0.5, color=colour, linewidth=1, linestyle="--")
    threshold = next(iter(every.values())).threshold
    axes.axhline(threshold, color=FAINT, linewidth=1, label=f"{100 * threshold:.3g}% of the largest")
    axes.set_xlabel("steps back k")
    axes.set_ylabel("‖∂y/∂x‖ k steps back, share of largest")
    _logarithmic(axes, [*shown, threshold / 10])
    _legend(axes)
    _write(figure, path)


def receptive_field(field: ReceptiveField, path: Path) -> None:
    """Draw how much an output depends on each pixel, as a share of the largest, on a logarithmic scale.

    Args:
        field: what ``receptive_field`` returned.
        path: the file to write.
    """
    from matplotlib.colors import LogNorm

    shares = (field.gradient / field.gradient.max().clamp(min=1e-30)).clamp(min=field.threshold / 10).numpy()
    height, width = shares.shape
    figure = _figure(WIDTH, min(max(WIDTH * height / width, 1.2), 2 * WIDTH))
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", norm=LogNorm(field.threshold, 1), interpolation="nearest")
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    _write(figure, path)


def spectra(found: Sequence[Spectrum], path: Path) -> None:
    """Draw each layer's recurrent weights: eigenvalues around the unit circle, and singular values.

    Args:
        found: what ``spectra`` returned; the first four layers and directions are drawn.
        path: the file to write.
    """
    layers: dict[str, list[Spectrum]] = {}
    for one in found:
        layers.setdefault(one.layer, []).append(one)
    shown = list(layers.items())[:LAYERS]
    figure = _figure(WIDTH, 2.7 * max(1, len(shown)))
    panels = figure.subplots(max(1, len(shown)), 2, squeeze=False)
    for (plane, values), (layer, gates) in zip(panels, shown, strict=False):
        reach = max([1.1, *(1.1 * one.radius for one in gates if math.isfinite(one.radius))])
        turn = [2 * math.pi * step / 200 for step in range(201)]
        plane.plot([math.cos(a) for a in turn], [math.sin(a) for a in turn], color=FAINT, linewidth=1)
        for one, colour in zip(gates, COLOURS, strict=False):
            label = one.gate if len(gates) > 1 else None
            dots: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 2.6, "linestyle": "none"}
            dots["rasterized"] = len(one.eigenvalues) > 200  # an element a dot would make a large file
            plane.plot(one.eigenvalues.real.tolist(), one.eigenvalues.imag.tolist(), label=label, **dots)
            sizes = one.singular_values.tolist()
            marker = "o" if len(sizes) <= 20 else None
            values.plot(range(1, len(sizes) + 1), sizes, color=colour, label=label, marker=marker, markersize=3)
        _open(plane)
        _open(values)
        plane.set_aspect("equal")
        plane.set_xlim(-reach, reach)
        plane.set_ylim(-reach, reach)
        plane.set_title(f"{layer}: eigenvalues", fontsize=9, color=INK)
        values.set_title("singular values", fontsize=9, color=INK)
        values.axhline(1, color=FAINT, linewidth=1)
        values.set_ylim(bottom=0)
        for axes in (plane, values):
            axes.tick_params(labelsize=8)
        if len(gates) > 1:
            values.legend(frameon=False, fontsize=8)
    _write(figure, path)


def saturation(found: Sequence[Activity], path: Path) -> None:
    """Draw the shares of saturated values and of dead and constant units, a bar a gate.

    Args:
        found: what ``saturation`` returned.
        path: the file to write.
    """
    names: list[str] = []
    bars: list[tuple[float, float, float]] = []
    for one in found:
        names += [f"{one.layer}  {gate}" for gate in one.low]
        bars += [(one.low[gate], one.high[gate], 0.0) for gate in one.low]
        idle_shares = {"dead units": one.dead_share} if one.kind == "relu" else {}
        idle_shares["constant units"] = one.constant_share
        names += [f"{one.layer}  {name}" for name in idle_shares]
        bars += [(0.0, 0.0, share) for share in idle_shares.values()]
    figure = _figure(WIDTH, 0.26 * len(bars) + 1.1)
    axes = figure.subplots()
    _open(axes)
    places = range(len(bars))
    low, high, idle = ([100 * bar[column] for bar in bars] for column in (0, 1, 2))
    axes.barh(places, low, color=BLUE, label="at the lower end")
    axes.barh(places, high, left=low, color=ORANGE, label="at the upper end")
    axes.barh(places, idle, color=FAINT, label="idle units")
    for place, *shares in zip(places, low, high, idle, strict=True):
        axes.text(sum(shares) + 1, place, f"{sum(shares):.3g}%", va="center", fontsize=8, color=INK)
    axes.set_yticks(list(places), _shortened(names, 40), fontsize=8.5)
    axes.margins(y=0.5 / max(1, len(bars)))
    axes.invert_yaxis()
    axes.set_xlim(0, 100)  # the figures of long bars stand beside the axes
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("share of values or units, %")
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    _write(figure, path)


def over_training(
    series: Mapping[str, Sequence[float]], epochs: Sequence[float], path: Path, *, label: str,
    band: tuple[float, float] | None = None, ) -> None:  # fmt: skip
    """Draw figures recorded during training on a logarithmic axis, a curve a layer or parameter.

    Args:
        series: values by name, one an epoch; NaN where there is none. Of more than six names the largest are drawn.
        epochs: the epoch of each value.
        path: the file to write.
        label: what the values are.
        band: the usual range, drawn behind the curves.
    """
    figure = _figure(WIDTH, 3.2)
    axes = figure.subplots()
    _open(axes)
    if band is not None:
        axes.axhspan(*band, color=GRID, alpha=0.6, linewidth=0)
    largest = sorted(series, key=lambda name: -max((v for v in series[name] if math.isfinite(v)), default=0.0))[:LINES]
    shown = [name for name in series if name in largest]
    for name, text, colour in zip(shown, _shortened(shown), COLOURS, strict=False):
        marker = "o" if len(epochs) <= 20 else None
        axes.plot(epochs, _drawable(series[name]), color=colour, label=text, marker=marker, markersize=4)
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    _logarithmic(axes, [value for name in largest for value in series[name]])
    _whole_numbers(axes)
    _legend(axes)
    _write(figure, path)


def _map(lines: list[tuple[str, list[float]]], path: Path) -> None:
    from matplotlib.colors import LogNorm

    longest = max(len(values) for _, values in lines)
    known = [value for _, values in lines for value in values if math.isfinite(value) and value > 0]
    high = max(known, default=1.0)
    low = max(min(known, default=high / 10), high * 10.0**-DECADES)
    picture = [[*_drawable(values), *[math.nan] * (longest - len(values))] for _, values in lines]
    figure = _figure(WIDTH, 0.28 * len(lines) + 1.3)
    axes = figure.subplots()
    shown = axes.imshow(
        picture, aspect="auto", cmap="viridis", norm=LogNorm(low, max(high, low * 1.001)), interpolation="nearest"
    )
    axes.set_yticks(range(len(lines)), _shortened([label for label, _ in lines]), fontsize=8.5)
    axes.set_xlabel("time step t")
    bar = figure.colorbar(shown, ax=axes, pad=0.02)
    bar.set_label("‖∂L/∂hₜ‖")
    _write(figure, path)


def _line(axes: Axes, values: Sequence[float], **style: Any) -> None:
    marker = "o" if len(values) <= 30 else None
    axes.plot(range(len(values)), _drawable(values), **{"marker": marker, "markersize": 3.5, "linewidth": 1.6, **style})


def _drawable(values: Iterable[float]) -> list[float]:
    """Return NaN for zeros, which a logarithmic axis cannot show."""
    return [value if math.isfinite(value) and value > 0 else math.nan for value in values]


def _logarithmic(axes: Axes, values: Iterable[float]) -> None:
    known = [value for value in values if math.isfinite(value) and value > 0]
    axes.set_yscale("log")
    if not known:
        axes.text(0.5, 0.5, "0 everywhere", ha="center", color=FAINT, transform=axes.transAxes)
        return
    high = max(known)
    low = max(min(known), high * 10.0**-DECADES)
    axes.set_ylim(low / 2, high * 3)


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _legend(axes: Axes) -> None:
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, handlelength=3)
