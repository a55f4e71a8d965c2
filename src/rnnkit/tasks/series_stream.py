"""A series that is forecast as its observations arrive, one after the other, in the user's own units.

Legend: L lookback steps, H horizon steps, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.forecasting.calendar import calendar_columns
from ..data.forecasting.series import TimeSeries
from ..errors import DataError
from ..ops.state import map_state
from ..serialization import read_values, write_values
from ..training.execution import find_device
from .stream_rows import RowReader

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_VERSION = 1


class SeriesStream:
    """Takes the observations of a series as they come, and forecasts; `ForecastPredictor.stream` makes one.

    A model without statistics of a window carries its state on: an update is one step of the recurrence, and a forecast
    is that of all steps since the stream began. Any other model keeps the last L steps and computes each forecast from
    them; `recomputes` says why.

    Scales, gaps, covariates and the calendar are treated as in training: a missing value is the last one before it, and
    steps that are left out are missing.

    Args:
        predictor: the `ForecastPredictor`; make a new stream after further training.
        series: the history, of which the last L steps are read; None begins with the first observation.
        id: which of several series it is; without a history the id of the training, for its scale.
        state: a file that `save` wrote, to continue from in place of a history.
        form: what becomes of the columns that `forecast` returns.

    Attributes:
        id: of the series.
        recomputes: why each forecast is computed from the last L steps; None where a state is carried on.
        time: the stamp of the last observation; None before the first one.

    Raises:
        DataError: there is no such series, it has none of its static numbers, or the file is of another model.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data.forecasting import ForecastPreprocessing, divide_time
        >>> from rnnkit.tasks.forecasting import ForecastPredictor
        >>> series = TimeSeries.from_arrays([np.arange(60.0) % 7], start="2024-01-01", frequency="day", ids=["load"])
        >>> preprocessing = ForecastPreprocessing.fit(divide_time(series), lookback=14, horizon=2)
        >>> predictor = ForecastPredictor(rnnkit.DirectForecaster(preprocessing.layout, hidden_size=4), preprocessing)
        >>> stream = predictor.stream(series)
        >>> stream.update(4.0)
        >>> stream.update({"ds": "2024-03-02", "y": 5.0})
        >>> stream
        SeriesStream('load', daily, at 2024-03-02; a state is carried on)
        >>> stream.forecast()["ds"].astype("datetime64[D]").astype(str).tolist()
        ['2024-03-03', '2024-03-04']
    """

    def __init__(
        self,
        predictor: Any,
        series: TimeSeries | None = None,
        id: str | None = None,
        *,
        state: str | PathLike[str] | None = None,
        form: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self._predictor, self.form = predictor, form
        self._preprocessing = predictor.preprocessing
        self._rows = RowReader(self._preprocessing)
        self._user_known = self._rows.known
        layout = self._preprocessing.layout
        self._device = find_device(predictor.device)
        self._stream = predictor.model.to(self._device).stream()
        self.recomputes: str | None = self._stream.recomputes
        self._row = np.zeros(layout.channels)
        self._coming = np.zeros((0, len(self._user_known)))  # known covariates of the next steps
        self.time: Any = None
        if state is not None:
            self._restore(state)
        elif series is None:
            self._begin(id)
        else:
            self._read(series, id)

    def _begin(self, id: str | None) -> None:
        """Begin without a history."""
        preprocessing, layout = self._preprocessing, self._preprocessing.layout
        if layout.static:
            raise DataError(
                f"the model reads {', '.join(map(repr, layout.static))} of a series, which a stream without history "
                "lacks; expected the series so far: predictor.stream(series)"
            )
        ids = preprocessing.scaling.ids
        self.id = id if id is not None else ids[0] if len(ids) == 1 else "series"
        (center,), (scale,) = preprocessing.scaling.of([self.id])
        self._center, self._scale = float(center), float(scale)
        known = ids[: layout.series]
        self._row[layout.columns("series")] = known.index(self.id) + 1 if self.id in known else 0

    def _read(self, series: TimeSeries, id: str | None) -> None:
        """Take the last steps of a history."""
        if id is None and len(series) > 1:
            named = ", ".join(map(repr, series.ids[:5])) + (" …" if len(series) > 5 else "")
            raise DataError(f"{len(series):,} series arrived; expected the id of one of them: {named}")
        one = series if len(series) == 1 and id is None else series[[id or series.ids[0]]]
        self.id = one.ids[0]
        source, layout = self._preprocessing.prepare(one), self._preprocessing.layout
        self._center, self._scale = float(source.center[0]), float(source.scale[0])
        end = int(one.ends[0])
        begin = int(source.starts[0]) + max(0, end - layout.lookback)
        steps = source.steps[begin : int(source.starts[0]) + end].numpy()
        changing = steps.shape[1]
        self._row[changing:] = source.fixed[0].numpy()
        for row in steps:
            self._row[:changing] = row
            self._take()
        if end:
            self.time = one.times[0][end - 1]
        self._coming = one.known[0][end:][:, [one.known_names.index(name) for name in self._user_known]]

    def __repr__(self) -> str:
        at = "before its first observation" if self.time is None else f"at {self._rows.shown(self.time)}"
        kept = (
            "a state is carried on" if self.recomputes is None else f"each forecast is computed anew: {self.recomputes}"
        )
        return f"SeriesStream({self.id!r}, {self._preprocessing.frequency.describe(self.time)}, {at}; {kept})"

    # --- observations ------------------------------------------------------------------------------------------------

    def update(self, row: Any) -> None:
        """Take the observation of the next step, or of a later one; the steps between are missing.

        Args:
            row: the target, NaN where it is missing. Or a mapping such as ``{"ds": ..., "y": ..., "wind": ...}``, also
                a row of a DataFrame, with the names of the training's columns; "ds" and "y" always serve. The time may
                be left out: it is that of the next step. Known covariates may be left out where the history had them.

        Raises:
            DataError: a time that is not after the last one or lies between two steps, a gap that is longer than the
                lookback, a name that is missing, or a value that is no number.
        """
        stamp, value, past, known = self._rows.read(row, self.id, known=len(self._coming) > 0)
        stamps = self._rows.steps(stamp, self.time)
        for at, one in enumerate(stamps, 1):
            last = at == len(stamps)
            self._advance(one, value if last else math.nan, past, known, last=last)

    def _advance(self, stamp: Any, value: float, past: Array, known: Array, *, last: bool) -> None:
        """Take one step; of a step that was left out the covariates are missing, except those known in advance."""
        layout, row = self._preprocessing.layout, self._row
        if not math.isnan(value):
            row[0] = (value - self._center) / self._scale
        coming, self._coming = self._coming[:1], self._coming[1:]
        if last:
            row[layout.columns("past")] = self._standardised(layout.past, past, row[layout.columns("past")])
            known = np.where(np.isnan(known), coming[0], known) if len(coming) else known
        else:
            known = coming[0] if len(coming) else np.full(len(self._user_known), np.nan)
        at = layout.columns("known").start
        users = slice(at, at + len(self._user_known))
        row[users] = self._standardised(self._user_known, known, row[users])
        if self._preprocessing.calendar:
            features, zone = self._preprocessing.calendar, self._preprocessing.time_zone
            row[users.stop : layout.columns("known").stop] = calendar_columns(np.array([stamp]), features, zone)[0]
        row[layout.columns("observed")] = 0 if math.isnan(value) else 1
        self.time = stamp
        self._take()

    def _take(self) -> None:
        self._stream.update(self._tensor(self._row))

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)

    def _standardised(self, names: tuple[str, ...], values: Array, before: Array) -> Array:
        """Values on the scale of the training part; where one is missing the one before."""
        if not names:
            return values
        moments = np.array([self._preprocessing.covariates[name] for name in names])
        found: Array = (values - moments[:, 0]) / moments[:, 1]
        return np.where(np.isnan(found), before, found)

    # --- forecasts ---------------------------------------------------------------------------------------------------

    def forecast(self, known: Mapping[str, Any] | None = None) -> Any:
        """Return the forecast of the next H steps, as columns.

        Args:
            known: the known covariates of these steps by name, [H] numbers each, such as a DataFrame; None: those that
                the history had.

        Returns:
            "ds" (stamps, in UTC where the training's named a zone), "forecast", and "low_80" and "high_80" where
            intervals were calibrated: arrays [H].

        Raises:
            DataError: too few observations have arrived, or a known covariate is missing.
        """
        preprocessing, layout = self._preprocessing, self._preprocessing.layout
        if self.time is None:
            raise DataError("no observation has arrived; expected at least one: stream.update(row)")
        stamps = preprocessing.frequency.after(self.time, layout.horizon)
        future = [self._future(known)]
        if preprocessing.calendar:
            future.append(calendar_columns(stamps, preprocessing.calendar, preprocessing.time_zone))
        ahead = np.concatenate(future, 1) if layout.known else None
        raw = self._stream.forecast(None if ahead is None else self._tensor(ahead))
        levels = self._predictor.levels
        middle = self._predictor.model.distribution.quantiles(raw, (0.5,))[..., 0] if levels else raw
        forecast = self._center + self._scale * middle[0].double().cpu().numpy()
        columns: dict[str, Any] = {"ds": stamps, "forecast": forecast}
        intervals = self._predictor.intervals
        for coverage in () if intervals is None else intervals.coverages:
            low, high = self._predictor.interval(forecast[None], coverage, np.array([self._scale]))
            columns[f"low_{100 * coverage:.3g}"], columns[f"high_{100 * coverage:.3g}"] = low[0], high[0]
        return columns if self.form is None else self.form(columns)

    def _future(self, known: Mapping[str, Any] | None) -> Array:
        """The user's known covariates of the horizon [H, K], on the scale of the training part."""
        names, horizon = self._user_known, self._preprocessing.layout.horizon
        if not names:
            return np.zeros((horizon, 0))
        if known is None:
            values = self._coming[:horizon]
        else:
            gone = [name for name in names if name not in known]
            if gone:
                raise DataError(f"known has no {gone[0]!r}; expected {', '.join(map(repr, names))}")
            values = np.stack([np.asarray(known[name], np.float64) for name in names], 1)
        if values.shape[0] != horizon or np.isnan(values).any():
            seen = len(values) if not np.isnan(values).any() else int(np.isnan(values).any(1).argmax())
            raise DataError(
                f"the known covariates {', '.join(map(repr, names))} have values for {seen} of the next {horizon} "
                "steps; expected all: stream.forecast(known={...})"
            )
        return self._standardised(names, values, np.zeros_like(values))

    # --- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the state of the stream to one file; `ForecastPredictor.stream` resumes from it: ``state=path``.

        Args:
            path: ending in ``.safetensors``.

        Raises:
            OSError: it cannot be written.
        """
        time = self.time if self.time is None or isinstance(self.time, int | np.integer) else str(self.time)
        stored = {
            "version": _VERSION,
            "id": self.id,
            "time": time,
            "center": self._center,
            "scale": self._scale,
            "row": torch.tensor(self._row),
            "coming": torch.tensor(self._coming),
            "state": self._stream.state,
        }
        write_values(stored, path)

    def _restore(self, path: str | PathLike[str]) -> None:
        """Continue from what `save` wrote."""
        stored = read_values(path)
        if not isinstance(stored, dict) or stored.get("version") != _VERSION or "coming" not in stored:
            raise DataError(f"{path} holds no stream of a series of version {_VERSION}")
        if stored["row"].shape != self._row.shape or stored["coming"].shape[1] != len(self._user_known):
            raise DataError(
                f"{path} holds a stream of {len(stored['row'])} channels; this model reads {len(self._row)}"
            )
        self.id, time = stored["id"], stored["time"]
        self.time = np.datetime64(time, "us") if isinstance(time, str) else time
        self._center, self._scale = stored["center"], stored["scale"]
        self._row, self._coming = stored["row"].numpy(), stored["coming"].numpy()
        self._stream.state = map_state(lambda leaf: leaf.to(self._device), stored["state"])
