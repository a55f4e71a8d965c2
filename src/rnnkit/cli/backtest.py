"""``rnnkit backtest``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .arguments import Device, Encoding, File, data_request
from .forecast import Forecaster, findings_of, open_forecaster, read_series
from .misplaced import check_data, check_run
from .output import in_options, plain_warnings

if TYPE_CHECKING:
    from ..tasks.forecast_backtest import Backtest

FIGURES, FORECASTS, ERRORS, ORIGINS = "backtest.json", "backtest.csv", "errors.png", "origins.png"
_SHOWN = ("mae", "mse", "rmse", "mase", "smape", "pinball", "crps")
_STEPS, _SERIES = 8, 10  # lines of a printed table


def backtest(
    run: Forecaster,
    file: File = None,
    data: Annotated[
        Path | None, typer.Option(help="The table with the series to judge on; - is standard input.")
    ] = None,
    origins: Annotated[int | None, typer.Option(help="Origins of each series, evenly spread.")] = None,
    step: Annotated[
        int | None, typer.Option(help="Steps from one origin to the next; else 1, as far as 10,000 origins go.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The first time stamp to forecast; else behind what the model has seen."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for backtest.json, backtest.csv, errors.png and origins.png.")
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
) -> None:
    """Forecast from one origin after the other through a table, and score the forecasts beside simple ones.

    The backtest begins behind the steps that the model was trained, chosen and calibrated on, unless --start says
    otherwise.
    """
    from ..recipes.forecast_run import LINEAR
    from ..tasks.forecast_backtest import backtest as run_backtest
    from ..tasks.forecast_linear_files import load_linear

    check_run("backtest", run, (file, data), models=True)
    check_data("backtest", run, (file, data))
    request = data_request(file, data, encoding)
    if request is None:
        raise ConfigError(f"no file arrived; name the series to judge on: `rnnkit backtest {run} FILE`")
    if origins is not None and step is not None:
        raise ConfigError(f"--origins {origins} and --step {step} arrived; expected one of them")
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder")
    with plain_warnings():
        predictor = open_forecaster(run, device)
        stored = (run if run.is_dir() else run.parent) / LINEAR
        linear = load_linear(stored) if stored.is_file() else None
        with read_series(predictor, request) as series, in_options("origins", "step", "start"):
            found = run_backtest(predictor, series, origins=origins, step=step, start=start, linear=linear)
    for sentence in (*findings_of(predictor, series), *found.findings):
        typer.echo(sentence, err=True)
    if linear is None:
        typer.echo(f"{run} stores no linear models, so ridge and DLinear are not compared with.", err=True)
    for line in _lines(found):
        typer.echo(line)
    if out is not None:
        _write(found, out)


def _lines(found: Backtest) -> Iterator[str]:
    """The scores of all forecasts, then the network's by step and by series, and the verdict."""
    import numpy as np

    from ..runs.tables import as_text
    from ..tasks.forecast_report import NETWORK

    covers = [name for name in found.scores[NETWORK].figures if name.startswith("interval_")]
    names = [name for name in (*_SHOWN, *covers) if any(name in one.figures for one in found.scores.values())]
    overall = {
        "": [name.replace("_", " ") for name in found.scores],
        **{name: [_shown(one.figures.get(name)) for one in found.scores.values()] for name in names},
    }
    yield from as_text(overall)
    count = found.windows.layout.horizon
    picked = np.unique(np.linspace(0, count - 1, min(count, _STEPS)).round().astype(int)).tolist()
    by_step = {
        "step": [at + 1 for at in picked],
        **{
            name.replace("_", " "): [float(one.by_step["mae"][at]) for at in picked]
            for name, one in found.scores.items()
        },
    }
    yield from ("", "MAE by step of the horizon")
    yield from as_text(by_step)
    ids = np.unique(found.windows.owner).tolist()
    if len(ids) > 1:
        by_series = {
            "unique_id": [found.windows.series.ids[row] for row in ids[:_SERIES]],
            **{
                name.replace("_", " "): [float(one.by_series["mae"][row]) for row in ids[:_SERIES]]
                for name, one in found.scores.items()
            },
        }
        yield from ("", "MAE by series")
        yield from as_text(by_series)
        if len(ids) > _SERIES:
            yield f"({len(ids) - _SERIES:,} more series; --out DIR writes all)"
    yield from ("", found.verdict)


def _shown(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.4g}"


def _write(found: Backtest, out: Path) -> None:
    from ..recipes.forecast_panels import draw_errors, draw_origins
    from ..runs.files import write_json
    from ..runs.tables import write_table

    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / FIGURES, found.to_json())
        write_table(found.table(), out / FORECASTS)
        draw_errors(found.scores, out / ERRORS)
        draw_origins(found, out / ORIGINS)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error}); name another folder") from error
    typer.echo(f"Wrote {FIGURES}, {FORECASTS}, {ERRORS} and {ORIGINS} to {out}")
