"""One vector of numbers a sequence."""

from __future__ import annotations

import torch

from ..layers.argument_names import explains_arguments
from ._argument_names import instead, renamed
from ._sequence import Front, PooledModel, Pooling


class SequenceRegressor(PooledModel):
    """y = W pool(h_1 … h_T) + b, with h from a body, recurrent as a rule.

    Legend: B batch, T time, I input.

    Args:
        body, pooling, dropout, front, augment, head: as in :class:`rnnkit.SequenceClassifier`.
        outputs: numbers a sequence.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → [B, outputs].

    Raises:
        ConfigError: an unknown option. ShapeError: an input that does not fit the first layer.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 50, num_layers=2))
        >>> tuple(model(torch.zeros(32, 100, 1)).shape)
        (32, 1)
    """

    default_loss = "mse"
    default_metrics = ("mae",)

    @explains_arguments(
        renamed("outputs"),
        instead(
            "SequenceRegressor",
            activation="type head=torch.nn.Sequential(torch.nn.Linear(hidden_size, outputs), torch.nn.Softplus())",
        ),
    )
    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int = 1,
        pooling: Pooling = "last",
        dropout: float = 0.0,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
    ) -> None:
        super().__init__(body, outputs, pooling, dropout, {"outputs": outputs}, front, augment, head)
