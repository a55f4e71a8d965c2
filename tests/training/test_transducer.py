"""The objective of transducers, on inputs and labels of unequal lengths."""

import pytest
import torch

import rnnkit
from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.generation import transducer_greedy
from rnnkit.ops.transducer import transducer_loss
from rnnkit.training import Transducer
from rnnkit.training.objectives.resolve import check_metrics


def spoken(rows, tokens=4):
    """Made data: each label sounds for two or three steps, then there is one of silence."""
    generator = torch.Generator().manual_seed(0)
    x, y = [], []
    for _ in range(rows):
        labels = torch.randint(1, tokens, (int(torch.randint(0, 4, (), generator=generator)),), generator=generator)
        steps = [0]
        for label in labels.tolist():
            steps += [label] * int(torch.randint(2, 4, (), generator=generator)) + [0]
        x.append(torch.nn.functional.one_hot(torch.tensor(steps), tokens).float())
        y.append(labels)
    return x, y


def made(blank=0, tokens=4):
    torch.manual_seed(0)
    return rnnkit.TransducerModel(rnnkit.GRU(tokens, 24), rnnkit.GRU(6, 12), 16, tokens, blank=blank)


def test_it_learns_to_spell_out_what_was_said():
    x, y = spoken(48)
    learner = rnnkit.Learner(made(), lr=0.02, device="cpu")  # the model names its objective
    history = learner.fit((x, y), epochs=25, batch_size=8, seed=0, progress=False)
    assert history.rows[-1]["loss"] < 0.35 < history.rows[0]["loss"]
    inputs = rnnkit.Sequences.from_list(x)
    found = transducer_greedy(learner.model, inputs.values, inputs.lengths)
    assert sum(one.tokens == labels.tolist() for one, labels in zip(found, y, strict=True)) >= 44


def test_the_loss_is_the_mean_over_all_labels_whatever_the_batches():
    x, y = spoken(10)
    model = made()
    learner = rnnkit.Learner(model, device="cpu")
    whole, pieces = (learner.evaluate((x, y), batch_size=size)["loss"] for size in (10, 3))
    assert pieces == pytest.approx(whole, rel=1e-5)
    each = [
        transducer_loss(model(row[None], label[None])[0], label[None]).item() for row, label in zip(x, y, strict=True)
    ]
    assert whole == pytest.approx(sum(each) / sum(max(1, len(label)) for label in y), rel=1e-4)


def test_padding_counts_nowhere():
    x, y = (list(some) for some in zip(*((a, b) for a, b in zip(*spoken(12), strict=True) if len(b)), strict=True))
    learner = rnnkit.Learner(made(), objective="transducer", device="cpu")
    padded, labels = rnnkit.Sequences.from_list(x), rnnkit.Sequences.from_list(y)
    padded.values[torch.arange(padded.values.shape[1]) >= padded.lengths[:, None]] = 1e6
    labels.values[torch.arange(labels.values.shape[1]) >= labels.lengths[:, None]] = -7
    assert learner.evaluate((padded, labels))["loss"] == pytest.approx(learner.evaluate((x, y))["loss"], rel=1e-5)


def test_weights_are_one_a_row():
    x, y = spoken(6)
    learner = rnnkit.Learner(made(), device="cpu")
    inputs, labels = rnnkit.Sequences.from_list(x), torch.nn.utils.rnn.pad_sequence(y, batch_first=True)
    lengths, weights = torch.tensor([len(label) for label in y]), torch.tensor([1.0, 0, 0, 0, 0, 0])
    whole = rnnkit.Batch(inputs.values, labels, inputs.lengths, lengths, weights)
    first = rnnkit.Batch(inputs.values[:1], labels[:1], inputs.lengths[:1], lengths[:1])
    one, every = learner.evaluate([first])["loss"], learner.evaluate([whole])["loss"]
    assert every == pytest.approx(one, rel=1e-5)  # rows of weight 0 are no targets


def test_the_blank_is_that_of_the_model():
    x, y = spoken(4)
    y = [3 - label for label in y]  # 0 to 2
    learner = rnnkit.Learner(made(blank=3), device="cpu")
    assert learner.evaluate((x, y))["loss"] > 0
    with pytest.raises(DataError, match="without the blank, 0"):
        rnnkit.Learner(made(blank=3), objective=Transducer(blank=0), device="cpu").evaluate((x, y))


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([torch.tensor([1, 9])] * 3, DataError, "the label 9 arrived|labels run from 1 to 9|9"),
        ([torch.tensor([0, 1])] * 3, DataError, "labels run from 0 to 1; expected 0 to 3 without the blank, 0"),
        (torch.zeros(3, 2), ShapeError, "the objective 'transducer' expects integer labels"),
        (torch.ones(3, dtype=torch.long), ShapeError, "the objective 'transducer' expects integer labels"),
    ],
)
def test_targets_that_cannot_be_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        rnnkit.Learner(made(), device="cpu").evaluate((torch.zeros(3, 8, 4), targets))


def test_what_does_not_fit_a_transducer_is_refused():
    with pytest.raises(ConfigError, match="decode with rnnkit.generation.transducer_greedy"):
        rnnkit.Learner(made(), device="cpu").predict(spoken(3)[0])
    with pytest.raises(ConfigError, match="has its own loss"):
        rnnkit.Learner(made(), objective="transducer", loss="mse")
    with pytest.raises(ConfigError, match="has no such pairs"):
        check_metrics(Transducer(), ("accuracy",))

    class Frames(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(4, 4)

        def forward(self, x, targets, lengths=None):
            return self.head(x)

    with pytest.raises(ConfigError, match=r"expects logits \[2, frames, 3, vocabulary\]"):
        rnnkit.Learner(Frames(), objective="transducer").evaluate((torch.zeros(2, 4, 4), torch.ones(2, 2).long()))
