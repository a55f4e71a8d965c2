"""One class a series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from ..data.labels import sorted_classes
from ..data.preprocessing import Preprocessing
from ..data.reading import Targets
from ..data.series import SeriesSet
from ..errors import ConfigError, DataError, check_no_missing
from ..models.classifier import SequenceClassifier
from .class_scores import ClassScores
from .settings import Fit
from .task import Array, Columns, SeriesOutputs, Task, place


@dataclass(frozen=True)
class Classification(Task):
    """Names the class of each series: softmax over the classes, cross-entropy.

    Figures: cross_entropy (the mean, without the smoothing and the class weights that the loss of training has),
    balanced_accuracy (the mean over the classes of the share recognised) and
    accuracy. Columns: the class, and a probability for each class.

    Example:
        >>> Classification().as_targets([3, "x"]).tolist()
        ['3', 'x']
    """

    name: ClassVar[str] = "classify"
    target_type: ClassVar[Targets] = "labels"
    target_setting: ClassVar[str] = "label"
    metric: ClassVar[str] = "accuracy"
    has_probabilities: ClassVar[bool] = True

    def as_targets(self, values: Any) -> Array:
        """Return labels as text.

        Raises:
            DataError: labels that are missing, or several a row.
        """
        labels = values if isinstance(values, list | tuple) else np.asarray(values).tolist()
        several = next((label for label in labels if not isinstance(label, str) and np.ndim(label)), None)
        if several is not None:
            raise DataError(
                f"a row has {len(several)} labels; expected one label a series. For a label a step use "
                "rnnkit.SequenceTagger with rnnkit.Learner; of one-hot labels pass y.argmax(1)"
            )
        check_no_missing(labels)
        return np.array([str(label) for label in labels])

    def check_targets(self, rows: SeriesSet) -> None:
        """Raise DataError where rows have no labels."""
        if rows.targets is None:
            raise DataError(f"{place(rows)}the rows have no targets; expected a label for each")
        if rows.targets.dtype.kind == "f":
            raise DataError(
                f"{place(rows)}the targets are numbers; expected labels: text, or read_series(targets='labels')"
            )

    def with_new_targets(
        self, before: Preprocessing, rows: SeriesSet, classes: Literal["add", "replace"]
    ) -> Preprocessing:
        """Return the preprocessing with the new rows' classes next to the old ones, or in their place.

        Raises:
            DataError: fewer than two classes would remain.
        """
        old = before.classes or ()
        found = sorted_classes(rows.targets)
        if classes == "add":
            return replace(before, classes=old + tuple(name for name in found if name not in old))
        if len(found) < 2:
            raise DataError(
                f"{rows.source}: all rows are {found[0]!r}; with classes=replace at least two classes are expected"
            )
        return replace(before, classes=found)

    def build(self, body: torch.nn.Module, outputs: int, **options: Any) -> torch.nn.Module:
        """Return a :class:`rnnkit.SequenceClassifier`."""
        return SequenceClassifier(body, outputs, **options)

    def check_settings(self, fit: Fit) -> None:
        """Raise ConfigError for a loss of numbers."""
        if fit.loss != "mse":
            raise ConfigError(f"fit.loss={fit.loss} is for numbers; classes are learned by the cross-entropy")

    def loss(self, fit: Fit) -> Any:
        """Return the cross-entropy."""
        return "cross_entropy"

    def learner_settings(self, fit: Fit) -> dict[str, Any]:
        """Return the cross-entropy with its options, and the accuracy."""
        return {
            "loss": self.loss(fit),
            "label_smoothing": fit.label_smoothing,
            "class_weights": fit.class_weights,
            "metrics": "accuracy",
        }

    def answer_names(self, outputs: int) -> tuple[str, ...]:
        """Return (): the answer's column is "prediction"."""
        return ()

    def answers(self, outputs: torch.Tensor, preprocessing: Preprocessing) -> Array:
        """Return the class of each series [N], text."""
        return preprocessing.inverse_targets(outputs)

    def probabilities(self, outputs: torch.Tensor) -> Array:
        """Return the probability of each class, [N, C] float64; rows sum to 1."""
        shares: Array = outputs.double().softmax(1).numpy()
        return shares

    def figures(self, outputs: SeriesOutputs) -> dict[str, float]:
        """Return cross_entropy, balanced_accuracy and accuracy."""
        wanted = self.encode_targets(outputs.rows, outputs.preprocessing)
        entropy = torch.nn.functional.cross_entropy(outputs.values.double(), wanted)
        right = (outputs.values.argmax(1) == wanted).double()
        by_class = [right[wanted == label].mean() for label in wanted.unique()]
        return {
            "cross_entropy": float(entropy),
            "balanced_accuracy": float(torch.stack(by_class).mean()),
            "accuracy": float(right.mean()),
        }

    def columns(self, outputs: SeriesOutputs, *, true: bool) -> Columns:
        """Return true (if asked for), prediction, and probability_CLASS for each class."""
        classes, shares = outputs.preprocessing.classes or (), self.probabilities(outputs.values)
        columns: Columns = {}
        if true and outputs.rows.targets is not None:
            columns["true"] = outputs.rows.targets.tolist()
        columns["prediction"] = [classes[best] for best in shares.argmax(1).tolist()]
        return columns | {f"probability_{name}": shares[:, at].tolist() for at, name in enumerate(classes)}

    def draw(self, outputs: SeriesOutputs, folder: Path) -> None:
        """Draw the confusion matrix, ``confusion.png``."""
        from ..diagnostics import pictures

        classes = outputs.preprocessing.classes or ()
        wanted = self.encode_targets(outputs.rows, outputs.preprocessing).tolist()
        scores = ClassScores.of(wanted, outputs.values.argmax(1).tolist(), classes)
        pictures.confusion(scores.counts, classes, folder / "confusion.png")
