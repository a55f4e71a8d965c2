"""What stands in front of a recurrence over words: an embedding of each word, and of the characters it is made of.

    v_t = E[w_t]                                                       w_t: the word's number
    u_t = max_k relu(conv(C[c_{t,1}], …, C[c_{t,K}]))_k                c_{t,k}: the numbers of its characters
    y_t = dropout([v_t, u_t])

The characters describe words that training has not seen: their endings, digits, capital letters. Variant: Ma & Hovy
2016 ("End-to-end sequence labeling via bi-directional LSTM-CNNs-CRF"). While training, a word is replaced by the
unknown one with a small probability, so that the unknown word learns an embedding, too.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ShapeError, check_number, check_whole
from ..ops.padding import valid_steps
from ..types import State
from ._checks import Lengths
from .sequence_module import SequenceModule

Tensor = torch.Tensor


class WordFront(SequenceModule):
    """Words and their characters as features; see :mod:`rnnkit.layers.word_front` for the equations.

    Legend: B batch, T words, K characters of the longest word.

    Args:
        words: size of the vocabulary of words.
        characters: size of the vocabulary of characters, with 0 for none; 0: the input has no characters.
        word_size, character_size: features of an embedding.
        filters: features that the convolution finds in a word's characters.
        kernel_size: width of the convolution, in characters; an odd number.
        dropout: probability of dropping a feature of a word while training.
        word_dropout: probability that a word becomes the unknown one while training.
        unknown: the number of the unknown word.

    Shapes:
        x [B, T, 1 + K] whole numbers, the word first, then its characters, 0 behind the last (and ``lengths`` [B]) →
        features [B, T, word_size + filters], 0 behind a row's length, the lengths, and None for a state.

    Raises:
        ConfigError: a size below 1, or a probability out of range. ShapeError: an input of another shape.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.WordFront(words=100, characters=30, word_size=16, filters=8)
        >>> features, lengths, _ = front(torch.zeros(2, 5, 1 + 12, dtype=torch.long), lengths=[5, 3])
        >>> tuple(features.shape)
        (2, 5, 24)
    """

    def __init__(
        self,
        words: int,
        characters: int = 0,
        word_size: int = 100,
        character_size: int = 32,
        filters: int = 64,
        *,
        kernel_size: int = 3,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        unknown: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"words": words, "word_size": word_size, "character_size": character_size, "filters": filters}
        for name, size in (*sizes.items(), ("kernel_size", kernel_size)):
            check_whole(size, name)
        check_whole(characters, "characters", 0)
        check_whole(unknown, "unknown", 0)
        for name, share in (("dropout", dropout), ("word_dropout", word_dropout)):
            check_number(share, name, below=1)
        self._arguments: dict[str, Any] = {
            "words": words, "characters": characters, "word_size": word_size, "character_size": character_size,
            "filters": filters, "kernel_size": kernel_size, "dropout": dropout, "word_dropout": word_dropout,
            "unknown": unknown,
        }  # fmt: skip
        self.dropout, self.word_dropout, self.unknown = dropout, word_dropout, unknown
        self.words = torch.nn.Embedding(words, word_size)
        torch.nn.init.normal_(self.words.weight, std=word_size**-0.5)
        self.characters = self.conv = None
        if characters:
            self.characters = torch.nn.Embedding(characters, character_size, padding_idx=0)
            self.conv = torch.nn.Conv1d(character_size, filters, kernel_size, padding="same")
        self.output_size = word_size + (filters if characters else 0)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        now = {name: getattr(self, name) for name in ("dropout", "word_dropout")}
        return {"builder": type(self).__name__, "arguments": self._arguments | now}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, 1 + K] and lengths [B] or None to (features [B, T, F], the lengths, None)."""
        if x.dim() != 3 or (self.conv is None) != (x.shape[2] == 1) or x.is_floating_point():
            more = "" if self.conv is None else " + characters"
            raise ShapeError.of("x", tuple(x.shape), f" and {x.dtype}; expected whole numbers (batch, time, 1{more})")
        if lengths is None:
            features = self._features(x.flatten(0, 1)).view(*x.shape[:2], -1)
        else:
            valid = valid_steps(torch.as_tensor(lengths), x.shape[1], x.device)
            found = self._features(x[valid])
            features = found.new_zeros(*x.shape[:2], found.shape[1]).index_put((valid,), found)
        return features, lengths, None

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        arguments = self.config()["arguments"]
        return f"WordFront({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"

    def _features(self, x: Tensor) -> Tensor:
        """Map words with their characters [N, 1 + K] to features [N, F]."""
        words = x[:, 0]
        if self.training and self.word_dropout:
            dropped = torch.rand(words.shape, device=words.device) < self.word_dropout
            words = words.masked_fill(dropped, self.unknown)
        parts = [self.words(words)]
        if self.conv is not None and self.characters is not None:
            used = x[:, 1:] != 0
            longest = max(1, int(used.sum(1).max()))
            letters, used = x[:, 1 : 1 + longest], used[:, None, :longest]
            found = self.conv(self.characters(letters).transpose(1, 2))
            # A relu is at least 0, so positions behind the word's end never win.
            parts.append(torch.relu(found.masked_fill(~used, 0.0)).amax(2))
        return torch.nn.functional.dropout(torch.cat(parts, 1), self.dropout, self.training)
