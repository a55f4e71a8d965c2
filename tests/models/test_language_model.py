"""The language model: its parts, its dropout, tied weights, the adaptive softmax, and what is saved of it."""

import copy

import numpy as np
import pytest
import torch
from tolerances import assert_close as close

import rnnkit
from rnnkit.data.tokens import TokenBatches
from rnnkit.errors import ConfigError
from rnnkit.generation import generate, token_model

SIZES = {"embedding_size": 12, "hidden_size": 20, "num_layers": 2}
DROPOUTS = {
    f"{name}_dropout": 0.2 + 0.1 * number
    for number, name in enumerate(("embedding", "input", "hidden", "output", "weight"))
}
KINDS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "simple_rnn": {"cell": "simple_rnn"},
    "untied": {"tied": False},
    "adaptive": {"tied": False, "cutoffs": (5, 11)},
    "awd": DROPOUTS,
    "normalised": {"layer_norm": True},
}


@pytest.fixture(params=KINDS, ids=list(KINDS))
def model(request):
    torch.manual_seed(3)
    return rnnkit.LanguageModel(23, **SIZES, **KINDS[request.param])


def test_it_is_loaded_as_it_was_saved(model, tmp_path):
    ids = torch.randint(0, 23, (3, 9))
    rnnkit.Learner(model).save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert torch.equal(again(ids), model.eval()(ids))
    assert again.tied == model.tied
    assert again.config() == model.config()
    assert repr(again) == repr(model)


def test_chunks_and_streams_go_on_as_the_whole(model):
    model.eval()
    ids = torch.randint(0, 23, (2, 11))
    whole = model(ids)
    first, state = model.forward_chunk(ids[:, :4])
    rest, _ = model.forward_chunk(ids[:, 4:], state)
    close(torch.cat((first, rest), 1), whole)
    stream = model.stream(batch=2)
    close(torch.stack([stream(ids[:, time]) for time in range(11)], 1), whole)
    logits, _ = token_model(model).read(ids, None, token_model(model).initial_state(2))
    close(logits, whole[:, -1])


def test_rows_of_unequal_length_are_read_alone(model):
    model.eval()
    ids = torch.randint(0, 23, (2, 9))
    both = model(ids, lengths=torch.tensor([9, 4]))
    close(both[1, :4], model(ids[1:, :4])[0])
    assert not both[1, 4:].any()


def test_it_learns_what_comes_next(model):
    learner = rnnkit.Learner(model, lr=0.05)
    text = np.tile(np.arange(23), 60)
    learner.fit(
        TokenBatches(text, 8, 20, random_windows=True, seed=1), epochs=10, stateful=True, seed=0, progress=False
    )
    losses = learner.evaluate(TokenBatches(text, 2, 50), stateful=True)["loss"]
    assert losses < 1.6  # log 23 = 3.1 is what chance has


def test_a_tied_head_is_the_embedding():
    model = rnnkit.LanguageModel(23, **SIZES)
    assert model.tied
    assert model.head.weight is model.front.weight
    assert [layer.hidden_size for layer in model.modules() if isinstance(layer, rnnkit.LSTM)] == [20, 12]
    assert copy.deepcopy(model).tied


def test_dropout_is_for_training_alone():
    torch.manual_seed(0)
    model = rnnkit.LanguageModel(23, **SIZES, **DROPOUTS)
    ids = torch.randint(0, 23, (2, 9))
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))
    kinds = [type(part) for part in model.body.children()]
    assert kinds.count(rnnkit.VariationalDropout) == 3  # at the input, between the layers, in front of the head


@pytest.mark.parametrize("p", [0.3, 0.6])
def test_variational_dropout_has_one_mask_for_all_steps(p):
    torch.manual_seed(0)
    dropout, x = rnnkit.VariationalDropout(p), torch.rand(400, 5, 30) + 0.5
    y, lengths, state = dropout(x, [5] * 400)
    factor = y / x
    assert state is None
    assert lengths == [5] * 400
    assert torch.equal(factor.round(decimals=4), factor[:, :1].round(decimals=4).expand_as(factor))
    assert abs(float((factor[:, 0] == 0).float().mean()) - p) < 0.02
    close(factor.max(), torch.tensor(1 / (1 - p)))
    assert torch.equal(dropout.eval()(x)[0], x)


def test_embedding_dropout_drops_whole_tokens():
    torch.manual_seed(0)
    embedding = rnnkit.Embedding(1000, 4, dropout=0.25)
    rows = embedding(torch.arange(1000).repeat(2, 1))
    assert torch.equal(rows[0], rows[1])
    dropped = (rows[0] == 0).all(1)
    assert abs(float(dropped.float().mean()) - 0.25) < 0.05
    close(rows[0][~dropped], embedding.weight[~dropped] / 0.75)
    assert torch.equal(embedding.eval()(torch.tensor([[7]]))[0, 0], embedding.weight[7])


@pytest.mark.parametrize("vocabulary", [23, 20])  # 20: as many as there are features
def test_the_adaptive_softmax_trains_on_what_it_evaluates(vocabulary):
    torch.manual_seed(0)
    model = rnnkit.LanguageModel(vocabulary, **SIZES, tied=False, cutoffs=(5, 11))
    ids, targets = torch.randint(0, vocabulary, (3, 9)), torch.randint(0, vocabulary, (27,))
    features = model(ids)
    assert features.shape == (3, 9, 20)
    trained = model.default_loss(features.flatten(0, 1), targets)
    model.eval()
    shares = model(ids)
    assert shares.shape == (3, 9, vocabulary)
    close(shares.exp().sum(-1), torch.ones(3, 9))
    close(model.default_loss(shares.flatten(0, 1), targets), trained)
    assert len(generate(model, [3], max_tokens=4, seed=0).ids[0]) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vocabulary": 1}, "vocabulary=1"),
        ({"cell": "rnn"}, "lstm"),
        ({"cutoffs": (3,)}, "tied=False"),
        ({"tied": False, "cutoffs": (9, 3)}, "rising"),
        ({"tied": False, "cutoffs": (3, 23)}, "1 to 22"),
        ({"weight_dropout": 1.0}, "below 1"),
        ({"hidden_dropout": -0.1}, "below 1"),
        ({"embedding_dropout": 1}, "below 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        rnnkit.LanguageModel(**{"vocabulary": 23, **SIZES, **settings})
