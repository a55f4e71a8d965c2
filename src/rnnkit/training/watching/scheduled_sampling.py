"""Scheduled sampling: the decoder reads more and more of its own predictions."""

from __future__ import annotations

import math
from typing import Any, Literal

from ...errors import ConfigError, check_choice, check_number, check_whole
from .callbacks import Callback


class ScheduledSampling(Callback):
    """Raise the probability ε_i that a decoder reads its own prediction in place of the true label, over the steps i.

        linear    ε_i = most · min(i / steps, 1)
        sigmoid   ε_i = most · (1 − k / (k + exp(i / k))),  k such that ε is half of most at `steps` / 2

    Bengio et al. 2015 ("Scheduled sampling for sequence prediction with recurrent neural networks"); the second is
    their inverse sigmoid decay. For the objectives :class:`SequenceToSequence`, which says how the labels are drawn,
    and :class:`CTCAttention`. A resumed run goes on with the probability of its step.

    Args:
        most: the probability at the end.
        steps: the number of updates over which it rises.
        shape: see above.

    Raises:
        ConfigError: a setting out of range, or, when a run begins, another objective.

    Example:
        >>> schedule = ScheduledSampling(most=0.5, steps=100)
        >>> schedule.probability(0), schedule.probability(50), schedule.probability(1000)
        (0.0, 0.25, 0.5)
    """

    def __init__(self, most: float, steps: int, shape: Literal["linear", "sigmoid"] = "linear") -> None:
        check_number(most, "most")
        if most > 1:
            raise ConfigError.of("most", most, "expected a probability, 0 to 1")
        check_whole(steps, "steps")
        check_choice(shape, "shape", ("linear", "sigmoid"))
        self.most, self.steps, self.shape = most, steps, shape
        self._k = _k_for(steps / 2)
        self._objective: Any = None

    def probability(self, step: int) -> float:
        """Return ε of a step, counted from 0."""
        if self.shape == "linear":
            return self.most * min(step / self.steps, 1.0)
        return self.most * (1 - self._k / (self._k + math.exp(min(step / self._k, 700.0))))

    def on_fit_begin(self, learner: Any, run: Any) -> None:
        objective = run.forward.objective
        if not hasattr(objective, "sampling"):
            raise ConfigError(
                f"ScheduledSampling arrived with the objective {objective.name!r}; expected 'seq2seq' or "
                "'ctc_attention', whose models read the label before each step"
            )
        self._objective = objective
        objective.sampling = self.probability(run.position.step)

    def on_step_end(self, learner: Any, step: int) -> None:
        self._objective.sampling = self.probability(step + 1)

    def on_fit_end(self, learner: Any, history: Any) -> None:
        if self._objective is not None:
            self._objective.sampling = 0.0


def _k_for(half: float) -> float:
    """Return k with exp(half / k) = k: the middle of the inverse sigmoid."""
    low, high = 1.0 + 1e-9, max(math.e, half)
    for _ in range(100):
        k = (low + high) / 2
        low, high = (k, high) if half / k > math.log(k) else (low, k)
    return k
