"""Pictures of forecasts, a panel a series, and of a backtest: its errors by step, and forecasts from some origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plotting.palette import BLUE, COLOURS, FAINT, GRID, INK, STYLES
from ..plotting.style import figure, open_axes, shortened, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..data.forecasting import TimeSeries
    from ..tasks.forecast_backtest import Backtest
    from ..tasks.forecast_scores import ForecastScores

PANELS = 6  # series of a picture, at most
_ORIGINS = 6  # of a panel, at most
_HEIGHT, _WIDTH = 2.3, 8.0


def draw_steps_to_come(series: TimeSeries, table: Mapping[str, Sequence[Any]], path: Path, *, lookback: int) -> None:
    """Draw the forecasts of the first series: the last part of what was observed, the median and the intervals.

    Args:
        series: what was observed.
        table: what `ForecastPredictor.table` returned for them.
        path: the file to write; its suffix says the format.
        lookback: how many of the last steps are drawn, at least; as many as there are forecasts, if these are more.
    """
    names = np.array(table["unique_id"])
    shares = [column.removeprefix("low_") for column in table if column.startswith("low_")]
    drawn, panels = _panels(min(len(series), PANELS))
    for row, axes in enumerate(panels):
        mine = np.flatnonzero(names == series.ids[row])
        end, count = int(series.ends[row]), len(mine)
        begin = max(0, end - max(lookback, count))
        times = series.times[row]
        stamps = series.frequency.after(times[end - 1], count)
        columns = {name: np.array(table[name], np.float64)[mine] for name in table if name not in ("unique_id", "ds")}
        axes.plot(times[begin:end], series.targets[row][begin:end], color=INK, linewidth=1.2, label="observed")
        axes.plot(stamps, columns["forecast"], color=BLUE, linewidth=1.8, label="forecast")
        for share in shares:
            draw_band(axes, stamps, columns[f"low_{share}"], columns[f"high_{share}"], f"{share}% interval")
        axes.axvline(times[end - 1], color=GRID, linewidth=1)
        axes.set_title(shortened(series.ids)[row], loc="left")
    _finish(drawn, panels, path, series)


def draw_errors(scores: Mapping[str, ForecastScores], path: Path, *, metric: str = "mae") -> None:
    """Draw the error of each forecast over the steps of the horizon.

    Args:
        scores: name → scores; the first one is the network's.
        path: the file to write.
        metric: which error.
    """
    from matplotlib.ticker import MaxNLocator

    drawn = figure(_WIDTH, 3.8)
    axes = drawn.add_subplot()
    open_axes(axes)
    for at, (name, one) in enumerate(scores.items()):
        values = one.by_step[metric]
        steps = np.arange(1, len(values) + 1)
        marker = "o" if len(values) <= 24 else None
        look: dict[str, Any] = {"color": BLUE, "linewidth": 2.4, "zorder": 3}
        if at:
            look = {"color": COLOURS[1:][(at - 1) % 5], "linewidth": 1.2, "linestyle": STYLES[(at - 1) // 5 % 5]}
        axes.plot(steps, values, marker=marker, markersize=3, label=name.replace("_", " "), **look)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step of the horizon")
    axes.set_ylabel(metric.upper())
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    write(drawn, path)


def draw_origins(found: Backtest, path: Path) -> None:
    """Draw the forecasts from the last origins of the first series, a horizon or more apart.

    Args:
        found: the backtest.
        path: the file to write.
    """
    windows, series = found.windows, found.windows.series
    rows = np.unique(windows.owner)[:PANELS].tolist()
    drawn, panels = _panels(len(rows))
    stamps, layout = windows.stamps(), windows.layout
    for row, axes in zip(rows, panels, strict=True):
        picked = _last_apart(np.flatnonzero(windows.owner == row), windows.origin, layout.horizon)
        origins = windows.origin[picked]
        begin = max(0, int(origins.min()) - layout.lookback)
        end = int(origins.max()) + layout.horizon
        axes.plot(
            series.times[row][begin:end], series.targets[row][begin:end], color=FAINT, linewidth=0.9, label="observed"
        )
        for number, at in enumerate(picked):
            axes.plot(stamps[at], found.forecast[at], color=BLUE, linewidth=1.6, label="" if number else "forecast")
            for share, (low, high) in found.bounds.items():
                draw_band(axes, stamps[at], low[at], high[at], "" if number else f"{share}% interval")
        axes.set_title(shortened(series.ids)[row], loc="left")
    _finish(drawn, panels, path, series)


def _last_apart(rows: Any, origins: Any, horizon: int) -> list[int]:
    """The last windows among `rows` whose horizons do not overlap, in order."""
    found: list[int] = []
    for row in rows[::-1].tolist():
        if not found or origins[row] <= origins[found[-1]] - horizon:
            found.append(row)
    return found[:_ORIGINS][::-1]


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    drawn = figure(_WIDTH, _HEIGHT * count + 0.6)
    panels = list(drawn.subplots(count, 1, squeeze=False).flat)
    for axes in panels:
        open_axes(axes)
    return drawn, panels


def draw_band(axes: Axes, stamps: Any, low: Any, high: Any, label: str) -> None:
    """Fill what is between two bounds."""
    axes.fill_between(stamps, low, high, color=BLUE, alpha=0.18, linewidth=0, label=label or None)


def show_dates(axes: Axes, time_zone: str | None = None) -> None:
    """Write few dates below axes, as short as they remain distinct, in a time zone."""
    from zoneinfo import ZoneInfo

    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    zone = None if time_zone is None else ZoneInfo(time_zone)
    locator: Any = AutoDateLocator(zone, minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, zone))  # type: ignore[no-untyped-call]


def _finish(drawn: Figure, panels: Sequence[Axes], path: Path, series: TimeSeries) -> None:
    panels[0].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=4)
    for axes in panels if series.frequency.is_date else ():
        show_dates(axes, series.time_zone)
    write(drawn, path)
