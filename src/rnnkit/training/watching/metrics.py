"""Metrics by name or object, fed in large pieces: collecting a batch costs less than a microsecond."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, suggest
from ..execution import several_processes

MetricLike = str | Callable[..., Any]  # torchmetrics' objects are callable too

# Outputs wait until they hold this many numbers (16 MB of float32), then the metrics get them at once.
_WAITING = 1 << 22
# What a row of the history has beside the metrics.
_COLUMNS = frozenset({"epoch", "loss", "lr", "samples_per_second", "seconds"})


class Metrics:
    """The metrics of a learner: `add` every batch, `compute` at the end of an epoch.

    Args:
        chosen: names (see `named_metrics.NAMED`), torchmetrics objects, callables (output, target) -> number: one,
            several, or a mapping from the name that each shall have. Names and torchmetrics objects are summed over
            all processes under torchrun; a callable gets all outputs of an epoch, and of its process, in one call.
        logits: whether the outputs for binary targets are logits rather than probabilities.
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
        if several_processes():
            return {}
        self._flush()
        cheap = {name: metric for name, metric in self._metrics.items() if not isinstance(metric, _WholeEpoch)}
        return {name: _number(name, metric.compute()) for name, metric in cheap.items()}

    @property
    def can_pause(self) -> bool:
        """Whether the figures of a part of an epoch can be stored: not those of an object that says nothing of them."""
        return all(_parts(metric) or isinstance(metric, _WholeEpoch) for metric in self._metrics.values())

    def state_dict(self) -> dict[str, Any]:
        """What was collected since the last reset; what waits stays so, for the sums to be the same to the last bit."""
        waiting = [torch.cat(self._outputs), torch.cat(self._targets)] if self._outputs else []
        kept: dict[str, Any] = {}
        for name, metric in self._metrics.items():
            if isinstance(metric, _WholeEpoch):
                kept[name] = metric.pieces
            else:
                kept[name] = [
                    {"updates": part._update_count, "values": {key: getattr(part, key) for key in part._defaults}}
                    for part in _parts(metric)
                ]
        return {"waiting": waiting, "metrics": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reset()
        if state["waiting"]:
            output, targets = state["waiting"]
            self._outputs, self._targets, self._waiting = [output], [targets], output.numel()
        for name, metric in self._metrics.items():
            kept = state["metrics"][name]
            if isinstance(metric, _WholeEpoch):
                metric.pieces = kept
                continue
            for part, values in zip(_parts(metric), kept, strict=True):
                part._update_count = values["updates"]
                vars(part).update(values["values"])

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


def _parts(metric: Any) -> list[Any]:
    """A torchmetrics object and those within it, each with its sums in attributes that `_defaults` names."""
    parts = metric.modules() if isinstance(metric, torch.nn.Module) else ()
    return [part for part in parts if hasattr(part, "_defaults")]


def _by_name(chosen: Any) -> dict[str, Any]:
    named = dict(chosen) if isinstance(chosen, Mapping) else _named(chosen)
    if taken := [name for name in named if name in _COLUMNS or name.startswith("val_")]:
        raise ConfigError(
            f"a metric is called {taken[0]!r}, as a column of the history is; pass it by another name: "
            "metrics={'some name': metric}"
        )
    return named


def _named(chosen: Any) -> dict[str, Any]:
    several = [chosen] if isinstance(chosen, str) or callable(chosen) else list(chosen)
    named: dict[str, Any] = {}
    for metric in several:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)
        if name in named:
            raise ConfigError(f"two metrics are called {name!r}; tell them apart: metrics={{'some name': metric, ...}}")
        named[name] = metric
    return named


def _resolve(metric: Any, logits: bool) -> Any:
    if all(hasattr(metric, name) for name in ("update", "compute", "reset")):
        return metric
    if callable(metric):
        return _WholeEpoch(metric)
    from .named_metrics import NAMED  # here, since torchmetrics takes half a second to import

    if metric not in NAMED:
        raise ConfigError(f"unknown metric {metric!r}{suggest(str(metric), tuple(NAMED))}")
    return NAMED[metric](logits)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"metric {name!r} gave {value!r}; expected one number (average it, say)") from None
