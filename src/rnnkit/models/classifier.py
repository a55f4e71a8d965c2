"""One class a sequence."""

from __future__ import annotations

from ..layers._recurrent import RecurrentLayer
from ..layers.augment import SeriesAugment
from ._sequence import Front, PooledModel, Pooling


class SequenceClassifier(PooledModel):
    """logits = W pool(h_1 … h_T) + b, with h from a recurrent body.

    Legend: B batch, T time, I input, C classes.

    Args:
        body: an rnnkit layer; models take batch-first input whatever the body's ``batch_first``.
        classes: C.
        pooling: ``"last"`` (the last valid step; of both directions where there are two), ``"mean"``, ``"max"``, or
            ``"concat"``: the three side by side (ULMFiT, Howard & Ruder 2018).

        dropout: probability with which pooled features are dropped while training.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → logits [B, C]; softmax gives probabilities.

    Raises:
        ConfigError: an unknown option. ShapeError: an input that does not fit the body.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.SimpleRNN(28, 128, nonlinearity="relu"), classes=10)
        >>> tuple(model(torch.zeros(32, 28, 28)).shape)
        (32, 10)
    """

    default_loss = "cross_entropy"
    default_metrics = ("accuracy",)

    def __init__(
        self,
        body: RecurrentLayer,
        classes: int,
        pooling: Pooling = "last",
        dropout: float = 0.0,
        front: Front | None = None,
        augment: SeriesAugment | None = None,
    ) -> None:
        super().__init__(body, classes, pooling, dropout, "classes", front, augment)
