"""An output at every step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import torch

from ..errors import check_choice
from ..layers._checks import Lengths
from ..layers.argument_names import explains_arguments
from ..layers.modes import mode
from ..layers.sequence_adapters import SequenceInterface
from ..layers.sequence_stream import sequence_stream
from ..ops.native_linear import packed_linear
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

    def forward_last(
        self, x: Tensor, state: State | None = None, *, lengths: Lengths | None = None
    ) -> tuple[Tensor, State]:
        """As :meth:`forward_chunk`, with the output at each row's last valid step alone.

        Args:
            x, state, lengths: as :meth:`forward_chunk`.

        Returns:
            y [B, outputs] and the state after these steps.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        layers = self._carrying_layers("forward_last")
        output, state = layers.forward_chunk(x, state, lengths=lengths)
        return self._step_output(layers.last_output(output, lengths, state)), state

    def stream(self, batch: int) -> TaggerStream:
        """Return an object that runs one step at a time with the least work; see :class:`TaggerStream`.

        Args:
            batch: the number of rows that step together.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        return TaggerStream(self, batch)

    def _step_output(self, output: Tensor) -> Tensor:
        y: Tensor = self.head(self._drop(output))
        return y if self._activate is None else self._activate(y)

    def _head_output(self, layers: SequenceInterface, output: Tensor, state: State, lengths: Lengths | None) -> Tensor:
        y = self._step_output(output)
        return y if lengths is None else torch.where(valid_outputs(lengths, y), y, torch.zeros((), dtype=y.dtype))

    def _shown_defaults(self) -> dict[str, Any]:
        return super()._shown_defaults() | {"activation": "none"}


class TaggerStream:
    """Run y_t of a :class:`SequenceTagger` step by step and hold the state; ``model.stream(batch)`` makes one.

    It takes a copy of the recurrent layers and of the head, so make a new one after training. Dropout is off, also
    where the model is in training mode. There are no gradients.

    Legend: B batch, I input.

    Attributes:
        state: what :meth:`SequenceTagger.forward_chunk` would return after the same steps. Assign a state to go on
            from it.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceTagger(rnnkit.GRU(8, 16), outputs=5, front=torch.nn.Embedding(5, 8))
        >>> stream = model.stream(batch=2)
        >>> tuple(stream(torch.tensor([0, 3])).shape)
        (2, 5)
    """

    def __init__(self, model: SequenceTagger, batch: int) -> None:
        layers = model._carrying_layers("stream")
        self._model, self._batch = model, batch
        self._stream = sequence_stream(layers, batch)
        self._head = packed_linear(model.head, batch)

    def __call__(self, x: Tensor) -> Tensor:
        """Run one step x [B, I] (token ids [B] where the front is an embedding) and return y [B, outputs]."""
        if not self._model.training and not torch.is_grad_enabled():
            return self._step(x)
        with torch.no_grad(), mode(self._model, training=False):
            return self._step(x)

    def _step(self, x: Tensor) -> Tensor:
        y = self._head(self._stream(x))
        return y if self._model._activate is None else self._model._activate(y)

    def __repr__(self) -> str:
        return f"TaggerStream({self._model!r}, batch={self._batch})"

    @property
    def state(self) -> State:
        return self._stream.state

    @state.setter
    def state(self, state: State) -> None:
        self._stream.state = state

    def reorder(self, index: Tensor) -> None:
        """Let row ``index[i]`` go on as row i, as beam search needs; index has as many entries as there are rows."""
        self._stream.reorder(index)
