"""Parts by time, and the scales that are measured on the first of them."""

import json

import numpy as np
import pytest

from rnnkit.data.forecasting import Scaling, TimeSeries, divide_time
from rnnkit.errors import ConfigError, DataError


def two_series():
    """20 days from January 1, and 10 days from January 11."""
    return TimeSeries.from_arrays(
        [np.arange(20.0), np.arange(10.0)], start=["2024-01-01", "2024-01-11"], frequency="day", ids=["a", "b"]
    )


def test_parts_begin_at_the_same_time_in_all_series():
    parts = divide_time(two_series(), (0.6, 0.2, 0.2))
    assert parts.cuts.tolist() == [[0, 12, 16, 20], [0, 2, 6, 10]]
    assert parts.findings[1] == "validation: 8 steps of 2 series, from 2024-01-13 to 2024-01-16."
    assert [one.tolist() for one in parts.targets("test")] == [[16, 17, 18, 19], [6, 7, 8, 9]]


def test_or_by_the_length_of_each_series():
    assert divide_time(two_series(), (0.5, 0.5), by="series").cuts.tolist() == [[0, 10, 20], [0, 5, 10]]


def test_numbers_of_steps_and_dates():
    parts = divide_time(two_series(), (8, 4, 2))
    assert parts.cuts.tolist() == [[0, 8, 12, 14], [0, 0, 2, 4]]
    assert 'by="series" divides each series' in parts.findings[3]
    assert parts.findings[4] == "12 steps behind the last part are not used."
    assert divide_time(two_series(), ("2024-01-06", "2024-01-13")).cuts.tolist() == [[0, 5, 12, 20], [0, 0, 2, 10]]
    assert divide_time(two_series(), ("2024-01-13",)).names == ("train", "test")


def test_steps_to_come_are_in_no_part():
    series = two_series().with_future(5)
    assert divide_time(series, (0.6, 0.2, 0.2)).cuts.tolist() == [[0, 12, 16, 20], [0, 2, 6, 10]]


@pytest.mark.parametrize(
    "parts", [(0.5, 0.6), (1.0,), (0.7, 0.1, 0.1, 0.1), (0, 5), ("2024-01-09", "2024-01-05"), ("x",)]
)
def test_other_parts_are_refused(parts):
    with pytest.raises(ConfigError, match="parts="):
        divide_time(two_series(), parts)


def test_an_empty_part_is_refused_with_the_numbers():
    with pytest.raises(DataError, match=r"the part 'validation' of \(20, 4\.?0?, 4\.?0?\).*up to 20 steps"):
        divide_time(two_series(), (20, 4, 4))
    with pytest.raises(ConfigError, match="did you mean 'test'"):
        divide_time(two_series()).span("tes")


def test_scales_by_series_and_of_all():
    values = [np.array([1.0, 3.0, np.nan]), np.array([-10.0, 30.0])]
    scaling = Scaling.fit(values, ["a", "b"])
    assert [one.tolist() for one in scaling.of(["b", "a"])] == [[10, 2], [20, 1]]
    mean = Scaling.fit(values, ["a", "b"], method="mean")
    assert [one.tolist() for one in mean.of(["a", "b"])] == [[0, 0], [3, 21]]
    whole = Scaling.fit(values, ["a", "b"], by="all")
    assert whole.of(["new"])[0].tolist() == [6.0]
    assert whole.of(["new"])[1][0] == pytest.approx(np.std([1, 3, -10, 30]))
    assert Scaling.fit(values, ["a", "b"], method="none").of(["a"]) == (np.array([0.0]), np.array([1.0]))
    assert Scaling.from_json(json.loads(json.dumps(mean.to_json()))) == mean


def test_a_constant_series_and_one_without_values_have_a_scale():
    scaling = Scaling.fit([np.full(5, 1e9), np.zeros(0), np.array([0.0, 2.0])], ["a", "b", "c"])
    center, scale = scaling.of(["a", "b", "c"])
    assert scale[0] == 1
    assert (center[1], scale[1]) == (scaling.center, scaling.scale)
    assert (center[2], scale[2]) == (1, 1)
    with pytest.raises(DataError, match="none of 2 training targets was observed"):
        Scaling.fit([np.full(2, np.nan)], ["a"])
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        Scaling.fit([np.ones(2)], ["a"], method="standart")
