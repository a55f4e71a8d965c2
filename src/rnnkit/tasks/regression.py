"""One or several numbers a series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..data.preprocessing import Preprocessing
from ..data.reading import Targets
from ..data.series import SeriesSet
from ..errors import ConfigError, DataError
from ..models.regressor import SequenceRegressor
from .settings import Fit
from .task import Array, Columns, SeriesOutputs, Task, place


@dataclass(frozen=True)
class Regression(Task):
    """Gives one or several numbers for each series: the squared error in units of their spread on the training rows.

    Figures, over all numbers and in the targets' own unit: rmse, mae, and r2 (1 − squared error / variance, NaN where
    all targets agree). Columns: a number each.

    Example:
        >>> Regression().answer_names(1), Regression().answer_names(2)
        (('prediction',), ('prediction 0', 'prediction 1'))
    """

    name: ClassVar[str] = "regress"
    target_type: ClassVar[Targets] = "numbers"
    metric: ClassVar[str] = "mae"

    def as_targets(self, values: Any) -> Array:
        """Return float64 [N] or [N, K].

        Raises:
            DataError: rows of unequal length, or what is no number.
        """
        try:
            return np.asarray(values).astype(np.float64)
        except ValueError as error:
            raise DataError(
                f"the targets are no array of numbers ({error}); expected one number a series, or as many for each. "
                "For numbers at every step use rnnkit.SequenceTagger with rnnkit.Learner"
            ) from None

    def check_targets(self, rows: SeriesSet) -> None:
        """Raise DataError where rows have no numbers."""
        if rows.targets is None:
            raise DataError(f"{place(rows)}the rows have no targets; expected a number for each")
        if rows.targets.dtype.kind != "f":
            raise DataError(
                f"{place(rows)}the targets are labels; expected numbers: floats, or read_series(targets='numbers')"
            )

    def inspection_targets(self, rows: SeriesSet, preprocessing: Preprocessing) -> torch.Tensor:
        """Return the scaled numbers as [N, K]."""
        return self.encode_targets(rows, preprocessing).reshape(len(rows), -1)

    def build(self, body: torch.nn.Module, outputs: int, **options: Any) -> torch.nn.Module:
        """Return a :class:`rnnkit.SequenceRegressor`."""
        return SequenceRegressor(body, outputs, **options)

    def check_settings(self, fit: Fit) -> None:
        """Raise ConfigError for weights of classes."""
        if fit.class_weights is not None:
            raise ConfigError(f"fit.class_weights={fit.class_weights} is for classes; a regression has none")

    def loss(self, fit: Fit) -> Any:
        """Return the loss that the settings name."""
        return fit.loss

    def answer_names(self, outputs: int) -> tuple[str, ...]:
        """Return "prediction", or one with a number for each output."""
        return ("prediction",) if outputs == 1 else tuple(f"prediction {index}" for index in range(outputs))

    def answers(self, outputs: torch.Tensor, preprocessing: Preprocessing) -> Array:
        """Return the number of each series [N] (of several [N, K]) in the targets' unit."""
        return preprocessing.inverse_targets(outputs[:, 0] if outputs.shape[1] == 1 else outputs)

    def figures(self, outputs: SeriesOutputs) -> dict[str, float]:
        """Return rmse, mae and r2."""
        self.encode_targets(outputs.rows, outputs.preprocessing)  # refuses targets of another size
        wanted = np.asarray(outputs.rows.targets, np.float64)
        error = self.answers(outputs.values, outputs.preprocessing).reshape(wanted.shape) - wanted
        variance, square = float(wanted.var(0).mean()), float((error**2).mean())
        r2 = 1 - square / variance if variance > 0 else float("nan")
        return {"rmse": square**0.5, "mae": float(np.abs(error).mean()), "r2": r2}

    def columns(self, outputs: SeriesOutputs, *, true: bool) -> Columns:
        """Return true and prediction; of several numbers each with its name."""
        rows, names = len(outputs.rows), outputs.names
        numbers = self.answers(outputs.values, outputs.preprocessing).reshape(rows, -1)
        columns: Columns = {}
        if true and outputs.rows.targets is not None:
            wanted = outputs.rows.targets.reshape(rows, -1)
            for at, name in enumerate(names):
                columns[f"true{name.removeprefix('prediction')}"] = wanted[:, at].tolist()
        return columns | {name: numbers[:, at].tolist() for at, name in enumerate(names)}

    def draw(self, outputs: SeriesOutputs, folder: Path) -> None:
        """Draw the answers over the true numbers, ``errors.png``."""
        from ..diagnostics import pictures

        rows, wanted = len(outputs.rows), outputs.rows.targets
        assert wanted is not None
        names = [name.removeprefix("prediction").strip("_") for name in outputs.names]
        answers = self.answers(outputs.values, outputs.preprocessing).reshape(rows, -1)
        pictures.against(wanted.reshape(rows, -1), answers, names, folder / "errors.png")
