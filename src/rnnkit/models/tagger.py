"""An output at every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import torch

from ..errors import check_choice
from ..layers._checks import Lengths
from ..layers.argument_names import explains_arguments
from ..layers.sequence_adapters import SequenceInterface
from ..types import State
from ._argument_names import instead, renamed
from ._sequence import Front, SequenceModel, valid_outputs

Tensor = torch.Tensor
Activation = Literal["none", "sigmoid", "tanh", "relu", "softmax"]
# σ, and the loss that fits what it puts out: classes from logits, probabilities, or numbers.
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor] | None, str, tuple[str, ...]]] = {
    "none": (None, "cross_entropy", ("accuracy",)),
    "sigmoid": (torch.sigmoid, "bce", ()),
    "tanh": (torch.tanh, "mse", ("mae",)),
    "relu": (torch.relu, "mse", ("mae",)),
    "softmax": (partial(torch.softmax, dim=-1), "mse", ("mae",)),
}


class SequenceTagger(SequenceModel):
    """y_t = σ(W h_t + b) at every step, with h from a body, recurrent as a rule.

    Legend: B batch, T time, I input.

    Args:
        body, dropout, front, augment, head: as in :class:`rnnkit.SequenceClassifier`.
        outputs: numbers (or classes) a step.
        activation: σ: ``"none"`` (logits of classes, or plain numbers with ``loss="mse"``), ``"sigmoid"``
            (independent labels), ``"tanh"``, ``"relu"``, ``"softmax"`` (distributions). It also sets the loss that a
            Learner uses by default: cross-entropy, binary cross-entropy, or squared error for the last three.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → [B, T, outputs], 0 behind a row's length.

    Raises:
        ConfigError: an unknown option. ShapeError: an input that does not fit the first layer.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(8, 16, bidirectional=True), outputs=5)
        >>> tuple(model(torch.zeros(2, 7, 8)).shape)
        (2, 7, 5)
    """

    default_objective: ClassVar[str] = "step"

    @explains_arguments(
        renamed("outputs"), instead("SequenceTagger", pooling="leave it out: a tagger has an output at every step")
    )
    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int,
        activation: Activation = "none",
        dropout: float = 0.0,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
    ) -> None:
        check_choice(activation, "activation", tuple(_ACTIVATIONS))
        arguments = {"outputs": outputs, "activation": activation, "dropout": dropout}
        super().__init__(body, outputs, dropout, arguments, front=front, augment=augment, head=head)
        self._activate, self.default_loss, self.default_metrics = _ACTIVATIONS[activation]

    def _head_output(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        y: Tensor = self.head(self._drop(output))
        if self._activate is not None:
            y = self._activate(y)
        return y if lengths is None else torch.where(valid_outputs(lengths, y), y, torch.zeros((), dtype=y.dtype))

    def _shown_defaults(self) -> dict[str, Any]:
        return super()._shown_defaults() | {"activation": "none"}
