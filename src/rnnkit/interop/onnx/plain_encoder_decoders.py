"""Encoder–decoders without attention in two graphs: the encoder returns the decoder's first state.

Legend: B rows, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch

from .dense import write_dense, write_embedding
from .graph import FLOAT, INT64
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, unequal_lengths, written_part
from .recurrences import recurrence_of
from .recurrent import write_time_first
from .sequence_models import LENGTHS, begin_label, example_labels
from .writer import BATCH, TIME, StatePort, Steps, Writer


def write_plain_encoder_decoder(model: Any, states: bool) -> list[Part]:
    """Write a :class:`rnnkit.models.plain_encoder_decoder.PlainEncoderDecoder`."""
    decoder = _decoder(model)
    return [_encoder(model, decoder.states), decoder]


def _encoder(model: Any, ports: tuple[StatePort, ...]) -> Part:
    writer = Writer("encoder", carry=False)
    steps = writer.sequences("x", INT64)
    ids = writer.masked(steps, rank=2)
    embedded = writer.masked(Steps(write_embedding(writer, model.source_embedding, ids.value), steps.lengths))
    turned = writer.graph("Transpose", embedded.value, perm=[1, 0, 2])
    _, after = write_time_first(writer, recurrence_of(model.encoder), turned, embedded)
    outputs = [
        (value, Port(port.input, FLOAT, port.shape, "the decoder's first state"))
        for value, port in zip(after.values(), ports, strict=True)
    ]
    known = model.source_embedding.num_embeddings

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        x = torch.randint(known, (batch, time), generator=generator)
        return {"x": x, "lengths": unequal_lengths(batch, time)}

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        found, _ = model.encode(given["x"], given["lengths"])
        return {port.input: leaf for port, leaf in zip(ports, leaves_of(found), strict=True)}, []

    x = Port("x", INT64, (BATCH, TIME), "token ids of the sources")
    return written_part(writer, (x, LENGTHS), tuple(outputs), name="encoder", example=example, run=run)


def _decoder(model: Any) -> Part:
    writer = Writer("decoder", carry=True)
    graph = writer.graph
    meaning = "the token of each row that was written last; the first one is start"
    ids, h = begin_label(writer, model.embedding, model.decoder, meaning)
    logits = graph("Squeeze", write_dense(writer, model.output, h), graph.ints(1))
    port = Port("logits", FLOAT, (BATCH, model.vocabulary), "one number for each token that may come next")

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        like = model._layers("decoder").initial_state(len(given["ids"]))
        found, after = model.decode_step(given["ids"], like if state is None else state_like(state, like))
        return {"logits": found}, leaves_of(after)

    return written_part(
        writer, (ids,), ((logits, port),), name="decoder", example=example_labels(model.vocabulary), run=run,
        stepwise=True, notes={"start": model.start},
    )  # fmt: skip
