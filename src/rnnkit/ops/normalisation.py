"""Layer normalisation of the sums that enter a recurrence.

    N(a) = (a − mean(a)) / sqrt(var(a) + ε)        over the last axis, the variance over n, not n − 1

Variant: Ba, Kiros & Hinton, "Layer normalization" (2016), as in their LSTM. The product with the input and the product
with the state are normalised separately, each over all gates together and each with its own gain. The biases are added
after the gain.
Legend: G gates, H hidden.
"""

from __future__ import annotations

import torch

from .int8 import Int8Weight

Tensor = torch.Tensor

EPS = 1e-5  # as in PyTorch


def normalise(x: Tensor, eps: float = EPS) -> Tensor:
    """Compute N(x) over the last axis: [..., n] to [..., n].

    Example:
        >>> normalise(torch.tensor([[1.0, 3.0]]), eps=0.0)
        tensor([[-1.,  1.]])
    """
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + eps)


def pre_activation(x: Tensor, weight: Tensor | Int8Weight, bias: Tensor | None, gain: Tensor | None) -> Tensor:
    """Compute W x + b, or gain ⊙ N(W x) + b with a gain.

    Args:
        x: [B, I].
        weight: [G·H, I], or the same in 8 bits.
        bias, gain: [G·H], or None.

    Returns:
        [B, G·H].
    """
    if isinstance(weight, Int8Weight):
        product = weight.product(x)
    elif gain is None:
        return torch.nn.functional.linear(x, weight, bias)
    else:
        product = x @ weight.T
    if gain is not None:
        product = gain * normalise(product)
    return product if bias is None else product + bias
