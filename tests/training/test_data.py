"""Learner: every kind of data it takes, and how it refuses what it cannot take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fitting import quiet, same, weights
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training.learner import Learner
from rnnkit.types import Sequences

# Data ----------------------------------------------------------------------------------------------------------------


class Rows(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_kind_of_data_trains_alike(classifier, blobs, shuffle):
    x, y = blobs
    kinds = {
        "tensors": (x, y),
        "float64 and uint8 arrays": (x.double().numpy(), y.numpy().astype(np.uint8)),
        "big-endian, read-only": (np.frombuffer(x.numpy().astype(">f4").tobytes(), ">f4").reshape(x.shape), y.numpy()),
        "lists": ([row.numpy() for row in x], y.tolist()),
        "TensorDataset": TensorDataset(x, y),
        "Subset": torch.utils.data.Subset(TensorDataset(x, y), range(96)),
        "Dataset": Rows(x, y),
        "labels [N, 1]": (x, y[:, None]),
    }
    results = {}
    for kind, data in kinds.items():
        model = classifier()
        quiet(Learner(model), data, shuffle=shuffle)
        results[kind] = weights(model)
    for kind, result in results.items():
        assert same(result, results["tensors"]), kind


def test_iterables_of_batches_train_like_arrays_in_order(classifier, blobs):
    x, y = blobs
    pairs = list(zip(x.split(32), y.split(32), strict=True))
    expected = classifier()
    quiet(Learner(expected), blobs, shuffle=False)
    for data in (pairs, DataLoader(TensorDataset(x, y), batch_size=32)):
        model = classifier()
        quiet(Learner(model), data)
        assert same(weights(model), weights(expected))
    once = classifier()
    quiet(Learner(once), iter(pairs), epochs=1)
    quiet(Learner(expected := classifier()), blobs, shuffle=False, epochs=1)
    assert same(weights(once), weights(expected))


def test_a_one_shot_generator_is_refused_for_several_epochs(classifier, blobs):
    x, y = blobs
    with pytest.raises(ConfigError, match="can be read once, but 3 epochs"):
        quiet(Learner(classifier()), (pair for pair in [(x, y)]), epochs=3)
    with pytest.raises(ConfigError, match="can be read once"):
        quiet(Learner(classifier()), blobs, validation=iter([(x, y)]), epochs=2)


def test_a_model_in_double_gets_double(blobs, classifier):
    model = classifier().double()
    quiet(Learner(model), blobs, epochs=1)
    assert model.head.weight.dtype == torch.float64


def test_targets_of_a_regression_are_aligned_never_broadcast(classifier):
    x = torch.randn(40, 4, 2)
    y = x.sum((1, 2))
    flat, column = classifier(1), classifier(1)
    assert Learner(flat, loss="mse").evaluate((x, y)) == Learner(column, loss="mse").evaluate((x, y[:, None]))
    by_hand = (flat(x)[:, 0] - y).square().mean().item()
    assert Learner(flat, loss="mse").evaluate((x, y))["loss"] == pytest.approx(by_hand, rel=1e-5)
    own = Learner(flat, loss=lambda output, target: (output - target).square().mean())
    assert own.evaluate((x, y))["loss"] == pytest.approx(by_hand, rel=1e-5)
    with pytest.raises(ShapeError, match=r"\[N, 1\].*\[N, 3\]"):
        Learner(flat, loss="mse").evaluate((x, torch.zeros(40, 3)))


def test_integer_targets_serve_a_regression(classifier):
    x = torch.randn(8, 4, 2)
    learner = Learner(classifier(1), loss="mse", metrics="mae")
    assert learner.evaluate((x, torch.arange(8))) == learner.evaluate((x, torch.arange(8.0)))


# Ragged data ---------------------------------------------------------------------------------------------------------


def ragged(count: int = 20) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randn(2 + index % 5, 2, generator=generator) for index in range(count)]
    return rows, [(row[:, 0] > 0).long() for row in rows]


def test_ragged_sequences_train_like_rows_of_their_own(classifier):
    rows, _ = ragged()
    y = torch.arange(20) % 2
    model = classifier()
    outputs = torch.cat([model(row[None]) for row in rows])
    expected = nn.functional.cross_entropy(outputs, y).item()
    learner = Learner(model)
    for data in ((rows, y), (Sequences.from_list(rows), y), Rows(rows, y), [(rows[:7], y[:7]), (rows[7:], y[7:])]):
        assert learner.evaluate(data, batch_size=6)["loss"] == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(learner.predict(rows, batch_size=6), outputs.detach())


def test_padded_steps_count_neither_in_loss_nor_metrics(tagger):
    rows, tags = ragged()
    model = tagger()
    outputs = torch.cat([model(row[None])[0] for row in rows])
    flat = torch.cat(tags)
    expected = nn.functional.cross_entropy(outputs, flat).item()
    accuracy = (outputs.argmax(1) == flat).float().mean().item()
    padded = Sequences.from_list(rows)
    poisoned = Sequences(padded.values.clone(), padded.lengths)
    poisoned_tags = Sequences.from_list(tags).values.clone()
    for index, length in enumerate(padded.lengths):
        poisoned.values[index, length:] = float("nan")
        poisoned_tags[index, length:] = 99
    learner = Learner(model)
    for data in ((rows, tags), (poisoned, poisoned_tags), Rows(rows, tags), [(rows, tags)]):
        result = learner.evaluate(data, batch_size=6)
        assert result["loss"] == pytest.approx(expected, rel=1e-5)
        assert result["accuracy"] == pytest.approx(accuracy)


def test_a_tagger_trains_on_poisoned_padding(tagger):
    rows, tags = ragged()
    clean, poisoned = tagger(), tagger()
    padded = Sequences.from_list(rows)
    values, targets = padded.values.clone(), Sequences.from_list(tags).values.float()
    for index, length in enumerate(padded.lengths):
        values[index, length:] = 99.0  # torch's RNN runs over padding, so NaN would reach its gradient
        targets[index, length:] = float("nan")
    quiet(Learner(clean, loss="bce_logits", metrics="accuracy"), (padded, torch.stack([targets.nan_to_num()] * 2, 2)))
    quiet(
        Learner(poisoned, loss="bce_logits", metrics="accuracy"),
        (Sequences(values, padded.lengths), torch.stack([targets] * 2, 2)),
    )
    assert all(tensor.isfinite().all() for tensor in weights(poisoned))
    assert same(weights(clean), weights(poisoned))


def test_predictions_per_step_are_padded_with_zeros(tagger):
    rows, _ = ragged(7)
    model = tagger()
    outputs = Learner(model).predict(rows, batch_size=2)
    assert outputs.shape == (7, 6, 2)
    for row, output in zip(rows, outputs, strict=True):
        torch.testing.assert_close(output[: len(row)], model(row[None])[0].detach())
        assert (output[len(row) :] == 0).all()


def test_dense_taggers_take_labels_and_numbers_per_step(tagger):
    x = torch.randn(10, 4, 2)
    model = tagger()
    y = (x[..., 0] > 0).long()
    expected = nn.functional.cross_entropy(model(x).reshape(40, 2), y.reshape(40)).item()
    assert Learner(model).evaluate((x, y))["loss"] == pytest.approx(expected, rel=1e-5)
    single = tagger(1)
    expected = (single(x)[..., 0] - x[..., 0]).square().mean().item()
    assert Learner(single, loss="mse").evaluate((x, x[..., 0]))["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_regression_on_as_many_numbers_as_steps_is_not_taken_for_a_tagger(classifier):
    rows, _ = ragged()
    x = Sequences.from_list(rows)
    y = torch.randn(20, 6)  # the longest has 6 steps
    model = classifier(6)
    expected = torch.stack([(model(row[None])[0] - target).square() for row, target in zip(rows, y, strict=True)])
    assert Learner(model, loss="mse").evaluate((x, y), batch_size=4)["loss"] == pytest.approx(
        expected.mean().item(), rel=1e-5
    )


# Bad data ------------------------------------------------------------------------------------------------------------


def poisoned(x: torch.Tensor, row: int, value: float) -> torch.Tensor:
    x = x.clone()
    x[row, 2, 1] = value
    return x


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: (x, y[:-1]), DataError, "96 inputs arrived with 95 targets"),
        (lambda x, y: (x[:0], y[:0]), DataError, "0 rows"),
        (lambda x, y: ([], []), DataError, "0 rows"),
        (lambda x, y: [], DataError, "not a single batch"),
        (lambda x, y: (poisoned(x, 7, float("nan")), y), DataError, "inputs hold nan in row 7;"),
        (lambda x, y: (poisoned(x, 9, float("inf")), y), DataError, "inputs hold inf in row 9;"),
        (lambda x, y: (x, y + 1), DataError, "labels run from 1 to 2; expected 0 to 1: subtract 1"),
        (lambda x, y: (x, y * 4), DataError, "labels run from 0 to 4; expected 0 to 1: give the model 5 classes"),
        (lambda x, y: (x, y - 1), DataError, "labels run from -1 to 0"),
        (lambda x, y: (x, y.float()), DataError, r"labels of type torch.float32"),
        (lambda x, y: (x, torch.stack([y, y], 1)), ShapeError, r"labels of shape \[N\] were expected"),
        (lambda x, y: x, DataError, "a Tensor of shape"),
        (lambda x, y: ((x, y), (x, y)), DataError, r"a tuple of 2 .* expected \(X, y\)"),
        (lambda x, y: [x, y], DataError, "batch 0 is a Tensor"),
        (lambda x, y: (np.array(["a", "b"]), y[:2]), DataError, "expected numbers"),
        (lambda x, y: (x[..., :1], y), RuntimeError, "input.size"),
    ],
)
def test_bad_data_is_refused_at_the_door(classifier, blobs, change, error, message):
    model = classifier()
    before = weights(model)
    data = change(*blobs)
    with pytest.raises(error, match=message):
        quiet(Learner(model), data)
    with pytest.raises(error, match=message):
        Learner(model).evaluate(data)
    if not isinstance(data, list):  # batches are not looked into before their turn
        with pytest.raises(error, match=message):
            quiet(Learner(model), blobs, validation=data)
    assert same(before, weights(model))


def test_ragged_targets_must_be_as_long_as_their_sequences(tagger):
    rows, tags = ragged()
    tags[3] = tags[3][:-1]
    with pytest.raises(DataError, match="as long as its sequence"):
        quiet(Learner(tagger()), (rows, tags))


def test_nan_in_targets(classifier, blobs):
    y = torch.ones(96)
    y[[4, 50]] = float("nan")
    with pytest.raises(DataError, match=r"targets hold nan in row 4 \(and in 1 more\)"):
        quiet(Learner(classifier(1), loss="mse"), (blobs[0], y))


def test_bce_takes_probabilities_and_bce_logits_does_not(classifier, blobs):
    x, y = blobs
    with pytest.raises(ConfigError, match="pass loss='bce_logits'"):
        Learner(nn.Sequential(nn.Flatten(), nn.Linear(10, 1), nn.Hardtanh(2, 3)), loss="bce").evaluate((x, y))
    logits = nn.Sequential(nn.Flatten(), nn.Linear(10, 1))
    learner = Learner(logits, loss="bce_logits", metrics="accuracy")
    probabilities = Learner(nn.Sequential(logits, nn.Sigmoid()), loss="bce", metrics="accuracy")
    left, right = learner.evaluate((x, y)), probabilities.evaluate((x, y))
    assert left == pytest.approx(right, rel=1e-4)
    assert left["accuracy"] == pytest.approx(((logits(x)[:, 0] > 0).long() == y).float().mean().item())
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        learner.evaluate((x, y + 1))


def test_a_model_that_returns_no_tensor(blobs):
    with pytest.raises(ConfigError, match="the model returned a tuple"):
        Learner(nn.LSTM(2, 2, batch_first=True), loss="mse").evaluate((blobs[0], blobs[0]))
