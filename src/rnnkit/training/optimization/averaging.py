"""Averages of the weights over a run, often better than the last weights.

`Learner.fit(average="ema")` and `average=EMA(decay=0.99)` train as without an average, but validate and end with the
average. A run calls `begin` once, `update` after each step, `epoch` with each row, `swapped` around what uses the
average, and `finish` at the end. Floating buffers (running means of a batch normalisation) are averaged like
parameters; integer buffers are not. Weights in half precision are averaged in float32.

Legend: θ_t the weights after step t, t from 1; s_t their average.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, check_choice, check_whole
from ..batching.arrays import HALF


class _Average:
    """Base of the averages: copies of the weights, and swapping them with the model's."""

    def begin(
        self,
        weights: torch.nn.Module | Iterable[Tensor],
        *,
        monitor: str = "val_loss",
        higher_is_better: bool = False,
    ) -> None:
        """Start an average of a model (its parameters and buffers), or of tensors that change in place.

        Args:
            weights: the model or the tensors.
            monitor: the column of the rows given to `epoch`, for an average that needs it.
            higher_is_better: whether a larger `monitor` is better.
        """
        if isinstance(weights, torch.nn.Module):
            weights = [*weights.parameters(), *weights.buffers()]
        self.weights = [weight.detach() for weight in weights if weight.is_floating_point()]
        self.average = [weight.float() if weight.dtype in HALF else weight.clone() for weight in self.weights]
        self._half = any(weight.dtype in HALF for weight in self.weights)
        self.steps, self.monitor, self.higher_is_better = 0, monitor, higher_is_better

    def update(self) -> None:
        """Add the weights after a step to the average."""
        raise NotImplementedError

    def epoch(self, row: dict[str, float]) -> None:
        """Record an epoch's figures."""

    @property
    def averaging(self) -> bool:
        """Whether there is an average other than the weights themselves."""
        return self.steps > 0

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Put the average into the model, and afterwards the weights back, bit by bit. Do not train inside."""
        if not self.averaging:
            yield
            return
        raw = [weight.clone() for weight in self.weights]
        self.finish()
        try:
            yield
        finally:
            torch._foreach_copy_(self.weights, raw)

    @torch.no_grad()
    def finish(self) -> None:
        """Put the average into the model for good."""
        if self.averaging:
            torch._foreach_copy_(self.weights, self.average)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: tensors and JSON values."""
        return {"steps": self.steps, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned; call `begin` first.

        Raises:
            DataError: the state is that of other weights.
        """
        average = state["average"]
        shapes = [[tuple(tensor.shape) for tensor in tensors] for tensors in (average, self.average)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"the averages of {len(average)} tensors arrived for {len(self.average)}, or their shapes differ; "
                "expected the state of a run of the same model"
            )
        torch._foreach_copy_(self.average, list(average))
        self.steps = state["steps"]

    @torch.no_grad()
    def _move(self, share: float) -> None:
        """average ← average + share · (weights − average)."""
        weights = self.weights
        if self._half:
            weights = [weight.float() if weight.dtype in HALF else weight for weight in weights]
        torch._foreach_lerp_(self.average, weights, share)


@dataclass
class EMA(_Average):
    """The exponential moving average  s_t = d_t s_{t−1} + (1 − d_t) θ_t,  s_0 = θ_0.

    With `warmup` d_t = min(decay, (1 + t) / (10 + t)), so that the initial weights soon count little: after t steps
    their weight is 10! (t + 1)! / (t + 10)!, 0.1% at t = 6. Without it d_t = decay. The average covers about
    1 / (1 − decay) steps: choose at most a tenth of the run's steps.

    Polyak & Juditsky 1992 for averaging; this form is the teacher of Tarvainen & Valpola 2017; the warm-up is
    TensorFlow's.

    Args:
        decay: d, in (0, 1).
        warmup: whether early steps use a smaller decay.

    Raises:
        ConfigError: a decay outside its range.

    Example:
        >>> weight = torch.zeros(1)
        >>> average = EMA(decay=0.5, warmup=False)
        >>> average.begin([weight])
        >>> for value in (8.0, 4.0):
        ...     _ = weight.fill_(value)
        ...     average.update()
        >>> with average.swapped():
        ...     weight.item()
        4.0
        >>> average.average[0].item(), weight.item()
        (4.0, 4.0)
    """

    decay: float = 0.999
    warmup: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise ConfigError(f"EMA(decay={self.decay!r}) arrived; expected a number between 0 and 1, such as 0.999")

    def update(self) -> None:
        self.steps += 1
        early = (1 + self.steps) / (10 + self.steps)
        self._move(1 - (min(self.decay, early) if self.warmup else self.decay))


@dataclass
class NTASGD(_Average):
    """The mean of all weights since the run stopped improving:  s_t = (θ_{T+1} + … + θ_t) / (t − T).

    The trigger T is the end of the first epoch whose monitored figure v is worse than the best figure up to n epochs
    before it:  v_e > min(v_1, …, v_{e−1−n}),  e > n + 1. Before T there is no average, and validation uses the weights
    themselves; after T it uses the average. An epoch whose figure is NaN or infinite does not count.

    Merity, Keskar & Socher 2018 ("Regularizing and optimizing LSTM language models", algorithm 1: non-monotonically
    triggered averaged SGD). They use SGD without momentum at a constant rate, for which the theory holds. Any optimizer
    and schedule works here, but with a falling rate the late weights move too little for a mean to help.

    Args:
        n: the number of epochs without a better figure, at least 1 (5 in the paper).

    Raises:
        ConfigError: n below 1.

    Example:
        >>> average = NTASGD(n=1)
        >>> average.begin([torch.zeros(1)])
        >>> for loss in (3.0, 2.0, 2.5):
        ...     average.epoch({"val_loss": loss})
        >>> average.triggered
        False
        >>> average.epoch({"val_loss": 2.6})
        >>> average.triggered
        True
    """

    n: int = 5

    def __post_init__(self) -> None:
        check_whole(self.n, "n")
        # State, not settings: so no fields.
        self.figures: list[float] = []
        self.triggered = False

    def update(self) -> None:
        if self.triggered:
            self.steps += 1
            self._move(1 / self.steps)

    def epoch(self, row: dict[str, float]) -> None:
        figure = -row[self.monitor] if self.higher_is_better else row[self.monitor]
        if not math.isfinite(figure):
            return
        earlier = self.figures[: -self.n]
        if earlier and figure > min(earlier):
            self.triggered = True
        self.figures.append(figure)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "figures": list(self.figures), "triggered": self.triggered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.figures = [
            figure for figure in state["figures"] if figure is not None
        ]  # earlier states have epochs of NaN
        self.triggered = state["triggered"]


Average = EMA | NTASGD
AVERAGES: dict[str, Callable[[], Average]] = {"ema": EMA, "nt-asgd": NTASGD}


def resolve_average(average: str | Average | None) -> Average | None:
    """Return the average of that name, or a copy of the one given, so that a run does not depend on an earlier one."""
    if isinstance(average, str):
        check_choice(average, "average", tuple(AVERAGES))
        return AVERAGES[average]()
    if average is not None and not isinstance(average, _Average):
        raise ConfigError(f"average={average!r} arrived; expected 'ema', 'nt-asgd', EMA(...), NTASGD(...) or None")
    return copy.deepcopy(average)
