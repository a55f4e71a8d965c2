"""Metrics by name.

`Learner(metrics=["accuracy", "f1", "auc"])` takes these names:

- classification: "accuracy", "top5_accuracy" (any number), "balanced_accuracy", "f1", "precision", "recall",
  "specificity", "auc" (area under the ROC curve), "average_precision", "cohen_kappa", "matthews", "jaccard",
  "calibration_error";
- numbers: "mse", "rmse", "mae", "r2", "mape", "smape", "pearson", "spearman", "explained_variance";
- each other class of `torchmetrics.classification` and `torchmetrics.regression` that needs no setting and gives one
  number, by its name in snake case: "hamming_distance", "kendall_rank_corr_coef".

A name may end in "_macro", "_micro" or "_weighted": the average over classes, as in scikit-learn. Without an ending,
two classes give the figure of the second class (label 1), and more classes give the macro average.

The number of classes is that of the model's outputs. Outputs [n, C] with integer labels [n] are C classes; outputs
[n] or [n, 1] are two classes; outputs [n, K] with targets [n, K] from 0 to 1 are K labels, each of them yes or no.
Metrics that need probabilities apply the softmax or the sigmoid to logits. A figure that the data does not define, such
as the AUC of one class, is NaN; "auc", "average_precision" and "balanced_accuracy" average over the classes that
define it.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ...errors import ConfigError
from ..distribution.group import from_all_processes, several_processes
from .metric_names import AVERAGES as AVERAGES
from .metric_names import OF_SCORES, SIZES, classes_of, parsed, regressions
from .metric_names import SHORT as SHORT
from .metric_names import known_names as known_names
from .metric_states import fill_from_processes, load_states, states_of, to_exchange_device
from .simple_metrics import not_of_classes, not_of_numbers

# These give one figure a class, which is averaged here over the classes that define it.
_PER_CLASS = frozenset({"auroc", "average_precision", "balanced_accuracy"})
# These compare the targets of a class with all others, so that there must be others.
_OF_BOTH = frozenset({"auroc", "eer", "log_auc"})
# These compare spreads, so that there must be two targets.
_OF_SPREADS = frozenset({
    "concordance_corr_coef", "explained_variance", "kendall_rank_corr_coef", "pearson_corr_coef", "r2_score",
    "relative_squared_error", "spearman_corr_coef",
})  # fmt: skip
# Of predictions and what they predict, the larger the better, which torchmetrics leaves open.
_LARGER_IS_BETTER = frozenset({"kendall_rank_corr_coef", "negative_predictive_value", "pearson_corr_coef",
                               "spearman_corr_coef", "specificity"})  # fmt: skip
_SMALLER_IS_BETTER = frozenset({"eer", "tweedie_deviance_score"})


class Support(Metric):
    """How many targets there were: `positives` [K] of each class or label, and `total`."""

    positives: Tensor
    total: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.add_state("positives", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, positives: Tensor | None, total: int) -> None:
        if positives is not None:
            self.positives += positives
        self.total += total

    def compute(self) -> tuple[Tensor, int]:
        return self.positives.clone(), int(self.total)


@dataclass(frozen=True)
class Plan:
    """How outputs and targets are read, settled by the first of them.

    Attributes:
        kind: "binary", "multiclass", "multilabel" or "numbers".
        size: classes, labels, or numbers of a target.
        scores: what makes probabilities of the outputs: "none", "sigmoid" or "softmax".
    """

    kind: str
    size: int
    scores: str = "none"

    @property
    def classes(self) -> int:
        """The classes; one output distinguishes two of them."""
        return max(self.size, 2) if self.kind == "binary" else self.size


class NamedMetric:
    """A metric of torchmetrics that is made when the first outputs show the number of classes.

    Args:
        name: see the module.
        logits: whether the outputs for binary targets are known to be logits. Others are taken for logits where the
            first of them leave the range from 0 to 1.

    Raises:
        ConfigError: there is no such metric, or it needs settings.

    Example:
        >>> f1 = NamedMetric("f1", logits=True)
        >>> f1.update(torch.tensor([[2.0], [1.0], [-1.0], [-2.0]]), torch.tensor([1.0, 0.0, 0.0, 1.0]))
        >>> f1.compute()
        0.5
    """

    can_pause = True

    def __init__(self, name: str, *, logits: bool = False) -> None:
        self.name, self.logits = name, logits
        self._full, self._average, self._top = parsed(name)
        found = [cls for cls in classes_of(self._full) if cls is not None]
        if self._full in _LARGER_IS_BETTER:
            self.higher_is_better: bool | None = True
        else:
            self.higher_is_better = False if self._full in _SMALLER_IS_BETTER else found[0].higher_is_better
        self._plan: Plan | None = None
        self._metric: Any = None
        self._support: Any = None

    @property
    def cheap(self) -> bool:
        """Whether the figure so far costs little: not where all outputs are kept for it."""
        return self._metric is not None and not any(
            isinstance(value, list) for value in self._metric._defaults.values()
        )

    def reset(self) -> None:
        self._plan = self._metric = self._support = None  # the next outputs may be those of another head

    def update(self, output: Tensor, targets: Tensor) -> None:
        if self._plan is None:
            self._make(_plan(self.name, output, targets, self.logits, numbers=self._of_numbers))
        for metric in self._parts():
            metric.to(output.device)
        predicted, wanted, positives = self._read(output, targets)
        self._support.update(positives, len(wanted))
        self._metric.update(predicted, wanted)

    def compute(self) -> float:
        if several_processes():
            self._join()
        if self._plan is None:
            return float("nan")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is not defined; it is NaN
            positives, total = self._support.compute()
            if self._of_numbers:
                undefined = total < 2 and self._full in _OF_SPREADS
                return float("nan") if undefined else float(self._metric.compute().double().mean())
            defined = self._defined(positives, total)
            if not defined.any() and (self._full in _OF_BOTH or self._full in _PER_CLASS):
                return float("nan")
            value = self._metric.compute()
        if self._full in _PER_CLASS and value.dim():
            return _average(value, defined, positives, weighted=self._average == "weighted")
        return float(value)

    def state(self) -> dict[str, Any]:
        """What a run that is resumed within an epoch needs."""
        if self._plan is None:
            return {"plan": None}
        return {"plan": vars(self._plan), "parts": [states_of(metric) for metric in self._parts()]}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.reset()
        if state["plan"] is None:
            return
        self._make(Plan(**state["plan"]))
        for metric, kept in zip(self._parts(), state["parts"], strict=True):
            load_states(metric, kept)

    # --- inside

    def _join(self) -> None:
        """Prepare the exchange with other processes: one that had no data takes part in it with nothing."""
        plan = next((one for one in from_all_processes(self._plan) if one is not None), None)
        if plan is None:
            return
        if self._plan is None:
            self._make(plan)
        for metric in self._parts():
            to_exchange_device(metric)
            fill_from_processes(metric)

    def _parts(self) -> tuple[Any, ...]:
        return () if self._plan is None else (self._metric, self._support)

    @property
    def _of_numbers(self) -> bool:
        return self._full in regressions()

    @property
    def _kind(self) -> str:
        """The plan's kind; two classes are "multiclass" where a figure of both is asked for."""
        assert self._plan is not None
        both = self._average is not None or self._full == "balanced_accuracy" or self._top is not None
        return "multiclass" if self._plan.kind == "binary" and both else self._plan.kind

    def _make(self, plan: Plan) -> None:
        self._plan = plan
        cls = classes_of(self._full)[{"binary": 0, "numbers": 0, "multiclass": 1, "multilabel": 2}[self._kind]]
        if cls is None:
            self._plan = None
            what = "several labels a row" if plan.kind == "multilabel" else "two classes"
            raise ConfigError(f"metric {self.name!r} is not defined for {what}; choose another metric")
        known = inspect.signature(cls).parameters
        settings: dict[str, Any] = {}
        if plan.kind != "numbers" or plan.size > 1:
            settings = {name: plan.classes for name in SIZES if name in known}
        if "average" in known:
            settings["average"] = "none" if self._full in _PER_CLASS else self._average or "macro"
        if self._top is not None:
            settings |= {"top_k": min(self._top, plan.classes), "average": "micro"}
        if self._full == "cosine_similarity":
            settings["reduction"] = "mean"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "will save all targets and predictions in buffer"
            self._metric = cls(**settings)
        self._support = Support(plan.classes)

    def _read(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Predictions and targets as the metric takes them, and how many targets each class has."""
        plan = self._plan
        assert plan is not None
        if plan.kind == "numbers":
            return *self._read_numbers(output, targets), None
        by_score = self._full in OF_SCORES or self._top is not None
        if plan.kind != "multilabel" and plan.size > 1:  # integer labels
            rows, wanted = output.reshape(-1, plan.size), targets.reshape(-1).long()
            if (last := int(wanted.max())) >= plan.size:
                raise ConfigError(
                    f"label {last} arrived for outputs of {plan.size} classes; expected 0 to {plan.size - 1}"
                )
            rows, wanted = rows[wanted >= 0], wanted[wanted >= 0]  # those below 0 are what a loss ignores
            if not by_score:
                predicted = rows.argmax(-1)
            else:
                scores = rows if plan.scores == "none" else rows.softmax(-1)
                predicted = scores[:, 1] if self._kind == "binary" else scores
            return predicted, wanted, torch.bincount(wanted, minlength=plan.classes)
        shape = (-1, plan.size) if plan.kind == "multilabel" else (-1,)
        logits, wanted = output.reshape(shape), (targets.reshape(shape) > 0.5).long()
        if not by_score:
            predicted = (logits > (0.0 if plan.scores == "sigmoid" else 0.5)).long()
        else:
            predicted = logits.sigmoid() if plan.scores == "sigmoid" else logits
            if self._kind == "multiclass":
                predicted = torch.stack([1 - predicted, predicted], -1)
        return predicted, wanted, wanted.sum(0) if plan.kind == "multilabel" else torch.bincount(wanted, minlength=2)

    def _read_numbers(self, output: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        assert self._plan is not None
        if output.device.type != "mps":  # which has no float64
            output, targets = output.double(), targets.double()
            self._metric.set_dtype(torch.float64)
        shape = (-1,) if self._plan.size == 1 and self._full != "cosine_similarity" else (-1, self._plan.size)
        return output.reshape(shape), targets.reshape(shape)

    def _defined(self, positives: Tensor, total: int) -> Tensor:
        """Which classes or labels have a figure: those with targets, and for scores those with others too."""
        defined = positives > 0
        if self._full in _OF_BOTH:
            defined &= positives < total
        return defined[1:] if self._kind == "binary" else defined


# --- outputs and targets ---------------------------------------------------------------------------------------------


def _plan(name: str, output: Tensor, targets: Tensor, logits: bool, *, numbers: bool) -> Plan:
    """What outputs and targets are, by their shapes, dtypes and range.

    Raises:
        ConfigError: the metric is not one of such targets.
    """
    if numbers:
        if output.numel() != targets.numel():
            raise not_of_numbers(name, output, targets)
        return Plan("numbers", output[0].numel())
    if not targets.is_floating_point() and output.dim() == targets.dim() + 1 and output.shape[-1] > 1:
        size = output.shape[-1]
        rows = output.reshape(-1, size)
        sums_to_1 = bool((rows.min() >= 0) & ((rows.sum(-1) - 1).abs().max() < 1e-3))
        return Plan("binary" if size == 2 else "multiclass", size, "none" if sums_to_1 else "softmax")
    low, high = (float(end) for end in torch.aminmax(targets))
    if output.numel() != targets.numel() or low < 0 or high > 1:
        raise not_of_classes(name, output, targets)
    low, high = (float(end) for end in torch.aminmax(output))
    scores = "sigmoid" if logits or low < 0 or high > 1 else "none"
    size = output[0].numel()
    return Plan("binary" if size == 1 else "multilabel", size, scores)


def _average(values: Tensor, defined: Tensor, positives: Tensor, *, weighted: bool) -> float:
    """The mean over the classes that define a figure; NaN where none does."""
    if not defined.any():
        return float("nan")
    shares = (positives if weighted else torch.ones_like(positives)) * defined
    return float((values.double().where(defined, 0.0) * shares).sum() / shares.sum())
