"""Learner: fitting, evaluating, predicting, fine-tuning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from rnnkit.errors import ConfigError, DataError, ShapeError
from rnnkit.training.learner import Learner
from rnnkit.types import Sequences


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def quiet(learner: Learner, data: object, **settings: object):
    return learner.fit(data, **{"progress": False, "seed": 0, "epochs": 2, **settings})


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

    history = quiet(learner, blobs, schedule=halving)
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
        ({"metrics": [len, len]}, "two metrics are called 'len'"),
        ({"lr": -1.0}, "lr=-1.0"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
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
        (lambda x, y: (x, y * 4), DataError, "labels run from 0 to 4; expected 0 to 1: build the model with 5"),
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
