"""Classes and numbers for whole series: the network, its training, and answers in the user's own units.

This is the one default recipe for series: ``rnnkit train classify``, ``rnnkit train regress`` and the estimators call
it. The network is a recurrent one behind a small convolutional front end:

    views of the series → convolutions of three widths → bidirectional GRU(64) → last, max and mean over time → Linear

It is trained by AdamW on series that are a little changed each time, and the last step's weights are kept unless there
are validation rows and ``early_stopping``. ``docs/decisions/0011-the-series-recipe.md`` has the figures that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from ..data.preprocessing import Preprocessing
from ..data.series import SeriesSet
from ..errors import ConfigError, DataError
from ..layers.augment import SeriesAugment
from ..layers.conv import ConvFront
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.simple_rnn import SimpleRNN
from ..models.classifier import SequenceClassifier
from ..models.loading import load as load_model
from ..models.regressor import SequenceRegressor
from ..serialization import read_config, save_module
from ..training.contexts import seeded
from ..training.execution import find_device
from ..training.history import History
from ..training.learner import Learner
from ..types import Sequences
from .settings import Fit, Model

Array = npt.NDArray[Any]
Kind = Literal["classify", "regress"]
Inputs = torch.Tensor | Sequences
Network = Callable[[int, int], torch.nn.Module]


@dataclass
class SeriesTask:
    """A trained network with what turns series into its inputs, and its outputs into answers.

    Attributes:
        model: the network.
        preprocessing: scaling and filling, classes or the targets' scale, as fitted on the training rows.
        target_names: what a regression's numbers are called.
        device: where to compute.
        history: what training recorded, and
        learner: what trained it; both None after `load`.
    """

    model: torch.nn.Module
    preprocessing: Preprocessing
    target_names: tuple[str, ...] = ()
    device: str = "auto"
    history: History | None = None
    learner: Learner | None = field(default=None, repr=False)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes' names in the order of the probabilities; None for a regression."""
        return self.preprocessing.classes

    def predict(self, series: Any) -> Array:
        """The class of each series [N] (text), or its number [N] (of several [N, K]) in the targets' unit.

        Args:
            series: a SeriesSet, or arrays as in :func:`classify`, with the channels of the training data.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        return self._answers(self._outputs(series))

    def predict_proba(self, series: Any) -> Array:
        """The probability of each class, [N, C] float64 in the order of `classes`; rows sum to 1.

        Raises:
            ConfigError: a regression has none. DataError: as in `predict`.
        """
        if self.classes is None:
            raise ConfigError("a regression has no classes and no probabilities; call predict")
        return self._outputs(series).double().softmax(1).numpy()

    def evaluate(self, series: SeriesSet) -> dict[str, float]:
        """Figures on rows whose targets are known.

        Returns:
            For classes: loss (mean cross-entropy), balanced_accuracy (the mean over the classes of the share
            recognised) and accuracy. For numbers, over all of them, in the targets' unit: rmse, mae, and r2
            (1 - squared error / variance, NaN where all targets agree).

        Raises:
            DataError: no targets, classes that the network has not learned, and what `predict` raises.
        """
        check_targets(series, "regress" if self.classes is None else "classify")
        wanted = self.preprocessing.transform_targets(series)
        outputs = self._outputs(series)
        return _class_figures(outputs, wanted) if self.classes is not None else self._number_figures(outputs, series)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes weights, network and preprocessing to one file that :func:`load` reads."""
        save_module(self.model, Path(path), self.extra())

    def extra(self) -> dict[str, Any]:
        """What a model's file holds beside the network, as JSON values."""
        return {"task": {"target_names": list(self.target_names)}, "preprocessing": self.preprocessing.to_json()}

    def inputs(self, series: Any) -> Inputs:
        """What the network reads for these series.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        if not isinstance(series, SeriesSet):
            names = self.preprocessing.channels
            series = SeriesSet.from_arrays(series, source="the series")
            if len(names) == len(series.channels):
                series = replace(series, channels=names)
        return self.preprocessing.transform(series)

    def _outputs(self, series: Any) -> torch.Tensor:
        return Learner(self.model, loss="mse", device=self.device).predict(self.inputs(series)).float()

    def _answers(self, outputs: torch.Tensor) -> Array:
        if self.classes is None and outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        return self.preprocessing.inverse_targets(outputs)

    def _number_figures(self, outputs: torch.Tensor, series: SeriesSet) -> dict[str, float]:
        wanted = np.asarray(series.targets, np.float64)
        error = self._answers(outputs).reshape(wanted.shape) - wanted
        variance, square = float(wanted.var(0).mean()), float((error**2).mean())
        r2 = 1 - square / variance if variance > 0 else float("nan")
        return {"rmse": square**0.5, "mae": float(np.abs(error).mean()), "r2": r2}


def _class_figures(outputs: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    loss = torch.nn.functional.cross_entropy(outputs.double(), wanted)
    right = (outputs.argmax(1) == wanted).double()
    by_class = [right[wanted == label].mean() for label in wanted.unique()]
    return {
        "loss": float(loss),
        "balanced_accuracy": float(torch.stack(by_class).mean()),
        "accuracy": float(right.mean()),
    }


def classify(train: Any, targets: Any = None, **settings: Any) -> SeriesTask:
    """Trains a network that names the class of a series.

    Args:
        train: a :class:`rnnkit.data.series.SeriesSet` with labels; or arrays [N, T] (one channel), [N, T, channels],
            or a list of [T_i] or [T_i, channels]. NaN is a missing value.
        targets: labels [N] beside arrays; any values, told apart by their text.
        **settings: as in :func:`train`.

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
        >>> task = series.classify(x, np.repeat(["falls", "rises"], 20), fit=series.Fit(steps=60), seed=0)
        >>> task.predict(x[[0, -1]]).tolist()
        ['falls', 'rises']
    """
    return train_series("classify", train, targets, **settings)


def regress(train: Any, targets: Any = None, **settings: Any) -> SeriesTask:
    """Trains a network that gives one or several numbers for a series.

    Args:
        train: as in :func:`classify`, with numbers for labels.
        targets: numbers [N] or [N, K] beside arrays.
        **settings: as in :func:`train_series`.

    Returns, Raises: as in :func:`classify`.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(40, 10, 2))
        >>> task = regress(x, x.mean((1, 2)), fit=Fit(steps=5), seed=0)
        >>> task.predict(x[:3]).shape
        (3,)
    """
    return train_series("regress", train, targets, **settings)


def train_series(
    kind: Kind,
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
) -> SeriesTask:
    """Trains a network for series; :func:`classify` and :func:`regress` are this.

    Args:
        kind: "classify" or "regress".
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
    train = _training_rows(kind, train, targets)
    plan.check(kind, validated=validation is not None)
    if not isinstance(preprocessing, Preprocessing):
        preprocessing = Preprocessing.fit(train, **(preprocessing or {}))
    outputs = preprocessing.output_size or 0
    names = tuple(target_names) or _target_names(kind, outputs)
    task = SeriesTask(torch.nn.Identity(), preprocessing, names, device)

    def pairs(rows: SeriesSet) -> tuple[Inputs, torch.Tensor]:
        check_targets(rows, kind)
        return task.inputs(rows), preprocessing.transform_targets(rows)

    data, watched = pairs(train), None if validation is None else pairs(validation)
    with seeded(seed, torch.device("cpu")):  # where weights are drawn
        if network is not None:
            task.model = network(preprocessing.input_size, outputs)
        else:
            task.model = build(kind, chosen, preprocessing.input_size, outputs, usual_steps(data[0]))
    batch_size, epochs = plan.schedule_for(len(train))
    task.learner = make_learner(kind, task.model, plan, device=device)
    task.learner.extra = task.extra()  # so that a checkpoint alone is enough to predict
    fitting.setdefault("progress", False)
    task.history = task.learner.fit(
        data,
        validation=watched,
        epochs=epochs,
        batch_size=batch_size,
        schedule=plan.schedule,
        seed=seed,
        early_stopping=plan.early_stopping,
        restore_best=plan.early_stopping is not None,
        **fitting,
    )
    return task


def load(path: str | PathLike[str], *, device: str = "auto") -> SeriesTask:
    """Loads what :meth:`SeriesTask.save` wrote, or a run folder of ``classify`` or ``regress``.

    Raises:
        DataError: there is no such file, or it holds no task on series.

    Example:
        >>> import numpy as np, tempfile
        >>> x, labels = np.random.default_rng(0).normal(size=(40, 10, 2)), np.repeat(["calm", "storm"], 20)
        >>> path = tempfile.mkdtemp() + "/task"
        >>> classify(x, labels, fit=Fit(steps=5), seed=0).save(path)
        >>> load(path).predict(x[:3]).shape
        (3,)
    """
    extra = read_config(Path(path))["extra"]
    if "preprocessing" not in extra or "task" not in extra:
        raise DataError(f"{path} holds a network without its preprocessing; load it with rnnkit.load(path)")
    preprocessing = Preprocessing.from_json(extra["preprocessing"])
    return SeriesTask(load_model(Path(path)), preprocessing, tuple(extra["task"]["target_names"]), device)


def build(kind: Kind, model: Model, features: int, outputs: int, steps: int) -> SequenceClassifier | SequenceRegressor:
    """The network with fresh weights.

    Args:
        kind: "classify" or "regress".
        model: its settings.
        features: numbers a step.
        outputs: classes, or numbers a series.
        steps: the usual length of a series; longer than ``model.max_steps``, several steps become one.
    """
    front = None
    if model.front == "conv":
        front = ConvFront(
            features,
            model.channels,
            model.kernel_sizes,
            stride=-(-steps // model.max_steps),
            dropout=model.front_dropout,
        )
    cell = {"gru": GRU, "lstm": LSTM, "simple_rnn": SimpleRNN}[model.cell]
    body = cell(
        features if front is None else front.output_size,
        model.hidden_size,
        num_layers=model.num_layers,
        batch_first=True,
        bidirectional=model.bidirectional,
        dropout=model.dropout if model.num_layers > 1 else 0.0,
        init=model.init,
    )
    augment = SeriesAugment(model.jitter, model.scale, model.warp)
    made = SequenceClassifier if kind == "classify" else SequenceRegressor
    return made(body, outputs, model.pooling, model.dropout, front, augment)


def make_learner(kind: Kind, model: torch.nn.Module, plan: Fit, **others: Any) -> Learner:
    """The learner that trains `model` as `plan` says; `others` are further settings of it, or in place of these."""
    classes = {"label_smoothing": plan.label_smoothing, "class_weights": plan.class_weights, "metrics": "accuracy"}
    settings: dict[str, Any] = {
        "loss": "cross_entropy" if kind == "classify" else plan.loss,
        **(classes if kind == "classify" else {"metrics": ()}),
        "optimizer": plan.optimizer,
        "lr": plan.lr,
        "weight_decay": plan.weight_decay,
        "clip_norm": plan.clip_norm,
    }
    return Learner(model, **settings | others)


def usual_steps(inputs: Inputs) -> int:
    """The number of steps of the middle one of the series by length."""
    return int(inputs.shape[1] if isinstance(inputs, torch.Tensor) else inputs.lengths.median())


def check_targets(series: SeriesSet, kind: Kind) -> None:
    """Raises DataError where the rows have not the targets that the task needs."""
    where = f"{series.source}: " if series.source else ""
    if series.targets is None:
        what = "label" if kind == "classify" else "number"
        raise DataError(f"{where}the rows have no targets; expected a {what} for each")
    numbers = series.targets.dtype.kind == "f"
    if kind == "classify" and numbers:
        raise DataError(f"{where}the targets are numbers; expected labels: text, or read_series(targets='labels')")
    if kind == "regress" and not numbers:
        raise DataError(f"{where}the targets are labels; expected numbers: floats, or read_series(targets='numbers')")


def _training_rows(kind: Kind, given: Any, targets: Any) -> SeriesSet:
    if isinstance(given, SeriesSet):
        train = given
    else:
        if targets is None:
            raise DataError("arrays arrived without targets; pass one for each row, as in classify(x, y)")
        values = np.asarray(targets)
        values = values.astype(np.float64) if kind == "regress" else np.array([str(label) for label in values.tolist()])
        train = SeriesSet.from_arrays(given, values, source="the training data")
    check_targets(train, kind)
    if len(train) < 2:
        raise DataError(f"{train.source or 'the training data'}: {len(train)} row to train on; expected at least 2")
    return train


def _target_names(kind: Kind, outputs: int) -> tuple[str, ...]:
    if kind == "classify":
        return ()
    return ("prediction",) if outputs == 1 else tuple(f"prediction {index}" for index in range(outputs))
