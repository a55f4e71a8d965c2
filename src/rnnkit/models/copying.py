"""Copying tokens of the source: the pointer-generator of See, Liu & Manning 2017.

Legend: B batch, T steps of the decoder, S steps of the source, V vocabulary, K extra words of the sources.
"""

from __future__ import annotations

import torch

Tensor = torch.Tensor
_LEAST = 1e-10  # a probability, so that its logarithm is finite


class Copying(torch.nn.Module):
    """Mix the generator's distribution over V words with the attention over the words of the source.

        g_t = σ(w · [h_t; c_t; y_{t-1}] + b)
        P_t(w) = g_t softmax(z_t)_w + (1 − g_t) Σ_{i: x_i = w} a_ti

    The words of a source that the vocabulary lacks are numbered from V on, anew for each source. So P_t is over V + K
    words, with K the most of them that a source of the batch has.

    Args:
        features: of [h_t; c_t; y_{t-1}] together.

    Example:
        >>> copying = Copying(4)
        >>> ids = torch.tensor([[1, 5]])  # 5 is a word that the vocabulary of 5 lacks
        >>> log_p = copying(torch.zeros(1, 1, 5), torch.zeros(1, 1, 4), torch.tensor([[[0.5, 0.5]]]), ids, 1)
        >>> tuple(log_p.shape), round(log_p.exp().sum().item(), 4)
        ((1, 1, 6), 1.0)
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gate = torch.nn.Linear(features, 1)

    def forward(self, logits: Tensor, features: Tensor, weights: Tensor, ids: Tensor, extra: int) -> Tensor:
        """Return ln P.

        Args:
            logits: z [B, T, V].
            features: [h_t; c_t; y_{t-1}], [B, T, ·].
            weights: a [B, T, S].
            ids: x [B, S], with numbers from V on for words that the vocabulary lacks.
            extra: K.

        Returns:
            [B, T, V + K].
        """
        generate = self.gate(features).sigmoid()
        mixed = generate * logits.softmax(-1)
        if extra:
            mixed = torch.nn.functional.pad(mixed, (0, extra))
        copied = (1 - generate) * weights
        index = ids[:, None].expand(-1, logits.shape[1], -1)
        found: Tensor = mixed.scatter_add(-1, index, copied).clamp_min(_LEAST).log()
        return found
