"""Parquet, folders of tables and of images, and time stamps."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rnnkit.data import read_series
from rnnkit.errors import DataError, DataWarning, MissingExtraError

NAN = float("nan")


@pytest.fixture
def parquet(tmp_path):
    def parquet(**columns):
        pd.DataFrame(columns).to_parquet(tmp_path / "data.parquet")
        return tmp_path / "data.parquet"

    return parquet


def test_long_parquet(parquet):
    when = pd.to_datetime(["2020-01-02T01:00+01:00", "2020-01-01T00:00Z", "2020-01-01T00:00Z"], utc=True)
    path = parquet(
        id=pd.array([1, 1, 2]), time=when, x=[2.0, 1.0, None], label=pd.Categorical(["u", "u", "v"]), n=[1, 2, 3]
    )
    series = read_series(path)
    np.testing.assert_array_equal(series.values[0], np.float32([[1, 2], [2, 1]]))
    np.testing.assert_array_equal(series.values[1], np.float32([[NAN, 3]]))
    assert (series.ids, series.channels, series.targets.tolist()) == (("1", "2"), ("x", "n"), ["u", "v"])
    assert str(series.step_times[0][1]) == "2020-01-02T00:00:00.000000"


def test_wide_parquet_and_lists_in_cells(parquet):
    series = read_series(parquet(t0=[1, 2], t1=[3.0, NAN], label=["u", "v"]))
    assert [row.tolist() for row in series.values] == [[[1], [3]], [[2]]]
    series = read_series(parquet(x=[[1.0, 2.0], [3.0]], y=[[4, 5], [6]], label=["u", "v"]))
    assert [row.tolist() for row in series.values] == [[[1, 4], [2, 5]], [[3, 6]]]
    assert (series.channels, series.ids) == (("x", "y"), ("data.parquet:1", "data.parquet:2"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": [1, 2], "time": [0, 0], "x": [1, np.inf], "label": ["u", "v"]}, "row 2: column x: inf is infinite"),
        ({"x": [[1.0], [1.0]], "y": [[1.0], [1.0, 2.0]], "label": ["u", "v"]}, "row 2: the lists have different sizes"),
        ({"x": [["a"], ["b"]], "label": ["u", "v"]}, "row 1: a list holds something that is not a number"),
        ({"x": [[1.0], []], "label": ["u", "v"]}, "row 2: the series has no value at all"),
        ({"id": [1, 1], "x": [1, 2], "label": ["u", None]}, "row 2: column label: the label is missing"),
        ({"id": [], "x": [], "label": []}, "has a header but no rows"),
        (
            {"id": [1, 1], "x": pd.to_datetime(["2020", "2021"]), "label": ["u", "u"]},
            'column x: the values are dates; type time_column="x", or ignore_columns=',
        ),
    ],
)
def test_parquet_that_is_refused(parquet, columns, message):
    with pytest.raises(DataError, match=message):
        read_series(parquet(**columns))


def test_no_parquet_file_and_no_pandas(tmp_path, monkeypatch):
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as a .parquet file"):
        read_series(tmp_path / "data.parquet")
    (tmp_path / "data.csv").write_text("id,x\na,1\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rnnkit\[tables\]'"):
        read_series(tmp_path / "data.csv")
    (tmp_path / "plain.csv").write_text("1,0.5,0.25\n2,1,1\n1,2,2\n")
    assert len(read_series(tmp_path / "plain.csv")) == 3  # numbers alone need no pandas


def test_a_folder_of_tables_a_class(tmp_path):
    for name, content in {
        "up/1.csv": "time,x,y\n1,1,2\n0,3,4\n",
        "up/2.csv": "y,time,x\n6,0,5\n",
        "down/1.tsv": "time\tx\ty\n0\t7\t8\n",
        ".git/x.csv": "",
        "up/Thumbs.db": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    series = read_series(tmp_path)
    assert series.ids == ("down/1.tsv", "up/1.csv", "up/2.csv")
    assert [row.tolist() for row in series.values] == [[[7, 8]], [[3, 4], [1, 2]], [[5, 6]]]
    assert (series.targets.tolist(), series.channels) == (["down", "up", "up"], ("x", "y"))
    (tmp_path / "up/3.csv").write_text("time,x,z\n0,1,2\n")
    with pytest.raises(DataError, match=r"up/3.csv: the columns differ.* missing 'y'; extra 'z'"):
        read_series(tmp_path)


def test_a_folder_of_numbers_without_headers(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("0.5 1.5\n2.5 3.5\n4.5 5.5\n")
    series = read_series(tmp_path)
    assert (series.lengths.tolist(), series.channels) == ([3, 3], ("channel 0", "channel 1"))


@pytest.fixture
def images(tmp_path):
    for index, (name, shape) in enumerate({"a/1.png": (4, 3), "a/2.png": (4, 3), "b/1.bmp": (8, 6)}.items()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full(shape, 51 * index, np.uint8)).save(tmp_path / name)
    return tmp_path


def test_a_folder_of_images_a_class(images):
    with pytest.raises(
        DataError, match=r"b/1.bmp: is 8 × 6, but .*a/1.png is 4 × 3 .* one size; type size=\(4, 3\) to resize"
    ):
        read_series(images)
    series = read_series(images, size=(4, 3))
    assert (series.targets.tolist(), series.ids) == (["a", "a", "b"], ("a/1.png", "a/2.png", "b/1.bmp"))
    assert [row.shape for row in series.values] == [(4, 3)] * 3
    assert [float(row.mean()) for row in series.values] == pytest.approx([0, 0.2, 0.4])
    (images / "a/2.png").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="a/2.png: cannot be read as an image"):
        read_series(images)


def test_without_targets_a_folder_needs_no_classes_and_an_image_no_folder(images, tmp_path):
    one = read_series(images / "a/2.png", targets=None)
    assert (one.ids, float(one.values[0].mean())) == (("2.png",), pytest.approx(0.2))
    assert read_series(images / "a", targets=None).ids == ("1.png", "2.png")
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/1.csv").write_text("x,y\n1,2\n3,4\n")
    flat = read_series(tmp_path / "flat", targets=None)
    assert (flat.ids, flat.channels, flat.targets) == (("1.csv",), ("x", "y"), None)
    with pytest.raises(DataError, match="an image alone has no class"):
        read_series(images / "a/2.png")


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"1.csv": "x\n1\n"}, {}, "holds no folders; expected one a class"),
        ({"train/a/1.csv": "x\n1\n"}, {}, "train: holds no files of a class; if the classes are in .*train, type that"),
        ({"a/1.csv": "x\n1\n", "a/1.png": ""}, {}, 'holds tables and images; type format="tables"'),
        ({"a/1.csv": "x\n1\n", "a/1.doc": ""}, {}, r"files of a format that is not read \(.doc\)"),
        ({"a/1.csv": "x\n1\n"}, {"targets": "numbers"}, "the folders name classes"),
        ({"a/1.csv": "x\n1\n"}, {"format": "csv"}, "is a folder; the format 'csv' is that of a file; type format="),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "time,x\n1,2\n"}, {}, "b/1.csv: only some of the files have time stamps"),
    ],
)
def test_folders_that_are_refused(tmp_path, files, options, message):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_series(tmp_path, **options)


def times_of(tmp_path, stamps, **options):
    (tmp_path / "t.csv").write_text("time,x\n" + "".join(f'"{stamp}",1\n' for stamp in stamps))
    return read_series(tmp_path / "t.csv", targets=None, **options).step_times[0]


@pytest.mark.parametrize(
    ("stamps", "options", "expected"),
    [
        (["10/13/2004 1:00", "10/1/2004 2:00"], {}, ["2004-10-01T02:00", "2004-10-13T01:00"]),
        (["1/10/2004", "13/10/2004"], {}, ["2004-10-01", "2004-10-13"]),
        (["1/10/2004", "2/10/2004"], {"time_format": "%d/%m/%Y"}, ["2004-10-01", "2004-10-02"]),
        (["20040131", "20040201"], {}, ["2004-01-31", "2004-02-01"]),
        (["Jan 1 2000", "Feb 11 2000"], {}, ["2000-01-01", "2000-02-11"]),
        (["1949-01", "1949-02"], {}, ["1949-01-01", "1949-02-01"]),
        (["2020-01-01 00:00:00", "2020-01-01 00:00:00.25"], {}, ["2020-01-01", "2020-01-01T00:00:00.25"]),
        (["2020-01-01T02:00+02:00", "2020-01-01T00:30Z"], {}, ["2020-01-01T00:00", "2020-01-01T00:30"]),
        (["2020-01-01 02:00:00+0200", "2020-01-01 00:30:00-0500"], {}, ["2020-01-01T00:00", "2020-01-01T05:30"]),
    ],
)
def test_time_stamps(tmp_path, stamps, options, expected):
    assert times_of(tmp_path, stamps, **options).tolist() == np.array(expected, "datetime64[us]").tolist()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["11:00 PM", "1:05 am", "12:00 AM", "12:30 p.m."], ["01T00:00", "01T01:05", "01T12:30", "01T23:00"]),
        (["23:00:00", "24:00:00"], ["01T23:00", "02T00:00"]),
        (["23:59", "24:00"], ["01T23:59", "02T00:00"]),
        (["10:00:00.5", "25:10:00"], ["01T10:00:00.5", "02T01:10"]),
        (["05:12.3", "4:00"], ["01T00:04", "01T00:05:12.3"]),
        (["05:12", "75:13"], ["01T00:05:12", "01T01:15:13"]),
        (["00:59,9", "1:02:03,4"], ["01T00:00:59.9", "01T01:02:03.4"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*minutes and seconds")
def test_times_of_day(tmp_path, stamps, expected):
    days = [f"1900-01-{stamp}" for stamp in expected]
    assert times_of(tmp_path, stamps).tolist() == np.array(days, "datetime64[us]").tolist()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["2020-01-31 11:00 PM", "2020-01-31 12:15 AM"], ["2020-01-31T00:15", "2020-01-31T23:00"]),
        (["1/31/2020 11:00:05pm", "1/31/2020 1:00:00 a.m."], ["2020-01-31T01:00", "2020-01-31T23:00:05"]),
        (["2020-12-31 23:00", "2020-12-31 24:00"], ["2020-12-31T23:00", "2021-01-01"]),
        (["31.12.2020 24:00:00", "31.12.2020 00:00:00"], ["2020-12-31", "2021-01-01"]),
        (["2020-12-31T24:00:00Z"], ["2021-01-01"]),
    ],
)
def test_twelve_hours_and_midnight_beside_dates(tmp_path, stamps, expected):
    assert times_of(tmp_path, stamps).tolist() == np.array(expected, "datetime64[us]").tolist()


def test_what_is_guessed_about_times_is_told(tmp_path):
    with pytest.warns(DataWarning, match="times such as '05:12.3' are read as minutes and seconds; type time_format="):
        times_of(tmp_path, ["05:12.3", "4:00"])
    with pytest.warns(DataWarning, match="t.csv:3: column time: times of day fall within a series, as at midnight"):
        times_of(tmp_path, ["11:50 PM", "12:10 AM"])


def test_times_that_are_numbers(tmp_path):
    assert times_of(tmp_path, ["1.5", "-2"]).tolist() == [-2, 1.5]


@pytest.mark.parametrize(
    ("stamps", "message"),
    [
        (["2020-01-01T00:00Z", "2020-01-01T01:00"], "t.csv:3: column time: '2020-01-01T01:00' has no time zone, but"),
        (["2020-01-01 00:00 CST", "2020-01-01 01:00 CST"], "t.csv:2: .* more than one meaning; write its offset"),
        (["1/10/2004", "2/10/2004"], "t.csv:2: .*whether day or month comes first in '1/10/2004' cannot be told"),
        (["13/10/2004", "10/13/2004"], "t.csv:3: .*'10/13/2004' has day and month in another order"),
        (["2020-01-01", "2020-13-01"], "t.csv:3: column time: '2020-13-01' is not the time expected"),
        (["2020-01-01", "NaT"], "t.csv:3: column time: 'NaT' is not the time expected"),
        (["noon", "night"], "t.csv:2: column time: 'noon' is not the time expected"),
        (["1", "inf"], "t.csv:3: column time: the time inf is no finite number"),
        (["13:00 PM", "1:00 AM"], "t.csv:2: column time: '13:00 PM' is not the time expected"),
        (["11:00 PM", "13:00"], "t.csv:3: column time: '13:00' is not the time expected"),
        (["2020-01-31 11:00 PM", "2020-01-31 13:00"], "t.csv:3: .*'2020-01-31 13:00' has no AM or PM, but"),
        (["1", ""], "t.csv:3: column time: the time is missing"),
    ],
)
def test_time_stamps_that_are_refused(tmp_path, stamps, message):
    with pytest.raises(DataError, match=message):
        times_of(tmp_path, stamps)


@pytest.mark.parametrize("seed", range(3))
def test_one_set_from_every_format(tmp_path, seed):
    """The same series, saved in eight ways, are the same series."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, 7)
    rows = [random.normal(size=(length, 2)).round(3) for length in lengths]
    for row in rows:
        row[:-1][random.random((len(row) - 1, 2)) < 0.3] = NAN  # the last step stays: at the end a gap would be padding
    labels = random.permutation(["甲", "乙", "b c", "甲", "乙", "x", "x"]).tolist()
    steps = pd.concat(
        [
            pd.DataFrame({"id": f"s{i}", "time": range(len(r)), "u": r[:, 0], "v": r[:, 1], "label": labels[i]})
            for i, r in enumerate(rows)
        ]
    )
    shuffled = steps.sample(frac=1, random_state=seed)
    shuffled.to_csv(tmp_path / "comma.csv", index=False)
    shuffled.to_csv(tmp_path / "tab.tsv", index=False, sep="\t", encoding="utf-16")
    shuffled.to_csv(tmp_path / "semicolon.txt", index=False, sep=";", decimal=",")
    shuffled.to_csv(tmp_path / "indexed.csv")
    shuffled.to_parquet(tmp_path / "long.parquet")
    wide = steps.pivot(index=["id", "label"], columns="time", values=["u", "v"])
    wide.columns = [f"{channel}_{time}" for channel, time in wide.columns]
    wide.reset_index().to_csv(tmp_path / "wide.csv", index=False)
    lists = {"id": [f"s{i}" for i in range(7)], "u": [r[:, 0] for r in rows], "v": [r[:, 1] for r in rows]}
    pd.DataFrame(lists | {"label": labels}).to_parquet(tmp_path / "lists.parquet")
    text = "\n".join(
        ":".join(",".join("?" if np.isnan(x) else str(x) for x in r[:, c]) for c in (0, 1))
        + f":{label.replace(' ', '_')}"
        for r, label in zip(rows, labels, strict=True)
    )
    (tmp_path / "data.ts").write_text(f"@classLabel true {' '.join({'甲', '乙', 'b_c', 'x'})}\n@data\n{text}\n")
    for file in sorted(tmp_path.iterdir()):
        series = read_series(file)
        order = np.argsort(series.ids) if file.suffix != ".ts" else np.arange(7)
        for row, expected in zip((series.values[i] for i in order), rows, strict=True):
            np.testing.assert_array_equal(row, expected, err_msg=file.name)
        assert [series.targets[i].replace("_", " ") for i in order] == labels, file.name
