"""The padding of a batch, and its valid steps."""

from __future__ import annotations

import torch


def pad_steps(values: torch.Tensor, time: int) -> torch.Tensor:
    """Return values [B, T, ...] with steps of 0 behind them, [B, time, ...]; values themselves where T is the time.

    Example:
        >>> pad_steps(torch.ones(1, 2), 3).tolist()
        [[1.0, 1.0, 0.0]]
    """
    more = time - values.shape[1]
    return torch.cat((values, values.new_zeros(len(values), more, *values.shape[2:])), 1) if more else values


def valid_steps(lengths: torch.Tensor, time: int, device: torch.device) -> torch.Tensor:
    """Return bool [B, T], true at valid steps and false in padding.

    Args:
        lengths: valid steps of each row [B].
        time: T.
        device: of the result.

    Example:
        >>> valid_steps(torch.tensor([1, 3]), 3, torch.device("cpu")).tolist()
        [[True, False, False], [True, True, True]]
    """
    return torch.arange(time, device=device) < lengths.to(device)[:, None]


def valid_pixels(
    heights: torch.Tensor, widths: torch.Tensor, height: int, width: int, device: torch.device
) -> torch.Tensor:
    """Return bool [B, H, W], true within a picture and false in padding.

    Args:
        heights, widths: valid pixels of each picture [B].
        height, width: H and W.
        device: of the result.

    Example:
        >>> valid_pixels(torch.tensor([1]), torch.tensor([2]), 2, 3, torch.device("cpu")).tolist()
        [[[True, True, False], [False, False, False]]]
    """
    rows, columns = valid_steps(heights, height, device), valid_steps(widths, width, device)
    return rows[:, :, None] & columns[:, None, :]
