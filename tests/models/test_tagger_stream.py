"""A tagger step by step equals the tagger on whole sequences; its last output alone equals that of the whole."""

import copy
import pickle

import pytest
import torch
from tolerances import assert_close
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.ops.state import tensors

BODIES = {
    "rnnkit": lambda: rnnkit.LSTM(4, 6, num_layers=2),
    "chain": lambda: rnnkit.Chain(rnnkit.GRU(4, 5), nn.LayerNorm(5), nn.Dropout(0.5), rnnkit.SimpleRNN(5, 6)),
    "torch": lambda: nn.GRU(4, 6, batch_first=True),
    "sequential": lambda: nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 6)),
    "learned": lambda: rnnkit.GRU(4, 6, learn_initial_state=True),
}


@pytest.fixture(params=BODIES)
def model(request):
    torch.manual_seed(0)
    front = None if request.param == "sequential" else nn.Embedding(9, 4)
    return rnnkit.SequenceTagger(BODIES[request.param](), 5, dropout=0.5, front=front).eval()


def inputs(model, batch=3, time=7):
    generator = torch.Generator().manual_seed(1)
    if model.front is None:
        return torch.randn(batch, time, 4, generator=generator)
    return torch.randint(0, 9, (batch, time), generator=generator)


@pytest.mark.parametrize("training", [False, True])
def test_a_stream_equals_the_call(model, training):
    x = inputs(model)
    expected = model(x).detach()
    stream = model.train(training).stream(batch=3)
    assert_close(torch.stack([stream(x[:, step]) for step in range(7)], 1), expected)
    assert all(part.training == training for part in model.modules())


def test_a_stream_goes_on_from_a_state_of_the_model_and_gives_it_back(model):
    x = inputs(model)
    _, before = model.forward_chunk(x[:, :4])
    expected, after = model.forward_chunk(x[:, 4:], before)
    stream = model.stream(batch=3)
    stream.state = before
    assert_close(torch.stack([stream(x[:, step]) for step in range(4, 7)], 1), expected.detach())
    assert_close(stream.state, [leaf.detach() for leaf in tensors(after)])


def test_rows_of_a_stream_are_exchanged(model):
    x, index = inputs(model), torch.tensor([2, 2, 0])
    stream = model.stream(batch=3)
    for step in range(4):
        stream(x[:, step])
    stream.reorder(index)
    exchanged = torch.cat((x[index, :4], x[:, 4:5]), 1)
    assert_close(stream(x[:, 4]), model(exchanged)[:, -1].detach())


def test_a_large_head_is_packed_and_copied_with_the_stream():
    model = rnnkit.SequenceTagger(rnnkit.GRU(4, 128), 200, front=nn.Embedding(9, 4)).eval()
    x, stream = torch.tensor([3, 5]), model.stream(batch=2)
    stream(x)
    others = [copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    expected = model(torch.stack((x, x), 1))[:, 1].detach()
    for one in (stream, *others):
        assert_close(one(x), expected)
    with torch.no_grad():
        model.head.weight.zero_()
    assert_close(model.stream(batch=2)(x), model.head.bias.detach().expand(2, -1))


@pytest.mark.parametrize("lengths", [None, [7, 2, 4]])
def test_the_last_output_alone(model, lengths):
    x = inputs(model)
    y, state = model.forward_chunk(x, lengths=lengths)
    last, same = model.forward_last(x, lengths=lengths)
    ends = torch.tensor(lengths or [7, 7, 7]) - 1
    assert_close(last, y[torch.arange(3), ends])
    assert_close(tensors(same), tensors(state))


def test_a_model_that_reads_from_the_end_has_no_stream():
    model = rnnkit.SequenceTagger(rnnkit.GRU(4, 6, bidirectional=True), 5)
    for method, argument in (("stream", 2), ("forward_last", torch.zeros(1, 2, 4))):
        with pytest.raises(ConfigError, match=rf"SequenceTagger.{method} goes on from a state, but its GRU is bidir"):
            getattr(model, method)(argument)
