"""The page of a run of forecasts, ``report.html``: is the network worth it, where does it err, what is covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plotting.page import Page, State
from ..runs.files import REPORT_PAGE
from ..tasks.forecast_numbers import figure_text
from .run_page import MADE

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.forecasting import ForecastWindows
    from ..tasks.forecast_findings import SeenForecasts
    from ..tasks.forecast_scores import ForecastScores
    from ..tasks.forecasting import ForecastPredictor

_FIGURES = {"mae": "MAE", "mse": "MSE", "rmse": "RMSE", "smape": "sMAPE, %", "mase": "MASE", "crps": "CRPS"}
_NAMES = {"mean": "mean of the lookback", "dlinear": "DLinear", "ridge": "ridge regression"}
_LINES = 6  # of the picture of errors by step
_SERIES = 30  # of the table of series


def write_forecast_page(
    folder: Path,
    predictor: ForecastPredictor,
    test: ForecastWindows,
    forecast: npt.NDArray[np.float64],
    scores: ForecastScores,
    baselines: Mapping[str, ForecastScores],
    *,
    verdict: str,
    metric: str = "mae",
    history: Any = (),
    read: Sequence[str] = (),
    table: Mapping[str, Sequence[Any]] | None = None,
) -> Path:
    """Write ``report.html``.

    Args:
        folder: the run folder.
        predictor: the trained forecaster.
        test: the windows that were scored, in the user's units.
        forecast: of them, [W, H].
        scores: of the network.
        baselines: name → scores, on the same windows.
        verdict: whether the network is worth it.
        metric: the error to compare by.
        history: a `History`, or its rows.
        read: how the data was read and divided, and what was found in it, a sentence each.
        table: what `ForecastPredictor.table` returned for the steps to come; None: they were not forecast.

    Returns:
        The page.
    """
    from ..tasks.forecast_findings import SeenForecasts, tell_forecasts

    seen = SeenForecasts.take(predictor, test, forecast)
    title = _title(test)
    page = Page(title, verdict, name=folder.name, state=_state(verdict), tab=f"{folder.name}: {title}", made=MADE)
    _add_scores(page, scores, baselines, metric)
    if told := tell_forecasts(seen, scores, baselines, metric):
        page.section("What the forecasts show").sentences(told)
    _add_forecasts(page, seen, table)
    _add_steps(page, scores, baselines, metric)
    _add_calendar(page, seen)
    _add_series(page, scores, baselines, metric)
    _add_training(page, list(getattr(history, "rows", history)))
    if read:
        page.section("How the data was read").sentences(read)
    return page.write(folder / REPORT_PAGE)


def _title(test: ForecastWindows) -> str:
    series, layout = test.series, test.layout
    what = series.ids[0] if len(series) == 1 else f"{len(series):,} series"
    steps = "1 step" if layout.horizon == 1 else f"{layout.horizon:,} steps"
    return f"Forecasts of {what}, {series.frequency.describe(series.times[0][0])}, {steps} ahead"


def _state(verdict: str) -> State:
    if verdict.startswith("The network is worth it"):
        return "well"
    return "ill" if verdict.startswith("The network is not worth it") else "plain"


def _called(name: str) -> str:
    if name.startswith("seasonal_"):
        return f"seasonal naive, {name.removeprefix('seasonal_')} steps back"
    return _NAMES.get(name, name.replace("_", " "))


def _shown(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else figure_text(value)


def _add_scores(page: Page, scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> None:
    figures = [name for name in _FIGURES if np.isfinite(scores.figures.get(name, np.nan))]
    ordered = sorted([("the network", scores), *baselines.items()], key=lambda one: one[1].figures[metric])
    page.section(
        "The network and forecasts that need none",
        f"On the same {scores.count:,} targets of the test part, the best first. All figures are the better the lower. "
        f"The comparison is by {_FIGURES.get(metric, metric)}.",
    ).table(
        ("forecast", *(_FIGURES[name] for name in figures)),
        [(_called(name), *(_shown(one.figures.get(figure)) for figure in figures)) for name, one in ordered],
    )


def _add_forecasts(page: Page, seen: SeenForecasts, table: Mapping[str, Sequence[Any]] | None) -> None:
    from .forecast_panels import PANELS, draw_steps_to_come
    from .forecast_pictures import draw_window

    series, layout = seen.windows.series, seen.windows.layout
    of = f"{len(seen.windows):,} of {seen.of:,} test windows, evenly spread" if len(seen.windows) < seen.of else ""
    page.section("Forecasts", f"Chosen among {of or f'all {seen.of:,} test windows'}, by their mean error.")
    ranked = seen.ranked().tolist()
    chosen = {"Best": ranked[0], "In the middle": ranked[len(ranked) // 2], "Worst": ranked[-1]}
    for name, row in list(chosen.items())[: len(set(ranked))]:
        error = float(np.nanmean(seen.errors[row]))
        whose = series.ids[int(seen.windows.owner[row])]
        page.picture(
            lambda path, row=row: draw_window(seen, row, path),  # type: ignore[misc]
            f"What was observed of {whose}, the forecast and its intervals; mean error {figure_text(error)}.",
            title=f"{name}: {whose}",
            caption=f"Mean error {figure_text(error)}. The forecast knows what is left of the grey line.",
        )
    if table is not None:
        names = ", ".join(series.ids[:PANELS])
        page.picture(
            lambda path: draw_steps_to_come(series, table, path, lookback=layout.lookback),
            "The last observed steps, the steps to come and their intervals.",
            title="The steps to come",
            caption=f"Behind the last observed target: {names}" + (" …" if len(series) > PANELS else "."),
        )


def _add_steps(page: Page, scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> None:
    from .forecast_panels import draw_errors
    from .forecast_pictures import draw_coverage

    steps = len(scores.by_step[metric])
    if steps < 2:
        return
    page.section("By step of the horizon")
    ordered = sorted(baselines.items(), key=lambda one: one[1].figures[metric])[: _LINES - 1]
    lines = {"network": scores, **{_called(name): one for name, one in ordered}}
    page.picture(
        lambda path: draw_errors(lines, path, metric=metric),
        f"{metric.upper()} of the network and of {len(ordered)} baselines over {steps} steps.",
        title="Errors",
        caption="Where the thick line is above another one, that forecast is better at these steps.",
    )
    covered = {
        name.removeprefix("interval_").removesuffix("_coverage"): values
        for name, values in scores.by_step.items()
        if name.startswith("interval_") and name.endswith("_coverage")
    }
    if covered:
        page.picture(
            lambda path: draw_coverage(covered, path),
            "The share of test targets inside the intervals over the steps; the promised share is a dashed line.",
            title="Coverage of the intervals",
            caption="The dashed line is what the intervals promise. They were calibrated on the validation part: where "
            "errors have become larger or smaller since, the share is another one.",
        )


def _add_calendar(page: Page, seen: SeenForecasts) -> None:
    from .forecast_pictures import draw_groups

    found, several = seen.by_calendar(), len(seen.windows.series) > 1
    if not found:
        return
    page.section("By hour and weekday" if len(found) > 1 else f"By {next(iter(found))}")
    for name, errors in found.items():
        most = max(errors, key=lambda one: errors[one])
        page.picture(
            lambda path, name=name, errors=errors: draw_groups(errors, path, label=name),  # type: ignore[misc]
            f"Mean error by {name}; largest at {most}: {figure_text(errors[most])}.",
            title=f"Mean error by {name}",
            caption="Divided by the scales of the series, so that these weigh alike." if several else "",
        )


def _add_series(page: Page, scores: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> None:
    if len(scores.ids) < 2:
        return
    own = scores.by_series
    rows = [row for row in range(len(scores.ids)) if np.isfinite(own["mae"][row])]
    rows.sort(key=lambda row: -(own[metric][row] if np.isfinite(own[metric][row]) else -np.inf))
    cut = f" The worst {_SERIES} of {len(rows):,}." if len(rows) > _SERIES else ""
    lines = []
    for row in rows[:_SERIES]:
        rivals = {name: one.by_series[metric][row] for name, one in baselines.items()}
        rivals = {name: value for name, value in rivals.items() if np.isfinite(value)}
        best = min(rivals, key=lambda name: rivals[name]) if rivals else ""
        mase = own["mase"][row] if "mase" in own else np.nan
        lines.append(
            (scores.ids[row], _shown(own["mae"][row]), _shown(mase), _called(best), _shown(rivals.get(best, np.nan)))
        )
    page.section("By series", f"The largest {_FIGURES.get(metric, metric)} first.{cut}").table(
        ("series", "MAE", "MASE", "best baseline", f"its {_FIGURES.get(metric, metric)}"), lines
    )


def _add_training(page: Page, rows: list[Mapping[str, float]]) -> None:
    from ..plotting.learning_curves import curves

    if not rows:
        return
    last = ", ".join(f"{name} {rows[-1][name]:.4g}" for name in ("loss", "val_loss") if name in rows[-1])
    page.section("Training").picture(
        lambda path: curves(rows, path, stacked=True),
        f"Loss and metrics over {len(rows)} epochs; at the end {last}.",
        title="Learning curves",
        caption="Training and validation, on the scale of the model. Where they separate, the model overfits.",
    )
