"""What scikit-learn's own checks do not ask: targets and weights, going on, pickles, the recipe."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_estimators import classifier, regressor, waves

import rnnkit
from rnnkit.errors import ConfigError, DataError, MissingExtraError
from rnnkit.tasks import series as task

# Targets, weights, early stopping -------------------------------------------------------------------------------------


def test_the_three_ways_to_say_how_sure_it_is_agree():
    X, y = waves()
    model = classifier().fit(X, y)
    shares, scores = model.predict_proba(X), model.decision_function(X)
    assert shares.dtype == np.float64
    assert np.allclose(shares.sum(1), 1, atol=1e-12)
    assert np.allclose(np.log(shares), model.predict_log_proba(X))
    assert np.array_equal(model.classes_[scores.argmax(1)], model.predict(X))
    two = classifier().fit(X, y == "rises")
    assert two.decision_function(X).shape == (len(X),)
    assert np.array_equal(two.decision_function(X) > 0, two.predict(X))


@pytest.mark.parametrize("loss", ["mse", "huber", "l1"])
def test_several_numbers_in_their_own_units(loss):
    X, _ = waves(channels=2)
    y = np.stack([1000 + 50 * X[:, -1, 1], -X[:, -1, 1]], 1)
    model = regressor(loss=loss, epochs=40).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert abs(predicted[:, 0].mean() - 1000) < 20
    assert model.score(X, y) > 0.8
    assert regressor().fit(X, y[:, :1]).predict(X).shape == (len(X), 1)
    with pytest.raises(DataError, match=r"y of shape \(36,\) arrived; expected \('rows', 2\)"):
        model.partial_fit(X, y[:, 0])


@pytest.mark.parametrize(("make", "method"), [(classifier, "predict_proba"), (regressor, "predict")])
def test_a_weight_counts_as_repetition(make, method):
    X, kinds = waves(18)
    y = np.unique(kinds, return_inverse=True)[1]
    weights = np.arange(18) % 4
    settings = {"batch_size": 64, "augment": 0, "dropout": 0, "scale": "none"}
    repeated = make(**settings).fit(X.repeat(weights, 0), y.repeat(weights))
    weighted = make(**settings).fit(X, y, sample_weight=weights)
    plain = make(**settings).fit(X, y)
    expected = getattr(repeated, method)(X)
    assert np.abs(getattr(weighted, method)(X) - expected).max() < 1e-3
    assert np.abs(getattr(plain, method)(X) - expected).max() > 1e-2


def test_class_weights_multiply_the_rows_weights():
    X, y = waves()
    weights = np.where(y == "rises", 5.0, 1.0)
    by_class = classifier(class_weight={"rises": 5.0, "falls": 1.0, "stays": 1.0}).fit(X, y)
    by_row = classifier().fit(X, y, sample_weight=weights)
    assert np.array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    balanced = classifier(class_weight="balanced").fit(X, y)  # of classes of equal size: no weights at all
    assert np.array_equal(balanced.predict_proba(X), classifier().fit(X, y).predict_proba(X))


def test_early_stopping_keeps_the_best_epoch():
    X, y = waves(60)
    y = np.random.default_rng(0).permutation(y)  # nothing to learn
    model = classifier(early_stopping=True, validation_fraction=0.3, n_iter_no_change=2, epochs=50).fit(X, y)
    losses = [row["val_loss"] for row in model.history_.rows]
    assert model.n_iter_ == len(losses) < 50
    assert model.history_.best_epoch == len(losses) - 2 == int(np.argmin(losses)) + 1


def test_early_stopping_with_a_class_of_one_row():
    X, y = waves(30)
    y[0] = "only once"
    assert "val_loss" in classifier(early_stopping=True, epochs=1).fit(X, y).history_.rows[0]


# Going on -------------------------------------------------------------------------------------------------------------


def test_partial_fit_learns_from_parts():
    X, y = waves(90)
    model = classifier()
    for part in range(20):
        rows = np.arange(90)[part % 3 :: 3]
        model.partial_fit(X[rows], y[rows], classes=["falls", "stays", "rises", "never"])
    assert model.n_iter_ == len(model.history_.rows) == 20
    assert [row["epoch"] for row in model.history_.rows] == list(range(1, 21))
    assert model.classes_.tolist() == ["falls", "never", "rises", "stays"]
    assert model.score(X, y) > 0.9
    with pytest.raises(DataError, match="y holds 'new', which is none of the classes"):
        model.partial_fit(X[:2], ["new", "falls"])


def test_warm_start_goes_on_and_fit_begins_anew():
    X, y = waves()
    model = classifier(epochs=2, warm_start=True).fit(X, y)
    first, center = model.history_.rows[0]["loss"], model.preprocessing_
    model.set_params(learning_rate=0.01).fit(X + 1, y)
    assert model.n_iter_ == 4
    assert model.preprocessing_ is center
    assert model.history_.rows[2]["loss"] < first
    with pytest.raises(ConfigError, match="hidden_size changed since the first fit"):
        model.set_params(hidden_size=7).fit(X, y)
    model.set_params(hidden_size=6, learning_rate=0.05, warm_start=False).fit(X, y)
    assert np.array_equal(model.predict_proba(X), classifier(epochs=2).fit(X, y).predict_proba(X))


# Pickles, clones, searches --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", ["pickle", "joblib", "deepcopy"])
def test_a_copy_holds_the_weights_and_goes_on(copied, tmp_path):
    X, y = waves()
    model = classifier(warm_start=True).fit(X, y)
    if copied == "joblib":
        joblib.dump(model, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    else:
        other = copy.deepcopy(model) if copied == "deepcopy" else pickle.loads(pickle.dumps(model))
    expected = model.predict_proba(X)
    assert np.array_equal(other.predict_proba(X), expected)
    other.fit(X, y)
    assert not np.array_equal(other.predict_proba(X), expected)
    assert np.array_equal(model.predict_proba(X), expected)
    assert other.n_iter_ == 24


def test_saved_for_the_command_line(tmp_path):
    X, y = waves(channels=2)
    model = classifier().fit(X, y)
    model.save(tmp_path / "model.safetensors")
    loaded = task.load(tmp_path)
    assert loaded.classes == ("falls", "rises", "stays")
    assert np.allclose(loaded.predict_proba(list(X)), model.predict_proba(X), atol=1e-6)
    numbers = regressor().fit(X, X[:, :2, 0])
    numbers.save(tmp_path)
    assert np.allclose(task.load(tmp_path).predict(list(X)), numbers.predict(X), atol=1e-5)


def test_in_pipelines_searches_and_calibration():
    X, y = waves(48)
    X = X[:, :, 0]
    pipeline = make_pipeline(StandardScaler(), classifier(epochs=4)).set_output(transform="pandas")
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5
    grid = {"rnnclassifier__hidden_size": np.array([4, 6]), "rnnclassifier__cell": ["lstm"]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_["rnnclassifier__cell"] == "lstm"
    assert search.best_estimator_[-1].feature_names_in_.tolist() == [f"x{step}" for step in range(10)]
    calibrated = CalibratedClassifierCV(classifier(epochs=4), cv=2).fit(X, y, sample_weight=np.ones(48))
    assert calibrated.predict_proba(X).shape == (48, 3)
    ragged, labels = waves(24, unequal=True)
    assert cross_val_score(classifier(epochs=4), ragged, labels, cv=2).mean() > 0.5


def test_a_search_in_two_processes_and_models_that_come_back():
    X, y = waves(24)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the processes are forks of this one, and OpenMP's threads do not survive that
    with joblib.parallel_config("multiprocessing"):  # usual are new programs, which import torch for seconds
        search = GridSearchCV(classifier(), {"epochs": [2]}, cv=2, n_jobs=2).fit(X, y)
        found = cross_validate(classifier(epochs=2), X, y, cv=2, n_jobs=2, return_estimator=True)
    torch.set_num_threads(threads)
    alone = GridSearchCV(classifier(), {"epochs": [2]}, cv=2).fit(X, y)
    shares = [one.cv_results_["mean_test_score"] for one in (search, alone)]
    assert np.allclose(*shares, atol=0.1)  # the processes have other numbers of threads
    there = found["estimator"]
    here = cross_validate(classifier(epochs=2), X, y, cv=2, return_estimator=True)["estimator"]
    assert np.allclose(there[1].predict_proba(X), here[1].predict_proba(X), atol=1e-3)


def test_a_network_of_the_users_own():
    def make(features, outputs):
        return rnnkit.SequenceClassifier(rnnkit.LSTM(features, 5, batch_first=True), outputs)

    X, y = waves()
    model = classifier(network=make).fit(X, y)
    assert isinstance(model.module_.body, rnnkit.LSTM)
    assert np.array_equal(copy.deepcopy(model).predict_proba(X), model.predict_proba(X))
    assert clone(model).network is make


# Seeds, the recipe, settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classify", "regress"])
def test_it_is_the_recipe(kind):
    X, y = waves(channels=2)
    plan = {"model": task.Model(hidden_size=6, channels=6), "fit": task.Fit(steps=8)}
    settings = {"hidden_size": 6, "settings": {"channels": 6, "steps": 8}, "random_state": 3}
    if kind == "classify":
        mine, recipe = rnnkit.RNNClassifier(**settings).fit(X, y), task.classify(X, y, seed=3, **plan)
    else:
        mine, recipe = rnnkit.RNNRegressor(**settings).fit(X, X[:, -1, 0]), task.regress(X, X[:, -1, 0], seed=3, **plan)
    weights = recipe.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in mine.module_.state_dict().items())
    assert mine.preprocessing_.center == recipe.preprocessing.center
    defaults = {**vars(task.Model()), **vars(task.Fit())}
    parameters = type(mine)().get_params()
    shared = set(defaults) & set(parameters) - {"scale", "early_stopping"}
    assert {name: parameters[name] for name in shared} == {name: defaults[name] for name in shared}
    assert parameters["learning_rate"] == defaults["lr"]


def test_seeds():
    X, y = waves(12)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    shares = [classifier(epochs=1, random_state=seed).fit(X, y).predict_proba(X) for seed in (1, 1, 2)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(shares[0], shares[1])
    assert not np.array_equal(shares[0], shares[2])
    state = np.random.RandomState(0)
    drawn = [classifier(epochs=1, random_state=state).fit(X, y).predict_proba(X) for _ in range(2)]
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"cell": "gru2"}, "cell='gru2' arrived; did you mean 'gru'"),
        ({"hidden_size": 0}, "hidden_size=0 arrived; expected at least 1"),
        ({"hidden_size": 2.5}, "hidden_size=2.5 arrived; expected a whole number"),
        ({"bidirectional": "yes"}, "bidirectional='yes' arrived; expected True or False"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 arrived; expected a number of at least 0"),
        ({"dropout": 1.0}, "dropout=1.0 arrived; expected at least 0 and less than 1"),
        ({"augment": None}, "augment=None arrived; expected a number"),
        ({"epochs": 0}, "epochs=0 arrived; expected at least 1"),
        ({"validation_fraction": 1.0}, "validation_fraction=1.0 arrived; expected a number above 0 and below 1"),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0 arrived; expected a whole number of at least 1"),
        ({"scale": "robust"}, "scale='robust' arrived"),
        ({"settings": {"chanels": 8}}, "settings has 'chanels'.*did you mean 'channels'"),
        ({"settings": {"kernel_sizes": 3}}, "kernel_sizes=3 arrived; expected a tuple"),
        ({"device": "gpu9"}, "gpu9"),
    ],
)
def test_settings_are_refused_in_fit(settings, complaint):
    X, y = waves(6)
    with pytest.raises(ConfigError, match=complaint):
        classifier(**settings).fit(X, y)


def test_silent_unless_verbose(capfd):
    X, y = waves(6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(epochs=2).fit(X, y)
    assert capfd.readouterr() == ("", "")
    classifier(epochs=2, verbose=True).fit(X, y)
    assert "2" in "".join(capfd.readouterr())


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("sklearn", "rnnkit.estimators"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in vars(rnnkit) if name in ("RNNClassifier", "RNNRegressor", "estimators")]:
        monkeypatch.delattr(rnnkit, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    spec = rnnkit.__spec__
    spec.loader.exec_module(importlib.util.module_from_spec(spec))  # as the first import of rnnkit does
    exec("from rnnkit import *", names := {})
    assert "Learner" in names
    with pytest.raises(MissingExtraError, match=r"pip install 'rnnkit\[sklearn\]'"):
        _ = rnnkit.RNNClassifier
