"""A recogniser of speech: scores of tokens for each step, trained by connectionist temporal classification.

    h = body(front(x)),   z_t = W h_t + b,   p(token at t | x) = softmax(z_t)

The front joins steps (:class:`rnnkit.CausalConv`), the body is recurrent, one way or both ways. Token 0 is the blank of
CTC (:class:`rnnkit.training.CTC`): a text is the likeliest tokens without repetitions and blanks.

Graves et al. 2006 (CTC); Amodei et al. 2016 ("Deep Speech 2") for convolutions in front of recurrent layers. Legend:
B batch, T steps, T' steps behind the front, M features of a step, F features of the body, V tokens with the blank.
"""

from __future__ import annotations

import torch

from ..types import State
from ._encoder_chunks import EncoderChunks
from ._recognizer import Recognizer
from ._sequence import Front
from .layer_steps import LayerSteps

Tensor = torch.Tensor


class SpeechRecognizer(EncoderChunks, Recognizer):
    """z_t = W h_t + b for each step behind a front that joins steps; see the module for the equations.

    A model whose layers all look back alone goes on from a state: :meth:`forward_chunk` for the next steps,
    :meth:`finish` at the end. The chunks put together are what a call returns.

    Args:
        body: a layer over sequences, as in :class:`rnnkit.SequenceClassifier`.
        outputs: V, the tokens with the blank, which is token 0.
        dropout: probability of dropping a feature in front of the head while training.
        front: what stands before the body; :class:`rnnkit.CausalConv` joins steps and streams.
        augment: changes features while training, as in :class:`rnnkit.SequenceClassifier`.
        head: what makes the scores of the body's outputs; None: a linear layer.

    Shapes:
        x [B, T, M] (and ``lengths`` [B]) → logits [B, T', V], 0 behind a row's length, and the lengths [B] of these
        (all T' without lengths).

    Raises:
        ConfigError: an unknown option. ShapeError: an input that does not fit the first layer.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.CausalConv(40, channels=32, strides=(2, 2))
        >>> model = rnnkit.SpeechRecognizer(rnnkit.GRU(32, 16), outputs=12, front=front)
        >>> x = torch.randn(1, 50, 40)
        >>> logits, lengths = model(x)
        >>> tuple(logits.shape), lengths.tolist()
        ((1, 13, 12), [13])
        >>> first, state = model.forward_chunk(x[:, :30])
        >>> second, state = model.forward_chunk(x[:, 30:], state)
        >>> bool(torch.allclose(torch.cat([first, second, model.finish(state)], 1), logits, atol=1e-5))
        True
    """

    def __init__(
        self,
        body: torch.nn.Module,
        outputs: int,
        dropout: float = 0.0,
        front: Front | None = None,
        augment: torch.nn.Module | None = None,
        head: torch.nn.Module | None = None,
    ) -> None:
        super().__init__(body, outputs, dropout, front=front, augment=augment, head=head)
        self._steps = LayerSteps()

    def forward_chunk(  # type: ignore[override]
        self, x: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """As a call, from a state on, for utterances that come in chunks.

        Args:
            x: [B, T, M], the next steps; T may be 0.
            state: what this method returned for the chunk before; None at the beginning.

        Returns:
            Logits [B, n, V] of the steps that are complete, n from 0 on, and the state after these steps.

        Raises:
            ConfigError: the model cannot go on from a state; `carry_problem` says why.
        """
        output, state = self.encode_chunk(x, state)
        return self.head(self._drop(output)), state

    def finish(self, state: State) -> Tensor:
        """Return logits [B, n, V] of the last steps, where no more steps follow; n is 0 or 1.

        Args:
            state: what :meth:`forward_chunk` returned last.
        """
        logits: Tensor = self.head(self._drop(self.finish_encoding(state)))
        return logits
