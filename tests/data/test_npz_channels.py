"""Channels of a .npz file: chosen by their names, and left out where one only counts rows."""

import warnings

import numpy as np
import pytest

from rnnkit.data import read_series
from rnnkit.data.reading import read_like
from rnnkit.errors import ConfigError, DataError, DataWarning

CUBE = np.random.default_rng(0).normal(size=(4, 5, 3))
LABELS = ["u", "v", "u", "v"]


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


def counted(counter, axis=1):
    cube = CUBE.copy()
    cube[:, :, axis] = np.reshape(counter, (4, 5))
    return cube


@pytest.mark.parametrize("named", [["p", "r"], ["r", "p"], ["r"], ["X", "r"]])
def test_channels_by_their_names(save, named):
    path = save(X=CUBE, y=LABELS, channels=["p", "q", "r"])
    series = read_series(path, value_columns=named)
    expected = [name for name in named if name != "X"]
    assert series.channels == tuple(expected)
    assert np.array_equal(series.values[1], CUBE[1][:, ["pqr".index(name) for name in expected]])
    again = read_like(series.read_options, path)
    assert again.channels == series.channels
    assert [row.tolist() for row in again.values] == [row.tolist() for row in series.values]


def test_channels_without_names_and_of_one_array_of_several(save):
    assert read_series(save(X=CUBE, y=LABELS), value_columns=["channel 2"]).channels == ("channel 2",)
    path = save(X=CUBE, x=CUBE + 1, y=LABELS, channels=["p", "q", "r"])
    with pytest.raises(DataError, match="'X' and 'x' may both be meant") as caught:
        read_series(path, value_columns=["q"])
    assert caught.value.remedies[1].arguments == {"value_columns": ["x", "q"]}
    series = read_series(path, value_columns=["x", "q"], ignore_columns=["X"])
    assert (series.channels, series.values[0].tolist()) == (("q",), (CUBE[0, :, 1:2] + 1).tolist())


def test_a_channel_that_does_not_exist_is_refused_with_those_that_do(save):
    path = save(X=CUBE, y=LABELS, channels=["speed", "force", "heat"])
    for options, problem in (
        ({"keep_columns": ["sped"]}, "there is no channel 'sped' to keep; did you mean 'speed'?"),
        ({"value_columns": ["sped"]}, "there is no array or channel 'sped'; did you mean 'speed'?"),
        ({"value_columns": ["speed", "zzz"]}, "there is no array or channel 'zzz'"),
    ):
        with pytest.raises(DataError) as caught:
            read_series(path, **options)
        assert problem in str(caught.value)
        assert str(caught.value).endswith("Channels: 'speed', 'force', 'heat'")
    assert "Arrays: 'X', 'y', 'channels'. " in str(caught.value)
    with pytest.raises(DataError, match="no array 'zzz'"):
        read_series(save(power=CUBE, y=LABELS), value_columns=["zzz"])
    with pytest.raises(ConfigError, match="layout='long' arrived; leave it out"):
        read_series(path, layout="long")


@pytest.mark.parametrize(
    "counter", [np.arange(20), np.arange(20) * 3 + 7, 40 - 2 * np.arange(20), np.arange(20) * 7 % 20]
)
def test_a_channel_that_counts_rows_is_left_out(save, counter):
    path = save(X=counted(counter), y=LABELS)
    said = "data.npz: the channel 'channel 1' only counts the rows and is left out; type keep_columns=[\"channel 1\"]"
    with pytest.warns(DataWarning) as found:
        series = read_series(path)
    assert (series.channels, len(found)) == (("channel 0", "channel 2"), 1)
    assert said in str(found[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_series(path, keep_columns=["channel 1"]).channels == ("channel 0", "channel 1", "channel 2")
        assert read_series(path, value_columns=["channel 1"]).channels == ("channel 1",)
        assert read_like(series.read_options, path).channels == series.channels
        before = {"form": "npz", "value_columns": ["X"]}  # stored by a model that was trained with the counter
        assert read_like(before, path).channels == ("channel 0", "channel 1", "channel 2")


def test_a_counter_over_series_one_below_the_other(save):
    lengths = [2, 5, 7, 6]
    below = np.column_stack([np.arange(20), CUBE.reshape(20, 3)])
    with pytest.warns(DataWarning, match="'row' only counts"):
        series = read_series(save(X=below, lengths=lengths, y=LABELS, channels=["row", "p", "q", "r"]))
    assert (series.channels, series.lengths.tolist()) == (("p", "q", "r"), lengths)


def test_what_may_be_measured_stays(save):
    again = np.tile(np.arange(5), 4)  # it begins again in each series
    for arrays in (
        {"X": counted(again)},
        {"X": counted(np.arange(20) / 2)},
        {"X": np.arange(60.0).reshape(4, 5, 3)},  # every channel rises
        {"X": np.arange(20.0).reshape(4, 5)},
        {"X": counted(np.arange(20))[:1]},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            series = read_series(save(**arrays), targets=None)
        assert len(series.channels) == (3 if arrays["X"].ndim == 3 else 1)
