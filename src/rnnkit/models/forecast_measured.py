"""A forecaster as what measures networks calls it: windows in, all outputs of a window in one row out."""

from __future__ import annotations

from typing import Any

import torch

from ..ops.losses import LossFunction, resolve_loss

Tensor = torch.Tensor


class MeasuredForecaster(torch.nn.Module):
    """Maps windows x [B, L + H, C] to the forecaster's outputs [B, H · M], whose axes no reader takes for time.

    A :class:`rnnkit.DeepAR` is given the true targets of the horizon, as in training: samples have no gradients.

    Args:
        model: a forecaster.
        targets: [N, H] of the windows that it will be called with, in their order, N ≥ B.
        loss: that it was trained with; None: its own.

    Example:
        >>> import rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> model = rnnkit.DeepAR(WindowLayout(lookback=8, horizon=3), hidden_size=4)
        >>> tuple(MeasuredForecaster(model, torch.zeros(5, 3))(torch.zeros(2, 11, 1)).shape)
        (2, 6)
    """

    def __init__(self, model: Any, targets: Tensor, loss: str | LossFunction | None = None) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("targets", targets, persistent=False)
        self._loss = resolve_loss(loss, model).function

    def forward(self, x: Tensor) -> Tensor:
        """Map windows to outputs, one row a window."""
        targets: Any = self.targets
        raw = self.model(x, targets[: len(x)]) if getattr(self.model, "reads_targets", False) else self.model(x)
        horizon: Tensor = raw[0] if isinstance(raw, tuple) else raw  # while training, the lookback's outputs come along
        return horizon.flatten(1)

    def default_loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of outputs [B, H · M] and targets [B, H]."""
        shape = targets.shape if output.shape == targets.shape else (*targets.shape, -1)
        found: Tensor = self._loss(output.reshape(shape), targets)
        return found
