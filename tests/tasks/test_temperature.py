"""The temperature of a language model is the best one of a grid, and lies in the head's weights afterwards."""

import pytest
import torch

import rnnkit
from rnnkit.data.tokens import TokenArray
from rnnkit.tasks.temperature import best_temperature, calibrate

_DRAWN = torch.randint(0, 7, (400,), generator=torch.Generator().manual_seed(0))
IDS = torch.where(_DRAWN > 4, _DRAWN, torch.arange(400) % 5)  # five tokens in turn, and others now and then
TOKENS = TokenArray(IDS.numpy())


def build(**settings):
    torch.manual_seed(1)
    return rnnkit.LanguageModel(7, embedding_size=5, hidden_size=6, num_layers=1, **{"tied": False, **settings})


def loss(model, scale=1.0):
    with torch.no_grad():
        logits = model.eval()(IDS[None, :-1])[0]
    return float(torch.nn.functional.cross_entropy(logits.double() * scale, IDS[1:]))


@pytest.mark.parametrize("scale", [2.0, 8.0])
def test_it_is_the_best_of_a_grid(scale):
    model = build()
    with torch.no_grad():
        model.head.weight.mul_(scale)
    found = best_temperature(model, TOKENS.batches(1, 33))
    reached = loss(model, 1 / found)
    assert reached <= min(loss(model, inverse / 20) for inverse in range(5, 80)) + 1e-5
    assert reached < loss(model)


def test_the_head_is_divided_by_it():
    model = build()
    rnnkit.Learner(model, lr=0.05).fit(TOKENS.batches(4, 20), epochs=5, stateful=True, seed=0, progress=False)
    with torch.no_grad():
        for one in model.head.parameters():
            one.mul_(2)  # too sure of what it learned
    before, weight, bias = loss(model), model.head.weight.clone(), model.head.bias.clone()
    temperature = calibrate(model, TOKENS)
    assert torch.equal(model.head.weight, weight / temperature)
    assert torch.equal(model.head.bias, bias / temperature)
    assert loss(model) < before
    assert 1.5 < temperature < 3
    assert calibrate(model, TOKENS) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("settings", [{"tied": True}, {"cutoffs": (2, 5)}])
def test_heads_without_weights_of_their_own_stay(settings):
    model = build(**settings)
    before = [one.clone() for one in model.parameters()]
    assert calibrate(model, TOKENS) is None
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
