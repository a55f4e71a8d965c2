"""The valid steps of a padded batch."""

from __future__ import annotations

import torch


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
