"""Estimators that are taught something new."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from small_estimators import classifier, regressor, waves

import rnnkit
from rnnkit.data.series import SeriesSet
from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.forgetting import Replay


def test_fine_tuning_moves_a_regression_to_new_data():
    X, _ = waves()
    y = X[:, -1, 0]
    model = regressor(epochs=30).fit(X, y)
    before = model.score(X, 2 * y)
    model.fine_tune(X, 2 * y, epochs=20, lr=0.02)
    assert model.score(X, 2 * y) > before
    assert model.n_iter_ == 50
    assert model.history_.report.epochs == 20
    with pytest.raises(NotFittedError):
        regressor().fine_tune(X, y)


def test_fine_tuning_to_other_classes_keeps_what_stays():
    X, y = waves(48)
    model = classifier().fit(X, y)
    falls, chance = model.module_.head.weight[0].detach().clone(), model.predict_proba(X)
    with pytest.raises(DataError, match="y holds 'soars', which is none of the classes"):
        model.fine_tune(X, np.where(y == "rises", "soars", y))
    with pytest.raises(ConfigError):
        model.fine_tune(X, y, classes=["falls", "rises", "stays", "soars"], lr=-1.0)
    assert np.array_equal(model.predict_proba(X), chance)
    soaring = X[y == "rises"] * 4
    new = (np.concatenate([X, soaring]), np.concatenate([y, ["soars"] * len(soaring)]))
    model.fine_tune(*new, classes=["falls", "rises", "stays", "soars"], epochs=20, lr=0.02, replay=8, old_data=(X, y))
    assert model.classes_.tolist() == ["falls", "rises", "soars", "stays"]
    assert model.preprocessing_.classes == ("falls", "rises", "soars", "stays")
    assert model.score(*new) > 0.9
    assert "soars" in pickle.loads(pickle.dumps(model)).predict(soaring)
    assert (model.module_.head.weight[0] - falls).norm() < falls.norm()  # it began where it was


def test_weighted_rows_are_mixed_with_a_replay():
    X, y = waves()
    few = np.flatnonzero(y == "falls")[:2].tolist() + np.flatnonzero(y != "falls").tolist()
    model = classifier(class_weight="balanced", epochs=1).fit(X, y)
    model.fine_tune(X[few], y[few], epochs=1, replay=(X, y))
    model.fine_tune(X, y, np.arange(36) % 2 + 1, epochs=1, replay=0.5, old_data=(X, y))
    targets = []
    model._loss = lambda plan: lambda output, target: targets.append(target) or output.sum()
    model._learner = model._make_learner(model._recipe[1])
    labels = ["falls", "more", "rises", "stays"]  # so that two of the old classes have other numbers
    model.fine_tune(
        X[few], np.where(y[few] == "falls", "more", "rises"), epochs=1, classes=labels, replay=(X[:3], y[:3])
    )
    seen = torch.cat(targets)
    assert sorted(seen[seen[:, 1] == 1][:, 0].tolist()) == [0, 2, 3]  # none of the new rows weighs just 1
    numbers = regressor(epochs=1).fit(X, np.arange(36.0))
    numbers.fine_tune(X, np.arange(36.0), np.arange(36) + 1, epochs=1, replay=(X, np.arange(36.0)))


def test_all_data_of_a_fine_tuning_is_scaled_and_encoded():
    X, y = waves()
    old, seen = (100 * X + 7, y), []
    tensors = torch.from_numpy(old[0]), y
    model = classifier(epochs=1).fit(*old)
    tune = model._learner.fine_tune
    model._learner.fine_tune = lambda data, **settings: seen.append(settings) or tune(data, **settings)
    for pair in (old, tensors):
        model.fine_tune(
            *pair, epochs=1, old_data=pair, old_validation=pair, validation=pair, replay=Replay(pair, rows=0.5)
        )
    expected = model.preprocessing_.transform(SeriesSet.from_arrays(old[0], source="X"))
    for settings in seen:
        for given, labels in (settings[name] for name in ("old_data", "old_validation", "validation")):
            assert torch.equal(given, expected)
            assert labels.tolist() == np.searchsorted(model.classes_, y).tolist()
        assert torch.equal(settings["replay"].data[0], expected)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fine_tune(X, y, old_validation=(X, y[:-1]))


def test_adapters_are_merged():
    X, y = waves()
    model = classifier().fit(X, y)
    names = list(model.module_.state_dict())
    model.fine_tune(-X, y, adapters=rnnkit.LoRA(rank=2), epochs=10, lr=0.05)
    assert list(model.module_.state_dict()) == names
    assert np.array_equal(copy.deepcopy(model).predict_proba(X), model.predict_proba(X))
    assert model.partial_fit(X, y).n_iter_ == 23
