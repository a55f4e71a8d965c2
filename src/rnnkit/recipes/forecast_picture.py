"""The picture of a forecast: what was observed last, the steps to come, and their interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..plotting.palette import BLUE, GRID, INK
from ..plotting.style import figure, open_axes, write

if TYPE_CHECKING:
    from ..data.forecasting import TimeSeries


def draw_forecast(
    series: TimeSeries, table: dict[str, list[Any]], lookback: int, path: Path, name: str | None = None
) -> None:
    """Draw a series and its forecast.

    Args:
        series: what was observed.
        table: what `ForecastPredictor.table` returned for them.
        lookback: how many of the last steps are drawn.
        path: the file to write; its suffix says the format.
        name: of the series; None: the first one.

    Raises:
        DataError: there is no series of that name.
    """
    row = 0 if name is None else series.row_of(name)
    end = int(series.ends[row])
    begin = max(0, end - lookback)
    rows = [at for at, found in enumerate(table["unique_id"]) if found == series.ids[row]]
    stamps = series.frequency.after(series.times[row][end - 1], len(rows))
    drawn = figure(8.0, 3.6)
    axes = drawn.add_subplot()
    open_axes(axes)
    axes.plot(series.times[row][begin:end], series.targets[row][begin:end], color=INK, linewidth=1.2, label="observed")
    forecast = [table["forecast"][at] for at in rows]
    axes.plot(stamps, forecast, color=BLUE, linewidth=1.8, label="forecast")
    for column in table:
        if column.startswith("low_"):
            share = column.removeprefix("low_")
            low, high = ([table[f"{side}_{share}"][at] for at in rows] for side in ("low", "high"))
            axes.fill_between(stamps, low, high, color=BLUE, alpha=0.18, linewidth=0, label=f"{share}% interval")
    axes.axvline(series.times[row][end - 1], color=GRID, linewidth=1)
    axes.set_title(f"{series.ids[row]}, {series.frequency.describe(stamps[0])}", loc="left")
    axes.legend(frameon=False, loc="best")
    if series.frequency.is_date:
        drawn.autofmt_xdate(rotation=0, ha="center")
    write(drawn, path)
