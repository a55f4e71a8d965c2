"""Which steps of a padded batch are valid."""

from __future__ import annotations

import torch


def valid_steps(lengths: torch.Tensor, time: int, device: torch.device) -> torch.Tensor:
    """Bool [B, T]: true at the steps of rows with these ``lengths`` [B] that are no padding."""
    return torch.arange(time, device=device) < lengths.to(device)[:, None]
