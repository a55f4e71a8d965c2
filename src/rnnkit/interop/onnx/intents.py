"""The intent of a sentence and a tag for each word in a graph, with the search of a conditional random field.

Legend: B batch, T words, C intents, S tags.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ...layers.crf import CRF
from .dense import write_dense
from .graph import BOOL, FLOAT, INT64
from .layers import input_of, write_chain
from .parts import Part, Port, Tensor, Values, written_part
from .sequence_models import attended, begin, example_of, largest, least_steps
from .writer import BATCH, TIME, Steps, Writer


def write_intents(model: Any, states: bool) -> list[Part]:
    """Write an :class:`rnnkit.IntentSlotModel`."""
    writer = Writer(type(model).__name__, carry=False)
    graph = writer.graph
    layers = [part for part in (model.front, model.body) if part is not None]
    read, least = input_of(nn.Sequential(*layers)), least_steps(layers)
    steps, inputs = begin(writer, read)
    found = writer.masked(write_chain(writer, layers, steps).steps)
    pooled = graph("Concat", attended(writer, model.query, found), largest(writer, found), axis=1)
    intents = write_dense(writer, model.intent_head, pooled)
    shares = graph("Softmax", intents, axis=1)
    features = found.value
    if model.intent_embedding is not None:
        seen = graph("Unsqueeze", write_dense(writer, model.intent_embedding, shares), graph.ints(1))
        sizes = graph(
            "Concat", writer.size(features, 0), writer.size(features, 1), graph.ints(model.intent_size), axis=0
        )
        features = graph("Concat", features, graph("Expand", seen, sizes), axis=2)
    slots = writer.masked(Steps(write_dense(writer, model.slot_head, features), found.lengths))
    tags = graph("ArgMax", slots.value, axis=2, keepdims=0) if model.crf is None else _search(writer, model.crf, slots)
    tags = writer.masked(Steps(tags, found.lengths), rank=2).value
    count, kinds = len(model.class_names), len(model.tags)
    outputs = (
        (intents, Port("intent_logits", FLOAT, (BATCH, count), "one number an intent")),
        (shares, Port("intent_probabilities", FLOAT, (BATCH, count), "of each intent, together 1")),
        (slots.value, Port("slots", FLOAT, (BATCH, TIME, kinds), "scores of the tags of each word")),
        (tags, Port("tags", INT64, (BATCH, TIME), "numbers of the most probable tags together, 0 behind the end")),
    )

    def run(given: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        lengths = given["lengths"]
        answer = model(given["x"], lengths)
        best = answer.slots.argmax(2) if model.crf is None else model.crf.decode(answer.slots, lengths=lengths)[0]
        valid = torch.arange(best.shape[1]) < lengths[:, None]
        shares = answer.intents.softmax(1)
        return {
            "intent_logits": answer.intents, "intent_probabilities": shares, "slots": answer.slots,
            "tags": torch.where(valid, best, 0),
        }, []  # fmt: skip

    notes = {"intents": list(model.class_names), "tags": list(model.tags)}
    return [
        written_part(
            writer, inputs, outputs, name="", example=example_of(read, least), run=run, least_steps=least, notes=notes
        )
    ]


def _search(writer: Writer, crf: CRF, slots: Steps) -> str:
    """The most probable tags [B, T] of scores [B, T, S] (Viterbi), as ``CRF.decode`` finds them."""
    graph = writer.graph
    transitions, start = (one.detach() for one in crf._allowed())
    count = len(start)
    time = graph("Squeeze", writer.size(slots.value, 1), graph.ints(0))
    first = graph("Equal", graph("Range", graph.whole(0), time, graph.whole(1)), graph.whole(0))
    scores = graph("Transpose", slots.value, perm=[1, 0, 2])
    sequences = [scores, first]
    same = graph.constant(np.arange(count, dtype=np.int64)[None], "same")

    body = graph.body("best")
    best = body.input(f"{body.name}/best", FLOAT, None)
    score_t, first_t = body.input(f"{body.name}/score", FLOAT, None), body.input(f"{body.name}/first", BOOL, None)
    reached = body("Add", body("Unsqueeze", best, body.ints(2)), body.constant(transitions, "transitions"))
    before = body("ArgMax", reached, axis=1, keepdims=0)
    score = body("Add", body("ReduceMax", reached, axes=[1], keepdims=0), score_t)
    score = body("Where", first_t, body("Add", body.constant(start, "first"), score_t), score)
    if slots.lengths is not None:
        sequences.append(graph("Unsqueeze", graph("Transpose", writer.valid(slots), perm=[1, 0]), graph.ints(2)))
        valid_t = body.input(f"{body.name}/valid", BOOL, None)
        score = body("Where", valid_t, score, best)
        before = body("Where", valid_t, before, same)
    body.result(score, FLOAT)
    body.result(before, INT64)
    zeros = graph("Expand", graph.number(0.0), graph("Concat", writer.batch, graph.ints(count), axis=0))
    final, pointers = graph.scan(body, [zeros], sequences, outputs=1, reverse=False)

    last = graph("ArgMax", graph("Add", final, graph.constant(crf.end, "end")), axis=1, keepdims=1)
    back = graph.body("back")
    tag = back.input(f"{back.name}/tag", INT64, None)
    pointer_t = back.input(f"{back.name}/pointer", INT64, None)
    back.result(back("GatherElements", pointer_t, tag, axis=1), INT64)
    back.result(tag, INT64)
    _, found = graph.scan(back, [last], [pointers], outputs=1, reverse=True)
    return graph("Transpose", graph("Squeeze", found, graph.ints(2)), perm=[1, 0])
