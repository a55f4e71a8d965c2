"""Scaling, gaps, labels and the comparison of columns; all measured on the training part alone."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from rnnkit.data import Preprocessing, SeriesSet, check_columns, read_series
from rnnkit.data.labels import encode_labels, sorted_classes
from rnnkit.errors import ConfigError, DataError
from rnnkit.types import Sequences

NAN = float("nan")


def series_of(*rows, targets=None, **options):
    return SeriesSet.from_arrays([np.array(row, np.float32) for row in rows], targets, **options)


@pytest.mark.parametrize(
    ("scale", "center", "spread"),
    [("standard", [2, 20], [np.std([1, 2, 3]), 10]), ("minmax", [1, 10], [2, 20]), ("none", [0, 0], [1, 1])],
)
def test_scales_leave_gaps_and_padding_out(scale, center, spread):
    train = series_of([[1, 10], [NAN, 10], [3, NAN]], [[2, 30]], [[NAN, 30]])
    prepare = Preprocessing.fit(train, scale=scale)
    assert prepare.center == pytest.approx(center)
    assert prepare.spread == pytest.approx(spread)
    inputs = prepare.transform(train)
    assert isinstance(inputs, Sequences)
    assert inputs.lengths.tolist() == [3, 1, 1]
    filled = np.array([[1, 10], [1, 10], [3, 10]])  # forward; a series that begins with a gap gets the mean
    torch.testing.assert_close(inputs.values[0], torch.tensor((filled - center) / spread, dtype=torch.float32))
    np.testing.assert_allclose(inputs.values[2, 0], (np.array([2, 30]) - center) / spread, rtol=1e-6)
    assert inputs.values[1:, 1:].abs().sum() == 0


def test_equal_lengths_make_a_tensor_and_other_data_is_scaled_as_training():
    prepare = Preprocessing.fit(series_of([1, 3], [1, 3]))
    assert prepare.transform(series_of([1, 3, 5])).tolist() == [[[-1], [1], [3]]]


def test_gaps_do_not_reach_over_from_one_series_to_the_next():
    prepare = Preprocessing.fit(series_of([0, 4]), scale="none")
    assert prepare.transform(series_of([1, 9], [NAN, 5], [NAN, 3])).flatten(1).tolist() == [[1, 9], [2, 5], [2, 3]]


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("offset", [1e7, -1e8])
def test_a_large_offset_costs_no_precision(tmp_path, scale, offset):
    """Centre and scale in float64; only then is float32 made. Neither arrays nor files lose digits before that."""
    x = np.random.default_rng(0).normal(0, 0.3, (6, 5)).round(6)
    plain = SeriesSet.from_arrays(x)
    expected = Preprocessing.fit(plain, scale=scale).transform(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is not constant
        for name, series in series_from_everywhere(tmp_path, x + offset).items():
            inputs = Preprocessing.fit(series, scale=scale).transform(series)
            assert inputs.dtype == torch.float32
            torch.testing.assert_close(inputs, expected, rtol=0, atol=1e-5, msg=name)


def series_from_everywhere(folder, x):
    """The series [N, T] from arrays, a DataFrame, and files of every kind."""
    steps = {f"t{at}": x[:, at] for at in range(x.shape[1])}
    wide = pd.DataFrame({**steps, "label": ["u", "v"] * (len(x) // 2)})
    long = pd.DataFrame(
        {"id": np.repeat(np.arange(len(x)), x.shape[1]), "time": np.tile(np.arange(x.shape[1]), len(x))}
    )
    long["value"] = x.ravel()
    wide.to_csv(folder / "wide.csv", index=False)
    wide.drop(columns="label").to_csv(folder / "headerless.csv", index=False, header=False)
    long.to_csv(folder / "long.csv", index=False)
    long.to_parquet(folder / "long.parquet")
    pd.DataFrame({"value": list(x)}).to_parquet(folder / "lists.parquet")
    np.savez(folder / "x.npz", X=x)
    rows = [",".join(map(repr, row)) for row in x.tolist()]
    (folder / "x.ts").write_text("@data\n" + "\n".join(rows) + "\n")
    heads = "".join(f"@attribute t{at} numeric\n" for at in range(x.shape[1]))
    (folder / "x.arff").write_text(f"@relation x\n{heads}@data\n" + "\n".join(rows) + "\n")
    (folder / "tables").mkdir()
    for at, row in enumerate(x):
        pd.DataFrame({"value": row}).to_csv(folder / "tables" / f"{at}.csv", index=False)
    options = {"headerless.csv": {"layout": "wide"}}
    found = {file.name: read_series(file, targets=None, **options.get(file.name, {})) for file in folder.iterdir()}
    return found | {
        "arrays": SeriesSet.from_arrays(x),
        "frame": read_series(wide),
        "long frame": read_series(long, targets=None),
    }


@pytest.mark.parametrize(("dtype", "constant"), [(np.float64, False), (np.float32, True)])
def test_rounding_of_the_type_that_arrived_is_no_signal(dtype, constant):
    x = np.array([[1e7, 1e7 + 0.5, 1e7 - 0.25]]).astype(dtype)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Preprocessing.fit(SeriesSet.from_arrays(x))
    assert [str(one.message)[:8] for one in caught] == ["constant"] * constant


def test_missing_steps_at_the_end_are_padding_wherever_they_come_from(tmp_path):
    """One rule for arrays, lists, DataFrames and files; with it the same rows have the same inputs."""
    x = np.array([[1.0, 2.0, 3.0, 4.0], [NAN, 5.0, NAN, NAN], [7.0, NAN, 8.0, NAN], [1.0, 3.0, 2.0, 2.0]])
    lengths = [4, 2, 3, 4]
    expected = SeriesSet.from_arrays([row[:steps] for row, steps in zip(x, lengths, strict=True)])
    prepare = Preprocessing.fit(expected, missing="indicator+elapsed")
    inputs = prepare.transform(expected)
    everywhere = series_from_everywhere(tmp_path, x)
    np.savez(tmp_path / "lengths.npz", X=x, lengths=np.full(4, 4))
    everywhere["lengths.npz"] = read_series(tmp_path / "lengths.npz", targets=None)
    everywhere["a list"] = SeriesSet.from_arrays([*x[:3], x[3].tolist()])
    for name, series in everywhere.items():
        assert series.lengths.tolist() == lengths, name
        assert series.step_times is None or [len(one) for one in series.step_times] == lengths, name
        again = prepare.transform(series)
        torch.testing.assert_close(again.values, inputs.values, rtol=0, atol=0, msg=name)
        assert Preprocessing.fit(series).center == prepare.center, name
    two = np.stack([x, x[:, ::-1]], 2)  # a step is padding if all of its channels are missing
    assert SeriesSet.from_arrays(two).lengths.tolist() == [4, 3, 4, 4]


def test_a_series_without_a_value_is_refused_wherever_it_comes_from(tmp_path):
    x = np.array([[1.0, 2.0], [NAN, NAN], [3.0, 4.0], [5.0, 6.0]])
    series_from_everywhere(tmp_path, np.nan_to_num(x))
    (tmp_path / "long.csv").write_text("id,time,value\na,0,1\nb,0,\na,1,2\nb,1,\n")
    pd.DataFrame({"value": list(x)}).to_parquet(tmp_path / "lists.parquet")
    np.savez(tmp_path / "x.npz", X=x)
    np.savez(tmp_path / "lengths.npz", X=x, lengths=[2, 2, 2, 2])
    for name in ("wide.csv", "headerless.csv", "x.ts", "x.arff"):
        file = tmp_path / name
        file.write_text(file.read_text().replace("0.0,0.0", "?,?"))
    (tmp_path / "tables" / "1.csv").write_text("value\n?\n?\n")
    places = {
        "long.csv": "long.csv:3: ", "wide.csv": "wide.csv:3: ", "headerless.csv": "headerless.csv:2: ",
        "x.ts": "x.ts:3: ",
        "x.arff": "x.arff:6: ", "x.npz": "series 1: ", "lengths.npz": "series 1: ", "lists.parquet": "row 2: ",
        "tables": "1.csv",
    }  # fmt: skip
    for name, place in places.items():
        with pytest.raises(DataError, match="the series has no value at all; leave the series out") as caught:
            read_series(tmp_path / name, targets=None, **({"layout": "wide"} if name == "headerless.csv" else {}))
        assert place in str(caught.value), name
    for arrays in (x, list(x), [*x, np.ones(3)]):
        with pytest.raises(DataError, match="series 1: the series has no value at all"):
            SeriesSet.from_arrays(arrays)
    with pytest.raises(DataError, match="series b: the series has no value at all"):
        SeriesSet([np.ones((2, 1)), np.full((2, 1), NAN)], ("x",), None, ("a", "b"))


def test_indicators_and_time_since_observed():
    """The example of Che et al. 2018, figure 3."""
    clock = np.array([0, 0.1, 0.6, 1.6, 2.2, 2.5, 3.1])
    row = np.array([[47, 49, NAN, 40, NAN, 43, 55], [NAN, 15, 14, NAN, NAN, NAN, 15]], np.float32).T
    series = SeriesSet([row], ("x", "y"), None, ("a",), step_times=[clock])
    prepare = Preprocessing.fit(series, scale="none", missing="indicator+elapsed")
    inputs = prepare.transform(series)
    assert inputs.shape == (1, 7, prepare.input_size) == (1, 7, 6)
    assert inputs[0, :, 2:4].T.tolist() == [[1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 0, 0, 0, 1]]
    waited = torch.expm1(inputs[0, :, 4:].double()) * prepare.median_step
    expected = [[0, 0.1, 0.5, 1.5, 0.6, 0.9, 0.6], [0, 0.1, 0.5, 1.0, 1.6, 1.9, 2.5]]
    np.testing.assert_allclose(waited.T, expected, atol=1e-6)
    assert prepare.median_step == pytest.approx(0.55)
    without = SeriesSet.from_arrays([row[:, :1], row[:, 1:]])
    counted = Preprocessing.fit(without, scale="none", missing="indicator+elapsed").transform(without)
    np.testing.assert_allclose(torch.expm1(counted[..., 2]), [[0, 1, 1, 2, 1, 2, 1], [0, 1, 1, 1, 2, 3, 4]], atol=1e-5)


def test_constant_channels_keep_the_scale_1_and_are_named():
    train = series_of([[1, 7], [2, 7]], channels=["x", "room"])
    with pytest.warns(UserWarning, match="they say nothing: 'room'; their scale stays 1"):
        prepare = Preprocessing.fit(train)
    assert prepare.spread[1] == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # small beside its size, but no rounding
        assert Preprocessing.fit(series_of([1e6, 1e6 + 1])).spread[0] == 0.5
    assert prepare.transform(series_of([[1, 9]], channels=["x", "room"]))[0, 0, 1] == 2


def test_numbers_as_targets_are_scaled_and_scaled_back():
    train = series_of([1, 2], [3, 4], targets=np.array([[10.0, 1], [30.0, 2]]))
    prepare = Preprocessing.fit(train)
    scaled = prepare.transform_targets(train)
    assert (scaled.tolist(), scaled.dtype, prepare.output_size) == ([[-1, -1], [1, 1]], torch.float32, 2)
    np.testing.assert_allclose(prepare.inverse_targets(scaled), train.targets)
    one = Preprocessing.fit(series_of([1, 2], [3, 4], targets=np.array([10.0, 30.0])))
    assert one.inverse_targets(torch.tensor([0.0, 1.0])).tolist() == [20, 30]
    assert Preprocessing.fit(train, target_scale="none").transform_targets(train).tolist() == train.targets.tolist()


def test_labels_are_numbered_in_order():
    train = series_of([1], [2], [3], targets=["10", "9", "10"])
    prepare = Preprocessing.fit(train)
    assert (prepare.classes, prepare.transform_targets(train).tolist()) == (("9", "10"), [1, 0, 1])
    assert prepare.inverse_targets(torch.tensor([[0.2, 0.1], [0, 1]])).tolist() == ["9", "10"]
    assert prepare.inverse_targets([1]).tolist() == ["10"]
    assert sorted_classes(["b", "-1", "a"]) == ("-1", "a", "b")
    assert sorted_classes(["c_10", "c_2", "c_1", "c_01"]) == ("c_01", "c_1", "c_2", "c_10")
    assert sorted_classes(["10", "9", "-1.5"]) == ("-1.5", "9", "10")
    with pytest.raises(DataError, match=r"unseen classes '7', '8', first in series q; known: '9', '10'"):
        prepare.transform_targets(series_of([1], [2], [1], targets=["9", "8", "7"], ids=["p", "q", "r"]))
    assert encode_labels([1, 2], ("2", "1")).tolist() == [1, 0]


def test_json_both_ways():
    train = series_of([0.1, 1 / 3], [2, 7], targets=["正常", "异常"])
    for series in (train, series_of([0.1, 1 / 3], [2, 7], targets=np.array([0.1, 0.3]))):
        prepare = Preprocessing.fit(series, missing="indicator")
        again = Preprocessing.from_json(json.loads(json.dumps(prepare.to_json())))
        assert again == prepare
        torch.testing.assert_close(again.transform(train), prepare.transform(train), rtol=0, atol=0)
    for wrong in ({}, {**prepare.to_json(), "version": 99}, [], None):
        with pytest.raises(DataError, match="no preprocessing that this version of rnnkit wrote"):
            Preprocessing.from_json(wrong)


@pytest.mark.parametrize(
    ("train", "options", "error", "message"),
    [
        (
            series_of([1], [2], targets=["a", "a"]),
            {},
            DataError,
            "all 2 series .* have the label 'a'; expected at least",
        ),
        (series_of([[1, NAN]], channels=["x", "y"]), {}, DataError, "channel 'y' has no value in the training part"),
        (series_of([1, 2]), {"scale": "robust"}, ConfigError, "scale='robust' arrived"),
        (series_of([1, 2]), {"missing": "drop"}, ConfigError, "missing='drop' arrived"),
        (series_of([1, 2])[[]], {}, DataError, "an empty training part"),
        (series_of([1, 2], targets=[NAN]), {}, DataError, "target 0 is not finite"),
    ],
)
def test_what_cannot_be_fitted(train, options, error, message):
    with pytest.raises(error, match=message):
        Preprocessing.fit(train, **options)


def test_targets_that_do_not_fit():
    labels = Preprocessing.fit(series_of([1], [2], targets=["a", "b"]))
    numbers = Preprocessing.fit(series_of([1], [2], targets=[0.5, 1.5]))
    neither = Preprocessing.fit(series_of([1], [2]))
    with pytest.raises(DataError, match="has no targets"):
        labels.transform_targets(series_of([1]))
    with pytest.raises(DataError, match='labels arrived where .* targets="numbers"'):
        numbers.transform_targets(series_of([1], targets=["a"]))
    with pytest.raises(DataError, match="expected 1 a series"):
        numbers.transform_targets(series_of([1], targets=[[0.5, 1.5]]))
    with pytest.raises(DataError, match="the training part had no targets"):
        neither.transform_targets(series_of([1], targets=["a"]))


def test_columns_are_compared_by_name():
    train = series_of([[1, 2, 3]], channels=["x", "y", "z"])
    shuffled = series_of([[3, 1, 2]], channels=["z", "x", "y"])
    assert check_columns(shuffled, train.channels).values[0].tolist() == [[1, 2, 3]]
    with pytest.raises(
        DataError, match=r"new.csv: the columns differ .*: missing 'y', 'z'; extra 'w'. Expected 'x', 'y'"
    ):
        check_columns(series_of([[1, 2]], channels=["x", "w"], source="new.csv"), train.channels)
    with pytest.raises(DataError, match="extra 'z'"):
        Preprocessing.fit(series_of([[1, 2], [2, 1]], channels=["x", "y"])).transform(train)


def test_reading_new_data_as_the_training_data(tmp_path):
    (tmp_path / "train.csv").write_text("who;when;x;y;kind\na;1;1,5;2;u\na;2;2;3;u\nb;1;2,5;4;v\n")
    (tmp_path / "new.csv").write_text("y;x;when;who;kind\n7;3,5;1;c;?\n")
    train = read_series(tmp_path / "train.csv", id_column="who", time_column="when", target_column="kind")
    prepare = Preprocessing.from_json(json.loads(json.dumps(Preprocessing.fit(train).to_json())))
    new = prepare.read(tmp_path / "new.csv")
    assert (new.ids, new.values[0].tolist(), new.channels, new.targets) == (("c",), [[3.5, 7]], ("x", "y"), None)
    (tmp_path / "wrong.csv").write_text("who;when;x;z\nc;1;3,5;7\n")
    with pytest.raises(DataError, match=r"wrong.csv: the columns differ .*: missing 'y'; extra 'z'"):
        prepare.read(tmp_path / "wrong.csv")
    (tmp_path / "none.csv").write_text("when;x;y\n1;3,5;7\n")
    with pytest.raises(DataError, match="there is no column 'who'"):
        prepare.read(tmp_path / "none.csv")


def test_steps_of_a_wide_table_are_compared_by_name(tmp_path):
    (tmp_path / "train.csv").write_text("rise,peak,fall,label\n1,2,3,u\n4,5,6,v\n")
    (tmp_path / "new.csv").write_text("fall,rise,label,peak\n3,1,w,2\n,4,w,5\n")
    prepare = Preprocessing.fit(read_series(tmp_path / "train.csv"))
    assert [row.tolist() for row in prepare.read(tmp_path / "new.csv").values] == [[[1], [2], [3]], [[4], [5]]]
    (tmp_path / "new.csv").write_text("rise,peak,end,label\n1,2,3,u\n")
    with pytest.raises(DataError, match="missing 'fall'; extra 'end'"):
        prepare.read(tmp_path / "new.csv")
    pd.DataFrame({"fall": [3], "rise": [1], "peak": [2]}).to_parquet(tmp_path / "new.parquet")
    assert prepare.read(tmp_path / "new.parquet").values[0].tolist() == [[1], [2], [3]]
    headerless = tmp_path / "plain.csv"
    headerless.write_text("1,0.5,0.25\n1,2,3\n2,3,4\n")
    plain = Preprocessing.fit(read_series(headerless))
    assert plain.read(headerless).lengths.tolist() == [2, 2, 2]
    headerless.write_text("0.5,0.25\n2,3\n")
    assert plain.read(headerless).values[0].tolist() == [[0.5], [0.25]]  # no label, nothing set aside
    headerless.write_text("2,0.5,0.75,7.5\n2,0.5,0.75,1\n")  # the label alone would not be told from these
    assert plain.read(headerless, targets="labels").targets.tolist() == ["2", "2"]


def test_new_series_of_another_length_than_all_trained_on_are_told(tmp_path, recwarn):
    rows = np.arange(8.0).reshape(2, 4)
    np.savez(tmp_path / "train.npz", x=rows, y=np.array(["a", "b"]))
    np.savez(tmp_path / "new.npz", x=rows[:, :3], y=np.array(["a", "b"]))
    prepare = Preprocessing.fit(read_series(tmp_path / "train.npz"))
    prepare.read(tmp_path / "train.npz")
    before_it_was_kept = {name: value for name, value in prepare.to_json().items() if name != "lengths"}
    Preprocessing.from_json(before_it_was_kept).read(tmp_path / "new.npz")
    assert not recwarn
    with pytest.warns(UserWarning, match="new.npz: series of 3 steps arrived; all that .* trained on have 4"):
        prepare.read(tmp_path / "new.npz")


def test_model_files_keep_the_key_of_the_read_options():
    train = replace(SeriesSet.from_arrays(np.arange(6.0).reshape(2, 3), ["a", "b"]), read_options={"form": "table"})
    stored = json.loads(json.dumps(Preprocessing.fit(train).to_json()))
    assert stored["roles"] == {"form": "table"}
    assert "read_options" not in stored
    assert Preprocessing.from_json(stored).read_options == {"form": "table"}


def test_classes_are_listed_in_natural_order():
    names = ["class_10", "class_2", "class_1"]
    series = SeriesSet.from_arrays([np.zeros((3, 1))] * 3, names)
    assert "labels 'class_1', 'class_2', 'class_10'" in repr(series)
    prepare = Preprocessing.fit(series)
    assert prepare.classes == ("class_1", "class_2", "class_10")
    assert prepare.transform_targets(series).tolist() == [2, 1, 0]
