"""Rows with time stamps become series of regular steps, and each rule is told."""

import numpy as np
import pytest

from rnnkit.data.forecasting.frequency import Frequency
from rnnkit.data.forecasting.regular import Rules, to_regular
from rnnkit.errors import ConfigError, DataError, Place


def regular(stamps, values=None, codes=None, **rules):
    stamps = np.asarray(stamps, "datetime64[us]") if isinstance(stamps[0], str) else np.asarray(stamps)
    values = np.arange(len(stamps), dtype=float) if values is None else np.asarray(values, float)
    codes = np.zeros(len(stamps), np.int64) if codes is None else np.asarray(codes)
    return to_regular(codes, stamps, values.reshape(len(stamps), -1), Rules(**rules), Place("t.csv"))


HOURS = [f"2024-01-01T{hour:02}" for hour in range(10)]


def test_regular_rows_stay_as_they_are():
    found = regular(HOURS)
    assert found.values[0].ravel().tolist() == list(range(10))
    assert found.findings == ["The steps are hourly."]


def test_each_series_is_sorted_and_counted_by_itself():
    found = regular([3, 1, 2, 7, 9, 8], [30, 10, 20, 7, 9, 8], [0, 0, 0, 1, 1, 1])
    assert [one.ravel().tolist() for one in found.values] == [[10, 20, 30], [7, 8, 9]]
    assert [one.tolist() for one in found.times] == [[1, 2, 3], [7, 8, 9]]
    assert found.findings[1] == "3 of 6 rows are out of order in time; the rows are sorted."


@pytest.mark.parametrize(("rule", "expected"), [("mean", 3.0), ("sum", 6.0), ("first", 2.0), ("last", 4.0)])
def test_rows_with_one_stamp(rule, expected):
    found = regular([0, 1, 1, 2], [[1, 1], [2, np.nan], [4, 5], [8, 8]], duplicates=rule)
    assert found.values[0][:, 0].tolist() == [1, expected, 8]
    assert np.array_equal(found.values[0][1, 1], np.nan if rule == "first" else 5.0, equal_nan=True)
    assert found.findings[1].startswith("2 rows share a time stamp with another row of their series, 1 stamp in all")


def test_rows_with_one_stamp_may_be_refused():
    with pytest.raises(DataError, match="2 rows of one series have the time stamp 1; expected one"):
        regular([0, 1, 1, 2], duplicates="error")


def test_gaps():
    stamps = [HOURS[hour] for hour in (0, 1, 2, 5, 6, 8)]
    found = regular(stamps)
    assert np.isnan(found.values[0].ravel()).nonzero()[0].tolist() == [3, 4, 7]
    assert found.findings[1] == "3 steps have no row, in 2 gaps of up to 2 steps; they are inserted without values."
    ignored = regular(stamps, gaps="ignore")
    assert len(ignored.values[0]) == 6
    assert ignored.times[0].astype("datetime64[h]").astype(str).tolist() == stamps
    with pytest.raises(DataError, match="3 steps of 2 gaps have no row, the first after 2024-01-01 02:00"):
        regular(stamps, gaps="error")


def test_a_row_beside_its_step_is_moved_there():
    stamps = [*HOURS, "2024-01-01T10:02", "2024-01-01T11"]
    found = regular(stamps)
    assert len(found.values[0]) == 12
    assert found.findings[1] == "1 of 12 rows lies between two steps; each such row is moved to the nearest step."
    first = regular(["2024-01-01T00:02", *HOURS[1:]])
    assert first.times[0][0] == np.datetime64("2024-01-01T00")
    assert first.values[0].ravel().tolist() == list(range(10))


def test_irregular_steps_are_refused_and_joined_on_request():
    stamps = ["2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T02:10", "2024-01-01T02:50", "2024-01-03T04:30"]
    with pytest.raises(DataError, match=r"3 of 5 rows \(60%\) lie between"):
        regular(stamps)
    found = regular(stamps, frequency=Frequency("day"))
    assert np.array_equal(found.values[0].ravel(), [1.5, np.nan, 4.0], equal_nan=True)
    assert found.times[0][0] == np.datetime64("2024-01-01")
    assert "4 of 5 rows are joined to 1 step; the mean of their values is taken." in found.findings


def test_rows_are_joined_to_longer_steps():
    found = regular(HOURS, frequency=Frequency("hour", 4), duplicates="sum")
    assert found.values[0].ravel().tolist() == [6, 22, 17]
    finer = regular(HOURS[::3], frequency=Frequency("hour"))
    assert np.isnan(finer.values[0]).sum() == 6


def test_a_frequency_that_is_named_keeps_the_places_of_the_stamps():
    half = ["2024-01-01T00:30", "2024-01-01T02:30", "2024-01-01T04:30"]
    found = regular(half, frequency=Frequency("hour"))
    assert found.times[0].astype("datetime64[m]").astype(str).tolist()[::2] == [f"{one}" for one in half]
    ends = regular(["2024-01-31", "2024-02-29", "2024-03-31"], frequency=Frequency("month"))
    assert ends.frequency == Frequency("month", at_end=True)
    assert ends.times[0].astype("datetime64[D]").astype(str).tolist() == ["2024-01-31", "2024-02-29", "2024-03-31"]
    one = regular(["2024-01-01T00:30"], frequency=Frequency("hour"))
    assert one.times[0].astype("datetime64[m]").astype(str).tolist() == ["2024-01-01T00:30"]


def test_a_frequency_that_inserts_too_much_is_refused():
    with pytest.raises(DataError, match="a series of 2 rows would have 10,001 steps"):
        regular([0, 10_000], frequency=Frequency("number"))


def test_times_between_whole_numbers_are_refused():
    with pytest.raises(DataError, match=r"row 2: the time 0\.5 is no whole number"):
        regular(np.array([0.0, 0.5]))
    with pytest.raises(DataError, match="the time stamps are numbers; the frequency is hourly"):
        regular([0, 1], frequency=Frequency("hour"))
    with pytest.raises(DataError, match="the frequency cannot be told"):
        regular([5])


def clock_changes():
    """A day of spring and one of autumn as a clock in New York shows them."""
    spring = [f"2024-03-10T{hour:02}" for hour in range(24) if hour != 2]
    autumn = ["2024-11-03T00", "2024-11-03T01", "2024-11-03T01", *(f"2024-11-03T{hour:02}" for hour in range(2, 6))]
    return spring, autumn


def test_local_times_of_a_zone_have_neither_gaps_nor_repeated_stamps():
    spring, autumn = clock_changes()
    found = regular([*spring, *autumn], codes=[0] * 23 + [1] * 7, time_zone="America/New_York")
    assert [len(one) for one in found.values] == [23, 7]
    assert not np.isnan(np.concatenate(found.values)).any()
    assert found.times[0][2] == np.datetime64("2024-03-10T07")
    assert found.findings == ["The stamps are read as local times of America/New_York.", "The steps are hourly."]


def test_clock_changes_without_a_zone_are_told():
    spring, autumn = clock_changes()
    found = regular([*spring, *autumn], codes=[0] * 23 + [1] * 7)
    assert "the stamps seem to be local times" in found.findings[-1]
    assert np.isnan(found.values[0][2]).all()
    assert found.values[1].ravel()[1] == 24.5
    assert not any("clocks change" in one for one in regular(spring, utc=True).findings)


def test_a_stamp_that_a_zone_does_not_have_is_moved():
    found = regular(["2024-03-10T00", "2024-03-10T01", "2024-03-10T02", "2024-03-10T03"], time_zone="America/New_York")
    assert found.findings[0].startswith("1 stamp does not exist in America/New_York")
    with pytest.raises(ConfigError, match="time_zone='New York'"):
        regular(HOURS, time_zone="New York")
    assert regular(["2024-01-01", "2024-01-02"], time_zone="Europe/Berlin").time_zone is None
