"""Frequencies, the calendar and steps to come."""

import numpy as np
import pytest

from rnnkit.data.forecasting.calendar import calendar_columns, calendar_features
from rnnkit.data.forecasting.frequency import Frequency, infer_frequency
from rnnkit.data.forecasting.stamps import local_times
from rnnkit.errors import ConfigError


def dates(*texts):
    return np.array(texts, "datetime64[us]")


def hours(count, step=1, first="2024-03-01"):
    return np.datetime64(first, "us") + np.arange(count) * np.timedelta64(step, "h")


@pytest.mark.parametrize(
    ("clock", "words", "period"),
    [
        (hours(50), "hourly", 24),
        (hours(50, 3), "every 3 hours", 8),
        (dates("2024-01-01T00:00", "2024-01-01T00:15", "2024-01-01T00:30"), "every 15 minutes", 96),
        (hours(30, 24), "daily", 7),
        (hours(9, 24 * 7, "2024-01-01"), "weekly on Mondays", 52),
        (dates("2024-01-01", "2024-02-01", "2024-03-01", "2024-05-01"), "monthly", 12),
        (dates("2024-01-31", "2024-02-29", "2024-03-31"), "monthly", 12),
        (dates("2024-01-30", "2024-02-29", "2024-03-30"), "monthly", 12),
        (dates("2023-01-01", "2023-04-01", "2023-07-01"), "quarterly", 4),
        (dates("2021-01-01", "2022-01-01", "2023-01-01"), "yearly", 1),
        (np.arange(0, 50, 5), "whole numbers in steps of 5", 1),
        (np.arange(9), "whole numbers", 1),
        (dates("2024-01-01T00:00:00", "2024-01-01T00:00:10", "2024-01-01T00:00:20"), "every 10 seconds", 360),
    ],
)
def test_the_frequency_is_inferred_and_named(clock, words, period):
    found = infer_frequency([clock])
    assert (found.describe(clock[0]), found.period) == (words, period)
    assert Frequency.from_json(found.to_json()) == found
    assert Frequency.parse(found.text) == found
    positions = found.positions(clock, clock[0])
    assert (positions == np.rint(positions)).all()
    assert (found.stamps(clock[0], positions.astype(np.int64)) == clock).all()


def test_days_without_weekends_are_business_days():
    days = np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]")
    days = days[np.is_busday(days)].astype("datetime64[us]")
    found = infer_frequency([np.delete(days, 7)])
    assert found == Frequency("business day")
    assert found.period == 5
    assert found.after(dates("2024-01-05")[0], 2).astype("datetime64[D]").astype(str).tolist() == [
        "2024-01-08",
        "2024-01-09",
    ]
    assert found.positions(dates("2024-01-06", "2024-01-08"), days[0]).tolist() == [4.5, 5.0]


def test_the_week_is_a_season_of_steps_below_a_day():
    assert Frequency("hour", 3).seasons == (8, 56)
    assert Frequency("minute", 15).seasons == (96, 672)
    assert Frequency("day").seasons == (7,)
    assert Frequency("month", 12).seasons == ()


def test_gaps_and_several_series_do_not_change_the_frequency():
    assert infer_frequency([np.delete(hours(40), [3, 4, 20]), hours(5, first="2020-01-01")]) == Frequency("hour")
    assert infer_frequency([hours(1)]) is None
    assert infer_frequency([dates("2024-01-01T00:00:00.1", "2024-01-01T00:00:00.8")]) is None


def test_the_ends_of_months_to_come():
    last = dates("2024-01-31")[0]
    assert Frequency("month", at_end=True).after(last, 2).astype("datetime64[D]").astype(str).tolist() == [
        "2024-02-29",
        "2024-03-31",
    ]
    assert Frequency("month").after(dates("2024-01-30T12:00")[0], 1).astype(str).tolist() == [
        "2024-02-29T12:00:00.000000"
    ]


def test_a_stamp_between_two_steps_has_a_fraction():
    start = dates("2024-01-01")[0]
    assert Frequency("hour").positions(dates("2024-01-01T01:15", "2023-12-31T23:30"), start).tolist() == [1.25, -0.5]
    found = Frequency("month").positions(dates("2024-02-11"), start)[0]
    assert 1 < found < 1.5


@pytest.mark.parametrize(
    ("text", "frequency"),
    [
        ("h", Frequency("hour")),
        ("15min", Frequency("minute", 15)),
        ("2 weeks", Frequency("week", 2)),
        ("W-MON", Frequency("week")),
        ("ME", Frequency("month", at_end=True)),
        ("quarter", Frequency("month", 3)),
        ("B", Frequency("business day")),
    ],
)
def test_frequencies_are_read_as_people_write_them(text, frequency):
    assert Frequency.parse(text) == frequency


@pytest.mark.parametrize("text", ["fortnight", "", "0 hours", "2 business days", "h h"])
def test_other_texts_are_refused(text):
    with pytest.raises(ConfigError, match="frequency="):
        Frequency.parse(text)


def test_the_calendar_has_what_the_frequency_can_use():
    assert calendar_features(Frequency("day")) == ("weekday", "day_of_year")
    assert calendar_features(Frequency("week")) == ("day_of_year",)
    assert calendar_features(Frequency("hour", 24)) == ("weekday", "day_of_year")
    assert calendar_features(Frequency("month", 12)) == calendar_features(Frequency("number")) == ()


def test_the_calendar_is_a_circle():
    found = calendar_columns(dates("2024-01-01T18:00", "2024-01-03T00:00"), ["hour", "weekday", "month"])
    angle = 2 * np.pi * 2 / 7
    assert found[0].round(9).tolist() == [-1, 0, 0, 1, 0, 1]
    assert np.allclose(found[1], [0, 1, np.sin(angle), np.cos(angle), 0, 1])
    july = calendar_columns(dates("2023-07-02T12:00"), ["day_of_year", "month"])[0]
    assert np.allclose(july, [np.sin(2 * np.pi * 182 / 365), np.cos(2 * np.pi * 182 / 365), 0, -1])
    with pytest.raises(ConfigError, match="did you mean 'weekday'"):
        calendar_columns(dates("2024-01-01"), ["weekdays"])


def test_the_clock_of_a_zone_changes_in_spring():
    stamps = dates("2024-03-31T00:00", "2024-03-31T01:00")
    assert local_times(stamps, "Europe/Berlin").astype("datetime64[h]").astype(str).tolist() == [
        "2024-03-31T01",
        "2024-03-31T03",
    ]
    assert np.allclose(calendar_columns(stamps, ["hour"], "Europe/Berlin")[1], [np.sin(np.pi / 4), np.cos(np.pi / 4)])
    with pytest.raises(ConfigError, match="time_zone='Berlin'"):
        local_times(stamps, "Berlin")


@pytest.mark.parametrize("day", [28, 29, 30, 31])
@pytest.mark.parametrize("begin", [0, 1, 2])
def test_months_keep_their_day_from_february_on(day, begin):
    months = np.arange("2024-01", "2026-01", dtype="datetime64[M]")
    ends = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    stamps = np.minimum(months.astype("datetime64[D]") + np.timedelta64(day - 1, "D"), ends).astype("datetime64[us]")
    for end in (14, 15, 20):  # the 14th month is a February
        frequency = infer_frequency([stamps[begin:end]])
        assert frequency.stamps(stamps[begin], np.arange(24 - begin)).tolist() == stamps[begin:].tolist()
        assert frequency.positions(stamps, stamps[begin]).tolist() == (np.arange(24.0) - begin).tolist()
        assert (
            Frequency.from_json(frequency.to_json()).after(stamps[end - 1], 3).tolist()
            == stamps[end : end + 3].tolist()
        )
    assert Frequency.from_json({"unit": "month", "count": 1, "at_end": False}) == Frequency("month")  # as before
