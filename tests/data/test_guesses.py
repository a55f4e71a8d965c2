"""What a reader guesses about a file, it says in one line: columns that count rows, marks, spellings, comments."""

import warnings

import numpy as np
import pytest

from rnnkit.data import SeriesSet, check_columns, read_series
from rnnkit.data.labels import encode_labels
from rnnkit.data.reading import read_like
from rnnkit.errors import ConfigError, DataError, DataWarning

NAN = float("nan")
INDEXED = "Unnamed: 0,id,time,x,label\n0,a,0,1,u\n2,a,1,2,u\n3,b,0,3,v\n9,b,1,4,v\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="data.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


@pytest.fixture
def read(write):
    """A function that returns the series and the lines that were said, without the file's name."""

    def read(content, name="data.csv", **options):
        path = write(content, name)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            series = read_series(path, **options)
        assert all(issubclass(one.category, DataWarning) for one in said)
        return series, [str(one.message).removeprefix(f"{path}: ") for one in said]

    return read


def values(series):
    return [row.tolist() for row in series.values]


def counted(name, place, rows=12, gap=1):
    """A long table of two sorted classes with a counter at a place."""
    lines = [["id", "time", "x", "y", "label"]]
    lines += [["ab"[i // 6], str(i % 6), f"{i * 7 % 5}.5", str(i * 3 % 4), "uv"[i // 6]] for i in range(rows)]
    for number, line in enumerate(lines):
        line.insert(place, name if number == 0 else str((number - 1) * gap))
    return "\n".join(map(",".join, lines))


@pytest.mark.parametrize("name", ["Unnamed: 0", "", "row", "zähler"])
@pytest.mark.parametrize("place", [0, 2, 5])
@pytest.mark.parametrize("gap", [1, 3])
def test_a_column_that_counts_rows_is_no_channel(read, name, place, gap):
    series, said = read(counted(name, place, gap=gap))
    assert (series.channels, series.ids) == (("x", "y"), ("a", "b"))
    called = name or f"column {place + 1} (without a name)"
    assert said == [
        f"the column '{called}' only counts the rows and is left out; type keep_columns=[\"{called}\"] to keep it"
    ]
    kept, said = read(counted(name, place, gap=gap), keep_columns=[called])
    assert (called in kept.channels, said) == (True, [])


def test_an_index_with_gaps_in_a_short_file(read):
    for name in ("Unnamed: 0", "index", "number", "#", "...1"):
        assert read(INDEXED.replace("Unnamed: 0", name))[0].channels == ("x",), name
    last = "id,time,x,label,Unnamed: 0\na,0,1,u,0\na,1,2,u,2\nb,0,3,v,3\n"
    assert read(last)[0].channels == ("x",)
    turned = "id,time,x,label,row\na,0,1,u,2\na,1,2,u,1\nb,0,3,v,0\n"
    assert read(turned)[0].channels == ("x",)
    joined = "Unnamed: 0,id,time,x,label\n0,a,0,1,u\n1,a,1,2,u\n0,b,0,3,v\n1,b,1,4,v\n"
    assert read(joined)[0].channels == ("x",)


def test_what_rises_is_kept_where_it_may_be_measured(read):
    within = "id,time,n,x,label\n" + "".join(f"{'ab'[i // 6]},{i % 6},{i % 6},{i * 7 % 5},u\n" for i in range(12))
    assert read(within)[0].channels == ("n", "x")  # it begins again in each series
    alone = "time,total,x\n" + "".join(f"{i},{i * i + i},{i * 7 % 5}\n" for i in range(9))
    assert read(alone, targets=None)[0].channels == ("total", "x")  # one series
    halves = "id,time,n,x,label\n" + "".join(f"{'ab'[i // 6]},{i % 6},{i / 2},{i * 7 % 5},u\n" for i in range(12))
    assert read(halves)[0].channels == ("n", "x")
    only = "id,time,index,label\n" + "".join(f"{'ab'[i // 6]},{i % 6},{i},u\n" for i in range(12))
    assert read(only)[0].channels == ("index",)
    steps = "t0,t1,t2,label\n" + "".join(f"{i},{i * 3 % 5},{i * 2},{'uv'[i // 6]}\n" for i in range(12))
    assert read(steps)[0].steps == ("t0", "t1", "t2")


@pytest.mark.parametrize("name", ["n", "Unnamed: 0", "row", "zähler"])
@pytest.mark.parametrize("place", ["{n},{row}", "{row},{n}"])
def test_a_counter_may_fall_or_be_shuffled(read, name, place):
    falling, shuffled = [40 - 3 * i for i in range(12)], [(i * 5 + 3) % 12 for i in range(12)]
    header = place.format(n=name, row="id,time,x,label")
    for counter in (falling, shuffled, [number + 1 for number in shuffled], list(range(12))[::-1]):
        rows = [place.format(n=n, row=f"{'ab'[i // 6]},{i % 6},{i * 7 % 5}.5,u") for i, n in enumerate(counter)]
        series, said = read("\n".join([header, *rows]))
        assert (series.channels, len(said)) == (("x",), 1), counter
        assert f"the column {name!r} only counts the rows and is left out" in said[0]


def test_what_falls_or_has_every_number_once_is_kept_where_it_may_be_measured(read):
    def channels(numbers, ids="ab"):
        half = -(-len(numbers) // len(ids))
        rows = [f"{ids[i // half]},{i % half},{i * 7 % 5}.5,{n},u" for i, n in enumerate(numbers)]
        return read("\n".join(["id,time,x,n,label", *rows]))[0].channels

    assert channels([9, 7, 4, 2]) == ("x", "n")  # too few to tell
    assert channels([3, 1, 0, 2, 5, 4]) == ("x", "n")
    assert channels([(i * 5 + 3) % 12 + 2 for i in range(12)]) == ("x", "n")  # not from 0 or 1 on
    assert channels([(i * 5 + 3) % 12 for i in range(11)]) == ("x", "n")  # not all of them
    assert channels([40 - 3 * i for i in range(12)], "a") == ("x", "n")  # one series
    assert channels([(i * 5 + 3) % 12 for i in range(12)], "a") == ("x", "n")
    assert channels(list(range(12))[::-1], "a") == ("x",)  # by 1 in every row: the number of the row
    assert channels([12 - i % 6 for i in range(12)]) == ("x", "n")  # it begins again in each series


def test_a_counter_is_neither_a_step_nor_the_target_nor_the_id(read):
    wide = "nr,rise,peak,label\n" + "".join(f"{i * 2},{i * 3 % 7},{i * 5 % 3},{'uv'[i // 6]}\n" for i in range(12))
    assert read(wide)[0].steps == ("rise", "peak")
    with pytest.raises(DataError, match="no column of labels found"):
        read("row,t0,t1\n0,1,2\n1,5,3\n4,2,8\n")
    by_subject = "id,subject,time,x,label\n" + "".join(f"{i},{'ab'[i // 6]},{i % 6},{i * 7 % 5},u\n" for i in range(12))
    series, said = read(by_subject)
    assert (series.ids, series.channels, len(said)) == (("a", "b"), ("x",), 1)
    plain = "".join(f"{i},{i * 3 % 7}.5,{i * 5 % 3},{'uv'[i // 6]}\n" for i in range(12))
    series, said = read(plain)
    assert (values(series)[1], series.targets[0], len(said)) == ([[3.5], [2]], "u", 1)
    assert read(plain, keep_columns=["first"])[0].lengths[0] == 3


def test_new_data_keeps_the_channels_of_the_training_data(read, write):
    train, _ = read(counted("n", 2))
    again = read_like(train.read_options, write(counted("n", 2)))
    assert again.channels == ("x", "y")
    channel = counted("n", 2).replace("a,1,1,", "a,1,7,")  # here it does not count, so it is a channel
    assert read_like(read(channel)[0].read_options, write(counted("n", 2))).channels == ("n", "x", "y")


def test_files_of_a_folder_agree_on_what_counts_rows(tmp_path):
    for name, gap in (("up", 1), ("down", 1)):
        (tmp_path / name).mkdir()
        lines = [f"{i * gap},{i},{i * 7 % 5}\n" for i in range(8)]
        (tmp_path / name / "1.csv").write_text("n,time,x\n" + "".join(lines))
        (tmp_path / name / "2.csv").write_text("n,time,x\n5,0,1\n4,1,2\n")
    with pytest.warns(DataWarning, match="the column 'n' only counts the rows") as said:
        assert read_series(tmp_path).channels == ("x",)
    assert len(said) == 1


@pytest.mark.parametrize("label", ["1E50", "1E1", "007", "1e3", "0x10", "1_000", "1.50", "+1", "1.0.0", "1E+50"])
@pytest.mark.parametrize("column", ["label", "kind"])
def test_a_label_is_its_text(read, label, column):
    wide = f"id,t0,t1,{column}\na,1,2,{label}\nb,2,3,10\nc,2,4,10\n"
    assert read(wide)[0].targets.tolist() == [label, "10", "10"]
    long = f"id,time,x,{column}\na,0,2,{label}\na,1,2,{label}\nb,2,3,10\n"
    assert read(long, target_column=column)[0].targets.tolist() == [label, "10"]
    ts = f"@classLabel true {label} 10\n@data\n1,2:{label}\n3,4:10\n"
    assert read(ts, "d.ts")[0].targets.tolist() == [label, "10"]
    arff = f"@attribute a numeric\n@attribute b numeric\n@attribute class {{{label},10}}\n@data\n1,2,{label}\n3,4,10\n"
    assert read(arff, "d.arff")[0].targets.tolist() == [label, "10"]
    assert read(f"0.5,1.5,{label}\n2.5,1,10\n", target_column="last")[0].targets.tolist() == [label, "10"]


@pytest.mark.parametrize("label", ["1.0", "1.0000000e+00", "1.000000000000000000e+00", " 1.00"])
def test_a_class_that_was_saved_as_a_float_is_a_whole_number(read, label):
    assert read(f"id,t0,t1,kind\na,1,2,{label}\nb,2,3,1\n")[0].targets.tolist() == ["1", "1"]
    commas = "id;t0;t1;kind\na;1,5;2;1,0\nb;2;3;1.000\nc;2;3;1.234\n"
    assert read(commas)[0].targets.tolist() == ["1", "1.000", "1.234"]
    tens = read("1.0000000e+01,0.5,1.5\n2.0000000e+00,2.5,1\n1.0000000e+01,1,2\n2.0000000e+00,1,3\n")[0]
    assert tens.targets.tolist() == ["10", "2", "10", "2"]


def test_labels_and_ids_of_arrays(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, X=np.ones((2, 3)), y=np.array(["1E1", "10"]), names=np.array(["007", "7"]))
    series = read_series(path, id_column="names")
    assert (series.targets.tolist(), series.ids) == (["1E1", "10"], ("007", "7"))
    np.savez(path, X=np.ones((2, 3)), y=np.array([1e50, 2.0]))
    assert read_series(path).targets.tolist() == ["1e+50", "2"]


def test_ids_keep_their_zeros(read):
    series, said = read(",t0,t1,t2,label\n007,1,2,3,a\n010,1,2,4,b\n7,3,3,3,a\n")
    assert (series.ids, values(series)[0], said) == (("007", "010", "7"), [[1], [2], [3]], [])
    assert read(",time,x,label\n007,1,2,a\n007,2,2,a\n7,1,3,a\n")[0].ids == ("007", "7")
    assert read("who,t0,t1,label\n007,1,2,a\n7,3,3,a\n", id_column="who")[0].ids == ("007", "7")
    assert read("id,plant,t0,t1,label\n1,01,1,2,a\n2,1,3,3,a\n", group_column="plant")[0].groups.tolist() == ["01", "1"]
    assert read("007,1,2,a\n7,2,3,b\n", header=False, id_column="first", target_column="last")[0].ids == ("007", "7")
    arff = "@attribute id string\n@attribute a numeric\n@attribute class {u,v}\n@data\n007,1,u\n7,2,v\n"
    series, said = read(arff, "d.arff")
    assert (series.ids, values(series)) == (("007", "7"), [[[1]], [[2]]])
    assert said == ["the attribute 'id' is taken for the id; type keep_columns=[\"id\"] to keep it as a step"]


def test_a_last_column_without_a_name_is_dropped_only_if_it_is_empty(read):
    assert read("id,time,x,label,\na,0,1,u,\nb,0,2,v,\n")[0].channels == ("x",)
    assert read("id,time,x,label,,\na,0,1,u,,\nb,0,2,v,,\n")[0].channels == ("x",)
    series, _ = read("id,time,x,label,\na,0,1,u,0.5\nb,0,2,v,7\n")
    assert series.channels == ("x", "column 5 (without a name)")


CASES = "id;time;cases;rate;label\na;0;{};19,47;u\nb;0;{};7,5;v\n"


def test_a_point_that_may_mark_thousands_is_refused_until_it_is_named(read):
    content = CASES.format("2.155", "1.250")
    for options in ({}, {"decimal": ","}):
        with pytest.raises(DataError) as caught:
            read(content, **options)
        assert "data.csv:2: column cases: whether the point in '2.155' marks thousands or decimals" in str(caught.value)
        series, _ = read(content, **options, **caught.value.remedies[0].arguments)
        assert [row[0, 0] for row in series.values] == [2155, 1250]
        assert series.values[0][0, 1] == 19.47
    with pytest.raises(DataError, match=r"data.csv:3: column cases: '1.25' has a decimal point, .* write 1,25 with"):
        read(CASES.format("2.155", "1.25"), decimal=",")


@pytest.mark.parametrize(
    ("cell", "expected", "name"),
    [
        ("1.234.567", 1234567, "point"),
        ("-1.234,5", -1234.5, "point"),
        ("1 234,5", 1234.5, "blank"),
        ("12\u00a0345", 12345, "blank"),
        ("12\u202f345,25", 12345.25, "blank"),
        ("1'234,5", 1234.5, "apostrophe"),
        ("1\u2019234,5", 1234.5, "apostrophe"),
    ],
)
def test_marks_that_can_only_mark_thousands_are_read_and_told(read, cell, expected, name):
    series, said = read(CASES.format(cell, "950"))
    assert [row[0, 0] for row in series.values] == [expected, 950]
    assert said[-1].startswith(f"the {name} is read as a thousands mark: {cell} is {expected}")
    plain, said = read(f"1;{cell};2,5\n2;3;4,5\n1;3;4,5\n2;3;4,5\n")
    assert (plain.values[0][0, 0], "thousands" in said[-1]) == (expected, True)


def test_commas_that_mark_thousands(read):
    comma = 'id,time,cases,label\na,0,"{}",u\nb,0,"{}",v\n'
    series, said = read(comma.format("1,234.5", "2,155"))
    assert ([row[0, 0] for row in series.values], len(said)) == ([1234.5, 2155], 1)
    with pytest.raises(
        DataError, match=r"whether the comma in '2,155' .* type thousands=\",\" if it is 2155, or decimal="
    ):
        read(comma.format("2,155", "950"))
    assert read(comma.format("2,155", "950"), thousands=",")[0].values[0][0, 0] == 2155
    only = "id;time;cases;label\na;0;2,155;u\nb;0;1,250;v\n"
    with pytest.raises(DataError, match=r'type thousands="," if it is 2155, or decimal="," if it is 2.155') as caught:
        read(only)
    for remedy, expected in zip(caught.value.remedies, (2155, 2.155), strict=True):
        assert read(only, **remedy.arguments)[0].values[0][0, 0] == expected
    with pytest.raises(DataError, match="'1,5' is not a number"):
        read(comma.format("1,5", "950"), thousands=",")
    with pytest.raises(ConfigError, match="another mark than the decimal mark"):
        read(only, thousands=",", decimal=",")


def test_marks_that_were_found_are_told(read):
    long = "id{0}time{0}x{0}label\na{0}0{0}{1}{0}u\nb{0}0{0}2{0}v\n"
    wrong = "if that is wrong"
    assert read(long.format(",", "1.5"))[1] == []
    assert read(long.format("\t", "1.5"), "d.tsv")[1] == []
    assert read(long.format(";", "1.5"))[1] == [f"read with ';' as the delimiter; type delimiter= {wrong}"]
    assert read(long.format("\t", "1.5"))[1] == [f"read with the tab as the delimiter; type delimiter= {wrong}"]
    both = f"read with ';' as the delimiter and ',' as the decimal mark; type delimiter=, or decimal= {wrong}"
    assert read(long.format(";", "1,5"))[1] == [both]
    assert read(long.format(";", "1.500"))[1] == [both.replace("','", "'.'")]
    assert read(long.format(";", "1,5"), delimiter=";", decimal=",")[1] == []
    bom = read(("\ufeff" + long.format(";", "1,5")).replace("\n", "\r\n"))
    assert (values(bom[0]), bom[1]) == ([[[1.5]], [[2]]], [both])


def test_comments_are_skipped_and_lines_keep_their_numbers(read):
    content = '# made by hand\nid,time,x,label\n  # a,0,1\na,0,1,"u\n# v"\nb,0,tall,v\n'
    with pytest.raises(DataError, match="data.csv:6: column x: 'tall'"):
        read(content, comment="#")
    assert read(content.replace("tall", "2"), comment="#")[0].targets.tolist() == ["u\n# v", "v"]
    with pytest.raises(DataError, match='type comment="#" if lines that begin with it are comments'):
        read(content)
    assert read("% a\n1,0.5,2\n% b\n2,1.5,3\n1,1,1\n2,2,2\n", comment="%")[0].lengths.tolist() == [2] * 4


def test_codes_for_missing_values(read, tmp_path):
    codes = {"missing_codes": [-9999, "n.d."]}
    series, _ = read("id,time,x,y,label\na,1,-9999,n.d.,u\na,2,-9999.0,4,u\nb,1,3,5,v\n", **codes)
    np.testing.assert_array_equal(series.values[0], np.float32([[NAN, NAN], [NAN, 4]]))
    assert series.read_options["missing_codes"] == [-9999, "n.d."]
    assert values(read("id;t0;t1;label\na;1,5;-9999,0;u\n", **codes)[0]) == [[[1.5]]]
    assert np.isnan(read("1,-9999,2\n2,n.d.,3\n1,1,1\n2,2,2\n", **codes)[0].values[0][0, 0])
    assert np.isnan(read("@classLabel true a\n@data\n-9999.0,2:a\n", "d.ts", **codes)[0].values[0][0, 0])
    arff = "@attribute a numeric\n@attribute b numeric\n@attribute class {u}\n@data\nn.d.,1,u\n"
    assert np.isnan(read(arff, "d.arff", missing_codes="n.d.")[0].values[0][0, 0])
    np.savez(tmp_path / "d.npz", X=np.float32([[1e20, 2]]), y=["u"])
    assert np.isnan(read_series(tmp_path / "d.npz", missing_codes=1e20).values[0][0, 0])
    with pytest.raises(DataError, match="data.csv:2: column label: the label is missing"):
        read("id,time,x,label\na,1,2,NA\n", missing_codes=["NA"])
    with pytest.raises(DataError, match="the target is missing"):
        read("t0,t1,y\n1,2,-9999\n", targets="numbers", **codes)


def test_two_spellings_are_one_name(read, tmp_path):
    one, other = "caf\u00e9", "cafe\u0301"
    told = f"accented letters are written in two ways (Unicode NFC and NFD) in '{one}'; both are the same name"
    series, said = read(f"id,t0,t1,label\na,1,2,{one}\nb,1,2,{other}\n")
    assert (series.targets.tolist(), said) == ([one, one], [told])
    series, said = read(f"id,time,{other},label\n{one},1,2,u\n{other},2,3,u\n")
    assert (series.ids, series.channels, said) == ((one,), (one,), [told])
    assert read(f"id,t0,t1,{other}\na,1,2,x\nb,1,2,y\n", target_column=one)[1] == []
    with pytest.raises(DataError, match="two columns have the same name"):
        read(f"id,time,{one},{other}\na,1,2,3\n")
    for name in (one, other):
        (tmp_path / "folder" / name).mkdir(parents=True)
        (tmp_path / "folder" / name / "1.csv").write_text("time,x\n0,1\n1,2\n")
    with pytest.warns(DataWarning, match="Unicode NFC and NFD"):
        assert set(read_series(tmp_path / "folder").targets) == {one}
    assert SeriesSet.from_arrays([[1.0], [2.0]], [one, other]).targets.tolist() == [one, one]
    assert encode_labels([one, other], [other, "x"]).tolist() == [0, 0]
    new = SeriesSet.from_arrays([[[1.0, 2.0]]], channels=[one, "x"])
    assert check_columns(new, ["x", other]).values[0].tolist() == [[2, 1]]


def test_an_index_with_empty_cells_is_no_channel(read):
    rows = "".join(f"{'' if i == 5 else i},{i // 4},{i % 4},{i * 7 % 5},{'uv'[i // 4 % 2]}\n" for i in range(16))
    series, (line,) = read("Unnamed: 0,id,time,x,label\n" + rows)
    assert series.channels == ("x",)
    assert "'Unnamed: 0' only counts the rows" in line


def test_a_first_line_of_data_is_no_header_where_its_text_occurs_again(read):
    rows = "".join(f"{i + 0.5},{i + 0.25},{i * 7 % 5 + 0.1},{'uv'[i // 6]},{i}\n" for i in range(12))
    series, _ = read(rows, target_column="4")
    assert series.targets.tolist() == ["u"] * 6 + ["v"] * 6
    series, _ = read("0.5,0.25,label\n1.5,2.5,u\n1.1,2.2,v\n1.2,2.1,u\n")
    assert series.steps == ("0.25", "0.5")
    assert len(series) == 3


def test_an_index_with_gaps_in_front_of_a_file_without_a_header(read):
    rows = "".join(f"{i + i // 3},{i % 4 + 0.5},{i % 3 + 0.25},{i % 5 + 0.1},{'uv'[i // 6]}\n" for i in range(12))
    series, (line,) = read(rows)
    assert series.lengths.tolist() == [3] * 12
    assert "'first' only counts the rows" in line
    series, said = read(rows, keep_columns=["first"])
    assert series.lengths.tolist() == [4] * 12
    assert not said


def test_arrays_that_are_not_used_are_told(read, tmp_path):
    np.savez(
        tmp_path / "a.npz", X=np.arange(24.0).reshape(4, 6), y=list("uvuv"), temp=np.ones((4, 6)), who=[1, 1, 2, 2]
    )
    series, (line,) = read((tmp_path / "a.npz").read_bytes(), "a.npz")
    assert line.startswith("the arrays 'temp', 'who' are not used")
    assert series.groups is None
    series, said = read((tmp_path / "a.npz").read_bytes(), "a.npz", ignore_columns=["temp"], group_column="who")
    assert series.groups.tolist() == ["1", "1", "2", "2"]
    assert not said
