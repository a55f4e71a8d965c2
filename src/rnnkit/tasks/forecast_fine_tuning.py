"""Fine-tuning of a forecaster: one series after many, an unseen series with few observations, or the latest steps.

Legend: S series, L lookback steps, H horizon steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from ..data.forecasting.parts import TimeParts, divide_time
from ..data.forecasting.preparation import ForecastPreprocessing
from ..data.forecasting.scaling import Scaling
from ..data.forecasting.series import TimeSeries
from ..data.forecasting.windows import ForecastWindows
from ..data.sentences import quoted
from ..errors import ConfigError, DataError, Place
from ..finetuning.adapters import merge_adapters
from ..training.fine_tuning.report import FineTuningReport, Quality
from ..training.history import History
from .forecast_counts import check_counts
from .forecast_old_windows import needs_old_windows, old_windows
from .forecast_scores import ForecastScores
from .forecast_settings import Fit
from .forecast_training import forecast_learner, training_errors
from .forecasting import ForecastPredictor

FEW = 64  # training windows; with fewer the head trains alone at first
_CHOOSE = 10  # windows that can choose an epoch
_EPOCHS, _STEPS = 20, 100  # at least, unless the user says how many epochs
_FAR = 3.0  # scales from the old center, or times the old scale
_BATCH = 256
FIGURES = ("mae", "mase", "smape", "crps")  # of a report


class Schedule(NamedTuple):
    """How long a fine-tuning is: windows of a step, epochs, and epochs at first in which the head trains alone."""

    batch_size: int
    epochs: int
    freeze_body_epochs: int


@dataclass(frozen=True)
class NewSeries:
    """Series that a trained forecaster should learn: divided, measured and cut into windows.

    Attributes:
        predictor: a copy of the forecaster, which has measured these series.
        parts: of the series: train, and validation and test where these have windows.
        windows: of each part, by its name.
        findings: how the series were divided and measured, a sentence each.
    """

    predictor: ForecastPredictor
    parts: TimeParts
    windows: Mapping[str, ForecastWindows]
    findings: tuple[str, ...]

    @property
    def judged(self) -> tuple[str, ForecastWindows]:
        """The part to measure on, and its windows: the last part that there is."""
        name = self.parts.names[-1]
        return name, self.windows[name]

    def schedule(self, epochs: int | None, batch_size: int, freeze_body_epochs: int | None) -> Schedule:
        """Return the schedule for as many windows as there are to train on; see `fine_tune_forecaster`."""
        count = len(self.windows["train"])
        batch = min(batch_size, -(-count // 4))
        if epochs is None:
            epochs = max(_EPOCHS, -(-_STEPS // -(-count // batch)))
        if freeze_body_epochs is None:
            freeze_body_epochs = epochs // 4 if count < FEW else 0
        return Schedule(batch, epochs, freeze_body_epochs)

    def batches(self, batch_size: int, seed: int) -> dict[str, Any]:
        """Return the data for ``Learner.fine_tune``: what to learn, and what to choose the epoch by."""
        chosen = self.windows.get("validation")
        return {
            "new_data": self.windows["train"].batches(batch_size, shuffle=True, seed=seed),
            "validation": None if chosen is None else chosen.batches(_BATCH),
            "restore_best": chosen is not None,
        }

    def scores(
        self, predictor: ForecastPredictor, in_units: Callable[[ForecastWindows], ForecastWindows] | None = None
    ) -> ForecastScores:
        """Return a forecaster's scores on the windows to measure on.

        Args:
            predictor: the forecaster.
            in_units: gives windows whose scores are in other units than the user's; None: in these.
        """
        windows = self.judged[1] if in_units is None else in_units(self.judged[1])
        return replace(predictor, seasonal_errors=self.predictor.seasonal_errors).scores(windows)

    def conclude(self) -> list[str]:
        """Calibrate the intervals on the validation windows of the new series; report where that is impossible."""
        predictor = self.predictor
        if predictor.intervals is None:
            return []
        coverages, chosen = predictor.intervals.coverages, self.windows.get("validation")
        try:
            if chosen is None:
                raise DataError("there are no validation windows")
            predictor.calibrate(chosen, coverages)
        except DataError as error:
            return [
                f"The intervals are those of the first training, in the scale of each series: {error.problem}. They "
                "are not calibrated for the new series."
            ]
        return [f"The intervals are calibrated on {len(chosen):,} validation windows of the new series."]


@dataclass(frozen=True)
class FineTunedForecaster:
    """What `fine_tune_forecaster` made.

    Attributes:
        predictor: the forecaster after it; the one that was given is as it was.
        history: of the training.
        report: quality on the new series before and after; print it.
        findings: how the series were divided and measured, a sentence each.
        parts: of the series: train, and validation and test where these have windows.
    """

    predictor: ForecastPredictor
    history: History
    report: FineTuningReport
    findings: tuple[str, ...]
    parts: TimeParts


def fine_tune_forecaster(
    predictor: ForecastPredictor,
    series: TimeSeries,
    *,
    validation: float = 0.2,
    test: float = 0.2,
    epochs: int | None = None,
    batch_size: int = 16,
    freeze_body_epochs: int | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    old: TimeParts | None = None,
    **settings: Any,
) -> FineTunedForecaster:
    """Teach a trained forecaster new series, or the latest steps of those that it knows.

    The latest steps are held out: `test` to measure on, and `validation` to choose the epoch and to calibrate the
    intervals. Where that would leave too few, validation is left out, then test. Without validation all epochs are
    trained and the last one is kept. So one window, a lookback and a horizon, is enough.

    A series that the model has not seen is measured on its training part, and is series number 0, the unknown one, to a
    model that numbers its series. A known series keeps its number, and its scale unless it has moved far.

    Args:
        predictor: a trained forecaster; it stays as it is.
        series: what to learn, with the covariates of the training.
        validation, test: shares of the time.
        epochs: passes over the new windows; None: 20, or as many as make 100 optimizer steps.
        batch_size: windows of an optimizer step, at most a quarter of those there are.
        freeze_body_epochs: epochs at first in which the head trains alone; None: a quarter of them with fewer than 64
            windows, else none.
        fit: optimizer and loss of the first training; None: the usual ones. The rate is a tenth of its `lr`.
        seed: of order and dropout.
        old: the series of the first training and their parts, for ``protect="ewc"`` and `replay`.
        **settings: more for `rnnkit.Learner.fine_tune`: `lr`, `freeze`, `adapters`, `protect`, `replay` ...

    Raises:
        DataError: fewer steps than a lookback and a horizon, or another frequency.
        ConfigError: as in `rnnkit.Learner.fine_tune`.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time
        >>> many = TimeSeries.from_arrays([np.sin(np.arange(60.0) + one) for one in range(3)], ids=["a", "b", "c"])
        >>> preprocessing = ForecastPreprocessing.fit(divide_time(many), lookback=8, horizon=2)
        >>> predictor = ForecastPredictor(rnnkit.DirectForecaster(preprocessing.layout, hidden_size=4), preprocessing)
        >>> new = TimeSeries.from_arrays([np.cos(np.arange(10.0))], ids=["d"])
        >>> tuned = fine_tune_forecaster(predictor, new, epochs=2, progress=False)
        >>> tuned.report.new.rows, tuned.report.new_from
        (1, 'the training windows')
        >>> print(tuned.findings[0])
        All 10 steps are trained on: a window takes 10, so none can be held out.
    """
    new = prepare_new(predictor, series, validation=validation, test=test)
    learner = forecast_learner(new.predictor, Fit() if fit is None else fit)
    schedule = new.schedule(epochs, batch_size, 0 if settings.get("gradual_unfreezing") else freeze_body_epochs)
    before = new.scores(predictor)
    usual: dict[str, Any] = {
        "epochs": schedule.epochs,
        "freeze_body_epochs": schedule.freeze_body_epochs,
        "seed": seed,
        "schedule": "slanted_triangular",
    }
    data = new.batches(schedule.batch_size, seed)
    replay = settings.pop("replay", None)
    if needs_old_windows(replay, settings.get("protect")):
        data |= {**old_windows(predictor, old, new.windows["train"], replay), "batch_size": schedule.batch_size}
    history = learner.fine_tune(**data, **usual | settings)
    if settings.get("adapters") is not None:
        merge_adapters(new.predictor.model)
    findings = (*new.findings, *new.conclude())
    report = report_on(new, history, before, new.scores(new.predictor))
    history.report = report
    return FineTunedForecaster(new.predictor, history, report, findings, new.parts)


def prepare_new(
    predictor: ForecastPredictor,
    series: TimeSeries,
    *,
    validation: float = 0.2,
    test: float = 0.2,
    by: Literal["time", "series"] = "time",
) -> NewSeries:
    """Return new series ready to be learned; see `fine_tune_forecaster`, which is the whole of it.

    Args:
        predictor: a trained forecaster; it stays as it is.
        series: what to learn.
        validation, test: shares of the time.
        by: see `divide_time`.

    Raises:
        DataError: fewer steps than a lookback and a horizon, another frequency, or no counts for a model of counts.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise ConfigError(
            f"validation={validation} and test={test} arrived; expected shares that leave steps to train on"
        )
    check_counts(series, predictor.model.distribution.name)
    parts, findings = _divide(predictor.preprocessing, series, validation, test, by)
    preprocessing, moved = _measured(predictor.preprocessing, parts)
    windows = dict(zip(parts.names, preprocessing.divide(parts), strict=True))
    tuned = replace(
        predictor,
        model=copy.deepcopy(predictor.model),
        preprocessing=replace(preprocessing, read_options=dict(series.read_options or preprocessing.read_options)),
        seasonal_errors={**training_errors(parts), **predictor.seasonal_errors},
        seen=_seen(predictor, parts),
    )
    return NewSeries(tuned, parts, windows, (*findings, *moved))


def report_on(
    new: NewSeries, history: History, before: ForecastScores, after: ForecastScores, old: Quality | None = None
) -> FineTuningReport:
    """Return the report of a fine-tuning with the figures of forecasts, in the user's units.

    Args:
        new: what was learned.
        history: of the training, with the learner's own report.
        before, after: scores on the windows to measure on.
        old: the same of what was learned before.
    """
    name, windows = new.judged
    report: FineTuningReport | None = history.report
    assert report is not None
    return replace(
        report,
        new=Quality(len(windows), figures_of(before), figures_of(after)),
        old=old,
        new_from="the training windows" if name == "train" else f"{name} windows",
    )


def figures_of(scores: ForecastScores) -> dict[str, float]:
    """Return the figures of a report: those that are defined, and how often the intervals cover."""
    found = scores.figures
    names = [*FIGURES, *(name for name in found if name.startswith("interval_") and name.endswith("_coverage"))]
    return {name: found[name] for name in names if name in found and found[name] == found[name]}


def _divide(
    preprocessing: ForecastPreprocessing,
    series: TimeSeries,
    validation: float,
    test: float,
    by: Literal["time", "series"],
) -> tuple[TimeParts, list[str]]:
    """Parts that have windows, as many of train, validation and test as there can be."""
    horizon, shortest = preprocessing.layout.horizon, preprocessing.shortest
    need = shortest + horizon

    def windows(parts: TimeParts) -> list[int]:
        spans = (parts.span(name) for name in parts.names)
        return [int(np.maximum(span[:, 1] - horizon + 1 - np.maximum(span[:, 0], shortest), 0).sum()) for span in spans]

    wanted = {"train": 1 - validation - test, "validation": validation, "test": test}
    without = {"train": 1 - test, "test": test}
    told: list[str] = []
    for shares in (wanted, without):
        names = [name for name, share in shares.items() if share]
        if len(names) < 2 or (shares is without and wanted["validation"] == 0):
            continue
        try:
            parts = divide_time(series, [shares[name] for name in names], by=by, names=names)
        except DataError:  # a part without a step
            continue
        counts = dict(zip(names, windows(parts), strict=True))
        if min(counts.values()) > 0 and counts.get("validation", _CHOOSE) >= _CHOOSE:
            if "validation" not in names and validation:
                told = ["There are too few steps for validation windows; the number of epochs is fixed."]
            return parts, [*parts.findings, *told]
    ends = series.ends
    parts = TimeParts(series, ("train",), np.stack([np.zeros_like(ends), ends], 1))
    if not windows(parts)[0]:
        raise DataError(
            f"the longest series has {int(ends.max()):,} steps; fine-tuning needs at least {need:,}, {shortest:,} of "
            f"lookback and {horizon:,} of horizon",
            Place(series.source),
            "give more history",
        )
    what = f"All {int(ends.max()):,} steps are trained on: a window takes {need:,}, so none can be held out."
    return parts, [what, "The number of epochs is fixed."] if validation or test else []


def _measured(preprocessing: ForecastPreprocessing, parts: TimeParts) -> tuple[ForecastPreprocessing, list[str]]:
    """The preprocessing with the scales of new series, and of those that have moved far; and sentences about them."""
    series, scaling = parts.series, preprocessing.scaling
    targets = parts.targets(parts.names[0])
    found = preprocessing.with_series(parts)
    new = [name for name in series.ids if name not in scaling.ids]
    told = []
    if new and scaling.by == "series" and scaling.method != "none":
        told.append(
            f"{_listed(new)} {'is' if len(new) == 1 else 'are'} new; the scale is measured on the training part."
        )
    if scaling.by == "all" or scaling.method == "none":
        return found, told
    now = Scaling.fit(targets, series.ids, method=scaling.method)
    moved = []
    for row, name in enumerate(series.ids):
        if name not in scaling.ids:
            continue
        at = scaling.ids.index(name)
        ratio, away = now.scales[row] / scaling.scales[at], abs(now.centers[row] - scaling.centers[at])
        if away > _FAR * scaling.scales[at] or not 1 / _FAR <= ratio <= _FAR:
            moved.append(name)
    if moved:
        rows = {name: row for row, name in enumerate(series.ids) if name in moved}
        scales: dict[str, Any] = {
            what: tuple(
                getattr(now, what)[rows[name]] if name in rows else old
                for name, old in zip(found.scaling.ids, getattr(found.scaling, what), strict=True)
            )
            for what in ("centers", "scales")
        }
        found = replace(found, scaling=replace(found.scaling, **scales))
        told.append(f"{_listed(moved)} lies elsewhere than in the first training; the scale is measured anew.")
    return found, told


def _seen(predictor: ForecastPredictor, parts: TimeParts) -> dict[str, dict[str, str | int]]:
    """What the model was made from: of each series the latest step."""
    found = {part: dict(stamps) for part, stamps in predictor.seen.items()}
    for part in parts.names:
        if part != "test":
            before = found.setdefault(part, {})
            for name, stamp in parts.last_stamps(part).items():
                before[name] = max(stamp, before[name]) if name in before else stamp
    return found


def _listed(names: list[str]) -> str:
    return f"The series {quoted(names, 5)}"
