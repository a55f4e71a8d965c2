"""Learner: fitting, evaluating, predicting, settings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fitting import quiet, same, weights
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning import merge_adapters
from rnnkit.training.learner import Learner

# Learning ------------------------------------------------------------------------------------------------------------


def test_learns_separable_data(classifier, blobs):
    learner = Learner(classifier(), lr=0.01)
    history = quiet(learner, blobs, epochs=8, validation=blobs)
    losses = [row["loss"] for row in history.rows]
    assert losses[-1] < losses[0] / 2
    assert history.rows[-1]["val_accuracy"] > 0.95
    assert list(history.rows[0]) == [
        "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "lr", "samples_per_second", "seconds",
    ]  # fmt: skip
    assert history.stopped == "finished"
    assert history.seconds >= sum(row["seconds"] for row in history.rows) > 0
    assert learner.history is history


def test_equals_a_loop_by_hand(classifier, blobs):
    x, y = blobs
    by_hand, ours = classifier(), classifier()
    optimizer = torch.optim.Adam(by_hand.parameters(), lr=1e-3, fused=True)
    total = hits = 0.0
    for rows in torch.arange(96).split(32):
        output = by_hand(x[rows])
        loss = nn.functional.cross_entropy(output, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
        hits += (output.argmax(1) == y[rows]).sum().item()
    row = quiet(Learner(ours), blobs, epochs=1, shuffle=False).rows[0]
    assert same(weights(by_hand), weights(ours))
    assert row["loss"] == pytest.approx(total / 96)
    assert row["accuracy"] == pytest.approx(hits / 96)


def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_generator_alone(classifier, blobs):
    before = torch.get_rng_state()
    results = []
    for seed in (5, 5, 6):
        torch.manual_seed(len(results))  # must not matter
        model = classifier(dropout=0.3)
        state = torch.get_rng_state()
        quiet(Learner(model), blobs, seed=seed, validation=0.25)
        assert torch.equal(torch.get_rng_state(), state)
        results.append(weights(model))
    torch.set_rng_state(before)
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_whole_numbers_may_be_numpys(classifier, blobs, tmp_path):
    two = np.int64(2)
    plain, own = Learner(classifier()), Learner(classifier())
    plain.fit(blobs, epochs=2, seed=2, accumulate=2, progress=False)
    own.fit(blobs, epochs=two, seed=two, accumulate=two, checkpoint=tmp_path, progress=False)
    assert same(weights(own.model), weights(plain.model))
    own.fine_tune(blobs, epochs=two, seed=two, adapters=rnnkit.LoRA(two), checkpoint=tmp_path / "lora", progress=False)
    merge_adapters(own.model)
    settings = {"freeze_body_epochs": np.int64(1), "lr": np.float32(0.01), "replay": np.int64(5), "old_data": blobs}
    report = own.fine_tune(blobs, epochs=two, checkpoint=tmp_path / "more", progress=False, **settings).report
    assert report.method["replay"] == "5 old rows an epoch"
    own.find_rate(blobs, steps=np.int64(10), batch_size=np.int64(8), seed=two)
    Learner(classifier(), lr=np.float32(0.01)).fit(blobs, epochs=1, checkpoint=tmp_path / "rate", progress=False)
    assert torch.equal(own.predict(blobs[0], batch_size=two), own.predict(blobs[0], batch_size=2))


def test_without_a_seed_the_global_generator_decides(classifier, blobs):
    results = []
    for seed in (1, 1, 2):
        model = classifier()
        torch.manual_seed(seed)
        quiet(Learner(model), blobs, seed=None)
        results.append(weights(model))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_a_second_fit_goes_on_with_the_optimizer(classifier, blobs):
    once, twice = classifier(), classifier()
    quiet(Learner(once), blobs, epochs=2, shuffle=False)
    learner = Learner(twice)
    quiet(learner, blobs, epochs=1, shuffle=False)
    quiet(learner, blobs, epochs=1, shuffle=False)
    assert same(weights(once), weights(twice))


def test_fit_puts_modes_back(classifier, blobs):
    model = classifier(dropout=0.5).eval()
    model.head.train()
    seen = []
    model.dropout.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    quiet(Learner(model), blobs, epochs=1, validation=blobs)
    assert {True, False} == set(seen)
    assert not model.training
    assert not model.dropout.training
    assert model.head.training


# Evaluating and predicting -------------------------------------------------------------------------------------------


def test_evaluate_on_an_untrained_model_keeps_modes_and_averages_over_rows(classifier, blobs):
    x, y = blobs
    model = classifier(dropout=0.5).train()
    learner = Learner(model)
    result = learner.evaluate((x, y), batch_size=50)
    assert model.training
    model.eval()
    assert result["loss"] == pytest.approx(nn.functional.cross_entropy(model(x), y).item(), rel=1e-5)
    assert result["accuracy"] == pytest.approx((model(x).argmax(1) == y).float().mean().item())
    assert learner.evaluate((x, y), batch_size=7)["loss"] == pytest.approx(result["loss"], rel=1e-5)


def test_predict_returns_logits_that_autograd_takes(classifier, blobs):
    model = classifier(dropout=0.5).train()
    output = Learner(model).predict(blobs[0].numpy(), batch_size=20)
    torch.testing.assert_close(output, model.eval()(blobs[0]).detach())
    (output * torch.ones(2, requires_grad=True)).sum().backward()
    with pytest.raises(DataError, match="without targets"):
        Learner(model).predict(blobs)


# Settings ------------------------------------------------------------------------------------------------------------


def one_step(model: nn.Module, blobs, **settings) -> list[torch.Tensor]:
    learner = Learner(model, optimizer="sgd", lr=1.0, **settings)
    before = [p.detach().clone() for p in model.parameters()]
    quiet(learner, blobs, epochs=1, batch_size=96, shuffle=False)
    return [old - new for old, new in zip(before, (p.detach() for p in model.parameters()), strict=True)]


def test_clip_norm_scales_the_gradient_down(classifier, blobs):
    free = one_step(classifier(), blobs)
    clipped = one_step(classifier(), blobs, clip_norm=0.01)
    norm = torch.linalg.vector_norm(torch.cat([step.flatten() for step in free]))
    assert norm > 0.01
    for loose, tight in zip(free, clipped, strict=True):
        torch.testing.assert_close(tight, loose * 0.01 / norm, rtol=1e-3, atol=1e-6)


def test_recurrent_l2_adds_twice_the_weight_to_the_gradient_of_recurrent_weights_alone(classifier, blobs):
    model = classifier()
    before = model.body.weight_hh_l0.detach().clone()
    plain, penalised = one_step(classifier(), blobs), one_step(model, blobs, recurrent_l2=0.1)
    for (name, _), free, bound in zip(model.named_parameters(), plain, penalised, strict=True):
        extra = 0.2 * before if "weight_hh" in name else torch.zeros_like(free)
        torch.testing.assert_close(bound - free, extra, rtol=1e-3, atol=1e-6)
    with pytest.raises(ConfigError, match="weight_hh"):
        Learner(nn.Linear(2, 2), loss="mse", recurrent_l2=0.1)


def test_reported_losses_leave_the_penalty_out(classifier, blobs):
    rows = [
        quiet(Learner(classifier(), lr=0.0, recurrent_l2=coefficient), blobs, epochs=1).rows[0]["loss"]
        for coefficient in (0.0, 10.0)
    ]
    assert rows[0] == rows[1]


def test_schedules_set_the_rate_of_every_step_and_put_it_back(classifier, blobs):
    learner = Learner(classifier(), lr=0.5)
    seen = []

    def halving(step: int, total: int) -> float:
        seen.append((step, total))
        return 0.5**step

    history = quiet(learner, blobs, schedule=halving, epochs=2)
    assert seen == [(step, 6) for step in range(6)]
    assert [row["lr"] for row in history.rows] == [0.5 * 0.5**2, 0.5 * 0.5**5]
    history = quiet(learner, blobs, schedule="cosine", epochs=1)
    assert history.rows[0]["lr"] == pytest.approx(0.5 * 0.25)  # the last of three steps
    assert quiet(learner, blobs, epochs=1).rows[0]["lr"] == 0.5
    with pytest.raises(ConfigError, match="__len__"):
        quiet(learner, (pair for pair in [blobs]), schedule="cosine", epochs=1)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_optimizers_by_name(classifier, blobs, name):
    model = classifier()
    before = weights(model)
    quiet(Learner(model, optimizer=name, weight_decay=0.1), blobs, epochs=1)
    assert not same(before, weights(model))


def test_optimizers_as_callable_and_object(classifier, blobs):
    by_name, by_callable, given = classifier(), classifier(), classifier()
    quiet(Learner(by_name, optimizer="sgd", lr=0.1), blobs)
    quiet(Learner(by_callable, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1)), blobs)
    quiet(Learner(given, optimizer=torch.optim.SGD(given.parameters(), lr=0.1)), blobs)
    for model in (by_callable, given):
        for left, right in zip(weights(by_name), weights(model), strict=True):
            torch.testing.assert_close(left, right)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "cross_entrpy"}, "did you mean 'cross_entropy'"),
        ({"optimizer": "adan"}, "did you mean 'adam'"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"metrics": [len, len]}, "two metrics are named 'len'"),
        ({"metrics": {"loss": len}}, "a metric is named 'loss'"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"lr": "0.1"}, "lr='0.1'"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
        ({"device": "gpu"}, "device='gpu' arrived; "),
        ({"precision": "bf16-mix"}, "did you mean 'bf16-mixed'"),
    ],
)
def test_bad_settings_of_the_learner(classifier, settings, message):
    with pytest.raises(ConfigError, match=message):
        Learner(classifier(), **settings)


def test_a_model_without_a_default_loss_needs_one():
    with pytest.raises(ConfigError, match="no default_loss; pass loss="):
        Learner(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": None}, "epochs=None"),
        ({"bptt": 0}, "bptt=0 .* or None"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 3.5}, "batch_size=3.5"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"early_stopping": 2}, "pass validation="),
        ({"restore_best": True}, "pass validation="),
        ({"monitor": "val_accuracy"}, "no column of this run"),
        ({"monitor": "acuracy"}, "did you mean 'accuracy'"),
        ({"validation": 1.5}, "validation=1.5"),
        ({"validation": 0.999}, "validation=0.999"),
    ],
)
def test_bad_settings_of_fit_leave_the_model_alone(classifier, blobs, settings, message):
    model = classifier()
    before = weights(model)
    with pytest.raises(ConfigError, match=message):
        quiet(Learner(model), blobs, **settings)
    assert same(before, weights(model))


def test_nothing_to_train(classifier, blobs):
    with pytest.raises(ConfigError, match="nothing to train"):
        quiet(Learner(classifier().requires_grad_(False)), blobs)
