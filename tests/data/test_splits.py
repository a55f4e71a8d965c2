"""Splits at random, by group and by time; the first part is for training."""

import numpy as np
import pytest

from rnnkit.data import SeriesSet, split
from rnnkit.errors import ConfigError, DataError


def numbered(count, targets=None, **columns):
    """Series whose value says which row they are."""
    series = SeriesSet.from_arrays([[float(row)] for row in range(count)], targets)
    return SeriesSet(**{**vars(series), **columns})


def rows(part):
    return [int(row[0, 0]) for row in part.values]


def test_at_random():
    series = numbered(100)
    parts = split(series, shares=(0.7, 0.2, 0.1), seed=3)
    assert [len(part) for part in parts] == [70, 20, 10]
    assert sorted(rows(parts[0]) + rows(parts[1]) + rows(parts[2])) == list(range(100))
    assert rows(parts[0]) == sorted(rows(parts[0]))
    assert rows(split(series, seed=3)[1]) == rows(split(series, seed=3)[1]) != rows(split(series, seed=4)[1])


@pytest.mark.parametrize("seed", range(5))
def test_each_part_has_each_class_in_the_same_share(seed):
    targets = np.array(["a"] * 50 + ["b"] * 10 + ["c"] * 5)
    parts = split(numbered(65, targets), shares=(0.8, 0.2), seed=seed)
    counts = [{name: part.targets.tolist().count(name) for name in "abc"} for part in parts]
    assert counts == [{"a": 40, "b": 8, "c": 4}, {"a": 10, "b": 2, "c": 1}]


@pytest.mark.parametrize("seed", range(5))
def test_tiny_classes_stay_in_training(seed):
    targets = ["a"] * 20 + ["once", "twice", "twice"]
    with pytest.warns(UserWarning, match="classes with one row stay in training and are not validated: 'once'"):
        train, validation = split(numbered(23, targets), shares=(0.5, 0.5), seed=seed)
    assert "once" in train.targets
    assert train.targets.tolist().count("twice") == validation.targets.tolist().count("twice") == 1
    many = split(numbered(20, [str(row // 2) for row in range(20)]), shares=(0.9, 0.1), seed=seed)
    assert [len(part) for part in many] == [18, 2]  # though each class's share is less than one row
    assert len(set(many[0].targets)) == 10


@pytest.mark.parametrize("by", ["random", "group"])
@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_parts(by, seed):
    groups = np.array([f"g{row % 13}" for row in range(100)])
    parts = split(numbered(100, groups=groups), shares=(0.6, 0.2, 0.2), by=by, seed=seed)
    sets = [set(part.groups) for part in parts]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 13
    assert [len(part) for part in parts] == pytest.approx([60, 20, 20], abs=8)


def test_large_groups_leave_no_part_empty():
    groups = np.array(["big"] * 90 + ["small"] * 5 + ["tiny"] * 5)
    for seed in range(5):
        parts = split(numbered(100, groups=groups), shares=(0.4, 0.3, 0.3), by="group", seed=seed)
        assert sorted(len(part) for part in parts) == [5, 5, 90]


def test_by_time():
    times = np.random.default_rng(0).permutation(40) // 2
    train, validation, test = split(numbered(40, times=times), shares=(0.5, 0.25, 0.25), by="time")
    assert [len(train), len(validation), len(test)] == [20, 10, 10]
    assert train.times.max() < validation.times.min()
    assert validation.times.max() < test.times.min()
    assert train.times.tolist() == sorted(train.times.tolist())


def test_rows_that_begin_together_stay_together():
    times = np.array(["2020-01-01"] * 7 + ["2020-01-02"] * 2 + ["2020-01-03"], "datetime64[us]")
    parts = split(numbered(10, times=times), shares=(0.5, 0.3, 0.2), by="time")
    assert [len(part) for part in parts] == [7, 2, 1]


def test_nothing_reaches_into_a_later_part():
    times = np.arange(10)
    series = numbered(10, times=times, step_times=[np.array([time + 2]) for time in times])
    with pytest.warns(UserWarning, match="2 series left out: they reach into the time of a later part"):
        train, validation = split(series, by="time")
    assert (rows(train), rows(validation)) == ([0, 1, 2, 3, 4, 5], [8, 9])


def test_by_time_no_group_is_in_two_parts():
    groups = np.array(["a", "a", "b", "c", "a", "d"])
    with pytest.warns(UserWarning, match="1 series left out: an earlier part has rows of their group"):
        train, validation = split(numbered(6, times=np.arange(6), groups=groups), shares=(0.5, 0.5), by="time")
    assert (rows(train), rows(validation)) == ([0, 1, 2], [3, 5])


@pytest.mark.parametrize(
    ("series", "options", "error", "message"),
    [
        (numbered(9), {"shares": (0.5, 0.4)}, ConfigError, "expected two or more positive numbers whose sum is 1"),
        (numbered(9), {"shares": (1.0,)}, ConfigError, "two or more"),
        (numbered(9), {"shares": (1.5, -0.5)}, ConfigError, "positive"),
        (numbered(9), {"seed": -1}, ConfigError, "seed=-1 arrived; expected a whole number of at least 0"),
        (numbered(9), {"by": "groups"}, ConfigError, "by='groups' arrived"),
        (numbered(9), {"by": "group"}, DataError, "no groups to split by; type group_column="),
        (numbered(9), {"by": "time"}, DataError, "no time stamps to split by; type time_column="),
        (numbered(1), {}, DataError, "1 series arrived; expected at least 2"),
        (numbered(4, groups=np.array(list("aaaa"))), {}, DataError, "1 groups arrived; expected at least 2"),
        (numbered(4, times=np.zeros(4)), {"by": "time"}, DataError, "begin at 1 different times; expected at least 2"),
    ],
)
def test_what_cannot_be_split(series, options, error, message):
    with pytest.raises(error, match=message):
        split(series, **options)


def test_a_part_that_is_left_empty_is_an_error():
    series = numbered(4, times=np.arange(4), groups=np.array(list("aaaa")))
    with pytest.warns(UserWarning, match="left out"), pytest.raises(DataError, match="leaves a part empty"):
        split(series, by="time")


def test_a_class_that_training_never_sees_is_said():
    targets = np.array(["a"] * 9 + ["b"])
    with pytest.warns(UserWarning, match="the training part has no row of 'b'; .* seed="):
        split(numbered(10, targets, times=np.arange(10)), by="time")
