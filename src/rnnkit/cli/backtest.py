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
from .predict import check_out

if TYPE_CHECKING:
    from ..tasks.forecast_backtest import Backtest

FIGURES, FORECASTS, ERRORS, ORIGINS = "backtest.json", "backtest.csv", "errors.png", "origins.png"
_UNITS = ("own", "standard")
# What people may type for a file; a folder of such a name is a mistake.
_FILES = (".tsv", ".txt", ".xlsx", ".xls", ".jsonl", ".html", ".png", ".svg", ".pdf", ".npz", ".md")
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
        Path | None,
        typer.Option(
            help="A folder for backtest.json, backtest.csv, errors.png and origins.png; or a table for the forecasts "
            "(.csv, .json or .parquet), with the other files beside it."
        ),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            help="Of the scores: own are those of the table, standard counts the scales of the series; else those of "
            "the run."
        ),
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
    if units not in (None, *_UNITS):
        raise ConfigError(f"--units {units} arrived; expected {' or '.join(_UNITS)}")
    _check_out(out, run, request.path)
    with plain_warnings():
        predictor = open_forecaster(run, device)
        stored = (run if run.is_dir() else run.parent) / LINEAR
        linear = load_linear(stored) if stored.is_file() else None
        with read_series(predictor, request) as series, in_options("origins", "step", "start"):
            found = run_backtest(
                predictor,
                series,
                origins=origins,
                step=step,
                start=start,
                linear=linear,
                units=_units_of(run) if units is None else units,  # type: ignore[arg-type]  # one of them, see above
            )
    for sentence in (*findings_of(predictor, series), *found.findings):
        typer.echo(sentence, err=True)
    if not {"ridge", "dlinear"} & set(linear or ()):
        typer.echo(f"{run} stores no linear models, so ridge and DLinear are not compared with.", err=True)
    for line in _lines(found):
        typer.echo(line)
    if out is not None:
        _write(found, out)


def _check_out(out: Path | None, run: Path, data: Path) -> None:
    """Refuse a name that is neither that of a folder nor that of a table."""
    if out is None:
        return
    if _is_table(out):
        check_out(out, run, [data])
    elif out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; name a folder, or a table ending in .csv, .json or .parquet")
    elif out.suffix.lower() in _FILES and not out.is_dir():
        raise ConfigError(
            f"--out {out} arrived; expected a folder, such as --out {out.with_suffix('')}, or a table ending in .csv, "
            ".json or .parquet"
        )


def _is_table(out: Path) -> bool:
    from ..runs.tables import SUFFIXES

    return out.suffix.lower() in SUFFIXES and not out.is_dir()


def _units_of(run: Path) -> str:
    """The units of a run's own figures; those of the table where it has no such setting."""
    from ..runs import read_recipe
    from ..runs.stored import is_run

    return str(read_recipe(run).settings.get("units", "own")) if run.is_dir() and is_run(run) else "own"


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
            name.replace("_", " "): [float(one.by_step[found.error][at]) for at in picked]
            for name, one in found.scores.items()
        },
    }
    title = found.error.upper()
    yield from ("", f"{title} by step of the horizon")
    yield from as_text(by_step)
    ids = np.unique(found.windows.owner).tolist()
    if len(ids) > 1:
        by_series = {
            "unique_id": [found.windows.series.ids[row] for row in ids[:_SERIES]],
            **{
                name.replace("_", " "): [float(one.by_series[found.error][row]) for row in ids[:_SERIES]]
                for name, one in found.scores.items()
            },
        }
        yield from ("", f"{title} by series")
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

    folder, table, before = out, FORECASTS, ""
    if _is_table(out):
        folder, table, before = out.parent, out.name, f"{out.stem}-"
    figures, errors, origins = (f"{before}{name}" for name in (FIGURES, ERRORS, ORIGINS))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / figures, found.to_json())
        write_table(found.table(), folder / table)
        draw_errors(found.scores, folder / errors, metric=found.error)
        draw_origins(found, folder / origins)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error}); name another") from error
    typer.echo(f"Wrote {figures}, {table}, {errors} and {origins} to {folder}")
