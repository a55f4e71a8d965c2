"""Dynamic evaluation against its equations, and on a text that repeats itself."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data.tokens import TokenBatches
from rnnkit.errors import ConfigError
from rnnkit.training.dynamic_evaluation import GradientScale, dynamic_evaluation, gradient_scale


def model_of(vocabulary=6):
    torch.manual_seed(0)
    return rnnkit.LanguageModel(vocabulary, embedding_size=5, hidden_size=7, num_layers=1, weight_dropout=0.5)


def text(length=301):
    return np.tile([0, 3, 1, 4, 2, 5], 60)[:length]


def test_it_learns_on_the_way_and_puts_the_weights_back():
    model, batches = model_of(), TokenBatches(text(), 1, 10)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    plain = rnnkit.Learner(model).evaluate(batches, stateful=True)["loss"]
    scale = gradient_scale(model, batches)
    assert dynamic_evaluation(model, batches, scale, lr=0.0, decay=0.0) == pytest.approx(plain, rel=1e-5)
    assert dynamic_evaluation(model, batches, scale, lr=1e-2, decay=0.0) < plain - 0.05
    assert model.training
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def test_an_update_is_that_of_the_equation():
    """Two windows: the second is predicted with weights that one update, computed here, has changed."""
    model, batches = model_of().double(), TokenBatches(text(21), 1, 10)
    first, second = list(batches)
    scale = gradient_scale(model, batches)
    lr, decay = 0.01, 0.3
    found = dynamic_evaluation(model, batches, scale, lr=lr, decay=decay)
    model.eval()
    weights = list(model.parameters())
    logits, state = model.forward_chunk(first.inputs)
    loss = torch.nn.functional.cross_entropy(logits[0], first.targets[0])
    gradients = torch.autograd.grad(loss, weights)
    mean = torch.cat([one.flatten() for one in scale.tensors]).mean()
    with torch.no_grad():
        for weight, s, g in zip(weights, scale.tensors, gradients, strict=True):
            start = weight.clone()
            weight -= lr * g / (s + 1e-5)
            weight += (decay * s / mean).clamp(max=1) * (start - weight)
        logits, _ = model.forward_chunk(second.inputs, state)
        after = torch.nn.functional.cross_entropy(logits[0], second.targets[0])
    assert found == pytest.approx((loss.item() + after.item()) / 2, rel=1e-6)


def test_the_scale_is_the_root_of_the_mean_square():
    model, batches = model_of().eval(), list(TokenBatches(text(21), 1, 10))
    scale = gradient_scale(model, batches)
    state, squares = None, 0
    for batch in batches:
        logits, state = model.forward_chunk(batch.inputs, state)
        state = tuple(one.detach() for one in state)
        loss = torch.nn.functional.cross_entropy(logits[0], batch.targets[0])
        squares = squares + torch.autograd.grad(loss, model.front.weight, retain_graph=False)[0] ** 2
    names = [name for name, _ in model.named_parameters()]
    torch.testing.assert_close(scale.tensors[names.index("front.weight")], (squares / 2).sqrt())


def test_what_cannot_be_is_refused():
    model = model_of()
    scale = GradientScale([torch.ones_like(one) for one in model.parameters()])
    with pytest.raises(ConfigError, match="windows of a text"):
        dynamic_evaluation(model, [], scale)
    with pytest.raises(ConfigError, match="training text"):
        gradient_scale(model, [])
    with pytest.raises(ConfigError, match="lr=-1"):
        dynamic_evaluation(model, TokenBatches(text(), 1, 10), scale, lr=-1)
