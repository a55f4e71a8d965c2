"""Base of both estimators: training by the recipe for series, continued training, prediction, pickling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ..data.preprocessing import Missing, Preprocessing, Scale
from ..data.series import SeriesSet
from ..errors import DataError
from ..finetuning.adapters import merge_adapters
from ..finetuning.forgetting import Replay, resolve_replay
from ..finetuning.heads import same_name
from ..models.loading import build as rebuild
from ..ops.losses import LossFunction
from ..tasks.network import build, make_learner, usual_steps
from ..tasks.series import SeriesPredictor
from ..tasks.settings import Fit, Model
from ..tasks.task import Task
from ..training.contexts import seeded
from ..training.history import History
from ..training.learner import Learner
from ..types import Sequences
from ._going_on import GoesOn, check_unchanged
from ._input import Series, check_series, rows_of
from ._settings import count, in_estimator_words, recipe, share
from ._targets import Array, check_weights, packed

OLD_DATA = ("old_data", "old_validation", "replay")  # of fine_tune
MODEL, FIT = Model(), Fit()  # whose values are the estimators' own defaults: there is one recipe
Network = Callable[[int, int], torch.nn.Module]
Run = Callable[[Learner, Any, dict[str, Any]], History]

# Matrix products round a row's result differently with the number of rows beside it. Batches are always of this size,
# the last filled up, which leaves only the place of a row in its batch: most processors then give it the same bits.
_BLOCK = 32


@dataclass(kw_only=True, repr=False, eq=False)
class RecurrentEstimator(GoesOn, BaseEstimator):  # type: ignore[misc]
    """Base of `RNNClassifier` and `RNNRegressor`, which add targets, loss and predictions.

    The fields are scikit-learn's parameters: a dataclass makes the constructor of each estimator from them.
    """

    _task: ClassVar[Task]

    cell: str = MODEL.cell
    hidden_size: int = MODEL.hidden_size
    num_layers: int = MODEL.num_layers
    bidirectional: bool = MODEL.bidirectional
    pooling: str = MODEL.pooling
    dropout: float = MODEL.dropout
    front: str = MODEL.front
    augment: float = 1.0
    scale: Scale = "standard"
    missing: Missing = "fill"
    epochs: int | None = FIT.epochs
    batch_size: int | None = FIT.batch_size
    learning_rate: float = FIT.lr
    weight_decay: float = FIT.weight_decay
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    device: str = "auto"
    verbose: bool = False
    settings: dict[str, Any] | None = None
    network: Network | None = None

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train on series X and their targets y; with `warm_start` from where the last `fit` ended.

        Args:
            X: [N, T] (univariate series), [N, T, channels], or a list of N arrays [T_i] or [T_i, channels]; NaN is a
                missing value, and padding at the end of a row if it is in all channels. Or a `rnnkit.data.SeriesSet`,
                which has targets of its own; for scikit-learn's cross-validation take ``X, y = series.arrays()``.
            y: [N] targets; see the class. None: those of the `SeriesSet`.
            sample_weight: [N], how much each row counts in the loss; None: all the same. Rows of weight 0 are left
                out of everything.

        Returns:
            The estimator itself.

        Raises:
            DataError, ValueError: X, y or the weights cannot be used as they are.
            ConfigError: a parameter does not exist or is outside its range.
        """
        fresh = not (self.warm_start and hasattr(self, "module_"))
        self._train(X, y, sample_weight, fresh=fresh)
        return self

    def fine_tune(self, X: Any, y: Any = None, sample_weight: Any = None, *, epochs: int = 5, **settings: Any) -> Self:
        """Train on new series at a lower rate, from where `fit` ended and with its scaling.

        Args:
            X, y, sample_weight: as in `fit`; rows of a replay count as much as one of X does on average.
            epochs: number of epochs.
            **settings: more for `rnnkit.Learner.fine_tune`: `lr`, `freeze`, `adapters` (which are merged at the end),
                `protect`, `replay`, `old_data`, `old_validation`, `validation`, these as (X, y) ...

        Returns:
            The estimator itself; `print(model.history_.report)` shows what changed.

        Raises:
            NotFittedError: before `fit`. DataError: as in `fit`.
            ConfigError: as in `fit` and `rnnkit.Learner.fine_tune`.
        """
        check_is_fitted(self, "module_")
        return self._tune(X, y, sample_weight, epochs, self._prepared(settings, OLD_DATA))

    def _tune(self, X: Any, y: Any, sample_weight: Any, epochs: int, settings: dict[str, Any]) -> Self:
        """`fine_tune` from where the old data is prepared."""
        settings = self._prepared(settings, ("validation",))

        def tune(learner: Learner, data: Any, defaults: dict[str, Any]) -> History:
            replay = self._weighted_replay(settings, data[1])
            return learner.fine_tune(data, **defaults | {"schedule": None, "epochs": epochs} | settings | replay)

        self._train(X, y, sample_weight, fresh=False, run=tune)
        if settings.get("adapters") is not None:
            merge_adapters(self.module_)
        return self

    def _prepared(self, settings: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        """The settings, those of these names that are pairs (X, y) as the learner takes them."""
        return {name: self._pair(value) if name in names else value for name, value in settings.items()}

    def _pair(self, given: Any) -> Any:
        """(X, y), also within a `Replay`, scaled and encoded as for training; what is no pair stays as it is."""
        if isinstance(given, Replay):
            return replace(given, data=self._pair(given.data))
        given = (given, self._targets_of(given, None)) if isinstance(given, SeriesSet) else given
        if not isinstance(given, tuple):
            return given
        series, targets = check_series(self, given[0], reset=False), self._encode(given[1], False, None)
        check_consistent_length(series, targets)
        return self._inputs(series), packed(self._scaled(targets), np.ones(len(targets)))

    def _targets_of(self, X: Any, y: Any) -> Any:
        """Return y; where it is None, the targets of a `SeriesSet` X.

        Raises:
            DataError: it has no targets, or those of another task.
        """
        if y is not None or not isinstance(X, SeriesSet):
            return y
        _, targets = X.arrays()
        found, expected = "numbers" if targets.dtype.kind == "f" else "labels", self._task.target_type
        if found != expected:
            raise DataError(
                f"X is a SeriesSet whose targets are {found}; {type(self).__name__} expects {expected}: read it with "
                f'targets="{expected}", or pass y'
            )
        return targets

    def _weighted_replay(self, settings: dict[str, Any], new: torch.Tensor) -> dict[str, Any]:
        """The replay with weights of 1 and the new numbers of its classes, where the new targets have weights."""
        given = resolve_replay(settings.get("replay"))
        pair = settings.get("old_data") if given is None or given.data is None else given.data
        if given is None or pair is None or pair[1].shape[1:] == new.shape[1:]:
            return {}
        targets = pair[1]
        if settings.get("classes") is not None:
            numbers = torch.full((len(settings["old_classes"]),), -1)
            for now, old in same_name(settings["old_classes"], settings["classes"]).items():
                numbers[old] = now
            targets = numbers[targets]
            if (targets < 0).any():  # a class that is no more: the learner says so
                return {}
        return {"replay": Replay((pair[0], torch.column_stack([targets, torch.ones(len(targets))])), given.rows)}

    def save(self, path: str | PathLike[str]) -> None:
        """Write network, weights, scaling and classes to one .safetensors file.

        `rnnkit predict` and `rnnkit.load` read it; nothing in it is executed or unpickled, unlike in a pickle.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self, "module_")
        names = self._task.answer_names(self._task.output_size(self.preprocessing_))
        SeriesPredictor(self.module_, self.preprocessing_, self._task, names).save(path)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        def one_epoch(learner: Learner, data: Any, defaults: dict[str, Any]) -> History:
            return learner.fit(data, **defaults | {"epochs": 1, "schedule": None})

        self._train(X, y, sample_weight, fresh=not hasattr(self, "module_"), run=one_epoch, classes=classes)
        return self

    def _train(
        self, X: Any, y: Any, sample_weight: Any, *, fresh: bool, run: Run | None = None, classes: Any = None
    ) -> None:
        """Check everything, makes the network if it is to be `fresh`, trains it by `run` and note the history."""
        model, plan = recipe(self.get_params(deep=False))
        patience = count("n_iter_no_change", self.n_iter_no_change)
        fraction = share("validation_fraction", self.validation_fraction)
        y = self._targets_of(X, y)
        series = check_series(self, X, reset=fresh)
        targets = self._encode(y, fresh, classes)
        check_consistent_length(series, targets)
        weights = check_weights(sample_weight, len(series))
        if not weights.all():
            kept = np.flatnonzero(weights)
            series, targets, weights = rows_of(series, kept), targets[kept], weights[kept]
        if len(series) < 2 and fresh:
            raise DataError(f"X has n_samples = {len(series)} (of weight above 0); expected at least 2 to train on")
        weights = self._balanced(targets, weights)

        if not fresh:
            self._go_on(model, plan, anew=run is None)
        seed = self._seed(fresh)
        train, watched = np.arange(len(series)), None
        if self.early_stopping and run is None:
            train, watched = self._hold_out(targets, fraction, seed)
        if fresh:
            self._begin(rows_of(series, train), targets[train], weights[train], model, plan, seed)

        def data(rows: Array) -> Any:
            return self._inputs(rows_of(series, rows)), packed(self._scaled(targets[rows]), weights[rows])

        batch_size, epochs = plan.schedule_for(len(train))
        defaults = {
            "epochs": epochs,
            "batch_size": batch_size,
            "schedule": plan.schedule,
            "seed": seed,
            "progress": None if self.verbose else False,
        }
        if watched is not None:
            defaults |= {"validation": data(watched), "early_stopping": patience, "restore_best": True}
        history = (run or _fit)(self._learner, data(train), defaults)
        self._record(history, fresh)

    def _begin(self, series: Series, targets: Array, weights: Array, model: Model, plan: Fit, seed: int) -> None:
        """Fit the preprocessing, and make a new network and its learner."""
        arrived = SeriesSet.from_arrays(series, source="X")
        with in_estimator_words():
            plain = Preprocessing.fit(arrived, scale=self.scale, missing=self.missing)
        self.preprocessing_ = self._with_targets(plain, targets, weights)
        features, outputs = self.preprocessing_.input_size, self.preprocessing_.output_size or 0
        with seeded(seed, torch.device("cpu")):
            if self.network is not None:
                self.module_ = self.network(features, outputs)
            else:
                steps = usual_steps(self.preprocessing_.transform(arrived))
                self.module_ = build(self._task, model, features, outputs, steps)
        self._recipe = model, plan
        self._learner = self._make_learner(plan)

    def _go_on(self, model: Model, plan: Fit, *, anew: bool) -> None:
        """Check that the network is still the wanted one, and take over settings of training that have changed."""
        changed = [name for name, value in vars(model).items() if value != getattr(self._recipe[0], name)]
        check_unchanged(changed)
        if anew or plan != self._recipe[1]:
            self._recipe = model, plan
            self._learner = self._make_learner(plan)

    def _make_learner(self, plan: Fit) -> Learner:
        own = {"loss": self._loss(plan), "metrics": self._metrics(), "label_smoothing": 0.0}
        return make_learner(self._task, self.module_, plan, device=self.device, **own)

    def _inputs(self, series: Series) -> torch.Tensor | Sequences:
        return self.preprocessing_.transform(SeriesSet.from_arrays(series, source="X"))

    def _outputs(self, X: Any) -> Array:
        """The network's outputs [N, outputs] for series X, as float64."""
        check_is_fitted(self, "module_")
        series = check_series(self, X, reset=False)
        rows = len(series)
        filled = np.minimum(np.arange(-(-rows // _BLOCK) * _BLOCK), rows - 1)
        outputs = self._learner.predict(self._inputs(rows_of(series, filled)), batch_size=_BLOCK)
        return outputs[:rows].double().numpy()

    def _hold_out(self, targets: Array, fraction: float, seed: int) -> tuple[Array, Array]:
        """Rows to train on and rows to judge by, drawn at random."""
        train, held_out = train_test_split(
            np.arange(len(targets)), test_size=fraction, random_state=seed, stratify=self._strata(targets, fraction)
        )
        return train, held_out

    @abstractmethod
    def _encode(self, y: Any, fresh: bool, classes: Any) -> Array:
        """y checked: labels as numbers from 0, int64 [N], or numbers, float64 [N, K]."""

    @abstractmethod
    def _with_targets(self, plain: Preprocessing, targets: Array, weights: Array) -> Preprocessing:
        """The preprocessing with the classes, or the scale of the training targets."""

    @abstractmethod
    def _loss(self, plan: Fit) -> LossFunction: ...

    def _scaled(self, targets: Array) -> Array:
        return targets

    def _balanced(self, targets: Array, weights: Array) -> Array:
        return weights

    def _strata(self, targets: Array, fraction: float) -> Array | None:
        return None

    def _metrics(self) -> Any:
        return ()

    def __getstate__(self) -> dict[str, Any]:
        """Plain values: the network as its description and arrays; a pickle needs no device and no learner."""
        state = dict(super().__getstate__())
        if "module_" in state:
            del state["_learner"]
            describe: Any = getattr(self.module_, "config", None)
            if callable(describe):  # else a network of the user's own, which has to pickle by itself
                weights = {name: tensor.cpu().numpy() for name, tensor in self.module_.state_dict().items()}
                state["module_"] = {"config": describe(), "weights": weights}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "module_" in state:
            if isinstance(self.module_, dict):
                described = self.module_
                self.module_ = rebuild(described["config"])
                weights = {name: torch.tensor(array) for name, array in described["weights"].items()}
                self.module_.load_state_dict(weights)
            self._learner = self._make_learner(self._recipe[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags


def _fit(learner: Learner, data: Any, defaults: dict[str, Any]) -> History:
    return learner.fit(data, **defaults)
