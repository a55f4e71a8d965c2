"""Models over pictures in graphs: classifiers, segmenters and detectors.

Legend: B pictures, C classes, H height, W width, s stride, K things a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...layers.picture_front import PictureFront
from .convolutions import channels_convolved
from .dense import kind_of, refusal, write_dense, writes_dense
from .graph import FLOAT, INT64
from .layers import write_layer
from .maps import HEIGHT, WIDTH, Maps, channels_last, per_pixel, shown, unshuffled, write_map_layer
from .parts import Part, Port, Tensor, Values, unequal_lengths, written_part
from .sequence_models import class_ports
from .writer import BATCH, Steps, Unsupported, Writer

_WIDER = 2  # pixels that made pictures are wider than high
_COLOURS = 3
Example = Callable[[int, int, torch.Generator], Values]


def begin_pictures(writer: Writer, channels: int, size: tuple[int, int] | None, meaning: str) -> tuple[str, Port]:
    """Add the input of pictures x [B, C, H, W] and return it with its port."""
    high, wide = size or (HEIGHT, WIDTH)
    port = Port("x", FLOAT, (BATCH, channels, high, wide), meaning)
    x = writer.graph.input(port.name, port.kind, port.shape)
    writer.batch = writer.size(x, 0)
    return x, port


def example_pictures(channels: int, size: tuple[int, int] | None = None, *, sizes: bool = False) -> Example:
    """Return a function that makes pictures, with the height and the width of each where `sizes`."""

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        high, wide = size or (time, time + _WIDER)
        found = {"x": torch.rand(batch, channels, high, wide, generator=generator)}
        if sizes:
            found |= {"heights": unequal_lengths(batch, high), "widths": unequal_lengths(batch, wide).flip(0)}
        return found

    return example


def in_float32(model: Any) -> None:
    """Let convolutions compute in float32, which files hold; the model is a copy."""
    for part in model.modules():
        if isinstance(part, PictureFront):
            part.precision = "float32"


# --- one answer a picture --------------------------------------------------------------------------------------------


def write_picture_classifier(model: Any, states: bool) -> list[Part]:
    """Write a classifier of pictures."""
    in_float32(model)
    writer = Writer("PictureClassifier", carry=False)
    graph, channels = writer.graph, model.body[0].input_size
    x, port = begin_pictures(writer, channels, model.size, "pictures, in the values that the preprocessing names")
    y = graph("Div", graph("Sub", x, graph.constant(model.mean, "mean")), graph.constant(model.std, "std"))
    maps = Maps(y)
    for layer in model.body:
        maps = write_map_layer(writer, layer, maps)
    with graph.scope("head"):
        logits = write_dense(writer, model.head, _pooled(writer, model.pooling, maps.value))
    ports, notes = class_ports(writer, model, logits, model.head.out_features)

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        found = model(given["x"])
        return {"logits": found, "probabilities": found.softmax(-1)}, []

    return [
        written_part(
            writer, (port,), ports, name="", example=example_pictures(channels, model.size), run=run,
            fixed_steps=model.size is not None, notes=notes,
        )
    ]  # fmt: skip


def _pooled(writer: Writer, pooling: str, y: str) -> str:
    graph = writer.graph
    if pooling == "flatten":
        return graph("Flatten", y, axis=1)
    parts = [] if pooling == "max" else [graph("ReduceMean", y, axes=[2, 3], keepdims=0)]
    if pooling != "mean":
        parts.append(graph("ReduceMax", y, axes=[2, 3], keepdims=0))
    return parts[0] if len(parts) == 1 else graph("Concat", *parts, axis=1)


# --- one vector a place ----------------------------------------------------------------------------------------------


def write_bare_map(model: Any, states: bool) -> list[Part]:
    """Write a layer over pictures by itself: the map that it makes of them, and the sizes of each."""
    in_float32(model)
    writer = Writer(type(model).__name__, carry=False)
    x, inputs = _begin_sized(writer, model.input_size, "pictures, or maps")
    maps = write_map_layer(writer, model, x)
    assert maps.heights is not None
    assert maps.widths is not None
    places = (f"{HEIGHT}_out", f"{WIDTH}_out")
    outputs = (
        (maps.value, Port("y", FLOAT, (BATCH, model.output_size, *places), "the map, 0 outside of each picture")),
        (maps.heights, Port("heights_out", INT64, (BATCH,), "the heights of the maps")),
        (maps.widths, Port("widths_out", INT64, (BATCH,), "the widths of the maps")),
    )

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        heights, widths = model.output_sizes(given["heights"], given["widths"])
        y = model(given["x"], given["heights"], given["widths"])
        return {"y": y, "heights_out": heights, "widths_out": widths}, []

    example = example_pictures(model.input_size, sizes=True)
    return [written_part(writer, inputs, outputs, name="", example=example, run=run)]


def _begin_sized(writer: Writer, channels: int, meaning: str) -> tuple[Maps, tuple[Port, ...]]:
    """Add pictures with the height and the width of each; return them, and the ports."""
    x, port = begin_pictures(writer, channels, None, meaning)
    inputs = [port]
    for name in ("heights", "widths"):
        inputs.append(Port(name, INT64, (BATCH,), f"the {name} of the pictures; what lies outside is not read"))
        writer.graph.input(name, INT64, [BATCH])
    return Maps(x, "heights", "widths"), tuple(inputs)


# --- one answer a pixel ----------------------------------------------------------------------------------------------


def write_picture_segmenter(model: Any, states: bool) -> list[Part]:
    """Write a segmenter: pictures of unequal sizes, with the height and width of each."""
    in_float32(model)
    writer = Writer("PictureSegmenter", carry=False)
    graph = writer.graph
    x, inputs = _begin_sized(writer, model.input_size, "pictures, in the values that the preprocessing names")
    levels = _downwards(writer, model, x)
    maps = levels.pop()
    if model.context is not None:
        around = write_map_layer(writer, model.context, maps)
        joined = shown(writer, around._replace(value=per_pixel(writer, model.join, around.value)))
        maps = maps._replace(value=graph("Add", maps.value, joined.value))
    for level, narrow, up in reversed(list(zip(levels, model.narrow, model.up, strict=True))):
        value = graph("Add", level.value, doubled(writer, per_pixel(writer, narrow, maps.value), level.value))
        maps = write_map_layer(writer, up, level._replace(value=value))
    pixels = channels_last(writer, maps.value)
    heads = {"logits": model.head, "shapes": model.shape_head}
    meanings = {"logits": "one number a class, of each pixel", "shapes": "further numbers of each pixel"}
    outputs = []
    for name, head in heads.items():
        if head is not None:
            value = graph("Transpose", write_dense(writer, head, pixels), perm=[0, 3, 1, 2])
            shape = (BATCH, head.out_features, HEIGHT, WIDTH)
            outputs.append((value, Port(name, FLOAT, shape, meanings[name])))

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        found = model(given["x"], given["heights"], given["widths"]).split([p.shape[1] for _, p in outputs], 1)
        return {one.name: value for (_, one), value in zip(outputs, found, strict=True)}, []

    example = example_pictures(model.input_size, sizes=True)
    return [written_part(writer, inputs, tuple(outputs), name="", example=example, run=run)]


def _downwards(writer: Writer, model: Any, maps: Maps) -> list[Maps]:
    """The maps of all stages on the way down, of pictures beside a channel of ones."""
    maps = maps._replace(value=_with_ones(writer, maps.value))
    found = []
    for front in model.down:
        maps = write_map_layer(writer, front, maps)
        found.append(maps)
    return found


def _with_ones(writer: Writer, x: str) -> str:
    graph = writer.graph
    sizes = graph("Concat", writer.size(x, 0), graph.ints(1), graph("Shape", x, start=2), axis=0)
    return graph("Concat", x, graph("Expand", graph.number(1.0), sizes), axis=1)


def doubled(writer: Writer, x: str, like: str) -> str:
    """A map with each value 2 × 2 times, cut to the size of another one."""
    graph = writer.graph
    scales = graph.constant(torch.tensor([1.0, 1.0, 2.0, 2.0]), "scales")
    y = graph(
        "Resize", x, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    return graph("Slice", y, graph.ints(0, 0), graph("Shape", like, start=2), graph.ints(2, 3))


# --- things and their boxes ------------------------------------------------------------------------------------------


def write_centre_detector(model: Any, states: bool) -> list[Part]:
    """Write a detector that predicts centres of things and their boxes."""
    in_float32(model)
    writer = Writer("CentreDetector", carry=False)
    graph = writer.graph
    x, port = _begin_detector(writer)
    fine = write_map_layer(writer, model.front, _patches(writer, model, x))
    maps = write_map_layer(writer, model.deep, fine)
    if model.context is not None:
        maps = write_map_layer(writer, model.context, maps)
    coarse = channels_convolved(writer, model.coarse, maps.value)
    sizes = graph("Concat", graph("Shape", coarse, start=0, end=2), graph("Shape", fine.value, start=2), axis=0)
    around = graph("Resize", coarse, "", "", sizes, mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    joined = graph("Relu", graph("Add", channels_convolved(writer, model.fine, fine.value), around))
    found = channels_convolved(writer, model.head, write_map_layer(writer, model.mix, Maps(joined)).value)
    scores, sides = graph.several("Split", found, graph.ints(model.classes, 4), outputs=2, axis=1)
    places = (f"{HEIGHT}_out", f"{WIDTH}_out")
    outputs = (
        (scores, Port("scores", FLOAT, (BATCH, model.classes, *places), "logits: is the centre of a thing here?")),
        (sides, Port("sides", FLOAT, (BATCH, 4, *places), "what the box of each place is made of")),
    )
    notes = {
        "stride": model.stride,
        "multiple": model.multiple,
        "decoding": (
            "the middle of place (i, j) is x = stride (j + 1/2), y = stride (i + 1/2); its box is (x − stride e^v1, "
            "y − stride e^v2, x + stride e^v3, y + stride e^v4) of the sides v; a place is a thing of class c where "
            "its score of c is the largest among its eight neighbours, with probability 1 / (1 + e^−score)"
        ),
    }

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        scores, sides = model(given["x"]).split([model.classes, 4], 1)
        return {"scores": scores, "sides": sides}, []

    return [written_part(writer, (port,), outputs, name="", example=example_pictures(_COLOURS), run=run, notes=notes)]


def write_cell_detector(model: Any, states: bool) -> list[Part]:
    """Write a detector whose cells predict one thing after another."""
    in_float32(model)
    writer = Writer("CellDetector", carry=False)
    graph, decoder = writer.graph, model.decoder
    x, port = _begin_detector(writer)
    maps = write_map_layer(writer, model.front, _patches(writer, model, x))
    if model.deep is not None:
        maps = write_map_layer(writer, model.deep, maps)
    cells = maps.value
    if model.context is not None:
        cells = graph("Concat", cells, write_map_layer(writer, model.context, maps).value, axis=1)
    axes = (BATCH, f"{HEIGHT}_out", f"{WIDTH}_out")
    outputs = _predicted(writer, decoder, channels_last(writer, cells), axes, "boxes")
    notes = {
        "stride": model.stride,
        "multiple": model.multiple,
        "decoding": (
            "the middle of cell (i, j) is x = stride (j + 1/2), y = stride (i + 1/2); the box predicted there has the "
            "middle (x + stride v1, y + stride v2), the width stride e^v3 and the height stride e^v4 of the numbers v "
            "of boxes; probabilities are the softmax of the logits, of which the last one is for no thing"
        ),
    }

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        logits, boxes = model(given["x"]).split([decoder.classes + 1, 4], -1)
        return {"logits": logits, "boxes": boxes}, []

    return [written_part(writer, (port,), outputs, name="", example=example_pictures(_COLOURS), run=run, notes=notes)]


def write_set_decoder(model: Any, states: bool) -> list[Part]:
    """Write a decoder of sets over features [B, I], with a front of layers that treat each row by itself."""
    if model.front is not None and not writes_dense(model.front):
        raise refusal(model.front)
    parts = [] if model.front is None else [model.front]
    linears = [one for part in parts for one in part.modules() if kind_of(one) is nn.Linear]
    size = linears[0].in_features if linears else model._layer().input_size
    if size is None:
        raise Unsupported("the layer of a SetDecoder does not declare its input_size; build it of rnnkit.LSTM(I, H)")
    writer = Writer("SetDecoder", carry=False)
    port = Port("x", FLOAT, (BATCH, size), "features of each row")
    writer.graph.input(port.name, port.kind, port.shape)
    writer.batch = writer.size("x", 0)
    features = write_dense(writer, model.front, "x") if parts else "x"
    outputs = _predicted(writer, model, features, (BATCH,), "values")

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {"x": torch.randn(batch, size, generator=generator)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        logits, values = model(given["x"])
        return {"logits": logits, "values": values}, []

    return [written_part(writer, (port,), outputs, name="", example=example, run=run)]


def _begin_detector(writer: Writer) -> tuple[str, Port]:
    return begin_pictures(
        writer, _COLOURS, None, "pictures, colours from 0 to 1; sides that are no multiple are filled"
    )


def _patches(writer: Writer, model: Any, x: str) -> Maps:
    """Pictures around 0, the pixels of each patch as channels, beside a channel of ones where the front takes it."""
    graph, size = writer.graph, model.patch
    y = unshuffled(writer, graph("Sub", x, graph.number(0.5)), _COLOURS, size)
    return Maps(y if model.front.input_size == _COLOURS * size * size else _with_ones(writer, y))


def _predicted(
    writer: Writer, decoder: Any, features: str, lead: tuple[str, ...], name: str
) -> tuple[tuple[str, Port], ...]:
    """What a decoder of sets predicts of features [..., I], step by step."""
    graph, rows = writer.graph, writer.batch
    flat = graph("Reshape", features, graph("Concat", graph.ints(-1), writer.size(features, len(lead)), axis=0))
    writer.batch = writer.size(flat, 0)
    steps = graph("Expand", graph("Unsqueeze", flat, graph.ints(1)), graph.ints(1, decoder.steps, 1))
    predicted = write_layer(writer, decoder.layer, Steps(steps)).steps.value
    writer.batch = rows
    first = graph("Shape", features, start=0, end=len(lead))
    found = []
    for head, label, meaning in (
        (decoder.to_classes, "logits", "one number a class, the last for no thing"),
        (decoder.to_values, name, "the numbers of each thing"),
    ):
        y = write_dense(writer, head, predicted)
        sizes = graph("Concat", first, graph.ints(decoder.steps, head.out_features), axis=0)
        port = Port(label, FLOAT, (*lead, decoder.steps, head.out_features), meaning)
        found.append((graph("Reshape", y, sizes), port))
    return tuple(found)
