"""Metrics by name or object, fed in large pieces: collecting a batch costs less than a microsecond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import ConfigError
from ..distribution.group import from_all_processes, several_processes
from ..signatures import parameters_of, takes
from .metric_states import load_states, parts_of, states_of, to_exchange_device

MetricLike = str | Callable[..., Any]  # torchmetrics' objects are callable too

# Outputs wait until they hold this many numbers (16 MB of float32); then the metrics get them in one call.
_WAITING = 1 << 22
# Columns of the history that are no metrics.
_COLUMNS = frozenset({"epoch", "loss", "lr", "samples_per_second", "seconds"})


class Accumulator(Protocol):
    """One metric: fed with outputs and targets, asked for its figure at the end of an epoch.

    Attributes:
        higher_is_better: None where the metric does not say.
        can_pause: whether `state` holds all that was collected.
        cheap: whether `compute` may be called many times in an epoch.
    """

    higher_is_better: bool | None
    can_pause: bool

    @property
    def cheap(self) -> bool: ...

    def reset(self) -> None: ...

    def update(self, output: Tensor, targets: Tensor) -> None: ...

    def compute(self) -> Any: ...

    def state(self) -> Any: ...

    def load(self, state: Any) -> None: ...


class Metrics:
    """The metrics of a learner: `add` every batch, `compute` at the end of an epoch.

    Args:
        chosen: names (see :mod:`.named_metrics`), torchmetrics objects, functions (output, target) -> number: one,
            several, or a mapping from the name of the column to the metric. Names and torchmetrics objects are summed
            over all processes under torchrun; a function gets all outputs of an epoch, those of all processes, in one
            call.
        logits: whether the outputs for binary targets are logits. Otherwise they are probabilities.

    Raises:
        ConfigError: an unknown name, a class in the place of an object, two metrics of one name.
    """

    def __init__(
        self, chosen: MetricLike | Iterable[MetricLike] | Mapping[str, MetricLike], *, logits: bool = False
    ) -> None:
        named = _by_name(chosen)
        self._metrics = {name: _resolve(metric, logits) for name, metric in named.items()}
        self._untried = [partial(_resolve, metric, logits) for metric in named.values() if isinstance(metric, str)]
        self.reset()

    def __repr__(self) -> str:
        return f"Metrics({', '.join(self.names) or 'none'})"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._metrics)

    def higher_is_better(self, name: str) -> bool | None:
        """Whether a larger figure is better; None where the metric does not say."""
        return self._metrics[name].higher_is_better

    def reset(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._waiting = 0
        for metric in self._metrics.values():
            metric.reset()

    def add(self, output: Tensor, targets: Tensor) -> None:
        if not self._metrics:
            return
        while self._untried:  # a metric that does not fit says so at the first batch, not at the end of an epoch
            with torch.no_grad():
                self._untried.pop()().update(_single(output.detach()), targets)
        self._outputs.append(output.detach())
        self._targets.append(targets)
        self._waiting += output.numel()
        if self._waiting >= _WAITING:
            self._flush()

    def compute(self) -> dict[str, float]:
        """Return the metrics of all batches since the last reset, and resets."""
        self._flush()
        values = {name: _number(name, metric.compute()) for name, metric in self._metrics.items()}
        self.reset()
        return values

    def peek(self) -> dict[str, float]:
        """Return the metrics so far where that is cheap; none where other processes have a part of them."""
        if several_processes():
            return {}
        self._flush()
        return {name: _number(name, metric.compute()) for name, metric in self._metrics.items() if metric.cheap}

    @property
    def can_pause(self) -> bool:
        """Whether a part of an epoch can be stored: not with an object whose sums are unknown."""
        return all(metric.can_pause for metric in self._metrics.values())

    def state_dict(self) -> dict[str, Any]:
        """What was collected since the last reset; outputs that wait are kept apart, so that sums stay bit-equal."""
        waiting = [torch.cat(self._outputs), torch.cat(self._targets)] if self._outputs else []
        return {"waiting": waiting, "metrics": {name: metric.state() for name, metric in self._metrics.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if state["waiting"]:
            output, targets = state["waiting"]
            self._outputs, self._targets, self._waiting = [output], [targets], output.numel()
        for name, metric in self._metrics.items():
            metric.load(state["metrics"][name])

    @torch.no_grad()
    def _flush(self) -> None:
        if not self._outputs:
            return
        output, targets = torch.cat(self._outputs), torch.cat(self._targets)
        self._outputs, self._targets, self._waiting = [], [], 0
        output = _single(output)
        for metric in self._metrics.values():
            metric.update(output, targets)


def _single(output: Tensor) -> Tensor:
    """Half precision as float32: it cannot count."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output


class _WholeEpoch:
    """A function (output, target) -> number, which is called with a whole epoch, that of all processes."""

    can_pause, cheap = True, False

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        self.function = function
        self.higher_is_better: bool | None = getattr(function, "higher_is_better", None)
        self.reset()

    def reset(self) -> None:
        self.pieces: list[tuple[Tensor, Tensor]] = []

    def update(self, output: Tensor, targets: Tensor) -> None:
        self.pieces.append((output, targets))

    def compute(self) -> Any:
        pieces = self.pieces
        if several_processes():
            pieces = [piece for of_one in from_all_processes(pieces) for piece in of_one]
        if not pieces:  # no process had rows
            return float("nan")
        outputs, targets = zip(*pieces, strict=True)
        return self.function(torch.cat(outputs), torch.cat(targets))

    def state(self) -> Any:
        return self.pieces

    def load(self, state: Any) -> None:
        self.pieces = state


class _Object:
    """A torchmetrics object, or another one with `update`, `compute`, `reset` and `to`.

    Args:
        metric: the object.
        fitted: checks outputs and targets, and returns them as the object takes them; None: they stay as they are.
    """

    cheap = True

    def __init__(self, metric: Any, fitted: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None) -> None:
        self.metric, self.fitted = metric, fitted
        self.higher_is_better: bool | None = getattr(metric, "higher_is_better", None)
        self.can_pause = bool(parts_of(metric))

    def reset(self) -> None:
        self.metric.reset()

    def update(self, output: Tensor, targets: Tensor) -> None:
        self.metric.to(output.device)
        if self.fitted is not None:
            output, targets = self.fitted(output, targets)
        self.metric.update(output, targets)

    def compute(self) -> Any:
        to_exchange_device(self.metric)  # of a process without rows it may be elsewhere
        return self.metric.compute()

    def state(self) -> Any:
        return states_of(self.metric)

    def load(self, state: Any) -> None:
        load_states(self.metric, state)


def _by_name(chosen: Any) -> dict[str, Any]:
    named = dict(chosen) if isinstance(chosen, Mapping) else _named(chosen)
    if taken := [name for name in named if name in _COLUMNS or name.startswith("val_")]:
        raise ConfigError(
            f"a metric is named {taken[0]!r}, which is a column of the history; pass it under another name: "
            "metrics={'some name': metric}"
        )
    return named


def _named(chosen: Any) -> dict[str, Any]:
    one = isinstance(chosen, str) or callable(chosen) or not isinstance(chosen, Iterable)
    named: dict[str, Any] = {}
    for metric in [chosen] if one else list(chosen):
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if name in named:
            raise ConfigError(f"two metrics are named {name!r}; name them apart: metrics={{'some name': metric, ...}}")
        named[name] = metric
    return named


def _resolve(metric: Any, logits: bool) -> Accumulator:
    if isinstance(metric, type):
        raise ConfigError(
            f"the class {metric.__name__} arrived as a metric; expected an object: {metric.__name__}(...)"
        )
    if all(hasattr(metric, name) for name in ("update", "compute", "reset")):
        return _Object(metric)
    if callable(metric):
        if not takes(metric, 2):
            name = getattr(metric, "__name__", type(metric).__name__)
            raise ConfigError(f"the metric {name} takes {parameters_of(metric)}; expected (output, target) -> number")
        return _WholeEpoch(metric)
    from .named_metrics import NamedMetric  # here, since torchmetrics takes half a second to import
    from .simple_metrics import AT_ONCE, fitted_pairs

    if not isinstance(metric, str):
        raise ConfigError(
            f"{metric!r} arrived as a metric; expected a name such as 'f1', a torchmetrics object or a function "
            "(output, target) -> number"
        )
    if metric in AT_ONCE:
        return _Object(AT_ONCE[metric](logits), partial(fitted_pairs, metric))
    return NamedMetric(metric, logits=logits)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"metric {name!r} gave {value!r}; expected one number, such as an average") from None
