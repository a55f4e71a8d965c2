"""What a run of forecasts has to learn when it is fine-tuned: the series of another table, or later rows of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..runs import chosen_on_validation, data_digests
from ..tasks.ranges import Count, Positive, Share, WholeNumber
from .finetuning import FineTune, FineTuneWork, name_old, read_old, write_results
from .finetuning_page import Shown
from .forecast_source import in_forecast_settings
from .interface import DataRequest

if TYPE_CHECKING:
    from ..data.forecasting import ForecastWindows, TimeParts, TimeSeries
    from ..tasks.forecast_fine_tuning import NewSeries
    from ..tasks.forecast_scores import ForecastScores
    from ..tasks.forecasting import ForecastPredictor
    from ..training.history import History
    from ..training.learner import Learner
    from .forecast import Forecast


@dataclass(frozen=True)
class ForecastFineTune(FineTune):
    """The settings for forecasts; ``rnnkit finetune RUN --set FIELD=VALUE`` changes one.

    Attributes:
        epochs: passes over the new windows; none is 20, or as many as make 100 optimizer steps.
        batch_size: windows of an optimizer step, at most a quarter of those there are.
        replay: windows of the first training mixed into each epoch: a share of its windows (0.5), or how many (from 1
            on); none: no old windows.
        validation: share of the new steps that chooses the epoch and calibrates the intervals; left out where it would
            have fewer than 10 windows.
        test: share of the new steps, the latest, that is kept to measure on.
        freeze_body_epochs: epochs at first in which the head trains alone; none is a quarter of them with fewer than 64
            windows, else 0.
        series: names of the series to learn; none takes all of the table.
        target: columns to forecast, where they are others than those of the first training.
    """

    epochs: Count | None = None  # type: ignore[assignment]  # how many windows there are is not known here
    replay: Positive | None = None
    test: Share = 0.2
    freeze_body_epochs: WholeNumber | None = None
    series: tuple[str, ...] = ()
    target: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation + self.test >= 1:
            raise ConfigError(
                f"validation={self.validation} and test={self.test} arrived; expected shares that leave steps to train "
                "on"
            )
        if self.gradual_unfreezing and self.freeze_body_epochs:
            raise ConfigError(
                f"gradual_unfreezing=true says itself when the body trains; leave "
                f"freeze_body_epochs={self.freeze_body_epochs} out"
            )


def make_job(recipe: Forecast, folder: Path, data: DataRequest, settings: ForecastFineTune) -> ForecastJob:
    """Return the folder's model with the series of a file to learn.

    Args:
        recipe: as the run was trained.
        folder, data, settings: see :meth:`rnnkit.recipes.Recipe.fine_tune_job`.

    Raises:
        DataError: series that the model cannot read, or that are too short.
    """
    from ..tasks.forecast_fine_tuning import prepare_new
    from ..tasks.forecast_training import forecast_learner

    before = replace(recipe.load(folder), device=settings.device)
    with in_forecast_settings(new=True):
        series = _read(recipe, before, data, settings)
        new = prepare_new(before, series, validation=settings.validation, test=settings.test, by=recipe.data.by)

    def read() -> TimeParts:
        prepared: Any = recipe.prepare()
        data_digests.check(folder, prepared.digests, "its old version is expected")
        parts: TimeParts = prepared.parts
        return parts

    old = read_old(folder, settings, read)
    learner = forecast_learner(new.predictor, recipe.fit)
    return ForecastJob(recipe, folder, before, new, learner, old)


@dataclass(frozen=True)
class ForecastJob(FineTuneWork):
    """A trained forecaster with series to learn, read and checked.

    Attributes:
        recipe: as the run was trained.
        folder: of that run.
        before: the forecaster as it was.
        new: what it should learn, with the copy of it that trains.
        learner: of that copy.
        old: the series of the first training and their parts; None where these are gone.
    """

    recipe: Forecast
    folder: Path
    before: ForecastPredictor
    new: NewSeries
    learner: Learner
    old: TimeParts | None

    def findings(self) -> list[str]:
        """Return how the new series were read, divided and measured, and what of them the old test part has."""
        return [*self.new.parts.series.findings, *self.new.findings, *self._leaks()]

    def check(self, settings: FineTune) -> None:
        """Raise ConfigError for settings that forecasts cannot use, before there is a run folder."""
        from ..finetuning.freeze import matching

        matching(self.learner.model, settings.freeze)
        if settings.classes != "add":
            raise ConfigError(f"classes={settings.classes} arrived, but forecasts have no classes; leave it out")

    def run(self, settings: FineTune, folder: Path) -> History:
        """Fine-tune, and write the results into the folder; a folder that was begun is gone on with."""
        from ..tasks.forecast_fine_tuning import figures_of, report_on
        from ..tasks.forecast_old_windows import needs_old_windows, old_windows
        from ..training.fine_tuning.report import Quality
        from .forecast_run import FINDINGS, write_lines

        assert isinstance(settings, ForecastFineTune)
        new, tuned = self.new, self.new.predictor
        frozen = 0 if settings.gradual_unfreezing else settings.freeze_body_epochs
        schedule = new.schedule(settings.epochs, settings.batch_size, frozen)
        chosen = {name: value for name, value in settings.arguments(folder).items() if name != "batch_size"}
        before, old_before = self._new_scores(self.before), self._old_scores(self.before)
        data = new.batches(schedule.batch_size, settings.seed)
        replay = chosen.pop("replay")
        if needs_old_windows(replay, settings.protect):
            held = old_windows(self.before, self.old, new.windows["train"], replay)
            data |= {**held, "batch_size": schedule.batch_size}
        history = self.learner.fine_tune(
            **data,
            **chosen | {"epochs": schedule.epochs, "freeze_body_epochs": schedule.freeze_body_epochs},
        )
        concluded = new.conclude()
        self.learner.extra = tuned.extra()
        old = None
        if old_before is not None and (old_after := self._old_scores(tuned)) is not None:
            windows = len(self._old_windows(tuned))
            old = Quality(windows, figures_of(old_before), figures_of(old_after))
        report = report_on(new, history, before, self._new_scores(tuned), old)
        told = {"windows": f"{len(new.windows['train']):,} to train on, {schedule.batch_size} a step"}
        if old is not None:
            told["old data"] = name_old(self.folder, f"test windows of {self.recipe.data.named()}")
        if concluded:
            told["intervals"] = " ".join(concluded)
        report = replace(report, method={**told, **report.method})
        validation = new.windows.get("validation")
        by = None if validation is None else chosen_on_validation(len(validation), "windows")
        found = [*self.findings(), *concluded]
        write_lines(found, folder / FINDINGS)
        return write_results(
            self.learner,
            report,
            history,
            settings,
            folder,
            self._save,
            old_test=old is not None,
            chosen_on=by,
            shown=Shown(found),
        )

    def _save(self, to: Path) -> None:
        self.learner.save(to)
        data_digests.carry(self.folder, to)

    def _new_scores(self, predictor: ForecastPredictor) -> ForecastScores:
        """Scores on the windows of the new series that were kept to measure on."""
        return self.new.scores(predictor, self.recipe.in_units)

    def _old_scores(self, predictor: ForecastPredictor) -> ForecastScores | None:
        """Scores on the test part of the first training, as ``rnnkit evaluate`` has them."""
        if self.old is None:
            return None
        return predictor.scores(self.recipe.in_units(self._old_windows(predictor)))

    def _old_windows(self, predictor: ForecastPredictor) -> ForecastWindows:
        assert self.old is not None
        return predictor.preprocessing.divide(self.old)[-1]

    def _leaks(self) -> list[str]:
        """Report new training steps that are also in the old test part."""
        if self.old is None:
            return []
        old, new = self.old, self.new.parts
        begins = old.span(old.names[-1])[:, 0].tolist()
        ends = dict(zip(new.series.ids, new.span("train")[:, 1].tolist(), strict=True))
        inside = [
            name
            for row, name in enumerate(old.series.ids)
            if name in ends
            and begins[row] < len(old.series.times[row])
            and new.series.times[new.series.ids.index(name)][ends[name] - 1] >= old.series.times[row][begins[row]]
        ]
        if not inside:
            return []
        which = f"The series {inside[0]!r} trains" if len(inside) == 1 else f"{len(inside):,} series train"
        return [f"{which} on steps of the old test part, so the old figures after it are too good."]


def _read(recipe: Forecast, predictor: ForecastPredictor, data: DataRequest, settings: ForecastFineTune) -> TimeSeries:
    """The series of the file that should be learned."""
    if settings.target:
        # What is forecast now had another role before, or none.
        options = dict(predictor.preprocessing.read_options)
        for role in ("ignore_columns", "past"):
            options[role] = [name for name in options.get(role) or () if name not in settings.target]
        options["target"] = list(settings.target)
        predictor = replace(predictor, preprocessing=replace(predictor.preprocessing, read_options=options))
    series = recipe.read_new(predictor, data)
    return series[list(settings.series)] if settings.series else series
