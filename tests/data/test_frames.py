"""A DataFrame is read as the same table in a CSV is."""

import io

import numpy as np
import pandas as pd
import pytest

from rnnkit.data import Preprocessing, SeriesSet, read_series
from rnnkit.data.reading import read_like
from rnnkit.errors import DataError
from rnnkit.tasks.series import Fit, classify

LONG = "id,time,x,y,label\nb,1,5,6,walk\na,2,3,,rest\na,1,1,2,rest\n"
FULL = LONG.replace(",,", ",4,")
TABLES = [
    (LONG, {}),
    (LONG, {"targets": None}),
    (FULL, {"targets": "numbers", "target_column": "y", "layout": "wide", "ignore_columns": ["label", "id", "time"]}),
    ("date,x\n2020-01-03,3\n2020-01-01,1\n", {"targets": None}),
    ("id,t0,t1,t2,kind\na,1,2,,u\nb,4,5,6,v\n", {}),
    ("x_0,y_0,x_1,y_1,id,label\n1,2,3,4,p,0\n5,6,,8,q,1\n", {}),
    ("id,subject,t,x,label\n1,a,0,1,u\n2,a,0,2,v\n1,a,1,3,u\n", {}),
]


def same(one, other):
    assert (one.channels, one.steps, len(one)) == (other.channels, other.steps, len(other))
    assert one.ids == other.ids or one.ids[0].startswith("DataFrame")
    for name in ("targets", "groups", "times"):
        left, right = getattr(one, name), getattr(other, name)
        assert (left is None) == (right is None), name
        assert left is None or left.tolist() == right.tolist()
    for rows in ("values", "step_times"):
        assert (getattr(one, rows) is None) == (getattr(other, rows) is None)
        for left, right in zip(getattr(one, rows) or (), getattr(other, rows) or (), strict=True):
            np.testing.assert_array_equal(left, right)
            assert left.dtype == right.dtype


@pytest.mark.parametrize(("text", "options"), TABLES)
def test_it_gives_the_same_series_as_a_csv(tmp_path, text, options):
    (tmp_path / "a.csv").write_text(text)
    frame = pd.read_csv(io.StringIO(text))
    before = frame.copy()
    read = read_series(frame, **options)
    same(read, read_series(tmp_path / "a.csv", **options))
    pd.testing.assert_frame_equal(frame, before)
    assert read.source == "DataFrame"


def test_categories_and_an_index_with_a_name():
    frame = pd.read_csv(io.StringIO(LONG))
    plain = read_series(frame)
    frame["label"] = frame["label"].astype("category")
    same(read_series(frame.set_index(["id", "time"])), plain)


def test_an_index_of_dates_is_the_time():
    days = pd.date_range("2020-01-01", periods=3)[::-1]
    read = read_series(pd.DataFrame({"x": [3.0, 2.0, 1.0]}, index=days), targets=None)
    assert read.values[0][:, 0].tolist() == [1, 2, 3]
    assert str(read.times[0]).startswith("2020-01-01")
    plain = read_series(pd.DataFrame({"x": [3.0, 2.0]}, index=[7, 5]), targets=None, layout="long")
    assert plain.values[0][:, 0].tolist() == [3, 2]


def test_new_data_may_be_a_frame_where_the_training_data_was_a_file(tmp_path):
    (tmp_path / "a.csv").write_text(LONG.replace("id", "who"))
    train = read_series(tmp_path / "a.csv", id_column="who", encoding="utf-8")
    frame = pd.read_csv(tmp_path / "a.csv")[["label", "y", "x", "time", "who"]]
    assert read_like(train.read_options, frame).ids == train.ids
    same(Preprocessing.fit(train).read(frame, targets="labels"), train)
    back = Preprocessing.fit(read_series(frame, id_column="who"))
    assert back.read(tmp_path / "a.csv").ids == ("b", "a")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"id": [1, 2], "t": [0, 0], "x": ["a", "1"], "label": [0, 1]}),
            "DataFrame, row 1: column x: 'a'",
        ),
        (pd.DataFrame({"id": [], "x": [], "label": []}), "DataFrame: has a header but no rows"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "DataFrame: two columns have the same name 'x'; rename one"),
        (pd.DataFrame({"id": [1]}, index=pd.Index([2], name="id")), "'id' is the name of the index and of a column"),
        ([1, 2], "a list arrived; expected a path or a DataFrame; for arrays use SeriesSet.from_arrays"),
    ],
)
def test_what_is_refused(frame, message):
    with pytest.raises(DataError, match=message):
        read_series(frame)


def test_frames_of_series_are_joined_by_the_names_of_their_columns():
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan], "y": [3, 4, None]})
    series = SeriesSet.from_arrays([frame, frame[["y", "x"]], frame.convert_dtypes()])
    assert series.channels == ("x", "y")
    assert [row.tolist() for row in series.values] == [[[1, 3], [2, 4]]] * 3
    with pytest.raises(DataError, match="series 1: has the columns 'x', 'z'; expected 'x', 'y'"):
        SeriesSet.from_arrays([frame, frame.rename(columns={"y": "z"})])
    with pytest.raises(DataError, match=r"series 0: the columns 'y' of the DataFrame .* frame.drop\(columns=\['y'\]\)"):
        SeriesSet.from_arrays([frame.assign(y="a")])


def test_a_frame_is_a_series_a_row():
    frame = pd.DataFrame({"t0": [1.0, 2.0], "t1": [3, np.nan]})
    series = SeriesSet.from_arrays(frame, ["a", "b"])
    assert (series.steps, [row.tolist() for row in series.values]) == (("t0", "t1"), [[[1], [3]], [[2]]])
    assert SeriesSet.from_arrays(frame.set_axis([0, 1], axis=1)).steps == ()


def test_new_frames_are_brought_into_the_order_of_the_training_frames():
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"x": rng.normal(size=5), "y": rng.normal(50, 1, 5)}) for _ in range(8)]
    table = pd.DataFrame(rng.normal([0, 50, 90], 1, (8, 3)), columns=["t0", "t1", "t2"])
    for given, swapped in ((frames, [frame[["y", "x"]] for frame in frames]), (table, table[["t2", "t0", "t1"]])):
        predictor = classify(given, list("abababab"), fit=Fit(steps=2), seed=0)
        expected = predictor.predict_proba(given)
        assert np.array_equal(predictor.predict_proba(swapped), expected)
        arrays = given.to_numpy() if given is table else [frame.to_numpy() for frame in given]
        assert np.array_equal(predictor.predict_proba(arrays), expected)
    predictor = classify([frame.to_numpy() for frame in frames], list("abababab"), fit=Fit(steps=2), seed=0)
    assert predictor.predict_proba(frames).shape == (8, 2)  # it was trained without names


def test_an_index_of_text_is_the_id_as_in_a_csv(tmp_path):
    frame = pd.DataFrame({"time": [0, 1, 0, 1], "x": [1, 2, 3, 4]}, index=["007", "007", "7", "7"])
    frame.to_csv(tmp_path / "a.csv")
    frame.to_parquet(tmp_path / "a.parquet")
    for data in (frame, tmp_path / "a.csv", tmp_path / "a.parquet"):
        series = read_series(data, targets=None)
        assert series.ids == ("007", "7")
        assert series.channels == ("x",)
        assert read_like(series.read_options, frame).ids == ("007", "7")
    assert read_series(frame.assign(id=[1, 1, 2, 2]), targets=None).ids == ("1", "2")
