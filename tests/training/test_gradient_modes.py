"""A learner under torch.no_grad() and torch.inference_mode()."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner

MODES = [torch.no_grad, torch.inference_mode]


def make():
    torch.manual_seed(0)
    return Learner(rnnkit.SequenceClassifier(rnnkit.GRU(2, 8), classes=2), metrics=["accuracy", "auc"])


@pytest.mark.parametrize("mode", MODES)
def test_what_trains_does_so_in_every_mode(blobs, mode):
    plain, within = make(), make()
    losses = plain.find_rate(blobs, steps=20).losses
    quiet(plain, blobs)
    plain.fine_tune(blobs, epochs=1, seed=0, progress=False)
    with mode():
        assert within.find_rate(blobs, steps=20).losses == losses
        within.profile(blobs, steps=2)
        quiet(within, blobs)
        within.fine_tune(blobs, epochs=1, seed=0, progress=False)
        assert torch.is_grad_enabled() is False
    assert same(weights(plain.model), weights(within.model))
    assert not any(one.is_inference() for one in within.model.state_dict().values())
    quiet(within, blobs)


@pytest.mark.parametrize("mode", MODES)
def test_what_only_uses_a_model_leaves_it_trainable(blobs, mode):
    plain, within = make(), make()
    expected = plain.evaluate(blobs), plain.predict(blobs[0])
    with mode():
        found = within.evaluate(blobs), within.predict(blobs[0])
        within.predict_classes(blobs[0])
        within.summary(blobs[0])
    assert found[0] == expected[0]
    assert torch.equal(found[1], expected[1])
    assert quiet(within, blobs)["loss"] == quiet(plain, blobs)["loss"]
    within.evaluate(blobs)


@pytest.mark.parametrize("kind", ["arrays", "batches", "padded", "Batch"])
def test_data_made_in_inference_mode_trains(blobs, kind):
    lengths = torch.full((96,), 5)
    with torch.inference_mode():
        x, y = (one.clone() for one in blobs)
        weight = torch.ones(96)
    data = {
        "arrays": (x, y),
        "batches": [(x, y)],
        "padded": (rnnkit.types.Sequences(x, lengths), y),
        "Batch": rnnkit.types.Batch(x, y, weights=weight),
    }[kind]
    learner = make()
    with torch.inference_mode():  # the data above were made in a block of their own
        quiet(learner, data, batch_size=96)
    first = make()
    assert quiet(first, data, batch_size=96, shuffle=False)["loss"] == pytest.approx(learner.history["loss"], rel=1e-4)


def test_a_model_made_in_inference_mode_is_refused_by_what_trains(blobs):
    with torch.inference_mode():
        learner = make()
        learner.evaluate(blobs)
    learner.predict(blobs[0])
    for train in (quiet, Learner.fine_tune, Learner.find_rate):
        with pytest.raises(ConfigError, match=r"weight_ih_l0 was made under torch.inference_mode\(\)"):
            train(learner, blobs)
