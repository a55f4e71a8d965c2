"""The measurements of forecasters, in small."""

import subprocess

import numpy as np
import pytest
import torch
from tolerances import assert_close

import rnnkit
from benchmarks import environment, few_observations, forecasting
from rnnkit.data.forecasting import TimeSeries

SIZES = forecasting.Sizes(series=3, steps=60, lookback=6, horizon=2, batch=4, hidden=4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_both_models_are_the_same(cell):
    windows = forecasting.make_windows(forecasting.make_values(SIZES), SIZES)
    ours = rnnkit.DirectForecaster(windows.layout, cell, SIZES.hidden)
    theirs = forecasting.TorchForecaster(cell, SIZES)
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    theirs.body.load_state_dict(ours.body.state_dict())
    theirs.head.load_state_dict(ours.head.state_dict())
    batch = windows[:5]
    assert_close(theirs(batch.inputs), ours(batch.inputs))


def test_the_windows_are_standardised_and_as_many_as_there_are():
    values = forecasting.make_values(SIZES)
    assert np.allclose([one.std() for one in values], 1)
    assert len(forecasting.make_windows(values, SIZES)) == 3 * (48 - 6 - 2 + 1)


def test_without_the_peer_the_rest_is_measured(monkeypatch, capsys):
    def fail(*_):
        raise subprocess.CalledProcessError(1, ["pip"])

    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(forecasting, "neuralforecast_folder", fail)
    assert forecasting.main(["--rounds", "1", "--steps", "2"], SIZES) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("neuralforecast is missing and is left out: Command '['pip']' returned non-zero")
    assert [line.partition(":")[0] for line in said[2:]] == ["train LSTM", "train GRU"]


def test_the_peer_is_installed_without_another_torch(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: calls.append(command))
    folder = tmp_path / ".venv-neuralforecast"
    folder.mkdir()
    assert environment.neuralforecast_folder(print) == environment.neuralforecast_folder(print) == folder
    assert len(calls) == 1
    assert "--no-deps" in calls[0]
    installed = folder / "requirements.txt"
    installed.write_text("# another comment\n" + installed.read_text())
    environment.neuralforecast_folder(print)
    assert len(calls) == 1
    installed.write_text(installed.read_text() + "more==1.0\n")
    environment.neuralforecast_folder(print)
    assert len(calls) == 2
    packages = [line.partition("=")[0] for line in environment.NEURALFORECAST.read_text().splitlines()]
    assert "neuralforecast" in packages
    assert "torch" not in packages


def test_a_ratio_is_judged_for_each_cell_and_peer(capsys):
    assert not forecasting.show("lstm", {"rnnkit": 300.0, "torch.nn": 150.0, "neuralforecast": 100.0})
    assert forecasting.show("gru", {"rnnkit": 300.0, "torch.nn": 150.0})
    assert "2.00 × (at least 3)" in capsys.readouterr().out


FEW = few_observations.Sizes(
    parts=(200, 60, 60), share=0.4, lookback=8, horizon=2, hidden=4, segment=4, pretraining=1, alone=1, tuned=1,
    rates_alone=(1e-3, 3e-3), rates_tuned=(1e-3,), batch=64,
)  # fmt: skip


def test_the_new_series_is_known_in_part_and_judged_on_its_test_part():
    series = TimeSeries.from_arrays([np.arange(330.0)], start="2016-07-01", frequency="hour")
    few = few_observations.few_windows(series, FEW)
    assert few.train.truth().max() == 63  # 80 hours are known, the last 16 of them choose
    assert (few.validation.truth().min(), few.validation.truth().max()) == (64, 79)
    assert (few.test.truth().min(), few.test.truth().max()) == (260, 319)
    assert few.train.source.center.tolist() == [np.arange(64).mean()]


@pytest.mark.parametrize("kind", ["segment", "direct"])
def test_pretraining_is_compared_on_each_series(kind, tmp_path, capsys):
    random = np.random.default_rng(0)
    stamps = np.datetime64("2016-07-01T00") + np.arange(330)
    rows = random.normal(size=(330, 7)).round(3) + np.sin(np.arange(330) / 4)[:, None]
    lines = [",".join(("date", *few_observations.NAMES))]
    lines += [f"{stamp},{','.join(map(str, row))}" for stamp, row in zip(stamps, rows, strict=True)]
    (tmp_path / "e.csv").write_text("\n".join(lines) + "\n")
    torch.manual_seed(0)
    few_observations.main(["--data", str(tmp_path / "e.csv"), "--series", "OT,HUFL", "--kind", kind], FEW)
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said[:2]] == ["OT", "HUFL"]
    assert said[-1].startswith("on average the error is ")


def test_the_gain_is_the_mean_of_all_series(tmp_path, monkeypatch):
    header = ",".join(("date", *few_observations.NAMES))
    rows = [f"2016-07-01T{hour:02},{','.join(str(hour + at) for at in range(7))}" for hour in range(20)]
    (tmp_path / "e.csv").write_text("\n".join([header, *rows]) + "\n")
    made = few_observations.Result("OT", alone=4.0, tuned=3.0, untuned=5.0, seasonal=6.0)
    monkeypatch.setattr(few_observations, "study", lambda series, name, sizes: made._replace(name=name))
    found = few_observations.measure(1, FEW, tmp_path / "e.csv")
    assert found["gain"] == 0.25
    assert [one["name"] for one in found["series"]] == list(few_observations.NAMES)
