"""Classes and numbers for whole series: the network, its training, and answers in the user's own units.

This is the one default recipe for series: ``rnnkit train classify``, ``rnnkit train regress`` and the estimators call
it. The network is a recurrent one behind a small convolutional front end:

    views of the series → convolutions of three widths → bidirectional GRU(64) → last, max and mean over time → Linear

It is trained by AdamW on series that are a little changed each time, and the last step's weights are kept unless there
are validation rows and ``early_stopping``. ``docs/decisions/0011-the-series-recipe.md`` has the figures that chose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
from ..training.engine import find_device
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
        kind: "classify" or "regress".
        model: the network; `predict` puts it on `device`.
        preprocessing: scaling and filling, as fitted on the training rows.
        classes: the classes' names, in the order of the probabilities; () for a regression.
        mean, spread: of the targets on the training rows, which the network was trained to give in that unit.
        targets: the names of a regression's numbers.
        device: where to compute.
        history: what training recorded; None after `load`.
        learner: what trained it; None after `load`.
    """

    kind: Kind
    model: torch.nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    targets: tuple[str, ...] = ()
    device: str = "auto"
    history: History | None = None
    learner: Learner | None = field(default=None, repr=False)

    def predict(self, series: Any) -> Array:
        """The class of each series [N] (text), or its number [N] (of several [N, K]).

        Args:
            series: a SeriesSet, or arrays as in :func:`classify`, with the channels of the training data.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        outputs = self._outputs(series)
        if self.kind == "classify":
            return np.array(self.classes)[outputs.argmax(1).numpy()]
        numbers = outputs.double().numpy() * np.array(self.spread) + np.array(self.mean)
        return numbers[:, 0] if numbers.shape[1] == 1 else numbers

    def predict_proba(self, series: Any) -> Array:
        """The probability of each class, [N, C] float64 in the order of `classes`; rows sum to 1.

        Raises:
            ConfigError: a regression has none. DataError: as in `predict`.
        """
        if self.kind != "classify":
            raise ConfigError("a regression has no classes and no probabilities; call predict")
        return self._outputs(series).double().softmax(1).numpy()

    def evaluate(self, series: SeriesSet) -> dict[str, float]:
        """Figures on rows whose targets are known.

        Returns:
            For classes: loss (mean cross-entropy), accuracy, and balanced_accuracy (the mean over the classes there
            of the share recognised). For numbers, over all of them, in the targets' unit: rmse, mae, r2 (1 - squared
            error / variance; NaN where all targets agree).

        Raises:
            DataError: no targets, classes that the network has not learned, and what `predict` raises.
        """
        if self.kind == "classify":
            labels = self.encode(series)
            shares = np.clip(self.predict_proba(series), 1e-12, 1)
            right = shares.argmax(1) == labels
            return {
                "loss": float(-np.log(shares[np.arange(len(labels)), labels]).mean()),
                "balanced_accuracy": float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
                "accuracy": float(right.mean()),
            }
        wanted = _numbers(series)
        error = self.predict(series).reshape(wanted.shape) - wanted
        variance = float(((wanted - wanted.mean(0)) ** 2).mean())
        square = float((error**2).mean())
        r2 = 1 - square / variance if variance > 0 else float("nan")
        return {"rmse": square**0.5, "mae": float(np.abs(error).mean()), "r2": r2}

    def encode(self, series: SeriesSet) -> Array:
        """The labels of the rows as integers [N].

        Raises:
            DataError: no labels, or some that the network has not learned.
        """
        labels = _labels(series)
        number = {name: index for index, name in enumerate(self.classes)}
        unknown = [(row, label) for row, label in zip(series.ids, labels, strict=True) if label not in number]
        if unknown:
            names = sorted({label for _, label in unknown})
            raise DataError(
                f"{_source(series)}class{'es' * (len(names) > 1)} {', '.join(map(repr, names[:5]))}"
                f"{' and more' * (len(names) > 5)} (first in row {unknown[0][0]}) arrived that the training data does "
                f"not have; it has {_listed(self.classes)}: leave these rows out, or train with rows of each class"
            )
        return np.array([number[label] for label in labels])

    def save(self, path: str | PathLike[str]) -> None:
        """Writes weights, network, preprocessing and classes to one file that :func:`load` reads."""
        save_module(self.model, Path(path), self.extra())

    def extra(self) -> dict[str, Any]:
        """What a model's file holds beside the network, as JSON values."""
        task = {
            "kind": self.kind,
            "classes": list(self.classes),
            "mean": list(self.mean),
            "spread": list(self.spread),
            "targets": list(self.targets),
        }
        return {"task": task, "preprocessing": self.preprocessing.to_json()}

    def inputs(self, series: Any) -> Inputs:
        """What the network reads for these series.

        Raises:
            DataError: channels that differ, infinite values, no rows.
        """
        if not isinstance(series, SeriesSet):
            series = _as_set(series, None, self.preprocessing)
        transformed: Inputs = self.preprocessing.transform(series)
        return transformed

    def _outputs(self, series: Any) -> torch.Tensor:
        return Learner(self.model, device=self.device).predict(self.inputs(series)).float()


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
    if not isinstance(train, SeriesSet):
        train = _as_set(train, targets, None)
    if len(train) < 2:
        raise DataError(f"{_source(train)}{len(train)} row to train on; expected at least 2")
    if not isinstance(preprocessing, Preprocessing):
        preprocessing = Preprocessing.fit(train, **(preprocessing or {}))
    task = SeriesTask(kind, torch.nn.Identity(), preprocessing, device=device)
    outputs = _learn_targets(task, train, tuple(target_names))
    watched = None if validation is None else (task.inputs(validation), _wanted(task, validation))
    if plan.early_stopping is not None and validation is None:
        raise ConfigError("fit.early_stopping needs rows to judge by; pass validation=, or data.validation=0.2")

    inputs = task.inputs(train)
    torch.manual_seed(seed)
    features = int((inputs if isinstance(inputs, torch.Tensor) else inputs.values).shape[2])
    make = network or (lambda features, outputs: build(kind, chosen, features, outputs, _steps(inputs)))
    task.model = make(features, outputs)
    batch_size, epochs = plan.schedule_for(len(train))
    task.learner = Learner(
        task.model,
        loss=_loss(task, train, plan),
        metrics="accuracy" if kind == "classify" else (),
        optimizer=plan.optimizer,
        lr=plan.lr,
        weight_decay=plan.weight_decay,
        clip_norm=plan.clip_norm,
        device=device,
    )
    fitting.setdefault("progress", False)
    task.history = task.learner.fit(
        (inputs, _wanted(task, train)),
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
    """
    extra = read_config(path)["extra"]
    task = extra.get("task")
    if not isinstance(task, dict) or "preprocessing" not in extra:
        raise DataError(f"{path} holds a network alone, without its preprocessing; load it with rnnkit.load(path)")
    preprocessing = Preprocessing.from_json(extra["preprocessing"])
    stored = {name: tuple(value) if isinstance(value, list) else value for name, value in task.items()}
    return SeriesTask(model=load_model(path), preprocessing=preprocessing, device=device, **stored)


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


def _as_set(values: Any, targets: Any, preprocessing: Preprocessing | None) -> SeriesSet:
    """Arrays as series, with the training data's names for their channels where there are as many."""
    series = SeriesSet.from_arrays(values, targets)
    if preprocessing is not None and len(preprocessing.channels) == len(series.channels):
        series = SeriesSet.from_arrays(values, targets, channels=preprocessing.channels)
    return series


def _learn_targets(task: SeriesTask, train: SeriesSet, names: tuple[str, ...]) -> int:
    """Fills in classes, or mean and spread of the numbers; returns how many outputs the network needs."""
    if task.kind == "classify":
        task.classes = tuple(sorted(set(_labels(train)), key=_natural))
        if len(task.classes) < 2:
            raise DataError(
                f"{_source(train)}all {len(train)} rows to train on are of class {task.classes[0]!r}; "
                "expected at least two classes"
            )
        return len(task.classes)
    numbers = _numbers(train)
    spread = numbers.std(0)
    task.mean = tuple(numbers.mean(0).tolist())
    task.spread = tuple(np.where(spread > 0, spread, 1.0).tolist())
    several = [f"prediction {index}" for index in range(len(spread))]
    task.targets = names or (tuple(several) if len(several) > 1 else ("prediction",))
    return len(spread)


def _wanted(task: SeriesTask, series: SeriesSet) -> torch.Tensor:
    """The targets as the network is trained on them."""
    if task.kind == "classify":
        return torch.from_numpy(task.encode(series))
    return torch.from_numpy((_numbers(series) - np.array(task.mean)) / np.array(task.spread)).float()


def _labels(series: SeriesSet) -> list[str]:
    if series.targets is None:
        raise DataError(f"{_source(series)}the rows have no labels; expected one each")
    if series.targets.ndim != 1:
        raise DataError(f"{_source(series)}targets of shape {series.targets.shape} arrived; expected a label a row")
    return [str(label) for label in series.targets.tolist()]


def _numbers(series: SeriesSet) -> Array:
    """The targets [N, K]."""
    if series.targets is None or series.targets.dtype.kind not in "fiu":
        what = "no targets" if series.targets is None else "labels that are text"
        raise DataError(f"{_source(series)}the rows have {what}; a regression expects numbers")
    numbers = series.targets.astype(np.float64).reshape(len(series), -1)
    bad = np.flatnonzero(~np.isfinite(numbers).all(1))
    if len(bad):
        raise DataError(
            f"{_source(series)}the target of row {series.ids[bad[0]]} is no finite number (and of {len(bad) - 1} more); "
            "leave these rows out"
        )
    return numbers


def _loss(task: SeriesTask, train: SeriesSet, fit: Fit) -> Any:
    if task.kind == "regress":
        if fit.class_weights is not None:
            raise ConfigError("fit.class_weights is for classes; a regression has none")
        return fit.loss
    if fit.class_weights is None and not fit.label_smoothing:
        return "cross_entropy"
    weights = None
    if fit.class_weights == "balanced":
        counts = np.bincount(task.encode(train), minlength=len(task.classes))
        weights = torch.from_numpy(len(train) / (len(counts) * counts)).float()
    return torch.nn.CrossEntropyLoss(weights, label_smoothing=fit.label_smoothing)


def _steps(inputs: Inputs) -> int:
    return int(inputs.shape[1] if isinstance(inputs, torch.Tensor) else inputs.lengths.median())


def _natural(label: str) -> tuple[int, float, str]:
    """Numbers by their value, before text."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _source(series: SeriesSet) -> str:
    return f"{series.source}: " if series.source else ""


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
