"""A CTC model on inputs and targets of unequal lengths, on the public interfaces alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training import CTC

BLANK = 0


class Halving(nn.Module):
    """A convolution that halves the steps, a recurrent body, and logits with their lengths."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.front = nn.Conv1d(classes, 16, 2, stride=2)
        self.body = rnnkit.GRU(16, 24, batch_first=True)
        self.head = nn.Linear(24, classes)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        given = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        half = (given // 2).clamp(min=1)
        features = self.front(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.body(features, lengths=half)[0]), half


def spoken(rows: int, classes: int = 4) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Made data: each label sounds for four to six steps, then there is a pause of four."""
    generator = torch.Generator().manual_seed(0)
    x, y = [], []
    for _ in range(rows):
        labels = torch.randint(1, classes, (int(torch.randint(1, 5, (), generator=generator)),), generator=generator)
        steps: list[int] = []
        for label in labels.tolist():
            steps += [label] * int(torch.randint(4, 7, (), generator=generator)) + [BLANK] * 4
        x.append(nn.functional.one_hot(torch.tensor(steps), classes).float())
        y.append(labels)
    return x, y


def greedy(logits: torch.Tensor, steps: int) -> list[int]:
    path = logits[:steps].argmax(-1).unique_consecutive()
    return path[path != BLANK].tolist()


def test_it_learns_to_spell_out_what_was_said():
    torch.manual_seed(0)
    x, y = spoken(96)
    learner = rnnkit.Learner(Halving(4), objective=CTC(BLANK), lr=0.02)
    history = learner.fit((x, y), epochs=12, batch_size=16, validation=(x[:32], y[:32]), seed=0, progress=False)
    losses = [row["val_loss"] for row in history.rows]
    assert losses[-1] < 0.1 < losses[0]
    with torch.no_grad():
        for row, labels in zip(x[:32], y[:32], strict=True):
            logits, steps = learner.model(row[None])
            assert greedy(logits[0], int(steps)) == labels.tolist()


def test_the_loss_is_the_mean_over_all_labels_whatever_the_batches():
    torch.manual_seed(0)
    x, y = spoken(10)
    learner = rnnkit.Learner(Halving(4), objective="ctc")
    whole, pieces = (learner.evaluate((x, y), batch_size=size)["loss"] for size in (10, 3))
    assert pieces == pytest.approx(whole, rel=1e-5)
    log_p = [learner.model(row[None])[0][0].log_softmax(-1) for row in x]
    each = [
        nn.functional.ctc_loss(one[:, None], label[None], [len(one)], [len(label)], reduction="sum")
        for one, label in zip(log_p, y, strict=True)
    ]
    assert whole == pytest.approx(torch.stack(each).sum().item() / sum(map(len, y)), rel=1e-4)


def test_padding_counts_nowhere():
    torch.manual_seed(0)
    x, y = spoken(6)
    learner = rnnkit.Learner(Halving(4), objective="ctc")
    padded = rnnkit.Sequences.from_list(x)
    labels = rnnkit.Sequences.from_list(y)
    outside = torch.arange(padded.values.shape[1]) >= padded.lengths[:, None]
    padded.values[outside] = 1e6
    labels.values[torch.arange(labels.values.shape[1]) >= labels.lengths[:, None]] = -7
    assert learner.evaluate((padded, labels))["loss"] == pytest.approx(learner.evaluate((x, y))["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([torch.tensor([1, 9])] * 3, DataError, "labels run from 1 to 9; expected 0 to 3 without the blank, 0"),
        ([torch.tensor([0, 1])] * 3, DataError, "without the blank"),
        (torch.zeros(3, 2), ShapeError, "expects integer labels"),
    ],
)
def test_targets_that_cannot_be_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        rnnkit.Learner(Halving(4), objective="ctc").evaluate((torch.zeros(3, 8, 4), targets))


def test_settings_of_other_objectives_are_refused():
    with pytest.raises(ConfigError, match="has its own loss"):
        rnnkit.Learner(Halving(4), objective="ctc", loss="mse")
    with pytest.raises(ConfigError, match="did you mean 'ctc'"):
        rnnkit.Learner(Halving(4), objective="cct", loss="mse")
    with pytest.raises(ConfigError, match="the objective 'ctc' expects logits"):
        rnnkit.Learner(nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), objective="ctc").evaluate(
            (torch.zeros(2, 4, 2), torch.ones(2, 1, dtype=torch.long))
        )


def test_metrics_and_labels_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="metrics=.'accuracy'. arrived"):
        rnnkit.Learner(Halving(4), objective="ctc", metrics="accuracy")
    data = (torch.zeros(1, 4, 4), torch.tensor([[1, 2, 3]]))
    with pytest.raises(DataError, match="3 labels arrived for 2 steps of the output, in row 0"):
        rnnkit.Learner(Halving(4), objective="ctc").fit(data, epochs=1, progress=False)
    assert rnnkit.Learner(Halving(4), objective=CTC(zero_infinity=True)).evaluate(data)["loss"] == 0
