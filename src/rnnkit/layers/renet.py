"""Recurrent networks over pictures: each row of patches is read both ways, and then each column of what came out.

With x_ij the patch of p_h × p_w pixels in row i and column j, flattened,

    v_ij = [→f(x_i1 … x_ij), ←f(x_iW' … x_ij)]            the rows, from the left and from the right
    y_ij = [↓f(v_1j … v_ij), ↑f(v_H'j … v_ij)]            the columns, from the top and from the bottom

with f a recurrent layer of your choice. So y_ij has seen the whole picture, and the path from any patch to any other
has at most H' + W' steps.

Variant: Visin et al. 2015 ("ReNet: a recurrent neural network based alternative to convolutional networks"), who begin
with the columns. All rows of all pictures are one call of the bidirectional layer, with a batch of B·H'.

Legend: B pictures, C channels, H height and W width in pixels, H' = ceil(H / p_h) and W' = ceil(W / p_w), U units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import ConfigError, check_choice, check_whole
from ..ops.padding import valid_pixels
from ._checks import Lengths
from ._exports import NotScriptable
from ._picture_checks import check_pixels, check_sizes, pair_of
from .argument_names import explains_arguments
from .by_name import RECURRENT_LAYERS
from .description import describe
from .sequence_adapters import Adapted, as_sequence_module

Tensor = torch.Tensor

_LAYERS: dict[str, Callable[..., Any]] = {
    **RECURRENT_LAYERS,
    "torch.nn.RNN": torch.nn.RNN,
    "torch.nn.LSTM": torch.nn.LSTM,
    "torch.nn.GRU": torch.nn.GRU,
}
_OWN = ("input_size", "hidden_size", "batch_first", "bidirectional")  # arguments of the layers that ReNet sets


class ReNet(NotScriptable):
    """Reads the rows of a picture both ways, then its columns both ways; equations in :mod:`rnnkit.layers.renet`.

    Several ReNets behind each other make a deep one: each takes the map that the one before returns. The map lies in
    memory as ``[H', W', B, 2U]``, as the last sweep wrote it; type ``.contiguous()`` for PyTorch's usual order.

    Args:
        input_size: C.
        hidden_size: U, the units of each direction.
        patch: p, or (p_h, p_w): the pixels that are read at once. 1 keeps the size of the picture.
        layer: ``"gru"``, ``"lstm"`` or ``"simple_rnn"``; ``"torch.nn.GRU"`` and so on for PyTorch's own.
        **options: further arguments of the layer, the same for rows and columns: ``zoneout=0.1``, ``num_layers=2``.

    Attributes:
        rows, columns: the recurrent layers.
        output_size: 2U, the channels of the map (2P with ``proj_size=P``).

    Shapes:
        x [B, C, H, W] (and ``heights`` [B], ``widths`` [B]) → [B, 2U, H', W']. Nothing outside of a picture's height
        and width is read; the map is 0 there. A last patch that the picture does not fill is filled with 0.

    Raises:
        ConfigError: sizes below 1, an unknown layer, or options that it refuses.
        ShapeError: the pictures or their sizes do not fit.

    Example:
        >>> import torch, rnnkit
        >>> net = rnnkit.ReNet(3, 16, patch=2)
        >>> y = net(torch.randn(4, 3, 28, 20), heights=[28, 12, 27, 5], widths=[20, 20, 7, 1])
        >>> tuple(y.shape), [one.tolist() for one in net.output_sizes([28, 12, 27, 5], [20, 20, 7, 1])]
        ((4, 32, 14, 10), [[14, 6, 14, 3], [10, 10, 4, 1]])
    """

    @explains_arguments(
        {
            "channels": "input_size",
            "in_channels": "input_size",
            "units": "hidden_size",
            "patch_size": "patch",
            "cell": "layer",
        }
    )
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        patch: int | tuple[int, int] = 1,
        *,
        layer: str = "gru",
        **options: Any,
    ) -> None:
        super().__init__()
        check_whole(input_size, "input_size")
        check_whole(hidden_size, "hidden_size")
        check_choice(layer, "layer", tuple(_LAYERS))
        for name in _OWN:
            if name in options:
                raise ConfigError.of(name, options[name], "expected no such argument: ReNet sets it for its layers")
        self.input_size, self.patch = input_size, pair_of(patch, "patch")
        features = input_size * self.patch[0] * self.patch[1]
        try:
            self.rows = _LAYERS[layer](features, hidden_size, bidirectional=True, **options)
        except TypeError as error:
            raise ConfigError(f"the layer {layer!r} refuses the options {sorted(options)}: {error}") from None
        width = 2 * (self.rows.proj_size or hidden_size)
        self.columns = _LAYERS[layer](width, hidden_size, bidirectional=True, **options)
        self._adapted = {"rows": Adapted(), "columns": Adapted()}

    @property
    def output_size(self) -> int:
        """2U, the channels of the map."""
        width = as_sequence_module(self.columns, "columns").output_size
        assert width is not None
        return width

    def output_sizes(self, heights: Lengths, widths: Lengths) -> tuple[Tensor, Tensor]:
        """Return the heights and widths of the maps of pictures with these heights and widths, int64 [B] each."""
        tall, wide = self.patch
        return -(-torch.as_tensor(heights) // tall), -(-torch.as_tensor(widths) // wide)

    def forward(self, x: Tensor, heights: Lengths | None = None, widths: Lengths | None = None) -> Tensor:
        """Map pictures [B, C, H, W] to [B, 2U, H', W']; see the class.

        Args:
            x: the pictures, padded on the right and at the bottom where sizes differ.
            heights, widths: the pixels of each picture [B]; None where all have H, or W.
        """
        check_pixels(x, self.input_size, self)
        batch, _, height, width = x.shape
        sizes = check_sizes(heights, widths, batch, height, width)
        patches = self._patches(x, sizes)
        wide, tall = patches.shape[:2]
        across = down = None
        if sizes is not None:
            tops, lefts = self.output_sizes(*sizes)
            # A row below its picture has no step, which the layers do not take: it is read for one step of zeros, and
            # the result is not used. The same goes for columns.
            across = torch.where(torch.arange(tall)[:, None] < tops, lefts, 1).flatten()
            down = torch.where(torch.arange(wide)[:, None] < lefts, tops, 1).flatten()
        read = self._sweep("rows", patches.flatten(1, 2), across)
        read = read.unflatten(1, (tall, batch)).transpose(0, 1).contiguous()
        y = self._sweep("columns", read.flatten(1, 2), down).unflatten(1, (wide, batch)).permute(2, 3, 0, 1)
        if sizes is not None:
            valid = valid_pixels(tops, lefts, tall, wide, x.device)[:, None]
            y = torch.where(valid, y, torch.zeros((), dtype=y.dtype, device=y.device))
        found: Tensor = y
        return found

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this module again, for ``rnnkit.load``; None where its layers differ."""
        described = [describe(self.rows), describe(self.columns)]
        if None in described:
            return None
        (kind, rows), (other, columns) = ((one["builder"], dict(one["arguments"])) for one in described if one)
        units = rows["hidden_size"]
        for own in (rows, columns):
            for name in _OWN:
                own.pop(name, None)
        names = {getattr(make, "__name__", ""): name for name, make in RECURRENT_LAYERS.items()}
        kind, other = (names.get(one, one) for one in (kind, other))
        if rows != columns or kind != other or kind not in _LAYERS:
            return None
        arguments = {"input_size": self.input_size, "hidden_size": units, "patch": list(self.patch), "layer": kind}
        return {"builder": "ReNet", "arguments": {**arguments, **rows}}

    def extra_repr(self) -> str:
        return f"input_size={self.input_size}, patch={self.patch}, output_size={self.output_size}"

    def _sweep(self, name: str, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Run one of the layers over sequences [steps, rows, features]."""
        layer = self._adapted[name]((self._modules[name],), lambda one: as_sequence_module(one[0], name))
        y, _, _ = layer(x.transpose(0, 1), lengths)
        return y.transpose(0, 1)  # type: ignore[no-any-return]

    def _patches(self, x: Tensor, sizes: tuple[Tensor, Tensor] | None) -> Tensor:
        """The flattened patches [W', H', B, C · p_h · p_w], in one copy: the native core is fastest with time first."""
        (tall, wide), (_, _, height, width) = self.patch, x.shape
        if sizes is not None:
            valid = valid_pixels(*sizes, height, width, x.device)[:, None]
            x = torch.where(valid, x, torch.zeros((), dtype=x.dtype, device=x.device))
        if height % tall or width % wide:
            x = torch.nn.functional.pad(x, (0, -width % wide, 0, -height % tall))
        x = x.unflatten(3, (-1, wide)).unflatten(2, (-1, tall))  # [B, C, H', p_h, W', p_w]
        return x.permute(4, 2, 0, 1, 3, 5).flatten(3).contiguous()
