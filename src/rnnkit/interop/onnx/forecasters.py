"""Forecasters in graphs: windows [B, T + H, C] to the horizon, with their normalisation and the units of the windows.

Legend: B windows, T lookback steps, H horizon steps, C channels, M numbers of a distribution, F features of a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ...models.distributions import NegativeBinomial, Point
from .dense import write_dense, write_embedding
from .distributions import check_known, mean_of, own_parameters, parameters, rescaled
from .expanded import step_stack
from .fronts import write_conv_front
from .graph import FLOAT, INT64, Graph
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, written_part
from .recurrences import recurrence_of
from .recurrent import write_recurrence, write_time_first
from .writer import BATCH, TIME, Steps, Writer

_END = 1 << 62


class _Window(NamedTuple):
    """The parts of windows; see ``rnnkit.models._forecaster.Window``."""

    features: str
    target: str
    future: str
    constant: str
    resets: str | None
    scale: str | None
    offset: str | None


def write_forecaster(model: Any, states: bool) -> list[Part]:
    """Write a forecaster that maps windows to the horizon."""
    check_known(model.distribution)
    layout = model.layout
    fixed = getattr(model, "linear", None) is not None
    steps: int | str = layout.lookback + layout.horizon if fixed else "lookback_and_horizon"
    writer = Writer(type(model).__name__, carry=False)
    x = writer.graph.input("x", FLOAT, [BATCH, steps, layout.channels])
    writer.batch = writer.size(x, 0)
    window = _read(writer, model, x)
    raw, shift = _FORECASTS[type(model).__name__](writer, model, window)
    y = _finished(writer, model, raw, window, shift)
    point = isinstance(model.distribution, Point)
    shape = (BATCH, layout.horizon) if point else (BATCH, layout.horizon, model.distribution.size)
    meaning = "the forecast, in the units of the window" if point else "raw numbers of the distribution of each step"
    outputs = [(y, Port("y", FLOAT, shape, meaning))]
    for name, value in parameters(writer.graph, model.distribution, y).items():
        shape = (BATCH, layout.horizon, model.distribution.size) if name == "quantiles" else (BATCH, layout.horizon)
        outputs.append((value, Port(name, FLOAT, shape, "of each step, in the units of the window")))
    port = Port("x", FLOAT, (BATCH, steps, layout.channels), "the channels of the lookback, then those of the horizon")

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {"x": _example(model, batch, layout.lookback if fixed else time + 2, generator)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        found = model.forecast(given["x"])
        return {"y": found, **own_parameters(model.distribution, found)}, []

    return [
        written_part(
            writer, (port,), tuple(outputs), name="", example=example, run=run, fixed_steps=fixed,
            notes={"window": layout.to_json(), "distribution": model.distribution.to_json()},
        )
    ]  # fmt: skip


def _example(model: Any, batch: int, lookback: int, generator: torch.Generator) -> Tensor:
    """Made windows; of rows some begin late, where the layout says what was observed."""
    layout = model.layout
    x = torch.randn(batch, lookback + layout.horizon, layout.channels, generator=generator)
    if isinstance(model.distribution, NegativeBinomial):
        x[:, :, 0] = x[:, :, 0].abs().round()
    if layout.observed:
        seen = torch.ones(batch, lookback + layout.horizon)
        seen[::2, : lookback // 2] = 0
        seen[:, lookback // 2 : lookback // 2 + 1] = 0
        x[:, :, layout.columns("observed")] = seen[:, :, None]
    if layout.series:
        number = torch.randint(layout.series + 1, (batch, 1, 1), generator=generator)
        x[:, :, layout.columns("series")] = number.to(x.dtype)
    return x


# --- windows ---------------------------------------------------------------------------------------------------------


def _columns(g: Graph, x: str, columns: slice, axis: int = 2) -> str:
    return g("Slice", x, g.ints(columns.start), g.ints(columns.stop), g.ints(axis))


def _read(writer: Writer, model: Any, x: str) -> _Window:
    """Take windows apart, as ``Forecaster.read`` does."""
    g, layout = writer.graph, model.layout
    past = g("Slice", x, g.ints(0), g.ints(-layout.horizon), g.ints(1))
    ahead = g("Slice", x, g.ints(-layout.horizon), g.ints(_END), g.ints(1))
    future = _columns(g, ahead, layout.columns("known"))
    begun = resets = observed = None
    if layout.observed:
        observed = g("Not", g("Equal", _columns(g, past, layout.columns("observed")), g.number(0.0)))
        counted = g("CumSum", g("Cast", observed, to=INT64), g.whole(1))
        begun = g("Greater", counted, g.whole(0))  # [B, T, 1]
        flat = g("Squeeze", g("Cast", begun, to=INT64), g.ints(2))
        early = g("Slice", flat, g.ints(0), g.ints(-1), g.ints(1))
        before = g("Concat", g("Slice", flat, g.ints(0), g.ints(1), g.ints(1)), early, axis=1)
        resets = g("Greater", flat, before)  # the first step is none: it is its own step before
        past = g("Where", begun, past, g.number(0.0))
    row = g("Gather", past_row(g, x, layout.horizon), g.whole(0), axis=1)
    static = _columns(g, row, layout.columns("static"), 1)
    constant = static
    if model.embedding is not None:
        number = g("Cast", g("Round", g("Squeeze", _columns(g, row, layout.columns("series"), 1), g.ints(1))), to=INT64)
        constant = g("Concat", static, write_embedding(writer, model.embedding, number), axis=1)
    target, scale, offset = g("Slice", past, g.ints(0), g.ints(1), g.ints(2)), None, None
    if model.norm is not None:
        target, scale, offset = normalised(writer, model.norm, target, observed)
        if begun is not None:
            target = g("Where", begun, target, g.number(0.0))
    others = g("Slice", past, g.ints(1), g.ints(_END), g.ints(2))
    features = _with_embedding(
        writer, model, past if model.norm is None else g("Concat", target, others, axis=2), constant
    )
    return _Window(features, g("Squeeze", target, g.ints(2)), future, constant, resets, scale, offset)


def past_row(g: Graph, x: str, horizon: int) -> str:
    """The last step of the lookback [B, 1, C]."""
    return g("Slice", x, g.ints(-horizon - 1), g.ints(-horizon), g.ints(1))


def _with_embedding(writer: Writer, model: Any, past: str, constant: str) -> str:
    """Channels [B, T, C] with the embedded series in place of its number; SegRNN reads it elsewhere."""
    g = writer.graph
    if model.embedding is None:
        return past
    channels = g("Slice", past, g.ints(0), g.ints(-1), g.ints(2))
    if type(model).__name__ == "SegmentForecaster":
        return channels
    embedded = g("Slice", constant, g.ints(len(model.layout.static)), g.ints(_END), g.ints(1))
    size = model.embedding.embedding_dim
    shape = g("Concat", writer.batch, writer.size(past, 1), g.ints(size), axis=0)
    return g("Concat", channels, g("Expand", g("Unsqueeze", embedded, g.ints(1)), shape), axis=2)


def normalised(writer: Writer, norm: Any, x: str, seen: str | None) -> tuple[str, str, str]:
    """Write :class:`rnnkit.ReversibleNorm`: x [B, T, 1] → y, and scale and offset [B, 1] that lead back.

    Args:
        writer: of the graph.
        norm: the module.
        x: the target.
        seen: bool [B, T, 1], true where it was observed; None: everywhere.
    """
    g = writer.graph
    level, spread = _LEVELS[norm.form](g, norm, x, seen)
    y = g("Div", g("Sub", x, level), spread)
    scale, offset = spread, level
    if norm.log_gain is not None:
        gain = norm.log_gain.detach().exp()
        scale = g("Div", spread, g.constant(gain, "gain"))
        y = g("Add", g("Mul", y, g.constant(gain, "gain")), g.constant(norm.shift, "shift"))
        offset = g("Sub", level, g("Mul", scale, g.constant(norm.shift, "shift")))
    return y, g("Squeeze", scale, g.ints(2)), g("Squeeze", offset, g.ints(2))


def _counted(g: Graph, seen: str) -> tuple[str, str]:
    """The observed steps [B, 1, 1], and the same with at least 1."""
    count = g("ReduceSum", g("Cast", seen, to=FLOAT), g.ints(1), keepdims=1)
    return count, g("Max", count, g.number(1.0))


def _last_level(g: Graph, norm: Any, x: str, seen: str | None) -> tuple[str, str]:
    one = g.constant(torch.ones(1, 1, 1), "one")
    if seen is None:
        return g("Slice", x, g.ints(-1), g.ints(_END), g.ints(1)), g(
            "Expand", one, g("Shape", g("Slice", x, g.ints(-1), g.ints(_END), g.ints(1)))
        )
    counted = g("CumSum", g("Cast", seen, to=INT64), g.whole(1))
    total = g("ReduceMax", counted, axes=[1], keepdims=1)
    # The last observed step is the first one whose count is the whole.
    reached = g("And", g("Equal", counted, total), seen)
    level = g("ReduceSum", g("Where", reached, x, g.number(0.0)), g.ints(1), keepdims=1)
    return level, g("Expand", one, g("Shape", level))


def _mean_level(g: Graph, norm: Any, x: str, seen: str | None) -> tuple[str, str]:
    size = g("Abs", x)
    if seen is None:
        mean = g("ReduceMean", size, axes=[1], keepdims=1)
    else:
        summed = g("ReduceSum", g("Where", seen, size, g.number(0.0)), g.ints(1), keepdims=1)
        mean = g("Div", summed, _counted(g, seen)[1])
    return g("Mul", mean, g.number(0.0)), g("Add", mean, g.number(1.0))


def _standard_level(g: Graph, norm: Any, x: str, seen: str | None) -> tuple[str, str]:
    if seen is None:
        mean = g("ReduceMean", x, axes=[1], keepdims=1)
        centred = g("Sub", x, mean)
        var = g("ReduceMean", g("Mul", centred, centred), axes=[1], keepdims=1)
    else:
        count, least = _counted(g, seen)
        mean = g("Div", g("ReduceSum", g("Where", seen, x, g.number(0.0)), g.ints(1), keepdims=1), least)
        centred = g("Where", seen, g("Sub", x, mean), g.number(0.0))
        square = g("ReduceSum", g("Mul", centred, centred), g.ints(1), keepdims=1)
        var = g("Where", g("Greater", count, g.number(0.0)), g("Div", square, least), g.number(1.0))
    return mean, g("Sqrt", g("Add", var, g.number(norm.eps)))


_LEVELS = {"last": _last_level, "mean": _mean_level, "standard": _standard_level}


def _finished(writer: Writer, model: Any, raw: str, window: _Window, shift: str | None) -> str:
    """Raw numbers [B, H, M] as the model's output, in the units of the windows."""
    g = writer.graph
    if isinstance(model.distribution, Point):
        raw = g("Squeeze", raw, g.ints(2))
    if shift is not None:
        raw = rescaled(g, model.distribution, raw, None, shift)
    if window.scale is None or window.offset is None:
        return raw
    return rescaled(g, model.distribution, raw, window.scale, window.offset)


# --- the models ------------------------------------------------------------------------------------------------------


def _direct(writer: Writer, model: Any, window: _Window) -> tuple[str, str | None]:
    g = writer.graph
    features, resets = window.features, window.resets
    if model.front is not None:
        features = write_conv_front(writer, model.front, Steps(features)).steps.value
        resets = None if resets is None else _strided(writer, resets, model.conv_stride)
    resets = None if model.bidirectional else resets
    output = write_recurrence(writer, recurrence_of(model.body), Steps(features), resets).steps.value
    last = g("Gather", output, g.whole(-1), axis=1)
    if model.bidirectional:
        size = g.ints(model.body.hidden_size)
        ahead, back = g("Slice", last, g.ints(0), size, g.ints(1)), g("Gather", output, g.whole(0), axis=1)
        last = g("Concat", ahead, g("Slice", back, size, g.ints(_END), g.ints(1)), axis=1)
    horizon = model.layout.horizon
    if model.context is not None:
        context = g("Reshape", write_dense(writer, model.context, last), g.ints(0, horizon, -1))
        raw = write_dense(writer, model.head, g("Concat", context, window.future, axis=2))
    else:
        raw = g("Reshape", write_dense(writer, model.head, last), g.ints(0, horizon, -1))
    return raw, None if model.linear is None else write_dense(writer, model.linear, window.target)


def _strided(writer: Writer, resets: str, stride: int) -> str:
    """Resets [B, T] of the steps that remain, ceil(T / stride) of them."""
    g = writer.graph
    missing = g("Mod", g("Neg", writer.size(resets, 1)), g.ints(stride))
    numbers = g("Pad", g("Cast", resets, to=FLOAT), g("Concat", g.ints(0, 0, 0), missing, axis=0))
    grouped = g("Reshape", numbers, g.ints(0, -1, stride))
    return g("Greater", g("ReduceMax", grouped, axes=[2], keepdims=0), g.number(0.5))


def _encoder_decoder(writer: Writer, model: Any, window: _Window) -> tuple[str, None]:
    g, horizon = writer.graph, model.layout.horizon
    encoder, decoder = recurrence_of(model.encoder), recurrence_of(model.decoder)
    turned = g("Transpose", window.features, perm=[1, 0, 2])
    _, state = write_time_first(writer, encoder, turned, Steps(window.features), window.resets)
    place = g.constant(torch.arange(1, horizon + 1)[None, :, None] / horizon, "place")
    places = g("Expand", place, g("Concat", writer.batch, g.ints(horizon, 1), axis=0))
    constant = g("Unsqueeze", window.constant, g.ints(1))
    constants = g("Expand", constant, g("Concat", writer.batch, g.ints(horizon, model.constant_size), axis=0))
    inputs = g("Transpose", g("Concat", window.future, places, constants, axis=2), perm=[1, 0, 2])
    if not model.feedback:
        y, _ = write_time_first(writer, decoder, inputs, Steps(inputs), None, begin=state)
        return write_dense(writer, model.head, g("Transpose", y, perm=[1, 0, 2])), None
    body = g.body("step")
    before = {name: body.input(f"{body.name}/{name}", FLOAT, None) for name in state}
    last = body.input(f"{body.name}/last", FLOAT, None)
    read = body("Concat", body.input(f"{body.name}/x", FLOAT, None), last, axis=1)
    output, after = step_stack(body, decoder, read, before)
    head = body("MatMul", output, body.constant(model.head.weight.detach().T, "weight"))
    raw = body("Add", head, body.constant(model.head.bias, "bias"))
    for value in after.values():
        body.result(value, FLOAT)
    body.result(body("Unsqueeze", mean_of(body, model.distribution, raw), body.ints(1)), FLOAT)
    body.result(raw, FLOAT)
    first = g("Gather", window.target, g.ints(-1), axis=1)
    *_, found = g.scan(body, [*state.values(), first], [inputs], outputs=1, reverse=False)
    return g("Transpose", found, perm=[1, 0, 2]), None


def _segments(writer: Writer, model: Any, window: _Window) -> tuple[str, None]:
    g, horizon, width = writer.graph, model.layout.horizon, model.segment
    resets = window.resets
    if resets is not None:
        column = g("Unsqueeze", g("Cast", resets, to=FLOAT), g.ints(2))
        resets = g("Greater", g("ReduceMax", _cut(writer, model, column, True), axes=[2], keepdims=0), g.number(0.5))
    segments = g("Relu", write_dense(writer, model.front, _cut(writer, model, window.features, True)))
    recurrence = recurrence_of(model.body)
    _, state = write_time_first(writer, recurrence, g("Transpose", segments, perm=[1, 0, 2]), Steps(segments), resets)
    count = len(model.positions)
    sizes = g("Concat", writer.batch, g.ints(count, model.positions.shape[1]), axis=0)
    asked = g("Expand", g.constant(model.positions[None], "positions"), sizes)
    if model.embedding is not None:
        series = g("Slice", window.constant, g.ints(len(model.layout.static)), g.ints(_END), g.ints(1))
        wide = g("Concat", writer.batch, g.ints(count, model.embedding.embedding_dim), axis=0)
        asked = g("Concat", asked, g("Expand", g("Unsqueeze", series, g.ints(1)), wide), axis=2)
    if model.ahead is not None:
        asked = g("Add", asked, write_dense(writer, model.ahead, _cut(writer, model, window.future, False)))
    # Each segment of the horizon is a row of its own: one step from the same state.
    repeated = {}
    for name, value in state.items():
        rows, size = len(recurrence.layers), recurrence.state_sizes[name]
        shape = g("Concat", g.ints(rows), writer.batch, g.ints(count, size), axis=0)
        wide = g("Expand", g("Unsqueeze", value, g.ints(2)), shape)
        repeated[name] = g("Reshape", wide, g.ints(rows, -1, size))
    single = g("Reshape", asked, g.ints(1, -1, model.body.input_size))
    y, _ = write_time_first(writer, recurrence, single, Steps(single), None, begin=repeated)
    raw = write_dense(writer, model.head, g("Squeeze", y, g.ints(0)))
    whole = g("Reshape", raw, g("Concat", writer.batch, g.ints(count * width, model.distribution.size), axis=0))
    return g("Slice", whole, g.ints(0), g.ints(horizon), g.ints(1)), None


def _cut(writer: Writer, model: Any, steps: str, first: bool) -> str:
    """Steps [B, T, F] as segments [B, ceil(T / w), w · F], zeros in front of the first or behind the last one."""
    g, width = writer.graph, model.segment
    missing = g("Mod", g("Neg", writer.size(steps, 1)), g.ints(width))
    nothing = g.ints(0)
    pads = (
        [nothing, missing, nothing, nothing, nothing, nothing]
        if first
        else [nothing, nothing, nothing, nothing, missing, nothing]
    )
    filled = g("Pad", steps, g("Concat", *pads, axis=0))
    features = g("Mul", writer.size(steps, 2), g.ints(width))
    return g("Reshape", filled, g("Concat", writer.batch, g.ints(-1), features, axis=0))


_FORECASTS = {
    "DirectForecaster": _direct,
    "EncoderDecoderForecaster": _encoder_decoder,
    "SegmentForecaster": _segments,
}


# --- DeepAR ----------------------------------------------------------------------------------------------------------


def write_deepar(model: Any, states: bool) -> list[Part]:
    """Write DeepAR's steps: features to the distribution of the next value, with the state as inputs and outputs.

    Drawing futures is the caller's: each drawn value is an input of the next step.
    """
    check_known(model.distribution)
    writer = Writer("DeepAR", carry=True)
    value = writer.graph.input("x", FLOAT, [BATCH, TIME, model.step_size])
    writer.batch = writer.size(value, 0)
    found = write_recurrence(writer, recurrence_of(model.body), Steps(value)).steps.value
    raw = write_dense(writer, model.head, found)
    size = model.distribution.size
    meaning = "the channels of each step: target, past covariates and flag of the step before, normalised; then its own"
    port = Port("x", FLOAT, (BATCH, TIME, model.step_size), meaning)
    outputs = [(raw, Port("raw", FLOAT, (BATCH, TIME, size), "raw numbers of the distribution of each step"))]
    if not isinstance(model.distribution, Point):
        for name, one in parameters(writer.graph, model.distribution, raw).items():
            shape = (BATCH, TIME, size) if name == "quantiles" else (BATCH, TIME)
            outputs.append((one, Port(name, FLOAT, shape, "of each step, normalised as x is")))

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {"x": torch.randn(batch, time, model.step_size, generator=generator)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        x = given["x"]
        like = model.body.initial_state(len(x), dtype=x.dtype)
        y, after = model.body(x, like if state is None else state_like(state, like))
        own = model.head(y)
        return {"raw": own, **own_parameters(model.distribution, own)}, leaves_of(after)

    notes = {
        "window": model.layout.to_json(),
        "distribution": model.distribution.to_json(),
        "norm": model._arguments["norm"],
        "num_samples": model.num_samples,
        "embedded_series": None if model.embedding is None else model.embedding.weight.tolist(),
    }
    return [
        written_part(
            writer, (port,), tuple(outputs), name="", example=example, run=run,
            in_chunks=("x", *(one.name for _, one in outputs)), notes=notes,
        )
    ]  # fmt: skip
