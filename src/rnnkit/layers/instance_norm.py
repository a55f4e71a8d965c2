"""Reversible instance normalisation: each window by its own level and spread, and the way back.

    y_t = γ (x_t − μ) / σ + β        before a network
    x_t = σ (y_t − β) / γ + μ        behind it

    standard    μ and σ² are the mean and the variance of the window's observed steps: σ² has ε more
    last        μ is the last observed value, σ = 1
    mean        μ = 0, σ = 1 + the mean of |x| over the observed steps

The first form is RevIN (Kim et al. 2022, "Reversible Instance Normalization for Accurate Time-Series Forecasting
against Distribution Shift"). The second one is what NLinear (Zeng et al. 2023) and SegRNN (Lin et al. 2023) do.
The third one is the scale of DeepAR (Salinas et al. 2020), of magnitudes; it keeps counts at 0 or above. Unlike
the paper's code, γ is e^g with a learned g, so that it is positive. The level and the spread of a window are returned,
not kept in the module.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch

from ..errors import ShapeError, check_choice, check_number, check_whole
from .argument_names import explains_arguments

Tensor = torch.Tensor
Form = Literal["standard", "last", "mean"]
FORMS: tuple[Form, ...] = ("standard", "last", "mean")


class Affine(NamedTuple):
    """What leads from normalised values y back to x = scale · y + offset.

    Attributes:
        scale, offset: [B, 1, F]; each scale is above 0.
    """

    scale: Tensor
    offset: Tensor


class ReversibleNorm(torch.nn.Module):
    """Normalises each window by its own level and spread, and returns what leads back; the module has the equations.

    Legend: B windows, T time, F features.

    Args:
        features: F.
        form: "standard" (mean and standard deviation), "last" (the last value is subtracted) or "mean" (the values are
            divided by 1 and their mean magnitude).
        affine: whether γ and β are learned, one of each a feature; else they are 1 and 0.
        eps: ε.

    Shapes:
        x [B, T, F] → y [B, T, F], and an affine map with scale and offset [B, 1, F].

    Raises:
        ConfigError: an unknown form, or a number out of range. ShapeError: an input that does not fit.

    Example:
        >>> import torch, rnnkit
        >>> norm = rnnkit.ReversibleNorm()
        >>> x = 20 + 5 * torch.randn(2, 10, 1)
        >>> y, back = norm(x)
        >>> bool(y.mean(1).abs().max() < 1e-5), bool(torch.allclose(norm.inverse(y, back), x, atol=1e-4))
        (True, True)
    """

    @explains_arguments({"num_features": "features", "input_size": "features"})
    def __init__(self, features: int = 1, form: Form = "standard", *, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        check_whole(features, "features")
        check_choice(form, "form", FORMS)
        check_number(eps, "eps", above=0)
        self.features, self.form, self.affine, self.eps = features, form, affine, eps
        self.log_gain = torch.nn.Parameter(torch.zeros(features)) if affine else None
        self.shift = torch.nn.Parameter(torch.zeros(features)) if affine else None

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("features", "form", "affine", "eps")
        return {"builder": type(self).__name__, "arguments": {name: getattr(self, name) for name in names}}

    def forward(self, x: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Affine]:
        """Normalise windows.

        Args:
            x: [B, T, F].
            observed: [B, T], 1 or true at the steps whose values were observed; None: all were. Other steps are
                normalised, too, but the level and the spread do not depend on them. A window without any has level 0
                and spread 1.

        Returns:
            y [B, T, F], and the map that leads back.

        Raises:
            ShapeError: x or observed does not fit.
        """
        if x.dim() != 3 or x.shape[2] != self.features:
            raise ShapeError.of("x", tuple(x.shape), f"; expected (batch, time, {self.features})")
        if observed is not None and observed.shape != x.shape[:2]:
            raise ShapeError.of("observed", tuple(observed.shape), f"; expected {tuple(x.shape[:2])}, a number a step")
        seen = None if observed is None else (observed != 0)[:, :, None]
        level, spread = {"last": self._last, "mean": self._mean, "standard": self._standard}[self.form](x, seen)
        y = (x - level) / spread
        if self.log_gain is None or self.shift is None:
            return y, Affine(spread, level)
        gain = self.log_gain.exp()
        scale = spread / gain
        return y * gain + self.shift, Affine(scale, level - self.shift * scale)

    def inverse(self, y: Tensor, affine: Affine) -> Tensor:
        """Lead values y [B, S, F] back to x [B, S, F], by what the call returned."""
        return y * affine.scale + affine.offset

    def _last(self, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        one = torch.ones_like(x[:, :1])
        if seen is None:
            return x[:, -1:], one
        steps = torch.arange(1, x.shape[1] + 1, device=x.device)[None, :, None]
        last = (steps * seen).amax(1, keepdim=True)  # 0 where no step was observed
        level = x.gather(1, (last - 1).clamp(min=0).expand_as(one))
        return torch.where(last > 0, level, torch.zeros_like(level)), one

    def _mean(self, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        zero = torch.zeros_like(x[:, :1])
        if seen is None:
            return zero, 1 + x.abs().mean(1, keepdim=True)
        size = torch.where(seen, x.abs(), zero).sum(1, keepdim=True)
        return zero, 1 + size / seen.sum(1, keepdim=True).clamp(min=1)

    def _standard(self, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        if seen is None:
            var, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
            return mean, (var + self.eps).sqrt()
        count = seen.sum(1, keepdim=True)
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        mean = torch.where(seen, x, zero).sum(1, keepdim=True) / count.clamp(min=1)
        square = torch.where(seen, x - mean, zero).square().sum(1, keepdim=True)
        var = torch.where(count > 0, square / count.clamp(min=1), torch.ones_like(square))
        return mean, (var + self.eps).sqrt()

    def extra_repr(self) -> str:
        return f"features={self.features}, form={self.form!r}, affine={self.affine}"
