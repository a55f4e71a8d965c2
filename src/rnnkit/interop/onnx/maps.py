"""Layers over pictures in a graph: convolutions of pixels, and recurrent layers over rows and columns.

Legend: B pictures, C channels, H height, W width, F features, p patches of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...layers.picture_front import PictureFront
from ...layers.renet import ReNet
from .convolutions import ceil_divided, channels_convolved
from .dense import kind_of, refusal, write_dense
from .recurrences import recurrence_of
from .recurrent import write_time_first
from .writer import Steps, Writer

HEIGHT, WIDTH = "height", "width"
"""Names of free sizes."""


class Maps(NamedTuple):
    """Pictures, or what layers made of them.

    Attributes:
        value: [B, C, H, W].
        heights, widths: int64 [B], the pixels of each that are valid; None where all are. The value is 0 outside.
    """

    value: str
    heights: str | None = None
    widths: str | None = None


def write_map_layer(writer: Writer, module: Any, maps: Maps) -> Maps:
    """Write a layer over pictures.

    Raises:
        Unsupported: another kind of module.
    """
    kind = kind_of(module)
    if kind not in _WRITERS:
        raise refusal(module)
    with writer.graph.scope(kind.__name__):
        return _WRITERS[kind](writer, module, maps)


def shown(writer: Writer, maps: Maps) -> Maps:
    """The same with 0 outside of each picture."""
    if maps.heights is None or maps.widths is None:
        return maps
    g = writer.graph
    down = g("Unsqueeze", _below(writer, maps.value, 2, maps.heights), g.ints(1, 3))
    across = g("Unsqueeze", _below(writer, maps.value, 3, maps.widths), g.ints(1, 2))
    return maps._replace(value=g("Where", g("And", down, across), maps.value, g.number(0.0)))


def _below(writer: Writer, value: str, axis: int, ends: str) -> str:
    """Bool [B, n], true at the places of an axis below an end of each row."""
    g = writer.graph
    return g("Less", numbers(writer, value, axis), g("Unsqueeze", ends, g.ints(1)))


def numbers(writer: Writer, value: str, axis: int) -> str:
    """0, 1 … of an axis, int64."""
    g = writer.graph
    return g("Range", g.whole(0), g("Squeeze", writer.size(value, axis), g.ints(0)), g.whole(1))


def channels_last(writer: Writer, value: str) -> str:
    """[B, C, H, W] → [B, H, W, C]."""
    return writer.graph("Transpose", value, perm=[0, 2, 3, 1])


def channels_first(writer: Writer, value: str) -> str:
    """[B, H, W, C] → [B, C, H, W]."""
    return writer.graph("Transpose", value, perm=[0, 3, 1, 2])


def per_pixel(writer: Writer, module: Any, value: str) -> str:
    """A module over the channels of each pixel of [B, C, H, W]."""
    return channels_first(writer, write_dense(writer, module, channels_last(writer, value)))


# --- convolutions ----------------------------------------------------------------------------------------------------


def _picture_front(writer: Writer, module: PictureFront, maps: Maps) -> Maps:
    """Write :class:`rnnkit.PictureFront`, always in float32; its module has the equations."""
    g, parts = writer.graph, iter(zip(module.convs, module.norms, strict=True))
    maps = shown(writer, maps)

    def layer(given: Maps) -> Maps:
        conv, norm = next(parts)
        value = per_pixel(writer, norm, channels_convolved(writer, conv, given.value))
        return shown(writer, given._replace(value=value))

    def relu(given: Maps) -> Maps:
        return given._replace(value=g("Relu", given.value))

    for stride in module.strides:
        if maps.heights is not None and maps.widths is not None:
            heights, widths = (ceil_divided(writer, one, stride) for one in (maps.heights, maps.widths))
            maps = Maps(maps.value, heights, widths)
        maps = relu(layer(maps))
        for _ in range(module.blocks):
            y = layer(relu(layer(maps)))
            maps = relu(y._replace(value=g("Add", maps.value, y.value)) if module.residual else y)
    return maps


# --- rows and columns ------------------------------------------------------------------------------------------------


def _renet(writer: Writer, module: ReNet, maps: Maps) -> Maps:
    """Write :class:`rnnkit.ReNet`; its module has the equations."""
    g, (tall, wide) = writer.graph, module.patch
    x, heights, widths = shown(writer, maps)
    patches = _patches(writer, x, module.input_size, tall, wide)  # [W', H', B, F]
    sizes = [writer.size(patches, axis) for axis in range(3)]
    across = down = None
    if heights is not None and widths is not None:
        heights, widths = ceil_divided(writer, heights, tall), ceil_divided(writer, widths, wide)
        across = _lengths(writer, patches, 1, heights, widths)
        down = _lengths(writer, patches, 0, widths, heights)
    read = _sweep(writer, module.rows, patches, across)  # [W', H'·B, 2U]
    read = g("Reshape", read, g("Concat", *sizes, g.ints(-1), axis=0))
    read = _sweep(writer, module.columns, g("Transpose", read, perm=[1, 0, 2, 3]), down)  # [H', W'·B, 2U]
    y = g("Reshape", read, g("Concat", sizes[1], sizes[0], sizes[2], g.ints(-1), axis=0))
    return shown(writer, Maps(g("Transpose", y, perm=[2, 3, 0, 1]), heights, widths))


def _patches(writer: Writer, x: str, channels: int, tall: int, wide: int) -> str:
    """The flattened patches of pictures [W', H', B, C · p_h · p_w]; what a last one lacks is 0."""
    g = writer.graph
    if tall == wide == 1:
        return g("Transpose", x, perm=[3, 2, 0, 1])
    x, rows, columns = _blocks(writer, x, channels, tall, wide)
    turned = g("Transpose", x, perm=[4, 2, 0, 1, 3, 5])
    return g("Reshape", turned, g("Concat", columns, rows, writer.size(x, 0), g.ints(-1), axis=0))


def _blocks(writer: Writer, x: str, channels: int, tall: int, wide: int) -> tuple[str, str, str]:
    """[B, C, H', p_h, W', p_w] of [B, C, H, W], with 0 behind it; and H' and W', int64 [1]."""
    g = writer.graph
    lacks = [g("Mod", g("Neg", writer.size(x, axis)), g.ints(size)) for axis, size in ((2, tall), (3, wide))]
    x = g("Pad", x, g("Concat", g.ints(0, 0, 0, 0, 0, 0), *lacks, axis=0))
    rows, columns = g("Div", writer.size(x, 2), g.ints(tall)), g("Div", writer.size(x, 3), g.ints(wide))
    inner = [g.ints(channels), rows, g.ints(tall), columns, g.ints(wide)]
    return g("Reshape", x, g("Concat", writer.size(x, 0), *inner, axis=0)), rows, columns


def unshuffled(writer: Writer, x: str, channels: int, size: int) -> str:
    """The pixels of each patch as channels, as PyTorch's pixel_unshuffle: [B, C p², H', W']; what lacks is 0."""
    g = writer.graph
    if size == 1:
        return x
    x, rows, columns = _blocks(writer, x, channels, size, size)
    turned = g("Transpose", x, perm=[0, 1, 3, 5, 2, 4])
    return g("Reshape", turned, g("Concat", g.ints(0, channels * size * size), rows, columns, axis=0))


def shuffled(writer: Writer, x: str, channels: int, size: int) -> str:
    """PyTorch's pixel_shuffle: [B, C p², H, W] → [B, C, p H, p W]."""
    g = writer.graph
    tall, wide = writer.size(x, 2), writer.size(x, 3)
    x = g("Reshape", x, g("Concat", g.ints(0, channels, size, size), tall, wide, axis=0))
    turned = g("Transpose", x, perm=[0, 1, 4, 2, 5, 3])
    pixels = g.ints(size)
    return g(
        "Reshape", turned, g("Concat", g.ints(0, channels), g("Mul", tall, pixels), g("Mul", wide, pixels), axis=0)
    )


def _lengths(writer: Writer, value: str, axis: int, ends: str, lengths: str) -> str:
    """The steps of each row of patches [rows · B]: 1 where the row lies behind its picture's end."""
    g = writer.graph
    there = g("Less", g("Unsqueeze", numbers(writer, value, axis), g.ints(1)), ends)
    return g("Reshape", g("Where", there, lengths, g.whole(1)), g.ints(-1))


def _sweep(writer: Writer, layer: Any, x: str, lengths: str | None) -> str:
    """A recurrent layer over x [T, R, B, F], R · B sequences: [T, R · B, 2U]."""
    g, rows = writer.graph, writer.batch
    flat = g("Reshape", x, g("Concat", writer.size(x, 0), g.ints(-1), writer.size(x, 3), axis=0))
    writer.batch = writer.size(flat, 1)
    steps = Steps(g("Transpose", flat, perm=[1, 0, 2]), lengths)
    y, _ = write_time_first(writer, recurrence_of(layer), flat, steps)
    writer.batch = rows
    return y


_WRITERS: dict[Any, Callable[[Writer, Any, Maps], Maps]] = {PictureFront: _picture_front, ReNet: _renet}
