"""Convolutions over pictures, in front of a recurrent body: fewer pixels, more channels.

For each stage with F channels and a stride S, on a map x,

    a = relu(norm(conv_3(x)))                          every S-th pixel
    a = relu(a + norm(conv_3(relu(norm(conv_3(a))))))  for each of the blocks; without a + where ``residual=False``

``norm`` is layer normalisation over the channels of each pixel, where neither the size of the batch nor padding changes
anything, or batch normalisation: :mod:`rnnkit.layers.map_norm`. Residual blocks follow He et al. 2016.

Legend: B pictures, C channels in, H height, W width, F channels of the last stage, s product of the strides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import prod
from statistics import median
from typing import Any, Literal

import torch

from ..errors import ConfigError, check_choice, check_whole
from ..ops.machine import synchronise
from ..ops.padding import valid_pixels
from ._checks import Lengths
from ._exports import NotScriptable
from ._picture_checks import check_pixels, check_sizes
from .argument_names import explains_arguments
from .map_norm import Norm, convolved, map_norm, masked_map

Tensor = torch.Tensor
Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
_WORTH = 0.9
"""The share of the usual form's time below which another form is chosen: less is noise."""


class PictureFront(NotScriptable):
    """Convolutions over pictures; equations in :mod:`rnnkit.layers.picture_front`.

    Args:
        input_size: C.
        channels: of each stage.
        strides: of each stage.
        blocks: pairs of convolutions behind the first one of each stage.
        residual: whether what goes into a block is added to what comes out.
        norm: ``"layer"`` over the channels of each pixel, or ``"batch"`` over the pixels of each channel.
        precision: ``"bfloat16"`` computes the convolutions so, and keeps weights and results in float32.
        channels_last: whether maps lie in memory with their channels last.

    Attributes:
        stride: s, so many pixels become one, in each direction.
        output_size: F.
        form: precision and memory layout in words, as a profile names them.

    Shapes:
        x [B, C, H, W] (and ``heights`` [B], ``widths`` [B]) → [B, F, ceil(H / s), ceil(W / s)]. Nothing outside of a
        picture's height and width is read; the map is 0 there.

    Raises:
        ConfigError: sizes that do not fit. ShapeError: pictures or sizes that do not fit.

    Example:
        >>> import torch
        >>> front = PictureFront(3, channels=(16, 32), strides=(2, 2))
        >>> tuple(front(torch.randn(4, 3, 28, 21)).shape), front.form
        ((4, 32, 7, 6), 'float32')
    """

    @explains_arguments({"in_channels": "input_size", "filters": "channels", "out_channels": "channels"})
    def __init__(
        self,
        input_size: int,
        channels: Sequence[int] = (32, 64),
        strides: Sequence[int] = (2, 2),
        *,
        blocks: int = 1,
        residual: bool = True,
        norm: Norm = "layer",
        precision: Precision = "float32",
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        channels, strides = tuple(channels), tuple(strides)
        check_whole(input_size, "input_size")
        check_whole(blocks, "blocks", 0)
        check_choice(precision, "precision", PRECISIONS)
        if len(channels) != len(strides) or not strides or min(*channels, *strides) < 1:
            raise ConfigError(
                f"channels={channels} and strides={strides} arrived; expected one of each for every stage, at least 1"
            )
        self.input_size, self.channels, self.strides = input_size, channels, strides
        self.blocks, self.residual, self.norm = blocks, bool(residual), norm
        self.precision, self.channels_last = precision, bool(channels_last)
        self.convs, self.norms = torch.nn.ModuleList(), torch.nn.ModuleList()
        before = input_size
        for width, stride in zip(channels, strides, strict=True):
            for number in range(1 + 2 * blocks):
                self.convs.append(
                    torch.nn.Conv2d(before, width, 3, stride if number == 0 else 1, padding=1, bias=False)
                )
                self.norms.append(map_norm(norm, width))
                before = width

    @property
    def output_size(self) -> int:
        """F, the channels of the map."""
        return self.channels[-1]

    @property
    def stride(self) -> int:
        """s, the pixels that become one in each direction."""
        return prod(self.strides)

    @property
    def form(self) -> str:
        """Precision and memory layout in words."""
        return self.precision + (", channels last" if self.channels_last else "")

    def output_sizes(self, heights: Lengths, widths: Lengths) -> tuple[Tensor, Tensor]:
        """Return the heights and widths of the maps of pictures with these heights and widths, int64 [B] each."""
        found = [torch.as_tensor(heights), torch.as_tensor(widths)]
        for stride in self.strides:
            found = [-(-one // stride) for one in found]
        return found[0], found[1]

    def forward(self, x: Tensor, heights: Lengths | None = None, widths: Lengths | None = None) -> Tensor:
        """Map pictures [B, C, H, W] to [B, F, ceil(H / s), ceil(W / s)]; see the class."""
        check_pixels(x, self.input_size, self)
        sizes = check_sizes(heights, widths, len(x), x.shape[2], x.shape[3])
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        usual = x.dtype
        if self.precision == "bfloat16":
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                return self._stages(x, sizes).to(usual)
        return self._stages(x, sizes)

    def fastest_form(self, x: Tensor, *, repeats: int = 3) -> dict[str, float]:
        """Measure a forward and a backward pass in each form, and take another form than float32 where it is faster.

        The weights and their gradients stay as they are.

        Args:
            x: pictures as they will come [B, C, H, W].
            repeats: measurements of each form, in turn; their median counts.

        Returns:
            milliseconds by form.

        Example:
            >>> import torch
            >>> front = PictureFront(1, channels=(4,), strides=(2,))
            >>> list(front.fastest_form(torch.randn(2, 1, 8, 8), repeats=1))
            ['float32', 'float32, channels last', 'bfloat16', 'bfloat16, channels last']
        """
        check_pixels(x, self.input_size, self)
        check_whole(repeats, "repeats")
        forms = [(precision, last) for precision in PRECISIONS for last in (False, True)]
        before, times = (self.precision, self.channels_last), {form: [0.0] * 0 for form in forms}
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        try:
            for repeat in range(repeats + 1):  # the first is not counted
                for form in forms:
                    self.precision, self.channels_last = form
                    began = time.perf_counter()
                    with torch.enable_grad():
                        total = self(x.detach()).sum()
                        if weights:
                            torch.autograd.grad(total, weights)
                    synchronise(x.device)
                    if repeat:
                        times[form].append(1e3 * (time.perf_counter() - began))
        finally:
            self.precision, self.channels_last = before
        found = {form: median(each) for form, each in times.items()}
        usual, best = forms[0], min(forms, key=found.__getitem__)
        self.precision, self.channels_last = best if found[best] < _WORTH * found[usual] else usual
        return {precision + (", channels last" if last else ""): found[precision, last] for precision, last in forms}

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this module again, for ``rnnkit.load``."""
        names = ("input_size", "channels", "strides", "blocks", "residual", "norm", "precision", "channels_last")
        found = {name: getattr(self, name) for name in names}
        return {"builder": "PictureFront", "arguments": found | {name: list(found[name]) for name in names[1:3]}}

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        return f"PictureFront({', '.join(f'{name}={one!r}' for name, one in self.config()['arguments'].items())})"

    def _stages(self, x: Tensor, sizes: tuple[Tensor, Tensor] | None) -> Tensor:
        parts: Any = iter(zip(self.convs, self.norms, strict=True))

        def layer(x: Tensor, valid: Tensor | None) -> Tensor:
            conv, norm = next(parts)
            return convolved(conv, norm, x, valid)

        x = masked_map(x, _valid(x, 1, sizes))
        for stride in self.strides:
            if sizes is not None:
                sizes = (-(-sizes[0] // stride), -(-sizes[1] // stride))
            valid = _valid(x, stride, sizes)
            x = torch.relu(layer(x, valid))
            for _ in range(self.blocks):
                y = torch.relu(layer(x, valid))
                y = layer(y, valid)
                x = torch.relu(x + y if self.residual else y)
        return x


def _valid(x: Tensor, stride: int, sizes: tuple[Tensor, Tensor] | None) -> Tensor | None:
    """Return which places of a map behind a stride are within their pictures [B, 1, H, W]; None: all are."""
    if sizes is None:
        return None
    height, width = (-(-size // stride) for size in x.shape[2:])
    return valid_pixels(*sizes, height, width, x.device)[:, None]
