"""A new forecaster is made, trained and calibrated: what the recipe and the estimator share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..data.forecasting.parts import TimeParts
from ..data.forecasting.preparation import ForecastPreprocessing
from ..data.forecasting.windows import ForecastWindows
from ..training.contexts import seeded
from ..training.history import History
from ..training.learner import Learner
from ..types import WindowLayout
from .forecast_counts import check_counts
from .forecast_scores import seasonal_errors
from .forecast_settings import Fit
from .forecasting import ForecastPredictor

_LARGEST = 256  # windows of a batch that is only measured, at least


def new_forecaster(
    build: Callable[[WindowLayout], Any],
    parts: TimeParts,
    preprocessing: ForecastPreprocessing,
    *,
    seed: int,
    device: str = "auto",
) -> ForecastPredictor:
    """Return a predictor with a network whose weights are drawn with a seed, and no intervals.

    Args:
        build: layout → the network, such as `Model.build`.
        parts: the series; the first part is that of the training.
        preprocessing: measured on it.
        seed: of the weights.
        device: where to compute.

    Raises:
        DataError: the network's output is one of counts, and the targets are none.
    """
    with seeded(seed, torch.device("cpu")):
        network = build(preprocessing.layout)
    check_counts(parts.series, network.distribution.name)
    seen = {name: parts.last_stamps(name) for name in parts.names if name != "test"}
    return ForecastPredictor(network, preprocessing, None, training_errors(parts), device, seen)


def training_errors(parts: TimeParts) -> dict[str, float | None]:
    """Return the error of the seasonal naive forecast on the training part of each series, which MASE divides by."""
    series = parts.series
    errors = seasonal_errors(parts.targets(parts.names[0]), series.frequency.period).tolist()
    return {name: None if error != error else error for name, error in zip(series.ids, errors, strict=True)}


def forecast_learner(predictor: ForecastPredictor, fit: Fit) -> Learner:
    """Return the learner that trains a predictor's network; what it saves can be loaded as a forecaster."""
    learner = Learner(predictor.model, loss=fit.loss, device=predictor.device, **fit.learner_settings())
    learner.extra = predictor.extra()
    return learner


def train_forecaster(
    learner: Learner, fit: Fit, train: ForecastWindows, validation: ForecastWindows, *, seed: int, **others: Any
) -> History:
    """Train on windows, and choose by those of the validation part.

    Args:
        learner: of `forecast_learner`.
        fit: the settings.
        train, validation: windows.
        seed: of their order and of dropout.
        others: more for `rnnkit.Learner.fit`.
    """
    settings = {name: value for name, value in fit.fit_settings().items() if name != "batch_size"}
    return learner.fit(
        train.batches(fit.batch_size, shuffle=True, seed=seed),
        validation=validation.batches(max(fit.batch_size, _LARGEST)),
        seed=seed,
        **settings | others,
    )
