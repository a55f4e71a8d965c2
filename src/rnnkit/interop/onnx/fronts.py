"""What stands in front of a recurrent body, in a graph: convolutions of series, frames, lines and words.

Legend: B batch, T time, I input, F features, S stride.
"""

from __future__ import annotations

from typing import Any

import torch

from ...layers.causal_conv import CausalConv
from ...layers.conv import ConvFront
from ...layers.line_front import LineFront
from ...layers.pixels import PixelFront
from ...layers.word_front import WordFront
from .convolutions import ceil_divided, channels_convolved, padded
from .dense import write_dense, write_embedding
from .graph import INT64
from .writer import BATCH, Steps, Writer, Written


def write_conv_front(writer: Writer, module: ConvFront, steps: Steps) -> Written:
    """Write :class:`rnnkit.ConvFront`; its equations are in :mod:`rnnkit.layers.conv`."""
    g = writer.graph
    v = g("Transpose", _views(writer, module, steps), perm=[0, 2, 1])
    found = [channels_convolved(writer, conv, v) for conv in module.convs]
    a = g("Transpose", found[0] if len(found) == 1 else g("Concat", *found, axis=1), perm=[0, 2, 1])
    normed = writer.masked(Steps(write_dense(writer, module.norm, a), steps.lengths)).value
    a = g("Relu", normed)
    lengths = steps.lengths
    if module.stride > 1:
        a = g("Transpose", a, perm=[0, 2, 1])
        a = g("MaxPool", a, kernel_shape=[module.stride], strides=[module.stride], ceil_mode=1)
        a = g("Transpose", a, perm=[0, 2, 1])
        lengths = None if lengths is None else ceil_divided(writer, lengths, module.stride)
    b = g("Transpose", channels_convolved(writer, module.mix, g("Transpose", a, perm=[0, 2, 1])), perm=[0, 2, 1])
    b = writer.masked(Steps(write_dense(writer, module.mix_norm, b), lengths)).value
    return Written(Steps(g("Relu", b), lengths, clean=True))


def _views(writer: Writer, module: ConvFront, steps: Steps) -> str:
    """The views of a series side by side [B, T, views]."""
    g = writer.graph
    clean = writer.masked(steps)
    x, views = clean.value, [clean.value]
    if module.differences:
        ends = g.ints(1 << 62)
        late = g("Slice", x, g.ints(1), ends, g.ints(1))
        early = g("Slice", x, g.ints(0), g.ints(-1), g.ints(1))
        changes = padded(writer, g("Sub", late, early), g.ints(1), g.ints(0))
        views.append(writer.masked(Steps(changes, steps.lengths)).value)
    if module.standardised:
        if steps.lengths is None:
            mean = g("ReduceMean", x, axes=[1], keepdims=1)
            centred = g("Sub", x, mean)
            var = g("ReduceMean", g("Mul", centred, centred), axes=[1], keepdims=1)
        else:
            count = g("Unsqueeze", g("Cast", steps.lengths, to=1), g.ints(1, 2))
            mean = g("Div", g("ReduceSum", x, g.ints(1), keepdims=1), count)
            centred = writer.masked(Steps(g("Sub", x, mean), steps.lengths)).value
            var = g("Div", g("ReduceSum", g("Mul", centred, centred), g.ints(1), keepdims=1), count)
        views.append(g("Div", centred, g("Sqrt", g("Add", var, g.number(1e-4)))))
    return views[0] if len(views) == 1 else g("Concat", *views, axis=2)


def write_causal_conv(writer: Writer, module: CausalConv, steps: Steps) -> Written:
    """Write :class:`rnnkit.CausalConv`, from a state on where the graph carries states."""
    g = writer.graph
    if writer.carry:
        return Written(Steps(_carried_conv(writer, module, steps.value)))
    steps = writer.masked(steps)
    for number, stride in enumerate(module.strides):
        before = module.kernel_sizes[number] - stride
        time = writer.size(steps.value, 1)
        behind = g("Mod", g("Neg", time), g.whole(stride))
        y = _conv_layer(writer, module, number, padded(writer, steps.value, g.ints(before), behind))
        lengths = None if steps.lengths is None else ceil_divided(writer, steps.lengths, stride)
        steps = writer.masked(Steps(y, lengths))
    return Written(steps)


def write_finishing_conv(writer: Writer, module: CausalConv, x: str, last: str) -> str:
    """Write :class:`rnnkit.CausalConv` from a state on: x [B, T, I] → the outputs that are complete [B, n, F].

    Args:
        writer: of a graph that carries states.
        module: the convolutions.
        x: the next steps.
        last: a bool; true completes the steps that wait, by zeros behind them, as `CausalConv.finish` does.
    """
    return _carried_conv(writer, module, x, writer.graph("Cast", last, to=INT64))


def _carried_conv(writer: Writer, module: CausalConv, x: str, last: str | None = None) -> str:
    """The outputs that are complete; what the next ones need is the state [B, held, C] of each layer."""
    g = writer.graph
    sizes = [module.input_size] + [module.output_size] * (len(module.strides) - 1)
    for number, (kernel, stride) in enumerate(zip(module.kernel_sizes, module.strides, strict=True)):
        start = torch.zeros(1, kernel - stride, sizes[number])
        held, port = writer.begin_state("held", (BATCH, f"held_{number + 1}", sizes[number]), start)
        x = g("Concat", held, x, axis=1)
        if last is not None:
            missing = g("Mod", g("Sub", g.ints(kernel - stride), writer.size(x, 1)), g.ints(stride))
            x = padded(writer, x, g.ints(0), g("Mul", missing, last))
        # max(0, (T − K) // S + 1), as a quotient of whole numbers that are not below 0
        more = g("Max", g("Add", g("Sub", writer.size(x, 1), g.ints(kernel)), g.ints(stride)), g.ints(0))
        count = g("Div", more, g.ints(stride))
        writer.end_state(port, g("Slice", x, g("Mul", count, g.ints(stride)), g.ints(1 << 62), g.ints(1)))
        # A convolution needs as many steps as its kernel has, also where no output is complete.
        y = _conv_layer(writer, module, number, padded(writer, x, g.ints(0), g.ints(kernel)))
        x = g("Slice", y, g.ints(0), count, g.ints(1))
    return x


def _conv_layer(writer: Writer, module: CausalConv, number: int, x: str) -> str:
    g, conv = writer.graph, module.convs[number]
    y = channels_convolved(writer, conv, g("Transpose", x, perm=[0, 2, 1]))
    return g("Relu", write_dense(writer, module.norms[number], g("Transpose", y, perm=[0, 2, 1])))


def write_pixel_front(writer: Writer, module: PixelFront, steps: Steps) -> Written:
    """Write :class:`rnnkit.PixelFront`: [B, height, width] → [B, height · width, 1]."""
    g = writer.graph
    flat = g("Flatten", steps.value, axis=1)
    if module.permutation is not None:
        flat = g("Gather", flat, g.constant(module.order, "order"), axis=1)
    y = g("Div", g("Sub", flat, g.number(module.mean)), g.number(module.std))
    return Written(Steps(g("Unsqueeze", y, g.ints(2))))


def write_line_front(writer: Writer, module: LineFront, steps: Steps) -> Written:
    """Write :class:`rnnkit.LineFront`: [B, W, H] → [B, ceil(W / stride), F]."""
    g = writer.graph
    lengths = steps.lengths
    y = g("Unsqueeze", g("Transpose", writer.masked(steps).value, perm=[0, 2, 1]), g.ints(1))
    for number, high in enumerate(module._pools):
        conv: Any = module.convs[number]
        y = channels_convolved(writer, conv, y)
        if high > 1:
            y = g("MaxPool", y, kernel_shape=[high, 1], strides=[high, 1], ceil_mode=1)
        y = g("Relu", write_dense(writer, module.norms[number], g("Transpose", y, perm=[0, 2, 3, 1])))
        if lengths is not None:
            lengths = ceil_divided(writer, lengths, module._steps[number][1])
            # [B, H, W, C]: the columns are the third axis
            columns = g("Squeeze", writer.size(y, 2), g.ints(0))
            numbers = g("Range", g.whole(0), columns, g.whole(1))
            valid = g("Less", numbers, g("Unsqueeze", lengths, g.ints(1)))
            y = g("Where", g("Unsqueeze", valid, g.ints(1, 3)), y, g.number(0.0))
        y = g("Transpose", y, perm=[0, 3, 1, 2])
    # [B, C, H, W] → [B, W, H, C] → [B, W, H · C]
    y = g("Reshape", g("Transpose", y, perm=[0, 3, 2, 1]), g.ints(0, 0, -1))
    y = g("Relu", write_dense(writer, module.norm, write_dense(writer, module.join, y)))
    return Written(writer.masked(Steps(y, lengths)))


def write_word_front(writer: Writer, module: WordFront, steps: Steps) -> Written:
    """Write :class:`rnnkit.WordFront`: [B, T, 1 + K] → [B, T, F]."""
    g = writer.graph
    x = steps.value
    if steps.lengths is not None:
        x = g("Where", g("Unsqueeze", writer.valid(steps), g.ints(2)), x, g.whole(0))
    words = g("Squeeze", g("Slice", x, g.ints(0), g.ints(1), g.ints(2)), g.ints(2))
    parts = [write_embedding(writer, module.words, words)]
    if module.conv is not None and module.characters is not None:
        letters = g("Slice", x, g.ints(1), g.ints(1 << 62), g.ints(2))
        characters = g("Squeeze", writer.size(letters, 2), g.ints(0))
        flat = g("Reshape", letters, g("Concat", g.ints(-1), g("Unsqueeze", characters, g.ints(0)), axis=0))
        found = g("Transpose", write_embedding(writer, module.characters, flat), perm=[0, 2, 1])
        found = channels_convolved(writer, module.conv, found)
        used = g("Unsqueeze", g("Not", g("Equal", flat, g.whole(0))), g.ints(1))
        best = g("ReduceMax", g("Relu", g("Where", used, found, g.number(0.0))), axes=[2], keepdims=0)
        sizes = g("Concat", writer.size(x, 0), writer.size(x, 1), g.ints(module.conv.out_channels), axis=0)
        parts.append(g("Reshape", best, sizes))
    y = parts[0] if len(parts) == 1 else g("Concat", *parts, axis=2)
    return Written(writer.masked(Steps(y, steps.lengths)))
