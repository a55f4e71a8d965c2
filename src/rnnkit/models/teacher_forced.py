"""An encoder–decoder whose targets are given, as a model from sources to logits: for what measures such models."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

Tensor = torch.Tensor


class TeacherForced(torch.nn.Module):
    """logits = model(x, previous, lengths), with the labels before each step given once and for all.

    Legend: B batch, S steps of a source, T steps of a target, V vocabulary.

    Args:
        model: an :class:`rnnkit.EncoderDecoder`.
        previous: what the decoder reads [N, T], N ≥ B: the start, then the targets without their last.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.EncoderDecoder(rnnkit.GRU(8, 6, bidirectional=True), rnnkit.GRU(8, 10), 20, 30)
        >>> tuple(TeacherForced(model, torch.randint(30, (4, 7)))(torch.randint(20, (2, 5))).shape)
        (2, 7, 30)
    """

    default_loss: ClassVar[str] = "cross_entropy"

    def __init__(self, model: torch.nn.Module, previous: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("previous", previous, persistent=False)

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """Map sources [B, S], also as floats, to logits [B, T, V]."""
        previous: Any = self.previous
        logits: Tensor = self.model(x.long(), previous[: len(x)], lengths)
        return logits
