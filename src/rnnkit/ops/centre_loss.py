"""The loss of a map that predicts where the centres of things are, and from each place the sides of its box.

A map has, at the place (i, j) of rows and columns, the scores z_c of C classes and four numbers v. With stride s, the
middle of the place is at (x, y) = (s (j + 1/2), s (i + 1/2)) of the picture, and the box predicted there is

    (x − s e^{v_1}, y − s e^{v_2}, x + s e^{v_3}, y + s e^{v_4})

A true box n of width w_n and height h_n has the weight

    g_n(i, j) = exp(−(x − x_n)² / 2σ_x² − (y − y_n)² / 2σ_y²),    σ_x = α w_n / 6, σ_y = α h_n / 6, at least s / 3

where (x_n, y_n) is the middle of the place that holds its centre. With Y_c = max_n g_n over the boxes of class c and
p_c = σ(z_c), the loss is

    L = −1/N Σ_{c,i,j} { (1 − p)² ln p                 where Y = 1
                       { (1 − Y)⁴ p² ln (1 − p)        elsewhere
      + β/N Σ_n Σ_{i,j} ĝ_n(i, j) (1 − GIoU(predicted, box n))

where each place belongs to the box with the largest g, places with g below 0.1 to none, and ĝ_n is g_n over its sum.
GIoU is the intersection over the union, minus the share of the smallest box around both that neither fills (Rezatofighi
et al. 2019). Within a box whose class is −(c + 2), as of a crowd, nothing is asked of the scores of class c; within one
whose class is −1 nothing is asked of any.

Variant: Zhou et al. 2019 ("Objects as points"), with the regression of Liu et al. 2020 ("Training-time-friendly network
for real-time object detection"): not the centre alone learns the box, so that few passes over the pictures suffice.

Legend: B pictures, C classes, H × W places, S boxes of a picture at most, N boxes of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ShapeError
from .box_sides import generalised_overlaps

_LEAST = 0.1
_FAR = 8.0  # e^8 strides are more than any picture has; without an end a first step could overflow


def centre_loss(
    output: Tensor, targets: Tensor, counts: Tensor, stride: int, *, alpha: float = 0.54, beta: float = 2.0
) -> Tensor:
    """Compute L; see the module.

    Args:
        output: [B, C + 4, H, W].
        targets: [B, S, 5]: the class of a box, then left, top, right, bottom in pixels; anything behind a row's count.
        counts: boxes of each picture [B].
        stride: s.
        alpha: α, how wide the weight of a box is.
        beta: β, what the boxes weigh beside the scores.

    Raises:
        ShapeError: shapes that do not fit.

    Example:
        >>> output = torch.full((1, 5, 4, 4), -9.0)
        >>> output[0, 0, 1, 2], output[0, 1:, 1, 2] = 9.0, torch.tensor([0.5, 0.5, 0.5, 0.5]).log()
        >>> loss = centre_loss(output, torch.tensor([[[0.0, 16, 8, 24, 16]]]), torch.tensor([1]), 8)
        >>> round(loss.item(), 3)
        0.0
    """
    if output.dim() != 4 or targets.dim() != 3 or targets.shape[2] != 5 or output.shape[1] < 5:
        raise ShapeError(
            f"maps {list(output.shape)} and targets {list(targets.shape)} arrived; expected [B, C + 4, H, W] and "
            "[B, S, 5]"
        )
    targets = targets.to(output.device)
    scores, sides = output[:, :-4], output[:, -4:]
    weights, there = _weights(targets, counts.to(output.device), output.shape[2:], stride, alpha)
    boxes = max(int((there & (targets[..., 0] >= 0)).sum()), 1)
    found: Tensor = _score_loss(scores, weights, targets, there, stride) / boxes
    if weights.shape[1]:
        found = found + beta * _box_loss(sides, weights, targets, stride) / boxes
    return found


def predicted_boxes(sides: Tensor, stride: int) -> Tensor:
    """Return the box predicted at each place, [B, H, W, 4]; see the module.

    Args:
        sides: v, [B, 4, H, W].
        stride: s.

    Example:
        >>> predicted_boxes(torch.zeros(1, 4, 1, 2), 8)[0, 0].tolist()
        [[-4.0, -4.0, 12.0, 12.0], [4.0, -4.0, 20.0, 12.0]]
    """
    height, width = sides.shape[2:]
    distances = stride * sides.clamp(max=_FAR).exp().movedim(1, -1)
    y = stride * (torch.arange(height, device=sides.device) + 0.5)[:, None].expand(height, width)
    x = stride * (torch.arange(width, device=sides.device) + 0.5).expand(height, width)
    middle = torch.stack([x, y], -1)
    return torch.cat([middle - distances[..., :2], middle + distances[..., 2:]], -1)


def _weights(targets: Tensor, counts: Tensor, size: torch.Size, stride: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Return g of each box [B, S, H, W], 0 for boxes that are not there or not judged, and which are there [B, S]."""
    height, width = size
    there = torch.arange(targets.shape[1], device=targets.device) < counts[:, None]
    left, top, right, bottom = targets[..., 1:].unbind(-1)
    axes = []
    for low, high, places in ((top, bottom, height), (left, right, width)):
        spread = (alpha * (high - low) / 6 / stride).clamp(min=1 / 3)
        middle = ((low + high) / 2 / stride).floor().clamp(0, places - 1)
        steps = torch.arange(places, device=targets.device) - middle[..., None]
        axes.append(torch.exp(-(steps**2) / (2 * spread[..., None] ** 2)))
    judged = there & (targets[..., 0] >= 0)
    return axes[0][..., :, None] * axes[1][..., None, :] * judged[..., None, None], there


def _score_loss(scores: Tensor, weights: Tensor, targets: Tensor, there: Tensor, stride: int) -> Tensor:
    classes = targets[..., 0]
    wanted = torch.zeros_like(scores)
    for number in range(scores.shape[1] if weights.shape[1] else 0):
        own = weights * (classes == number)[..., None, None]
        wanted[:, number] = own.amax(1)
    p = scores.sigmoid()
    hit = wanted >= 1
    each = torch.where(
        hit,
        (1 - p) ** 2 * torch.nn.functional.logsigmoid(scores),
        (1 - wanted) ** 4 * p**2 * torch.nn.functional.logsigmoid(-scores),
    )
    aside = not_judged(targets, there, scores.shape[1], scores.shape[2:], stride)
    if aside is not None:
        each = each.masked_fill(aside & ~hit, 0.0)
    return -each.sum()


def not_judged(targets: Tensor, there: Tensor, classes: int, size: Sequence[int], stride: int) -> Tensor | None:
    """Return where nothing is asked of the scores of each class, bool [B, C, H, W]; None: nowhere.

    Args:
        targets: [B, S, 5].
        there: which of them are there, bool [B, S].
        classes: C.
        size: (H, W).
        stride: s.
    """
    labels = targets[..., 0]
    if not bool((there & (labels < 0)).any()):
        return None
    found = [
        _within(targets, there & ((labels == -1) | (labels == -(number + 2))), size, stride)
        for number in range(classes)
    ]
    return torch.stack(found, 1)


def _within(targets: Tensor, which: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """Return the places within some of the boxes, bool [B, H, W]."""
    height, width = size
    left, top, right, bottom = (one[..., None] for one in targets[..., 1:].unbind(-1))
    y, x = (stride * (torch.arange(places, device=targets.device) + 0.5) for places in (height, width))
    rows, columns = (top <= y) & (y <= bottom), (left <= x) & (x <= right)
    inside = rows[..., :, None] & columns[..., None, :] & which[..., None, None]
    found: Tensor = inside.any(1)
    return found


def _box_loss(sides: Tensor, weights: Tensor, targets: Tensor, stride: int) -> Tensor:
    largest, box = weights.max(1)
    picture, row, column = (largest >= _LEAST).nonzero(as_tuple=True)
    number = box[picture, row, column]
    share = largest[picture, row, column]
    of_box = torch.zeros(weights.shape[:2], device=share.device).index_put((picture, number), share, accumulate=True)
    share = share / of_box[picture, number]
    predicted = predicted_boxes(sides, stride)[picture, row, column]
    return ((1 - generalised_overlaps(predicted, targets[picture, number, 1:])) * share).sum()
