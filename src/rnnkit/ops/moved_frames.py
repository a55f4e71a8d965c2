"""Frames whose parts are moved: each field of a frame is a blend of shifted copies of what lies around it.

With r the reach, m = 2r + 1, and v and h the weights of a field's shifts down and right, each of m numbers,

    y[a, b] = Σ_i Σ_j v_i h_j x[a + i − r, b + j − r]          a, b in the field

A shift by whole pixels is v and h that are 1 at one place; numbers between lie between two shifts. The weights of a
field make two small matrices of shifted copies of v and of h, so that a field is two products: V X Hᵀ. These are the
dynamic filters of De Brabandere et al. 2016, a product of two as in Niklaus et al. 2017 ("Video frame interpolation via
adaptive separable convolution"), one for each field instead of one for each pixel.

Legend: N frames, C channels, H height, W width, c pixels of a field's side, K motions of a field, R × S fields.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..errors import ShapeError

Tensor = torch.Tensor


def move_fields(frames: Tensor, down: Tensor, right: Tensor, cell: int) -> Tensor:
    """Return the frame that each of K motions makes of frames.

    Args:
        frames: x [N, C, H, W], with H and W multiples of `cell`. Outside a frame the values at its edge are repeated.
        down: v [N, R, S, K, m].
        right: h [N, R, S, K, m].
        cell: c.

    Returns:
        y [N, K, C, H, W].

    Raises:
        ShapeError: shapes that do not fit.

    Example:
        >>> x, one = torch.arange(16.0).view(1, 1, 4, 4), torch.eye(3)
        >>> v, h = (one[at].expand(1, 1, 1, 1, 3) for at in (1, 0))  # nothing down, and the pixel on the left
        >>> move_fields(x, v, h, 4)[0, 0, 0].int().tolist()
        [[0, 0, 1, 2], [4, 4, 5, 6], [8, 8, 9, 10], [12, 12, 13, 14]]
    """
    count, channels, height, width = frames.shape
    rows, columns, motions, taps = down.shape[1:]
    if (rows * cell, columns * cell) != (height, width) or down.shape != right.shape or not taps % 2:
        raise ShapeError(
            f"frames {list(frames.shape)} and weights {list(down.shape)} and {list(right.shape)} arrived; expected "
            f"{[count, height // cell, width // cell]}, motions and an odd number of shifts for fields of {cell} pixels"
        )
    reach, wide = taps // 2, cell + taps - 1
    padded = F.pad(frames, (reach,) * 4, mode="replicate")
    # What each field sees: [N·R·S, w, C·w].
    seen = F.unfold(padded, wide, stride=cell).view(count, channels, wide, wide, rows * columns)
    seen = seen.permute(0, 4, 2, 1, 3).reshape(count * rows * columns, wide, channels * wide)
    from_rows = shifted(down.reshape(-1, motions, taps), cell).flatten(1, 2)  # [N·R·S, K·c, w]
    from_columns = shifted(right.reshape(-1, taps), cell)  # [N·R·S·K, c, w]
    y = torch.bmm(from_rows, seen).view(-1, cell * channels, wide)
    y = torch.bmm(y, from_columns.transpose(1, 2))  # [N·R·S·K, c·C, c]
    y = y.view(count, rows, columns, motions, cell, channels, cell)
    return y.permute(0, 3, 5, 1, 4, 2, 6).reshape(count, motions, channels, height, width)


def shifted(weights: Tensor, cell: int) -> Tensor:
    """Return matrices whose row a has the weights from column a on: [..., m] → [..., c, c + m − 1].

    Example:
        >>> shifted(torch.tensor([1.0, 2.0]), 3).int().tolist()
        [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]]
    """
    taps = weights.shape[-1]
    wide = cell + taps - 1
    # A row of w + 1 numbers behind another one lies one column further right in rows of w.
    long = F.pad(weights, (0, cell)).unsqueeze(-2).expand(*weights.shape[:-1], cell, wide + 1)
    cut = long.reshape(*weights.shape[:-1], cell * (wide + 1))[..., : cell * wide]
    return cut.reshape(*weights.shape[:-1], cell, wide)
