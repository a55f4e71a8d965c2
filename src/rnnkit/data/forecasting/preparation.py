"""From time series as they were read to windows for a model: measured on the training part, stored with the model.

Legend: S series, L lookback steps, H horizon steps, N steps of all series.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import DataError, DataWarning, Place, Remedy, check_whole
from ...types import WindowLayout
from .calendar import calendar_columns, calendar_features, calendar_names
from .frequency import Frequency
from .parts import TimeParts
from .scaling import Method, Scaling, moments
from .series import TimeSeries
from .stamps import shown
from .windows import ForecastWindows, WindowSource

if TYPE_CHECKING:
    import numpy.typing as npt

_VERSION = 1


@dataclass(frozen=True)
class ForecastPreprocessing:
    """How time series become the inputs of a forecaster, and its outputs values in the user's units again.

    Targets are scaled as `Scaling` says. Covariates and numbers of a series are standardised over all series of the
    training part. Texts of a series are numbered from 1, 0 is a text that was not seen. A missing value of an input is
    the last one before it in its series, and the mean where there is none before: no later value is looked at.

    Attributes:
        layout: of the windows.
        frequency: of the steps.
        calendar: the features of the calendar, among the known covariates.
        time_zone: of the calendar.
        scaling: of the targets.
        covariates: name → (mean, standard deviation), of past, known and static numbers.
        levels: name → the texts of a static column, in order.
        shortest: the fewest steps of history that a window needs; the steps before are 0 and not observed.
        read_options: arguments of `read_time_series` for further files.
        joined: whether the steps of the training were joined of rows of a shorter step.

    Example:
        >>> import json
        >>> series = TimeSeries.from_arrays([np.arange(40.0)], start="2024-01-01", frequency="day", ids=["load"])
        >>> from rnnkit.data.forecasting import divide_time
        >>> preprocessing = ForecastPreprocessing.fit(divide_time(series), lookback=7, horizon=2)
        >>> preprocessing.layout.known
        ('weekday_sin', 'weekday_cos', 'day_of_year_sin', 'day_of_year_cos')
        >>> latest = preprocessing.latest(series)
        >>> latest.stamps().astype("datetime64[D]").astype(str).tolist()
        [['2024-02-10', '2024-02-11']]
        >>> ForecastPreprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing
        True
    """

    layout: WindowLayout
    frequency: Frequency
    calendar: tuple[str, ...]
    time_zone: str | None
    scaling: Scaling
    covariates: Mapping[str, tuple[float, float]]
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shortest: int = 1
    read_options: Mapping[str, Any] = field(default_factory=dict)
    joined: bool = False

    @staticmethod
    def fit(
        parts: TimeParts,
        *,
        lookback: int,
        horizon: int,
        scale: Method = "standard",
        scale_by: Literal["series", "all"] = "series",
        calendar: Sequence[str] | None = None,
        observed: bool | None = None,
        series_index: bool = False,
        shortest: int | None = None,
    ) -> ForecastPreprocessing:
        """Measure the training part, the first of `parts`.

        Args:
            parts: the series and their parts.
            lookback, horizon: L and H.
            scale, scale_by: of the targets, see `Scaling`.
            calendar: features of the calendar; None: those that the frequency can use; () for none.
            observed: whether inputs say which targets were observed; None: if any is missing, or if windows may be
                shorter than L.
            series_index: whether inputs hold the number of the series.
            shortest: the fewest steps of history of a window; None: L.

        Raises:
            ConfigError: a number out of range, or no such method or feature.
            DataError: no target of the training part was observed.
        """
        series = parts.series
        check_whole(lookback, "lookback")
        shortest = lookback if shortest is None else shortest
        check_whole(shortest, "shortest")
        shortest = min(shortest, lookback)
        features = calendar_features(series.frequency) if calendar is None else tuple(calendar)
        if not series.frequency.is_date:
            features = ()
        train = parts.span(parts.names[0]).tolist()
        if observed is None:
            missing = any(np.isnan(one[:end]).any() for one, end in zip(series.targets, series.ends, strict=True))
            observed = missing or shortest < lookback
        covariates: dict[str, tuple[float, float]] = {}
        for kind, names in (("past", series.past_names), ("known", series.known_names)):
            columns = getattr(series, kind)
            whole = np.concatenate([one[begin:end] for one, (begin, end) in zip(columns, train, strict=True)])
            covariates |= {name: moments(whole[:, at]) for at, name in enumerate(names)}
        texts = {name: column for name, column in series.static.items() if column.dtype.kind not in "biuf"}
        covariates |= {
            name: moments(column.astype(np.float64)) for name, column in series.static.items() if name not in texts
        }
        return ForecastPreprocessing(
            layout=WindowLayout(
                lookback=lookback,
                horizon=horizon,
                past=series.past_names,
                known=(*series.known_names, *calendar_names(features)),
                static=tuple(series.static),
                observed=observed,
                series=len(series) if series_index else 0,
            ),
            frequency=series.frequency,
            calendar=features,
            time_zone=series.time_zone,
            scaling=Scaling.fit(parts.targets(parts.names[0]), series.ids, method=scale, by=scale_by),
            covariates=covariates,
            levels={name: tuple(sorted(set(map(str, column)))) for name, column in texts.items()},
            shortest=shortest,
            read_options=dict(series.read_options),
            joined=bool(series.joined),
        )

    def with_series(self, parts: TimeParts) -> ForecastPreprocessing:
        """Return a preprocessing that has measured further series, too, on their training part, the first of `parts`.

        The model's numbers of series stay: a further one is an unknown series to it.
        """
        scaling = self.scaling.with_series(parts.series.ids, parts.targets(parts.names[0]))
        return replace(self, scaling=scaling)

    def divide(self, parts: TimeParts, *, stride: int = 1) -> tuple[ForecastWindows, ...]:
        """Return the windows of each part; they share their steps in memory.

        Args:
            parts: the series and their parts.
            stride: steps from one training window to the next; the windows of other parts follow step by step.

        Raises:
            DataError: a part has no window, or the series are others than those of `fit`.
        """
        source = self.prepare(parts.series)
        return tuple(
            source.windows(parts.span(name), stride=stride if at == 0 else 1, name=name)
            for at, name in enumerate(parts.names)
        )

    def prepare(self, series: TimeSeries) -> WindowSource:
        """Return all steps of series as a model sees them.

        Rows of a shorter step that were joined to the model's steps are reported by a `rnnkit.errors.DataWarning`,
        unless those of the training were joined, too.

        Raises:
            DataError: another frequency, or a covariate is missing.
        """
        import torch

        self._check(series)
        observed = [~np.isnan(target) for target in series.targets]
        known = [target[:end] for target, end in zip(series.targets, series.ends.tolist(), strict=True)]
        center, scale = self.scaling.of(series.ids, known)
        padding = self.layout.lookback - self.shortest
        blocks, raw = [], []
        for row, target in enumerate(series.targets):
            columns = [
                (target[:, None] - center[row]) / scale[row],
                self._standardised(series.past[row], series.past_names, self.layout.past),
                self._standardised(series.known[row], series.known_names, self._user_known()),
            ]
            filled = [fill_forward(column) for column in columns]
            if self.calendar:
                filled.append(calendar_columns(series.times[row], self.calendar, self.time_zone))
            if self.layout.observed:
                filled.append(observed[row][:, None].astype(np.float64))
            block = np.concatenate(filled, 1).astype(np.float32)
            blocks += [np.zeros((padding, block.shape[1]), np.float32), block]
            raw += [np.full(padding, np.nan), target]
        starts = np.cumsum(series.lengths + padding) - series.lengths
        return WindowSource(
            series=series,
            layout=self.layout,
            steps=torch.from_numpy(np.concatenate(blocks)),
            fixed=torch.from_numpy(self._fixed(series)),
            raw=np.concatenate(raw),
            starts=starts,
            center=center,
            scale=scale,
            padding=padding,
        )

    def latest(self, series: TimeSeries, *, covariates: int | None = None) -> ForecastWindows:
        """Return one window a series, whose horizon begins behind the last observed target: what is to be forecast.

        Args:
            series: rows behind the last observed target have the covariates of the steps to come.
            covariates: in how many steps of the horizon the known covariates are needed; None: in all.

        Raises:
            DataError: a series is too short, or a known covariate is missing in the horizon.
        """
        horizon = self.layout.horizon
        needed = horizon if covariates is None else min(covariates, horizon)
        ends = series.ends
        short = [name for name, end in zip(series.ids, ends.tolist(), strict=True) if end < self.shortest]
        if short:
            raise DataError(
                f"{len(short):,} of {len(series):,} series have fewer than {self.shortest:,} observed steps, the "
                f"lookback of the model, such as {short[0]!r}; the shortest has {int(ends.min()):,}",
                Place(series.source),
                "give more history",
            )
        longer = series.with_future(horizon)
        for row, end in enumerate(ends.tolist()):
            gone = np.isnan(longer.known[row][end : end + needed]).any(0)
            if gone.any():
                name = series.known_names[int(gone.argmax())]
                step = int(np.isnan(longer.known[row][end:, int(gone.argmax())]).argmax())
                raise DataError(
                    f"the known covariate {name!r} of the series {series.ids[row]!r} has no value at "
                    f"{shown(longer.times[row][end + step], series.time_zone)}, step {step + 1} of {needed} to come",
                    Place(series.source),
                    "add rows for the steps to come, with the covariates and without a target",
                )
        span = np.stack([ends, ends + horizon], 1)
        return self.prepare(longer).windows(span, name="to come", unobserved=True)

    def _user_known(self) -> tuple[str, ...]:
        """The known covariates without the calendar, which stands behind them."""
        return self.layout.known[: len(self.layout.known) - 2 * len(self.calendar)]

    def _check(self, series: TimeSeries) -> None:
        place = Place(series.source)
        if series.frequency != self.frequency:
            raise DataError(
                f"the steps are {series.frequency.words}; the model was trained on steps that are "
                f"{self.frequency.words}",
                place,
                self._remedy(series.frequency),
            )
        if series.joined and not self.joined:
            problem = f"the rows are finer than the steps of the model, which are {self.frequency.words}"
            warnings.warn(DataWarning(f"{problem}: {series.joined}", place), stacklevel=4)
        seen = [np.flatnonzero(~np.isnan(target)) for target in series.targets]
        apart = [int(np.diff(one).min()) for one in seen if len(one) > 1]
        if not self.layout.observed and min(apart, default=1) > 1:  # in training no target was missing
            raise DataError(
                f"no two steps in a row have a target: the closest are {min(apart):,} steps apart; the model was "
                f"trained on steps that are {self.frequency.words}, each with a target",
                place,
                "give rows of these steps",
            )
        for kind, needed, found in (
            ("past", self.layout.past, series.past_names),
            ("known", self._user_known(), series.known_names),
            ("static", self.layout.static, tuple(series.static)),
        ):
            gone = [name for name in needed if name not in found]
            if gone:
                raise DataError(
                    f"the series have no {kind} {'number' if kind == 'static' else 'covariate'} {gone[0]!r}, which the "
                    "model was trained with",
                    place,
                    Remedy(kind, list(needed)),
                )

    def _remedy(self, found: Frequency) -> Remedy | str:
        """What makes steps of another frequency fit, if anything does."""
        own = self.frequency
        if own.is_date and not found.is_date:
            return "give rows with their dates: a table with a column of time stamps"
        if found.is_date and not own.is_date:
            return "give the numbers of the steps in place of dates, or train on rows with dates"
        if found.approximate_seconds < own.approximate_seconds:
            return Remedy("frequency", own.text, "to join the rows of each step")
        return f"give rows that are {own.words}, or train on such rows"

    def _standardised(
        self, values: npt.NDArray[np.float64], names: Sequence[str], wanted: Sequence[str]
    ) -> npt.NDArray[np.float64]:
        """The wanted columns in order, on the scale of the training part."""
        if not wanted:
            return np.zeros((len(values), 0))
        moments = np.array([self.covariates[name] for name in wanted])
        picked = values[:, [list(names).index(name) for name in wanted]]
        scaled: npt.NDArray[np.float64] = (picked - moments[:, 0]) / moments[:, 1]
        return scaled

    def _fixed(self, series: TimeSeries) -> npt.NDArray[np.float32]:
        """[S, static + series], what is the same in all steps of a series."""
        columns = []
        for name in self.layout.static:
            column = series.static[name]
            if name in self.levels:
                numbers = {text: at for at, text in enumerate(self.levels[name], 1)}
                columns.append([float(numbers.get(str(text), 0)) for text in column])
            else:
                mean, spread = self.covariates[name]
                values = (np.asarray(column, np.float64) - mean) / spread
                columns.append(np.where(np.isnan(values), 0.0, values).tolist())
        if self.layout.series:
            # Ids behind these joined by fine-tuning; the model has no embedding of their own.
            known = {name: at for at, name in enumerate(self.scaling.ids[: self.layout.series], 1)}
            columns.append([float(known.get(name, 0)) for name in series.ids])
        return np.array(columns, np.float32).reshape(len(columns), len(series)).T.copy()

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "version": _VERSION,
            "layout": self.layout.to_json(),
            "frequency": self.frequency.to_json(),
            "calendar": list(self.calendar),
            "time_zone": self.time_zone,
            "scaling": self.scaling.to_json(),
            "covariates": {name: list(moments) for name, moments in self.covariates.items()},
            "levels": {name: list(texts) for name, texts in self.levels.items()},
            "shortest": self.shortest,
            "read_options": dict(self.read_options),
            "joined": self.joined,
        }

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> ForecastPreprocessing:
        """Return what `to_json` stored.

        Raises:
            DataError: it was stored by a later version.
        """
        if stored.get("version", 0) > _VERSION:
            raise DataError(
                f"the preprocessing has version {stored['version']}; expected at most {_VERSION}", None, "update rnnkit"
            )
        return ForecastPreprocessing(
            layout=WindowLayout.from_json(stored["layout"]),
            frequency=Frequency.from_json(stored["frequency"]),
            calendar=tuple(stored["calendar"]),
            time_zone=stored["time_zone"],
            scaling=Scaling.from_json(stored["scaling"]),
            covariates={name: (float(mean), float(spread)) for name, (mean, spread) in stored["covariates"].items()},
            levels={name: tuple(texts) for name, texts in stored["levels"].items()},
            shortest=int(stored["shortest"]),
            read_options=dict(stored["read_options"]),
            joined=bool(stored.get("joined", False)),  # earlier versions wrote none
        )


def fill_forward(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return [T, columns] with each missing value replaced by the last one before it, and by 0 where there is none.

    Example:
        >>> fill_forward(np.array([[np.nan], [2.0], [np.nan]])).ravel().tolist()
        [0.0, 2.0, 2.0]
    """
    seen = ~np.isnan(values)
    if seen.all():
        return values
    last = np.maximum.accumulate(np.where(seen, np.arange(len(values))[:, None], -1), axis=0)
    filled: npt.NDArray[np.float64] = np.take_along_axis(values, np.maximum(last, 0), 0)
    return np.where(last >= 0, filled, 0.0)
