"""The frames of clips in a graph: features of each, and which frame was before.

The frame before is unknown at the beginning of a clip, where the first frame stands for it. So graphs that continue
from call to call carry ``seen``, the number of frames that each row has read: as all states, it begins with zeros.

Legend: B clips, T frames, C channels, H height, W width, G fields a side, M features.
"""

from __future__ import annotations

import torch

from ...layers.frame_front import FrameFront
from .dense import write_dense
from .graph import FLOAT
from .maps import HEIGHT, WIDTH, Maps, numbers, write_map_layer
from .writer import BATCH, Steps, Writer, Written


def write_frame_front(writer: Writer, module: FrameFront, steps: Steps) -> Written:
    """Write :class:`rnnkit.FrameFront` over whole clips [B, T, C, H, W]."""
    value = frame_features(writer, module, steps.value, first_frame(writer, steps.value))
    return Written(writer.masked(Steps(value, steps.lengths)))


def first_frame(writer: Writer, x: str) -> str:
    """The first frame of clips [B, 1, C, H, W]."""
    graph = writer.graph
    return graph("Slice", x, graph.ints(0), graph.ints(1), graph.ints(1))


def last_frame(writer: Writer, x: str) -> str:
    """The last frame of clips [B, C, H, W]."""
    return writer.graph("Gather", x, writer.graph.whole(-1), axis=1)


def frames_before(writer: Writer, x: str, first: str) -> str:
    """The frame before each of x, the first of which is given."""
    graph = writer.graph
    return graph("Concat", first, graph("Slice", x, graph.ints(0), graph.ints(-1), graph.ints(1)), axis=1)


def frame_features(writer: Writer, module: FrameFront, x: str, first: str) -> str:
    """Features [B, T, M] of frames x [B, T, C, H, W] and of the one before the first of them."""
    graph = writer.graph
    if module.differences:
        x = graph("Concat", x, graph("Sub", x, frames_before(writer, x, first)), axis=2)
    lead = graph("Shape", x, start=0, end=2)
    flat = graph("Reshape", x, graph("Concat", graph.ints(-1), graph("Shape", x, start=2), axis=0))
    maps = write_map_layer(writer, module.front, Maps(flat)).value
    down, across = _fields(writer, maps, 2, module.grid), _fields(writer, maps, 3, module.grid)
    fields = graph("MatMul", graph("MatMul", down, maps), graph("Transpose", across, perm=[1, 0]))
    y = write_dense(writer, module.norm, write_dense(writer, module.join, graph("Flatten", fields, axis=1)))
    return graph("Reshape", graph("Relu", y), graph("Concat", lead, graph.ints(module.join.out_features), axis=0))


def _fields(writer: Writer, maps: str, axis: int, count: int) -> str:
    """A matrix [G, n] whose product with an axis of n pixels is the means of G fields, as adaptive pooling has them."""
    g = writer.graph
    size, each = writer.size(maps, axis), g.constant(torch.arange(count), "fields")
    begin = g("Div", g("Mul", each, size), g.whole(count))
    end = g("Div", g("Add", g("Mul", g("Add", each, g.whole(1)), size), g.whole(count - 1)), g.whole(count))
    places = numbers(writer, maps, axis)
    low, high = g("Unsqueeze", begin, g.ints(1)), g("Unsqueeze", end, g.ints(1))
    inside = g("Cast", g("And", g("GreaterOrEqual", places, low), g("Less", places, high)), to=FLOAT)
    return g("Div", inside, g("Cast", g("Sub", high, low), to=FLOAT))


def begin_frames(writer: Writer, x: str, channels: int) -> tuple[str, str]:
    """Add the states of what was before frames x [B, T, C, H, W] of a graph that carries states.

    Returns:
        the frame before the first one [B, 1, C, H, W], and the number of frames before it [B].
    """
    graph = writer.graph
    seen, count = writer.begin_state("seen", (BATCH,))
    frame, last = writer.begin_state("frame", (BATCH, channels, HEIGHT, WIDTH))
    some = graph("Unsqueeze", graph("Greater", seen, graph.number(0.0)), graph.ints(1, 2, 3, 4))
    first = graph("Where", some, graph("Unsqueeze", frame, graph.ints(1)), first_frame(writer, x))
    writer.end_state(count, graph("Add", seen, graph("Cast", writer.size(x, 1), to=FLOAT)))
    writer.end_state(last, last_frame(writer, x))
    return first, seen
