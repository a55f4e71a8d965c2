"""A long table whose ids stand in a column of an unknown name: the error names that column, and its remedy works."""

import warnings

import pytest

from rnnkit.data import read_series
from rnnkit.errors import DataError, DataWarning

STEPS = [(name, label, step) for name, label in [("Peru", "u"), ("Chile", "v"), ("Iran", "u")] for step in range(4)]


@pytest.fixture
def write(tmp_path):
    def write(header, rows):
        path = tmp_path / "data.csv"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
        return path

    return write


def refused(path, **options):
    with pytest.raises(DataError) as found:
        read_series(path, **options)
    return found.value


@pytest.mark.parametrize("name", ["country", "name", "Land", "国家"])
@pytest.mark.parametrize("time", ["time", "year", "quarter"])
@pytest.mark.parametrize("sort", [None, lambda step: step[2]])
def test_a_column_of_text_whose_times_begin_again_may_be_the_id(write, name, time, sort):
    steps = sorted(STEPS, key=sort) if sort else STEPS
    path = write(f"{name},{time},x,label", [(one, step, f"{step * 7 % 5}.5", label) for one, label, step in steps])
    error = refused(path)
    assert f"column {name}: 'Peru' is not a number" in str(error)
    assert f"the column {time!r} begins again" in str(error)
    remedy = {"id_column": name} | ({} if time == "time" else {"time_column": time})
    assert error.remedies[0].arguments == remedy
    assert error.remedies[1].arguments == {"ignore_columns": [name]}
    series = read_series(path, **remedy)
    assert (series.ids, series.channels, series.lengths.tolist()) == (("Peru", "Chile", "Iran"), ("x",), [4, 4, 4])
    assert series.targets.tolist() == ["u", "v", "u"]


@pytest.mark.parametrize("day", ["2024-01-1{}", "1{}.01.2024", "2024年1月1{}日"])
def test_dates_in_a_column_of_an_unknown_name(write, day):
    path = write("Land,Datum,x,label", [(one, day.format(step), f"{step}.5", label) for one, label, step in STEPS])
    remedy = refused(path).remedies[0].arguments
    assert remedy == {"id_column": "Land", "time_column": "Datum"}
    series = read_series(path, **remedy)
    assert (series.ids, series.channels, str(series.times[0])[:10]) == (("Peru", "Chile", "Iran"), ("x",), "2024-01-10")


def test_an_entity_without_a_time_of_a_known_name(write):
    path = write("patient,year,x,label", [(name, 2000 + step, step, label) for name, label, step in STEPS])
    error = refused(path)
    assert error.remedies[0].arguments == {"id_column": "patient", "time_column": "year"}
    assert read_series(path, **error.remedies[0].arguments).ids == ("Peru", "Chile", "Iran")


def test_ids_that_are_numbers_or_were_taken_for_the_target(write):
    codes = {"Peru": 11, "Chile": 12, "Iran": 13}
    path = write("code,time,x,label", [(codes[name], step, step * 5 % 7, label) for name, label, step in STEPS])
    error = refused(path)
    assert [one.arguments for one in error.remedies] == [{"layout": "wide"}, {"id_column": "code"}]
    assert read_series(path, id_column="code").ids == ("11", "12", "13")
    with pytest.warns(DataWarning, match='type id_column="code", or duplicates='):
        read_series(path, targets=None, ignore_columns=["label"])
    path = write("country,time,x", [(name, step, step * 5 % 7) for name, _, step in STEPS])
    assert refused(path).remedies[-1].arguments == {"id_column": "country"}
    assert read_series(path, targets=None, id_column="country").ids == ("Peru", "Chile", "Iran")


def test_text_that_changes_within_the_times_is_no_id(write):
    weather = ["sun", "sun", "rain", "sun", "rain", "rain"]
    path = write("time,weather,x,label", [(step, one, step * 5 % 7, "u") for step, one in enumerate(weather)])
    error = refused(path)
    assert [one.arguments for one in error.remedies if not isinstance(one, str)] == [{"ignore_columns": ["weather"]}]
    rows = [("ab"[step // 3], step % 3, one, step * 5 % 7, "u") for step, one in enumerate(weather)]
    path = write("id,time,weather,x,label", rows)  # the id is known
    assert "'sun' is not a number; leave" in str(refused(path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_series(path, ignore_columns=["weather"]).channels == ("x",)


def test_a_column_beside_numbered_steps_that_names_the_rows(write):
    rows = [(name, step, step + 1, step * 2, "uv"[step % 2]) for step, name in enumerate(["Peru", "Chile", "Iran"])]
    path = write("city,t0,t1,t2,label", rows)
    error = refused(path)
    assert error.remedies[0].arguments == {"id_column": "city"}
    assert read_series(path, **error.remedies[0].arguments).ids == ("Peru", "Chile", "Iran")
    path = write("city,code,t0,t1,t2,label", [(name, 5, *row) for name, *row in rows])
    error = refused(path)
    assert error.remedies[0].arguments == {"id_column": "city", "ignore_columns": ["code"]}
    assert read_series(path, **error.remedies[0].arguments).ids == ("Peru", "Chile", "Iran")
    repeated = write("city,t0,t1,t2,label", [("Peru", *row) for _, *row in rows])
    assert refused(repeated).remedies[0].arguments == {"ignore_columns": ["city"]}
