"""A callback that measures the model on data of its own after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch

from ...errors import ConfigError
from ...layers.modes import mode
from ..history import Row
from .callbacks import Callback


class ValidationFigures(Callback):
    """Add figures of the model to those of the validation data, such as a score of what it writes.

    A metric sees one batch of outputs after the other. `measure` sees the model, so it can generate or search. It is
    called after each epoch in evaluation mode, without gradients, with the averaged weights where a run has some. Each
    figure is a column of the history, ``val_`` and its name, and may be the `monitor` of `fit`.

    Args:
        higher_is_better: whether more is better, by the names of the figures.
        measure: called with the model; returns a number for each name.

    Raises:
        ConfigError: a name is a column of every run; or, when a run begins, there is no validation data.

    Example:
        >>> import rnnkit, torch
        >>> from rnnkit.training import ValidationFigures
        >>> x, learner = torch.randn(8, 2), rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
        >>> size = ValidationFigures({"size": False}, lambda model: {"size": model.weight.norm()})
        >>> history = learner.fit(
        ...     (x, x.sum(1)), validation=0.5, monitor="val_size", epochs=2, callbacks=[size], progress=False
        ... )
        >>> history.monitor, len(history["val_size"])
        ('val_size', 2)
    """

    order: ClassVar[int] = 1

    def __init__(self, higher_is_better: Mapping[str, bool], measure: Callable[[Any], Mapping[str, Any]]) -> None:
        if not higher_is_better or any(name == "loss" or name.startswith("val_") for name in higher_is_better):
            raise ConfigError.of("higher_is_better", dict(higher_is_better), "expected names of figures of your own")
        self.higher_is_better, self.measure = dict(higher_is_better), measure

    def __repr__(self) -> str:
        return f"ValidationFigures({self.higher_is_better})"

    def on_prepare(self, learner: Any, run: Any) -> None:
        validate = run.validate
        if validate is None:
            names = ", ".join(self.higher_is_better)
            raise ConfigError(f"ValidationFigures of {names} arrived without validation data; pass validation=...")

        def validate_and_measure() -> Row:
            row: Row = validate()
            with mode(learner.model, training=False), torch.no_grad():
                found = self.measure(learner.model)
            if missing := [name for name in self.higher_is_better if name not in found]:
                raise ConfigError(f"measure returned {sorted(found)}; expected {', '.join(missing)}, too")
            return row | {name: float(found[name]) for name in self.higher_is_better}

        run.validate = validate_and_measure
