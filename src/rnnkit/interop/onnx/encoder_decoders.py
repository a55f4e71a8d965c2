"""Encoder–decoders in two graphs: an encoder that reads a source, and one step of the decoder.

The encoder returns what the decoder attends to, and the decoder's first state by the names of the decoder's inputs. The
search (greedy, beam) is the caller's: it calls the decoder once a token.

Legend: B rows, S steps of a source, F features of the encoder, A of the keys, V vocabulary, K extra words.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ...ops.padding import valid_steps
from ...ops.state import tensors
from .dense import write_dense, write_embedding
from .graph import FLOAT, INT64
from .layers import InputKind, input_of, write_layer
from .parts import Part, Port, Tensor, Values, leaves_of, state_like, unequal_lengths, written_part
from .sequence_models import LENGTHS, least_steps
from .writer import BATCH, StatePort, Steps, Writer

MEMORY = "memory_steps"


def write_encoder_decoder(model: Any, states: bool) -> list[Part]:
    """Write an encoder–decoder."""
    decoder = write_decoder(model, read_of(model))
    return [write_encoder(model, read_of(model), decoder.states), decoder]


def read_of(model: Any) -> InputKind:
    """What the encoder reads."""
    if model.source_embedding is None:
        return input_of(model.encoder)
    vocabulary = model.source_embedding.num_embeddings
    return InputKind(INT64, (), vocabulary, meaning="token ids of the sources")


# --- the encoder -----------------------------------------------------------------------------------------------------


def write_encoder(
    model: Any, read: InputKind, ports: tuple[StatePort, ...], ctc: torch.nn.Linear | None = None
) -> Part:
    """Write what reads a source.

    Args:
        model: an encoder–decoder.
        read: what it reads.
        ports: the states of the decoder.
        ctc: a branch of CTC on the encoder's outputs; None: there is none.
    """
    writer = Writer("encoder", carry=False)
    steps = writer.sequences("x", read.kind, *read.features)
    if model.source_embedding is not None:
        ids = writer.masked(steps, rank=2)
        if model.copy:
            ids = ids._replace(value=_known(writer, model, ids.value))
        embedded = write_embedding(writer, model.source_embedding, ids.value)
        steps = writer.masked(Steps(embedded, steps.lengths))
    found, last = write_layer(writer, model.encoder, steps)
    found = writer.masked(found)
    summary = writer.last_valid(found) if last is None else last
    keys = found.value
    if model.attention.from_memory is not None:
        keys = write_dense(writer, model.attention.from_memory, found.value)
    assert found.lengths is not None
    memory, size = model.memory_size, int(_key_size(model))
    outputs = [
        (found.value, Port("memory", FLOAT, (BATCH, MEMORY, memory), "the encoder's outputs")),
        (keys, Port("keys", FLOAT, (BATCH, MEMORY, size), "what the attention makes of the memory")),
        (found.lengths, Port("memory_lengths", INT64, (BATCH,), "the valid steps of the memory")),
    ]
    if ctc is not None:
        logits = write_dense(writer, ctc, found.value)
        port = Port("ctc_logits", FLOAT, (BATCH, MEMORY, ctc.out_features), "of the branch of CTC, for each step")
        outputs.append((logits, port))
    for value, state in zip(_first_states(writer, model, summary, found), ports, strict=True):
        outputs.append((value, Port(state.input, FLOAT, state.shape, "the decoder's first state")))
    x = Port("x", read.kind, (BATCH, "time", *read.features), read.meaning)
    least = least_steps([model.encoder])

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        return {"x": read.example(batch, time, generator), "lengths": unequal_lengths(batch, time, least)}

    def run(inputs: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        begin, memory = model.encode(inputs["x"], inputs["lengths"])
        valid = ~memory[2]
        given = {"memory": memory[0], "keys": memory[1], "memory_lengths": valid.sum(1)}
        if ctc is not None:
            given["ctc_logits"] = ctc(memory[0])
        return given | {port.input: leaf for port, leaf in zip(ports, leaves_of(begin), strict=True)}, []

    return written_part(
        writer, (x, LENGTHS), tuple(outputs), name="encoder", example=example, run=run, least_steps=least
    )


def _key_size(model: Any) -> int:
    from_memory = model.attention.from_memory
    return int(model.memory_size if from_memory is None else from_memory.out_features)


def _first_states(writer: Writer, model: Any, summary: str, memory: Steps) -> list[str]:
    """The tensors of the decoder's first state, in the order of rnnkit's."""
    graph, axis = writer.graph, model.state_batch_axis
    with torch.no_grad():
        begin = [leaf for name in model._recurrent() for leaf in tensors(model._layers(name).initial_state(1))]
    if model.bridge is None:
        ports = [StatePort("", "", tuple(BATCH if place == axis else size for place, size in enumerate(leaf.shape)))
                 for leaf in begin]  # fmt: skip
        found = [writer.expanded(graph.constant(leaf, "start"), port) for leaf, port in zip(begin, ports, strict=True)]
    else:
        widths = [leaf.numel() for leaf in begin]
        joined = graph("Tanh", write_dense(writer, model.bridge, summary))
        parts = (
            (joined,)
            if len(widths) == 1
            else graph.several("Split", joined, graph.ints(*widths), outputs=len(widths), axis=1)
        )
        found = []
        for part, leaf in zip(parts, begin, strict=True):
            if axis == 1:  # [B, rows · S] → [rows, B, S]
                shaped = graph("Reshape", part, graph.ints(0, leaf.shape[0], leaf.shape[2]))
                part = graph("Transpose", shaped, perm=[1, 0, 2])
            found.append(part)
    extra = []
    if model.form == "bahdanau":
        h = graph("Gather", found[0], graph.whole(-1), axis=0) if axis == 1 else found[0]
        extra.append(h)
    if model.form == "input_feeding":
        width = graph.ints(model.combine.out_features)
        extra.append(graph("Expand", graph.number(0.0), graph("Concat", writer.batch, width, axis=0)))
    if model.attention.coverage:
        sizes = graph("Concat", writer.batch, writer.size(memory.value, 1), axis=0)
        extra.append(graph("Expand", graph.number(0.0), sizes))
    return found + [graph("Unsqueeze", one, graph.ints(0)) if axis == 1 else one for one in extra]


def _known(writer: Writer, model: Any, ids: str) -> str:
    """The ids that an embedding has in place of those of copied words."""
    if model.unknown is None or not model.copy:
        return ids
    graph = writer.graph
    inside = graph("Less", ids, graph.whole(model.vocabulary))
    return graph("Where", inside, ids, graph.whole(model.unknown))


# --- a step of the decoder -------------------------------------------------------------------------------------------


class _Memory(NamedTuple):
    """What the decoder attends to, in its graph."""

    values: str
    keys: str
    valid: str


def write_decoder(model: Any, read: InputKind) -> Part:
    """Write one step of the decoder: a token a row to the logits of the next one."""
    writer = Writer("decoder", carry=True)
    graph = writer.graph
    inputs = [
        Port("ids", INT64, (BATCH,), "the token of each row that was written last; the first one is start"),
        Port("memory", FLOAT, (BATCH, MEMORY, model.memory_size), "of the encoder"),
        Port("keys", FLOAT, (BATCH, MEMORY, _key_size(model)), "of the encoder"),
        Port("memory_lengths", INT64, (BATCH,), "of the encoder"),
    ]
    if model.copy:
        inputs.append(Port("source_ids", INT64, (BATCH, MEMORY), "the encoder's x; extra words have ids from V on"))
    for port in inputs:
        graph.input(port.name, port.kind, port.shape)
    writer.batch = writer.size("ids", 0)
    steps = Steps("memory", "memory_lengths")
    memory = _Memory("memory", "keys", graph("Unsqueeze", writer.valid(steps), graph.ints(1)))
    embedded = write_embedding(writer, model.embedding, _known(writer, model, graph("Unsqueeze", "ids", graph.ints(1))))
    gate, vectors, weights = _step(writer, model, embedded, memory)
    outputs = [graph("Squeeze", write_dense(writer, model.output, vectors), graph.ints(1))]
    attention = graph("Squeeze", weights, graph.ints(1))
    size: int | str = model.vocabulary
    name, meaning = "logits", "one number for each token that may come next"
    if model.copying is not None:
        outputs = [_copied(writer, model, outputs[0], gate, embedded, attention)]
        size, name, meaning = "vocabulary_and_extra", "log_probabilities", "of each token that may come next"
    found = (
        (outputs[0], Port(name, FLOAT, (BATCH, size), meaning)),
        (attention, Port("attention", FLOAT, (BATCH, MEMORY), "how much the step attends to each step of the memory")),
    )
    example, run = _against(model, read, name, writer.states)
    notes = {"start": model.start}
    return written_part(
        writer, tuple(inputs), found, name="decoder", example=example, run=run, stepwise=True,
        least_steps=least_steps([model.encoder]), notes=notes,
    )  # fmt: skip


def _against(model: Any, read: InputKind, name: str, ports: list[StatePort]) -> tuple[Any, Any]:
    """Made inputs of a step, and rnnkit's own step."""

    def example(batch: int, time: int, generator: torch.Generator) -> Values:
        x = read.example(batch, time, generator)
        if model.copy:
            x = torch.randint(model.vocabulary + 3, x.shape, generator=generator)
        lengths = unequal_lengths(batch, time, least_steps([model.encoder]))
        state, memory = model.encode(x, lengths)
        made = {
            "ids": torch.randint(model.vocabulary, (batch,), generator=generator),
            "memory": memory[0],
            "keys": memory[1],
            "memory_lengths": (~memory[2]).sum(1),
        }
        if model.copy:
            made["source_ids"] = memory[3]
        return made | {port.input: leaf.contiguous() for port, leaf in zip(ports, leaves_of(state), strict=True)}

    def run(inputs: Values, state: list[Tensor] | None) -> tuple[Values, list[Tensor]]:
        values, keys = inputs["memory"], inputs["keys"]
        padding = ~valid_steps(inputs["memory_lengths"], values.shape[1], values.device)
        memory: tuple[Tensor, ...] = (values, keys, padding)
        if model.copy:
            ids = inputs["source_ids"].masked_fill(padding, 0)
            memory = (*memory, ids, values.new_zeros(len(ids), max(0, int(ids.max()) + 1 - model.vocabulary)))
        with torch.no_grad():
            like = model._begin(
                tuple(model._layers(one).initial_state(len(values)) for one in model._recurrent()), padding, values
            )
        leaves = [inputs[port.input] for port in ports] if state is None else state
        logits, after, attention = model.decode_step(inputs["ids"], state_like(leaves, like), memory)
        return {name: logits, "attention": attention}, leaves_of(after)

    return example, run


def _step(writer: Writer, model: Any, embedded: str, memory: _Memory) -> tuple[str, str, str]:
    """[h; c] of the uppermost layer, o and the attention of one step, [B, 1, ·] each."""
    graph, axis = writer.graph, model.state_batch_axis
    fed = covered = None
    covered_port = None
    if model.attention.coverage:
        covered, covered_port = writer.begin_state("covered", _on_axis(axis, MEMORY))
    if model.form == "parallel":
        h = write_layer(writer, model.decoder, Steps(embedded)).steps.value
        context, weights, total = _attended(writer, model, h, memory, covered)
    else:
        feeds = model.form == "input_feeding"
        width = model.combine.out_features if feeds else model._width("decoder")
        value, port = writer.begin_state("fed" if feeds else "query", _on_axis(axis, width))
        before = graph("Unsqueeze", graph("Squeeze", value, graph.ints(0)) if axis == 1 else value, graph.ints(1))
        if feeds:
            read = graph("Concat", embedded, before, axis=2)
            h = write_layer(writer, model.decoder, Steps(read)).steps.value
            context, weights, total = _attended(writer, model, h, memory, covered)
            fed = _vectors(writer, model, graph("Concat", h, context, axis=2))
        else:
            context, weights, total = _attended(writer, model, before, memory, covered)
            read = graph("Concat", embedded, context, axis=2)
            h = fed = write_layer(writer, model.decoder, Steps(read)).steps.value
    gate = graph("Concat", h, context, axis=2)
    if model.upper is not None:
        upper = write_layer(writer, model.upper, Steps(gate)).steps.value
        gate = graph("Concat", upper, context, axis=2)
    vectors = _vectors(writer, model, gate)
    if fed is not None:  # behind the states of the recurrent layers, as rnnkit orders them
        row = graph("Squeeze", fed, graph.ints(1))
        writer.end_state(port, graph("Unsqueeze", row, graph.ints(0)) if axis == 1 else row)
    if covered_port is not None and total is not None:
        writer.end_state(covered_port, graph("Unsqueeze", total, graph.ints(0)) if axis == 1 else total)
    return gate, vectors, weights


def _on_axis(axis: int, size: int | str) -> tuple[int | str, ...]:
    return (1, BATCH, size) if axis == 1 else (BATCH, size)


def _vectors(writer: Writer, model: Any, features: str) -> str:
    return writer.graph("Tanh", write_dense(writer, model.combine, features))


def _attended(
    writer: Writer, model: Any, query: str, memory: _Memory, covered: str | None
) -> tuple[str, str, str | None]:
    """The context [B, 1, F], the attention [B, 1, S] and Σ a after the step [B, S] of a query [B, 1, Q]."""
    graph, attention = writer.graph, model.attention
    seen = None
    if covered is not None:
        seen = graph("Squeeze", covered, graph.ints(0)) if model.state_batch_axis == 1 else covered
    if attention.from_query is None or attention.v is None:
        scores = graph("MatMul", query, graph("Transpose", memory.keys, perm=[0, 2, 1]))
        if seen is not None:  # q_t · w_c, a number a row
            effect = graph("MatMul", query, graph.constant(attention.from_coverage.weight, "coverage"))
            scores = graph("Add", scores, graph("Mul", effect, graph("Unsqueeze", seen, graph.ints(1))))
    else:
        summed = graph("Add", write_dense(writer, attention.from_query, query), memory.keys)
        if seen is not None:
            column = graph("Unsqueeze", seen, graph.ints(2))
            summed = graph("Add", summed, write_dense(writer, attention.from_coverage, column))
        scores = graph("Transpose", write_dense(writer, attention.v, graph("Tanh", summed)), perm=[0, 2, 1])
    scores = graph("Where", memory.valid, scores, graph.number(float("-inf")))
    weights = graph("Softmax", scores, axis=-1)
    total = None if seen is None else graph("Add", seen, graph("Squeeze", weights, graph.ints(1)))
    return graph("MatMul", weights, memory.values), weights, total


def _copied(writer: Writer, model: Any, logits: str, gate: str, embedded: str, attention: str) -> str:
    """ln P over V + K words [B, V + K]; see :mod:`rnnkit.models.copying`."""
    graph = writer.graph
    features = graph("Squeeze", graph("Concat", gate, embedded, axis=2), graph.ints(1))
    generate = graph("Sigmoid", write_dense(writer, model.copying.gate, features))
    mixed = graph("Mul", generate, graph("Softmax", logits, axis=-1))
    ids = writer.masked(Steps("source_ids", "memory_lengths"), rank=2).value
    largest = graph("Unsqueeze", graph("ReduceMax", ids, keepdims=0), graph.ints(0))
    extra = graph("Max", graph("Sub", largest, graph.ints(model.vocabulary - 1)), graph.ints(0))
    mixed = graph("Pad", mixed, graph("Concat", graph.ints(0, 0, 0), extra, axis=0))
    copied = graph("Mul", graph("Sub", graph.number(1.0), generate), attention)
    summed = graph("ScatterElements", mixed, ids, copied, axis=1, reduction="add")
    return graph("Log", graph("Max", summed, graph.number(1e-10)))
