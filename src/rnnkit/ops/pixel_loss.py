"""The loss of classes of pixels, a number a picture: cross-entropy, Dice, and the shares of further scores.

With the judged pixels p of a picture, n of them, their classes c_p, logits z_p, probabilities q_p = softmax(z_p), and
shares t_ps from 0 to 1 with logits s_ps,

    L = 1/n Σ_p −ln q_{p, c_p}
      + w (1 − mean over classes k but the background of (2 Σ_p q_pk [c_p = k] + 1) / (Σ_p q_pk + Σ_p [c_p = k] + 1))
      + 1/n Σ_p Σ_s −(t_ps ln σ(s_ps) + (1 − t_ps) ln(1 − σ(s_ps)))

The second term is one less the Dice coefficient (Milletari et al. 2016, "V-Net", arXiv:1606.04797, without their
squares): a small class counts as much as a large one. The 1 keeps it finite where a picture lacks a class. Pixels of a
class below 0 are not judged. A picture without judged pixels has the loss 0.

Legend: B pictures, C classes, S shapes, H height, W width.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

Tensor = torch.Tensor


def pixel_loss(output: Tensor, targets: Tensor, *, dice: float = 1.0) -> Tensor:
    """Return the loss of each picture [B]; the equation stands in the module.

    Args:
        output: logits [B, C + S, H, W], those of the classes first.
        targets: [B, 1 + S, H, W]: the class of each pixel, 0 for the background, below 0 where it is not judged; then
            the shares.
        dice: w.

    Example:
        >>> sure = torch.tensor([[[[9.0, -9.0]], [[-9.0, 9.0]]]])
        >>> round(pixel_loss(sure, torch.tensor([[[[0.0, 1.0]]]])).item(), 4)
        0.0
    """
    shapes = targets.shape[1] - 1
    classes = output.shape[1] - shapes
    logits, wanted = output[:, :classes], targets[:, 0].long()
    judged = wanted >= 0
    count = judged.flatten(1).sum(1).clamp(min=1).to(output.dtype)
    logs = F.log_softmax(logits, 1)
    known = wanted.clamp(min=0)
    right = logs.gather(1, known[:, None])[:, 0]
    loss = -_sum(right, judged) / count
    if dice and classes > 1:
        found = logs[:, 1:].exp() * judged[:, None]
        true = F.one_hot(known, classes)[..., 1:].permute(0, 3, 1, 2) * judged[:, None]
        both = (found * true).flatten(2).sum(2)
        overlap = (2 * both + 1) / (found.flatten(2).sum(2) + true.flatten(2).sum(2) + 1)
        loss = loss + dice * (1 - overlap.mean(1))
    if shapes:
        each = F.binary_cross_entropy_with_logits(output[:, classes:], targets[:, 1:], reduction="none").sum(1)
        loss = loss + _sum(each, judged) / count
    return loss


def _sum(values: Tensor, judged: Tensor) -> Tensor:
    return torch.where(judged, values, torch.zeros((), dtype=values.dtype, device=values.device)).flatten(1).sum(1)
