"""Pictures of the page of a run of forecasts: windows of the test part, coverage by step, errors by hour or weekday."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plotting.palette import BLUE, COLOURS, FAINT, GRID, INK
from ..plotting.style import figure, open_axes, write
from .forecast_panels import draw_band, show_dates

if TYPE_CHECKING:
    from ..tasks.forecast_findings import SeenForecasts

_WIDTH, _HEIGHT = 6.4, 3.2
_BEFORE = 3  # horizons of the lookback that are drawn, at most


def draw_window(seen: SeenForecasts, row: int, path: Path) -> None:
    """Draw a test window: what was observed before and in the horizon, the forecast, and its intervals.

    Args:
        seen: the forecasts.
        row: the number of the window.
        path: the file to write; its suffix says the format.
    """
    windows = seen.windows
    owner, origin = int(windows.owner[row]), int(windows.origin[row])
    layout, series = windows.layout, windows.series
    begin, end = max(0, origin - min(layout.lookback, _BEFORE * layout.horizon + 8)), origin + layout.horizon
    times, targets = series.times[owner], series.targets[owner]
    drawn = figure(_WIDTH, _HEIGHT)
    axes = drawn.add_subplot()
    open_axes(axes)
    axes.plot(times[begin:end], targets[begin:end], color=INK, linewidth=1.2, label="observed")
    stamps = times[origin:end]
    marker = "o" if layout.horizon <= 3 else None
    axes.plot(stamps, seen.forecast[row], color=BLUE, linewidth=1.8, marker=marker, markersize=4, label="forecast")
    for share, (low, high) in seen.bounds.items():
        draw_band(axes, stamps, low[row], high[row], f"{share}% interval")
    if origin:
        axes.axvline(times[origin - 1], color=FAINT, linewidth=1)
    drawn.legend(loc="outside upper left", frameon=False, ncols=4, fontsize=9)
    if series.frequency.is_date:
        show_dates(axes, series.time_zone)
    write(drawn, path)


def draw_coverage(covered: Mapping[str, Sequence[float] | Any], path: Path) -> None:
    """Draw the share of targets inside intervals over the steps of the horizon.

    Args:
        covered: the promised share in percent, as in "80" → the share of each step, [H].
        path: the file to write.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    drawn = figure(_WIDTH, _HEIGHT)
    axes = drawn.add_subplot()
    open_axes(axes)
    values = [float(one) for steps in covered.values() for one in steps if np.isfinite(one)]
    for at, (share, steps) in enumerate(covered.items()):
        colour = COLOURS[at % len(COLOURS)]
        marker = "o" if len(steps) <= 24 else None
        places = np.arange(1, len(steps) + 1)
        axes.plot(places, steps, color=colour, marker=marker, markersize=4, label=f"{share}% intervals")
        axes.axhline(float(share) / 100, color=colour, linestyle="--", linewidth=1)
        values.append(float(share) / 100)
    axes.set_xlabel("step of the horizon")
    axes.set_ylabel("targets inside")
    axes.set_ylim(max(0.0, min(values) - 0.1), min(1.0, max(values) + 0.1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False)
    write(drawn, path)


def draw_groups(errors: Mapping[str, float], path: Path, *, label: str) -> None:
    """Draw the mean error of groups of targets as bars.

    Args:
        errors: the group's name → its mean error.
        path: the file to write.
        label: what the groups are.
    """
    drawn = figure(_WIDTH, _HEIGHT)
    axes = drawn.add_subplot()
    open_axes(axes)
    places = np.arange(len(errors))
    axes.bar(places, list(errors.values()), color=BLUE)
    names = list(errors) if len(errors) > 7 else [name[:3] for name in errors]
    axes.set_xticks(places, names, fontsize=8)
    axes.set_xlabel(label)
    axes.set_ylabel("mean error")
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", color=GRID)
    write(drawn, path)
