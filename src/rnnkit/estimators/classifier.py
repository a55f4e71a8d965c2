"""Classification of series, with scikit-learn's interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ..data.preprocessing import Preprocessing
from ..errors import DataError, check_no_missing
from ..ops.losses import LossFunction
from ..ordering import natural_key
from ..spelling import composed_labels
from ..tasks.classification import Classification
from ..tasks.settings import Fit
from ..tasks.task import Task
from ._base import FIT, OLD_DATA, RecurrentEstimator
from ._targets import Array, accuracy, cross_entropy


@dataclass(kw_only=True, repr=False, eq=False)
class RNNClassifier(ClassifierMixin, RecurrentEstimator):  # type: ignore[misc]
    """Classify series with a recurrent network: ``rnnkit train classify`` in scikit-learn's interface.

        p(class | x) = softmax(W pool(h_1 … h_T) + b),  h = recurrence(front(x))

    The network and its training are the one default recipe for series (`rnnkit.tasks.series`): with the same data and
    seed `RNNClassifier(random_state=0)` has the weights of `rnnkit.tasks.series.classify(X, y, seed=0)`. X is [N, T]
    (a univariate series a row), [N, T, channels], or a list of N arrays [T_i] or [T_i, channels]; y is [N] labels of
    any kind. Legend: N rows, T time, C classes, H hidden, L layers.

    Args:
        cell: the recurrence, "gru", "lstm" or "simple_rnn".
        hidden_size: H, units of a layer and direction.
        num_layers: L, layers one above the other.
        bidirectional: whether the steps are also read from the end.
        pooling: how the outputs over time are joined for the last layer: "last", "mean", "max", or all three, "concat".
        dropout: probability of dropping a feature in front of the last layer, and an output between layers.
        front: "conv" for convolutions in front of the recurrence, else "none".
        augment: the strength of random changes of the series while training: a factor on the recipe's noise, changes
            of height and of speed; 0: none.
        scale: of the values of a channel, measured on the training rows: "standard", "minmax" or "none".
        missing: what replaces NaN: "fill" (the last value before it), "indicator" (and a channel that marks it) or
            "indicator+elapsed" (and a channel with the time since the last value).
        epochs: passes over the data; None: as many as the recipe's number of steps needs.
        batch_size: rows of a step; None: 16, and more for large data.
        learning_rate, weight_decay: of AdamW; the rate warms up and then falls to 0 as a cosine.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016).
        class_weight: factors on the loss of rows by class, {label: factor}; "balanced": N / (C · rows of the class).
        early_stopping: hold rows out, end after `n_iter_no_change` epochs in a row without a lower loss on them, and
            keep the best epoch's weights. Only in `fit`.
        validation_fraction: the share of rows that `early_stopping` holds out.
        n_iter_no_change: the number of epochs that `early_stopping` waits.
        warm_start: whether `fit` continues from where the last one ended, with its scaling and classes.
        random_state: a number makes fit, weights and predictions a function of the data and it, bit for bit on the
            same machine and thread count; a RandomState gives each fit another seed; None draws one.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda".
        verbose: whether progress is shown.
        settings: further settings of the recipe by name, such as {"steps": 1200, "kernel_sizes": (5, 15)}: fields of
            `rnnkit.tasks.settings.Model` and `Fit`.
        network: a function (features of a step, outputs) -> module, for your own network in place of the one that the
            settings above describe. To pickle the estimator, the module must be picklable.

    Attributes:
        classes_: the labels [C], sorted.
        n_features_in_: steps of a series where X was [N, T]; else channels.
        n_channels_: channels.
        feature_names_in_: names of the columns, where X was a DataFrame [N, T] with names of text.
        channel_names_: names of the columns, where X was a list of DataFrames [T_i, channels] or a `SeriesSet`.
        module_: the trained `torch.nn.Module`.
        preprocessing_: how series become its inputs, `rnnkit.data.preprocessing.Preprocessing`.
        history_: figures of each epoch, `rnnkit.training.history.History`: `history_.rows[-1]["loss"]`.
        n_iter_: epochs trained, all of them where training went on.

    Differs from scikit-learn's other estimators: X may have three axes or rows of unequal length; series [N, T, C] and
    lists may have other lengths in `predict` than in `fit` (a table [N, T] may not, as `n_features_in_` is T). The rows
    predicted beside a row change its prediction in the last bits of a float32 at most.

    Raises (in `fit`):
        DataError, ValueError: X or y cannot be used as they are. ConfigError: a parameter that is outside its range.

    Example:
        >>> import numpy as np, rnnkit
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(40, 30)) + np.linspace(0, 3, 30) * np.repeat([-1, 1], 20)[:, None]
        >>> y = np.repeat(["falls", "rises"], 20)
        >>> model = rnnkit.RNNClassifier(hidden_size=16, epochs=10, random_state=0).fit(X, y)
        >>> model.predict(X[[0, -1]]).tolist(), model.predict_proba(X).shape
        (['falls', 'rises'], (40, 2))
        >>> from sklearn.model_selection import cross_val_score
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> bool(cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=2).mean() > 0.9)
        True
    """

    _task: ClassVar[Task] = Classification()

    label_smoothing: float = FIT.label_smoothing
    class_weight: dict[Any, float] | str | None = None

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on a part of the data; the first call fits the scaling and makes the network.

        Args:
            X, y, sample_weight: as in `fit`.
            classes: in the first call, all labels that y will ever hold; None: those of this y.

        Raises:
            DataError, ConfigError: as in `fit`; labels that are not among the classes.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def fine_tune(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, epochs: int = 5, classes: Any = None, **settings: Any
    ) -> Self:
        """Train on new series at a lower rate, from where `fit` ended and with its scaling.

        Args:
            X, y, sample_weight: as in `fit`; rows of a replay count as much as one of X does on average.
            epochs: number of epochs.
            classes: the labels that the network shall know from now on, where they are others than `classes_`: it gets
                a new last layer, whose weights for the classes that stay are the old ones.
            **settings: more for `rnnkit.Learner.fine_tune`: `lr`, `freeze`, `adapters` (which are merged at the end),
                `protect`, `validation` as (X, y), `replay`, `old_data` and `old_validation` as (X, y) with the old
                labels ...

        Returns:
            The estimator itself; `print(model.history_.report)` shows what changed.

        Raises:
            NotFittedError: before `fit`. DataError: labels that are not among the classes, and as in `fit`.
            ConfigError: as in `fit` and `rnnkit.Learner.fine_tune`.
        """
        check_is_fitted(self, "module_")
        if classes is None:
            return super().fine_tune(X, y, sample_weight, epochs=epochs, **settings)
        settings = self._prepared(settings, OLD_DATA)  # while the labels are the old ones
        old: Array = self.classes_
        self.classes_: Array = np.unique(column_or_1d(classes))
        names = {"classes": tuple(map(str, self.classes_.tolist())), "old_classes": tuple(map(str, old.tolist()))}
        try:
            self._tune(X, y, sample_weight, epochs, settings | names)
        except BaseException:
            self.classes_ = old
            raise
        self.preprocessing_ = replace(self.preprocessing_, classes=names["classes"])
        return self

    def predict(self, X: Any) -> Array:
        """The most probable class of each series, [N] of `classes_`."""
        labels = self._outputs(X).argmax(1)
        return self.classes_[labels]  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Array:
        """Softmax of the logits: the probability of each class, float64 [N, C] in the order of `classes_`."""
        return torch.from_numpy(self._outputs(X)).softmax(1).numpy()

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`, exact where a probability is tiny."""
        return torch.from_numpy(self._outputs(X)).log_softmax(1).numpy()

    def decision_function(self, X: Any) -> Array:
        """The logits [N, C]; of two classes how far the second one's is above the first one's, [N]."""
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of rows whose class is predicted correctly; see `sklearn.metrics.accuracy_score`.

        Args:
            X, y, sample_weight: as in `fit`.
        """
        return float(super().score(X, self._targets_of(X, y), sample_weight))

    def _encode(self, y: Any, fresh: bool, classes: Any) -> Array:
        if y is None:
            raise DataError("RNNClassifier requires y to be passed, but the target y is None: pass a label a row of X")
        if isinstance(y, list | tuple) and any(isinstance(label, str) for label in y):
            check_no_missing(y)  # before NumPy makes text of None and NaN
        y = column_or_1d(y, warn=True)
        if y.dtype.kind in "OU":
            check_no_missing(y.tolist())
            y = composed_labels(y)
        if y.dtype == object and not any(isinstance(label, str) for label in y.tolist()):
            y = np.array(y.tolist())  # of Python's numbers
        if y.dtype == object and len({isinstance(label, str) for label in y.tolist()}) > 1:
            raise DataError("y holds text and other labels; make them of one kind: y.astype(str)")
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if fresh:
            self.classes_ = np.unique(y if classes is None else composed_labels(column_or_1d(classes)))
        unseen = sorted(set(y.tolist()) - set(self.classes_.tolist()), key=lambda label: natural_key(str(label)))
        if unseen:
            raise DataError(
                f"y holds {', '.join(map(repr, unseen[:5]))}, which is none of the classes {self.classes_.tolist()}; "
                "leave these rows out, or begin anew: fit with warm_start=False, or partial_fit(X, y, classes=[...]) "
                "of a fresh estimator"
            )
        return np.asarray(np.searchsorted(self.classes_, y))

    def _balanced(self, targets: Array, weights: Array) -> Array:
        if self.class_weight is None:
            return weights
        return weights * compute_sample_weight(self.class_weight, self.classes_[targets])  # type: ignore[no-any-return]

    def _with_targets(self, plain: Preprocessing, targets: Array, weights: Array) -> Preprocessing:
        if len(self.classes_) < 2:
            raise DataError(f"y holds one class, {self.classes_.tolist()[0]!r}; expected at least two classes")
        return replace(plain, classes=tuple(map(str, self.classes_.tolist())))

    def _loss(self, plan: Fit) -> LossFunction:
        return cross_entropy(plan.label_smoothing)

    def _metrics(self) -> Any:
        return {"accuracy": accuracy}

    def _strata(self, targets: Array, fraction: float) -> Array | None:
        """Each class in both parts, where there are rows enough."""
        counts = np.bincount(targets)
        rows = len(targets) * min(fraction, 1 - fraction)
        return targets if counts[counts > 0].min() > 1 and rows >= len(counts) else None
