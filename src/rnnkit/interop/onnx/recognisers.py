"""Recognisers of speech and of lines in graphs: whole inputs, and where a model streams, chunks.

A stream's graph has the input ``last``: true with the last chunk, whose remaining steps it completes.

Legend: B batch, T frames or columns, T' steps behind the front, V tokens with the blank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...layers.causal_conv import CausalConv
from ...layers.sequence_adapters import as_sequence_module
from .dense import write_dense
from .encoder_decoders import read_of, write_decoder, write_encoder
from .fronts import write_finishing_conv
from .graph import BOOL, FLOAT, INT64
from .layers import InputKind, input_of, write_chain
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, written_part
from .sequence_models import begin, begin_label, example_labels, example_of, layers_of, least_steps
from .writer import BATCH, TIME, Steps, Writer

OUT = f"{TIME}_out"
_CTC = (
    "take the token with the largest logit at each step, write a run of the same token once, and leave token 0, the "
    "blank, out; what is left are numbers of the vocabulary. A beam search over the softmax of the logits finds more"
)
Head = Callable[[Writer, str], str]


def write_recognizer(model: Any, states: bool) -> list[Part]:
    """Write a recogniser that CTC has trained."""
    layers = layers_of(model)
    outputs = model.head.out_features if isinstance(model.head, nn.Linear) else int(model._arguments["outputs"])
    port = Port("logits", FLOAT, (BATCH, OUT, outputs), "one number a token at each step; token 0 is the blank")

    def head(writer: Writer, y: str) -> str:
        return write_dense(writer, model.head, y)

    parts = [_whole(model, layers, head, port, model.__call__, notes={"decoding": _CTC})]
    if states and getattr(model, "carry_problem", "no") is None:
        parts.append(_stream(model, model.front, [model.body], head, port, model.head, notes={"decoding": _CTC}))
    return parts


def _whole(
    model: Any,
    layers: list[Any],
    head: Head,
    port: Port,
    call: Any,
    name: str = "",
    notes: dict[str, str] | None = None,
) -> Part:
    """Whole inputs: x and lengths to the outputs and their lengths."""
    writer = Writer(name or type(model).__name__, carry=False)
    read, least = input_of(nn.Sequential(*layers)), least_steps(layers)
    steps, inputs = begin(writer, read)
    found = writer.masked(write_chain(writer, layers, steps).steps)
    assert found.lengths is not None
    lengths = Port("lengths_out", INT64, (BATCH,), "the valid steps of the outputs")

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        y, ends = call(given["x"], given["lengths"])
        return {port.name: y, "lengths_out": ends.long()}, []

    outputs = ((head(writer, found.value), port), (found.lengths, lengths))
    return written_part(
        writer, inputs, outputs, name=name, example=example_of(read, least), run=run, least_steps=least,
        notes=notes or {},
    )  # fmt: skip


def _stream(
    model: Any,
    front: Any,
    body: list[Any],
    head: Head,
    port: Port,
    own_head: Any,
    name: str = "stream",
    notes: dict[str, str] | None = None,
) -> Part:
    """Chunks of any number of frames, from a state on."""
    writer = Writer(name, carry=True)
    read = input_of(nn.Sequential(*([] if front is None else [front]), *body))._replace(lengths=False)
    steps, inputs = begin(writer, read)
    last = Port("last", BOOL, (), "whether no more steps follow: those that wait are completed")
    writer.graph.input(last.name, last.kind, last.shape)
    value = steps.value
    if front is not None:
        assert isinstance(front, CausalConv)
        value = write_finishing_conv(writer, front, value, last.name)
    features = as_sequence_module(nn.Sequential(*body)).output_size
    assert features is not None
    found = writer.unless_empty(value, features, lambda x: write_chain(writer, body, Steps(x)).steps.value)

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {"x": read.example(batch, time, generator), "last": torch.tensor(True)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        like = model.initial_state(len(given["x"]), dtype=given["x"].dtype)
        before = like if state is None else state_like(state, like)
        y, after = model.encode_chunk(given["x"], before)
        if given["last"]:
            return {port.name: own_head(torch.cat((y, model.finish_encoding(after)), 1))}, []
        return {port.name: own_head(y)}, leaves_of(after)

    return written_part(
        writer, (*inputs, last), ((head(writer, found), port),), name=name, example=example, run=run,
        in_chunks=("x", port.name), notes=notes or {},
    )  # fmt: skip


# --- transducers -----------------------------------------------------------------------------------------------------


def write_transducer(model: Any, states: bool) -> list[Part]:
    """Write a transducer: the encoder, whole and as a stream, the predictor and the joiner."""
    port = Port("frames", FLOAT, (BATCH, OUT, model.joiner_size), "what the joiner takes of each step")

    def head(writer: Writer, y: str) -> str:
        return write_dense(writer, model.from_encoder, y)

    def call(x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        encoded, ends = model.encode(x, lengths)
        return model.from_encoder(encoded), ends

    front = model.front
    whole = list(model.encoder.children()) if front is not None else [model.encoder]
    parts = [_whole(model, whole, head, port, call, "encoder")]
    if states and model.carry_problem is None:
        body = whole[1:] if front is not None else whole
        parts.append(_stream(model, front, body, head, port, model.from_encoder, "encoder_stream"))
    return [*parts, _predictor(model), _joiner(model)]


def _predictor(model: Any) -> Part:
    """One more label a row: [B] → [B, J]."""
    writer = Writer("predictor", carry=True)
    graph = writer.graph
    meaning = "the label of each row that was written last; the first one is start"
    ids, found = begin_label(writer, model.embedding, model.predictor, meaning)
    row = graph("Squeeze", found, graph.ints(1))
    port = Port("label", FLOAT, (BATCH, model.joiner_size), "what the joiner takes of the labels")

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        layer = model._layers("predictor")
        like = layer.initial_state(len(given["ids"]))
        y, after = model.read_label(given["ids"], like if state is None else state_like(state, like))
        return {"label": y}, leaves_of(after)

    return written_part(
        writer, (ids,), ((write_dense(writer, model.from_predictor, row), port),), name="predictor",
        example=example_labels(model.vocabulary), run=run, stepwise=True, notes={"start": model.blank},
    )  # fmt: skip


def _joiner(model: Any) -> Part:
    """Logits [B, V] of a frame and of labels [B, J]."""
    writer = Writer("joiner", carry=False)
    graph, size = writer.graph, model.joiner_size
    inputs = (
        Port("frame", FLOAT, (BATCH, size), "a step of the encoder's frames"),
        Port("label", FLOAT, (BATCH, size), "of the predictor"),
    )
    for one in inputs:
        graph.input(one.name, one.kind, one.shape)
    logits = write_dense(writer, model.output, graph("Tanh", graph("Add", "frame", "label")))
    port = Port(
        "logits", FLOAT, (BATCH, model.vocabulary), "one number a token; that of the blank goes on to the next frame"
    )

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {one.name: torch.randn(batch, size, generator=generator) for one in inputs}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        return {"logits": model.join(given["frame"], given["label"])}, []

    return written_part(
        writer, inputs, ((logits, port),), name="joiner", example=example, run=run, notes={"blank": model.blank}
    )


def write_attention_recognizer(model: Any, states: bool) -> list[Part]:
    """Write a recogniser with an attention decoder: the encoder with its branch of CTC, and a step of the decoder."""
    read: InputKind = read_of(model.network)
    decoder = write_decoder(model.network, read)
    encoder = write_encoder(model.network, read, decoder.states, model.ctc)
    decoder.notes["end"] = model.end
    return [encoder, decoder]
