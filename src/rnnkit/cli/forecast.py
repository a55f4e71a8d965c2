"""``rnnkit forecast``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from ..recipes import DataRequest
from . import standard_input
from .arguments import Device, Encoding, File, data_request
from .misplaced import check_data, check_run
from .output import in_options, plain_warnings
from .predict import check_out, write_answers

if TYPE_CHECKING:
    from ..data.forecasting import TimeSeries
    from ..tasks.forecasting import ForecastPredictor

_PICTURES = (".png", ".svg", ".pdf")

Forecaster = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run of forecasts, or a saved forecaster.")
]


def forecast(
    run: Forecaster,
    file: File = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="The table with the latest rows, with the columns of the training data; - is standard input."
        ),
    ] = None,
    horizon: Annotated[
        int | None, typer.Option(help="How many steps; else as many as the model was trained for.")
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(metavar="LEVELS", help="Quantiles of the model's distribution, as in 0.1,0.9.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A table for the forecasts: .csv, .json or .parquet, with a .png beside it; else printed."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="The picture of the forecasts: .png, .svg or .pdf; else beside --out.")
    ] = None,
    encoding: Encoding = None,
    device: Device = None,
) -> None:
    """Forecast the steps behind the last row of each series of a table.

    Rows behind the last observed target may hold the covariates that are known in advance; their target stays empty.
    """
    check_run("forecast", run, (file, data), models=True)
    check_data("forecast", run, (file, data))
    request = data_request(file, data, encoding)
    if request is None:
        raise ConfigError(f"no file arrived; name the series to forecast: `rnnkit forecast {run} FILE`")
    levels = _levels(quantiles)
    check_out(out, run, [request.path])
    drawn = _picture(out, picture)
    with plain_warnings():
        predictor = open_forecaster(run, device)
        _check_horizon(predictor, run, horizon)
        with read_series(predictor, request) as series, in_options("horizon", "quantiles"):
            table = predictor.table(series, horizon, quantiles=levels)
    for sentence in (*findings_of(predictor, series), *_notes(predictor, series, horizon)):
        typer.echo(sentence, err=True)
    if out is None:
        from ..runs.tables import as_text

        for line in as_text(table):
            typer.echo(line)
    else:
        write_answers(table, out)
    if drawn is not None:
        from ..recipes.forecast_panels import draw_steps_to_come

        try:
            draw_steps_to_come(series, table, drawn, lookback=predictor.preprocessing.layout.lookback)
        except OSError as error:
            raise ConfigError(f"{drawn} cannot be written ({error.strerror}); name another with --picture") from error
        typer.echo(f"Picture: {drawn}", err=out is None)


def open_forecaster(run: Path, device: str | None) -> ForecastPredictor:
    """Return the forecaster of a run folder, or of a saved model.

    Raises:
        RunFolderError: there is no model. ConfigError: it forecasts nothing.
    """
    from ..runs import read_recipe
    from ..runs.folders import check_model
    from ..runs.stored import is_run
    from ..serialization import read_config
    from ..tasks.forecasting import load_forecaster

    check_model(run)
    if "forecasting" not in read_config(run)["extra"]:
        by = f", a run of {read_recipe(run).name}," if run.is_dir() and is_run(run) else ""
        raise ConfigError(f"{run}{by} forecasts no series; expected a run of `rnnkit train forecast FILE`")
    return load_forecaster(run, device="auto" if device is None else device)


@contextmanager
def read_series(predictor: ForecastPredictor, request: DataRequest) -> Iterator[TimeSeries]:
    """Read a table as the training data was read; errors of the block name the file, or standard input."""
    from ..recipes.forecast import Forecast
    from ..recipes.forecast_source import in_forecast_settings

    if request.path != standard_input.DASH:
        with in_forecast_settings(new=True):
            series = Forecast.read_new(predictor, request)
        yield series
        return
    with standard_input.as_file(expected="a table", suffix=".csv") as arrived:
        encoding = standard_input.encoding_of(arrived, request.encoding)
        with in_forecast_settings(new=True):
            series = Forecast.read_new(predictor, DataRequest(arrived, encoding))
        yield series


def findings_of(predictor: ForecastPredictor, series: TimeSeries) -> list[str]:
    """Return the findings of series without those that a warning of the preprocessing has reported."""
    warned = None if predictor.preprocessing.joined else series.joined
    return [one for one in series.findings if one != warned]


def _check_horizon(predictor: ForecastPredictor, run: Path, horizon: int | None) -> None:
    """Refuse a horizon that the model does not know, with the command that trains one that does."""
    from ..recipes import open_recipe
    from ..runs import read_recipe
    from ..runs.settings import restore, settings, show
    from ..runs.stored import is_run

    own, why = predictor.preprocessing.layout.horizon, predictor.model.fixed_horizon
    if horizon is None or horizon <= own or why is None:
        return
    arguments, changed = ["forecast", "FILE"], list[str]()
    if run.is_dir() and is_run(run):
        stored = read_recipe(run)
        arguments = [stored.name]
        usual = open_recipe(stored.name)
        before, now = settings(usual), settings(restore(usual, stored.settings))
        if now["data.path"].value is not None:
            arguments.append(str(now["data.path"].value))
        differ = [name for name in now if now[name].value != before[name].value]
        changed = [
            f"{name}={show(now[name].value)}" for name in differ if name not in ("data.path", "horizon", "ahead")
        ]
    for one in (f"horizon={horizon}", *changed):
        arguments += ["--set", one]
    typed = shlex.join(["rnnkit", "train", *arguments])
    raise ConfigError(
        f"--horizon {horizon} arrived, but {run} was trained for {own:,} steps, and cannot go on behind them: {why}; "
        f"expected at most {own}. For {horizon:,} steps type `{typed}`"
    )


def _levels(text: str | None) -> tuple[float, ...]:
    """The quantiles that were typed."""
    try:
        levels = tuple(float(one) for one in text.split(",")) if text else ()
    except ValueError:
        levels = (0.0,)
    if not all(0 < one < 1 for one in levels):
        raise ConfigError(f"--quantiles {text} arrived; expected numbers between 0 and 1, such as 0.1,0.5,0.9")
    return levels


def _picture(out: Path | None, picture: Path | None) -> Path | None:
    """Where the picture goes; None: there is none."""
    if picture is None:
        return None if out is None else out.with_suffix(".png")
    if picture.suffix.lower() not in _PICTURES:
        raise ConfigError(f"--picture {picture} arrived; expected a file ending in {', '.join(_PICTURES)}")
    return picture


def _notes(predictor: ForecastPredictor, series: TimeSeries, horizon: int | None) -> Iterator[str]:
    """What a reader of the table has to know of it."""
    import numpy as np

    from ..data.forecasting.stamps import written_stamps

    lasts = [times[end - 1] for times, end in zip(series.times, series.ends.tolist(), strict=True)]
    if min(lasts) != max(lasts):
        first, last = written_stamps(np.array([min(lasts), max(lasts)]), series.time_zone)
        yield f"The series end at different times, from {first} to {last}; each is forecast from its own end."
    own = predictor.preprocessing.layout.horizon
    if horizon is not None and horizon > own:
        yield f"The model was trained for {own:,} steps and goes on from its own draws to {horizon:,}."
        if predictor.intervals is not None:
            yield (
                f"The intervals were calibrated for {own:,} steps; behind them low and high are empty. --quantiles "
                "0.1,0.9 gives the model's own for all steps, which no data has calibrated."
            )
