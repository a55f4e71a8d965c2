"""Encoder–decoders: the whole target at once equals token by token; padding; copying; coverage; loading."""

import copy
import itertools

import pytest
import tolerances
import torch

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.generation import beam_search, beam_steps, encoded, generate
from rnnkit.layers.modes import mode
from rnnkit.models import layer_steps
from rnnkit.models.attention import Attention
from rnnkit.ops.padding import valid_steps
from rnnkit.ops.state import map_state, tensors

V, E, F, H = 13, 6, 8, 8  # ids, embedding, encoder outputs, decoder outputs
LENGTHS = [5, 2, 4]


def build(form="parallel", cell=rnnkit.GRU, upper=True, **options):
    torch.manual_seed(3)
    width = {
        "parallel": E,
        "bahdanau": E + F,
        "input_feeding": 2 * E if options.get("tied", "none") != "none" else E + H,
    }
    above = cell(H + F, H) if upper and form != "input_feeding" else None
    encoder = cell(E, F // 2, bidirectional=True)
    model = rnnkit.EncoderDecoder(encoder, cell(width[form], H), V, V, upper=above, form=form, **options)
    if options.get("coverage"):
        torch.nn.init.normal_(model.attention.from_coverage.weight)  # as after some training
    return model


def batch(extra=0):
    generator = torch.Generator().manual_seed(4)
    x = torch.randint(4, V + extra, (3, 5), generator=generator)
    previous = torch.randint(4, V, (3, 6), generator=generator)
    return x, previous


CASES = [
    {"form": form, "attention": attention}
    for form, attention in itertools.product(("parallel", "bahdanau", "input_feeding"), ("dot", "general", "additive"))
] + [
    {"cell": rnnkit.LSTM},
    {"cell": rnnkit.SimpleRNN, "upper": False},
    {"cell": rnnkit.LSTM, "form": "bahdanau"},
    {"attention": "additive", "coverage": True},
    {"attention": "additive", "coverage": True, "form": "bahdanau", "cell": rnnkit.LSTM},
    {"attention": "additive", "coverage": True, "form": "input_feeding", "tied": "output"},
    {"attention": "general", "coverage": True, "cell": rnnkit.LSTM},
    {"attention": "dot", "coverage": True, "form": "input_feeding"},
    {"attention": "general", "coverage": True, "form": "bahdanau"},
    {"copy": True, "unknown": 1},
    {"copy": True, "unknown": 1, "attention": "additive", "coverage": True, "form": "bahdanau"},
    {"bridge": False, "tied": "all", "start": 2},
]


def stepwise(model, x, previous, lengths):
    """The outputs and the attention of `decode_step`, one after the other."""
    state, memory = model.encode(x, lengths)
    outputs, weights = [], []
    for ids in previous.unbind(1):
        logits, state, attention = model.decode_step(ids, state, memory)
        outputs.append(logits)
        weights.append(attention)
    return torch.stack(outputs, 1), torch.stack(weights, 1)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_whole_targets_equal_single_steps_and_padding_matters_nowhere(options):
    model = build(**options)
    x, previous = batch(extra=2 if options.get("copy") else 0)
    logits, weights = model(x, previous, lengths=LENGTHS, return_attention=True)
    single, attention = stepwise(model, x, previous, LENGTHS)
    tolerances.assert_close(single, logits)
    tolerances.assert_close(attention, weights)
    tolerances.assert_close(weights.sum(-1), torch.ones(3, 6))
    valid = valid_steps(torch.tensor(LENGTHS), 5, x.device)
    assert not weights.masked_select(~valid[:, None]).any()
    tolerances.assert_close(model(torch.where(valid, x, 3), previous, lengths=LENGTHS), logits)
    if not options.get("copy"):  # whose outputs are as wide as the most words of a source of the batch
        for row, length in enumerate(LENGTHS):
            tolerances.assert_close(model(x[row : row + 1, :length], previous[row : row + 1])[0], logits[row])


@pytest.mark.parametrize("options", CASES, ids=str)
def test_every_parameter_gets_a_gradient_and_the_model_is_loaded_as_it_was_saved(options, tmp_path):
    model = build(**options)
    x, previous = batch()
    model(x, previous, lengths=LENGTHS).log_softmax(-1)[..., :7].sum().backward()
    assert [name for name, one in model.named_parameters() if one.grad is None] == []
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert repr(again) == repr(model)
    with mode(model, training=False):
        torch.testing.assert_close(again(x, previous, lengths=LENGTHS), model(x, previous, lengths=LENGTHS))


def test_steps_without_gradients_are_the_same_before_and_after_the_weights_change():
    model = build(cell=rnnkit.LSTM).eval()
    x, previous = batch()
    for change in (
        lambda: None,
        lambda: model.decoder.weight_hh_l0.mul_(2.0),
        lambda: model.upper.bias_ih_l0.add_(1.0),
    ):
        with torch.no_grad():
            change()
            single, _ = stepwise(model, x, previous, LENGTHS)
            tolerances.assert_close(single, model(x, previous, lengths=LENGTHS))
    again = copy.deepcopy(model)
    model.load_state_dict({name: one * 0.5 for name, one in model.state_dict().items()})
    with torch.inference_mode():
        tolerances.assert_close(stepwise(again, x, previous, LENGTHS)[0], single)
        halved, _ = stepwise(model, x, previous, LENGTHS)
        tolerances.assert_close(halved, model(x, previous, lengths=LENGTHS))
    state, memory = model.encode(x, LENGTHS)
    model.decode_step(previous[:, 0], state, memory)[0].sum().backward()
    assert model.upper.weight_ih_l0.grad is not None


def test_the_equations_of_the_parallel_form():
    model = build(upper=False)
    x, previous = batch()
    table = model.source_embedding.weight[x]
    values, last = model.encoder(table.transpose(0, 1))
    values = values.transpose(0, 1)
    state = torch.tanh(torch.cat((last[0], last[1]), -1) @ model.bridge.weight.T + model.bridge.bias)
    state, outputs = state[None], []
    keys = values @ model.attention.from_memory.weight.T
    for ids in previous.unbind(1):
        h, state = model.decoder.step(model.embedding.weight[ids], state)
        weights = torch.einsum("bh,bsh->bs", h, keys).softmax(-1)
        context = torch.einsum("bs,bsf->bf", weights, values)
        outputs.append(model.output(torch.tanh(model.combine(torch.cat((h, context), -1)))))
    tolerances.assert_close(model(x, previous), torch.stack(outputs, 1))


@pytest.mark.parametrize("score", ["dot", "general", "additive"])
def test_coverage_is_in_the_keys(score):
    torch.manual_seed(1)
    attention = Attention(score, queries=4, memory=4, size=3, coverage=True)
    queries, memory, padding = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.arange(5) >= torch.tensor([[5], [3]])
    keys = attention.keys(memory)
    plain = Attention(score, queries=4, memory=4, size=3)
    plain.load_state_dict({name: one for name, one in attention.state_dict().items() if "coverage" not in name})
    if score != "additive":  # begins as without
        found = attention(queries, memory, keys, padding, torch.zeros(2, 5)).weights
        assert torch.equal(found, plain(queries, memory, keys, padding).weights)
    torch.nn.init.normal_(attention.from_coverage.weight)
    contexts, weights, covered = attention(queries, memory, keys, padding, torch.zeros(2, 5))
    before = torch.zeros(2, 5)
    for step in range(3):
        seen = keys + before[..., None] * attention.from_coverage.weight[:, 0]
        expected = plain(queries[:, step : step + 1], memory, seen, padding)
        tolerances.assert_close(weights[:, step], expected.weights[:, 0])
        tolerances.assert_close(contexts[:, step], expected.contexts[:, 0])
        before = before + expected.weights[:, 0]
    tolerances.assert_close(covered, before)
    assert not weights[1, :, 3:].any()
    weights.square().sum().backward()
    assert attention.from_coverage.weight.grad.abs().sum() > 0


def test_sources_of_numbers_with_nan_in_the_padding():
    torch.manual_seed(0)
    model = rnnkit.EncoderDecoder(rnnkit.LSTM(3, 4, bidirectional=True), rnnkit.LSTM(E, H), None, V)
    x = torch.randn(3, 5, 3)
    previous = batch()[1]
    poisoned = x.masked_fill(~valid_steps(torch.tensor(LENGTHS), 5, x.device)[..., None], torch.nan)
    tolerances.assert_close(model(poisoned, previous, lengths=LENGTHS), model(x, previous, lengths=LENGTHS))


def test_copying_gives_a_distribution_with_the_words_that_the_vocabulary_lacks():
    model = build(copy=True, unknown=1)
    x, previous = batch()
    x[0, 3] = V + 1
    log_p, weights = model(x, previous, lengths=LENGTHS, return_attention=True)
    assert log_p.shape == (3, 6, V + 2)
    tolerances.assert_close(log_p.exp().sum(-1), torch.ones(3, 6))
    with torch.no_grad():
        model.copying.gate.weight.zero_()
        model.copying.gate.bias.fill_(-40.0)  # copies only
    log_p, weights = model(x, previous, lengths=LENGTHS, return_attention=True)
    tolerances.assert_close(log_p.exp()[0, :, V + 1], weights[0, :, 3])
    twice = weights[2, :, :4] * (x[2, :4] == x[2, 0])
    tolerances.assert_close(log_p.exp()[2, :, x[2, 0]], twice.sum(-1))
    read = torch.where(previous == 5, V + 1, previous)  # read as the unknown word
    plain = model(x, torch.where(previous == 5, 1, previous), lengths=LENGTHS)
    tolerances.assert_close(model(x, read, lengths=LENGTHS), plain)


def test_dropout_is_drawn_while_training_alone():
    model = build(dropout=0.5, word_dropout=0.2)
    x, previous = batch()
    assert not torch.equal(model(x, previous), model(x, previous))
    model.eval()
    assert torch.equal(model(x, previous), model(x, previous))
    model.train()
    model.variational = True
    dropped = model._drop(torch.ones(2, 9, 50))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    model.dropout, model.word_dropout = 0.0, 0.9
    embedded = model._embedded(model.embedding, previous)
    alive = (embedded != 0).any(-1)
    tolerances.assert_close(embedded[alive], 10 * model.embedding(previous)[alive])
    assert not alive.all()


@pytest.mark.parametrize("options", CASES, ids=str)
def test_single_steps_without_gradients_equal_the_whole(options):
    model = build(**options).eval()
    x, previous = batch()
    with torch.inference_mode():
        whole = model(x, previous, lengths=LENGTHS)
        tolerances.assert_close(stepwise(model, x, previous, LENGTHS)[0], whole)


def doubled(state, memory, model):
    """The same sources, each in two rows."""
    twice = torch.tensor([0, 0, 1, 1, 2, 2])
    return map_state(lambda leaf: leaf.index_select(model.state_batch_axis, twice), state), tuple(
        one.index_select(0, twice) for one in memory
    )


@pytest.mark.parametrize("options", CASES, ids=str)
def test_a_stream_decodes_as_single_steps(options):
    model = build(**options, dropout=0.5)
    x, previous = batch(extra=2 if options.get("copy") else 0)
    ids = previous.repeat_interleave(2, 0).roll(1, 1)
    index = torch.tensor([1, 0, 3, 3, 4, 5])
    with torch.no_grad():
        with mode(model, training=False):
            state, memory = doubled(*model.encode(x, LENGTHS), model)
        for _ in range(2):  # the second stream is of the layers that the first one gave back
            stream, own = model.decoder_stream(state, memory), state
            if model.form != "parallel":
                assert stream is None
                return
            for at, step in enumerate(ids.unbind(1)):
                logits, weights = stream(step)
                with mode(model, training=False):
                    expected, own, attention = model.decode_step(step, own, memory)
                tolerances.assert_close(logits, expected)
                tolerances.assert_close(weights, attention)
                if at % 2:
                    stream.reorder(index)
                    own = map_state(lambda leaf: leaf.index_select(model.state_batch_axis, index), own)
            for one, other in zip(tensors(stream.state), tensors(own), strict=True):
                tolerances.assert_close(one, other)
            stream.close()
            ids = ids.flip(1)


def test_two_streams_do_not_share_a_state_and_new_weights_are_seen():
    model, (x, previous) = build(), batch()
    with torch.inference_mode():
        state, memory = model.encode(x, LENGTHS)
        one, other = model.decoder_stream(state, memory), model.decoder_stream(state, memory)
        first = one(previous[:, 0])[0].clone()
        one(previous[:, 1])
        assert torch.equal(other(previous[:, 0])[0], first)
        one.close()
        other.close()
    with torch.no_grad():
        model.decoder.weight_hh_l0.mul_(2)
        state, memory = model.encode(x, LENGTHS)
        stream = model.decoder_stream(state, memory)
        tolerances.assert_close(stream(previous[:, 0])[0], model.decode_step(previous[:, 0], state, memory)[0])


def test_generation_takes_the_stream_too_and_layers_are_packed_once(monkeypatch):
    model, (x, _) = build(tied="output").eval(), batch()
    packed = []
    make = layer_steps._stream
    monkeypatch.setattr(layer_steps, "_stream", lambda layer, one: packed.append(len(one)) or make(layer, one))

    def texts(**more):
        found = generate(encoded(model, x, LENGTHS), [2], max_tokens=9, seed=1, temperature=0.8, **more)
        beams = beam_search(encoded(model, x, LENGTHS), [2], end=3, width=2, max_tokens=6)
        return found, [one.ids for source in beams for one in source]

    found, beams = texts()
    once = list(packed)
    again, _ = texts()
    assert again.ids == found.ids
    assert packed == once
    monkeypatch.setattr(rnnkit.EncoderDecoder, "decoder_stream", lambda *_: None)
    general, others = texts()
    assert (general.ids, others) == (found.ids, beams)
    states = (tensors(one.state.model_state[0]) for one in (found, general))
    for one, other in zip(*states, strict=True):
        tolerances.assert_close(one, other)


def test_there_is_no_stream_where_something_watches_or_learns():
    model, (x, _) = build(), batch()
    given = model.encode(x, LENGTHS)
    assert model.decoder_stream(*given) is None
    with torch.no_grad():
        assert model.decoder_stream(*given) is not None
        handle = model.attention.register_forward_hook(lambda *_: None)
        assert model.decoder_stream(*given) is None
        handle.remove()
        assert build(cell=torch.nn.GRU).decoder_stream(*given) is None
        model.__class__ = type("Own", (rnnkit.EncoderDecoder,), {})
        assert model.decoder_stream(*given) is None


@pytest.mark.parametrize(
    "options", [{}, {"copy": True, "unknown": 1}, {"attention": "additive", "coverage": True}], ids=str
)
@pytest.mark.parametrize(
    "more", [{}, {"no_repeat_ngram": 2}, {"no_repeat_ngram": 1}, {"coverage_penalty": 0.3}], ids=str
)
def test_beams_are_those_of_the_general_way(options, more, monkeypatch):
    model = build(**options, tied="output").eval()
    with torch.no_grad():
        model.output.weight.mul_(30)
    x, _ = batch(extra=2 if options.get("copy") else 0)
    settings = {"end": 3, "width": 3, "max_tokens": 12, "n_best": 3, "return_attention": True, **more}
    found = beam_search(encoded(model, x, LENGTHS), [2], **settings)
    monkeypatch.setattr(rnnkit.EncoderDecoder, "decoder_stream", lambda *_: None)
    monkeypatch.setattr(beam_steps, "best_continuations", lambda *_: None)
    general = beam_search(encoded(model, x, LENGTHS), [2], **settings)
    for one, other in zip(itertools.chain(*found), itertools.chain(*general), strict=True):
        assert (one.ids, one.ended) == (other.ids, other.ended)
        assert one.score == pytest.approx(other.score, rel=1e-4)
        tolerances.assert_close(one.attention, other.attention)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_beams_are_those_of_each_source_alone(options):
    model = build(**options).eval()
    x, _ = batch()
    found = beam_search(encoded(model, x, LENGTHS), [2], end=3, width=3, max_tokens=7, return_attention=True)
    for row, length in enumerate(LENGTHS):
        alone = beam_search(encoded(model, x[row : row + 1, :length]), [2], end=3, width=3, max_tokens=7)
        assert alone[0][0].ids == found[row][0].ids
        assert found[row][0].attention.shape[1] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: build(attention="sum"), "attention='sum'"),
        (lambda: build(copy=True), "without unknown="),
        (lambda: build(dropout=1.0), "dropout=1.0"),
        (
            lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), rnnkit.GRU(E, 4), V, V, attention="dot"),
            "attention='general'",
        ),
        (lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), rnnkit.GRU(E, 4), V, V + 1, tied="all"), "one vocabulary"),
        (lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), rnnkit.GRU(E, 4, bidirectional=True), V, V), "one direction"),
        (lambda: rnnkit.EncoderDecoder(rnnkit.GRU(5, F), rnnkit.GRU(E, 4), V, V, tied="all"), "input_size=6"),
        (lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), rnnkit.GRU(E, 4), V, V, form="bahdanau"), "E \\+ 8"),
        (
            lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), rnnkit.GRU(E, 4), V, V, upper=rnnkit.GRU(9, 4)),
            "input_size=12",
        ),
        (
            lambda: rnnkit.EncoderDecoder(
                rnnkit.GRU(E, F), rnnkit.GRU(E + 4, 4), V, V, upper=rnnkit.GRU(12, 4), form="input_feeding"
            ),
            "num_layers=2",
        ),
        (lambda: rnnkit.EncoderDecoder(rnnkit.GRU(E, F), torch.nn.Linear(E, 4), V, V), "no state"),
    ],
)
def test_settings_that_do_not_fit(change, message):
    with pytest.raises(ConfigError, match=message):
        change()


def test_inputs_that_do_not_fit():
    model = build()
    x, previous = batch()
    with pytest.raises(ShapeError, match="expected ids \\[B, S\\]"):
        model(x[..., None], previous)
    with pytest.raises(ShapeError, match="expected ids \\[B, T\\]"):
        model(x, previous.float())
