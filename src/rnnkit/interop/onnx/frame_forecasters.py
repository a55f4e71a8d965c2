"""The next frames of clips in a graph: it reads frames, one or many, and predicts the one behind each of them.

A program that wants more than one frame feeds the last prediction back as the next frame, with the states.

Legend: N frames of all clips, B clips, T frames, C channels, H height, W width, K motions, m shifts, c pixels of a
field's side, w = c + m − 1 pixels that it sees, R × S fields.
"""

from __future__ import annotations

from typing import Any

import torch

from ...models.frame_forecaster import FIELD, PATCH
from ...ops.moved_frames import shifted
from .conv_recurrent import write_conv_recurrence
from .convolutions import channels_convolved
from .frames import begin_frames, first_frame, frames_before
from .graph import FLOAT, Graph
from .maps import HEIGHT, WIDTH, channels_last, numbers, shuffled, unshuffled
from .parts import Part, Port, Tensor, Values, leaves_of, written_part
from .picture_models import doubled
from .writer import BATCH, TIME, Steps, Writer

_HIGH, _WIDE = 16, 24  # pixels of made frames


def write_frame_forecaster(model: Any, states: bool) -> list[Part]:
    """Write a model that predicts the next frames."""
    writer = Writer("FrameForecaster", carry=states)
    channels = model.frame_channels
    x = writer.sequences("x", FLOAT, channels, HEIGHT, WIDTH, lengths=False).value
    maps = {name: (BATCH, getattr(model, name).hidden_size, *_sizes(pixels)) for name, pixels in _MAPS.items()}
    ports, before = {}, dict.fromkeys(maps, "")
    first = first_frame(writer, x)
    if states:
        first, _ = begin_frames(writer, x, channels)
        for name, shape in maps.items():
            before[name], ports[name] = writer.begin_state(name, shape)
    y, after = _next_frames(writer, model, x, first, before)
    for name, port in ports.items():
        writer.end_state(port, after[name])
    frames = (BATCH, TIME, channels, HEIGHT, WIDTH)
    inputs = (Port("x", FLOAT, frames, f"frames of values from 0 to 1, height and width multiples of {FIELD}"),)
    output = Port("next", FLOAT, (BATCH, f"{TIME}_out", *frames[2:]), "the predicted frame behind each of the inputs")
    notes = {
        "sizes": {f"{side}_{pixels}": f"{side} / {pixels}" for pixels in _MAPS.values() for side in (HEIGHT, WIDTH)},
        "forecasting": "feed the last frame of next as the next x, with the states, once for each further frame",
    }

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        found = {"x": torch.rand(batch, time, channels, _HIGH, _WIDE, generator=generator)}
        if states:
            found["frame"] = torch.zeros(batch, channels, _HIGH, _WIDE)
            for name, pixels in _MAPS.items():
                found[name] = torch.zeros(batch, int(maps[name][1]), _HIGH // pixels, _WIDE // pixels)
        return found

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        x = given["x"]
        found, after = model.observe(x)
        fine, coarse, last = leaves_of(after)
        seen = torch.full((len(x),), float(x.shape[1]))
        return {"next": found}, [seen, last, fine, coarse] if states else []

    return [
        written_part(
            writer, inputs, ((y, output),), name="", example=example, run=run, notes=notes,
            in_chunks=("x", "next") if states else (),
        )
    ]  # fmt: skip


_MAPS = {"fine": PATCH, "coarse": FIELD}


def _sizes(pixels: int) -> tuple[str, str]:
    return f"{HEIGHT}_{pixels}", f"{WIDTH}_{pixels}"


def _next_frames(writer: Writer, model: Any, x: str, first: str, before: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The predictions [B, T, C, H, W], and the states of both recurrences."""
    graph, channels = writer.graph, model.frame_channels
    lead = graph("Shape", x, start=0, end=2)
    pair = _flat(graph, graph("Concat", x, frames_before(writer, x, first), axis=2))
    patches = _steps(graph, unshuffled(writer, pair, 2 * channels, PATCH), lead)
    a, a_last = write_conv_recurrence(writer, model.fine, Steps(patches), {"h": before["fine"]})
    flat_a = _flat(graph, a)
    down = graph("Relu", channels_convolved(writer, model.down, flat_a))
    b, b_last = write_conv_recurrence(writer, model.coarse, Steps(_steps(graph, down, lead)), {"h": before["coarse"]})
    flat_b = _flat(graph, b)
    up = doubled(writer, channels_convolved(writer, model.up, flat_b), flat_a)
    mixed = channels_convolved(writer, model.mix, graph("Add", flat_a, up))
    c = graph("Relu", graph("Add", mixed, flat_a))
    frames = _frames(writer, model, flat_b, c, _flat(graph, x))
    return _steps(graph, frames, lead), {"fine": a_last["h"], "coarse": b_last["h"]}


def _flat(graph: Graph, x: str) -> str:
    """[B, T, ...] → [B·T, ...]."""
    return graph("Reshape", x, graph("Concat", graph.ints(-1), graph("Shape", x, start=2), axis=0))


def _steps(graph: Graph, x: str, lead: str) -> str:
    """[B·T, ...] → [B, T, ...]."""
    return graph("Reshape", x, graph("Concat", lead, graph("Shape", x, start=1), axis=0))


def _frames(writer: Writer, model: Any, b: str, c: str, x: str) -> str:
    """The next frames [N, C, H, W] of the maps and of the last frames x."""
    graph, channels, motions = writer.graph, model.frame_channels, model.motions
    drawn = graph("Sigmoid", shuffled(writer, channels_convolved(writer, model.draw, c), channels, PATCH))
    if model.choose is None or model.shift is None:
        return drawn
    shifts = channels_last(writer, channels_convolved(writer, model.shift, b))
    taps = 2 * model.reach + 1
    lead = graph("Shape", shifts, start=0, end=3)
    weights = graph("Reshape", shifts, graph("Concat", lead, graph.ints(2, motions, taps), axis=0))
    weights = graph("Softmax", weights, axis=-1)
    down, right = (graph("Gather", weights, graph.whole(place), axis=3) for place in (0, 1))
    moved = _moved(writer, x, down, right, channels, motions, taps)
    shares = shuffled(writer, channels_convolved(writer, model.choose, c), motions + 1, PATCH)
    shares = graph("Unsqueeze", graph("Softmax", shares, axis=1), graph.ints(2))
    parts = graph("Concat", moved, graph("Unsqueeze", drawn, graph.ints(1)), axis=1)
    return graph("ReduceSum", graph("Mul", shares, parts), graph.ints(1), keepdims=0)


def _moved(writer: Writer, x: str, down: str, right: str, channels: int, motions: int, taps: int) -> str:
    """Frames [N, K, C, H, W] moved by the shifts of each field [N, R, S, K, m], as :mod:`rnnkit.ops.moved_frames`."""
    graph, reach, wide = writer.graph, taps // 2, FIELD + taps - 1
    around = graph.ints(0, 0, reach, reach, 0, 0, reach, reach)
    x_wide = graph("Pad", x, around, mode="edge")
    # What each field sees: its rows, then its columns [N, C, R, w, S, w].
    seen = graph("Gather", x_wide, _windows(writer, down, 1, wide), axis=2)
    seen = graph("Gather", seen, _windows(writer, down, 2, wide), axis=4)
    lead = graph("Shape", down, start=0, end=3)  # N, R, S
    seen = graph("Transpose", seen, perm=[0, 2, 4, 3, 1, 5])
    seen = graph("Reshape", seen, graph("Concat", lead, graph.ints(wide, channels * wide), axis=0))
    # The weights of each shift as matrices whose rows are shifted copies of them.
    spread = graph.constant(shifted(torch.eye(taps), FIELD).flatten(1), "shifts")  # [m, c · w]
    rows = graph("MatMul", down, spread)
    rows = graph("Reshape", rows, graph("Concat", lead, graph.ints(motions * FIELD, wide), axis=0))
    y = graph("MatMul", rows, seen)  # [N, R, S, K · c, C · w]
    y = graph("Reshape", y, graph("Concat", lead, graph.ints(motions, FIELD * channels, wide), axis=0))
    columns = graph("MatMul", right, spread)
    columns = graph("Reshape", columns, graph("Concat", lead, graph.ints(motions, FIELD, wide), axis=0))
    y = graph("MatMul", y, graph("Transpose", columns, perm=[0, 1, 2, 3, 5, 4]))  # [N, R, S, K, c · C, c]
    y = graph("Reshape", y, graph("Concat", lead, graph.ints(motions, FIELD, channels, FIELD), axis=0))
    y = graph("Transpose", y, perm=[0, 3, 5, 1, 4, 2, 6])  # [N, K, C, R, c, S, c]
    size = graph("Shape", x, start=2)
    return graph(
        "Reshape", y, graph("Concat", graph("Shape", x, start=0, end=1), graph.ints(motions, channels), size, axis=0)
    )


def _windows(writer: Writer, fields: str, axis: int, wide: int) -> str:
    """The pixels that each field along an axis sees, [fields, w]."""
    graph = writer.graph
    begin = graph("Mul", numbers(writer, fields, axis), graph.whole(FIELD))
    return graph("Add", graph("Unsqueeze", begin, graph.ints(1)), graph.constant(torch.arange(wide), "pixels"))
