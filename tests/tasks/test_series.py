import math

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.data import Preprocessing, SeriesSet
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks import series
from rnnkit.tasks.classification import Classification
from rnnkit.tasks.network import build
from rnnkit.tasks.regression import Regression
from rnnkit.tasks.settings import Fit, Model

QUICK = {"model": Model(hidden_size=8, channels=12), "fit": Fit(steps=60, lr=0.01), "device": "cpu"}


def slopes(count=36, steps=20, seed=0):
    """Series that fall, stay or rise, and how much."""
    random = np.random.default_rng(seed)
    slope = np.tile([-2.0, 0.0, 2.0], count // 3)
    x = np.linspace(0, 1, steps) * slope[:, None] + random.normal(0, 0.1, (count, steps))
    return x.astype(np.float32), slope


def named(slope):
    return np.array(["rises" if s > 0 else "falls" if s < 0 else "flat" for s in slope])


def test_classes_are_learned_and_kept_in_one_file(tmp_path):
    x, slope = slopes()
    task = series.classify(x, named(slope), **QUICK)
    assert task.classes == ("falls", "flat", "rises")
    other, truth = slopes(seed=1)
    assert (task.predict(other) == named(truth)).mean() > 0.9
    figures = task.evaluate(SeriesSet.from_arrays(other, named(truth)))
    shares = task.predict_proba(other)
    np.testing.assert_allclose(shares.sum(1), 1)
    wanted = np.searchsorted(task.classes, named(truth))
    assert figures["accuracy"] == (shares.argmax(1) == wanted).mean()
    assert "loss" not in figures  # that of the epochs is another quantity: it has the smoothing
    assert figures["cross_entropy"] == pytest.approx(-np.log(shares[np.arange(36), wanted]).mean())
    task.save(tmp_path / "kept.safetensors")
    again = series.load(tmp_path / "kept.safetensors", device="cpu")
    assert np.array_equal(again.predict_proba(other), shares)
    assert type(rnnkit.load(tmp_path / "kept.safetensors")) is rnnkit.SequenceClassifier


def test_balanced_accuracy_counts_each_class_alike():
    x, slope = slopes()
    task = series.classify(x, named(slope), **QUICK)
    rows = SeriesSet.from_arrays(x[[0, 3, 6, 1]], ["falls", "falls", "falls", "rises"])  # the last is flat
    figures = task.evaluate(rows)
    assert figures["accuracy"] == 0.75
    assert figures["balanced_accuracy"] == 0.5


def test_numbers_come_in_their_own_unit(tmp_path):
    x, slope = slopes()
    grams = 1000 + 50 * slope
    task = series.regress(list(x), np.stack([grams, -slope], 1), **QUICK)
    task.save(tmp_path)
    task = series.load(tmp_path, device="cpu")
    other, truth = slopes(seed=1)
    predicted = task.predict(other)
    assert predicted.shape == (36, 2)
    assert np.abs(predicted[:, 0] - 1000 - 50 * truth).mean() < 30
    figures = task.evaluate(SeriesSet.from_arrays(other, np.stack([1000 + 50 * truth, -truth], 1)))
    errors = predicted - np.stack([1000 + 50 * truth, -truth], 1)
    assert figures["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert figures["mae"] == pytest.approx(np.abs(errors).mean())
    assert figures["r2"] > 0.8
    with pytest.raises(ConfigError, match="call predict"):
        task.predict_proba(other)


def test_unequal_lengths_several_channels_and_gaps():
    x, slope = slopes()
    rows = [np.stack([row, -row], 1)[: 12 + at % 9] for at, row in enumerate(x)]
    rows[4][3:6, 1] = np.nan
    settings = QUICK | {"preprocessing": {"missing": "indicator"}}
    task = series.classify(rows, named(slope), **settings)
    assert task.model.front.input_size == 4
    assert (task.predict(rows) == named(slope)).mean() > 0.9
    with pytest.raises(DataError, match="channel"):
        task.predict(x)


def test_the_seed_decides():
    x, slope = slopes(12)
    settings = QUICK | {"fit": Fit(steps=4)}
    a, b, c = (series.regress(x, slope, seed=seed, **settings).predict(x) for seed in (3, 3, 4))
    assert np.array_equal(a, b)
    assert not np.allclose(a, c)


def test_the_seed_leaves_the_users_generator_alone():
    x, slope = slopes(12)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    series.regress(x, slope, **(QUICK | {"fit": Fit(steps=2)}))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("cell", ["gru", "lstm", "simple_rnn"])
def test_plain_recurrent_networks_are_there_too(cell):
    model = build(Classification(), Model(cell=cell, front="none", bidirectional=False, pooling="last"), 3, 4, 50)
    assert model.front is None
    assert type(model.body).__name__.lower() == cell.replace("_", "")
    assert (model.body.input_size, model.body.num_directions, model.head.out_features) == (3, 1, 4)


def test_long_series_are_shortened_before_the_recurrence():
    steps = {length: build(Regression(), Model(), 1, 1, length).front.stride for length in (24, 160, 161, 1000)}
    assert steps == {24: 1, 160: 1, 161: 2, 1000: 7}


def test_a_network_of_ones_own():
    x, slope = slopes(12)

    def network(features, outputs):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20 * features, outputs))

    task = series.regress(x, slope, network=network, **QUICK)
    assert np.abs(task.predict(x) - slope).mean() < 0.5


def test_validation_rows_choose_the_epoch_when_asked():
    x, slope = slopes()
    settings = QUICK | {"fit": Fit(epochs=30, lr=0.01, early_stopping=2)}
    watched = SeriesSet.from_arrays(*slopes(seed=1)[:1], named(slopes(seed=1)[1]))
    task = series.classify(x, named(slope), validation=watched, **settings)
    best = task.history.rows[task.history.best_epoch - 1]["val_loss"]
    assert task.learner.evaluate((task.inputs(watched), task.preprocessing.transform_targets(watched)))[
        "loss"
    ] == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize(
    ("rows", "epochs", "batch"), [(2, 600, 2), (30, 300, 15), (67, 150, 17), (320, 30, 16), (100_000, 13, 129)]
)
def test_steps_are_counted_and_batches_are_even(rows, epochs, batch):
    assert Fit().schedule_for(rows) == (batch, epochs)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((np.zeros((1, 5)), ["a"]), {}, "expected at least"),
        ((np.zeros((4, 5)), ["a"] * 4), {}, "at least two classes"),
        ((np.zeros((4, 5)),), {}, "without targets"),
        ((np.zeros((4, 5)), ["a", "b"]), {}, "2 targets"),
        ((SeriesSet.from_arrays(np.zeros((4, 5)), [1.0, 2.0, 3.0, 4.0]),), {}, "the targets are numbers"),
        ((SeriesSet.from_arrays(np.zeros((4, 5))),), {}, "no targets"),
    ],
)
@pytest.mark.filterwarnings("ignore:constant")
def test_data_that_cannot_be_learned(arguments, settings, message):
    with pytest.raises(DataError, match=message):
        series.classify(*arguments, **settings)


def test_labels_are_no_numbers():
    with pytest.raises(DataError, match="the targets are labels"):
        series.regress(SeriesSet.from_arrays(np.zeros((2, 5)), ["a", "b"]))


@pytest.mark.parametrize(
    ("task", "fit", "message"),
    [
        (Classification(), Fit(early_stopping=3), "data.validation"),
        (Classification(), Fit(loss="huber"), "fit.loss=huber is for numbers"),
        (Regression(), Fit(class_weights="balanced"), "class_weights"),
    ],
)
def test_settings_that_do_not_go_together(task, fit, message):
    x, slope = slopes(6)
    with pytest.raises(ConfigError, match=message):
        series.train_series(task, x, slope if task.name == "regress" else named(slope), fit=fit)


def test_unseen_classes_are_named():
    x, slope = slopes(6)
    task = series.classify(x, named(slope), **(QUICK | {"fit": Fit(steps=1)}))
    with pytest.raises(DataError, match=r"unseen class 'jumps', first in series 1"):
        task.evaluate(SeriesSet.from_arrays(x[:2], ["flat", "jumps"]))


def test_a_network_alone_is_no_task(tmp_path):
    rnnkit.Learner(rnnkit.SequenceRegressor(rnnkit.GRU(1, 4))).save(tmp_path)
    with pytest.raises(DataError, match="without its preprocessing"):
        series.load(tmp_path)


def test_a_finished_preprocessing_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x, slope = slopes(6)
    rows = SeriesSet.from_arrays(x, named(slope))
    kept = Preprocessing.fit(rows, scale="minmax")
    assert series.classify(rows, preprocessing=kept, **(QUICK | {"fit": Fit(steps=1)})).preprocessing is kept
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -1])
@pytest.mark.parametrize("name", ["epochs", "lr", "weight_decay"])
def test_settings_are_finite_numbers(name, value):
    with pytest.raises(ConfigError, match=rf"fit\.{name}={value} arrived"):
        Fit(**{name: value})
