"""Regression on series, with scikit-learn's interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array

from ..data.preprocessing import Preprocessing
from ..errors import DataError
from ..ops.losses import LossFunction
from ..tasks.regression import Regression
from ..tasks.settings import Fit
from ..tasks.task import Task
from ._base import FIT, RecurrentEstimator
from ._targets import Array, error

_LARGEST = 1e150  # float64 holds its square, which the spread is made of


@dataclass(kw_only=True, repr=False, eq=False)
class RNNRegressor(RegressorMixin, RecurrentEstimator):  # type: ignore[misc]
    """Predict numbers of series with a recurrent network: ``rnnkit train regress`` in scikit-learn's interface.

        ŷ = σ_y (W pool(h_1 … h_T) + b) + μ_y,  h = recurrence(front(x)),  μ_y and σ_y of the training targets

    The network and its training are the one default recipe for series (`rnnkit.tasks.series`): with the same data and
    seed `RNNRegressor(random_state=0)` has the weights of `rnnkit.tasks.series.regress(X, y, seed=0)`. X is [N, T]
    (a univariate series a row), [N, T, channels], or a list of N arrays [T_i] or [T_i, channels]; y is [N] numbers, or
    [N, K] of several. Legend: N rows, T time, H hidden, L layers.

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
        loss: of the scaled targets: "mse", "huber" (of width 1) or "l1".
        early_stopping: hold rows out, end after `n_iter_no_change` epochs in a row without a lower loss on them, and
            keep the best epoch's weights. Only in `fit`.
        validation_fraction: the share of rows that `early_stopping` holds out.
        n_iter_no_change: the number of epochs that `early_stopping` waits.
        warm_start: whether `fit` continues from where the last one ended, with its scaling.
        random_state: a number makes fit, weights and predictions a function of the data and it, bit for bit on the
            same machine and thread count; a RandomState gives each fit another seed; None draws one.
        device: "auto" (CUDA if there is one, else the CPU), "cpu", "cuda".
        verbose: whether progress is shown.
        settings: further settings of the recipe by name, such as {"steps": 1200, "kernel_sizes": (5, 15)}: fields of
            `rnnkit.tasks.settings.Model` and `Fit`.
        network: a function (features of a step, outputs) -> module, for your own network in place of the one that the
            settings above describe. To pickle the estimator, the module must be picklable.

    Attributes:
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
        >>> X = [rng.normal(1, 1, size=(steps, 2)) for steps in rng.integers(10, 20, size=40)]
        >>> y = np.array([[row[:, 0].mean(), row[-1, 1]] for row in X])
        >>> model = rnnkit.RNNRegressor(hidden_size=16, epochs=20, random_state=0).fit(X, y)
        >>> model.predict(X[:3]).shape, model.score(X, y) > 0.5
        ((3, 2), True)
    """

    _task: ClassVar[Task] = Regression()

    loss: str = FIT.loss

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on a part of the data; the first call fits the scaling, and make the network.

        Args:
            X, y, sample_weight: as in `fit`.

        Raises:
            DataError, ConfigError: as in `fit`.
        """
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Array:
        """The numbers of each series in the unit of y, float64 [N] or [N, K] as y was."""
        outputs = self._outputs(X)
        numbers = self.preprocessing_.inverse_targets(outputs)
        return numbers.reshape(-1, *self._shape)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The coefficient of determination R²; see `sklearn.metrics.r2_score`.

        Args:
            X, y, sample_weight: as in `fit`.
        """
        return float(super().score(X, self._targets_of(X, y), sample_weight))

    def _encode(self, y: Any, fresh: bool, classes: Any) -> Array:
        if y is None:
            raise DataError("RNNRegressor requires y to be passed, but the target y is None: pass a number a row of X")
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y", estimator=self)
        if y.ndim > 2:
            raise DataError(f"y of shape {y.shape} arrived; expected (rows,) or (rows, numbers a row)")
        if (largest := np.abs(y).max(initial=0)) > _LARGEST:
            raise DataError(
                f"y holds numbers of up to {largest:g}; expected at most {_LARGEST:g}; give y in a larger unit"
            )
        if fresh:
            self._shape = y.shape[1:]
        elif y.shape[1:] != self._shape:
            raise DataError(f"y of shape {y.shape} arrived; expected {('rows', *self._shape)} as in the first fit")
        return y.reshape(len(y), -1)  # type: ignore[no-any-return]

    def _with_targets(self, plain: Preprocessing, targets: Array, weights: Array) -> Preprocessing:
        center = np.average(targets, 0, weights)
        spread = np.sqrt(np.average(np.square(targets - center), 0, weights))
        spread = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)  # a constant stays as it is
        return replace(plain, target_center=tuple(center.tolist()), target_spread=tuple(spread.tolist()))

    def _scaled(self, targets: Array) -> Array:
        center, spread = self.preprocessing_.target_center, self.preprocessing_.target_spread
        return (targets - np.array(center)) / np.array(spread)  # type: ignore[no-any-return]

    def _loss(self, plan: Fit) -> LossFunction:
        return error(plan.loss)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
