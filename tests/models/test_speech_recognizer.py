import copy

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError


def model(front=True, **body):
    sizes = (8, 12) if front else (4, 12)
    return rnnkit.SpeechRecognizer(
        rnnkit.GRU(*sizes, **body), 6, front=rnnkit.CausalConv(4, 8, (3, 3), (2, 2)) if front else None
    ).eval()


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("chunk", [1, 3, 21])
def test_chunks_give_what_the_whole_gives(front, chunk):
    recognizer, x = model(front), torch.randn(2, 21, 4)
    state, outputs = None, []
    for part in x.split(chunk, 1):
        y, state = recognizer.forward_chunk(part, state)
        outputs.append(y)
    outputs.append(recognizer.finish(state))
    whole, lengths = recognizer(x)
    assert_close(torch.cat(outputs, 1), whole)
    assert lengths.tolist() == [6, 6] if front else [21, 21]


def streamed(recognizer, x, chunk):
    """Logits of chunks without gradients, which are computed by packed weights where chunks are short."""
    state, outputs = None, []
    with torch.no_grad():
        for part in x.split(chunk, 1):
            y, state = recognizer.forward_chunk(part, state)
            outputs.append(y)
        return torch.cat([*outputs, recognizer.finish(state)], 1)


@pytest.mark.parametrize("chunk", [1, 3, 50, 70])
@pytest.mark.parametrize(
    "body",
    [
        rnnkit.GRU(8, 12, num_layers=2, layer_norm=True),
        rnnkit.Chain(rnnkit.LSTM(8, 6), torch.nn.Dropout(0.5), rnnkit.GRU(6, 12)),
        torch.nn.GRU(8, 12, batch_first=True),
        rnnkit.RNN(rnnkit.GRUCell(8, 12)),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_stream_gives_what_the_whole_gives(body, chunk):
    recognizer = rnnkit.SpeechRecognizer(body, 6, front=rnnkit.CausalConv(4, 8, (3, 3), (2, 1))).eval()
    x = torch.randn(1, 140, 4)
    whole = recognizer(x)[0]
    assert_close(streamed(recognizer, x, chunk), whole)
    if isinstance(body, rnnkit.GRU):  # a copy packs its own weights
        other = copy.deepcopy(recognizer).double()
        assert_close(streamed(other, x.double(), chunk), other(x.double())[0])


def test_changed_weights_and_new_hooks_reach_the_next_chunk():
    recognizer, x = model(), torch.randn(1, 30, 4)
    before = streamed(recognizer, x, 5)
    with torch.no_grad():
        recognizer.body.weight_hh_l0.mul_(2)
        recognizer.front.convs[1].weight.mul_(2)
    after = streamed(recognizer, x, 5)
    assert not torch.allclose(before, after)
    assert_close(after, recognizer(x)[0])
    seen = []
    watched = (recognizer.body, *recognizer.front.convs)
    for module in watched:
        module.register_forward_hook(lambda module, *_: seen.append(module))
    assert_close(streamed(recognizer, x, 5), after)
    assert set(seen) == set(watched)


def test_gradients_and_dropout_go_through_chunks():
    recognizer, x = model(num_layers=2, dropout=0.5), torch.randn(1, 8, 4)
    recognizer.forward_chunk(x)[0].sum().backward()
    assert recognizer.body.weight_ih_l0.grad.abs().sum() > 0
    recognizer.train()
    with torch.no_grad():
        assert not torch.equal(recognizer.forward_chunk(x)[0], recognizer.forward_chunk(x)[0])


def test_rows_of_unequal_length_are_told_and_learned():
    recognizer, x = model(bidirectional=True), torch.randn(2, 40, 4)
    logits, lengths = recognizer(x, [40, 13])
    assert tuple(logits.shape) == (2, 10, 6)
    assert lengths.tolist() == [10, 4]
    alone, _ = recognizer(x[1:, :13])
    assert_close(logits[1:, :4], alone)
    learner = rnnkit.Learner(recognizer.train(), lr=0.02)
    batch = rnnkit.Batch(x, torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([40, 13]), torch.tensor([3, 1]))
    history = learner.fit([batch], epochs=30, seed=0, progress=False)
    assert history.rows[-1]["loss"] < 0.5 * history.rows[0]["loss"]


def test_a_saved_recogniser_is_the_same(tmp_path):
    recognizer, x = model(num_layers=2), torch.randn(1, 9, 4)
    rnnkit.Learner(recognizer).save(tmp_path)
    assert_close(rnnkit.load(tmp_path)(x)[0], recognizer.eval()(x)[0])


def test_what_cannot_go_on_from_chunk_to_chunk_says_why():
    both = model(bidirectional=True)
    assert "bidirectional" in both.carry_problem
    with pytest.raises(ConfigError, match="bidirectional"):
        both.forward_chunk(torch.zeros(1, 8, 4))
    ahead = rnnkit.SpeechRecognizer(rnnkit.GRU(12, 4), 3, front=rnnkit.ConvFront(4, 12, stride=2))
    assert "use a rnnkit.CausalConv" in ahead.carry_problem


def test_states_are_reordered_by_row():
    recognizer, x = model(), torch.randn(2, 7, 4)
    _, state = recognizer.forward_chunk(x)
    swapped = recognizer.reorder_state(state, torch.tensor([1, 0]))
    more = torch.randn(2, 9, 4)
    assert_close(recognizer.forward_chunk(more.flip(0), swapped)[0], recognizer.forward_chunk(more, state)[0].flip(0))
