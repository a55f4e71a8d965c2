"""Tables of time series: long, wide, with covariates; what is guessed is told, what cannot be told is refused."""

import numpy as np
import pytest

from rnnkit.data.forecasting import ForecastPreprocessing, divide_time, read_time_series
from rnnkit.errors import ConfigError, DataError

pd = pytest.importorskip("pandas")


def write(tmp_path, text, name="t.csv"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


LONG = "unique_id,ds,y\n007,2024-01-01,1\n007,2024-01-02,2\n10,2024-01-01,5\n10,2024-01-02,6\n10,2024-01-03,8\n"


def test_long_with_the_usual_names(tmp_path):
    series = read_time_series(write(tmp_path, LONG))
    assert series.ids == ("007", "10")
    assert [one.tolist() for one in series.targets] == [[1, 2], [5, 6, 8]]
    assert series.frequency.words == "daily"
    assert series.findings == (
        "The column 'unique_id' names 2 series.",
        "The steps are daily.",
        "2 series of 2 to 3 steps, from 2024-01-01 to 2024-01-03.",
    )


def test_any_names_and_the_same_from_every_format(tmp_path):
    text = LONG.replace("unique_id,ds,y", "shop,when,sold")
    named = {"id_column": "shop", "time_column": "when", "target": "sold"}
    series = read_time_series(write(tmp_path, text), **named)
    assert (series.ids, series.targets[1].tolist()) == (("007", "10"), [5, 6, 8])
    frame = pd.read_csv(tmp_path / "t.csv", dtype={"shop": str}, parse_dates=["when"])
    assert read_time_series(frame, **named).fingerprint() == series.fingerprint()
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_time_series(tmp_path / "t.parquet", **named).fingerprint() == series.fingerprint()
    assert read_time_series(frame, **series.read_options).fingerprint() == series.fingerprint()


def test_an_index_of_dates_is_the_time():
    frame = pd.DataFrame({"load": [1.0, 2, 4]}, index=pd.date_range("2024-01-01", periods=3, freq="h"))
    series = read_time_series(frame)
    assert series.ids == ("load",)
    assert series.frequency.words == "hourly"


WIDE = "Datetime,AEP,temp,holiday,weather,const\n" + "".join(
    f"2024-01-0{day},{day * 10},{day}.5,{day % 2},rain{day % 3},7\n" for day in range(1, 6)
)


def test_a_target_with_covariates(tmp_path):
    series = read_time_series(write(tmp_path, WIDE), target="AEP", known=["holiday"])
    assert (series.past_names, series.known_names) == (("temp",), ("holiday",))
    assert series.past[0].ravel().tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert series.known[0].ravel().tolist() == [1, 0, 1, 0, 1]
    assert "The columns 'weather', 'const' are left out: text, or the same value in all rows." in series.findings
    assert any("'temp' is taken for a covariate of the past alone" in one for one in series.findings)
    assert read_time_series(tmp_path / "t.csv", target="AEP", past=[]).past_names == ()


def test_each_of_several_targets_is_a_series(tmp_path):
    series = read_time_series(write(tmp_path, WIDE), target=["AEP", "temp"], past=[])
    assert series.ids == ("AEP", "temp")
    assert series.targets[1].tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    long = read_time_series(
        write(tmp_path, "id,t,x,z\na,0,1,2\na,1,3,5\nb,0,5,6\nb,1,7,9\n"), target=["x", "z"], time_column="t"
    )
    assert long.ids == ("a x", "a z", "b x", "b z")


def test_the_target_that_cannot_be_told_is_asked_for(tmp_path):
    with pytest.raises(
        DataError, match=r'4 columns hold numbers.*type target="AEP" for one of them, or target=\["AEP"'
    ):
        read_time_series(write(tmp_path, WIDE))
    with pytest.raises(DataError, match=r"no column 'aep', which target names; did you mean 'AEP'\?"):
        read_time_series(tmp_path / "t.csv", target="aep")
    with pytest.raises(DataError, match="'temp' is named by target and by known"):
        read_time_series(tmp_path / "t.csv", target="temp", known=["temp"])
    with pytest.raises(ConfigError, match=r"no argument 'targets'; did you mean 'target'\?"):
        read_time_series(tmp_path / "t.csv", targets="AEP")


def test_numbers_of_a_series(tmp_path):
    text = "id,time,y,region,size,u\n" + "".join(
        f"{name},{step},{step + at * step},{region},{size},{step % 2}\n"
        for at, (name, region, size) in enumerate([("a", "north", 3), ("b", "south", 4)])
        for step in range(4)
    )
    series = read_time_series(write(tmp_path, text))
    assert {name: column.tolist() for name, column in series.static.items()} == {
        "region": ["north", "south"],
        "size": [3, 4],
    }
    assert series.past_names == ("u",)
    assert series[["b"]].static["region"].tolist() == ["south"]


def test_a_leftover_index_is_no_covariate(tmp_path):
    text = "Unnamed: 0,ds,y\n0,2024-01-01,3\n2,2024-01-02,5\n3,2024-01-03,4\n"
    series = read_time_series(write(tmp_path, text))
    assert series.past_names == ()
    assert series.findings[0] == "The column 'Unnamed: 0' only counts the rows and is left out."


@pytest.mark.parametrize(("name", "gap"), [("row", 3), ("nr", 1), ("n", 1)])
def test_a_column_that_counts_rows_is_no_covariate(tmp_path, name, gap):
    days = pd.date_range("2024-01-01", periods=14).strftime("%Y-%m-%d")
    lines = [f"{day},{5 + gap * step},{step % 5},{step * 3 % 7}" for step, day in enumerate(days)]
    file = write(tmp_path, "\n".join([f"ds,{name},y,u", *lines]))
    series = read_time_series(file)
    assert series.past_names == ("u",)
    advice = f"type past= with {name!r} among the names to keep it."
    assert f"The column {name!r} only counts the rows and is left out; {advice}" in series.findings
    assert read_time_series(file, past=[name, "u"]).past_names == (name, "u")
    assert read_time_series(file, **series.read_options).past_names == ("u",)
    rows = [f"{day},{step % 2},{step % 5}" for step, day in enumerate(days)]
    assert read_time_series(write(tmp_path, "\n".join(["ds,odd,y", *rows]))).past_names == ("odd",)


def test_a_code_among_numbers_is_named(tmp_path):
    days = pd.date_range("2024-01-01", periods=8).strftime("%Y-%m-%d")
    rows = [f"{day},{'n.d.' if step == 3 else step * 5 % 7},{step * 3 % 8}" for step, day in enumerate(days)]
    alone = write(tmp_path, "\n".join(["ds,y", *(row.rpartition(",")[0] for row in rows)]))
    with pytest.raises(DataError, match=r"t.csv:5: column y: 'n.d.' is not a number; .*missing_codes=\[\"n.d.\"\]"):
        read_time_series(alone)
    assert np.isnan(read_time_series(alone, missing_codes=["n.d."]).targets[0][3])
    file = write(tmp_path, "\n".join(["ds,u,y", *rows]), "u.csv")
    series = read_time_series(file)
    assert series.past_names == ()
    assert any("In the column 'u' 'n.d.' is not a number, but most cells are" in one for one in series.findings)
    assert read_time_series(file, missing_codes=["n.d."]).past_names == ("u",)


def test_a_new_file_without_marks_is_read_as_the_first(tmp_path):
    head, new = (
        "ds;y\n2024-01-01;1.234,5\n2024-01-02;2,5\n2024-01-03;3,5\n",
        "ds;y\n2024-01-04;2.155\n2024-01-05;3.250\n",
    )
    options = read_time_series(write(tmp_path, head)).read_options
    assert read_time_series(write(tmp_path, new), **options).targets[0].tolist() == [2155, 3250]


def test_a_table_without_times_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"no column of time stamps was found; type time_column= with its name\. Columns"
    ):
        read_time_series(write(tmp_path, "a,b\n1,2\n3,4\n"))
    with pytest.raises(DataError, match="'begin', 'end' may each be the time"):
        read_time_series(write(tmp_path, "begin,end,y\n2024-01-01,2024-01-02,1\n2024-01-02,2024-01-03,2\n"))


def test_dates_under_any_name_and_months_as_words(tmp_path):
    series = read_time_series(write(tmp_path, "x,amount\nJan 1 2000,39.8\nFeb 1 2000,36.3\nMar 1 2000,43.2\n"))
    assert series.frequency.words == "monthly"
    assert series.findings[0] == "The column 'x' holds dates and is taken for the time."
    months = read_time_series(write(tmp_path, "Month,Passengers\n1949-01,112\n1949-02,118\n1949-03,132\n"))
    assert (months.ids, months.frequency.words) == (("Passengers",), "monthly")


def test_rows_of_several_series_without_an_id_are_told(tmp_path):
    text = "ds,y\n2024-01-01,1\n2024-01-01,2\n2024-01-02,3\n2024-01-02,5\n"
    with pytest.raises(DataError, match="4 of 4 rows share a time stamp.*type id_column= if the rows are of several"):
        read_time_series(write(tmp_path, text))
    assert read_time_series(tmp_path / "t.csv", duplicates="mean").targets[0].tolist() == [1.5, 4]


def test_missing_values_and_steps_to_come(tmp_path):
    text = "ds,y,promo\n2024-01-01,,0\n2024-01-02,1,1\n2024-01-03,,0\n2024-01-04,4,1\n2024-01-05,,1\n"
    series = read_time_series(write(tmp_path, text), target="y", known=["promo"])
    assert series.times[0][0] == np.datetime64("2024-01-02")
    assert np.array_equal(series.targets[0], [1, np.nan, 4, np.nan], equal_nan=True)
    assert series.ends.tolist() == [3]
    assert any(one.startswith("1 of 3 targets (33.3%) are missing") for one in series.findings)
    assert series.findings[-1] == "Up to 1 step behind the last target has covariates alone."
    longer = series.with_future(3)
    assert longer.lengths.tolist() == [6]
    assert longer.known[0].ravel()[:4].tolist() == [1, 0, 1, 1]
    assert np.isnan(longer.known[0][4:]).all()


def test_what_has_nothing_to_forecast_is_refused(tmp_path):
    with pytest.raises(DataError, match="every target is 3, in 2 steps; there is nothing to forecast"):
        read_time_series(write(tmp_path, "ds,y\n2024-01-01,3\n2024-01-02,3\n"))
    with pytest.raises(DataError, match="the series 'b' has no target in 2 steps"):
        read_time_series(write(tmp_path, "id,t,y\na,0,1\na,1,2\nb,0,\nb,1,\n"))
    with pytest.raises(DataError, match="t.csv:3: column y: 'many'"):
        read_time_series(write(tmp_path, "ds,y\n2024-01-01,3\n2024-01-02,many\n"), target="y")
    one = read_time_series(write(tmp_path, "id,t,y\na,0,1\na,1,1\nb,0,2\nb,1,5\n"))
    assert "1 of 2 series is constant: 'a'." in one.findings


def test_marks_and_zones(tmp_path):
    text = "time;load\n2024-03-31 00:00+01:00;1,5\n2024-03-31 01:00+01:00;2,5\n2024-03-31 03:00+02:00;3,5\n"
    series = read_time_series(write(tmp_path, text), time_zone="Europe/Berlin")
    assert series.targets[0].tolist() == [1.5, 2.5, 3.5]
    assert series.times[0][0] == np.datetime64("2024-03-30T23")
    assert series.time_zone == "Europe/Berlin"


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_time_series(tmp_path / "none.csv")
    with pytest.raises(DataError, match="expected .csv, .tsv, .txt or .parquet"):
        read_time_series(write(tmp_path, "a", "t.xlsx"))
    with pytest.raises(DataError, match="TimeSeries.from_arrays"):
        read_time_series(np.zeros(3))
    with pytest.raises(DataError, match="the first line holds numbers"):
        read_time_series(write(tmp_path, "1,2.5\n2,3.5\n"))


@pytest.mark.parametrize("frequency", ["D", "W", "MS", "ME"])
def test_days_of_a_zone_are_those_of_its_clock(frequency):
    stamps = pd.date_range("2024-01-01", periods=300, freq=frequency, tz="Europe/Berlin")
    series = read_time_series(pd.DataFrame({"ds": stamps, "y": np.arange(300.0)}))
    assert (
        series.times[0].astype(str).tolist() == stamps.tz_localize(None).to_numpy("datetime64[us]").astype(str).tolist()
    )
    assert series.time_zone is None
    written = pd.DataFrame({"ds": stamps.strftime("%Y-%m-%d %H:%M%z"), "y": np.arange(300.0)})
    with pytest.raises(DataError, match='time_zone="Europe/Berlin" or another, if the steps are days of a zone'):
        read_time_series(written)
    assert read_time_series(written, time_zone="Europe/Berlin").times[0].tolist() == series.times[0].tolist()


def test_the_zone_of_hours_is_kept():
    stamps = pd.date_range("2024-03-31", periods=30, freq="h", tz="Europe/Berlin")
    assert read_time_series(pd.DataFrame({"ds": stamps, "y": np.arange(30.0)})).time_zone == "Europe/Berlin"
    written = pd.DataFrame({"ds": stamps.strftime("%Y-%m-%d %H:%M%z"), "y": np.arange(30.0)})
    series = read_time_series(written)
    assert series.time_zone == "UTC"
    assert any("hours and days are those of UTC" in one for one in series.findings)
    assert read_time_series(written, time_zone="Europe/Berlin").time_zone == "Europe/Berlin"


def test_a_column_of_unknown_name_that_tells_series_apart_is_named():
    days = pd.date_range("2024-01-01", periods=9)
    table = pd.concat([pd.DataFrame({"店铺": name, "ds": days, "y": np.arange(9.0)}) for name in "甲乙"])
    with pytest.raises(
        DataError, match='18 of 18 rows share .* type id_column="店铺" if the rows are of several series'
    ):
        read_time_series(table)
    assert len(read_time_series(table, id_column="店铺")) == 2
    with pytest.raises(DataError, match="type id_column= if the rows"):
        read_time_series(table.assign(店铺="甲"))


def test_stamps_with_a_zone_are_told_with_their_distance_from_utc():
    hours = pd.date_range("2024-07-01", periods=40, freq="h", tz="Europe/Berlin")
    series = read_time_series(pd.DataFrame({"ds": hours, "y": np.arange(40.0)}))
    assert series.findings[-1] == "1 series of 40 steps, from 2024-07-01 00:00+02:00 to 2024-07-02 15:00+02:00."
    assert "2024-07-01 00:00+02:00 to 2024-07-02 15:00+02:00" in repr(series)
    parts = divide_time(series, ("2024-07-01 12:00", "2024-07-02"))
    assert parts.findings[1] == "validation: 12 steps, from 2024-07-01 12:00+02:00 to 2024-07-01 23:00+02:00."
    with pytest.raises(DataError, match=r"the first after 2024-07-01 01:00\+02:00"):
        read_time_series(pd.DataFrame({"ds": hours.delete(2), "y": np.arange(39.0)}), gaps="error")
    with pytest.raises(DataError, match=r"have the time stamp 2024-07-01 00:00\+02:00"):
        read_time_series(pd.DataFrame({"ds": hours[[0, *range(40)]], "y": np.arange(41.0)}), duplicates="error")
    known = read_time_series(pd.DataFrame({"ds": hours, "y": np.arange(40.0), "open": 1.0}), known=["open"])
    preprocessing = ForecastPreprocessing.fit(divide_time(known), lookback=4, horizon=2)
    with pytest.raises(DataError, match=r"known covariate 'open' .* at 2024-07-02 16:00\+02:00"):
        preprocessing.latest(known)
