"""CSV and its kin: layouts, headers, delimiters, encodings, and what is refused with file and line."""

import numpy as np
import pytest

from rnnkit.data import read_series
from rnnkit.data.readers.delimited import scan
from rnnkit.data.reading import read_like
from rnnkit.errors import ConfigError, DataError, DataWarning

NAN = float("nan")
LONG = "id,time,x,y,label\nb,1,5,6,walk\na,2,3,,rest\na,1,1,2,rest\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


@pytest.fixture
def read(write):
    return lambda content, name="data.csv", **options: read_series(write(content, name), **options)


def values(series):
    return [row.tolist() for row in series.values]


def test_long(read):
    series = read(LONG)
    assert series.ids == ("b", "a")
    assert series.channels == ("x", "y")
    assert series.targets.tolist() == ["walk", "rest"]
    assert series.times.tolist() == [1, 1]
    assert [row.tolist() for row in series.step_times] == [[1], [1, 2]]
    np.testing.assert_array_equal(series.values[1], np.float32([[1, 2], [3, NAN]]))
    assert series.values[0].dtype == np.float64


def test_long_by_other_names(read):
    content = "who,when,label,time,x\nb,1,5,6,walk\n"
    series = read(content, id_column="who", time_column="when", target_column="x", group_column="who")
    assert (series.channels, series.targets.tolist(), values(series)) == (("label", "time"), ["walk"], [[[5, 6]]])


def test_long_without_time_keeps_the_order_of_the_file(read):
    series = read("sample,v,label\nb,3,1\na,2,0\nb,1,1\n")
    assert (series.ids, values(series), series.step_times) == (("b", "a"), [[[3], [1]], [[2]]], None)


def test_one_long_series_without_id(read):
    series = read("date,x\n2020-01-03,3\n2020-01-01,1\n", targets=None)
    assert values(series) == [[[1], [3]]]
    assert str(series.times[0]) == "2020-01-01T00:00:00.000000"
    assert series.ids == ("data.csv",)


def test_entities_are_ids_where_there_is_none_and_groups_beside_one(read):
    assert read("subject,t,x,label\na,0,1,u\nb,0,2,v\na,1,3,u\n").ids == ("a", "b")
    series = read("id,subject,t,x,label\n1,a,0,1,u\n2,a,0,2,v\n1,a,1,3,u\n")
    assert (series.ids, series.groups.tolist(), series.channels) == (("1", "2"), ["a", "a"], ("x",))


def test_chinese_columns_and_labels(read):
    content = "编号,时间,温度,标签\n甲,1,20.5,正常\n乙,1,30,异常\n甲,2,21,正常\n"
    for encoding, options in (("utf-8-sig", {}), ("utf-16", {}), ("gb18030", {"encoding": "gb18030"})):
        series = read(content.encode(encoding), **options)
        assert (series.ids, series.channels, series.targets.tolist()) == (("甲", "乙"), ("温度",), ["正常", "异常"])


@pytest.mark.parametrize("label", ["first", "last"])
@pytest.mark.parametrize("names", ["t0,t1,t2", "2,3,4", "rise,peak,fall"])
def test_wide(read, names, label):
    head = f"label,{names}" if label == "first" else f"{names},label"
    lines = ["a,1,2,3", "b,4,,"] if label == "first" else ["1,2,3,a", "4,,,b"]
    series = read("\n".join([head, *lines]))
    assert (values(series), series.targets.tolist()) == ([[[1], [2], [3]], [[4]]], ["a", "b"])  # the end is padding
    assert series.channels == ("value",)
    assert series.steps == tuple(names.split(","))


def test_wide_with_id_date_and_group(read):
    series = read("id,date,subject,t1,t2,species\na,2020-01-02,p,1,2,x\nb,2020-01-01,q,3,4,y\n")
    assert (series.ids, series.groups.tolist(), series.targets.tolist()) == (("a", "b"), ["p", "q"], ["x", "y"])
    assert [str(time)[:10] for time in series.times] == ["2020-01-02", "2020-01-01"]
    assert values(series) == [[[1], [2]], [[3], [4]]]


def test_numbered_steps_are_put_in_order_and_make_channels(read):
    assert values(read("t10,t2,t1,label\n3,2,1,a\n6,5,4,b\n")) == [[[1], [2], [3]], [[4], [5], [6]]]
    assert values(read("0.5,0.0,label\n3,2,a\n6,5,b\n")) == [[[2], [3]], [[5], [6]]]
    dates = read("2020-01-31,2020-02-01,2020-02-02,label\n1,2,3,a\n4,5,6,b\n")
    assert (dates.channels, values(dates)[0]) == (("value",), [[1], [2], [3]])
    series = read("x_0,y_0,x_1,y_1,label\n1,2,3,4,a\n5,6,,8,b\n")
    assert series.channels == ("x", "y")
    np.testing.assert_array_equal(series.values, np.float32([[[1, 2], [3, 4]], [[5, 6], [NAN, 8]]]))


def test_an_index_as_pandas_writes_it_is_left_out(read):
    assert read(",t0,t1,label\n0,1,2,a\n1,3,4,b\n").steps == ("t0", "t1")
    assert read(",t0,t1,label\nr,1,2,a\ns,3,4,b\n").ids == ("r", "s")
    assert read(",t,x,label\n1,0,1,u\n0,1,2,u\n", layout="long").values[0].tolist() == [[1], [2]]  # shuffled rows
    assert read("Unnamed: 0,id,t,x,label\n0,a,0,1,u\n1,b,0,2,v\n").channels == ("x",)


def test_columns_that_are_named_are_not_guessed(read):
    series = read(
        "id,time,x,label,class\na,0,1,2,u\na,1,1,2,u\n", value_columns=["time", "label"], target_column="class"
    )
    assert (series.channels, series.step_times) == (("time", "label"), None)


def test_numbers_as_targets(read):
    content = "id,t,x,u,v\na,0,1,7,8\na,1,2,7,8\nb,0,3,9,1.5\n"
    series = read(content, targets="numbers", target_column=["u", "v"])
    assert (series.targets.tolist(), series.channels) == ([[7, 8], [9, 1.5]], ("x",))
    assert read("t1,t2,power\n1,2,3\n4,5,6.5\n", targets="numbers").targets.tolist() == [3, 6.5]


def test_targets_are_set_aside_when_they_are_not_asked_for(read):
    assert read(LONG, targets=None).targets is None
    assert read(LONG, targets=None).channels == ("x", "y")
    assert read("time,y\n1,2\n2,4\n", targets=None).channels == ("y",)  # the only column is the series
    assert read("id,t,x,y,z\na,0,1,2,3\na,1,1,2,3\n", targets=None).channels == ("x", "y", "z")


def test_labels_keep_their_text(read):
    series = read("id,t,x,label\na,0,1,NA\na,1,1,NA\nb,0,1,none\nc,0,1, 01 \nd,0,1,2.0\n")
    assert series.targets.tolist() == ["NA", "none", "01", "2"]


@pytest.mark.parametrize("word", ["", "?", "NaN", "nan", "NA", "null", "N/A"])
def test_missing_values(read, word):
    series = read(f"id,t,x,label\na,0,{word},u\na,1,2,u\nb,0,3,v\n")
    assert np.isnan(series.values[0][0, 0])
    assert series.has_missing


@pytest.mark.parametrize("content", ["1,0.5,0.25\n2,0.75,\n2,1.5,2.5\n", "1\t0.5\t0.25\n2\t0.75\t\n2\t1.5\t2.5\n"])
def test_a_file_without_header_as_in_the_ucr_archive(read, content):
    series = read(content)
    assert (series.targets.tolist(), values(series)) == (["1", "2", "2"], [[[0.5], [0.25]], [[0.75]], [[1.5], [2.5]]])
    assert series.ids[1] == "data.csv:2"
    with_missing = read(content.replace("0.5", "?"), name="data.tsv")
    assert np.isnan(with_missing.values[0][0, 0])


def test_classic_text_with_blanks_and_floats_as_labels(read):
    series = read("  1.0000000e+00  5.0e-01  2.5e-01\n -1.0000000e+00  7.5e-01\n  1.0e+00 1.5e+0\n", name="X_TRAIN.txt")
    assert (series.targets.tolist(), series.lengths.tolist()) == (["1", "-1", "1"], [2, 1, 1])


def test_the_label_of_a_file_without_header_last_or_nowhere(read):
    assert read("0.5,0.25,up\n0.75,1.25,down\n").targets.tolist() == ["up", "down"]
    assert read("0.5,3\n0.7,2\n", target_column="first").targets.tolist() == ["0.5", "0.7"]
    assert read("0.5,3\n0.7,2\n", targets=None).lengths.tolist() == [2, 2]
    assert read("0.5,3\n0.7,2\n", targets=None, target_column="last").lengths.tolist() == [1, 1]
    assert read("1,3.5\n1,2.5\n", targets="numbers", target_column="last").targets.tolist() == [3.5, 2.5]
    with pytest.raises(DataError, match='cannot be told; type target_column="first"'):
        read("0.5,3.5\n0.7,2.5\n")


def test_decimal_commas_and_semicolons(read):
    series = read("id;t;x;label\na;0,5;1,5;u\na;0,25;2;u\nb;1;-3,25;v\n")
    assert values(series) == [[[2], [1.5]], [[-3.25]]]
    assert values(read("id;t;x;label\na;0;1.5;u\nb;1;3.25;v\n")) == [[[1.5]], [[3.25]]]
    assert values(read("1;0,5;2,5\n2;1,5;3,5\n")) == [[[0.5], [2.5]], [[1.5], [3.5]]]
    plain = read("1,5\n2,5\n", targets=None, layout="long", delimiter=";", decimal=",")
    assert values(plain) == [[[1.5], [2.5]]]
    assert (plain.read_options["delimiter"], plain.read_options["decimal"]) == (";", ",")
    with pytest.raises(DataError, match=r"data.csv:3: column x: '1,5' is not a number; write 1.5 with a decimal point"):
        read('id,t,x,label\na,0,1.5,u\na,1,"1,5",u\nb,0,1,v\n')
    with pytest.raises(DataError, match=r"data.csv:3: column x: '1,5' is not a number"):
        read("id;t;x;label\na;0;1.5;u\na;1;1,5;u\nb;0;1;v\n")
    assert values(read("id;t;x;label\na;0;1.234,5;u\na;1;1,5;u\nb;0;1;v\n")) == [[[1234.5], [1.5]], [[1]]]


def test_the_first_line_that_excel_writes(read):
    assert values(read("sep=;\nid;t;x;label\na;0;1,5;u\n")) == [[[1.5]]]
    with pytest.raises(DataError, match="data.csv:3: column x: 'tall'"):
        read("sep=;\nid;t;x;label\na;0;tall;u\n")


def test_quotes_line_ends_and_a_delimiter_at_the_end(read):
    series = read('id,t,"x, of the\nhand",label,\r\n"a",0,1,"u\nv",\r\n\r\n  \r\nb,0,2,w,\r\n')
    assert (series.ids, series.channels) == (("a", "b"), ("x, of the\nhand",))
    assert series.targets.tolist() == ["u\nv", "w"]
    assert read(LONG.replace("\n", "\r")).ids == ("b", "a")


def test_where_records_begin_and_how_many_cells_they_have(tmp_path):
    lines, fields = scan(b'a,b\n\n"x\ny",1\n  \n3\n4,5,"6,7"', ",", tmp_path)
    assert (lines.tolist(), fields.tolist()) == ([1, 3, 6, 7], [2, 2, 1, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "data.csv: the file is empty"),
        (" \n\n", "data.csv: the file is empty"),
        ("id,time,x,label\n", "data.csv: has a header but no rows"),
        ("id,time,x,label\na,0,1\n", "data.csv:2: has 3 cells; expected 4 as in the header"),
        ("id,time,x,label\n\na,0,1,u\nb,0,1,v,7\n", "data.csv:4: has 5 cells; expected 4"),
        ("id,time,x,label\na,0,1,u\nb,0,tall,v\n", "data.csv:3: column x: 'tall' is not a number"),
        ("id,time,x,label\na,0,1,u\nb,0,-inf,v\n", "data.csv:3: column x: -inf is infinite"),
        ("id,time,x,label\na,0,1,u\nb,0,1e39,v\n", "data.csv:3: column x: 1e+39 is infinite or beyond float32"),
        ("id,time,x,label\na,0,1,u\nb,0,1,\n", "data.csv:3: column label: the label is missing"),
        ("id,time,x,label\na,0,1,u\n,0,1,v\n", "data.csv:3: column id: the id is missing"),
        ("id,time,x,label\na,0,1,u\nb,,1,v\n", "data.csv:3: column time: the time is missing"),
        ("id,time,x,label\na,0,1,u\na,1,1,v\n", "data.csv:3: the target (label) is v, but u in the same series"),
        ("id,time,x,x\na,0,1,u\n", "data.csv:1: two columns have the same name 'x'"),
        ("id,time,x,label,class\na,0,1,u,v\n", "'label' and 'class' may both be the target; type target_column="),
        ("id,sample,x,label\na,0,1,u\n", "'id' and 'sample' may both be the id; type id_column="),
        ("id,date,time,x,label\na,0,1,2,u\n", "'date' and 'time' may both be the time; type time_column="),
        ("id,time,x\na,0,1\na,1,2\n", "no column of labels found; type target_column="),
        ("id,time,label\na,0,u\n", "no column of values is left. Columns: 'id', 'time', 'label'"),
        ("t1,t2,age,size,label\n1,2,3,4,u\n", "beside the numbered steps there is 'age', 'size'"),
        ("x1,x2,y1,y3,label\n1,2,3,4,u\n", "the channels have different steps"),
        ("t1,t2,label\n1,2,u\n,,v\n", "data.csv:3: the series has no value at all"),
        ('id,time,x,label\na,0,"1,u\n', "data.csv:2: a quotation mark is opened and not closed"),
        ("1,2.5,3.5\n1,tall,2\n2,1,1\n", "data.csv:2: column 2: 'tall' is not a number"),
        ("1,2.5,3.5\n1,1_000,2\n2,1,1\n", "data.csv:2: column 2: '1_000' is not a number"),
        ("1,2.5,3.5\n1,inf,2\n2,1,1\n", "data.csv:2: column 2: inf is infinite"),
        ("1,2.5,3.5\n?,3,2\n1,1,1\n", "data.csv:2: the label is missing"),
        ("1,2.5,3.5\n2,,\n1,1,1\n", "data.csv:2: the series has no value at all"),
        ("heat,cold\n1,2\n3,4\n", 'type layout="long" (a row a time step), or layout="wide" (a row a series)'),
    ],
)
def test_what_is_refused(read, content, message):
    options = {"targets": None} if content.startswith("heat") else {}  # labels would be looked for first
    with pytest.raises(DataError) as caught:
        read(content, **options)
    assert message in str(caught.value)


def test_a_column_to_leave_out_that_is_not_there_is_told(read):
    with pytest.warns(UserWarning, match=r"data.csv: there is no column 'tine' to leave out; did you mean 'time'\?"):
        read("id,time,x,label\na,0,1,u\nb,0,2,v\n", ignore_columns=["tine"])


@pytest.mark.parametrize(
    ("raw", "options", "message"),
    [
        ("id,x,label\na,1,é\n".encode("latin-1"), {}, 'data.csv:2: byte 0xe9 is not UTF-8; .* encoding="gb18030"'),
        (
            b"id,x\n\xff\xff,1\n",
            {"encoding": "gb18030"},
            "data.csv:2: byte 0xff is not GB18030; type encoding= with another name",
        ),
        ("id,x\n".encode("utf-16-le"), {}, "data.csv:1: holds zero bytes"),
        (b"id,x\n", {"encoding": "utf-99"}, "encoding='utf-99' arrived; expected a name such as"),
        (b"\xef\xbb\xbfid,x\n", {"encoding": "utf-99"}, "encoding='utf-99' arrived"),  # also beside a mark
        (b"id,x\n", {"encoding": "rot13"}, "encoding='rot13' arrived; expected a name such as"),
        (b"id,x\n", {"encoding": 3}, "encoding=3 arrived; expected a name such as"),
        (b"id,x\na,1\n", {"time_column": "tim"}, "there is no column 'tim'"),
        (b"id,tine,x\na,1,2\n", {"time_column": "time"}, "there is no column 'time'; did you mean 'tine'?"),
        (b"id,x\na,1\n", {"value_columns": ["y", "z"]}, "there are no columns 'y', 'z'. Columns: 'id', 'x'"),
        (b"id,x\na,1\n", {"value_colums": ["x"]}, "has no argument 'value_colums'; did you mean 'value_columns'?"),
        (b"id;t;x\na;1;2\n", {"delimiter": ","}, "no line holds the delimiter ','; type delimiter=\";\""),
        (b"id,x\na,1\n", {"targets": "label"}, "targets='label' arrived"),
        (b"id,x\na,1\n", {"format": "cvs"}, "format='cvs' arrived; did you mean 'csv'?"),
        (b"id,x\na,1\na,2\n", {"layout": "wide", "targets": None}, "data.csv:3: the id 'a' occurs twice"),
    ],
)
def test_encodings_and_arguments_that_are_refused(read, raw, options, message):
    with pytest.raises((DataError, ConfigError), match=message):
        read(raw, **options)


def test_latin_1_when_asked(read):
    raw = "t1,t2,label\n1,2,é\n3,4,è\n".encode("latin-1")
    assert read(raw, encoding="latin-1").targets.tolist() == ["é", "è"]


@pytest.mark.parametrize(
    ("rule", "expected"), [("keep", [1, 2, NAN, 5]), ("first", [1, 2, 5]), ("last", [1, NAN, 5]), ("mean", [1, 2, 5])]
)
def test_duplicate_time_stamps(read, rule, expected):
    content = "id,time,x\na,2,2\nb,2,7\na,9,5\na,2,\na,1,1\n"
    done = {"keep": "all are kept in the file's order", "mean": "their mean is taken"}.get(rule, f"the {rule} is taken")
    with pytest.warns(DataWarning, match=f"data.csv:5: the time 2.0 occurs again in its series; {done}; type") as told:
        series = read(content, targets=None, duplicates=rule)
    rules = {"keep", "first", "last", "mean"}
    assert {remedy.value for remedy in told[0].message.remedies} == rules - {rule}
    np.testing.assert_array_equal(series.values[0][:, 0], np.float32(expected))
    assert len(series.step_times[0]) == len(expected)
    assert values(series)[1] == [[7]]


def test_duplicate_time_stamps_can_be_an_error(read):
    with pytest.raises(DataError, match=r"data.csv:3: the time 2020-01-01T00:00:00 occurs again"):
        read("date,x\n2020-01-01,1\n2020-01-01,2\n", targets=None, duplicates="error")


def test_the_roles_read_a_second_file_in_the_same_way(read, write):
    first = read("who;when;x;kind\na;1;1,5;u\nb;1;2,5;v\n", id_column="who", time_column="when", target_column="kind")
    second = read_like(first.read_options, write("who;when;x\na;1;3,5\nb;1;4,5\n"))
    assert (second.channels, second.ids, values(second)) == (("x",), ("a", "b"), [[[3.5]], [[4.5]]])
