"""Metrics by name or object, fed in large pieces: collecting a batch costs less than a microsecond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ConfigError, suggest

if TYPE_CHECKING:
    from torchmetrics import Metric

    MetricLike = str | Metric | Callable[[Tensor, Tensor], Any]

NAMED = ("accuracy", "mse", "rmse", "mae")

# Outputs wait until they hold this many numbers (16 MB of float32), then the metrics get them at once.
_WAITING = 1 << 22


class Metrics:
    """The metrics of a learner: `add` every batch, `compute` at the end of an epoch.

    Args:
        chosen: names (see `NAMED`), torchmetrics objects, callables (output, target) -> number: one of them,
            several, or a mapping from the name that each shall have. Names and torchmetrics objects are summed over
            all processes under torchrun; a callable gets all outputs of an epoch, and of its process, in one call.
        logits: whether the outputs for a binary target are logits rather than probabilities.
    """

    def __init__(
        self, chosen: MetricLike | Iterable[MetricLike] | Mapping[str, MetricLike], *, logits: bool = False
    ) -> None:
        self._metrics = {name: _resolve(metric, logits) for name, metric in _by_name(chosen).items()}
        self.reset()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._metrics)

    def higher_is_better(self, name: str) -> bool | None:
        """Whether more of it is better; None where the metric does not tell."""
        return getattr(self._metrics[name], "higher_is_better", None)

    def reset(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._waiting = 0
        for metric in self._metrics.values():
            metric.reset()

    def add(self, output: Tensor, targets: Tensor) -> None:
        if not self._metrics:
            return
        self._outputs.append(output.detach())
        self._targets.append(targets)
        self._waiting += output.numel()
        if self._waiting >= _WAITING:
            self._flush()

    def compute(self) -> dict[str, float]:
        """Returns the metrics of all batches since the last reset, and resets."""
        self._flush()
        values = {name: _number(name, metric.compute()) for name, metric in self._metrics.items()}
        self.reset()
        return values

    def peek(self) -> dict[str, float]:
        """Returns the metrics so far where that is cheap: not those of callables, none that other processes share."""
        if torch.distributed.is_initialized():
            return {}
        self._flush()
        cheap = {name: metric for name, metric in self._metrics.items() if not isinstance(metric, _WholeEpoch)}
        return {name: _number(name, metric.compute()) for name, metric in cheap.items()}

    @torch.no_grad()
    def _flush(self) -> None:
        if not self._outputs:
            return
        output, targets = torch.cat(self._outputs), torch.cat(self._targets)
        self._outputs, self._targets, self._waiting = [], [], 0
        if output.dtype in (torch.float16, torch.bfloat16):
            output = output.float()  # half precision cannot count
        for metric in self._metrics.values():
            metric.to(output.device)
            metric.update(output, targets)


class _WholeEpoch:
    """A callable (output, target) -> number with a metric's face."""

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        self.function = function
        self.higher_is_better = getattr(function, "higher_is_better", None)
        self.reset()

    def reset(self) -> None:
        self.pieces: list[tuple[Tensor, Tensor]] = []

    def to(self, device: torch.device) -> None:
        pass

    def update(self, output: Tensor, targets: Tensor) -> None:
        self.pieces.append((output, targets))

    def compute(self) -> Any:
        outputs, targets = zip(*self.pieces, strict=True)
        return self.function(torch.cat(outputs), torch.cat(targets))


def _by_name(chosen: Any) -> dict[str, Any]:
    if isinstance(chosen, Mapping):
        return dict(chosen)
    several = [chosen] if isinstance(chosen, str) or callable(chosen) else list(chosen)
    named: dict[str, Any] = {}
    for metric in several:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if name in named:
            raise ConfigError(f"two metrics are called {name!r}; tell them apart: metrics={{'some name': metric, ...}}")
        named[name] = metric
    return named


def _resolve(metric: Any, logits: bool) -> Any:
    # Imported when a learner is made: the half second this takes is no part of its first epoch.
    import torchmetrics

    if isinstance(metric, torchmetrics.Metric):
        return metric
    if callable(metric):
        return _WholeEpoch(metric)
    if metric == "mse":
        return torchmetrics.MeanSquaredError()
    if metric == "rmse":
        return torchmetrics.MeanSquaredError(squared=False)
    if metric == "mae":
        return torchmetrics.MeanAbsoluteError()
    if metric != "accuracy":
        raise ConfigError(f"unknown metric {metric!r}{suggest(str(metric), NAMED)}")

    class Accuracy(torchmetrics.MeanMetric):  # type: ignore[misc]
        """The share of hits; unlike torchmetrics' own it need not be told the number of classes."""

        higher_is_better = True

        def update(self, output: Tensor, targets: Tensor) -> None:
            if targets.is_floating_point():
                hits = (output > (0.0 if logits else 0.5)) == (targets > 0.5)
            else:
                hits = output.argmax(-1) == targets
            super().update(hits.float())

    return Accuracy()


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"metric {name!r} gave {value!r}; expected one number (average it, say)") from None
