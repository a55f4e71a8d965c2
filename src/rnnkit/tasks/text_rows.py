"""Texts with labels as the numbers that a classifier reads and learns. Legend: B batch, T tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..types import Batch, Sequences, pad_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data.text.labelled import LabelledText
    from ..data.text.tokenizer import Tokenizer


class TextClassRows:
    """Texts as token ids [T], and their classes.

    Args:
        texts: with labels that the classes have; without classes labels are not looked at.
        tokenizer: of the model.
        classes: their names, by their numbers; (): none.
        most: number of the first tokens of a text that are read.

    Attributes:
        cut: how many texts have more tokens.

    Raises:
        DataError: no texts.

    Example:
        >>> from rnnkit.data import train_tokenizer
        >>> from rnnkit.data.text.labelled import LabelledText
        >>> texts = [LabelledText("a b c", "x"), LabelledText("a", "y")]
        >>> rows = TextClassRows(texts, train_tokenizer("word", ["a b c"]), ["x", "y"], most=2)
        >>> rows[np.array([0, 1])], rows[:].targets.tolist(), rows.cut
        (Batch(inputs [2, 2], targets [2], input_lengths [2]), [0, 1], 1)
    """

    def __init__(
        self, texts: Sequence[LabelledText], tokenizer: Tokenizer, classes: Sequence[str] = (), *, most: int = 400
    ) -> None:
        if not texts:
            raise DataError("no texts arrived; expected at least one")
        whole = tokenizer.encode_many(one.text for one in texts)
        unknown = 0 if tokenizer.unknown is None else tokenizer.unknown
        self.cut = sum(len(ids) > most for ids in whole)
        # A text may have no token, such as one of spaces: the unknown one stands for it.
        self.inputs = [ids[:most] if len(ids) else np.array([unknown], np.int32) for ids in whole]
        self.steps = np.array([len(ids) for ids in self.inputs], np.int64)
        numbers = {name: number for number, name in enumerate(classes)}
        self.labels = np.array([numbers[one.label] for one in texts], np.int64) if classes else None

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> Batch:
        """Return the texts of a slice or an array of indices as a batch."""
        import torch

        rows = np.atleast_1d(np.arange(len(self))[index])
        inputs, lengths = pad_rows([torch.from_numpy(self.inputs[row]) for row in rows])
        targets = None if self.labels is None else torch.from_numpy(self.labels[rows])
        return Batch(inputs.long(), targets, lengths)

    @property
    def lengths(self) -> tuple[npt.NDArray[np.int64], ...]:
        """The numbers of tokens, [N], as `rnnkit.data.LengthBatches` asks for them."""
        return (self.steps,)

    def arrays(self) -> tuple[Sequences, Any]:
        """Return (X, y) as `Learner.fit` takes them."""
        whole = self[:]
        assert whole.input_lengths is not None
        return Sequences(whole.inputs, whole.input_lengths), whole.targets

    def fingerprint(self) -> str:
        """Return a digest of all numbers."""
        digest = hashlib.sha256(b"" if self.labels is None else self.labels.tobytes())
        for row in self.inputs:
            digest.update(row.tobytes() + b"|")
        return digest.hexdigest()
