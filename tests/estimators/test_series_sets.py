"""A `SeriesSet` in place of X and y: the same model as from its arrays, and clear errors."""

import numpy as np
import pytest

from rnnkit import RNNClassifier, RNNRegressor
from rnnkit.data import SeriesSet
from rnnkit.errors import DataError

SMALL = {"hidden_size": 4, "epochs": 2, "front": "none", "random_state": 0, "device": "cpu"}
RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(steps, 2)) for steps in (5, 6, 7, 8, 5, 6, 7, 8)]
LABELS = ["rest", "walk"] * 4


def series(rows=ROWS, targets=LABELS, channels=("p", "q")):
    return SeriesSet.from_arrays(rows, targets, channels=channels)


def test_a_series_set_is_as_its_arrays():
    given = series()
    model, plain = RNNClassifier(**SMALL).fit(given), RNNClassifier(**SMALL).fit(ROWS, LABELS)
    assert (model.channel_names_, model.n_channels_, model.classes_.tolist()) == (("p", "q"), 2, ["rest", "walk"])
    assert np.array_equal(model.predict_proba(given), plain.predict_proba(ROWS))
    assert model.score(given) == plain.score(ROWS, LABELS) == model.score(given, LABELS)
    numbers = np.arange(8.0)
    regressor = RNNRegressor(**SMALL).fit(series(targets=numbers))
    assert np.array_equal(regressor.predict(given), RNNRegressor(**SMALL).fit(ROWS, numbers).predict(ROWS))
    assert regressor.score(series(targets=numbers)) == regressor.score(ROWS, numbers)


def test_rows_of_one_length_and_targets_beside_the_set():
    even = series([row[:5] for row in ROWS])
    model = RNNClassifier(**SMALL).fit(even, [0, 1] * 4)  # y counts more
    assert model.classes_.tolist() == [0, 1]
    assert model.predict(series()).shape == (8,)  # of other lengths
    one = series([row[:5, :1] for row in ROWS], channels=None)
    assert RNNClassifier(**SMALL).fit(one).predict(one[[0, 1]]).shape == (2,)


def test_going_on_and_fine_tuning_with_a_series_set():
    given = series()
    model = RNNClassifier(**SMALL).fit(given)
    plain = RNNClassifier(**SMALL).fit(ROWS, LABELS)
    model.partial_fit(given).fine_tune(given, epochs=1, validation=given, old_data=given, replay=0.5)
    pair = (ROWS, LABELS)
    plain.partial_fit(*pair).fine_tune(*pair, epochs=1, validation=pair, old_data=pair, replay=0.5)
    assert np.array_equal(model.predict_proba(ROWS), plain.predict_proba(ROWS))


def test_a_series_set_that_does_not_fit_is_refused():
    for estimator, given, message in (
        (RNNClassifier, series(targets=None), "the rows have no targets; expected a label or a number for each"),
        (RNNRegressor, series(), 'targets are labels; RNNRegressor expects numbers: read it with targets="numbers"'),
        (RNNClassifier, series(targets=np.arange(8.0)), 'RNNClassifier expects labels: read it with targets="labels"'),
    ):
        with pytest.raises(DataError) as caught:
            estimator(**SMALL).fit(given)
        assert message in str(caught.value)
    model = RNNClassifier(**SMALL).fit(series())
    swapped = series(channels=("q", "p"))
    with pytest.raises(
        DataError, match=r"channels q, p; expected p, q, in this order; read it with value_columns=\['p'"
    ):
        model.predict(swapped)
    with pytest.raises(DataError, match="channels q, r; expected p, q, in this order$"):
        model.predict(series(channels=("q", "r")))
    assert model.predict(series(channels=None)).shape == (8,)  # without names
    with pytest.raises(DataError, match="requires y to be passed"):
        RNNClassifier(**SMALL).fit(ROWS)
