"""Objectives: predictions, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.ops.losses import LOSSES
from rnnkit.training import CTC
from rnnkit.training.objectives.objective import SequenceObjective
from rnnkit.training.objectives.resolve import check_metrics
from rnnkit.types import Batch


class Halving(nn.Module):
    """Logits of every second step, with their lengths where `pair`."""

    def __init__(self, pair: bool = True) -> None:
        super().__init__()
        self.pair, self.head = pair, nn.Linear(3, 4)

    def forward(self, x, lengths=None):
        if not self.pair:
            return self.head(x)
        given = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        return self.head(x[:, ::2]), (given + 1) // 2


class EncoderDecoder(nn.Module):
    """Logits [B, S, 5] of the previous labels."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 5)

    def forward(self, x, previous, lengths=None):
        return self.embedding(previous) + x.mean()


@pytest.mark.parametrize("pair", [True, False])
def test_predictions_of_ctc_are_padded_to_the_longest_row_of_all_batches(pair):
    rows = [torch.randn(length, 3) for length in (4, 2, 9, 7, 3)]
    model = Halving(pair)
    learner = rnnkit.Learner(model, objective=CTC(), device="cpu")
    found = learner.predict(rows, batch_size=2)
    assert found.shape == (5, 5 if pair else 9, 4)
    for output, row in zip(found, rows, strict=True):
        steps = (len(row) + 1) // 2 if pair else len(row)
        alone = model.head(row[::2] if pair else row)
        torch.testing.assert_close(output[:steps], alone.detach())
        assert not output[steps:].any()
    assert learner.predict(torch.randn(3, 6, 3)).shape == (3, 3 if pair else 6, 4)


def test_predictions_of_an_encoder_decoder_are_refused():
    learner = rnnkit.Learner(EncoderDecoder(), objective="seq2seq", device="cpu")
    with pytest.raises(ConfigError, match="decode with a method of the model"):
        learner.predict(torch.randn(4, 6, 2))


def labelled(**more):
    torch.manual_seed(0)
    return Batch(torch.randn(4, 8, 3), torch.tensor([[1, 2], [3, 1], [2, 1], [1, 3]]), **more)


def test_weights_of_ctc_are_one_a_row():
    learner = rnnkit.Learner(Halving(), objective="ctc", device="cpu")
    rows = [
        learner.evaluate([Batch(one.inputs[i : i + 1], one.targets[i : i + 1])])["loss"]
        for one in [labelled()]
        for i in range(4)
    ]
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5])
    found = learner.evaluate([labelled(weights=weights)])["loss"]
    assert found == pytest.approx(float((weights * torch.tensor(rows)).sum()) / 3, rel=1e-5)
    with pytest.raises(ShapeError, match=r"weights of shape \[4, 2\] arrived .* expected one a row, \[4\]"):
        learner.evaluate(labelled(weights=torch.ones(4, 2)))
    with pytest.raises(DataError, match="weights hold nan"):
        learner.evaluate(labelled(weights=torch.tensor([1, float("nan"), 1, 1])))


def test_metrics_need_pairs_of_outputs_and_targets():
    with pytest.raises(ConfigError, match=r"metrics=\['accuracy'\] arrived, .* pass metrics=\[\]"):
        check_metrics(CTC(), ("accuracy",))
    check_metrics(CTC(), ())
    check_metrics(SequenceObjective(LOSSES["mse"]), ("mae",))


def test_targets_of_an_encoder_decoder_have_steps():
    learner = rnnkit.Learner(EncoderDecoder(), objective="seq2seq", device="cpu")
    x, good = torch.randn(4, 6, 2), torch.ones(4, 3, dtype=torch.long)
    with pytest.raises(ShapeError, match=r"targets of shape \[4\] and type torch.int64 .* integer labels \[N, S\]"):
        learner.fit(x, torch.tensor([1, 2, 3, 4]), progress=False)
    with pytest.raises(ShapeError, match=r"targets of shape \[4\] and type"):
        learner.evaluate([(x, good), (x, good[:, 0])])
    with pytest.raises(ShapeError, match=r"targets of shape \[4, 3\] and type torch.float32"):
        learner.evaluate(x, good.float())
    longer = torch.ones(4, 5, dtype=torch.long)
    assert learner.evaluate([(x, good), (x, longer)])["loss"] > 0  # a batch may have other target steps


@pytest.mark.parametrize(
    ("later", "message"),
    [
        (torch.zeros(4, 2), r"outputs of 3 steps, \[4, 3\], but the targets have shape \[4, 2\]"),
        (torch.zeros(4), r"targets of shape \[4\] arrived; .* steps on their second axis, \[4, 3\]"),
    ],
)
def test_a_later_batch_of_another_horizon_is_refused(later, message):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    learner = rnnkit.Learner(model, loss="mse", objective="horizon", device="cpu")
    x = torch.randn(4, 6, 2)
    with pytest.raises(ShapeError, match=message):
        learner.fit([(x, torch.zeros(4, 3)), (x, later)], epochs=1, progress=False)


class Forecaster(nn.Module):
    """The next 12 values [N, 12, 1] of a window."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 12)

    def forward(self, x, lengths=None):
        return self.head(x.mean(1))[:, :, None]


def test_an_inferred_objective_is_the_same_for_all_data():
    torch.manual_seed(0)
    x, y = torch.randn(8, 24, 1), torch.randn(8, 12, 1)
    learner = rnnkit.Learner(Forecaster(), loss="mse", metrics=lambda output, targets: len(targets), device="cpu")
    history = learner.fit(x, y, epochs=1, validation=(x[:, :12], y), progress=False)
    assert history.rows[0]["val_<lambda>"] == 8  # sequences, also where the window is as long as the horizon
    assert learner.evaluate(x[:, 12:], y)["<lambda>"] == 8
    with pytest.raises(ShapeError):
        learner.evaluate(x, y[:, :5])
    assert learner.evaluate(x, y)["<lambda>"] == 8


def test_data_that_does_not_fit_chooses_no_objective():
    model = nn.Linear(2, 3)  # declares no objective
    learner = rnnkit.Learner(model, loss="mse", metrics=lambda output, targets: len(targets), device="cpu")
    x = torch.randn(4, 6, 2)
    with pytest.raises(ShapeError):
        learner.evaluate(x, torch.randn(4))
    assert learner.evaluate(x, torch.randn(4, 6, 3))["<lambda>"] == 24


def test_steps_of_weight_0_are_no_targets():
    torch.manual_seed(0)
    x, y, weights = torch.randn(4, 6, 2), torch.randint(3, (4, 6)), torch.ones(4, 6)
    weights[:, 2:] = 0
    lost, nothing, short = Batch(x, y, weights=weights), Batch(x, y, weights=weights * 0), Batch(x[:, :2], y[:, :2])

    def train(data, **options):
        torch.manual_seed(0)
        model = rnnkit.SequenceTagger(rnnkit.GRU(2, 4, batch_first=True), outputs=3)
        learner = rnnkit.Learner(model, metrics="accuracy", optimizer="sgd", lr=0.1, device="cpu", **options)
        figures = learner.evaluate(data)
        row = learner.fit(data, epochs=1, accumulate=len(data), progress=False).rows[0]
        return figures | {"trained": row["loss"]}, list(model.parameters())

    expected, after = train([short])
    # Also by a loss of the user's, which takes no weights: these say no more than what is missing.
    for own in ({}, {"loss": lambda output, target: nn.functional.cross_entropy(output, target)}):
        found, trained = train([lost, nothing], **own)
        assert found == pytest.approx(expected, rel=1e-6)
        for one, other in zip(trained, after, strict=True):
            torch.testing.assert_close(one, other)
    with pytest.raises(DataError, match="not a single batch with a target"):
        train([nothing])
