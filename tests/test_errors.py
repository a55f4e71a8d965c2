"""Errors of problem, place and remedy: their parts, the words of each front end, and remedies that work."""

import copy
import inspect
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rnnkit import errors
from rnnkit.data import Preprocessing, SeriesSet, read_series, read_text_rows, read_texts, split, tokenize
from rnnkit.errors import (
    OPEN,
    ConfigError,
    DataError,
    DataFinding,
    DataWarning,
    Place,
    Remedy,
    RnnkitError,
    Setting,
    Words,
)
from rnnkit.messages import Message
from rnnkit.recipes.classify import classify
from rnnkit.recipes.wording import SETTINGS, CommandLine, DataSettings, in_settings
from rnnkit.runs.settings import override
from rnnkit.tasks import find

LONG = "id,time,x,label\n"


def table(*rows, head=LONG):
    return head + "".join(f"{row}\n" for row in rows)


DAYS = table("1/10/2004,1", "2/10/2004,2", head="time,x\n")
LATE_COMMA = table(*(f"a;{step};{step};u" for step in range(60)), "b;0;1,5;v", head="id;time;x;label\n")
TEXT = table("a,0,1,u,u,u", "b,0,1,u,v,w", head="id,time,x,t4,t5,label\n")
TWO_TARGETS = table("a,0,1,u,w", "b,0,1,v,w", head="id,time,x,label,class\n")
UNTOLD = table("1,2", "3,4", head="heat,cold\n")
SAME_TIME = table("2020-01-01,1", "2020-01-01,2", head="time,x\n")
NUMBERS = "1,2.5,1\n1,2,1\n2,2,2\n2,2.5,2\n"
DATES = {"id": [1, 1, 2], "x": pd.to_datetime(["2020", "2021", "2022"]), "z": [1, 2, 3], "label": [0, 0, 1]}
ATTRIBUTES = "@attribute a numeric\n@attribute z string\n@attribute class numeric\n"
SHAPE = np.ones((2, 3))
UNLABELLED = {"targets": None}
# For each remedy that a reader names: a file's content, the arguments it is read with, and the remedy's arguments.
OF_TABLES = [
    (TEXT, {"ignore_columns": ["t4"]}, {"ignore_columns": ["t4", "t5"]}),
    (LATE_COMMA, {}, {"decimal": ","}),
    (table("a,0,1,u", "a,1,n.d.,u", "a,2,3,u"), {}, {"missing_codes": ["n.d."]}),
    ("Title\n" + table("a,0,1,u"), {}, {"comment": "Title"}),
    (TWO_TARGETS, {}, {"target_column": "label", "ignore_columns": ["class"]}),
    (TWO_TARGETS, {}, {"target_column": "class", "ignore_columns": ["label"]}),
    (table("a,1,1,u", "b,2,1,v", head="id,case,x,label\n"), {}, {"id_column": "id", "ignore_columns": ["case"]}),
    (table("a,1,2,1,u", head="id,date,time,x,label\n"), {}, {"time_column": "time", "ignore_columns": ["date"]}),
    (table("a,0,1", "a,1,2", head="id,time,x\n"), {}, {"targets": None}),
    (UNTOLD, UNLABELLED, {"layout": "long"}),
    (UNTOLD, UNLABELLED, {"layout": "wide"}),
    (table("a,1,2", "a,3,4", head="id,t0,t1\n"), {"layout": "wide", **UNLABELLED}, {"layout": "long"}),
    (table("1,2,3,4,u", head="t1,t2,age,size,label\n"), {}, {"ignore_columns": ["age", "size"]}),
    (table("a,0,1,u", "a,1,1,v"), {}, {"layout": "wide", "ignore_columns": ["id"]}),
    (table("a,0,1,u", "a,1,1,v", head="subject,time,x,label\n"), {}, {"layout": "wide"}),
    (table("0,1,u", "1,1,v", head="time,x,label\n"), {"layout": "long"}, {"layout": "wide"}),
    (table("a,0,1,u", "b,0,1,"), {}, {"targets": None}),
    (table("a,0,1,u"), {"delimiter": ";"}, {"delimiter": ","}),
    (table("a,0,1,u"), {"decimal": ","}, {"decimal": "."}),
    (NUMBERS, {}, {"target_column": "first"}),
    (NUMBERS, {}, {"target_column": "last"}),
    ("1,2.5\n2,2\n", {"target_column": "kind"}, {"target_column": "first"}),
    ("1,2.5\n2,2\n", {"target_column": "1.0", "header": False}, {"target_column": "last"}),
    ("1,label\n2,a\n3,b\n", {"target_column": "label", "header": False}, {"header": True}),
    ("1,2.5\n2,2\n", {"layout": "long"}, {"targets": None}),
    (table("a,0,1,u", "b,0,1,v"), {"targets": "numbers", "target_column": "label"}, {"targets": "labels"}),
    (DAYS, UNLABELLED, {"time_format": "%d/%m/%Y"}),
    (DAYS, UNLABELLED, {"time_format": "%m/%d/%Y"}),
    (SAME_TIME, {"duplicates": "error", **UNLABELLED}, {"duplicates": "keep"}),
    (SAME_TIME, {"duplicates": "error", **UNLABELLED}, {"duplicates": "mean"}),
    (table("a,0,1,甲").encode("gb18030"), {}, {"encoding": "gb18030"}),
    (table("a,0,1,é").encode("latin-1"), {}, {"encoding": "latin-1"}),
    (table("a,0,1,u").encode("utf-16-le"), {}, {"encoding": "utf-16-le"}),
]
REMEDIES = [
    *(("a.csv", *case) for case in OF_TABLES),
    ("a.ts", "@targetLabel true\n@data\n1,2:0.5\n", {}, {"targets": "numbers"}),
    ("a.ts", "@data\n1,2\n", {}, {"targets": None}),
    ("a.arff", f"{ATTRIBUTES}@data\n1,u,2\n", {}, {"target_column": "z"}),
    ("a.arff", "@attribute a numeric\n@attribute z numeric\n@data\n1,1\n2,2\n", {}, {"target_column": "last"}),
    ("a.npz", {"a": SHAPE, "y": [1, 2]}, {"value_columns": ["X"]}, None),
    ("a.npz", {"a": SHAPE}, UNLABELLED, {"value_columns": ["a"]}),
    ("a.npz", {"X": SHAPE, "x": 0 * SHAPE, "y": [1, 2]}, {}, {"value_columns": ["X"]}),
    ("a.npz", {"X": SHAPE, "kind": [1, 2]}, {}, {"targets": None}),
    ("a.npz", {"X": SHAPE, "y": [1, 2], "label": [3, 4]}, {}, {"target_column": "label"}),
    ("a.parquet", DATES, {}, {"time_column": "x"}),
    ("a.parquet", DATES, {}, {"ignore_columns": ["x"]}),
]


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif path.suffix == ".npz":
        np.savez(path, **content)
    else:
        pd.DataFrame(content).to_parquet(path)
    return path


@pytest.mark.parametrize(("name", "content", "options", "remedy"), REMEDIES)
@pytest.mark.filterwarnings("ignore:.*occurs again")
def test_a_remedy_of_a_reader_works(tmp_path, name, content, options, remedy):
    file = write(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_series(file, **options)
    error = caught.value
    assert error.place is not None
    assert error.place.source == str(file)
    named = [one.arguments for one in error.remedies if isinstance(one, Remedy) and OPEN not in one.arguments.values()]
    if remedy is not None:
        assert remedy in named
    for name, value in (remedy or {}).items():
        assert Words().assignment(name, value) in str(error)
    if remedy is None:  # an open one, or one that leads to another question
        return
    assert len(read_series(file, **{**options, **remedy})) >= 1


def test_the_remedies_of_folders_work(tmp_path):
    for name, shape in {"a/1.png": (4, 3), "a/2.png": (4, 3), "b/1.png": (8, 6)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
    size = refused(tmp_path)
    assert size.remedies == (Remedy("size", (4, 3), "to resize them"),)
    assert len(read_series(tmp_path, **size.remedies[0].arguments)) == 3
    recipe = override(classify(), [f"data.path={tmp_path}", "data.size=4,3"])
    assert len(read_series(tmp_path, **recipe.data.columns())) == 3
    assert CommandLine(find("classify")).clause(size.remedies[0]) == "type --set data.size=4,3 to resize them"
    one = refused(tmp_path / "a/1.png")
    assert len(read_series(tmp_path / "a/1.png", **one.remedies[0].arguments)) == 1
    for remedy in refused(tmp_path, targets="numbers", size=(4, 3)).remedies:
        assert len(read_series(tmp_path, size=(4, 3), **remedy.arguments)) == 3
    for remedy in refused(tmp_path, format="csv").remedies:
        assert remedy.argument == "format"
    (tmp_path / "a/1.csv").write_text("x\n1\n")
    (tmp_path / "b/1.csv").write_text("x\n1\n")
    both = refused(tmp_path)
    assert [remedy.arguments for remedy in both.remedies] == [{"format": "tables"}, {"format": "images"}]
    for remedy in both.remedies:
        assert len(read_series(tmp_path, size=(4, 3), **remedy.arguments)) in (2, 3)


def refused(path, **options):
    with pytest.raises(DataError) as caught:
        read_series(path, **options)
    return caught.value


def test_the_remedies_of_splits_and_scaling_name_arguments_of_their_readers():
    rows = [[[np.nan, 1.0], [np.nan, 2.0]], [[1.0, 2.0], [3.0, 4.0]]]
    series = SeriesSet.from_arrays(rows, ["a", "a"], source="my.csv")
    for call, argument in (
        (lambda: split(series, by="group"), "group_column"),
        (lambda: split(series, by="time"), "time_column"),
        (lambda: Preprocessing.fit(series), "target_column"),
        (lambda: Preprocessing.fit(series[[0]]), "ignore_columns"),
    ):
        with pytest.raises(DataError, match="^my.csv: ") as caught:
            call()
        assert [remedy.argument for remedy in caught.value.remedies] == [argument]


def test_warnings_of_readers_have_remedies_that_work(tmp_path):
    file = write(tmp_path / "a.csv", table("2020-01-01,1", "2020-01-01,2", head="time,x\n"))
    with pytest.warns(DataWarning) as told:
        read_series(file, targets=None)
    warning = told[0].message
    assert warning.place == Place(str(file), line=3)
    lengths = {}
    for remedy in warning.remedies:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lengths[remedy.value] = read_series(file, targets=None, **remedy.arguments).lengths.tolist()
    assert lengths == {"first": [1], "last": [1], "mean": [1]}


ERRORS = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, RnnkitError | UserWarning)]


@pytest.mark.parametrize("cls", ERRORS)
def test_every_class_has_the_parts_and_can_be_copied(cls):
    assert str(cls("some text")) == "some text"
    made = cls("cannot be read", Place("my.csv", 3), [Remedy("layout", "wide"), "save it anew"], note="columns: 'x'")
    said = "my.csv:3: cannot be read; type layout=\"wide\", or save it anew. Columns: 'x'"
    for one in (made, pickle.loads(pickle.dumps(made)), copy.copy(made)):
        assert str(one) == said
        assert one.place == Place("my.csv", 3)
        assert one.remedies == (Remedy("layout", "wide"), "save it anew")
        assert isinstance(one, Message)


def test_how_parts_are_joined():
    assert str(DataError("is it this?", remedy="type it")) == "is it this? Type it"
    assert str(DataError("it ends.", Place("a"), note="and more")) == "a: it ends. And more"
    assert str(DataError("x", Place(""), ())) == "x"
    both = (Remedy("a", 1, "(one)"), Remedy("b", also=Remedy("c", (2,))))
    assert str(DataError("x", remedy=both)) == "x; type a=1 (one), or b= and c=(2,)"
    assert str(Remedy("a", 'it"s')) == "type a='it\"s'"
    assert str(Remedy("a", ["x", None, True])) == 'type a=["x", None, True]'


def test_a_front_end_renders_the_parts_in_its_own_words():
    error = DataError(
        "no column",
        Place("my.csv"),
        (Remedy("target_column"), Remedy("ignore_columns", ["t5", "a,b"]), Remedy("targets", None), "give it"),
    )
    told = error.in_words(CommandLine(find("regress")))
    assert str(told) == "my.csv: no column; type --set data.target=, or --set 'data.ignore=t5,\"a,b\"', or give it"
    assert (told.remedies, told.place) == (error.remedies, error.place)
    assert str(told.in_words(CommandLine(find("regress")))) == str(told)
    assert "targets=None" in str(error)


@pytest.mark.parametrize(
    ("remedy", "said", "new"),
    [
        (Remedy("encoding", "utf-16-le"), "type --set data.encoding=utf-16-le", "type --encoding utf-16-le"),
        (Remedy("delimiter", ";"), "type --set 'data.delimiter=;'", "train again with --set 'data.delimiter=;'"),
        (Remedy("header", True), "type --set data.header=true", "train again with --set data.header=true"),
        (Remedy("seed"), "type --set data.split_seed=", "train again with --set data.split_seed="),
        (Remedy("targets", "labels"), "use `rnnkit train classify`", None),
        (Remedy("targets", None), None, None),
        (Remedy("nothing", 1), None, None),
    ],
)
def test_the_words_of_the_command_line(remedy, said, new):
    assert CommandLine(find("classify")).clause(remedy) == said
    assert CommandLine(find("classify"), new=True).clause(remedy) == new


def test_the_task_says_what_its_setting_of_the_targets_is_called():
    remedy = Remedy("target_column", "y")
    assert CommandLine(find("classify")).clause(remedy) == "type --set data.label=y"
    assert CommandLine(find("regress")).clause(remedy) == "type --set data.target=y"
    own = type("Own", (find("regress"),), {"target_setting": "count"})
    assert CommandLine(own).clause(remedy) == "type --set data.count=y"
    for name in ("classify", "regress"):
        remedy = Remedy("targets", find(name).target_type)
        assert CommandLine(find("classify")).clause(remedy) == f"use `rnnkit train {name}`"


def test_refused_values_are_said_in_the_words_of_the_command_line(tmp_path):
    file = write(tmp_path / "my.csv", table("a,0,1,u"))
    with pytest.raises(ConfigError, match=r"^format='cvs' arrived; did you mean 'csv'\?$"):
        read_series(file, format="cvs")
    with (
        pytest.raises(ConfigError, match=r"^--set data.format=cvs arrived; did you mean 'csv'\?$"),
        in_settings(find("classify")),
    ):
        read_series(file, format="cvs")
    with (
        pytest.raises(ConfigError, match=r"^--encoding utf-99 arrived; expected"),
        in_settings(find("classify"), new=True),
    ):
        read_series(file, encoding="utf-99")


def test_every_argument_of_a_remedy_is_one_of_the_readers():
    from rnnkit.data.audio import read_clips, read_spoken_clips, split_clips
    from rnnkit.data.forecasting import read_time_series
    from rnnkit.data.images import read_pictures, split_pictures
    from rnnkit.data.reading import Options
    from rnnkit.data.shards import ShardSet, make_shards

    readers = (read_series, read_texts, read_text_rows, tokenize, Options, read_time_series, read_clips, split_clips)
    readers += (read_spoken_clips, read_pictures, split_pictures, ShardSet.open, make_shards)
    known = {name for reader in readers for name in inspect.signature(reader).parameters}
    named = set()
    for file in (Path(errors.__file__).parent / "data").rglob("*.py"):
        for part in file.read_text().split("Remedy(")[1:]:
            if part[0] in "'\"":
                named.add(part[1:].split(part[0])[0])
    assert {"ignore_columns", "targets", "decimal", "time_format"} <= named
    assert named - {"dtype", "seed", "text"} <= known
    assert set(SETTINGS) <= known


def test_arguments_that_are_refused_are_named_and_can_be_renamed():
    error = ConfigError.of("fit.lr", "fast", "expected a number")
    assert str(error) == "fit.lr='fast' arrived; expected a number"
    assert str(error.renamed("learning_rate")) == "learning_rate='fast' arrived; expected a number"
    assert str(pickle.loads(pickle.dumps(error)).renamed("lr")) == "lr='fast' arrived; expected a number"


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (errors.check_seed, [None, 0, np.int64(3)], [-1, 2**63, True, 1.0, "1"], "at least 0 and below"),
        (errors.check_whole, [1, np.int32(5)], [0, True, 1.5, None, "3", np.nan], "a whole number of at least 1"),
        (errors.check_number, [0, 0.5, np.float32(2)], [-1, np.nan, np.inf, True, None, "1"], "a number of at least 0"),
        (lambda v, n: errors.check_number(v, n, above=0, below=1), [0.5], [0, 1, np.nan], "above 0 and below 1"),
        (lambda v, n: errors.check_number(v, n, least=1, optional=True), [1, None], [0.5], "at least 1, or None"),
        (lambda v, n: errors.check_choice(v, n, ("a", None)), ["a", None], ["b", 0], "expected one of 'a', None"),
    ],
)
def test_range_checks(check, good, bad, message):
    for value in good:
        check(value, "name")
    for value in bad:
        with pytest.raises(ConfigError, match=message) as caught:
            check(value, "name")
        assert str(caught.value).startswith(f"name={value!r} arrived; ")
        assert caught.value.argument == "name"


def test_findings_keep_their_remedy_in_copies():
    found = DataFinding.of("The numbers are those of things", Remedy("mask_values", "classes", "if they are not"))
    for one in (found, copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert one == 'The numbers are those of things; type mask_values="classes" if they are not.'
        assert one.in_words(None) == "The numbers are those of things."
        assert "type --set data.mask_values=classes if" in one.in_words(DataSettings({"mask_values": "mask_values"}))


def test_an_estimator_names_settings_as_its_parameters():
    from rnnkit.estimators._settings import in_parameters

    error = ConfigError.about(Setting("fit.lr"), "=3 and ", Setting("model.kind"), "=direct arrived")
    assert str(error) == "fit.lr=3 and model.kind=direct arrived"
    assert (
        str(in_parameters(error, {"learning_rate": "lr", "model": "kind"}))
        == "learning_rate=3 and model=direct arrived"
    )
