"""The UCR/UEA archive's formats: .ts and .arff, and arrays in .npz."""

from pathlib import Path

import numpy as np
import pytest

from rnnkit.data import read_like, read_series
from rnnkit.errors import ConfigError, DataError, DataWarning

NAN = float("nan")
TS = """# a comment
@problemName Moves
@timeStamps false
@missing true
@univariate false
@equalLength false
@classLabel true Walk run
@data
1,2,3:4,?,6:Walk
7:8:run
"""
ARFF = """% a comment
@relation 'a name'
@attribute att0 numeric
@attribute 'att 1' REAL
@attribute target {up,'go down'}

@data
1,2,up
3,?,'go down'
"""
RELATIONAL = r"""@RELATION Moves
@ATTRIBUTE relationalAtt relational
  @attribute t1 numeric
  @attribute t2 numeric
@end relationalAtt
@attribute activity {Walk,Run}
@data
'1,2,?\n3,?,?',Walk
"5,6,7\n8,9,10",Run
"""


@pytest.fixture
def read(tmp_path):
    def read(content, name="data.ts", **options):
        (tmp_path / name).write_text(content)
        return read_series(tmp_path / name, **options)

    return read


def test_ts_of_several_channels_and_unequal_length(read):
    series = read(TS)
    np.testing.assert_array_equal(series.values[0], np.float32([[1, 4], [2, NAN], [3, 6]]))
    assert series.values[1].tolist() == [[7, 8]]
    assert (series.targets.tolist(), series.ids) == (["Walk", "run"], ("data.ts:9", "data.ts:10"))
    assert read(TS, targets=None).targets is None


def test_ts_whose_header_is_cut_by_tabs(read):
    series = read(
        TS.replace("@timeStamps ", "@timeStamps\t").replace("@classLabel true Walk", "@classLabel\ttrue\tWalk")
    )
    assert series.targets.tolist() == ["Walk", "run"]
    stamped = read("@timeStamps\ttrue\n@classLabel\t true  a\n@data\n(1,5),(0,4):a\n")
    assert (stamped.values[0].tolist(), stamped.targets.tolist()) == ([[4], [5]], ["a"])


def test_channels_of_ts_by_their_numbers(read):
    assert read(TS, ignore_columns=["channel 1"]).values[1].tolist() == [[7]]
    picked = read(TS, value_columns=["channel 1"])
    assert (picked.channels, picked.values[1].tolist()) == (("channel 1",), [[8]])
    with pytest.raises(DataError, match="no channel is left"):
        read(TS, ignore_columns=["channel 0", "channel 1"])


def test_ts_of_numbers_without_targets_and_with_time_stamps(read):
    assert read("@targetLabel true\n@data\n1,2:0.5\n3,4:-1\n", targets="numbers").targets.tolist() == [0.5, -1]
    assert read("@classLabel false\n@data\n1,2\n3\n", targets=None).lengths.tolist() == [2, 1]
    stamped = read("@timeStamps true\n@classLabel true a\n@data\n(1,5),(0,4):(1,7),(0,6):a\n")
    assert (stamped.values[0].tolist(), stamped.step_times[0].tolist()) == ([[4, 6], [5, 7]], [0, 1])
    dated = read("@timeStamps true\n@data\n(2020-01-01 00:00:00,5),(2020-01-01 00:01:00,4)\n", targets=None)
    assert np.diff(dated.step_times[0]).tolist() == [60]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (TS.replace("@data", ""), {}, r"data.ts:9: '1,2,3:4,\?,6:Walk' before @data"),
        ("@univariate true\n", {}, "has no line @data"),
        ("@classLabel true a\n@data\n", {}, "no series arrived; expected at least one"),
        (TS.replace("run\n", "jog\n").replace("Walk jog", "Walk run"), {}, "data.ts:10: the label 'jog' is not among"),
        (TS.replace(":8:", ":"), {}, "data.ts:10: has 1 channels; expected 2"),
        (TS.replace("2,3:", "x,3:"), {}, "data.ts:9: channel 0: column 2: 'x' is not a number"),
        (TS.replace("7:", "?:").replace("8:", "?:"), {}, "data.ts:10: the series has no value at all"),
        (TS.replace("8:run", "8:?"), {}, "data.ts:10: the label is missing"),
        (TS, {"targets": "numbers"}, "data.ts:9: column target: 'Walk' is not a number"),
        ("@targetLabel true\n@data\n1:2\n", {}, 'its targets are numbers.*type targets="numbers"'),
        ("@data\n1,2\n", {}, "has no labels; type targets=None to read without them"),
        ("@timeStamps true\n@data\n(0,1),(1,2):(0,1),(2,2)\n", {"targets": None}, "different time stamps"),
        (
            "@timeStamps true\n@data\n(0,1),oops\n",
            {"targets": None},
            "data.ts:3: '\\(0,1\\),oops' arrived; expected \\(time,value\\)",
        ),
    ],
)
def test_ts_that_is_refused(read, content, options, message):
    with pytest.raises(DataError, match=message):
        read(content, **options)


def test_arff_of_one_channel(read):
    series = read(ARFF, "data.arff")
    assert [row.tolist() for row in series.values] == [[[1], [2]], [[3]]]
    assert series.targets.tolist() == ["up", "go down"]


COMMENTED = """@relation a % and b
@attribute nr numeric % counts
@attribute a numeric%of metres
@attribute b\treal\t% seconds
@attribute name string
@attribute class {up,'50 % down',75%} % the classes
@data % lines
3,1,2,p,up % the first
1,3,4,q,'50 % down'
2,5,6,q,75%
"""


def test_arff_comments_at_the_ends_of_lines(read):
    series = read(COMMENTED, "d.arff", ignore_columns=["nr"], group_column="name")
    assert series.targets.tolist() == ["up", "50 % down", "75%"]
    assert [row.tolist() for row in series.values] == [[[1], [2]], [[3], [4]], [[5], [6]]]
    assert series.groups.tolist() == ["p", "q", "q"]


def test_arff_roles_are_honoured(read):
    series = read(COMMENTED, "d.arff", id_column="nr", ignore_columns=["name", "b"])
    assert (series.ids, series.values[1].tolist()) == (("3", "1", "2"), [[3]])
    assert read(COMMENTED, "d.arff", value_columns=["b"]).values[0].tolist() == [[2]]
    again = read_like(series.read_options, Path(series.source))
    assert (again.ids, again.values[0].tolist()) == (series.ids, [[1]])
    with pytest.warns(DataWarning, match="the column 'nr' only counts the rows"):
        assert read(COMMENTED, "d.arff", ignore_columns=["name"]).values[0].tolist() == [[1], [2]]
    with pytest.raises(DataError, match=r"'name' is not numeric; type .* or ignore_columns=\[\"name\"\]"):
        read(COMMENTED, "d.arff")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("d.arff", ARFF, {"ignore_columns": ["att2"]}, "d.arff: there is no attribute 'att2'; did you mean 'att0'"),
        ("d.arff", ARFF, {"id_column": "targt"}, "there is no attribute 'targt'; did you mean 'target'?"),
        ("d.arff", ARFF, {"target_column": "tagret"}, "there is no attribute 'tagret'; did you mean 'target'?"),
        ("d.arff", ARFF, {"value_columns": ["x"]}, "there is no attribute 'x'. Attributes: 'att0', 'att 1'"),
        ("d.arff", ARFF, {"time_column": "att0"}, "time_column='att0' arrived; leave it out: an .arff file"),
        (
            "d.ts",
            TS,
            {"ignore_columns": ["chanel 1"]},
            "no channel 'chanel 1' for ignore_columns; did you mean 'channel 1'",
        ),
        ("d.ts", TS, {"id_column": "id"}, "id_column='id' arrived; leave it out: a .ts file has no columns with names"),
        ("d.ts", TS, {"target_column": "x"}, "target_column='x' arrived; leave it out"),
        ("d.ts", TS, {"layout": "long"}, "layout='long' arrived; leave it out"),
    ],
)
def test_roles_that_are_refused(read, name, content, options, message):
    with pytest.raises((DataError, ConfigError)) as caught:
        read(content, name, **options)
    assert message in str(caught.value)


def test_arff_of_several_channels(read):
    series = read(RELATIONAL, "data.arff")
    np.testing.assert_array_equal(series.values[0], np.float32([[1, 3], [2, NAN]]))
    assert series.values[1].tolist() == [[5, 8], [6, 9], [7, 10]]
    assert series.targets.tolist() == ["Walk", "Run"]


def test_arff_of_numbers(read):
    content = "@attribute a numeric\n@attribute b numeric\n@attribute c numeric\n@data\n1,2,3.5\n4,5,6\n"
    assert read(content, "d.arff", targets="numbers", target_column="c").targets.tolist() == [3.5, 6]
    assert read(content, "d.arff", targets=None).lengths.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ARFF.replace("3,?", "3,?,1"), "data.arff:9: has 4 cells; expected 3"),
        (ARFF.replace("1,2,up", "1,x,up"), "data.arff:8: column att 1: 'x' is not a number"),
        (ARFF.replace("1,2,up", "1,2,left"), "data.arff:8: the label 'left' is not among those declared"),
        (ARFF.replace("1,2,up", "{0 1, 2 up}"), "data.arff:8: sparse rows"),
        (ARFF.replace("att0 numeric", "att0 string"), "attribute 'att0' is not numeric"),
        (ARFF.replace("@data", "data"), "data.arff:7: 'data'; expected @attribute"),
        (ARFF.replace("@data\n1,2,up\n3,?,'go down'\n", ""), "has no line @data"),
        (ARFF.replace("target {up,'go down'}", "z numeric"), "which attribute is the target cannot be told"),
        (RELATIONAL.replace(r"\n3,?,?", r"\n3,?"), r"data.arff:8: the channels have \[2, 3\] values"),
    ],
)
def test_arff_that_is_refused(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content, "data.arff")


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return tmp_path / "data.npz"

    return save


def test_npz_padded_with_lengths_or_nan_or_one_below_the_other(save):
    padded = np.arange(12.0).reshape(2, 3, 2)
    rows = [padded[0].tolist(), padded[1, :2].tolist()]
    lengths = np.array([3, 2])
    series = read_series(save(X=padded, y=np.array([7, 10]), lengths=lengths, channels=["u", "v"], ids=["a", "b"]))
    assert [row.tolist() for row in series.values] == rows
    assert (series.targets.tolist(), series.channels, series.ids) == (["7", "10"], ("u", "v"), ("a", "b"))
    with_nan = padded.copy()
    with_nan[1, 2] = NAN
    below = np.concatenate([padded[0], padded[1, :2]])
    for path in (save(x=with_nan), save(values=below, lengths=lengths)):
        series = read_series(path, targets=None)
    assert [row.tolist() for row in series.values] == rows
    one = {"X": padded[:, :, 0], "lengths": lengths}, {"X": below[:, 0], "lengths": lengths}
    for arrays in one:  # a channel, with no axis of its own
        series = read_series(save(**arrays), targets=None)
        assert [row.tolist() for row in series.values] == [[[0], [2], [4]], [[6], [8]]]


def test_npz_of_integers_and_other_names(save):
    path = save(images=np.ones((2, 4), np.uint8), power=np.array([[0.5], [1.5]]), x=np.zeros(3))
    series = read_series(path, targets="numbers", value_columns=["images"], target_column="power")
    assert (series.lengths.tolist(), series.targets.tolist()) == ([4, 4], [[0.5], [1.5]])
    assert read_series(save(X=np.ones((2, 4)), y=np.array([1.0, 2.0]))).targets.tolist() == ["1", "2"]


def test_npz_roles_are_honoured_or_refused(save):
    cube = np.arange(12.0).reshape(2, 3, 2)
    path = save(X=cube, x=cube, y=[1, 2], names=["p", "q"], plant=[7, 8], begin=[5.0, 6.0], channels=["u", "v"])
    named = {"id_column": "names", "group_column": "plant", "time_column": "begin"}
    series = read_series(path, ignore_columns=["x", "v"], **named)
    assert (series.ids, series.groups.tolist(), series.times.tolist()) == (("p", "q"), ["7", "8"], [5, 6])
    assert (series.channels, series.values[0].tolist()) == (("u",), [[0], [2], [4]])
    assert read_like(series.read_options, path).channels == ("u",)
    for options, message in (
        ({"id_column": "name", "ignore_columns": ["x"]}, "there is no array 'name'; did you mean 'names'?"),
        ({"ignore_columns": ["plnt"]}, "no array or channel 'plnt' to leave out; did you mean 'plant'?"),
        ({"delimiter": ";"}, "delimiter=';' arrived; leave it out: a .npz file holds arrays"),
        ({"ignore_columns": ["x", "u", "v"]}, "no channel is left"),
    ):
        with pytest.raises((DataError, ConfigError)) as caught:
            read_series(path, **options)
        assert message in str(caught.value)


def test_folders_and_images_have_no_such_columns(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.csv").write_text("time,x\n0,1\n")
    with pytest.raises(ConfigError, match="target_column='x' arrived; leave it out: the folders name the classes"):
        read_series(tmp_path, target_column="x")
    with pytest.warns(DataWarning, match="no file has a column 'z' to leave out"):
        read_series(tmp_path, ignore_columns=["z"])
    with pytest.raises(ConfigError, match="id_column='id' arrived; leave it out: images have no columns"):
        read_series(tmp_path, format="images", id_column="id")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"X": np.array([[1], [1, 2]], object), "y": [0, 1]},
            "array 'X' holds Python objects, which are not unpickled",
        ),
        (
            {"a": np.ones((2, 3))},
            "none of the arrays is called 'X' or 'x' or 'values'; type value_columns.* Arrays: 'a'",
        ),
        ({"X": np.ones((2, 3)), "x": np.ones((2, 3))}, "'X' and 'x' may both be meant"),
        ({"X": np.ones((2, 3))}, "none of the arrays is called 'y'.*targets=None if there is none"),
        ({"X": np.ones((2, 3)), "y": [1]}, "data.npz: 1 targets arrived for 2 series"),
        ({"X": np.array([[1, np.inf]]), "y": [1]}, "data.npz: array X: series 0: holds inf at step 1"),
        ({"X": np.ones(3), "y": [1]}, r"array X: has shape \(3,\); expected \[N, T\]"),
        ({"X": np.ones((2, 3)), "y": [1, 2], "lengths": [3, 4]}, "a length of 4 arrived for 3 steps"),
        ({"X": np.ones((2, 3)), "y": [1, 2], "lengths": [3, 0]}, "expected positive integers"),
        ({"X": np.array([["a", "b"]]), "y": [1]}, "is of type <U1; expected numbers"),
        ({"X": np.ones((2, 3)), "y": [1, NAN]}, "array y: series 1: the label is missing"),
        ({"X": np.array([[1, 2], [NAN, NAN]]), "y": [1, 2]}, "series 1: the series has no value at all"),
    ],
)
def test_npz_that_is_refused(save, arrays, message):
    with pytest.raises(DataError, match=message):
        read_series(save(**arrays))


def test_what_is_no_npz_file(tmp_path):
    (tmp_path / "data.npz").write_bytes(b"PK\x03\x04 nonsense")
    with pytest.raises(DataError, match="data.npz: is no .npz file"):
        read_series(tmp_path / "data.npz")
    with pytest.raises(DataError, match="there is no such file"):
        read_series(tmp_path / "none.npz")
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="a file of this format is not known; expected one of .csv"):
        read_series(tmp_path / "data.xlsx")
