"""Which pixels of a picture or a clip an output depends on: the receptive field as the trained network uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ConfigError, ShapeError
from ..types import Sequences
from ._calls import measuring, output_of, taken, unwrapped

Tensor = torch.Tensor
THRESHOLD = 0.01
OUTPUTS = 8


@dataclass(frozen=True)
class ReceptiveField:
    """How much an output depends on each pixel.

    Attributes:
        gradient: g [H, W], the mean norm of the gradient of an output by the channels of a pixel; of a clip the mean
            over its frames.
        rows, columns: of the smallest upright box around the pixels that the output sees.
        share: of all pixels, those that it sees.
        threshold: the share of the largest gradient from which on a pixel is seen.
        frames: of a clip, [T], the mean of the gradient over the pixels of each frame; None for pictures.
    """

    gradient: Tensor
    rows: int
    columns: int
    share: float
    threshold: float
    frames: Tensor | None = None

    @property
    def extent(self) -> str:
        """The box and the share in words, of a clip also the frames from the first to the last that is seen."""
        height, width = self.gradient.shape
        pixels = f"{self.rows} × {self.columns} of {height} × {width} pixels, {self.share:.0%} of all"
        if self.frames is None:
            return pixels
        return f"{_span(_seen(self.frames, self.threshold))} of {len(self.frames)} frames, {pixels}"

    def __repr__(self) -> str:
        return f"ReceptiveField({self.extent})"


def receptive_field(
    model: torch.nn.Module, inputs: Any, *, threshold: float = THRESHOLD, outputs: int = OUTPUTS
) -> ReceptiveField:
    """Measure which pixels an output depends on, by its gradient.

    g(i, j) = mean over pictures b and outputs o of ‖∂y_{b,o}/∂x_{b,:,i,j}‖. The output of a map [B, K, H', W'] is that
    of its middle place, and that of steps [B, T', K] is that of the middle step, so that what is measured is what one
    place sees. A pixel is seen where g ≥ 0.01 · max g. It is a local measure, that of these weights on these pictures:
    the effective receptive field of Luo et al. 2016 ("Understanding the effective receptive field in deep convolutional
    neural networks"), which is smaller than the largest one possible.

    Args:
        model: any module over pictures.
        inputs: pictures [B, C, H, W]; clips [B, T, C, H, W]; or [B, T, I], such as the columns of a line, which count
            as [B, 1, T, I].
        threshold: the share of the largest gradient that counts as seen.
        outputs: at most so many of K are looked at, evenly spread, one backward pass each.

    Raises:
        ConfigError: a threshold out of range. ShapeError: inputs or outputs of another form.

    Example:
        >>> import torch, rnnkit
        >>> pictures = torch.rand(4, 1, 16, 16)
        >>> receptive_field(torch.nn.Conv2d(1, 2, 3, padding=1), pictures)
        ReceptiveField(3 × 3 of 16 × 16 pixels, 4% of all)
        >>> _ = torch.manual_seed(0)
        >>> field = receptive_field(rnnkit.ReNet(1, 8), pictures)
        >>> field.rows > 3, field.columns > 3
        (True, True)
    """
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold={threshold!r} arrived; expected a share between 0 and 1, such as 0.01")
    model = unwrapped(model)
    with measuring(model):
        given = taken(model, inputs)
        lengths = given.lengths if isinstance(given, Sequences) else None
        if not isinstance(given, Sequences | Tensor):
            raise ShapeError(f"inputs are a {type(given).__name__}; expected pictures [B, C, H, W]")
        values = given.values if isinstance(given, Sequences) else given
        if values.dim() not in (3, 4, 5) or not values.is_floating_point():
            expected = "; expected pictures [B, C, H, W], clips [B, T, C, H, W] or steps [B, T, I]"
            raise ShapeError.of("inputs", list(values.shape), expected)
        x = values + torch.zeros_like(values, requires_grad=True)
        y = _middle(output_of(model, x if lengths is None else Sequences(x, lengths)))
        if len(y) != len(x):
            raise ShapeError(f"the model returned {len(y)} rows for {len(x)} pictures; expected the batch first")
        frames = values.shape[1] if values.dim() == 5 else 1
        total = torch.zeros(frames, *values.shape[-2:], dtype=torch.float64, device=values.device)
        places = torch.linspace(0, y.shape[1] - 1, min(outputs, y.shape[1])).round().long().tolist()
        for place in places:
            # Pictures do not influence each other: the gradient of their sum is the gradient of each.
            (gradient,) = torch.autograd.grad(y[:, place].sum(), x, retain_graph=True, allow_unused=True)
            if gradient is not None:
                channels = gradient.reshape(len(x), frames, -1, *values.shape[-2:])
                total += torch.linalg.vector_norm(channels.double(), dim=2).mean(0)
    each = (total / len(places)).cpu()
    mean = each.mean(0)
    seen = _seen(mean, threshold)
    rows, columns = (_span(seen.any(axis)) for axis in (1, 0))
    over_time = each.mean((1, 2)).float() if values.dim() == 5 else None
    return ReceptiveField(mean.float(), rows, columns, float(seen.double().mean()), threshold, over_time)


def _seen(gradient: Tensor, threshold: float) -> Tensor:
    """Where a gradient is above 0, and at least a share of its largest value."""
    return (gradient >= threshold * gradient.max()) & (gradient > 0)


def _span(seen: Tensor) -> int:
    """How many there are from the first that is seen to the last."""
    places = seen.nonzero()[:, 0]
    return int(places[-1] - places[0]) + 1 if len(places) else 0


def _middle(y: Tensor) -> Tensor:
    """The outputs of the middle place or step, [B, K]."""
    if y.dim() == 4:
        return y[:, :, y.shape[2] // 2, y.shape[3] // 2]
    if y.dim() == 3:
        return y[:, y.shape[1] // 2]
    if y.dim() in (1, 2):
        return y if y.dim() == 2 else y[:, None]
    raise ShapeError.of("the output", list(y.shape), "; expected [B, K], [B, T, K] or [B, K, H, W]")
