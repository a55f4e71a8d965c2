"""A network that says of each pixel what it belongs to: convolutions down, context at the coarsest map, and up again.

With E_0 … E_n the stages of :class:`rnnkit.PictureFront`, of which all but E_0 halve the map, and D_k a stage that
halves nothing,

    e_0 = E_0([x, 1])       e_k = E_k(e_{k-1})                          k = 1 … n
    d_n = e_n + W context(e_n)                                          without a context: e_n
    d_k = D_k(e_k + up(W_k d_{k+1}))                                    k = n − 1 … 0
    y   = W_y d_0 + b_y                                                 the logits of the classes of each pixel
    s   = W_s d_0 + b_s                                                 further logits of each pixel, if it has some

``up`` repeats each value 2 × 2 times. The 1 is a channel of its own: the first stage normalises the channels of each
pixel, and would not know bright from dark without it. A small network knows the edges from e_0 and the surroundings
from d_n; a :class:`rnnkit.ReNet` as context has read the whole picture.

Variant: U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with sums in place of concatenations, as LinkNet has them
(Chaurasia & Culurciello 2017, arXiv:1707.03718), and the context of ReSeg (Visin et al. 2016, arXiv:1511.07053).

Legend: B pictures, I channels in, H height, W width, C classes, S shapes, F channels of the coarsest map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch

from ..errors import ConfigError, check_choice, check_number, check_whole
from ..layers._checks import Lengths
from ..layers._exports import NotScriptable
from ..layers._picture_checks import check_pixels, check_sizes
from ..layers.argument_names import explains_arguments
from ..layers.description import describe, short_repr
from ..layers.map_norm import Norm
from ..layers.picture_front import PRECISIONS, PictureFront, Precision
from ..ops.padding import valid_pixels

Tensor = torch.Tensor


class PictureSegmenter(NotScriptable):
    """Classes, and maybe further scores, of each pixel; equations in :mod:`rnnkit.models.picture_segmenter`.

    Args:
        input_size: I.
        outputs: C, the background among them.
        channels: of each stage, from the full size to the coarsest map; each stage but the first halves it.
        blocks: pairs of convolutions of each stage but the first on the way down.
        shapes: S, further logits of each pixel; see ``rnnkit.training.PixelObjective``.
        context: what joins the places of the coarsest map, a module (map [B, F, H', W'], heights, widths) → [B, G, H',
            W'] with an ``output_size`` G, such as :class:`rnnkit.ReNet` or a :class:`rnnkit.PictureFront` without
            strides; None: nothing.
        dropout: probability of dropping a channel of the coarsest map while training.
        norm: of the convolutions: ``"layer"`` over the channels of each pixel, or ``"batch"`` over the pixels of each
            channel; see :mod:`rnnkit.layers.map_norm`.
        precision: ``"bfloat16"`` computes the convolutions so.
        channels_last: whether maps lie in memory with their channels last.

    Attributes:
        stride: pixels that become one of the coarsest map, in each direction.

    Shapes:
        x [B, I, H, W] (and ``heights`` [B], ``widths`` [B]) → logits [B, C + S, H, W], the classes first. Pictures of
        any size are taken. Nothing outside of a picture's height and width is read.

    Raises:
        ConfigError: sizes that do not fit. ShapeError: pictures or sizes that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.PictureSegmenter(3, 2, channels=(4, 8, 16), context=rnnkit.ReNet(16, 8))
        >>> tuple(model(torch.rand(2, 3, 30, 21)).shape), model.stride
        ((2, 2, 30, 21), 4)
    """

    default_objective: ClassVar[str] = "pixels"
    default_metrics: ClassVar[tuple[str, ...]] = ()

    @explains_arguments({"in_channels": "input_size", "classes": "outputs", "filters": "channels"})
    def __init__(
        self,
        input_size: int,
        outputs: int,
        channels: Sequence[int] = (16, 32, 64, 96),
        *,
        blocks: int = 1,
        shapes: int = 0,
        context: torch.nn.Module | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        precision: Precision = "float32",
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        channels = tuple(channels)
        check_whole(input_size, "input_size")
        check_whole(outputs, "outputs")
        check_whole(shapes, "shapes", 0)
        check_whole(blocks, "blocks", 0)
        check_number(dropout, "dropout", below=1)
        check_choice(precision, "precision", PRECISIONS)
        if len(channels) < 2 or min(channels) < 1:
            raise ConfigError.of("channels", channels, "expected those of two stages or more, at least 1 each")
        self.input_size, self.channels, self.blocks, self.dropout = input_size, channels, blocks, dropout
        self.context, self.norm = context, norm

        def front(size: int, width: int, stride: int, blocks: int) -> PictureFront:
            return PictureFront(
                size, (width,), (stride,), blocks=blocks, norm=norm, precision=precision, channels_last=channels_last
            )

        self.down, self.up = torch.nn.ModuleList(), torch.nn.ModuleList()
        before = input_size + 1
        for number, width in enumerate(channels):
            self.down.append(front(before, width, 2 if number else 1, blocks if number else 0))
            before = width
        if context is not None:
            joined: Any = getattr(context, "output_size", None)
            if not isinstance(joined, int):
                raise ConfigError(f"the context {short_repr(context)} does not declare its output_size; give it one")
            self.join = torch.nn.Linear(joined, before)
        self.narrow = torch.nn.ModuleList(torch.nn.Linear(wide, width) for width, wide in pairwise(channels))
        self.up.extend(front(width, width, 1, 0) for width in channels[:-1])
        self.head = torch.nn.Linear(channels[0], outputs)
        self.shape_head = torch.nn.Linear(channels[0], shapes) if shapes else None

    @property
    def stride(self) -> int:
        """The pixels that become one of the coarsest map, in each direction."""
        return 1 << (len(self.channels) - 1)

    @property
    def outputs(self) -> int:
        """C, the classes."""
        return self.head.out_features

    @property
    def shapes(self) -> int:
        """S, the further logits."""
        return 0 if self.shape_head is None else self.shape_head.out_features

    @property
    def precision(self) -> Precision:
        """The precision of the convolutions."""
        found: Any = self.down[0]
        return found.precision  # type: ignore[no-any-return]

    @property
    def channels_last(self) -> bool:
        """Whether maps lie in memory with their channels last."""
        found: Any = self.down[0]
        return bool(found.channels_last)

    def take_form(self, precision: Precision, channels_last: bool) -> None:
        """Compute the convolutions in another precision or layout; the weights stay as they are.

        Args:
            precision: ``"float32"`` or ``"bfloat16"``.
            channels_last: as for the class.
        """
        check_choice(precision, "precision", PRECISIONS)
        for part in self.modules():
            if isinstance(part, PictureFront):
                part.precision, part.channels_last = precision, channels_last

    def forward(self, x: Tensor, heights: Lengths | None = None, widths: Lengths | None = None) -> Tensor:
        """Map pictures [B, I, H, W] to logits [B, C + S, H, W]; see the class."""
        check_pixels(x, self.input_size, self)
        sizes = check_sizes(heights, widths, len(x), x.shape[2], x.shape[3])
        maps, fitting = self._downwards(x, sizes)
        x = maps.pop()
        if self.context is not None:
            heights, widths = fitting[-1]
            x = x + _per_pixel(self.join, self.context(x, heights, widths))
            if heights is not None and widths is not None:  # the join has a bias
                x = x * valid_pixels(heights, widths, x.shape[2], x.shape[3], x.device)[:, None]
        if self.dropout and self.training:
            x = torch.nn.functional.dropout2d(x, self.dropout)
        for level in reversed(range(len(maps))):
            x = maps[level] + _doubled(_per_pixel(self.narrow[level], x), *maps[level].shape[2:])
            x = self.up[level](x, *fitting[level])
        x = x.permute(0, 2, 3, 1)
        y = self.head(x)
        if self.shape_head is not None:
            y = torch.cat([y, self.shape_head(x)], -1)
        found: Tensor = y.permute(0, 3, 1, 2)
        return found

    def _downwards(
        self, x: Tensor, sizes: tuple[Tensor, Tensor] | None
    ) -> tuple[list[Tensor], list[tuple[Tensor | None, Tensor | None]]]:
        """Return the maps of all stages, and the heights and widths of the pictures in each."""
        x = torch.cat([x, x.new_ones(len(x), 1, *x.shape[2:])], 1)
        fitting: list[tuple[Tensor | None, Tensor | None]] = []
        maps = []
        front: Any
        for front in self.down:
            x = front(x, *(sizes or (None, None)))
            if sizes is not None:
                sizes = front.output_sizes(*sizes)
            fitting.append(sizes or (None, None))
            maps.append(x)
        return maps, fitting

    def set_head(self, head: torch.nn.Linear, name: str = "head") -> None:
        """Put another output layer in place; ``config()`` tells its width.

        Args:
            head: the layer.
            name: where it goes.
        """
        setattr(self, name, head)

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model anew, for ``rnnkit.load``; None where the context has none."""
        names = ("input_size", "outputs", "blocks", "shapes", "dropout", "norm", "precision", "channels_last")
        arguments = {name: getattr(self, name) for name in names} | {"channels": list(self.channels)}
        if self.context is not None:
            arguments["context"] = describe(self.context)
            if arguments["context"] is None:
                return None
        return {"builder": "PictureSegmenter", "arguments": arguments}

    def __repr__(self) -> str:
        """The arguments on one line, without the layers inside."""
        context = "" if self.context is None else f", context={short_repr(self.context)}"
        return (
            f"PictureSegmenter({self.input_size}, {self.outputs}, {self.channels}, blocks={self.blocks}, "
            f"shapes={self.shapes}{context})"
        )


def _per_pixel(layer: torch.nn.Module, x: Tensor) -> Tensor:
    """A linear layer over the channels of a map [B, F, H, W]."""
    found: Tensor = layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return found


def _doubled(x: Tensor, height: int, width: int) -> Tensor:
    """A map with each value 2 × 2 times, cut to a size."""
    # Repeating along the pixels keeps the channels last, as the linear layer wrote them.
    y = x.permute(0, 2, 3, 1).repeat_interleave(2, 1).repeat_interleave(2, 2)
    return y[:, :height, :width].permute(0, 3, 1, 2)
