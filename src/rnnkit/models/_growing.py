"""Layers of a vocabulary with more tokens: those that there are keep their weights, new ones are drawn.

Legend: V tokens, E features of an embedding, F of what a linear layer takes.
"""

from __future__ import annotations

import torch
from torch import nn


def grow_embedding(embedding: nn.Embedding, vocabulary: int, generator: torch.Generator | None) -> nn.Embedding:
    """Return an embedding [V, E] of more tokens; new ones are normal numbers of the deviation of those there are."""
    weight = embedding.weight.detach()
    more = torch.randn(vocabulary - len(weight), embedding.embedding_dim, generator=generator)
    more = more * weight.float().std().cpu()
    found: nn.Embedding = nn.Embedding.from_pretrained(torch.cat([weight, more.to(weight)]), freeze=False)
    return found


def grow_linear(linear: nn.Linear, vocabulary: int, generator: torch.Generator | None) -> nn.Linear:
    """Return a linear layer F → V of more tokens; the new ones are drawn from U(−1/√F, 1/√F)."""
    weight, count, bound = linear.weight, vocabulary - linear.out_features, linear.in_features**-0.5
    found = nn.Linear(linear.in_features, vocabulary).to(weight)
    with torch.no_grad():
        found.weight[len(weight) :] = torch.empty(count, linear.in_features).uniform_(
            -bound, bound, generator=generator
        )
        found.bias[len(weight) :] = torch.empty(count).uniform_(-bound, bound, generator=generator)
        found.weight[: len(weight)], found.bias[: len(weight)] = weight, linear.bias
    return found
