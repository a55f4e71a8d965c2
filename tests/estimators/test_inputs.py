"""What X may be: series of several channels and lengths, gaps, offsets, names of columns; and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency
from small_estimators import classifier, regressor, waves
from tolerances import assert_close

import rnnkit
from rnnkit.data import SeriesSet
from rnnkit.errors import DataError, DataWarning


def test_tables_cubes_and_lists_are_the_same_series():
    X, y = waves()
    table = classifier().fit(X[:, :, 0], y)
    cube = classifier().fit(X, y)
    assert (table.n_features_in_, cube.n_features_in_) == (10, 1)
    assert table.n_channels_ == cube.n_channels_ == 1
    expected = table.predict_proba(X[:, :, 0])
    lists = [[list(row[:, 0]) for row in X], list(X[:, :, 0]), [torch.tensor(row) for row in X], torch.tensor(X)]
    for same in (X, *lists, rnnkit.Sequences(torch.tensor(X), torch.full((len(X),), 10))):
        assert np.array_equal(table.predict_proba(same), expected)
        assert np.array_equal(cube.predict_proba(same), expected)


def test_unequal_lengths_and_several_channels():
    X, y = waves(channels=2, unequal=True)
    model = classifier().fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.n_features_in_ == model.n_channels_ == 2
    objects = np.empty(len(X), object)
    objects[:] = X
    longest = max(map(len, X))
    padded = rnnkit.Sequences.from_list([torch.tensor(row) for row in X])
    assert padded.values.shape[1] == longest
    padded.values[0, len(X[0]) :] = float("nan")
    for same in (objects, padded, tuple(X)):
        assert np.array_equal(model.predict_proba(same), model.predict_proba(X))
    assert model.predict(np.zeros((2, 40, 2))).shape == (2,)  # of another length than any of fit


@pytest.mark.parametrize("unequal", [False, True])
def test_a_row_alone_is_answered_as_among_others(unequal):
    X, y = waves(channels=2, unequal=unequal)
    model = classifier(front="conv", settings={"channels": 6}).fit(X, y)
    together = torch.tensor(model.decision_function(X), dtype=torch.float32)
    alone = np.concatenate([model.decision_function([row]) for row in X])
    assert_close(torch.tensor(alone, dtype=torch.float32), together)
    backwards = model.decision_function(X[::-1])[::-1].copy()
    assert_close(torch.tensor(backwards, dtype=torch.float32), together)


@pytest.mark.parametrize(
    ("X", "complaint"),
    [
        (np.zeros((3, 4, 2, 1)), r"shape \(3, 4, 2, 1\) arrived; expected \(rows, steps\) or"),
        (np.zeros((3, 0, 2)), r"at least 1 of each"),
        ([np.zeros((3, 2)), np.zeros((3, 1)), np.zeros(4)], r"shapes \(3, 1\), \(3, 2\), \(4,\); expected"),
        ([np.zeros((3, 2)), np.zeros((0, 2)), np.zeros((3, 2))], "at least one step"),
        ([np.zeros(3), np.full(4, np.inf), np.zeros(3)], "row 1 of X: .*infinity"),
        ([np.zeros(3), np.array(["a", "b"]), np.zeros(3)], "row 1 of X holds text, such as .a."),
        ([0.5, 1.5, 2.5], "Reshape your data"),
        ([[0.5], [np.inf], [2.5]], "Input X contains infinity"),
        (np.full((3, 4), 1e300), "holds 1e\\+300 at step 0"),
    ],
)
def test_what_is_no_series_is_refused(X, complaint):
    with pytest.raises(ValueError, match=complaint):
        classifier().fit(X, ["a", "b", "a"])


@pytest.mark.parametrize(
    ("model", "y", "complaint"),
    [
        (classifier(), ["a", "a", "a"], "y holds one class, 'a'"),
        (classifier(), np.array(["a", 1, "b"], dtype=object), r"y holds text and other labels; make"),
        (regressor(), [1e300, 0.0, 1.0], r"up to 1e\+300; expected at most 1e\+150"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(model, y, complaint):
    with pytest.raises(DataError, match=complaint):
        model.fit(np.random.default_rng(0).normal(size=(3, 5)), y)


def test_predict_compares_with_fit():
    X, y = waves(channels=2)
    model = classifier().fit(X, y)
    with pytest.raises(DataError, match="X has 3 channels, but RNNClassifier is expecting 2 channels"):
        model.predict(np.zeros((2, 10, 3)))
    with pytest.raises(DataError, match="X has 1 channels"):
        model.predict(np.zeros((2, 10)))
    with pytest.raises(NotFittedError):
        classifier().predict(X)


@pytest.mark.parametrize("model", [classifier(epochs=1), regressor(epochs=1)])
def test_names_of_columns(model):
    check_dataframe_column_names_consistency(type(model).__name__, model)


@pytest.mark.parametrize("missing", ["fill", "indicator"])
def test_missing_values(missing):
    X, y = waves(channels=2)
    X[::2, 3:5, 1] = np.nan
    model = classifier(missing=missing).fit(X, y)
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.predict_proba(X)).all()
    assert get_tags(model).input_tags.allow_nan
    assert get_tags(model).input_tags.three_d_array


@pytest.mark.parametrize("offset", [1e7, 1e8])
def test_a_large_offset_changes_nothing(offset):
    X, y = waves(channels=2)
    numbers = X[:, -1].sum(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no channel is called constant
        for model, targets in ((classifier(), y), (regressor(), numbers)):
            plain = model.fit(X, targets).preprocessing_.transform(SeriesSet.from_arrays(X))
            expected = model.predict(X)
            shifted = model.fit(X + offset, targets).preprocessing_.transform(SeriesSet.from_arrays(X + offset))
            torch.testing.assert_close(shifted, plain, rtol=0, atol=1e-5)
            found = model.predict(X + offset)
            if targets is y:
                assert (found == expected).mean() > 0.9
            else:
                np.testing.assert_allclose(found, expected, atol=0.3)


def test_missing_steps_at_the_end_are_padding_in_every_form_of_x():
    """A row has the same probabilities wherever it comes from: an array, a list, a file."""
    X, y = waves(unequal=True)
    model = classifier().fit(X, y)
    expected = model.predict_proba(X)
    padded = np.full((len(X), max(map(len, X))), np.nan)
    for row, values in zip(padded, X, strict=True):
        row[: len(values)] = values[:, 0]
    longer = [np.concatenate([row, np.full((at % 4, 1), np.nan)]) for at, row in enumerate(X)]
    frames = [pd.DataFrame(row, columns=["height"]) for row in longer]
    lengths = torch.tensor([len(row) for row in longer])
    sequences = rnnkit.Sequences(rnnkit.Sequences.from_list(longer).values, lengths)
    as_file = model.preprocessing_.transform(SeriesSet.from_arrays(X))
    for same in (padded, padded[:, :, None], pd.DataFrame(padded), list(padded), longer, frames, sequences):
        assert np.array_equal(model.predict_proba(same), expected)
        inputs = classifier(epochs=1).fit(same, y).preprocessing_.transform(SeriesSet.from_arrays(X))
        torch.testing.assert_close(inputs.values, as_file.values)


def test_a_row_without_a_value_is_refused():
    X, y = waves(rows=6)
    model = classifier(epochs=1).fit(X, y)
    X[3] = np.nan
    for same in (X, X[:, :, 0], list(X), [*X[:5], X[5, :4]], pd.DataFrame(X[:, :, 0])):
        for call in (model.predict, lambda given: classifier(epochs=1).fit(given, y)):
            with pytest.raises(DataError, match="X: series 3: the series has no value at all; leave the series out"):
                call(same)
    model.fit(X, y, sample_weight=np.arange(6) != 3)  # which leaves it out


def test_data_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    y = pandas.Series(["low", "high"] * 6).astype("category")
    table = pandas.DataFrame(rng.normal(size=(12, 9)), columns=[f"t{step}" for step in range(9)])
    model = classifier(epochs=1).fit(table, y)
    assert model.classes_.tolist() == ["high", "low"]
    assert model.feature_names_in_.tolist() == list(table.columns)
    assert set(model.predict(table)) <= {"high", "low"}
    frames = [pandas.DataFrame(rng.normal(size=(length, 2)), columns=["u", "v"]) for length in [5, 7] * 6]
    model.fit(frames, y)
    assert (model.channel_names_, model.n_channels_) == (("u", "v"), 2)
    assert (model.predict(frames) == model.predict([frame.to_numpy() for frame in frames])).all()
    with pytest.raises(
        DataError, match=r"DataFrame 0 of X has the columns v, u; expected u, v, .*frame\[\['u', 'v'\]\]"
    ):
        model.predict([frame[["v", "u"]] for frame in frames])
    with pytest.raises(DataError, match="DataFrame 1 of X has the columns w, v"):
        model.fit([frames[0], frames[1].rename(columns={"u": "w"})], y[:2])
    model.fit(table, y)
    assert not hasattr(model, "channel_names_")


@pytest.mark.parametrize(
    "text",
    [
        np.array([["1.0", "2.0"]] * 4),
        np.array([["1.0", "2.0"]] * 4, dtype=object),
        [["1", "2"]] * 4,
        [np.array(["1", "2"]), np.array(["1", "2", "3"])] * 2,
        pd.DataFrame({"t0": ["1", "2", "3", "4"], "t1": [1.0, 2.0, 3.0, 4.0]}),
    ],
)
def test_numbers_written_as_text_are_refused(text):
    with pytest.raises(DataError, match=r"X holds text, such as '1.*; expected numbers"):
        classifier().fit(text, [0, 1, 0, 1])


def test_two_spellings_of_a_label_are_one_class():
    X = np.random.default_rng(0).normal(size=(16, 6))
    labels = ["caf\u00e9", "tea", "cafe\u0301", "tea"] * 4
    with pytest.warns(DataWarning, match="'café' occurs in two spellings"):
        model = rnnkit.RNNClassifier(hidden_size=4, epochs=1).fit(X, labels)
    assert model.classes_.tolist() == ["caf\u00e9", "tea"]
    assert set(model.predict(X)) <= {"caf\u00e9", "tea"}
