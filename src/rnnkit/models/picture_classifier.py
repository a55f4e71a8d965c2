"""One class a picture: maps above maps, then numbers of the last map through a linear layer.

    m = body((x − mean) / std),   z = W pool(m) + b,   p(class | x) = softmax(z)

The body is :class:`rnnkit.layers.picture_front.PictureFront`, :class:`rnnkit.ReNet`, or several of them above each
other. Two ReNets over patches of 2 × 2 and all numbers of their map are the network of Visin et al. 2015 ("ReNet: a
recurrent neural network based alternative to convolutional networks") for digits, without its hidden dense layer.

Legend: B pictures, C channels, H height, W width, F channels of the last map, H' and W' its height and width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch

from ..errors import ConfigError, ShapeError, check_choice, check_number
from ..layers._exports import NotScriptable
from ..layers._picture_checks import check_pixels, pair_of
from ..layers.description import describe, short_repr
from ._head import NamedClasses
from ._sequence import read_classes

Tensor = torch.Tensor
MapPooling = Literal["mean", "max", "concat", "flatten"]
MAP_POOLINGS: tuple[MapPooling, ...] = ("mean", "max", "concat", "flatten")


class PictureClassifier(NamedClasses, NotScriptable):
    """Names the class of a picture; see the module for the equations.

    Args:
        body: a layer over pictures or several, from the input to the output: ``PictureFront``, ``rnnkit.ReNet``, or
            modules of your own that map [B, F, H, W] to [B, F', H', W'] and have ``input_size``, ``output_size`` and
            ``output_sizes(heights, widths)``.
        classes: at least 2, or the names of the classes, which are kept as ``class_names``.
        pooling: what of the last map the head sees: the ``"mean"`` or ``"max"`` over its places, both (``"concat"``),
            or all of its numbers (``"flatten"``), which needs a size.
        size: (H, W) of all pictures, or one number for both; None: any.
        dropout: probability of dropping a number in front of the head while training.
        mean, std: of the pictures' values, one number or one a channel; they are taken off and divided by.
        augment: changes pictures [B, C, H, W] while training, such as :class:`rnnkit.PictureWarp`.

    Attributes:
        class_names: the names of the classes, or None.

    Shapes:
        x [B, C, H, W] → logits [B, classes].

    Raises:
        ConfigError: an unknown option, or layers that do not fit each other. ShapeError: pictures that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> body = [rnnkit.ReNet(1, 8, patch=2), rnnkit.ReNet(16, 16, patch=2)]
        >>> model = rnnkit.PictureClassifier(body, classes=10, pooling="flatten", size=28)
        >>> tuple(model(torch.rand(4, 1, 28, 28)).shape), tuple(model.head.weight.shape)
        ((4, 10), (10, 1568))
    """

    mean: Tensor
    std: Tensor
    body: Any
    default_loss = "cross_entropy"
    default_metrics = ("accuracy",)
    default_objective: ClassVar[str] = "sequence"

    def __init__(
        self,
        body: torch.nn.Module | Sequence[torch.nn.Module],
        classes: int | Sequence[str],
        *,
        pooling: MapPooling = "concat",
        size: int | tuple[int, int] | None = None,
        dropout: float = 0.0,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        augment: torch.nn.Module | None = None,
    ) -> None:
        super().__init__()
        outputs, names = read_classes(classes)
        if outputs < 2:
            raise ConfigError.of("classes", classes, "expected at least two")
        check_choice(pooling, "pooling", MAP_POOLINGS)
        check_number(dropout, "dropout", below=1)
        layers: list[Any] = [body] if isinstance(body, torch.nn.Module) else list(body)
        _check_chain(layers)
        self.augment, self.body = augment, torch.nn.ModuleList(layers)
        self.pooling, self.dropout = pooling, dropout
        self.size = None if size is None else pair_of(size, "size")
        features = layers[-1].output_size * {"mean": 1, "max": 1, "concat": 2, "flatten": self._places()}[pooling]
        channels = layers[0].input_size
        values = {name: _by_channel(one, name, channels) for name, one in (("mean", mean), ("std", std))}
        if min(values["std"]) <= 0:
            raise ConfigError.of("std", std, "expected numbers above 0")
        for name, numbers in values.items():
            self.register_buffer(name, torch.tensor(numbers)[:, None, None], persistent=False)
        self._values = values
        self.head = torch.nn.Linear(features, outputs)
        self._arguments = {"classes": outputs if names is None else list(names)}

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures [B, C, H, W] to logits [B, classes]."""
        check_pixels(x, self.body[0].input_size, self)
        if self.size is not None and tuple(x.shape[2:]) != self.size:
            wide = "size=None and another pooling" if self.pooling == "flatten" else "size=None"
            raise ShapeError.of(
                "x", list(x.shape), f"; the model takes pictures of {self.size}: resize them, or {wide}"
            )
        if self.augment is not None:
            x = self.augment(x)
        y = (x - self.mean) / self.std
        for layer in self.body:
            y = layer(y)
        return self.head(self._drop(self._pool(y)))  # type: ignore[no-any-return]

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this module again, for ``rnnkit.load``; None if a part has no description."""
        self._note_outputs()
        parts = [describe(layer) for layer in self.body]
        augment = None if self.augment is None else describe(self.augment)
        if None in parts or (augment is None) != (self.augment is None):
            return None
        size = None if self.size is None else list(self.size)
        own = {"pooling": self.pooling, "size": size, "dropout": self.dropout, **self._values, "augment": augment}
        return {"builder": "PictureClassifier", "arguments": {"body": parts, **self._arguments, **own}}

    def __repr__(self) -> str:
        inner = ", ".join(short_repr(layer) for layer in self.body)
        return f"PictureClassifier([{inner}], classes={self.head.out_features}, pooling={self.pooling!r})"

    def _places(self) -> int:
        """The places of the last map."""
        if self.pooling != "flatten":
            return 1
        if self.size is None:
            raise ConfigError('pooling="flatten" arrived without a size; expected size=28 or size=(height, width)')
        with torch.device("cpu"):  # the sizes are numbers, also of a model without memory for its weights
            height, width = (torch.tensor([one]) for one in self.size)
            for layer in self.body:
                height, width = layer.output_sizes(height, width)
            return int(height[0] * width[0])

    def _pool(self, y: Tensor) -> Tensor:
        if self.pooling == "flatten":
            return y.flatten(1)
        parts = [] if self.pooling == "max" else [y.mean((2, 3))]
        if self.pooling != "mean":
            parts.append(y.amax((2, 3)))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def _drop(self, x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x, self.dropout) if self.dropout and self.training else x


def _check_chain(layers: Sequence[Any]) -> None:
    """Raise ConfigError where there is no layer, one is none over pictures, or one does not fit that below."""
    if not layers:
        raise ConfigError("no layer arrived; expected one over pictures or several, such as [rnnkit.ReNet(3, 32)]")
    for layer in layers:
        if not all(hasattr(layer, name) for name in ("input_size", "output_size", "output_sizes")):
            raise ConfigError(
                f"{short_repr(layer)} arrived; expected a layer over pictures, which has input_size, output_size and "
                "output_sizes(heights, widths), such as rnnkit.ReNet(3, 32)"
            )
    for below, above in pairwise(layers):
        if below.output_size != above.input_size:
            raise ConfigError(
                f"{short_repr(below)} puts out {below.output_size} channels, but {short_repr(above)} takes "
                f"{above.input_size}"
            )


def _by_channel(value: Any, name: str, channels: int) -> list[float]:
    found = [float(value)] * channels if isinstance(value, int | float) else [float(one) for one in value]
    if len(found) != channels:
        raise ConfigError.of(name, value, f"expected one number, or {channels}, one a channel")
    return found
