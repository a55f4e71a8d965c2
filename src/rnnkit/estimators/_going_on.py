"""What the estimators share whose `fit` can continue from where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..errors import ConfigError
from ..training.history import History


class GoesOn:
    """Base of estimators that train several times.

    Attributes:
        history_: figures of each epoch that the weights have been through; n_iter_: their number.
    """

    random_state: Any
    history_: History
    n_iter_: int
    _random: np.random.RandomState

    def _seed(self, fresh: bool) -> int:
        """The seed of a training: a number given as random_state itself, as the recipes take it, then draws from it."""
        if fresh:
            self._random = check_random_state(self.random_state)
            if isinstance(self.random_state, Integral):
                return int(self.random_state)
        return int(self._random.randint(2**31 - 1))

    def _record(self, history: History, fresh: bool) -> None:
        """Keep the history of a training; unless it was `fresh`, behind those before it."""
        if fresh:
            self.history_ = history
        else:
            self.history_.extend(history)
        self.n_iter_ = len(self.history_.rows)


def check_unchanged(changed: Sequence[str]) -> None:
    """Raise ConfigError where parameters of the network have changed since the first fit."""
    if changed:
        raise ConfigError(
            f"{', '.join(changed)} changed since the first fit, whose network goes on; put the old value back, or set "
            "warm_start=False and fit anew"
        )
