"""How good predicted frames are: sums of squares, structural similarity, and what costs nothing beside them.

For a predicted frame y and the true one x, with pixels in [0, 1],

    squares = Σ over pixels and channels of (y − x)²
    SSIM = mean over pixels of (2 μ_x μ_y + c₁)(2 σ_xy + c₂) / ((μ_x² + μ_y² + c₁)(σ_x² + σ_y² + c₂))

Means and (co)variances are those of a Gaussian window of 11 × 11 pixels with a deviation of 1.5, within the frame
alone; c₁ = 0.01², c₂ = 0.03² (Wang et al. 2004, "Image quality assessment"). Papers on Moving MNIST call the first
figure, a mean over frames and clips, MSE.

Legend: N clips, S frames, C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ShapeError

_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


class FrameScores(NamedTuple):
    """How good predicted frames are.

    Attributes:
        squares: of each predicted frame, [N, S].
        ssim: the same.
        zero_squares: of black frames in their place.
        last_squares: of the last observed frame, copied.
        last_ssim: its structural similarity.
    """

    squares: Tensor
    ssim: Tensor
    zero_squares: Tensor
    last_squares: Tensor
    last_ssim: Tensor

    @property
    def figures(self) -> dict[str, float]:
        """Means over clips and frames, the first frame's beside them."""
        return {
            "squares": float(self.squares.mean()),
            "first_squares": float(self.squares[:, 0].mean()),
            "ssim": float(self.ssim.mean()),
            "zero_squares": float(self.zero_squares.mean()),
            "last_frame_squares": float(self.last_squares.mean()),
            "last_frame_ssim": float(self.last_ssim.mean()),
        }


def score_frames(predicted: Tensor, true: Tensor, last: Tensor) -> FrameScores:
    """Compare predicted frames with the true ones.

    Args:
        predicted: [N, S, C, H, W] in [0, 1].
        true: of the same shape.
        last: the last observed frame, [N, C, H, W].

    Raises:
        ShapeError: shapes that differ.

    Example:
        >>> true = torch.rand(2, 3, 1, 16, 16)
        >>> scores = score_frames(true, true, true[:, 0])
        >>> scores.figures["squares"], round(scores.figures["ssim"], 3), scores.last_squares[0, 0].item()
        (0.0, 1.0, 0.0)
    """
    if predicted.shape != true.shape or last.shape != true[:, 0].shape:
        raise ShapeError(
            f"predicted {list(predicted.shape)}, true {list(true.shape)} and last {list(last.shape)} arrived; expected "
            "[N, S, C, H, W], the same, and [N, C, H, W]"
        )
    copied = last[:, None].expand_as(true)
    return FrameScores(
        sum_of_squares(predicted, true),
        structural_similarity(predicted, true),
        sum_of_squares(torch.zeros_like(true), true),
        sum_of_squares(copied, true),
        structural_similarity(copied, true),
    )


def sum_of_squares(predicted: Tensor, true: Tensor) -> Tensor:
    """Return Σ (y − x)² over the pixels and channels of each frame, [..., C, H, W] → [...]."""
    return (predicted - true).square().sum((-3, -2, -1))


def structural_similarity(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the SSIM of each frame, [..., C, H, W] → [...]; see the module. Small frames take a smaller window."""
    lead = true.shape[:-3]
    x, y = true.reshape(-1, 1, *true.shape[-2:]), predicted.reshape(-1, 1, *true.shape[-2:])
    window = min(_WINDOW, *(side - 1 + side % 2 for side in true.shape[-2:]))
    places = torch.arange(window, dtype=true.dtype, device=true.device) - window // 2
    line = torch.exp(-(places**2) / (2 * _DEVIATION**2))
    line = line / line.sum()

    def mean(of: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(of, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))

    of_x, of_y = mean(x), mean(y)
    var_x, var_y, both = mean(x * x) - of_x**2, mean(y * y) - of_y**2, mean(x * y) - of_x * of_y
    each = (2 * of_x * of_y + _C1) * (2 * both + _C2) / ((of_x**2 + of_y**2 + _C1) * (var_x + var_y + _C2))
    return each.mean((1, 2, 3)).view(*lead, true.shape[-3]).mean(-1)
