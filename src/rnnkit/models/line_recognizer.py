"""A recogniser of lines of text in pictures: scores of characters for each step from left to right, trained by CTC.

    h = body(front(x)),   z_t = W h_t + b,   p(token at t | x) = softmax(z_t)

The front makes steps of a picture's columns (:class:`rnnkit.LineFront`), the body reads them both ways. Token 0 is the
blank of CTC (:class:`rnnkit.training.CTC`): a text is the likeliest tokens without repetitions and blanks.

Shi et al. 2015 ("An end-to-end trainable neural network for image-based sequence recognition and its application to
scene text recognition"). Legend: B batch, W width, H height, T' steps, V tokens with the blank.
"""

from __future__ import annotations

from ._recognizer import Recognizer


class LineRecognizer(Recognizer):
    """z_t = W h_t + b for each step from left to right; see the module for the equations.

    Args:
        body: a layer over sequences, as in :class:`rnnkit.SequenceClassifier`.
        outputs: V, the tokens with the blank, which is token 0.
        dropout: probability of dropping a feature in front of the head while training.
        front: what makes steps of columns, such as :class:`rnnkit.LineFront`.
        augment: changes columns while training, as in :class:`rnnkit.SequenceClassifier`.
        head: what makes the scores of the body's outputs; None: a linear layer.

    Shapes:
        x [B, W, H], the columns of each picture (and ``lengths`` [B]) → logits [B, T', V] and their lengths [B] (all T'
        without lengths).

    Raises:
        ConfigError: an unknown option. ShapeError: pictures of another height.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.LineFront(32, channels=(4, 8, 8, 8), features=16)
        >>> model = rnnkit.LineRecognizer(rnnkit.LSTM(16, 8, bidirectional=True, batch_first=True), 11, front=front)
        >>> logits, lengths = model(torch.rand(2, 90, 32), lengths=[90, 50])
        >>> tuple(logits.shape), lengths.tolist()
        ((2, 23, 11), [23, 13])
    """

    @property
    def stride(self) -> int:
        """The number of columns that become a step."""
        return getattr(self.front, "stride", 1)
