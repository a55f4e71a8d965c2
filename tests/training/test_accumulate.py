"""Batches that are joined to one step."""

from __future__ import annotations

import pytest
import torch
from fitting import quiet, same, weights

from rnnkit.errors import ConfigError
from rnnkit.training.learner import Learner
from rnnkit.training.watching.callbacks import Callback
from rnnkit.types import Sequences


def run(model, data, **settings):
    """A run without shuffling, at a rate and with a clipping that a wrong scale would show."""
    learner = Learner(model, optimizer="sgd", lr=0.5, clip_norm=0.3, recurrent_l2=0.05, ar=0.1)
    settings = {"epochs": 2, "shuffle": False, "schedule": "cosine", "seed": None, **settings}
    history = quiet(learner, data, **settings)
    return weights(learner.model), [(row["loss"], row["accuracy"], row["lr"]) for row in history.rows]


def assert_close(ours, theirs):
    for left, right in zip(ours[0], theirs[0], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)
    for left, right in zip(ours[1], theirs[1], strict=True):
        assert left == pytest.approx(right, rel=1e-4)


def test_small_batches_joined_are_one_large_batch(classifier, blobs):
    whole = run(classifier(), blobs, batch_size=48)
    assert_close(run(classifier(), blobs, batch_size=16, accumulate=3), whole)
    assert same(run(classifier(), blobs, batch_size=48, accumulate=1)[0], whole[0])


def test_the_last_group_of_an_epoch_may_be_smaller(classifier, blobs):
    data = (blobs[0][:90], blobs[1][:90])  # 64 and 26 rows; 20, 20, 20, 4 and 20, 6 would be other groups
    whole = run(classifier(), data, batch_size=64)
    assert_close(run(classifier(), data, batch_size=16, accumulate=4), whole)


def test_batches_count_by_their_targets(tagger):
    torch.manual_seed(0)
    lengths = torch.tensor([9, 1, 2, 8, 3, 3, 5])
    data = (Sequences(torch.randn(7, 9, 2), lengths), torch.randint(2, (7, 9)))
    settings = {"schedule": None}
    learner = {"optimizer": "sgd", "lr": 0.5}
    whole, joined = Learner(tagger(), **learner), Learner(tagger(), **learner)
    quiet(whole, data, batch_size=7, shuffle=False, **settings)
    quiet(joined, data, batch_size=2, accumulate=9, shuffle=False, **settings)
    for left, right in zip(weights(joined.model), weights(whole.model), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_steps_schedule_and_hooks_count_steps(classifier, blobs):
    seen, hooks = [], []
    hook = Callback()
    hook.on_step_end = lambda learner, step: hooks.append(step)

    def schedule(step, total):
        seen.append((step, total))
        return 1.0

    settings = {"batch_size": 20, "accumulate": 2, "epochs": 2, "callbacks": [hook]}
    quiet(Learner(classifier()), blobs, schedule=schedule, **settings)  # 5 batches: 2, 2, 1
    assert seen == [(step, 6) for step in range(6)]
    assert hooks == list(range(6))
    with pytest.raises(ConfigError, match="accumulate=0"):
        quiet(Learner(classifier()), blobs, accumulate=0)


def test_the_batch_that_diverges_is_named(classifier, blobs):
    def loss(output, target):
        return output.sum() * (float("nan") if 70 in target else 1.0)

    data = (blobs[0], torch.arange(96))
    with pytest.raises(ArithmeticError, match=r"(?s)epoch 1, step 5.*rows 64, 65"):
        quiet(Learner(classifier(), loss=loss), data, batch_size=16, accumulate=3, shuffle=False)


def test_mixed_precision_with_all_of_it(classifier, blobs):
    settings = {"epochs": 4, "batch_size": 16, "accumulate": 2, "validation": 0.25, "average": "ema"}
    learner = Learner(
        classifier(dropout=0.1), lr=0.03, clip_norm=1.0, clip_value=0.5, precision="bf16-mixed", device="cpu"
    )
    history = quiet(learner, blobs, schedule="warmup_cosine", **settings)
    assert history.rows[-1]["val_accuracy"] > 0.9
    assert all(weight.dtype == torch.float32 for weight in weights(learner.model))
