"""Rows of weight 0 are as if they were absent, whatever the objective."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.layers.picture_front import PictureFront
from rnnkit.tasks.detection_objectives import CentreObjective
from rnnkit.training import CTC, CTCAttention, PixelObjective, SequenceToSequence, SetObjective
from rnnkit.training.batching.arrays import select
from rnnkit.types import Batch, WindowLayout

X, LENGTHS = torch.randn(6, 9, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([9, 9, 7, 9, 5, 6])
NUMBERS = torch.randn(6, 9, generator=torch.Generator().manual_seed(2))
LABELS = torch.randint(1, 5, (6, 3), generator=torch.Generator().manual_seed(3))
COUNTS = torch.tensor([1, 3, 2, 2, 3, 1])
WEIGHTS = torch.tensor([1.0, 0.0, 0.0, 2.0, 0.5, 0.0])
THERE = [0, 3, 4]


def gru(inputs=4, hidden=6, **options):
    return rnnkit.GRU(inputs, hidden, batch_first=True, **options)


def sequence():
    return rnnkit.SequenceClassifier(gru(), 5), {}, Batch(X, LABELS[:, 0], LENGTHS)


def step():
    return rnnkit.SequenceTagger(gru(), 1), {"loss": "mse"}, Batch(X, NUMBERS, LENGTHS)


def horizon():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    return model, {"loss": "l1", "objective": "horizon"}, Batch(X, NUMBERS[:, :3], target_lengths=COUNTS)


def translation():
    model = rnnkit.EncoderDecoder(gru(bidirectional=True), gru(), None, 5)
    return model, {"objective": SequenceToSequence(coverage=0.5)}, Batch(X, LABELS, LENGTHS, COUNTS)


def ctc():
    return rnnkit.SequenceTagger(gru(), 5), {"objective": CTC()}, Batch(X, LABELS, LENGTHS, COUNTS)


def ctc_attention():
    network = rnnkit.EncoderDecoder(gru(), gru(6 + 6), None, 7, form="bahdanau", start=5)
    return rnnkit.AttentionRecognizer(network, 6), {"objective": CTCAttention(5, 6)}, Batch(X, LABELS, LENGTHS, COUNTS)


def transducer():
    return rnnkit.TransducerModel(gru(), gru(5), 6, 5), {}, Batch(X, LABELS, LENGTHS, COUNTS)


def objects():
    targets = torch.cat((LABELS[:, :, None].float() - 1, NUMBERS[:, :6].reshape(6, 3, 2)), 2)
    model = rnnkit.SetDecoder(gru(), steps=3, classes=4, values=2)
    return nn.Sequential(Last(), model), {"objective": SetObjective()}, Batch(X, targets, target_lengths=COUNTS)


def pixels():
    pictures = X.reshape(6, 1, 6, 6)
    return nn.Conv2d(1, 5, 3, padding=1), {"objective": PixelObjective()}, Batch(pictures, (pictures[:, 0] > 0).long())


def deepar():
    model = rnnkit.DeepAR(WindowLayout(lookback=6, horizon=3), hidden_size=4, dropout=0.0)
    return model, {}, Batch(NUMBERS[:, :, None], NUMBERS[:, :3])


class Last(nn.Module):
    def forward(self, x, lengths=None):
        return x[:, -1]


CASES = [sequence, step, horizon, translation, ctc, ctc_attention, transducer, objects, pixels, deepar]


def trained(make, batches, *, accumulate):
    """The figures of an evaluation, the loss of an update and the parameters after it."""
    torch.manual_seed(0)
    model, settings, _ = make()
    learner = rnnkit.Learner(model, optimizer="sgd", lr=0.1, device="cpu", **settings)
    figures = learner.evaluate(batches)
    row = learner.fit(batches, epochs=1, accumulate=accumulate, progress=False).rows[0]
    return figures | {"trained": row["loss"]}, [one.detach() for one in model.parameters()]


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_rows_of_weight_0_are_as_if_they_were_absent(make):
    whole = replace(make()[2], weights=WEIGHTS)
    there, nothing = (select(whole, torch.tensor(rows), follow="") for rows in (THERE, [1, 2]))
    expected, after = trained(make, [there], accumulate=1)
    found, parameters = trained(make, [nothing, whole], accumulate=2)
    assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(parameters, after, strict=True):
        torch.testing.assert_close(one, other)
    assert all(map(math.isfinite, found.values()))


def test_weights_of_1_are_none(blobs):
    """So a loss of the user's, which takes no weights, may have rows that do not count."""
    x, y = blobs
    there = torch.arange(len(x)) % 3 != 0
    losses = []
    for options in ({}, {"loss": lambda output, target: nn.functional.cross_entropy(output, target)}):
        torch.manual_seed(0)
        learner = rnnkit.Learner(rnnkit.SequenceClassifier(gru(x.shape[2]), 3), metrics=[], device="cpu", **options)
        found = learner.fit(x, y, sample_weight=there, epochs=1, seed=0, progress=False)
        losses.append(found.rows[0]["loss"])
    assert losses[0] == pytest.approx(losses[1])


def test_balanced_classes_are_those_of_the_rows_that_count(blobs):
    x, y = blobs
    there = torch.arange(len(x)) % 3 != 0
    found = []
    for data, weights in (((x, y), there.float()), ((x[there], y[there]), None)):
        torch.manual_seed(0)
        model = rnnkit.SequenceClassifier(gru(x.shape[2]), 3)
        learner = rnnkit.Learner(model, class_weights="balanced", metrics=[], device="cpu")
        learner.fit(*data, sample_weight=weights, epochs=1, batch_size=len(x), progress=False)
        found.append(learner.model.state_dict())
    for name, one in found[0].items():
        torch.testing.assert_close(one, found[1][name])


def test_detectors_take_no_weights():
    model = rnnkit.CentreDetector(PictureFront(3, (8,), (4,)), PictureFront(8, (8,), (2,)), classes=2)
    boxes = torch.tensor([[[1.0, 4, 4, 20, 20]]])
    batch = Batch(torch.rand(1, 3, 32, 32), boxes, None, torch.tensor([1]), weights=torch.ones(1))
    learner = rnnkit.Learner(model, objective=CentreObjective(model.stride), device="cpu")
    with pytest.raises(ConfigError, match="weights arrived; the objective 'centres' counts all boxes alike"):
        learner.evaluate([batch])
