"""Steps of rows that attend to one source, with products that are computed before them."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.generation import beam_search, encoded, generate
from rnnkit.models import product_rows
from rnnkit.models.decoder_stream import DecoderStream, OneSourceStream
from rnnkit.models.product_rows import ProductRows
from rnnkit.ops.state import map_state, tensors

V, E, H = 50, 88, 96  # ids, embedding, outputs of the encoder and of the decoder: the least that is worth packing


def build(cell=rnnkit.LSTM, upper=True, dtype=torch.float32, options=None, **more):
    torch.manual_seed(3)
    options = options or {}
    above = cell(options.get("proj_size", H) + H, H, **options) if upper else None
    model = rnnkit.EncoderDecoder(cell(E, H // 2, bidirectional=True), cell(E, H, **options), V, V, upper=above, **more)
    return model.to(dtype).eval()


def rows_of(state, memory, model, rows):
    """The first source, in so many rows."""
    index = torch.zeros(rows, dtype=torch.int64)
    return (
        map_state(lambda leaf: leaf.index_select(model.state_batch_axis, index), state),
        tuple(one.index_select(0, index) for one in memory),
    )


def source(length=7):
    return torch.randint(4, V, (1, length), generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (rnnkit.LSTM, {}),
        (rnnkit.LSTM, {"upper": False}),
        (rnnkit.LSTM, {"options": {"peepholes": True, "proj_size": H - 4, "coupled_gates": True}}),
        (rnnkit.GRU, {"attention": "dot", "tied": "output"}),
        (rnnkit.GRU, {"options": {"reset_after": False, "bias": False}, "dtype": torch.float64}),
        (rnnkit.SimpleRNN, {"options": {"num_layers": 2, "zoneout": 0.1}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 5])
def test_decodes_as_single_steps(cell, options, rows):
    model = build(cell, **options)
    ids = torch.randint(V, (rows, 6), generator=torch.Generator().manual_seed(5))
    index = (torch.arange(rows) * 2) % rows
    with torch.no_grad():
        state, memory = rows_of(*model.encode(source()), model, rows)
        for _ in range(2):  # the second stream is of the layers that the first one gave back
            stream, own = model.decoder_stream(state, memory), state
            assert isinstance(stream, OneSourceStream)
            for step in ids.unbind(1):
                logits, weights = stream(step)
                expected, own, attention = model.decode_step(step, own, memory)
                assert_close(logits, expected)
                assert_close(weights, attention)
                stream.reorder(index)
                own = map_state(lambda leaf: leaf.index_select(model.state_batch_axis, index), own)
            for one, other in zip(tensors(stream.state), tensors(own), strict=True):
                assert_close(one, other)
            stream.close()


@pytest.mark.parametrize(
    "name", ["embedding.weight", "decoder.weight_ih_l0", "upper.weight_ih_l0", "combine.weight", "output.bias"]
)
def test_new_weights_are_seen(name):
    model, ids = build(), torch.tensor([3, 7, 9])
    with torch.no_grad():
        state, memory = rows_of(*model.encode(source()), model, 3)
        stream = model.decoder_stream(state, memory)
        before = stream(ids)[0]
        stream.close()
        model.get_parameter(name).mul_(2).add_(0.5)
        stream = model.decoder_stream(state, memory)
        found = stream(ids)[0]
        assert_close(found, model.decode_step(ids, state, memory)[0])
        assert not torch.allclose(found, before)


@pytest.mark.parametrize(
    ("options", "rows", "length"),
    [({}, 17, 7), ({}, 3, H // 2 + 1), ({"options": {"layer_norm": True}}, 3, 7), ({"copy": True, "unknown": 1}, 3, 7)],
    ids=str,
)
def test_other_rows_and_models_take_the_usual_stream(options, rows, length):
    model = build(**options)
    with torch.no_grad():
        stream = model.decoder_stream(*rows_of(*model.encode(source(length)), model, rows))
        assert type(stream) is DecoderStream
        stream(torch.zeros(rows, dtype=torch.int64))


def test_several_sources_and_a_large_vocabulary_take_the_usual_stream(monkeypatch):
    model, x = build(), torch.cat((source(), source().flip(1)))
    with torch.no_grad():
        assert type(model.decoder_stream(*model.encode(x))) is DecoderStream
        monkeypatch.setattr(product_rows, "_MOST_BYTES", 4 * V * 4 * H - 1)
        assert type(model.decoder_stream(*rows_of(*model.encode(source()), model, 2))) is DecoderStream


def test_what_is_generated_is_the_same_as_in_the_general_way(monkeypatch):
    model = build(tied="none")
    with torch.no_grad():
        model.output.weight.mul_(20)

    def found():
        beams = beam_search(encoded(model, source()), [2], end=3, width=4, max_tokens=12, n_best=4)
        return [(one.ids, round(one.score, 3)) for one in beams[0]], [
            generate(encoded(model, source()), [2], max_tokens=9, seed=seed, temperature=0.8).ids for seed in range(2)
        ]

    by_stream = found()
    assert found() == by_stream
    monkeypatch.setattr(rnnkit.EncoderDecoder, "decoder_stream", lambda *_: None)
    assert found() == by_stream


def test_kept_products_have_the_same_bits_whichever_are_asked_for_together(monkeypatch):
    table, weight = torch.randn(40, 33), torch.randn(21, 33)
    to = torch.empty(20, 21)
    one, other = ProductRows(table, weight), ProductRows(table, weight)
    ids = torch.arange(20) % 13
    one.write(ids, to)
    assert_close(to, (table @ weight.T)[ids])
    single = torch.empty(1, 21)
    for row in range(12, -1, -1):
        other.write(torch.tensor([row]), single)
        assert torch.equal(single[0], to[row])
    computed = []
    monkeypatch.setattr(one, "_compute", computed.append)
    one.write(ids.flip(0), to)
    assert not computed
    with pytest.raises(IndexError):
        other.write(torch.tensor([40]), single)


def test_products_that_were_kept_in_inference_mode_grow_outside_it():
    model = build()
    with torch.inference_mode():
        state, memory = model.encode(source())
        stream = model.decoder_stream(state, memory)
        stream(torch.tensor([5]))
        stream.close()
    with torch.no_grad():
        state, memory = model.encode(source())
        stream = model.decoder_stream(state, memory)
        assert_close(stream(torch.tensor([6]))[0], model.decode_step(torch.tensor([6]), state, memory)[0])
