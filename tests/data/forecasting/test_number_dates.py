"""Time stamps that are numbers and dates: seconds since 1970, their fractions, and days such as 20240131."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")

from rnnkit.data.forecasting import read_time_series  # noqa: E402
from rnnkit.data.forecasting.number_dates import NumberDates  # noqa: E402
from rnnkit.errors import DataError  # noqa: E402

SECONDS = 1_704_067_200 + 3_600 * np.arange(30)  # from 2024-01-01 on


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("seconds", 1), ("milliseconds", 1_000), ("microseconds", 1_000_000), ("nanoseconds", 1_000_000_000)],
)
def test_numbers_since_1970_are_dates_and_the_guess_is_told(unit, factor, tmp_path):
    table = pd.DataFrame({"ds": SECONDS * factor, "y": np.arange(30.0)})
    table.to_csv(tmp_path / "load.csv", index=False)
    for source in (table, tmp_path / "load.csv"):
        series = read_time_series(source)
        assert series.frequency.words == "hourly"
        assert str(series.times[0][-1]) == "2024-01-02T05:00:00.000000"
        assert series.time_zone == "UTC"
        told = series.findings[0]
        assert told.startswith(f"The numbers of the column 'ds' are taken for {unit} since 1970 (UTC), from 2024-01-01")
        kept = read_time_series(source, frequency=told.partition('frequency="')[2].partition('"')[0])
        assert kept.times[0].tolist() == (SECONDS * factor).tolist()
        assert not any("1970" in one for one in kept.findings)
    kind = NumberDates.recognise(SECONDS * factor)
    assert kind.numbers(kind.stamps(SECONDS * factor)).tolist() == (SECONDS * factor).tolist()
    again = read_time_series(table, **series.read_options)
    assert again.times[0].tolist() == series.times[0].tolist()


def test_numbers_that_count_steps_stay_numbers():
    for numbers in (range(30), range(1990, 2020), 20_240_000 + np.arange(30), [5, *SECONDS[1:]], -SECONDS[::-1]):
        series = read_time_series(pd.DataFrame({"ds": list(numbers), "y": np.arange(30.0)}), gaps="ignore")
        assert series.times[0].tolist() == list(numbers)
    with pytest.raises(DataError, match="the frequency is hourly; write dates, or seconds since 1970"):
        read_time_series(pd.DataFrame({"ds": range(30), "y": np.arange(30.0)}), frequency="hour")


def test_days_written_as_numbers(tmp_path):
    days = pd.date_range("2024-02-20", periods=20)
    table = pd.DataFrame({"date": [int(one.strftime("%Y%m%d")) for one in days], "y": np.arange(20.0)})
    table.to_csv(tmp_path / "load.csv", index=False)
    for source in (table, tmp_path / "load.csv"):
        series = read_time_series(source)
        assert series.times[0].astype("datetime64[D]").tolist() == [one.date() for one in days]
        assert series.findings[0].startswith("The numbers of the column 'date' are taken for dates such as 20240220")
    kind = NumberDates.recognise(table["date"].to_numpy())
    assert kind.numbers(series.times[0]).tolist() == table["date"].tolist()


def test_a_zone_gives_the_days_of_its_clock():
    midnights = pd.date_range("2024-03-01", periods=60, tz="Europe/Berlin")  # the clock is put forward on March 31
    table = pd.DataFrame({"ds": midnights.as_unit("s").astype("int64"), "y": np.arange(60.0)})
    series = read_time_series(table, time_zone="Europe/Berlin")
    assert series.times[0].astype("datetime64[D]").tolist() == [one.date() for one in midnights]
    hourly = read_time_series(pd.DataFrame({"ds": SECONDS, "y": np.arange(30.0)}), time_zone="Europe/Berlin")
    assert hourly.time_zone == "Europe/Berlin"
    assert str(hourly.times[0][0]) == "2024-01-01T00:00:00.000000"


def test_a_column_by_its_name_and_its_numbers():
    table = pd.DataFrame({"open_time": SECONDS * 1_000, "volume": SECONDS[::-1] + 0.0, "price": np.arange(30.0)})
    series = read_time_series(table, target="price", past=())
    assert series.read_options["time_column"] == "open_time"
    with pytest.raises(DataError, match="no column of time stamps"):
        read_time_series(table.drop(columns="open_time"), target="price")


@pytest.mark.parametrize("form", ["%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_digits_of_a_date_and_a_clock_are_dates(form):
    stamps = pd.date_range("2024-01-30 20:00", periods=9, freq="h")
    numbers = stamps.strftime(form).astype("int64").to_numpy()
    kind = NumberDates.recognise(numbers)
    assert kind.stamps(numbers).tolist() == stamps.to_numpy("datetime64[us]").tolist()
    assert kind.numbers(stamps.to_numpy()).tolist() == numbers.tolist()
    series = read_time_series(pd.DataFrame({"date": numbers, "y": [1, 5, 2, 4, 3, 5, 1, 2, 4]}))
    assert series.frequency.words == "hourly"
    assert NumberDates.recognise(numbers + 61 * (100 if "S" in form else 1)) is None  # minutes above 59
