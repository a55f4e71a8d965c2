"""A detector of things in pictures that predicts at each place whether the centre of one is there, and its box.

    f = front([x − 1/2, 1])           the fine map, of stride s
    g = context(deep(f))              the coarse map: what stands around each place
    h = mix(W f + up(V g))            up: bilinear, to the size of the fine map
    z = U h + b                       C scores and the four sides of a box at each place

:mod:`rnnkit.ops.centre_loss` has the loss, and what the sides mean. A place whose score is the largest among its eight
neighbours is a thing (Zhou et al. 2019, "Objects as points"); of the boxes nothing else is suppressed.

Legend: B pictures, C classes, H height, W width, s stride.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ..errors import ConfigError, check_whole
from ..layers._exports import NotScriptable
from ..layers.description import describe, short_repr
from ..layers.picture_front import PictureFront
from ._picture_inputs import check_front, patches_of

Tensor = torch.Tensor
_RARE = 0.02  # the probability of a centre that untrained scores predict


class CentreDetector(NotScriptable):
    """Tells centres of things and their boxes; equations in :mod:`rnnkit.models.centre_detector`.

    Args:
        front: a :class:`~rnnkit.layers.picture_front.PictureFront` that makes the fine map, of 3 p²
            channels; or of one more, which is 1 everywhere: without it, areas of one colour look alike, however bright
            they are.
        deep: another one over the fine map, which makes the coarse map.
        classes: C.
        context: what joins the places of the coarse map, such as :class:`rnnkit.ReNet`; None: nothing does.
        features: channels of h.
        patch: p, so many rows and columns of pixels become the channels of one place in front of the convolutions.

    Attributes:
        stride: s, the pixels of the picture that become a place.

    Shapes:
        x [B, 3, H, W] → [B, C + 4, ceil(H / s), ceil(W / s)].

    Raises:
        ConfigError: parts that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.layers.picture_front import PictureFront
        >>> front = PictureFront(3, (8, 16), (2, 2))
        >>> model = rnnkit.CentreDetector(front, PictureFront(16, (24,), (2,)), 2, rnnkit.ReNet(24, 8))
        >>> tuple(model(torch.rand(1, 3, 48, 64)).shape), model.stride
        ((1, 6, 12, 16), 4)
    """

    def __init__(
        self,
        front: PictureFront,
        deep: PictureFront,
        classes: int,
        context: torch.nn.Module | None = None,
        features: int = 64,
        patch: int = 1,
    ) -> None:
        super().__init__()
        check_whole(classes, "classes")
        check_whole(features, "features")
        check_whole(patch, "patch")
        check_front(front.input_size, patch)
        if deep.input_size != front.output_size:
            raise ConfigError(
                f"deep takes {deep.input_size} channels and front makes {front.output_size}; expected as many: build "
                f"deep with input_size={front.output_size}"
            )
        self.front, self.deep, self.context = front, deep, context
        self.classes, self.features, self.patch = classes, features, patch
        width = deep.output_size if context is None else getattr(context, "output_size", None)
        if width is None:
            raise ConfigError(f"the context {short_repr(context)} does not declare its output_size")
        self.fine = torch.nn.Conv2d(front.output_size, features, 1)
        self.coarse = torch.nn.Conv2d(width, features, 1)
        self.mix = PictureFront(
            features, (features,), (1,), blocks=0, norm=front.norm, channels_last=front.channels_last
        )
        self.head = torch.nn.Conv2d(features, classes + 4, 1)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias[:classes] = math.log(_RARE / (1 - _RARE))
            self.head.bias[classes:] = 1.0

    @property
    def stride(self) -> int:
        """s, the pixels of the picture that become a place, in each direction."""
        return self.patch * self.front.stride

    @property
    def multiple(self) -> int:
        """The pixels that the sides of pictures should be multiples of."""
        return self.stride * self.deep.stride

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures [B, 3, H, W] to scores and sides [B, C + 4, ceil(H / s), ceil(W / s)]."""
        fine = self.front(patches_of(x, self.front.input_size, self.patch))
        coarse = self.deep(fine)
        if self.context is not None:
            coarse = self.context(coarse)
        around = torch.nn.functional.interpolate(
            self.coarse(coarse), fine.shape[2:], mode="bilinear", align_corners=False
        )
        found: Tensor = self.head(self.mix(torch.relu(self.fine(fine) + around)))
        return found

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
            >>> model = rnnkit.CentreDetector(PictureFront(3, (8,), (4,)), PictureFront(8, (8,), (2,)), 2)
            >>> model.add_classes(1)
            >>> model.classes, tuple(model(torch.rand(1, 3, 16, 16)).shape)
            (3, (1, 7, 4, 4))
        """
        check_whole(count, "count")
        old, classes = self.head, self.classes
        weight, bias = old.weight.detach(), old.bias
        assert bias is not None
        drawn = torch.randn(count, *weight.shape[1:], generator=generator).to(weight) * weight[:classes].std()
        rare = bias.new_full((count,), math.log(_RARE / (1 - _RARE)))
        self.classes = classes + count
        self.head = torch.nn.Conv2d(self.features, self.classes + 4, 1, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            self.head.weight.copy_(torch.cat([weight[:classes], drawn, weight[classes:]]))
            assert self.head.bias is not None
            self.head.bias.copy_(torch.cat([bias[:classes], rare, bias[classes:]]))

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this model again, for ``rnnkit.load``; None if a part has no description."""
        arguments: dict[str, Any] = {"front": describe(self.front), "deep": describe(self.deep)}
        if self.context is not None:
            arguments["context"] = describe(self.context)
        if None in arguments.values():
            return None
        return {
            "builder": "CentreDetector",
            "arguments": {**arguments, "classes": self.classes, "features": self.features, "patch": self.patch},
        }

    def __repr__(self) -> str:
        context = "" if self.context is None else f", {short_repr(self.context)}"
        return (
            f"CentreDetector({short_repr(self.front)}, {short_repr(self.deep)}, classes={self.classes}{context}, "
            f"features={self.features}, patch={self.patch})"
        )
