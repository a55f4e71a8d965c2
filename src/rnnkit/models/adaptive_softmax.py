"""The adaptive softmax as the head of a language model, and the loss that trains it.

Legend: B batch, T time, F features, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional as F

from ..errors import ConfigError

Tensor = torch.Tensor


class AdaptiveSoftmax(torch.nn.Module):
    """log p(v | h) in clusters: frequent tokens cost a whole product, rare ones a product of fewer features.

    PyTorch's ``torch.nn.AdaptiveLogSoftmaxWithLoss``, of Grave et al. 2017 ("Efficient softmax approximation for
    GPUs"), whose features fall by 4 from cluster to cluster.

    Args:
        features: F.
        vocabulary: V, sorted by frequency.
        cutoffs: the first ids of the clusters, rising, from 1 to V − 1.

    Shapes:
        h [..., F] → log-probabilities [..., V].

    Raises:
        ConfigError: cutoffs that do not rise, or lie outside the vocabulary.

    Example:
        >>> head = AdaptiveSoftmax(16, 100, (10, 40))
        >>> bool(torch.allclose(head(torch.randn(2, 3, 16)).exp().sum(-1), torch.ones(2, 3), atol=1e-5))
        True
    """

    def __init__(self, features: int, vocabulary: int, cutoffs: Sequence[int]) -> None:
        super().__init__()
        rising = list(cutoffs)
        whole = all(isinstance(one, int) and not isinstance(one, bool) for one in rising)
        if not rising or not whole or rising != sorted(set(rising)) or rising[0] < 1 or rising[-1] >= vocabulary:
            raise ConfigError(
                f"cutoffs={tuple(rising)} arrived; expected rising whole numbers from 1 to {vocabulary - 1}, below the "
                f"vocabulary of {vocabulary}"
            )
        self.clusters = torch.nn.AdaptiveLogSoftmaxWithLoss(features, vocabulary, rising, head_bias=True)

    def forward(self, h: Tensor) -> Tensor:
        """Return the log-probabilities of all tokens."""
        found: Tensor = self.clusters.log_prob(h.flatten(0, -2))
        return found.view(*h.shape[:-1], -1)

    def loss(self, h: Tensor, targets: Tensor) -> Tensor:
        """Return −log p of each target: h [n, F], targets [n] → [n]."""
        found: Tensor = -self.clusters(h, targets).output
        return found


class AdaptiveLoss:
    """The mean of −log p of the targets: of features [n, F] while training, else of log-probabilities [n, V].

    Args:
        head: the model's.
    """

    def __init__(self, head: AdaptiveSoftmax) -> None:
        self._head = head

    def __call__(self, output: Tensor, targets: Tensor, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        if not self._head.training:  # the number of features may be that of the tokens
            return F.nll_loss(output, targets, reduction=reduction)
        each = self._head.loss(output, targets)
        return each.mean() if reduction == "mean" else each
