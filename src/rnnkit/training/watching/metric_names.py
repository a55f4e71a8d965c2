"""Names of metrics: which class of torchmetrics they mean, and which average over classes."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from typing import Any

from ...errors import ConfigError, suggest
from .simple_metrics import AT_ONCE

# Short names for torchmetrics' own.
SHORT = {
    "auc": "auroc", "f1": "f1_score", "jaccard": "jaccard_index",
    "mape": "mean_absolute_percentage_error", "matthews": "matthews_corr_coef", "mcc": "matthews_corr_coef",
    "msle": "mean_squared_log_error", "pearson": "pearson_corr_coef", "r2": "r2_score", "roc_auc": "auroc",
    "sensitivity": "recall", "smape": "symmetric_mean_absolute_percentage_error", "spearman": "spearman_corr_coef",
}  # fmt: skip
AVERAGES = ("macro", "micro", "weighted")
# These read scores; all other metrics of classes read the predicted class.
OF_SCORES = frozenset({"auroc", "average_precision", "calibration_error", "eer", "hinge_loss", "log_auc"})
# More than one number, or inputs that a model's outputs are not: distributions, ensembles.
OBJECTS_ONLY = frozenset({
    "confusion_matrix", "continuous_ranked_probability_score", "jensen_shannon_divergence", "kl_divergence",
    "precision_recall_curve", "roc", "stat_scores",
})  # fmt: skip
SIZES = ("num_classes", "num_labels", "num_outputs")
# Names that other libraries use.
_ELSEWHERE = {
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "roc_auc_score": "auroc",
    "neg_mean_squared_error": "mse",
}


def parsed(name: str) -> tuple[str, str | None, int | None]:
    """Return a name as torchmetrics' own in snake case, the average that it asks for, and k of a top-k accuracy."""
    if match := re.fullmatch(r"top(\d+)_accuracy", name):
        if int(match[1]) < 1:
            raise ConfigError(f"metric {name!r} arrived; expected a number of at least 1, such as 'top5_accuracy'")
        return "accuracy", None, int(match[1])
    stem, _, ending = name.rpartition("_")
    average = ending if ending in AVERAGES and stem != "balanced_accuracy" else None
    short = stem if average else name
    full = SHORT.get(short, short)
    classes = classes_of(full)
    if not any(classes):
        meant = _ELSEWHERE.get(name)
        hint = f"did you mean {meant!r}?" if meant else suggest(name, known_names()).removeprefix("; ")
        raise ConfigError.of("metrics", name, hint)
    cls = next(one for one in classes if one is not None)
    needed = [
        one.name
        for one in inspect.signature(cls).parameters.values()
        if one.default is one.empty and one.kind is not one.VAR_KEYWORD and one.name not in SIZES
    ]
    if needed or full in OBJECTS_ONLY:
        why = f"needs the setting {needed[0]!r}" if needed else "is not one number of outputs and targets"
        raise ConfigError(f"metric {name!r} {why}; pass the object: torchmetrics' {cls.__name__}(...)")
    if average and (classes[1] is None or "average" not in inspect.signature(classes[1]).parameters):
        raise ConfigError(f"metric {name!r} has no average over classes; expected {short!r}")
    if average == "micro" and full in OF_SCORES:
        raise ConfigError(f"metric {name!r} arrived; expected {short + '_macro'!r} or {short + '_weighted'!r}")
    return full, average, None


def known_names() -> tuple[str, ...]:
    """All names without the averages, the usual ones first."""
    every = [
        *AT_ONCE,
        *SHORT,
        "balanced_accuracy",
        "top5_accuracy",
        *sorted(_classifications()),
        *sorted(regressions()),
    ]
    return tuple(name for name in dict.fromkeys(every) if name not in OBJECTS_ONLY)


def classes_of(full: str) -> tuple[Any, Any, Any]:
    """The class for two classes or for numbers, for several classes, and for several labels; None where there is none.

    Balanced accuracy is the mean recall of the classes.
    """
    if full in regressions():
        return regressions()[full], None, None
    if full == "balanced_accuracy":
        return None, _classifications()["recall"][1], None
    return _classifications().get(full, (None, None, None))


@cache
def _classifications() -> dict[str, tuple[Any, Any, Any]]:
    module = importlib.import_module("torchmetrics.classification")
    stems = [name.removeprefix("Multiclass") for name in module.__all__ if name.startswith("Multiclass")]
    return {
        _snake(stem): tuple(getattr(module, kind + stem, None) for kind in ("Binary", "Multiclass", "Multilabel"))  # type: ignore[misc]
        for stem in stems
    }


@cache
def regressions() -> dict[str, Any]:
    module = importlib.import_module("torchmetrics.regression")
    return {_snake(name): getattr(module, name) for name in module.__all__}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
