"""One class a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import ConfigError
from ..layers.argument_names import explains_arguments
from ._argument_names import instead, renamed
from ._head import NamedClasses
from ._sequence import Front, PooledModel, Pooling, read_classes


class SequenceClassifier(NamedClasses, PooledModel):
    """logits = W pool(h_1 … h_T) + b, with h from a body, recurrent as a rule.

    Legend: B batch, T time, I input, C classes, F features of the body's output.

    Args:
        body: a layer over sequences: ``rnnkit.SimpleRNN``, ``LSTM``, ``GRU``, ``rnnkit.RNN(cell)`` with a cell of your
            own, ``torch.nn.LSTM``, ``GRU`` or ``RNN``, or a :class:`rnnkit.SequenceModule`. Models take batch-first
            input whatever the body's ``batch_first``.
        classes: C, at least 2, or the names of the classes, which are kept as ``class_names``.
        pooling: ``"last"`` (the last valid step; of both directions where there are two), ``"mean"``, ``"max"``,
            ``"concat"``: the three side by side (ULMFiT, Howard & Ruder 2018), or ``"attention"``: a mean whose weights
            are learned, Σ_t softmax_t(w · tanh(W h_t)) h_t (Lin et al. 2017).
        dropout: probability with which pooled features are dropped while training.
        front: one layer over sequences before the body, or a list of several: ``torch.nn.Embedding`` for token ids,
            :class:`rnnkit.ConvFront`, :class:`rnnkit.PixelFront`, ``torch.nn.Linear`` and more.
        augment: what changes the input while training, such as :class:`rnnkit.SeriesAugment`.
        head: maps pooled features [B, F] (3·F with ``pooling="concat"``) to logits; None: a ``torch.nn.Linear``.

    Attributes:
        class_names: the names of the classes, or None.

    Shapes:
        x [B, T, I] (token ids [B, T] with an embedding; and ``lengths`` [B]) → logits [B, C]; softmax gives
        probabilities.

    Raises:
        ConfigError: an unknown option. ShapeError: an input that does not fit the first layer.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.SimpleRNN(28, 128, nonlinearity="relu"), classes=10)
        >>> tuple(model(torch.zeros(32, 28, 28)).shape)
        (32, 10)
        >>> model = rnnkit.SequenceClassifier(
        ...     rnnkit.GRU(16, 32), classes=["ham", "spam"], front=torch.nn.Embedding(1000, 16)
        ... )
        >>> tuple(model(torch.randint(1000, (4, 20)), lengths=[20, 3, 7, 12]).shape), model.class_names
        ((4, 2), ('ham', 'spam'))
    """

    default_loss = "cross_entropy"
    default_metrics = ("accuracy",)

    @explains_arguments(
        renamed("classes"),
        instead(
            "SequenceClassifier",
            activation="leave it out: the model returns logits, and learner.predict_proba(x) probabilities",
        ),
    )
    def __init__(
        self,
        body: torch.nn.Module,
        classes: int | Sequence[str],
        pooling: Pooling = "last",
        dropout: float = 0.0,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
    ) -> None:
        outputs, names = read_classes(classes)
        if outputs == 1:
            raise ConfigError(
                f"classes={classes!r} arrived; one class alone leaves nothing to learn, expected at least two",
                remedy=(
                    "type classes=2, where the second is all that is not the first",
                    "rnnkit.SequenceRegressor(body) with Learner(model, loss='bce_logits') for one probability",
                ),
            )
        arguments = {"classes": outputs if names is None else list(names)}
        super().__init__(body, outputs, pooling, dropout, arguments, front, augment, head)

    @classmethod
    def _from_file(cls, **arguments: Any) -> SequenceClassifier:
        """Make a model as a file describes it; earlier versions also wrote models of one class."""
        classes, head = arguments.get("classes"), arguments.get("head")
        if classes != 1 and not (isinstance(classes, list) and len(classes) == 1):
            return cls(**arguments)
        model = cls(**{**arguments, "classes": 2, "head": None})
        model.head = torch.nn.Linear(model.head.in_features, 1) if head is None else head
        model._arguments["classes"] = classes
        return model
