"""Training and using a network for series: any task, answers in the user's own units.

This is the one default recipe for series: ``rnnkit train classify``, ``rnnkit train regress`` and the estimators call
it. The network is :mod:`rnnkit.tasks.network`'s. It is trained by AdamW on series that are a little changed each time,
and the last step's weights are kept unless there are validation rows and ``early_stopping``.
``docs/decisions/0011-the-series-recipe.md`` has the figures that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ..data.frames import has_channel_names
from ..data.preprocessing import Preprocessing
from ..data.series import SeriesSet, default_channels
from ..errors import ConfigError, DataError
from ..models.loading import load as load_model
from ..serialization import read_config, save_module
from ..training.contexts import seeded
from ..training.execution import find_device
from ..training.history import History
from ..training.learner import Learner
from ..types import Sequences
from .classification import Classification
from .network import build, make_learner, usual_steps
from .regression import Regression
from .settings import Fit, Model
from .task import Array, Columns, SeriesOutputs, Task, from_json

Inputs = torch.Tensor | Sequences
Network = Callable[[int, int], torch.nn.Module]


@dataclass
class SeriesPredictor:
    """A trained network with its task and preprocessing: series go in, answers in the user's units come out.

    Attributes:
        model: the network.
        preprocessing: scaling and filling, classes or the targets' scale, as fitted on the training rows.
        task: what the outputs mean.
        target_names: what a regression's numbers are called.
        device: where to compute.
        history: what training recorded; None after `load`.
        learner: what trained it; None after `load`.
    """

    model: torch.nn.Module
    preprocessing: Preprocessing
    task: Task
    target_names: tuple[str, ...] = ()
    device: str = "auto"
    history: History | None = None
    learner: Learner | None = field(default=None, repr=False)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes' names in the order of the probabilities; None for a task without classes."""
        return self.preprocessing.classes

    def predict(self, series: Any) -> Array:
        """Return the answer for each series: its class [N] (text), or its number [N] (of several [N, K]).

        Args:
            series: a SeriesSet, or arrays as in :func:`classify`, with the channels of the training data.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        return self.task.answers(self.outputs(series).values, self.preprocessing)

    def predict_proba(self, series: Any) -> Array:
        """Return the probability of each class, [N, C] float64 in the order of `classes`; rows sum to 1.

        Raises:
            ConfigError: the task has no classes. DataError: as in `predict`.
        """
        if not self.task.has_probabilities:
            raise ConfigError(f"the task {self.task.name!r} has no classes and no probabilities; call predict")
        return self.task.probabilities(self.outputs(series).values)

    def evaluate(self, series: SeriesSet) -> dict[str, float]:
        """Return the task's figures on rows whose targets are known; see the class of the task.

        Raises:
            DataError: no targets, classes that the network has not learned, and what `predict` raises.
        """
        self.task.check_targets(series)
        self.task.encode_targets(series, self.preprocessing)  # before the network computes anything
        return self.task.figures(self.outputs(series))

    def table(self, series: SeriesSet, *, true: bool = False) -> Columns:
        """Return a table of answers, a list a column: id, and the task's columns.

        Args:
            series: the rows.
            true: whether the true targets are beside the answers.
        """
        return {"id": list(series.ids), **self.task.columns(self.outputs(series), true=true)}

    def draw(self, series: SeriesSet, folder: Path) -> None:
        """Draw the task's pictures of the answers with the targets into a folder."""
        self.task.draw(self.outputs(series), folder)

    def save(self, path: str | PathLike[str]) -> None:
        """Write weights, network, preprocessing and task to one file that :func:`load` reads."""
        save_module(self.model, path, self.extra())

    def extra(self) -> dict[str, Any]:
        """Return what a model's file holds besides the network, as JSON values."""
        task = {**self.task.to_json(), "target_names": list(self.target_names)}
        return {"task": task, "preprocessing": self.preprocessing.to_json()}

    def inputs(self, series: Any) -> Inputs:
        """Return what the network reads for these series.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        return self.preprocessing.transform(self._rows(series))

    def outputs(self, series: Any) -> SeriesOutputs:
        """Return the network's outputs for these series, with all that turns them into answers."""
        rows = self._rows(series)
        learner = Learner(self.model, loss="mse", device=self.device)
        values = learner.predict(self.preprocessing.transform(rows)).float()
        return SeriesOutputs(values, rows, self.preprocessing, self.target_names)

    def _rows(self, series: Any) -> SeriesSet:
        if isinstance(series, SeriesSet):
            return series
        names = self.preprocessing.channels
        rows = SeriesSet.from_arrays(series, source="the series")
        both_named = has_channel_names(series) and names != default_channels(len(names))
        return replace(rows, channels=names) if len(names) == len(rows.channels) and not both_named else rows


def classify(train: Any, targets: Any = None, **settings: Any) -> SeriesPredictor:
    """Train a network that names the class of a series.

    Args:
        train: a :class:`rnnkit.data.series.SeriesSet` with labels; or arrays [N, T] (one channel), [N, T, channels],
            or a list of [T_i] or [T_i, channels]. NaN is a missing value.
        targets: labels [N] beside arrays; any values, distinguished by their text.
        **settings: as in :func:`train_series`.

    Returns:
        The network with all that predicting takes.

    Raises:
        DataError: fewer than two rows or two classes, and data that cannot be used.
        ConfigError: a setting out of range.

    Example:
        >>> import numpy as np
        >>> from rnnkit.tasks import series
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(40, 30)) + np.linspace(0, 3, 30) * np.repeat([-1, 1], 20)[:, None]
        >>> predictor = series.classify(x, np.repeat(["falls", "rises"], 20), fit=series.Fit(steps=60), seed=0)
        >>> predictor.predict(x[[0, -1]]).tolist()
        ['falls', 'rises']
    """
    return train_series(Classification(), train, targets, **settings)


def regress(train: Any, targets: Any = None, **settings: Any) -> SeriesPredictor:
    """Train a network that gives one or several numbers for a series.

    Args:
        train: as in :func:`classify`, with numbers for labels.
        targets: numbers [N] or [N, K] beside arrays.
        **settings: as in :func:`train_series`.

    Returns, Raises: as in :func:`classify`.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(40, 10, 2))
        >>> predictor = regress(x, x.mean((1, 2)), fit=Fit(steps=5), seed=0)
        >>> predictor.predict(x[:3]).shape
        (3,)
    """
    return train_series(Regression(), train, targets, **settings)


def train_series(
    task: Task,
    train: Any,
    targets: Any = None,
    *,
    validation: SeriesSet | None = None,
    model: Model | None = None,
    fit: Fit | None = None,
    network: Network | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    target_names: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    **fitting: Any,
) -> SeriesPredictor:
    """Train a network for series; :func:`classify` and :func:`regress` are this.

    Args:
        task: what the network should answer: ``Classification()``, ``Regression()`` or a task of your own.
        train, targets: see :func:`classify`.
        validation: rows to watch while training, for `fit.early_stopping`; a SeriesSet.
        model, fit: the settings of network and training.
        network: a callable (features of a step, outputs) → module, for a network of your own in place of `model`'s.
        preprocessing: how values are scaled and gaps are filled: a finished one, or the settings of
            ``Preprocessing.fit``, such as ``{"scale": "none"}``. It is fitted on the training rows alone.
        target_names: what a regression's numbers are called.
        seed: makes weights, order, dropout and changes of the series a function of this number.
        device: as in :class:`rnnkit.Learner`.
        **fitting: more for ``Learner.fit``: ``callbacks``, ``progress``, ``checkpoint``, ``resume``.

    Raises:
        DataError, ConfigError: see :func:`classify`; before anything is written.
    """
    chosen, plan = model or Model(), fit or Fit()
    find_device(device)
    train = _training_rows(task, train, targets)
    plan.check_validation(validation is not None)
    task.check_settings(plan)
    if not isinstance(preprocessing, Preprocessing):
        settings: dict[str, Any] = {"target_scale": task.target_scale, **(preprocessing or {})}
        preprocessing = Preprocessing.fit(train, **settings)
    outputs = task.output_size(preprocessing)
    names = tuple(target_names) or task.answer_names(outputs)
    predictor = SeriesPredictor(torch.nn.Identity(), preprocessing, task, names, device)

    def pairs(rows: SeriesSet) -> tuple[Inputs, torch.Tensor]:
        task.check_targets(rows)
        return predictor.inputs(rows), task.encode_targets(rows, preprocessing)

    data, watched = pairs(train), None if validation is None else pairs(validation)
    with seeded(seed, torch.device("cpu")):  # where weights are drawn
        if network is not None:
            predictor.model = network(preprocessing.input_size, outputs)
        else:
            predictor.model = build(task, chosen, preprocessing.input_size, outputs, usual_steps(data[0]))
    batch_size, epochs = plan.schedule_for(len(train))
    predictor.learner = make_learner(task, predictor.model, plan, device=device)
    predictor.learner.extra = predictor.extra()  # so that a checkpoint alone is enough to predict
    fitting.setdefault("progress", False)
    settled = plan.fit_settings() | {"epochs": epochs, "batch_size": batch_size}
    predictor.history = predictor.learner.fit(data, validation=watched, seed=seed, **settled, **fitting)
    return predictor


def load(path: str | PathLike[str], *, device: str = "auto", task: Task | None = None) -> SeriesPredictor:
    """Load what :meth:`SeriesPredictor.save` wrote, or a run folder of a recipe for series.

    Args:
        path: the file or folder.
        device: where to compute.
        task: the task of the model, needed where it is not one of ``rnnkit.tasks.TASKS``.

    Raises:
        DataError: there is no such file, it holds no task on series, or a task that is not in the table.

    Example:
        >>> import numpy as np, tempfile
        >>> x, labels = np.random.default_rng(0).normal(size=(40, 10, 2)), np.repeat(["calm", "storm"], 20)
        >>> path = tempfile.mkdtemp() + "/task"
        >>> classify(x, labels, fit=Fit(steps=5), seed=0).save(path)
        >>> load(path).predict(x[:3]).shape
        (3,)
    """
    extra = read_config(path)["extra"]
    if "preprocessing" not in extra or "task" not in extra:
        raise DataError(f"{path} holds a network without its preprocessing; load it with rnnkit.load(path)")
    preprocessing = Preprocessing.from_json(extra["preprocessing"])
    stored = extra["task"]
    known = from_json(stored, preprocessing) if task is None else task
    return SeriesPredictor(load_model(path), preprocessing, known, tuple(stored["target_names"]), device)


def _training_rows(task: Task, given: Any, targets: Any) -> SeriesSet:
    if isinstance(given, SeriesSet):
        train = given
    else:
        if targets is None:
            raise DataError("arrays arrived without targets; pass one for each row, as in classify(x, y)")
        train = SeriesSet.from_arrays(given, task.as_targets(targets), source="the training data")
    task.check_targets(train)
    if len(train) < 2:
        raise DataError(f"{train.source or 'the training data'}: {len(train)} row to train on; expected at least 2")
    return train
