"""Boxes by their sides: the generalised intersection over the union of pairs, differentiable.

Legend: N boxes. A box is left, top, right, bottom.
"""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_overlaps(some: Tensor, others: Tensor) -> Tensor:
    """Return the GIoU of pairs of boxes [N, 4], from −1 to 1.

    GIoU = I / U − (E − U) / E, with I the area of the intersection, U that of the union, and E that of the smallest box
    around both (Rezatofighi et al. 2019, "Generalized intersection over union").

    Example:
        >>> generalised_overlaps(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])).tolist()
        [0.0]
    """
    common = _area(torch.maximum(some[:, :2], others[:, :2]), torch.minimum(some[:, 2:], others[:, 2:]))
    around = _area(torch.minimum(some[:, :2], others[:, :2]), torch.maximum(some[:, 2:], others[:, 2:]))
    union = _area(some[:, :2], some[:, 2:]) + _area(others[:, :2], others[:, 2:]) - common
    around, union = around.clamp(min=1e-6), union.clamp(min=1e-6)
    return common / union - (around - union) / around


def _area(corner: Tensor, opposite: Tensor) -> Tensor:
    return (opposite - corner).clamp(min=0).prod(-1)
