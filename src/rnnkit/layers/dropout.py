"""Dropout as language models use it: one mask for all steps of a call, and whole words of an embedding.

Legend: B batch, T time, F features, V vocabulary, E features of an embedding.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import check_number
from ..ops.draws import bernoulli
from ..types import State
from ._checks import Lengths
from .sequence_module import SequenceModule, masked

Tensor = torch.Tensor


class VariationalDropout(SequenceModule):
    """y_t = m ⊙ x_t with one mask m for all steps of a call; m is 0 with probability p, else 1 / (1 − p).

    Variant: Gal & Ghahramani 2016 ("A theoretically grounded application of dropout in recurrent neural networks"),
    between layers, one mask a row, as in Merity et al. 2018. With carried states the mask is drawn again for each
    chunk.

    Args:
        p: probability of dropping a feature while training, in [0, 1).

    Shapes:
        x [B, T, F] (and ``lengths`` [B]) → y [B, T, F], 0 behind a row's length, the same lengths, no state.

    Raises:
        ConfigError: p out of range.

    Example:
        >>> y, _, _ = VariationalDropout(0.5)(torch.ones(1, 3, 8))
        >>> bool((y[:, 0] == y[:, 2]).all())
        True
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_number(p, "p", below=1)
        self.p = p

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this layer again."""
        return {"builder": "VariationalDropout", "arguments": {"p": self.p}}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Drop features of x [B, T, F]; see the class."""
        return self.forward_chunk(x, lengths=lengths)[0], lengths, None

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        return masked(drop_features(x, self.p) if self.training else x, lengths), None

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Embedding(torch.nn.Embedding):
    """PyTorch's embedding, which drops whole tokens while training: v ↦ m_v E_v, with one mask m [V] a call.

    m_v is 0 with probability p, else 1 / (1 − p), so a token is dropped wherever it occurs in the call (embedding
    dropout, Gal & Ghahramani 2016; Merity et al. 2018).

    Args:
        num_embeddings, embedding_dim, padding_idx: as ``torch.nn.Embedding`` takes them.
        dropout: p, in [0, 1).

    Shapes:
        ids v [B, T] → [B, T, E].

    Raises:
        ConfigError: dropout out of range.

    Example:
        >>> embedding = Embedding(10, 4, dropout=0.5)
        >>> y = embedding(torch.tensor([[3, 3, 3]]))
        >>> bool((y[0, 0] == y[0, 2]).all()), tuple(y.shape)
        (True, (1, 3, 4))
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, dropout: float = 0.0
    ) -> None:
        check_number(dropout, "dropout", below=1)
        super().__init__(num_embeddings, embedding_dim, padding_idx)
        self.dropout = dropout

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this layer again."""
        names = ("num_embeddings", "embedding_dim", "dropout", "padding_idx")
        return {"builder": "Embedding", "arguments": {name: getattr(self, name) for name in names}}

    def forward(self, input: Tensor) -> Tensor:
        """Map token ids to their rows; see the class."""
        rows = super().forward(input)
        if not (self.training and self.dropout):
            return rows
        keep = 1 - self.dropout
        return rows * bernoulli((self.num_embeddings,), keep, 1 / keep, rows)[input].unsqueeze(-1)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", dropout={self.dropout}" if self.dropout else "")


def drop_features(x: Tensor, p: float) -> Tensor:
    """Drop features of x [B, T, F] with probability p, the same at all steps of a row; the others grow by 1 / (1 − p).

    Example:
        >>> y = drop_features(torch.ones(1, 3, 8), 0.5)
        >>> bool((y[:, 0] == y[:, 2]).all())
        True
    """
    if not p:
        return x
    return x * bernoulli((x.shape[0], 1, x.shape[2]), 1 - p, 1 / (1 - p), x)
