"""Models of one answer a sequence; for clips of frames also a graph that answers after every frame.

rnnkit itself reads whole clips. The graph ``stream`` carries what its pooling needs: the sum of the body's outputs, or
the largest of each, and the number of frames before. After the last frame its answer is that of the whole clip.

Legend: B clips, T frames, F features of the body's output.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from ...layers.frame_front import FrameFront
from ...layers.sequence_adapters import as_sequence_module
from .frames import begin_frames, frame_features
from .graph import FLOAT
from .layers import write_layer
from .maps import HEIGHT, WIDTH
from .parts import Part, Port, Tensor, Values, written_part
from .sequence_models import pooled_outputs, pooled_ports, write_pooled
from .writer import BATCH, TIME, Steps, Writer, Written

_HIGH, _WIDE = 9, 12  # pixels of made frames


def write_pooled_model(model: Any, states: bool) -> list[Part]:
    """Write a classifier or a regressor; of clips also a stream, where the body can continue from a state."""
    parts = write_pooled(model, states)
    return [*parts, _stream(model)] if states and _streams(model) else parts


def _streams(model: Any) -> bool:
    """Whether the prediction from the frames so far can be returned after each frame."""
    body = as_sequence_module(model.body)
    if not isinstance(model.front, FrameFront) or model.augment is not None or model.pooling == "attention":
        return False
    return body.stateful and body.carry_problem is None and not any(hasattr(one, "finish") for one in model.modules())


def _stream(model: Any) -> Part:
    writer = Writer("stream", carry=True)
    channels = model.front.frame_channels
    x = writer.sequences("x", FLOAT, channels, HEIGHT, WIDTH, lengths=False).value
    port = Port("x", FLOAT, (BATCH, TIME, channels, HEIGHT, WIDTH), "the pixels of the next frames, one or more")
    first, seen = begin_frames(writer, x, channels)
    body = write_layer(writer, model.body, Steps(frame_features(writer, model.front, x, first)))
    size = as_sequence_module(model.body).output_size
    assert size is not None
    names = ("last", "max", "mean") if model.pooling == "concat" else (model.pooling,)
    found = [_pooled(writer, name, body, seen, size) for name in names]
    pooled = found[0] if len(found) == 1 else writer.graph("Concat", *found, axis=-1)
    ports, notes = pooled_ports(writer, model, pooled)
    outputs = partial(pooled_outputs, model, len(ports))

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        frames = torch.rand(batch, time, channels, _HIGH, _WIDE, generator=generator)
        return {"x": frames, "frame": torch.zeros(batch, channels, _HIGH, _WIDE)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        return outputs(model(given["x"])), []

    return written_part(
        writer, (port,), ports, name="stream", example=example, run=run, in_chunks=("x",), notes=notes
    )  # fmt: skip


def _pooled(writer: Writer, name: str, body: Written, seen: str, size: int) -> str:
    """The pooled features [B, F] of all frames so far."""
    graph, y = writer.graph, body.steps.value
    if name == "last":
        return writer.last_valid(body.steps) if body.last is None else body.last
    before, port = writer.begin_state("largest" if name == "max" else "sum", (BATCH, size))
    if name == "max":
        some = graph("Unsqueeze", graph("Greater", seen, graph.number(0.0)), graph.ints(1))
        before = graph("Where", some, before, graph.number(float("-inf")))
        found = graph("Max", before, graph("ReduceMax", y, axes=[1], keepdims=0))
        writer.end_state(port, found)
        return found
    total = graph("Add", before, graph("ReduceSum", y, graph.ints(1), keepdims=0))
    writer.end_state(port, total)
    count = graph("Add", seen, graph("Cast", writer.size(y, 1), to=FLOAT))
    return graph("Div", total, graph("Unsqueeze", count, graph.ints(1)))
