"""Normalisation behind a convolution of pictures: over the channels of each pixel, or over all pixels of each channel.

    layer:  y = (x − mean_c x) / sqrt(var_c x + ε) · γ + β      over the channels c of a pixel (Ba et al. 2016)
    batch:  y = (x − μ_c) / sqrt(v_c + ε) · γ + β               μ and v of channel c over all valid pixels of the batch
                                                                (Ioffe & Szegedy 2015)

With ``layer`` the pictures of a batch do not influence each other, and the strength of a pixel as a whole is lost. With
``batch`` it is kept. While training, μ and v depend on the whole batch. In evaluation, and where γ is frozen, they are
running averages, and the normalisation is folded into the weights of the convolution. Of several processes each has
running averages of its own pictures.

Legend: B pictures, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch

from ..errors import check_choice

Tensor = torch.Tensor
Norm = Literal["layer", "batch"]
NORMS: tuple[Norm, ...] = ("layer", "batch")


class MapNorm(torch.nn.BatchNorm2d):
    """Batch normalisation of maps [B, C, H, W] over their valid pixels; equations in :mod:`rnnkit.layers.map_norm`.

    A single pixel has no spread: it is normalised by the running averages always. So is everything where the weight
    requires no gradient, and the running averages stay: what a fine-tuning freezes answers as before.

    Example:
        >>> import torch
        >>> norm = MapNorm(3)
        >>> valid = torch.tensor([[[[True, True, False]]]])
        >>> y = norm(torch.randn(1, 3, 1, 3), valid)
        >>> bool((y[..., 2] == 0).all()), bool(y.sum((0, 2, 3)).abs().max() < 1e-5)
        (True, True)
    """

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Normalise x [B, C, H, W]; valid [B, 1, H, W] booleans, None: all are. The result is 0 where none is."""
        if valid is None:
            return self._normalised(x)
        pixels = valid[:, 0]
        last = x.movedim(1, -1)
        rows = self._normalised(last[pixels].T[None, :, :, None])[0, :, :, 0].T
        return torch.zeros_like(last).index_put((pixels,), rows.to(x.dtype)).movedim(-1, 1)

    @property
    def follows_batches(self) -> bool:
        """Whether it normalises by the mean and the variance of the batch."""
        return self.training and self.weight.requires_grad

    def folded(self, conv: torch.nn.Conv2d) -> tuple[Tensor, Tensor]:
        """Return weights and bias of a convolution that does as `conv` and this normalisation in evaluation do."""
        assert self.running_mean is not None
        assert self.running_var is not None
        gain = self.weight * torch.rsqrt(self.running_var + self.eps)
        before = -self.running_mean if conv.bias is None else conv.bias - self.running_mean
        return conv.weight * gain[:, None, None, None], self.bias + before * gain

    def _normalised(self, x: Tensor) -> Tensor:
        if self.follows_batches and x.numel() > self.num_features:
            return super().forward(x)
        return torch.nn.functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


def map_norm(norm: Norm, channels: int) -> torch.nn.LayerNorm | MapNorm:
    """Return a normalisation of maps with so many channels.

    Raises:
        ConfigError: another kind.
    """
    check_choice(norm, "norm", NORMS)
    return MapNorm(channels) if norm == "batch" else torch.nn.LayerNorm(channels)


def convolved(conv: torch.nn.Conv2d, norm: torch.nn.Module, x: Tensor, valid: Tensor | None = None) -> Tensor:
    """Normalise a convolution of a map [B, C, H, W]; what is not valid [B, 1, H, W] of the result is 0.

    Where a `MapNorm` follows no batches, neither module is called: hooks on them do not see it.
    """
    if not isinstance(norm, MapNorm):
        return masked_map(norm(conv(x).movedim(1, -1)).movedim(-1, 1), valid)
    if norm.follows_batches:
        found: Tensor = norm(conv(x), valid)
        return found
    weight, bias = norm.folded(conv)
    return masked_map(torch.nn.functional.conv2d(x, weight, bias, conv.stride, conv.padding), valid)


def masked_map(x: Tensor, valid: Tensor | None) -> Tensor:
    """Return a map with 0 where it is not valid [B, 1, H, W]."""
    return x if valid is None else torch.where(valid, x, torch.zeros((), dtype=x.dtype, device=x.device))
