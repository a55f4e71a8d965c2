"""What a learner has before and after it trains: its settings, the model's answers, the names of classes, its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import check_whole
from ..ops.losses import LossFunction
from .answers import classes_of, probabilities
from .config import LearnerConfig
from .distribution.exchange import Exchange
from .execution import Execution
from .history import History
from .objectives.cross_entropy import ClassWeights
from .objectives.objective import Objective
from .objectives.resolve import check_metrics, resolve_objective
from .optimization.optimizers import OptimizerLike, check_rate
from .optimization.parameter_groups import ParameterGroups, by_names
from .reports.summary import summary
from .reports.summary_table import Summary
from .saving import save
from .session import Session
from .setting_names import check_may_change
from .sources import predict
from .user_data import ColumnNames, class_names_of, encode_labels, inputs_of, known_names, set_names
from .watching.metrics import MetricLike, Metrics

_SETTINGS = tuple(one.name for one in fields(LearnerConfig))
_CHANGEABLE = (*_SETTINGS, "optimizer", "extra")


class LearnerBase:
    """A learner without training: :class:`rnnkit.Learner` adds it, and says what the arguments mean."""

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        loss: str | LossFunction | None = None,
        objective: str | Objective | None = None,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights | None = None,
        optimizer: OptimizerLike = "adam",
        metrics: MetricLike | Iterable[MetricLike] | Mapping[str, MetricLike] | None = None,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        decay_biases: bool = True,
        parameter_groups: ParameterGroups | None = None,
        recurrent_l2: float = 0.0,
        ar: float = 0.0,
        tar: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        device: str | torch.device = "auto",
        precision: str = "32-true",
        exchange: Exchange | None = None,
    ) -> None:
        self.model, self.optimizer = model, optimizer
        self.lr, self.weight_decay, self.l2, self.decay_biases = lr, weight_decay, l2, decay_biases
        self.parameter_groups = None if parameter_groups is None else by_names(model, parameter_groups)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.recurrent_l2, self.ar, self.tar = recurrent_l2, ar, tar
        self.label_smoothing, self.class_weights = label_smoothing, class_weights
        self.config.check(model)
        chosen = resolve_objective(objective, loss, model, label_smoothing, class_weights)
        if metrics is None:  # the model's defaults belong to its default loss
            own = objective is None and loss in (None, getattr(model, "default_loss", None))
            metrics = getattr(model, "default_metrics", ()) if own else ()
        execution = Execution.create(model, device, precision, exchange)
        if isinstance(chosen.loss.function, torch.nn.Module):
            chosen.loss.function.to(execution.device)
        found = Metrics(metrics, logits=chosen.loss.probabilities == "sigmoid")
        check_metrics(chosen, found.names)
        self._session = Session(execution, chosen, found)
        self._named_by_data = False
        self._columns = ColumnNames()
        if isinstance(optimizer, Optimizer):
            self._session.note_optimizer(optimizer)

    def __setattr__(self, name: str, value: Any) -> None:
        made: Session | None = self.__dict__.get("_session")
        if made is not None:
            check_may_change(name, _CHANGEABLE)
            if name == "lr":
                check_rate(value)
                made.rate = float(value)
            if name == "optimizer" and isinstance(value, Optimizer):
                made.note_optimizer(value)
        super().__setattr__(name, value)

    @property
    def config(self) -> LearnerConfig:
        """The settings as they are now; a run takes those of its beginning."""
        return LearnerConfig(**{name: getattr(self, name) for name in _SETTINGS})

    @property
    def device(self) -> torch.device:
        """Where the model is computed."""
        return self._session.execution.device

    @property
    def rank(self) -> int:
        """The number of this process under torchrun, from 0; 0 where there is but one."""
        return self._session.execution.rank

    @property
    def history(self) -> History:
        """What the last run recorded."""
        return self._session.history

    @property
    def extra(self) -> dict[str, Any]:
        """JSON values that are stored beside the model."""
        return self._session.extra

    @extra.setter
    def extra(self, values: dict[str, Any]) -> None:
        self._session.extra = values

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes: the model's, or those of the labels it was trained on; None: numbers.

        They are stored with the model.
        """
        return known_names(self.model, self.extra)

    def __repr__(self) -> str:
        loss, device = self._session.objective.loss.name, self.device
        optimizer = self.optimizer if isinstance(self.optimizer, str) else type(self.optimizer).__name__
        trained = len(self.history.rows)
        after = f", trained for {trained} epoch{'s' if trained > 1 else ''}" if trained else ""
        kind = type(self.model).__name__
        return f"Learner({kind}, loss={loss!r}, optimizer={optimizer!r}, lr={self.lr:g}, device='{device}'{after})"

    def predict(self, x: Any, *, batch_size: int = 256) -> Tensor:
        """Return the model's outputs (a classifier's are logits) for arrays, tensors, lists of arrays or `Sequences`.

        They come on the CPU, in the order of the rows; outputs per step [N, T, ...] are 0 past a sequence's end.

        Raises:
            DataError: no rows, or NaN among them.
        """
        check_whole(batch_size, "batch_size")
        x = inputs_of(x)
        self._columns.check(x)
        return predict(self._session.execution, self._session.objective, x, int(batch_size))

    def predict_proba(self, x: Any, *, batch_size: int = 256) -> Tensor:
        """Return the probability of each class, as `predict` returns outputs: softmax or sigmoid as the loss has it.

        Raises:
            ConfigError: the loss has no probabilities.
        """
        return probabilities(self.predict(x, batch_size=batch_size), self._session.objective.loss)

    def predict_classes(self, x: Any, *, batch_size: int = 256) -> Any:
        """Return the class of each row (or step): an array of names where `class_names` are known, else a tensor.

        With a binary loss it is 1 where the probability is above one half. Classes of padded steps mean nothing.

        Raises:
            ConfigError: the loss has no classes.
        """
        shares = self.predict_proba(x, batch_size=batch_size)
        return classes_of(shares, self._session.objective.loss, self.class_names)

    def summary(self, data_or_shape: Any = None, *, batch_size: int = 32) -> Summary:
        """List the model's layers with parameters, FLOPs and memory, see :func:`rnnkit.summary`; print it."""
        optimizer: OptimizerLike = self.optimizer if self._session.optimizer is None else self._session.optimizer
        return summary(self.model, data_or_shape, optimizer=optimizer, batch_size=batch_size)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model, its weights and how to build it, to one .safetensors file that `rnnkit.load` reads.

        What is in `learner.extra` (JSON values: a preprocessing, names of classes) is stored with it, as it is with
        each checkpoint; :func:`rnnkit.serialization.read_config` gives it back. Parts that `rnnkit.load` cannot make
        anew, and forward hooks, are warned of.
        """
        save(self.model, path, self.extra)

    def _name_classes(self, data: Any) -> None:
        """Take the names of the classes from the data of the first run, where the model has none."""
        names, untrained = class_names_of(data), self._session.optimizer is None
        if names is None or self._session.objective.loss.probabilities != "softmax":
            return
        if self.class_names is None or (self._named_by_data and untrained):
            set_names(self.model, self.extra, names)
            self._named_by_data = True

    def _encoded(self, data: Any, names: tuple[str, ...] | None = None) -> Any:
        if type(data) is tuple and data:
            self._columns.check(data[0])
        return encode_labels(data, names or self.class_names, self._session.objective.loss)
