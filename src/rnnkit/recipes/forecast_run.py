"""The run of a forecaster: training, intervals, scores with the baselines, and what is written into the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..runs import Metrics, chosen_on_validation, data_digests, record
from ..runs.files import write_json
from ..runs.tables import write_table
from ..serialization import replacing
from .base import PreparedRun
from .forecast_source import forecast_words
from .forecast_summary import steps_ahead, tell_errors
from .wording import findings_in_words

if TYPE_CHECKING:
    from ..data.forecasting import ForecastPreprocessing, ForecastWindows, TimeParts
    from ..tasks.forecast_scores import ForecastScores
    from ..tasks.forecasting import Array, ForecastPredictor
    from ..training.history import History
    from ..training.learner import Learner
    from .forecast import Forecast

FORECAST, PICTURE, SCORES, FINDINGS = "forecast.csv", "forecast.png", "scores.json", "findings.txt"
LINEAR = "baselines.safetensors"  # climatology, ridge and DLinear, for backtests
_SHOWN = ("mae", "mse", "smape", "mase")  # of baselines


@dataclass(frozen=True)
class PreparedForecast(PreparedRun):
    """A run whose series were read, divided and measured."""

    recipe: Forecast
    parts: TimeParts
    preprocessing: ForecastPreprocessing
    windows: tuple[ForecastWindows, ...]

    @property
    def digests(self) -> dict[str, str]:
        """A digest of the file as it was read."""
        return {self.recipe.data.named(): self.parts.series.fingerprint()}

    def check_data(self, folder: Path) -> None:
        """Raise DataError where the run in a folder was begun on other series than these."""
        data_digests.check(folder, self.digests, "train into a new folder")

    def findings(self) -> list[str]:
        """Return what was found in the series, and where their parts are."""
        units = ["All figures count the scales of the series."] if self.recipe.units == "standard" else []
        series = findings_in_words(self.parts.series.findings, forecast_words())
        return [*series, *self.parts.findings, *self.short_series(), *units]

    def run(self, folder: Path) -> Metrics:
        """Train, judge on the test part, and write model, metrics, forecasts and a picture into the folder."""
        from ..diagnostics import Diagnostics
        from ..diagnostics.updates import FILE as DIAGNOSTICS
        from ..tasks.forecast_training import forecast_learner, train_forecaster

        recipe, (train, validation, _) = self.recipe, self.windows
        data_digests.record(folder, self.digests)
        predictor = self.predictor()
        learner = forecast_learner(predictor, recipe.fit)
        history = train_forecaster(
            learner,
            recipe.fit,
            train,
            validation,
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[Diagnostics(every=100, file=folder / DIAGNOSTICS)],
        )
        return self.conclude(folder, predictor, learner, history)

    def conclude(self, folder: Path, predictor: ForecastPredictor, learner: Learner, history: History) -> Metrics:
        """Judge a trained network on the test part, and write all results into the folder.

        Args:
            folder: of the run.
            predictor: with the network.
            learner: that trained it.
            history: of the training.
        """
        from ..tasks.forecast_report import NETWORK, tell_worth
        from .forecast_page import write_forecast_page

        recipe, (_, validation, test) = self.recipe, self.windows
        judged = recipe.in_units(validation)
        validated, forecast = predictor.judge(judged)  # before these windows calibrate the intervals
        findings = [*self.findings(), *self.calibrate(predictor, judged, forecast)]
        learner.extra = predictor.extra()
        learner.save(folder)
        judged = recipe.in_units(test)
        scores, forecast = predictor.judge(judged)
        baselines, limits = self.baselines(predictor, folder)
        table, lacking = self.steps_to_come(predictor)
        findings += [*scores.findings, *limits, *lacking]
        ahead = steps_ahead(scores, baselines, recipe.ahead)
        metrics: Metrics = {
            "test": scores.figures,
            "validation": validated.figures,
            "split": " ".join(self.parts.findings),
            "rows": {name: len(one) for name, one in zip(self.parts.names, self.windows, strict=True)},
            "baselines": {name: {key: one.figures[key] for key in _SHOWN} for name, one in baselines.items()},
            "ahead": ahead,
            "summary": tell_errors(scores, baselines, ahead, self.parts.series.frequency, self.error),
            "verdict": tell_worth(scores, baselines, self.metric(scores)),
            "troubles": findings,
        }
        early = recipe.fit.early_stopping is not None
        chosen_on = chosen_on_validation(len(validation), "windows") if early else None
        metrics = record(folder, history, metrics, chosen_on=chosen_on, final=scores.figures)
        write_json(folder / SCORES, {name: one.to_json() for name, one in ({NETWORK: scores} | baselines).items()})
        write_lines([*findings, *metrics["summary"], metrics["verdict"]], folder / FINDINGS)
        if table is not None:
            self.write_forecast(table, folder)
        write_forecast_page(
            folder,
            predictor,
            judged,
            forecast,
            scores,
            baselines,
            verdict=metrics["verdict"],
            metric=self.metric(scores),
            history=history,
            read=findings,
            table=table,
        )
        return metrics

    def predictor(self) -> ForecastPredictor:
        """Return a predictor with a network whose weights are drawn with the seed."""
        from ..tasks.forecast_training import new_forecaster

        recipe = self.recipe
        build = recipe.model.build
        return new_forecaster(build, self.parts, self.preprocessing, seed=recipe.seed, device=recipe.device)

    def short_series(self) -> list[str]:
        """Report how many series are too short for a training window."""
        train, layout = self.windows[0], self.preprocessing.layout
        if not train.short:
            return []
        return [
            f"{train.short:,} of {len(self.parts.series):,} series have fewer than {layout.steps:,} training steps, "
            f"{layout.lookback} of lookback and {layout.horizon} of horizon; nothing was learned from them."
        ]

    def calibrate(self, predictor: ForecastPredictor, validation: ForecastWindows, forecast: Array) -> list[str]:
        """Calibrate intervals on the forecasts of the validation windows; a sentence where there are too few."""
        from ..errors import DataError

        try:
            predictor.calibrate(validation, (self.recipe.coverage,), forecast)
        except DataError as error:
            return [f"There are no intervals: {error.problem}."]
        return []

    def baselines(self, predictor: ForecastPredictor, folder: Path) -> tuple[dict[str, ForecastScores], list[str]]:
        """Return the scores of the baselines on the test windows, and sentences about what limits them.

        Those that were fitted are written into the folder, too.
        """
        from ..tasks.forecast_comparison import score_baselines

        recipe = self.recipe
        train, validation, test = map(recipe.in_units, self.windows)
        return score_baselines(
            train,
            validation,
            test,
            kinds=recipe.baselines,
            seasonal_errors=predictor.errors_of(test),
            seed=recipe.seed,
            linear_file=folder / LINEAR,
        )

    @property
    def error(self) -> Literal["mae", "mse"]:
        """The reported error: the squared one for figures in standard units, as in the literature."""
        return "mse" if self.recipe.units == "standard" else "mae"

    def metric(self, scores: ForecastScores) -> str:
        """The error to compare by: MASE of several series, where it is defined, else MAE; MSE in standard units."""
        from ..tasks.forecast_report import compared_metric

        return "mse" if self.error == "mse" else compared_metric(scores, len(self.parts.series))

    def steps_to_come(self, predictor: ForecastPredictor) -> tuple[dict[str, list[Any]] | None, list[str]]:
        """Return the table of the steps to come; None and a sentence where they cannot be forecast."""
        from ..errors import DataError

        try:
            return predictor.table(self.parts.series), []
        except DataError as error:  # without known covariates of the steps to come, or with a series that is too short
            return None, [f"The steps behind the table are not forecast: {error.problem}."]

    def write_forecast(self, table: dict[str, list[Any]], folder: Path) -> None:
        """Write the steps to come as a table, and draw those of the first series."""
        from .forecast_panels import draw_steps_to_come

        write_table(table, folder / FORECAST)
        draw_steps_to_come(self.parts.series, table, folder / PICTURE, lookback=self.preprocessing.layout.lookback)


def write_lines(sentences: Sequence[str], path: Path) -> None:
    """Write sentences to a file, a line each, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{one}\n" for one in sentences), encoding="utf-8")
