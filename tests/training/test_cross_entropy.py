"""Class weights and smoothed labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fitting import quiet
from torch import nn

from rnnkit import GRU, SequenceClassifier
from rnnkit.errors import ConfigError
from rnnkit.training.batching.batches import hold_out
from rnnkit.training.batching.order import ReplayData
from rnnkit.training.learner import Learner
from rnnkit.training.objectives.cross_entropy import CrossEntropy
from rnnkit.training.sources import make_batches


def test_equals_the_equation_written_out_and_torchs_up_to_its_divisor():
    torch.manual_seed(0)
    output, labels, weights = torch.randn(7, 3), torch.tensor([0, 1, 2, 2, 0, 1, 2]), torch.tensor([0.5, 2.0, 1.0])
    ours = CrossEntropy(0.1, weights)(output, labels)
    q = 0.9 * torch.eye(3)[labels] + 0.1 / 3
    torch.testing.assert_close(ours, -(weights * q * output.log_softmax(1)).sum() / 7)
    theirs = nn.CrossEntropyLoss(weights, label_smoothing=0.1)(output, labels)
    torch.testing.assert_close(ours, theirs * weights[labels].sum() / 7)


def test_balanced_weights_are_those_of_the_training_rows(classifier, blobs):
    x, y = blobs[0], torch.tensor([0] * 60 + [1] * 20 + [0] * 16)
    learner = Learner(classifier(3), class_weights="balanced")
    quiet(learner, (x, y), epochs=1, validation=1 / 6, shuffle=False)  # leaves 60 of class 0, 20 of class 1
    assert learner._session.objective.loss.function.weights.tolist() == pytest.approx([80 / 120, 80 / 40, 1.0])
    quiet(learner, (x[:40], y[40:80]), epochs=1)  # other data, other weights
    assert learner._session.objective.loss.function.weights.tolist() == [1.0, 1.0, 1.0]


def test_balanced_weights_count_the_old_rows_that_an_epoch_draws(classifier, blobs):
    x, y = blobs[0], torch.arange(96) % 2
    learner = Learner(classifier(), class_weights="balanced")
    learner.fine_tune((x[:20], torch.full((20,), 2)), classes=3, replay=20, old_data=(x, y), epochs=1, progress=False)
    assert learner._session.objective.loss.function.weights.tolist() == pytest.approx([4 / 3, 4 / 3, 2 / 3])


def test_a_share_held_out_of_new_rows_and_old_ones_has_no_old_row(classifier, blobs):
    learner = Learner(classifier(), loss="cross_entropy")
    session = learner._session
    batches = make_batches(session.execution, session.objective, ReplayData(blobs, new=20, drawn=30), 8)[1]
    assert len(hold_out(batches, 0.25).order.draw()) == 5
    assert len(batches.order.draw()) == 15 + 30


def test_balanced_weights_of_steps_leave_padding_out(tagger):
    rows, labels = [torch.randn(2, 2), torch.randn(6, 2)], [torch.tensor([1, 1]), torch.zeros(6, dtype=torch.long)]
    learner = Learner(tagger(), class_weights="balanced")
    quiet(learner, (rows, labels), epochs=1)
    assert learner._session.objective.loss.function.weights.tolist() == pytest.approx([8 / 12, 8 / 4])


def test_a_mapping_leaves_other_classes_at_one_and_batches_do_not_matter(classifier, blobs):
    learner = Learner(classifier(3), class_weights={1: 3})
    losses = [learner.evaluate(blobs, batch_size=size)["loss"] for size in (5, 96)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    each = nn.functional.cross_entropy(learner.predict(blobs[0]), blobs[1], reduction="none")
    assert losses[1] == pytest.approx((each * (1 + 2 * blobs[1])).mean().item(), rel=1e-5)


def test_weights_by_the_names_of_classes_are_those_by_their_numbers(classifier, blobs):
    x, y = blobs
    names = [["caf\u00e9", "z"][label] for label in y]
    by_number = quiet(Learner(classifier(), class_weights={1: 3.0}), blobs, epochs=2, seed=0)
    named = Learner(classifier(), class_weights={"z": 3.0, "cafe\u0301": 1})
    assert quiet(named, x, y=names, epochs=2, seed=0, validation=(x[:9], names[:9]))["loss"] == by_number["loss"]
    assert named.evaluate(x, names) == named.evaluate(x, y)

    model = SequenceClassifier(GRU(2, 4), classes=["caf\u00e9", "z", "new"])
    known = Learner(model, class_weights={"z": 3.0})
    known.evaluate(x, y)  # the model has the names
    assert known._session.objective.loss.function.weights.tolist() == [1, 3, 1]
    with pytest.raises(ConfigError, match="the key 'zz', which is none of the classes; known: 'no', 'yes'"):
        Learner(classifier(), class_weights={"zz": 1.0}).evaluate(x, np.array(["no", "yes"])[y])
    with pytest.raises(ConfigError, match="the key 'Z', which is none of the classes; did you mean 'z'"):
        Learner(model, class_weights={"Z": 1.0}).evaluate(x, y)


def test_weights_by_name_follow_a_new_head(blobs, three):
    x, y = blobs
    named = Learner(SequenceClassifier(GRU(2, 4), classes=["a", "b"]), class_weights={"a": 3.0})
    quiet(named, blobs, epochs=1)
    new = (torch.cat([x, three[0]]), np.array(["c", "a", "b"])[torch.cat([y + 1, 0 * three[1]])])
    named.fine_tune(new, classes=["c", "a", "b"], epochs=1, progress=False)
    assert named._session.objective.loss.function.weights.tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"class_weights": "balance"}, "expected 'balanced'"),
        ({"class_weights": {"cat": 1.0}}, "has the key 'cat', but neither the model nor the labels name the classes"),
        ({"class_weights": {1.5: 1.0}}, "has the key 1.5; expected the number of a class, from 0, or its name"),
        ({"class_weights": {True: 1.0}}, "has the key True"),
        ({"class_weights": {2: 1.0}}, "key 2 but the model has 2 classes"),
        ({"class_weights": [1, 2, 3]}, "3 numbers but the model has 2 classes"),
        ({"class_weights": [1, -2]}, "at least 0"),
        ({"class_weights": [0, 0]}, "all 0"),
        ({"class_weights": [[1, 2]]}, "one a class"),
        ({"class_weights": "balanced", "loss": "mse"}, "class_weights is for loss='cross_entropy'"),
        ({"label_smoothing": 0.1, "loss": nn.functional.cross_entropy}, "label_smoothing is for"),
    ],
)
def test_what_is_refused(classifier, blobs, settings, message):
    with pytest.raises(ConfigError, match=message):
        quiet(Learner(classifier(), **settings), blobs, epochs=1)


def test_balanced_needs_labels_in_memory(classifier, blobs):
    with pytest.raises(ConfigError, match="data in memory"):
        quiet(Learner(classifier(), class_weights="balanced"), [blobs], epochs=1)
