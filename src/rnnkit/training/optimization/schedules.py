"""Learning-rate schedules: factors on the rates of an optimizer, step by step.

A schedule is any callable (step from 0, total steps) -> factor. The schedules of this file are frozen settings with
such a call. A name in `Learner.fit(schedule=...)` means the schedule with its defaults (`SCHEDULES`). Each group of
parameters has its own rate η_g: at a step it learns with η_g times the factor.

Legend: s the step from 0, S the number of steps of the run, f(s) the factor.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch.optim.lr_scheduler import LRScheduler

from ...errors import ConfigError, check_choice, check_whole, suggest
from ..signatures import parameters_of, takes

Schedule = Callable[[int, int], float]


def _check_shares(schedule: Any, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if not (isinstance(value, int | float) and 0 <= value <= 1):
            raise ConfigError(f"{type(schedule).__name__}({name}={value!r}) arrived; expected a share from 0 to 1")


def _check_at_least(schedule: Any, least: float, *names: str) -> None:
    for name in names:
        value = getattr(schedule, name)
        if not (isinstance(value, int | float) and least <= value < math.inf):
            raise ConfigError(f"{type(schedule).__name__}({name}={value!r}) arrived; expected at least {least}")


def _rise(step: int, total: int, warmup: float) -> tuple[int, float | None]:
    """The number of steps of the warm-up, and the factor (s + 1) / steps within it."""
    steps = max(1, round(total * warmup)) if warmup else 0
    return steps, (step + 1) / steps if step < steps else None


@dataclass(frozen=True)
class Constant:
    """f(s) = 1, after a straight rise over the share `warmup` of the steps: f(s) = (s + 1) / W, W = warmup · S.

    Goyal et al. 2017 for the rise: it keeps Adam's first steps small, while its averages are of a few batches.

    Args:
        warmup: the share of the steps that rise.

    Example:
        >>> [Constant(warmup=0.4)(step, 5) for step in range(5)]
        [0.5, 1.0, 1.0, 1.0, 1.0]
    """

    warmup: float = 0.0

    def __post_init__(self) -> None:
        _check_shares(self, "warmup")

    @property
    def needs_total(self) -> bool:
        return self.warmup > 0

    def __call__(self, step: int, total: int) -> float:
        factor = _rise(step, total, self.warmup)[1]
        return 1.0 if factor is None else factor


@dataclass(frozen=True)
class Cosine:
    """f(s) = end + (1 − end)(1 + cos(π (s − W) / (S − W))) / 2 after a rise (s + 1) / W over W = warmup · S steps.

    Loshchilov & Hutter 2017, without restarts. It reaches `end` after the last step.

    Args:
        warmup: the share of the steps that rise.
        end: the factor at the end.

    Example:
        >>> [round(Cosine()(step, 4), 3) for step in range(5)]
        [1.0, 0.854, 0.5, 0.146, 0.0]
        >>> [round(Cosine(warmup=0.1)(step, 20), 3) for step in (0, 1, 2, 11, 20)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """

    warmup: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _check_shares(self, "warmup", "end")

    def __call__(self, step: int, total: int) -> float:
        rise, factor = _rise(step, total, self.warmup)
        if factor is not None:
            return factor
        done = (step - rise) / max(1, total - rise)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class OneCycle:
    """One rise to the highest rate and one fall to nearly 0, while momentum falls and rises.

    From `1 / start_divisor` at s = 0 to 1 at s = warmup · S − 1, then to `1 / (start_divisor · end_divisor)` at the
    last step; each way along half a cosine or a straight line. Momentum (`momentum` of SGD and RMSprop where it is
    not 0, β₁ of Adam's family) goes the other way, from the higher to the lower value and back.

    Smith 2018 ("super-convergence") has straight lines and a short third phase. The two cosine phases and the divisors
    are those of PyTorch's `OneCycleLR`. Rates and momenta equal PyTorch's up to rounding, except that a warm-up of less
    than one step starts at the top. As there, β₁ takes the place of momentum, and Adam's bias correction uses the β₁ of
    the current step.

    Args:
        peak: the highest learning rate (of the first group of parameters; the others keep their ratio to it). None:
            the learner's own `lr` is the highest.
        warmup: the share of the steps that rise.
        start_divisor, end_divisor: the factors at the start and at the end, see above.
        momentum: (lowest, highest); None leaves it unchanged.
        shape: "cosine" or "linear".

    Example:
        >>> [round(OneCycle(start_divisor=10)(step, 10), 4) for step in (0, 1, 2, 6, 9)]
        [0.1, 0.55, 1.0, 0.3887, 0.0]
    """

    peak: float | None = None
    warmup: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4
    momentum: tuple[float, float] | None = (0.85, 0.95)
    shape: str = "cosine"

    def __post_init__(self) -> None:
        _check_shares(self, "warmup")
        _check_at_least(self, 1.0, "start_divisor", "end_divisor")
        if self.peak is not None and not 0 < self.peak < math.inf:
            raise ConfigError(f"OneCycle(peak={self.peak!r}) arrived; expected a learning rate above 0")
        if self.shape not in ("cosine", "linear"):
            raise ConfigError(f"OneCycle(shape={self.shape!r}) arrived{suggest(self.shape, ('cosine', 'linear'))}")
        if self.momentum is not None and not 0 <= self.momentum[0] <= self.momentum[1] < 1:
            raise ConfigError(f"OneCycle(momentum={self.momentum!r}) arrived; expected (lowest, highest) in [0, 1)")

    def __call__(self, step: int, total: int) -> float:
        start = 1 / self.start_divisor
        return self._cycle(step, total, start, 1.0, start / self.end_divisor)

    def momentum_at(self, step: int, total: int) -> float | None:
        """The momentum, or β₁, of a step."""
        if self.momentum is None:
            return None
        low, high = self.momentum
        return self._cycle(step, total, high, low, high)

    def _cycle(self, step: int, total: int, start: float, top: float, end: float) -> float:
        turn, last = self.warmup * total - 1, total - 1
        if step <= turn:
            return self._between(start, top, step / turn if turn > 0 else 1.0)
        turn = max(turn, 0.0)
        return self._between(top, end, (step - turn) / (last - turn) if last > turn else 1.0)

    def _between(self, start: float, end: float, share: float) -> float:
        share = min(share, 1.0)
        return start + (end - start) * (share if self.shape == "linear" else (1 - math.cos(math.pi * share)) / 2)


@dataclass(frozen=True)
class SlantedTriangular:
    """f(s) = (1 + p (ratio − 1)) / ratio: a short straight rise and a long straight fall, for fine-tuning.

    cut = ⌊S · cut_share⌋;  p = s / cut for s < cut, else 1 − (s − cut) / (S − cut)

    Howard & Ruder 2018 (ULMFiT), equation 3. Variant: they write cut (1 / cut_share − 1) for S − cut. The two differ
    where S · cut_share is not a whole number; theirs then falls below 1 / ratio at the end. A cut of 0 is 1 here.

    Args:
        cut_share: the share of the steps that rise (their cut_frac).
        ratio: the highest rate over the lowest.

    Example:
        >>> [round(SlantedTriangular(cut_share=0.2, ratio=4)(step, 10), 3) for step in (0, 1, 2, 6, 10)]
        [0.25, 0.625, 1.0, 0.625, 0.25]
    """

    cut_share: float = 0.1
    ratio: float = 32.0

    def __post_init__(self) -> None:
        _check_shares(self, "cut_share")
        _check_at_least(self, 1.0, "ratio")

    def __call__(self, step: int, total: int) -> float:
        cut = max(1, math.floor(total * self.cut_share))
        p = step / cut if step < cut else 1 - (step - cut) / max(1, total - cut)
        return (1 + p * (self.ratio - 1)) / self.ratio


@dataclass
class Plateau:
    """f is multiplied by `factor` each time the monitored figure has not improved for `patience` epochs in a row.

    An epoch improves if its figure is better than the best so far by more than the share `threshold` of the best.
    `fit(monitor=...)` names the figure, "val_loss" by default; without validation it must be named. Equal to PyTorch's
    `ReduceLROnPlateau(patience=n - 1)`: this schedule acts at the n-th epoch without improvement, as `early_stopping`
    does, PyTorch's after it. An epoch whose figure is NaN or infinite does not count.

    Args:
        factor: the multiplier, in (0, 1).
        patience: the number of epochs without improvement, at least 1.
        threshold: the share by which an epoch must be better.
        cooldown: the number of epochs after a fall that do not count.
        lowest: the lowest value of f.

    Example:
        >>> schedule = Plateau(factor=0.5, patience=2)
        >>> for loss in (1.0, 0.8, 0.9, 0.85, 0.81):
        ...     schedule.epoch(loss, higher_is_better=False)
        >>> schedule(0, 0)
        0.5
    """

    factor: float = 0.1
    patience: int = 5
    threshold: float = 1e-4
    cooldown: int = 0
    lowest: float = 0.0
    needs_total: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_shares(self, "threshold", "lowest")
        if not 0 < self.factor < 1:
            raise ConfigError(f"Plateau(factor={self.factor!r}) arrived; expected a number between 0 and 1")
        check_whole(self.patience, "patience")
        check_whole(self.cooldown, "cooldown", least=0)
        # State, not settings: so no fields.
        self.now, self.best, self.waited, self.cooling = 1.0, math.nan, 0, 0

    def __call__(self, step: int, total: int) -> float:
        return self.now

    def epoch(self, figure: float, *, higher_is_better: bool) -> None:
        """Record an epoch's figure; NaN and infinity change nothing."""
        if not math.isfinite(figure):
            return
        margin = abs(self.best) * self.threshold
        better = figure > self.best + margin if higher_is_better else figure < self.best - margin
        if better or math.isnan(self.best):
            self.best, self.waited = figure, 0
        else:
            self.waited += 1
        if self.cooling:
            self.cooling, self.waited = self.cooling - 1, 0
        if self.waited >= self.patience:
            self.now = max(self.lowest, self.now * self.factor)
            self.waited, self.cooling = 0, self.cooldown

    def state_dict(self) -> dict[str, Any]:
        best = None if math.isnan(self.best) else self.best  # JSON knows no NaN
        return {"now": self.now, "best": best, "waited": self.waited, "cooling": self.cooling}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.now, self.waited, self.cooling = state["now"], state["waited"], state["cooling"]
        self.best = math.nan if state["best"] is None else state["best"]


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "warmup_constant": lambda: Constant(warmup=0.1),
    "cosine": Cosine,
    "warmup_cosine": lambda: Cosine(warmup=0.1),
    "one_cycle": OneCycle,
    "slanted_triangular": SlantedTriangular,
    "plateau": Plateau,
}


# PyTorch's schedulers, and what takes their place. Theirs count what calls them, these count steps of the run.
_OF_TORCH = {
    "StepLR": "schedule=lambda step, total: 0.1 ** (3 * step // total) for a tenth at each third of the run",
    "MultiStepLR": "schedule=lambda step, total: 0.1 ** (3 * step // total) for a tenth at each third of the run",
    "ExponentialLR": "schedule=lambda step, total: 0.01 ** (step / total) for a hundredth at the end",
    "PolynomialLR": "schedule=lambda step, total: 1 - step / total",
    "LambdaLR": "schedule=function with your function as (step, total) -> factor",
    "MultiplicativeLR": "schedule=function with your function as (step, total) -> factor",
    "ConstantLR": "schedule='constant'",
    "LinearLR": "schedule=rnnkit.training.Constant(warmup=0.1) for a straight rise",
    "CosineAnnealingLR": "schedule='cosine', or with settings rnnkit.training.Cosine(end=0.01)",
    "CosineAnnealingWarmRestarts": "schedule='cosine', which has one period",
    "OneCycleLR": "schedule='one_cycle', or with settings rnnkit.training.OneCycle(peak=3e-3)",
    "CyclicLR": "schedule='one_cycle', which has one cycle",
    "ReduceLROnPlateau": "schedule='plateau', or with settings rnnkit.training.Plateau(factor=0.1, patience=5)",
}


def _torch_problem(schedule: Any) -> ConfigError | None:
    """The error about a scheduler of PyTorch's, a class or an object or its name; None for anything else."""
    made = schedule.func if isinstance(schedule, functools.partial) else schedule
    if isinstance(made, str):
        kinds = [made] if made in _OF_TORCH else []
    else:
        own = made if isinstance(made, type) else type(made)
        kinds = [one.__name__ for one in own.__mro__] if issubclass(own, LRScheduler) else []
    if not kinds:
        return None
    advice = next((_OF_TORCH[kind] for kind in kinds if kind in _OF_TORCH), None)
    if advice is None:
        advice = f"one of {', '.join(map(repr, SCHEDULES))}"
    return ConfigError(
        f"PyTorch's {kinds[0]} arrived as schedule; expected a schedule of rnnkit's, or a callable (step from 0, total "
        "steps) -> factor on the rates",
        remedy=f"type {advice}",
    )


def resolve_schedule(schedule: str | Schedule | None) -> Schedule | None:
    """Return the schedule of that name; a callable (step, total steps) -> factor is returned unchanged.

    A schedule with a state, such as `Plateau`, is copied, so that a run does not depend on an earlier one.

    Raises:
        ConfigError: no such name, a class, one of PyTorch's schedulers, or a callable that takes other arguments.
    """
    if (problem := _torch_problem(schedule)) is not None:
        raise problem
    if isinstance(schedule, type):
        raise ConfigError(f"the class {schedule.__name__} arrived as schedule; expected {schedule.__name__}()")
    if schedule is not None and callable(schedule) and not takes(schedule, 2):
        name = getattr(schedule, "__name__", type(schedule).__name__)
        raise ConfigError(
            f"schedule={name} takes {parameters_of(schedule)}; expected a callable (step from 0, total steps) -> factor"
        )
    if schedule is None or callable(schedule):
        return copy.deepcopy(schedule) if hasattr(schedule, "epoch") else schedule
    check_choice(schedule, "schedule", tuple(SCHEDULES))
    return SCHEDULES[schedule]()
