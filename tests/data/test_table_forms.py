"""Tables as other programs write them: marks, codes, stamps, index columns, bytes, and files that are no tables."""

import gzip
import warnings
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from rnnkit.data import read_series
from rnnkit.data.reading import read_like
from rnnkit.errors import DataError, DataWarning

QUOTED = 'id,time,x,label\na,0,"1,5",u\na,1,"2,25",u\nb,0,3,v\n'


@pytest.fixture
def read(tmp_path):
    """A function that returns the series and the lines that were said, without the file's name."""

    def read(content, name="data.csv", like=None, **options):
        path = content
        if not isinstance(content, pd.DataFrame):
            path = tmp_path / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            series = read_series(path, **options) if like is None else read_like(like, path, **options)
        assert all(issubclass(one.category, DataWarning) for one in said)
        return series, [str(one.message).removeprefix(f"{path}: ") for one in said]

    return read


@pytest.fixture
def parquet(tmp_path):
    """A function that writes a DataFrame to a file."""

    def parquet(frame):
        frame.to_parquet(tmp_path / "data.parquet")
        return (tmp_path / "data.parquet").read_bytes()

    return parquet


def values(series):
    return [row.tolist() for row in series.values]


def test_decimal_commas_in_quotation_marks_between_commas(read):
    series, said = read(QUOTED)
    assert values(series) == [[[1.5], [2.25]], [[3]]]
    assert said == ["read with ',' as the decimal mark; type decimal= if that is wrong"]
    assert read(QUOTED, decimal=",")[1] == []
    grouped, _ = read(QUOTED.replace("2,25", "1.234,5").replace(",3,", ',"2.125",'))
    assert values(grouped) == [[[1.5], [1234.5]], [[2125]]]
    late = "id,time,x,label\n" + "".join(f"a,{step},{step},u\n" for step in range(60)) + 'b,0,"1,5",v\n'
    with pytest.raises(DataError, match="data.csv:62: column x: '1,5' is not a number") as caught:
        read(late)
    assert values(read(late, **caught.value.remedies[0].arguments)[0])[1] == [[1.5]]
    assert values(read('1,"0,5","2,5"\n2,"1,5","3,5"\n')[0]) == [[[0.5], [2.5]], [[1.5], [3.5]]]
    names, said = read('id,time,x,label\na,0,1,"Smith, J"\nb,0,2.5,"Jones, K"\n')
    assert (names.targets.tolist(), said) == (["Smith, J", "Jones, K"], [])


def test_a_new_file_that_shows_no_marks_has_those_of_the_training_file(read):
    new = "id;time;x\nc;0;2.155\nc;1;3.250\n"
    train, _ = read("id;time;x;label\na;0;1,5;u\nb;0;1.234,5;v\n")
    assert values(read(new, like=train.read_options)[0]) == [[[2155], [3250]]]
    train, _ = read("id;time;x;label\na;0;1,5;u\nb;0;2,5;v\n")
    with pytest.raises(DataError, match="whether the point in '2.155' marks thousands or decimals cannot be told"):
        read(new, like=train.read_options)
    assert values(read(new.replace("155", "5"), like=train.read_options)[0])[0][0] == [2.5]
    assert values(read("id,time,x\nc,0,2.155\n", like=train.read_options)[0]) == [[[2.155]]]


@pytest.mark.parametrize("name", ["label", "region"])
def test_words_for_missing_numbers_are_classes_like_others(read, name):
    series, _ = read(f"id,t0,t1,t2,{name}\na,1,2,3,NA\nb,1,2,4,None\nc,1,NA,4,null\n")
    assert series.targets.tolist() == ["NA", "None", "null"]
    with pytest.raises(DataError, match=f"data.csv:3: column {name}: the label is missing"):
        read(f"id,t0,t1,t2,{name}\na,1,2,3,NA\nb,1,2,4,\n")


@pytest.mark.parametrize("code", ["n.d.", "-", "#DIV/0!", "missing", "inf"])
def test_a_cell_that_may_mean_a_missing_value_names_the_argument(read, code):
    content = f"id,time,x,label\na,0,1,u\na,1,{code},u\na,2,--,u\na,3,2,u\na,4,4,u\nb,0,2,v\n"
    codes = []
    for _ in range(2):
        with pytest.raises(DataError) as caught:
            read(content, missing_codes=codes)
        codes = next(one.value for one in caught.value.remedies if getattr(one, "argument", "") == "missing_codes")
    series, _ = read(content, missing_codes=codes)
    np.testing.assert_array_equal(series.values[0][:, 0], [1, np.nan, np.nan, 2, 4])
    for wrong in ("tall", "1_000", "12 m"):
        with pytest.raises(DataError) as caught:
            read(content.replace(f",{code},", f",{wrong},").replace("--", "3"))
        assert "missing_codes" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"PK\x03\x04\0\0", "is a ZIP archive or a spreadsheet, not text; unpack it, or save the spreadsheet as CSV"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "is packed by gzip, not text; unpack it first"),
        (b"PAR1\0\xff\0PAR1", "is a table of Parquet, not text; give it the suffix .parquet"),
        (b"\n<!DOCTYPE html>\n<p>404</p>", "is a web page or XML, not a table; save the table itself"),
    ],
)
def test_files_of_other_kinds_are_named(read, raw, message):
    with pytest.raises(DataError, match=message):
        read(raw)
    assert read("PAR1,PAR2,label\n1,2,u\n1,3,v\n")[0].lengths.tolist() == [2, 2]


def test_a_line_above_the_header_can_be_skipped(read):
    content = "Export of 2024\nid,time,x,label\na,0,1,u\nb,0,2,v\n"
    with pytest.raises(DataError, match='has 4 cells; expected 1 .* type comment="Export" to skip that line') as caught:
        read(content)
    assert read(content, **caught.value.remedies[0].arguments)[0].ids == ("a", "b")


@pytest.mark.parametrize(
    ("stamps", "expected", "told"),
    [
        (["20240131", "20240201"], ["2024-01-31", "2024-02-01"], True),
        (["202401311530", "202402010000"], ["2024-01-31T15:30", "2024-02-01"], True),
        (["20240131153059", "20240201000000"], ["2024-01-31T15:30:59", "2024-02-01"], True),
        (["20000000", "20000061", "20000099"], [20000000, 20000061, 20000099], False),
        (["20240131.0", "20240201.0"], [20240131, 20240201], False),
        (["1704067200", "1704070800"], [1704067200, 1704070800], False),
        (
            ["2024-01-31 10:00:00,25", "2024-01-31 10:00:01,5"],
            ["2024-01-31T10:00:00.25", "2024-01-31T10:00:01.5"],
            False,
        ),
    ],
)
def test_stamps_of_digits_and_commas_in_stamps(read, stamps, expected, told):
    lines = "\n".join(f"{stamp};{step}" for step, stamp in enumerate(stamps))
    series, said = read(f"time;x\n{lines}\n", targets=None, delimiter=";", decimal=".")
    kind = "datetime64[us]" if isinstance(expected[0], str) else np.float64
    assert series.step_times[0].tolist() == np.array(expected, kind).tolist()
    assert said == (
        [f"column time: times such as {stamps[0]} are read as dates; write them as {stamps[0]}.0 if they are numbers"]
        * told
    )
    if told:
        frame = pd.DataFrame({"time": [int(stamp) for stamp in stamps], "x": range(len(stamps))})
        assert read(frame, targets=None)[0].step_times[0].tolist() == series.step_times[0].tolist()
        with pytest.raises(DataError, match="'20240231' is not the time expected"):
            read("time,x\n20240131,1\n20240231,2\n20240301,3\n", targets=None)


def test_bytes_durations_periods_and_decimals_of_frames_and_parquet(read, parquet):
    frame = pd.DataFrame({"id": [b"a", b"a", b"b"], "time": [0, 1, 0], "x": [1, 2, 3], "label": [b"u", b"u", b"v"]})
    for source in (frame, parquet(frame)):
        series, _ = read(source, "data.parquet")
        assert (series.ids, series.targets.tolist()) == (("a", "b"), ["u", "v"])
    for times, expected in (
        (pd.to_timedelta([0, 1.5, 3], unit="s"), [0, 1.5, 3]),
        (
            pd.period_range("2024-01", periods=3, freq="M"),
            np.array(["2024-01", "2024-02", "2024-03"], "datetime64[us]"),
        ),
        (
            [date(2024, 1, day) for day in (1, 2, 3)],
            np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[us]"),
        ),
    ):
        single = pd.DataFrame({"time": times, "x": [Decimal("1.5"), Decimal(2), Decimal(3)]})
        series, _ = read(single, targets=None)
        assert series.step_times[0].tolist() == np.asarray(expected).tolist()
        assert values(series) == [[[1.5], [2], [3]]]
    waits = pd.DataFrame({"time": [0, 1], "wait": [timedelta(seconds=90), timedelta(days=1)]})
    assert values(read(waits, targets=None)[0]) == [[[90], [86400]]]


def test_complex_numbers_are_refused(read):
    frame = pd.DataFrame({"time": [0, 1], "x": [1 + 1j, 2]})
    with pytest.raises(DataError, match="DataFrame: column x: the values are complex numbers; give real and"):
        read(frame, targets=None)


@pytest.mark.parametrize("periods", [False, True])
def test_an_index_of_dates_is_the_time_in_frames_and_files(read, parquet, periods):
    dates = pd.date_range("2024-01-01", periods=3)[::-1]
    frame = pd.DataFrame({"x": [3, 2, 1]}, index=dates.to_period("D") if periods else dates)
    for source in (frame, *([] if periods else [parquet(frame)])):
        series, _ = read(source, "data.parquet", targets=None)
        assert values(series) == [[[1], [2], [3]]]
        assert series.times[0] == np.datetime64("2024-01-01")


def test_levels_of_an_index_need_names(read):
    frame = pd.concat({"a": pd.DataFrame({"x": [1, 2]}), "b": pd.DataFrame({"x": [3, 4]})})
    with pytest.raises(DataError, match=r"the index has 2 levels, .* frame.rename_axis\(\['id', 'time'\]\)"):
        read(frame, targets=None)
    assert values(read(frame.rename_axis(["id", "time"]), targets=None)[0]) == [[[1], [2]], [[3], [4]]]


def test_bytes_and_whole_numbers_name_the_rows_of_arrays(tmp_path):
    names = {"ids": np.array([b"a", b"b"]), "groups": np.array([7.0, 8.0]), "channels": np.array([b"p", b"q"])}
    np.savez(tmp_path / "a.npz", X=np.random.default_rng(0).normal(size=(2, 3, 2)), y=np.array([b"u", b"v"]), **names)
    series = read_series(tmp_path / "a.npz")
    assert (series.ids, series.channels) == (("a", "b"), ("p", "q"))
    assert (series.groups.tolist(), series.targets.tolist()) == (["7", "8"], ["u", "v"])


def test_files_that_are_not_read_are_told(tmp_path):
    for name in ("a/1.csv", "a/deep/2.csv", "b/1.csv", "labels.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("time,x\n0,1\n1,2\n")
    with pytest.warns(
        DataWarning, match=r"2 files are not read, because expected is .*/class/file: labels.csv, a.deep.2"
    ):
        assert len(read_series(tmp_path)) == 2


@pytest.mark.parametrize(("mark", "named"), [(":", ":"), (" ", " "), ("~", "~")])
def test_a_delimiter_that_is_not_looked_for_is_named(read, mark, named):
    content = "id,time,x,label\na,0,1.5,u\nb,0,2.5,v\n".replace(",", mark)
    with pytest.raises(DataError, match="has one column alone, 'id.time.x.label'; type delimiter=") as caught:
        read(content)
    assert caught.value.remedies[0].arguments == {"delimiter": named}
    assert values(read(content, delimiter=named)[0]) == [[[1.5]], [[2.5]]]


def test_a_header_behind_a_number_sign(read):
    series, said = read("# id,time,x,label\na,0,\N{MINUS SIGN}1.5,u\nb,0,2.5,v\n")
    assert (series.ids, values(series)) == (("a", "b"), [[[-1.5]], [[2.5]]])
    assert said == ["the first line begins with '#' and is read as the names of the columns"]


def test_bytes_that_are_no_text_in_utf_8(read):
    with pytest.raises(DataError, match="holds zero bytes"):
        read("id,time,x,label\na,0,1,ü\n".encode("utf-16-le"))
    for text in ('[{"x": 1}, {"x": 2}]', '{"x": 1}\n{"x": 2}\n'):
        with pytest.raises(DataError, match="is JSON, not a table; save it as CSV"):
            read(text)


def test_steps_in_another_order_than_that_of_the_file_are_told(read):
    series, said = read("t2,t1,t0,label\n3,2,1,u\n6,5,4,v\n")
    assert values(series)[0] == [[1], [2], [3]]
    assert said[0].startswith(
        "the columns 't0' to 't2' are steps in the order of their numbers, not in that of the file"
    )
    blanks, _ = read("1 0,5 2,5\n2 1,5 3,5\n1 1,5 3,25\n2 1,0 2,0\n", "d.txt")
    assert (values(blanks)[0], blanks.targets[0]) == ([[0.5], [2.5]], "1")


def test_long_lines_long_cells_and_several_blanks(read):
    steps = 20_000
    row = ",".join(["0.12345"] * (steps - 1))
    series, said = read(f"1,{row},1.5\n2,{row},2.5\n1,{row},3.5\n2,{row},4.5\n")
    assert (series.lengths.tolist(), series.targets.tolist(), said) == ([steps] * 4, ["1", "2", "1", "2"], [])
    series, _ = read(f'id,time,x,label\n{"a" * 140_000},0,1,u\n"b",0,2,"{"v" * 140_000}"\n')
    assert [len(name) for name in series.targets] == [1, 140_000]
    with pytest.raises(DataError, match="several blanks between named columns are not read; save the file with commas"):
        read("id   time  x label\na   0 1 u\nb   0 2 v\n")
