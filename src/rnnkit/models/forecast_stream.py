"""Forecasters that take one observation after the other."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, ShapeError
from ..layers.modes import mode
from ..types import State


class ForecastStream:
    """Advances a forecaster by one observation at a time; ``model.stream(batch)`` makes one.

    :class:`rnnkit.DirectForecaster`, :class:`rnnkit.EncoderDecoderForecaster` and :class:`rnnkit.DeepAR` without
    statistics of a window carry their state on: an update is one step of the recurrence, and a forecast is that of the
    whole history since the stream began. All others keep the last L rows and compute each forecast anew;
    :attr:`recomputes` says why.

    It takes a copy of the recurrent layers, so make a new one after training. Dropout is off. There are no gradients.

    Legend: B series, L lookback steps, H horizon steps, C channels, K known covariates, M numbers of a distribution.

    Args:
        model: the forecaster.
        batch: B.

    Attributes:
        recomputes: why a forecast is computed from the last L rows anew; None where a state is carried on.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> model = rnnkit.DirectForecaster(WindowLayout(lookback=24, horizon=6))
        >>> stream = model.stream()
        >>> for value in (0.1, 0.3, 0.2):
        ...     stream.update([value])
        >>> tuple(stream.forecast().shape), stream.recomputes
        ((1, 6), None)
    """

    def __init__(self, model: Any, batch: int = 1) -> None:
        self._model, self._batch = model, batch
        weight = next(model.parameters())
        self._like: dict[str, Any] = {"dtype": weight.dtype, "device": weight.device}
        self.recomputes = model.recomputes
        self._stream = model.recurrence.stream(batch) if self.recomputes is None else None
        self.reset()

    def reset(self) -> None:
        """Forget all observations."""
        channels = self._model.layout.channels
        with torch.inference_mode(False):
            self._rows = torch.zeros(self._batch, 0, channels, **self._like)
            self._begun = torch.zeros(self._batch, 1, **self._like)
            if self._stream is not None:
                self._stream.reset()
                self._output = torch.zeros(self._batch, self._model.recurrence.output_size, **self._like)

    def __repr__(self) -> str:
        kept = (
            "a state is carried on" if self.recomputes is None else f"each forecast is computed anew: {self.recomputes}"
        )
        return f"ForecastStream({self._model!r}, batch={self._batch}), {kept}"

    @property
    def state(self) -> State:
        """What the observations so far left: nested tensors. Assign a state to go on from it.

        :func:`rnnkit.ops.state.save` writes it to a file.
        """
        if self._stream is None:
            return (self._rows.clone(),)
        return self._stream.state, self._output.clone(), self._rows.clone(), self._begun.clone()

    @state.setter
    def state(self, state: State) -> None:
        if self._stream is None:
            (self._rows,) = (one.clone() for one in state)
            return
        self._stream.state = state[0]
        self._output, self._rows, self._begun = (one.clone() for one in state[1:])

    def update(self, row: Any) -> None:
        """Take the observation of the next step.

        Args:
            row: its channels [B, C], or [C] of a single series, in the order of the layout.

        Raises:
            ShapeError: it has other axes. DataError: a number is NaN or infinite.
        """
        found = self._tensor("row", row, (self._model.layout.channels,))
        with torch.no_grad():
            if self._stream is None:
                self._rows = torch.cat((self._rows, found[:, None]), 1)[:, -self._model.layout.lookback :]
            else:
                self._advance(found)

    def _advance(self, row: Tensor) -> None:
        model, stream = self._model, self._stream
        assert stream is not None
        begun = None
        if model.layout.observed and not bool(self._begun.all()):
            observed = row[:, model.layout.columns("observed")] != 0
            self._begun = torch.where(observed, torch.ones_like(self._begun), self._begun)
            begun = self._begun[:, 0] != 0
            row = row * self._begun
        before = self._rows[:, -1] if self._rows.shape[1] else torch.zeros_like(row)
        self._output = stream(model.row_features(row, before))
        if begun is not None and not bool(begun.all()):
            stream.reset(~begun)
        self._rows = row[:, None]

    def forecast(self, known: Any = None) -> Tensor:
        """Return the forecast after the last observation.

        Args:
            known: the known covariates of the next H steps [B, H, K], or [H, K] of a single series.

        Returns:
            [B, H], or raw numbers [B, H, M] of the model's distribution.

        Raises:
            ShapeError: known has other axes, or is missing. DataError: too few observations have arrived.
        """
        model, layout = self._model, self._model.layout
        rows = self._rows
        if not rows.shape[1]:
            raise DataError("no observation has arrived; expected at least one: stream.update(row)")
        if known is None and layout.known:
            raise ShapeError(
                f"known is None; expected the known covariates {list(layout.known)} of the next {layout.horizon} steps"
            )
        shape = (layout.horizon, len(layout.known))
        future = rows.new_zeros(self._batch, *shape) if known is None else self._tensor("known", known, shape)
        evaluation = mode(model, training=False) if model.training else nullcontext()
        with torch.no_grad(), evaluation:
            found: Tensor = (
                model.forecast(self._window(future))
                if self._stream is None
                else model.forecast_from(self._output, self._stream.state, rows[:, -1], future)
            )
        return found

    def _window(self, future: Tensor) -> Tensor:
        """The last L rows and the horizon, [B, L + H, C]."""
        layout, rows = self._model.layout, self._rows
        missing = layout.lookback - rows.shape[1]
        if missing and not layout.observed:
            raise DataError(
                f"{rows.shape[1]} observations have arrived; this model needs {layout.lookback} of them before its "
                "first forecast. A layout with observed=True allows for fewer"
            )
        if missing:
            rows = torch.cat((rows.new_zeros(self._batch, missing, layout.channels), rows), 1)
        ahead = torch.zeros(self._batch, layout.horizon, layout.channels, **self._like)
        ahead[:, :, layout.columns("known")] = future
        for kind in ("static", "series"):
            columns = layout.columns(kind)
            ahead[:, :, columns] = rows[:, -1:, columns]
        return torch.cat((rows, ahead), 1)

    def _tensor(self, name: str, values: Any, shape: tuple[int, ...]) -> Tensor:
        found = torch.as_tensor(values, **self._like)
        if self._batch == 1 and found.dim() == len(shape):
            found = found[None]
        if tuple(found.shape) != (self._batch, *shape):
            raise ShapeError.of(name, tuple(found.shape), f"; expected {(self._batch, *shape)}")
        if not bool(found.isfinite().all()):
            raise DataError(
                f"{name} holds a number that is NaN or infinite; expected finite numbers: fill what is missing"
            )
        return found
