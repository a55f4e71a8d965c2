"""The run of a forecaster: training, intervals, scores beside the baselines, and what is written into the folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..runs import Metrics, data_digests, record
from ..runs.files import write_json
from ..runs.tables import write_table
from ..serialization import replacing
from .base import PreparedRun
from .forecast_summary import steps_ahead, tell_errors

if TYPE_CHECKING:
    from ..data.forecasting import ForecastPreprocessing, ForecastWindows, TimeParts
    from ..tasks.forecast_scores import ForecastScores
    from ..tasks.forecasting import ForecastPredictor
    from .forecast import Forecast

FORECAST, PICTURE, SCORES, FINDINGS = "forecast.csv", "forecast.png", "scores.json", "findings.txt"
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
        return [*self.parts.series.findings, *self.parts.findings, *self.short_series(), *units]

    def run(self, folder: Path) -> Metrics:
        """Train, judge on the test part, and write model, metrics, forecasts and a picture into the folder."""
        from ..diagnostics import Diagnostics
        from ..diagnostics.updates import FILE as DIAGNOSTICS
        from ..training.learner import Learner

        recipe, fit, (train, validation, test) = self.recipe, self.recipe.fit, self.windows
        data_digests.record(folder, self.digests)
        predictor = self.predictor()
        learner = Learner(predictor.model, loss=fit.loss, device=recipe.device, **fit.learner_settings())
        learner.extra = predictor.extra()
        settings = {name: value for name, value in fit.fit_settings().items() if name != "batch_size"}
        history = learner.fit(
            train.batches(fit.batch_size, shuffle=True, seed=recipe.seed),
            validation=validation.batches(max(fit.batch_size, 256)),
            seed=recipe.seed,
            checkpoint=folder,
            resume=True,  # of a new folder there is nothing to resume
            callbacks=[Diagnostics(every=100, file=folder / DIAGNOSTICS)],
            **settings,
        )
        validated = predictor.scores(recipe.in_units(validation))  # before these windows calibrate the intervals
        findings = [*self.findings(), *self.calibrate(predictor, validation)]
        learner.extra = predictor.extra()
        learner.save(folder)
        scores = predictor.scores(recipe.in_units(test))
        baselines, limits = self.baselines(predictor)
        findings += [*scores.findings, *limits, *self.write_forecast(predictor, folder)]
        ahead = steps_ahead(scores, baselines, recipe.ahead)
        metrics: Metrics = {
            "test": scores.figures,
            "validation": validated.figures,
            "split": " ".join(self.parts.findings),
            "rows": {name: len(one) for name, one in zip(self.parts.names, self.windows, strict=True)},
            "baselines": {name: {key: one.figures[key] for key in _SHOWN} for name, one in baselines.items()},
            "ahead": ahead,
            "summary": tell_errors(scores, baselines, ahead, self.parts.series.frequency, self.error),
            "verdict": self.verdict(scores, baselines),
            "troubles": findings,
        }
        early = fit.early_stopping is not None
        chosen_on = f"validation ({len(validation):,} windows held out from training)" if early else None
        metrics = record(folder, history, metrics, chosen_on=chosen_on, final=scores.figures)
        write_json(folder / SCORES, {name: one.to_json() for name, one in ({"network": scores} | baselines).items()})
        with replacing(folder / FINDINGS) as temporary:
            temporary.write_text(
                "\n".join([*findings, *metrics["summary"], metrics["verdict"]]) + "\n", encoding="utf-8"
            )
        return metrics

    def predictor(self) -> ForecastPredictor:
        """Return a predictor with a network whose weights are drawn with the seed."""
        import torch

        from ..tasks.forecast_scores import seasonal_errors
        from ..tasks.forecasting import ForecastPredictor

        recipe, series = self.recipe, self.parts.series
        torch.manual_seed(recipe.seed)
        model = recipe.model.build(self.preprocessing.layout)
        errors = seasonal_errors(self.parts.targets(self.parts.names[0]), series.frequency.period)
        named = {name: None if error != error else float(error) for name, error in zip(series.ids, errors, strict=True)}
        return ForecastPredictor(model, self.preprocessing, None, named, recipe.device)

    def short_series(self) -> list[str]:
        """Tell how many series are too short for a training window."""
        train, layout = self.windows[0], self.preprocessing.layout
        if not train.short:
            return []
        return [
            f"{train.short:,} of {len(self.parts.series):,} series have fewer than {layout.steps:,} training steps, "
            f"{layout.lookback} of lookback and {layout.horizon} of horizon; nothing was learned from them."
        ]

    def calibrate(self, predictor: ForecastPredictor, validation: ForecastWindows) -> list[str]:
        """Calibrate intervals on the validation windows; a sentence where there are too few."""
        from ..errors import DataError

        try:
            predictor.calibrate(validation, (self.recipe.coverage,))
        except DataError as error:
            return [f"There are no intervals: {error.problem}."]
        return []

    def baselines(self, predictor: ForecastPredictor) -> tuple[dict[str, ForecastScores], list[str]]:
        """Return the scores of the baselines on the test windows, and sentences about what limits them."""
        from ..tasks.forecast_comparison import score_baselines

        recipe = self.recipe
        train, validation, test = map(recipe.in_units, self.windows)
        errors = predictor.errors_of(test)
        return score_baselines(
            train, validation, test, kinds=recipe.baselines, seasonal_errors=errors, seed=recipe.seed
        )

    @property
    def error(self) -> Literal["mae", "mse"]:
        """The error that is told: of figures in standard units the squared one, as in the literature."""
        return "mse" if self.recipe.units == "standard" else "mae"

    def verdict(self, scores: ForecastScores, baselines: dict[str, ForecastScores]) -> str:
        """Say whether the network is worth it.

        Several series are compared by MASE, where it is defined, or by the MSE in standard units.
        """
        from ..tasks.forecast_baselines import verdict

        metric: str = self.error
        if metric == "mae" and len(self.parts.series) > 1 and scores.figures["mase"] == scores.figures["mase"]:
            metric = "mase"
        errors = {name: one.figures[metric] for name, one in baselines.items()}
        return verdict(scores.figures[metric], errors, metric=metric.upper())

    def write_forecast(self, predictor: ForecastPredictor, folder: Path) -> list[str]:
        """Write the steps to come as a table, and draw those of the first series; a sentence where that cannot be."""
        from ..errors import DataError
        from .forecast_picture import draw_forecast

        try:
            table = predictor.table(self.parts.series)
        except DataError as error:  # without known covariates of the steps to come, or with a series that is too short
            return [f"The steps behind the table are not forecast: {error.problem}."]
        write_table(table, folder / FORECAST)
        draw_forecast(self.parts.series, table, self.preprocessing.layout.lookback, folder / PICTURE)
        return []
