"""A detector of things in pictures whose cells predict one thing after another, each thing once.

    f = deep(front([x − 1/2, 1]))   a map, whose places are the cells of a grid over the picture
    g = [f, context(f)]             what is in a cell, and what stands around it
    (z, v)_k = decoder(g_ij)        k = 1 … K things that the cell (i, j) predicts: classes and boxes

:mod:`rnnkit.ops.cell_loss` has the loss, and what the numbers mean. Only the state of its decoder knows what a cell has
predicted. As each true thing is predicted by one cell and step, nothing is suppressed afterwards.

Variant: Stewart et al. 2016 ("End-to-end people detection in crowded scenes"), with a context that joins the cells.

Legend: B pictures, C classes, H height, W width, s side of a cell, K things a cell.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError, check_whole
from ..layers._exports import NotScriptable
from ..layers.description import describe, short_repr
from ..layers.picture_front import PictureFront
from ._picture_inputs import check_front, patches_of
from .set_decoder import SetDecoder

Tensor = torch.Tensor
_NONE = 3.0  # the logit of "no thing" that untrained cells predict


class CellDetector(NotScriptable):
    """Tells things cell by cell and step by step; equations in :mod:`rnnkit.models.cell_detector`.

    Args:
        front: a :class:`~rnnkit.layers.picture_front.PictureFront` of the pictures, of 3 p² channels or one more, as
            for :class:`rnnkit.CentreDetector`.
        decoder: a :class:`rnnkit.SetDecoder` of four values.
        context: what joins the cells, such as :class:`rnnkit.ReNet`; None: nothing does.
        deep: a second front behind the first one, with other blocks; None: there is none.
        patch: p, so many rows and columns of pixels become the channels of one place in front of the convolutions.

    Attributes:
        stride: s, the product of p and of the strides of both fronts.

    Shapes:
        x [B, 3, H, W] → [B, ceil(H / s), ceil(W / s), K, C + 1 + 4].

    Raises:
        ConfigError: parts that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.layers.picture_front import PictureFront
        >>> front = PictureFront(3, (8, 16), (4, 4))
        >>> context = rnnkit.ReNet(16, 8)
        >>> decoder = rnnkit.SetDecoder(rnnkit.LSTM(16 + context.output_size, 12), steps=2, classes=3)
        >>> model = rnnkit.CellDetector(front, decoder, context)
        >>> tuple(model(torch.rand(1, 3, 48, 64)).shape), model.stride
        ((1, 3, 4, 2, 8), 16)
    """

    def __init__(
        self,
        front: PictureFront,
        decoder: SetDecoder,
        context: torch.nn.Module | None = None,
        deep: PictureFront | None = None,
        patch: int = 1,
    ) -> None:
        super().__init__()
        check_whole(patch, "patch")
        check_front(front.input_size, patch)
        if decoder.values != 4:
            raise ConfigError(
                f"a decoder of {decoder.values} values arrived; expected one of four: build it with values=4"
            )
        self.front, self.decoder, self.context, self.deep, self.patch = front, decoder, context, deep, patch
        with torch.no_grad():
            decoder.to_classes.bias[-1] = _NONE

    @property
    def classes(self) -> int:
        """C."""
        return self.decoder.classes

    @property
    def stride(self) -> int:
        """s, the side of a cell in pixels."""
        return self.patch * self.front.stride * (1 if self.deep is None else self.deep.stride)

    @property
    def multiple(self) -> int:
        """The pixels that the sides of pictures should be multiples of."""
        return self.stride

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures [B, 3, H, W] to logits and numbers [B, ceil(H / s), ceil(W / s), K, C + 1 + 4]."""
        cells = self.front(patches_of(x, self.front.input_size, self.patch))
        if self.deep is not None:
            cells = self.deep(cells)
        if self.context is not None:
            cells = torch.cat([cells, self.context(cells)], 1)
        return torch.cat(self.decoder(cells.movedim(1, -1)), -1)

    def add_classes(self, count: int, *, generator: torch.Generator | None = None) -> None:
        """Tell so many classes more, behind those that are there; what is known of those stays.

        Args:
            count: further classes.
            generator: draws the new weights.

        Raises:
            ConfigError: count below 1.

        Example:
            >>> import torch, rnnkit
            >>> from rnnkit.layers.picture_front import PictureFront
            >>> decoder = rnnkit.SetDecoder(rnnkit.LSTM(8, 12), steps=2, classes=2)
            >>> model = rnnkit.CellDetector(PictureFront(3, (8,), (16,)), decoder)
            >>> model.add_classes(1)
            >>> model.classes, tuple(model(torch.rand(1, 3, 16, 16)).shape)
            (3, (1, 1, 1, 2, 8))
        """
        check_whole(count, "count")
        decoder = self.decoder
        old, classes = decoder.to_classes, decoder.classes
        weight, bias = old.weight.detach(), old.bias.detach()
        drawn = torch.randn(count, weight.shape[1], generator=generator).to(weight) * weight.std()
        decoder.classes = classes + count
        decoder.to_classes = torch.nn.Linear(
            weight.shape[1], decoder.classes + 1, device=weight.device, dtype=weight.dtype
        )
        with torch.no_grad():
            decoder.to_classes.weight.copy_(torch.cat([weight[:classes], drawn, weight[classes:]]))
            rare = bias[:classes].mean().expand(count)
            decoder.to_classes.bias.copy_(torch.cat([bias[:classes], rare, bias[classes:]]))

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        arguments: dict[str, Any] = {"front": describe(self.front), "decoder": describe(self.decoder)}
        for name, part in (("context", self.context), ("deep", self.deep)):
            if part is not None:
                arguments[name] = describe(part)
        if None in arguments.values():
            return None
        return {"builder": "CellDetector", "arguments": {**arguments, "patch": self.patch}}

    def __repr__(self) -> str:
        parts = [short_repr(self.front), short_repr(self.decoder)]
        parts += [] if self.context is None else [short_repr(self.context)]
        parts += [] if self.deep is None else [f"deep={short_repr(self.deep)}"]
        parts.append(f"patch={self.patch}")
        return f"CellDetector({', '.join(parts)})"
