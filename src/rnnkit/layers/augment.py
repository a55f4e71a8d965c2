"""Made-up variants of series while training: noise, other heights, other speeds.

    u_t = warp(t)                 a smooth monotone map of the steps of a series to its steps
    y_t = g · x(u_t) + ε_t        x between steps by linear interpolation, g ~ N(1, scale), ε ~ N(0, jitter)

Jitter, scaling and time warping as in Um et al. 2017 (wearable sensors, arXiv:1706.00527); the warp here is a window of
the series stretched to its full length, and one bend of that.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import ConfigError
from ..types import State
from ._checks import Lengths
from .sequence_module import SequenceModule

Tensor = torch.Tensor


class SeriesAugment(SequenceModule):
    """Changes series at random while training, and nothing in evaluation; see the module for the equations.

    Legend: B batch, T time, I input.

    Args:
        jitter: standard deviation of the noise that is added to each value, in the unit of the values.
        scale: standard deviation of the factor, one for each series.
        warp: largest share of a series that a window leaves out, and by which its speed bends.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, T, I], the same lengths, and None for a state.
        What stands behind a row's length in evaluation is what stood there in x.

    Raises:
        ConfigError: a setting below 0, or a warp of 0.5 and more.

    Example:
        >>> import torch, rnnkit
        >>> x = torch.zeros(2, 10, 3)
        >>> changed, lengths, _ = rnnkit.SeriesAugment(jitter=0.1)(x)
        >>> same, lengths, _ = rnnkit.SeriesAugment().eval()(x)
        >>> bool((changed != x).all()), bool((same == x).all())
        (True, True)
    """

    def __init__(self, jitter: float = 0.05, scale: float = 0.1, warp: float = 0.1) -> None:
        super().__init__()
        if min(jitter, scale, warp) < 0 or warp >= 0.5:
            raise ConfigError(
                f"jitter={jitter}, scale={scale}, warp={warp} arrived; expected at least 0, and warp below 0.5"
            )
        self.jitter, self.scale, self.warp = jitter, scale, warp

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        return {
            "builder": type(self).__name__,
            "arguments": {"jitter": self.jitter, "scale": self.scale, "warp": self.warp},
        }

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, I] to (one variant of it, lengths, None)."""
        if not self.training:
            return x, lengths, None
        if self.warp and x.shape[1] > 2:
            x = self._warped(x, lengths)
        if self.scale:
            x = x * (1 + self.scale * torch.randn(len(x), 1, 1, dtype=x.dtype, device=x.device))
        if self.jitter:
            x = x + self.jitter * torch.randn_like(x)
        return x, lengths, None

    def extra_repr(self) -> str:
        return f"jitter={self.jitter}, scale={self.scale}, warp={self.warp}"

    def _warped(self, x: Tensor, lengths: Lengths | None) -> Tensor:
        batch, time = x.shape[:2]
        last = torch.full((batch,), time - 1) if lengths is None else torch.as_tensor(lengths) - 1
        last = last.to(x.device, x.dtype)[:, None]
        left_out, where, bend = torch.rand(3, batch, 1, dtype=x.dtype, device=x.device)
        left_out = self.warp * left_out
        u = torch.arange(time, dtype=x.dtype, device=x.device) / last.clamp(min=1)  # 0 to 1 over a row's steps
        u = u.clamp(max=1)
        u = u + self.warp * (2 * bend - 1) * torch.sin(math.pi * u) / math.pi  # its slope stays above 1 - warp
        u = (left_out * where + (1 - left_out) * u).clamp(0, 1) * last
        low = u.floor().clamp(max=(last - 1).clamp(min=0)).long()
        part = (u - low)[:, :, None]
        rows = torch.arange(batch, device=x.device)[:, None]
        high = torch.minimum(low + 1, last.long())  # never a step behind a row's end
        return torch.lerp(x[rows, low], x[rows, high], part)
