"""The loss of cells of a picture that predict things one by one; one cell and step predicts each thing.

Each cell of a grid predicts K things: the logits z of C classes and "no thing", and four numbers v. In the cell (i, j)
with side s and middle (x, y) = (s (j + 1/2), s (i + 1/2)), the box predicted has

    the middle (x + s v_1, y + s v_2),   the width s e^{v_3},   the height s e^{v_4}

All cells and steps of a picture predict one set of K H W things. An assignment f gives each true box one of them, and
no two the same, with the smallest sum of

    d + (1 − p) + κ k + λ a

where d is the mean absolute difference of the four numbers, p the probability of the box's class, k the step from 0,
and a how far the middle of the box lies from the middle of the cell, in sides, the larger of both directions. Cells
with an a above 1 may not predict it. So a box in the middle of a cell is predicted by this cell, and one between two
cells by the one with the higher confidence; the other one learns to leave it. No box is predicted twice, so nothing has
to be suppressed. The loss is

    L = −1/N Σ ln softmax(z)[class]  +  α/N Σ_n (d_n + 1 − GIoU_n)

over all cells and steps, with the class of the assigned box, or "no thing". Cells whose middle lies in a box of class
−(c + 2), as of a crowd, may predict class c in place of "no thing", and in a box of class −1 any class: the
probabilities of what they may predict are added.

Variant: Stewart et al. 2016 ("End-to-end people detection in crowded scenes") match within each cell and join what
neighbours predict afterwards; here the cells of a picture are matched at once, as Carion et al. 2020 ("End-to-end
object detection with transformers") match all that a picture's decoder predicts.

Legend: B pictures, C classes, H × W cells, K things a cell, S boxes of a picture at most, N boxes of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import DataError, ShapeError
from .box_sides import generalised_overlaps
from .centre_loss import not_judged
from .set_matching import assign

_FAR = 1e6  # the cost of a cell that may not predict a box
_LARGEST = 6.0  # e^6 sides of a cell


def cell_loss(
    output: Tensor,
    targets: Tensor,
    counts: Tensor,
    stride: int,
    *,
    alpha: float = 2.0,
    kappa: float = 0.1,
    away: float = 2.0,
) -> Tensor:
    """Compute L; see the module.

    Args:
        output: [B, H, W, K, C + 1 + 4]: the logits, the last for "no thing", then v.
        targets: [B, S, 5]: the class of a box, then left, top, right, bottom in pixels; anything behind a row's count.
        counts: boxes of each picture [B].
        stride: s, the side of a cell in pixels.
        alpha: α, what the boxes weigh.
        kappa: κ, what makes the first steps predict the first things.
        away: λ, what makes a cell predict the boxes in its middle.

    Raises:
        ShapeError: shapes that do not fit. DataError: a picture has more boxes than its cells can predict.
        MissingExtraError: scipy is not installed.

    Example:
        >>> output = torch.zeros(1, 1, 2, 1, 6)
        >>> output[0, 0, :, 0, :2] = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])
        >>> loss = cell_loss(output, torch.tensor([[[0.0, 0, 0, 16, 16]]]), torch.tensor([1]), 16)
        >>> round(loss.item(), 3)
        0.0
    """
    if output.dim() != 5 or output.shape[-1] < 6 or targets.dim() != 3 or targets.shape[2] != 5:
        raise ShapeError(
            f"cells {list(output.shape)} and targets {list(targets.shape)} arrived; expected [B, H, W, K, C + 5] and "
            "[B, S, 5]"
        )
    most = output[0, ..., 0].numel()
    if len(counts) and int(counts.max()) > most:
        raise DataError(
            f"a picture has {int(counts.max())} boxes, and its cells predict {most} things at most; expected no more: "
            "take larger pictures (model.size), or more things a cell (model.steps)"
        )
    targets, counts = targets.to(output.device), counts.to(output.device)
    logits, values = output[..., :-4], output[..., -4:]
    none = logits.shape[-1] - 1
    there = torch.arange(targets.shape[1], device=output.device) < counts[:, None]
    judged = there & (targets[..., 0] >= 0)
    picture, box = judged.nonzero(as_tuple=True)
    wanted = torch.full(logits.shape[:-1], none, device=output.device)
    total = output.new_zeros(())
    if len(picture):
        place = _places(logits.detach(), values.detach(), targets, judged, stride, kappa=kappa, away=away)[picture, box]
        predicted = values.flatten(1, 3)[picture, place]
        true = targets[picture, box]
        middle = _middles(output, stride).flatten(0, 2)[place]
        distance = (predicted - _numbers(true[:, 1:], middle, stride)).abs().mean(-1)
        overlap = generalised_overlaps(_boxes(predicted, middle, stride), true[:, 1:])
        wanted.view(len(output), -1)[picture, place] = true[:, 0].long()
        total = alpha * (distance + 1 - overlap).sum()
    probabilities = logits.log_softmax(-1)
    entropy = -probabilities.gather(-1, wanted[..., None])[..., 0]
    aside = not_judged(targets, there, none, output.shape[1:3], stride)
    if aside is not None:
        allowed = torch.cat([aside.movedim(1, -1), aside.new_ones(*aside[:, 0].shape, 1)], -1)[:, :, :, None]
        either = -probabilities.masked_fill(~allowed, -torch.inf).logsumexp(-1)
        entropy = torch.where(wanted == none, either, entropy)
    return (entropy.sum() + total) / max(len(picture), 1)


def boxes_of_cells(values: Tensor, stride: int) -> Tensor:
    """Return the boxes that cells predict, [B, H, W, K, 4]; see the module.

    Args:
        values: v, [B, H, W, K, 4].
        stride: s.

    Example:
        >>> boxes_of_cells(torch.zeros(1, 1, 2, 1, 4), 16)[0, 0, :, 0].tolist()
        [[0.0, 0.0, 16.0, 16.0], [16.0, 0.0, 32.0, 16.0]]
    """
    return _boxes(values, _middles(values, stride), stride)


def _places(
    logits: Tensor, values: Tensor, targets: Tensor, judged: Tensor, stride: int, *, kappa: float, away: float
) -> Tensor:
    """Return the cell and step, as one number, that predicts each box, [B, S]; −1 for boxes that are not judged."""
    middle = _middles(values, stride)
    found = torch.full(targets.shape[:2], -1, device=values.device)
    steps = torch.arange(values.shape[3], device=values.device).expand(values.shape[1:4]).flatten()
    p = logits.softmax(-1).flatten(1, 3)
    for number, rows in enumerate(judged):
        true = targets[number, rows]
        if not len(true):
            continue
        centre = (true[:, 1:3] + true[:, 3:]) / 2
        flat = middle.flatten(0, 2)
        apart = (centre[:, None] - flat[None]).abs().amax(-1) / stride
        wanted = _numbers(true[:, None, 1:], flat[None], stride)
        distance = (wanted - values[number].flatten(0, 2)[None]).abs().mean(-1)
        cost = distance + 1 - p[number][:, true[:, 0].long()].T + kappa * steps + away * apart + _FAR * (apart > 1)
        found[number, rows] = assign(cost).to(found.device)
    return found


def _middles(cells: Tensor, stride: int) -> Tensor:
    """Return the middle of each cell, [H, W, K, 2], x and y in pixels, of cells [B, H, W, K, …]."""
    height, width, steps = cells.shape[1:4]
    y = stride * (torch.arange(height, device=cells.device) + 0.5)
    x = stride * (torch.arange(width, device=cells.device) + 0.5)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)
    return grid[:, :, None].expand(height, width, steps, 2)


def _numbers(boxes: Tensor, middle: Tensor, stride: int) -> Tensor:
    """Return v of boxes [..., 4] predicted by cells with these middles."""
    centre = ((boxes[..., :2] + boxes[..., 2:]) / 2 - middle) / stride
    size = ((boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3) / stride).log().expand_as(centre)
    return torch.cat([centre, size], -1)


def _boxes(values: Tensor, middle: Tensor, stride: int) -> Tensor:
    """Return the boxes of v."""
    centre = middle + stride * values[..., :2]
    half = stride * values[..., 2:].clamp(max=_LARGEST).exp() / 2
    return torch.cat([centre - half, centre + half], -1)
