"""What a forecaster of scikit-learn's interface is made of: its parameters, its training, and its pickle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..data.forecasting.parts import TimeParts, divide_time
from ..data.forecasting.preparation import ForecastPreprocessing
from ..data.forecasting.series import TimeSeries
from ..errors import ConfigError, DataError, check_number, check_whole
from ..models.loading import build as rebuild
from ..tasks.conformal import ConformalIntervals
from ..tasks.forecast_fine_tuning import fine_tune_forecaster
from ..tasks.forecast_settings import Fit, Model, check_together, chosen_calendar, usual_lookback
from ..tasks.forecast_training import forecast_learner, new_forecaster, train_forecaster
from ..tasks.forecasting import ForecastPredictor
from ..training.history import History
from ..types import WindowLayout
from ._forecast_forms import Form, read_form
from ._going_on import GoesOn, check_unchanged
from ._settings import chosen, count, in_parameters

MODEL, FIT = Model(), Fit()  # whose values are the estimator's own defaults: there is one recipe
_OTHER_NAMES = {"learning_rate": "lr", "model": "kind"}
_READING = (
    "target", "id_column", "time_column", "past", "known", "static", "ignore_columns", "frequency", "time_zone",
    "duplicates", "gaps",
)  # fmt: skip
Network = Callable[[WindowLayout], torch.nn.Module]


@dataclass(kw_only=True, repr=False, eq=False)
class TrainedForecaster(GoesOn, BaseEstimator):  # type: ignore[misc]
    """Base of `RNNForecaster`, which adds forecasts and scores.

    The fields are scikit-learn's parameters: a dataclass makes the constructor from them.
    """

    horizon: int = 24
    lookback: int | None = None
    model: str = MODEL.kind
    cell: str = MODEL.cell
    hidden_size: int = MODEL.hidden_size
    num_layers: int = MODEL.num_layers
    output: str = MODEL.output
    norm: str = MODEL.norm
    dropout: float = MODEL.dropout
    target: str | Sequence[str] | None = None
    id_column: str | None = None
    time_column: str | None = None
    past: Sequence[str] | None = None
    known: Sequence[str] = ()
    static: Sequence[str] | None = None
    ignore_columns: Sequence[str] = ()
    frequency: str | None = None
    time_zone: str | None = None
    duplicates: str | None = None
    gaps: str = "insert"
    scale: Literal["standard", "mean", "none"] = "standard"
    scale_by: Literal["series", "all"] = "series"
    calendar: bool | Sequence[str] = True
    number_series: bool = False
    shortest: int | None = None
    stride: int = 1
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    epochs: int = FIT.epochs
    batch_size: int = FIT.batch_size
    learning_rate: float = FIT.lr
    weight_decay: float = FIT.weight_decay
    loss: str | None = FIT.loss
    early_stopping: bool = True
    n_iter_no_change: int = 5
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool = False
    settings: dict[str, Any] | None = None
    read_options: dict[str, Any] | None = None
    network: Network | None = None

    def fit(self, data: Any, y: None = None) -> Self:
        """Train on series; with `warm_start` from where the last `fit` ended.

        Args:
            data: the series, in any form of the class.
            y: None; scikit-learn's pipelines pass it.

        Returns:
            The forecaster itself.

        Raises:
            DataError: the series cannot be used as they are.
            ConfigError: a parameter does not exist or is outside its range.
        """
        if y is not None:
            raise ConfigError(
                f"y={type(y).__name__} arrived; the targets of a forecaster stand in the data: write fit(table) with a "
                'column "y", or RNNForecaster(target="load")'
            )
        model, fit = self._recipe()
        series, form = self._read(data)
        fresh = not (self.warm_start and hasattr(self, "predictor_"))
        parts = self._divide(series)
        if fresh:
            preprocessing = self._prepare(parts, series)
        else:
            preprocessing = self.predictor_.preprocessing
            self._check_unchanged(model)
        train, validation = preprocessing.divide(parts, stride=self.stride)[:2]
        seed = self._seed(fresh)
        if fresh:
            build = model.build if self.network is None else self.network
            predictor = new_forecaster(build, parts, preprocessing, seed=seed, device=self.device)
        else:
            seen = {name: parts.last_stamps(name) for name in parts.names[:2]}
            predictor = replace(self.predictor_, device=self.device, seen=seen)
        learner = forecast_learner(predictor, fit)
        history = train_forecaster(learner, fit, train, validation, seed=seed, progress=None if self.verbose else False)
        self._trained(predictor, parts, form, history, fresh=fresh)
        self._model = model
        predictor.intervals = None
        self.findings_ = [*series.findings, *parts.findings]
        try:
            self._calibrate((0.8,))
        except DataError as error:
            self.findings_.append(f"There are no intervals: {error.problem}.")
        return self

    def _recipe(self) -> tuple[Model, Fit]:
        """The recipe's settings of network and training; all parameters are checked."""
        check_whole(self.horizon, "horizon")
        check_whole(self.lookback, "lookback", optional=True)
        check_number(self.validation_fraction, "validation_fraction", above=0, below=1)
        check_number(self.test_fraction, "test_fraction", below=1)
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction={self.validation_fraction} and test_fraction={self.test_fraction} arrived; "
                "expected shares that leave steps to train on"
            )
        patience = count("n_iter_no_change", self.n_iter_no_change) if self.early_stopping else None
        model, fit = chosen(self.get_params(deep=False), (Model, Fit), _OTHER_NAMES, taken=("early_stopping",))
        fit = replace(fit, early_stopping=patience)
        try:
            check_together(model, fit, self.scale)
        except ConfigError as error:
            raise in_parameters(error, _OTHER_NAMES) from None
        return model, fit

    def _read(self, data: Any) -> tuple[TimeSeries, Form]:
        given = {name: getattr(self, name) for name in _READING}
        return read_form(data, given | (self.read_options or {}))

    def _divide(self, series: TimeSeries) -> TimeParts:
        shares = (1 - self.validation_fraction - self.test_fraction, self.validation_fraction, self.test_fraction)
        if self.test_fraction:
            return divide_time(series, shares)
        return divide_time(series, shares[:2], names=("train", "validation"))

    def _prepare(self, parts: TimeParts, series: TimeSeries) -> ForecastPreprocessing:
        lookback = usual_lookback(series, self.horizon) if self.lookback is None else self.lookback
        return ForecastPreprocessing.fit(
            parts,
            lookback=lookback,
            horizon=self.horizon,
            scale=self.scale,
            scale_by=self.scale_by,
            calendar=chosen_calendar(self.calendar),
            series_index=self.number_series,
            shortest=self.shortest,
        )

    def _check_unchanged(self, model: Model) -> None:
        """Raise where another network is asked for than the one whose training continues."""
        changed = [name for name, value in vars(model).items() if value != getattr(self._model, name)]
        layout = self.predictor_.preprocessing.layout
        changed += [
            name
            for name, value in (("horizon", layout.horizon), ("lookback", layout.lookback))
            if getattr(self, name) not in (None, value)
        ]
        check_unchanged(changed)

    def _trained(
        self, predictor: ForecastPredictor, parts: TimeParts, form: Form, history: History, *, fresh: bool
    ) -> None:
        """Keep what a training made."""
        self.predictor_, self.parts_, self._form = predictor, parts, form
        self._validated: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # targets, forecasts, scales
        self._record(history, fresh)

    def fine_tune(self, data: Any, *, epochs: int | None = None, **settings: Any) -> Self:
        """Train on new series at a lower rate, from where `fit` ended: one series after many, or the latest steps.

        The latest steps are held out as in `fit`, as far as there are enough: one window, a lookback and a horizon, can
        be learned from. A new series is measured on its own training part; a known one keeps its scale unless it has
        moved far. See `rnnkit.tasks.forecast_fine_tuning.fine_tune_forecaster`.

        Args:
            data: the series, in any form of the class, with the columns of `fit`. `predict()` continues them.
            epochs: passes over the new windows; None: 20, or as many as make 100 optimizer steps.
            **settings: more for `fine_tune_forecaster` and `rnnkit.Learner.fine_tune`: `lr`, `batch_size`, `freeze`,
                `adapters`, `protect`, `replay` ... Old windows are those of the last training.

        Returns:
            The forecaster itself; `print(model.history_.report)` shows what changed.

        Raises:
            NotFittedError: before `fit`. DataError: the series cannot be used as they are, or lack a covariate.
            ConfigError: as in `rnnkit.Learner.fine_tune`.
        """
        check_is_fitted(self, "predictor_")
        _, fit = self._recipe()
        series, form = self._read_new(data)
        tuned = fine_tune_forecaster(
            replace(self.predictor_, device=self.device),
            series,
            validation=self.validation_fraction,
            test=self.test_fraction,
            epochs=epochs,
            fit=fit,
            seed=self._seed(fresh=False),
            **{"progress": None if self.verbose else False, "old": self.parts_} | settings,
        )
        self._trained(tuned.predictor, tuned.parts, form, tuned.history, fresh=False)
        self.findings_ = [*series.findings, *tuned.findings]
        return self

    def _read_new(self, data: Any) -> tuple[TimeSeries, Form]:
        """Series for a trained network, read as those of the training were."""
        preprocessing = self.predictor_.preprocessing
        options = dict(preprocessing.read_options)
        series, form = read_form(data, options, arrays=len(self.parts_.series))
        if form.kind == "array" and preprocessing.frequency.is_date:
            time, targets = options.get("time_column") or "ds", options.get("target") or ["y"]
            raise DataError(
                f"{'a list' if isinstance(data, list) else 'an array'} arrived, which has no time stamps; the "
                f"forecaster was trained on steps with dates, {preprocessing.frequency.words}",
                remedy=(
                    "pass a Series with the dates as its index",
                    f"pass a DataFrame with the columns {', '.join(map(repr, (time, *targets)))}",
                ),
            )
        return series, form

    def _calibrate(self, coverages: tuple[float, ...]) -> None:
        """Calibrate intervals of these coverages on the validation part, beside those that there are."""
        predictor = self.predictor_
        known = () if predictor.intervals is None else predictor.intervals.coverages
        if all(any(abs(one - other) < 1e-9 for other in known) for one in coverages):
            return
        if self._validated is None:
            if "validation" not in self.parts_.names:
                raise DataError(
                    f"the series of the fine-tuning were too short for validation windows, and intervals of "
                    f"{', '.join(f'{one:.3g}' for one in coverages)} were not calibrated before",
                    remedy=f"pass one of these coverages: {', '.join(f'{one:.3g}' for one in known)}",
                )
            windows = predictor.preprocessing.divide(self.parts_)[1]
            self._validated = windows.truth(), predictor.forecast(windows), windows.scales()
        truth, forecast, scale = self._validated
        predictor.intervals = ConformalIntervals.fit(
            truth, forecast, coverages=sorted({*known, *coverages}), scale=scale
        )

    def __getstate__(self) -> dict[str, Any]:
        """Plain values: the network as its description and arrays."""
        state = dict(super().__getstate__())
        if "predictor_" in state:
            model = self.predictor_.model
            weights = {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}
            state["predictor_"] = replace(self.predictor_, model={"config": model.config(), "weights": weights})
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "predictor_" in state:
            described = self.predictor_.model
            model = rebuild(described["config"])
            model.load_state_dict({name: torch.tensor(array) for name, array in described["weights"].items()})
            self.predictor_ = replace(self.predictor_, model=model)
