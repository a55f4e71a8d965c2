"""An encoder of both directions keeps its packed weights from one short source to the next."""

import copy
import io
import threading

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ShapeError
from rnnkit.models import layer_steps

V, E, F, H = 30, 12, 16, 14


def build(cell=rnnkit.GRU, dtype=torch.float32, **options):
    torch.manual_seed(3)
    encoder = cell(E, F // 2, bidirectional=True, **options)
    return rnnkit.EncoderDecoder(encoder, cell(E, H), V, V).to(dtype).eval()


def source(rows=1, steps=7):
    return torch.randint(4, V, (rows, steps), generator=torch.Generator().manual_seed(4))


def outputs(model, x, lengths=None):
    """The encoder's outputs and the decoder's first state."""
    state, memory = model.encode(x, lengths)
    return memory[0], state


def assert_as_a_call(model, x, lengths=None):
    """With gradients the encoder is called, without them its packed weights may serve."""
    expected = outputs(model, x, lengths)
    with torch.no_grad():
        found = outputs(model, x, lengths)
    assert_close(found, expected)
    return found


@pytest.fixture
def packed(monkeypatch):
    """The numbers of rows that an encoder was packed for."""
    made, make = [], layer_steps._both_directions
    monkeypatch.setattr(layer_steps, "_both_directions", lambda layer, x: made.append(len(x)) or make(layer, x))
    return made


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (rnnkit.LSTM, {"num_layers": 2, "dropout": 0.5}),
        (rnnkit.GRU, {"dtype": torch.float64, "learn_initial_state": True}),
        (rnnkit.SimpleRNN, {"batch_first": True, "zoneout": 0.1}),
    ],
    ids=str,
)
@pytest.mark.parametrize(("rows", "steps"), [(1, 7), (2, 5), (1, 1)])
def test_short_sources_are_packed_once(cell, options, rows, steps, packed):
    model = build(cell, **options)
    assert_as_a_call(model, source(rows, steps))
    assert_as_a_call(model, source(rows, steps), [steps] * rows)
    assert_as_a_call(model, source(rows, max(1, steps - 2)), torch.full((rows,), max(1, steps - 2)))
    assert packed == [rows]


def test_changed_weights_are_packed_anew(packed):
    model, x = build(), source()
    saved = io.BytesIO()
    torch.save({name: one + 0.3 for name, one in model.state_dict().items()}, saved)

    def load(**how):
        saved.seek(0)
        model.load_state_dict(torch.load(saved), **how)

    def train():
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        outputs(model, x)[0].square().sum().backward()
        optimizer.step()

    def replace():
        model.encoder = rnnkit.LSTM(E, F // 2, bidirectional=True)

    assert_as_a_call(model, x)
    changes = [train, load, lambda: load(assign=True), lambda: model.to(torch.float64), model.float, replace]
    for count, change in enumerate(changes, start=2):
        change()
        assert_as_a_call(model, x)
        assert len(packed) == count


def test_copies_pack_their_own_weights():
    model, x = build(), source()
    before = assert_as_a_call(model, x)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.encoder.weight_hh_l0.zero_()
    assert not torch.equal(assert_as_a_call(other, x)[0], before[0])
    assert_close(assert_as_a_call(model, x), before)


def test_what_is_kept_from_inference_mode_serves_outside_it(packed):
    model, x = build(), source()
    with torch.inference_mode():
        outputs(model, x)
    assert_as_a_call(model, x)
    assert packed == [1]


def test_padded_long_and_watched_sources_are_called(packed):
    model = build()
    seen = []
    assert_as_a_call(model, source(2, 5), [5, 3])
    assert_as_a_call(model, source(2, 40))
    model.train()
    with torch.no_grad():
        outputs(model, source())
    assert packed == []
    model.eval()
    model.encoder.register_forward_pre_hook(lambda *_: seen.append("before"))
    model.encoder.register_forward_hook(lambda *_: seen.append("after"))
    with torch.no_grad():
        outputs(model, source())
    assert seen == ["before", "after"]
    with torch.no_grad(), pytest.raises(ShapeError, match="mask"):
        outputs(build(), source(2, 5), torch.ones(2, 5, dtype=torch.bool))


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_hooks_that_change_what_goes_in_are_called_and_those_of_weights_are_packed(name):
    model = build()
    layer = torch.nn.utils.weight_norm(getattr(model, name), "weight_hh_l0")

    def scores(gradients):
        with torch.set_grad_enabled(gradients):
            state, memory = model.encode(source())
            return model.decode_step(torch.tensor([5]), state, memory)[0].detach()

    plain = scores(gradients=False)
    assert_close(plain, scores(gradients=True))
    layer.register_forward_pre_hook(lambda module, given: (given[0] * 2, *given[1:]))
    assert_close(scores(gradients=False), scores(gradients=True))
    assert not torch.allclose(scores(gradients=False), plain)


def test_threads_share_what_is_packed():
    model = build()
    sources = [source(1, steps) for steps in range(1, 9)]
    with torch.no_grad():
        expected = [outputs(model, x) for x in sources]
    found = {}

    def encode(index):
        with torch.no_grad():
            found[index] = [outputs(model, sources[index]) for _ in range(20)][-1]

    threads = [threading.Thread(target=encode, args=(index,)) for index in range(len(sources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_close([found[index] for index in range(len(sources))], expected)
