"""What recognisers share that are trained by connectionist temporal classification: scores of tokens for each step.

    h = body(front(x)),   z_t = W h_t + b,   p(token at t | x) = softmax(z_t)

Legend: B batch, T steps, T' steps behind the front, M features of a step, F features of the body, V tokens with the
blank.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from ..errors import ConfigError
from ..layers._checks import Lengths
from ._sequence import Front, SequenceModel

Tensor = torch.Tensor


class Recognizer(SequenceModel):
    """z_t = W h_t + b for each step behind a front that joins steps; token 0 is the blank.

    Args:
        body: a layer over sequences, as in :class:`rnnkit.SequenceClassifier`.
        outputs: V, the tokens with the blank.
        dropout: probability of dropping a feature in front of the head while training.
        front: what stands before the body.
        augment: changes features while training, as in :class:`rnnkit.SequenceClassifier`.
        head: what makes the scores of the body's outputs; None: a linear layer.
    """

    default_objective: ClassVar[str] = "ctc"

    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int,
        dropout: float = 0.0,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
    ) -> None:
        arguments = {"outputs": outputs, "dropout": dropout}
        super().__init__(body, outputs, dropout, arguments, front=front, augment=augment, head=head)
        self.default_metrics = ()
        if outputs < 2:
            raise ConfigError(f"{outputs} outputs were asked for; expected at least 2: the blank and a token")

    def encode(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Tensor]:
        """Map x [B, T, M] and lengths [B] or None to the body's outputs [B, T', F] and their lengths [B]."""
        output, found, _ = self._layers()(x, lengths)
        if found is None:
            return output, torch.full((len(output),), output.shape[1])
        return output, torch.as_tensor(found)

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Map x [B, T, M] and lengths [B] or None to logits [B, T', V] and their lengths [B]."""
        output, found = self.encode(x, lengths)
        return self.head(self._drop(output)), found
