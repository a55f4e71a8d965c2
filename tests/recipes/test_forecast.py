"""The recipe for forecasts: a run on a small table, its files, and the verbs that use it."""

import json
from dataclasses import asdict, replace
from html import escape

import numpy as np
import pytest
import torch
from pages import faults_of

from rnnkit.diagnostics import diagnose
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import DataRequest, find
from rnnkit.recipes.forecast import Fit, Forecast, Model
from rnnkit.recipes.forecast_source import ForecastSource
from rnnkit.runs.settings import override, restore
from rnnkit.tasks.forecasting import load_forecaster

pytest.importorskip("pandas")


def write(file, steps=240, series=("a",), first="2024-01-01"):
    random = np.random.default_rng(0)
    stamps = np.datetime64(first) + np.arange(steps) * np.timedelta64(1, "h")
    lines = ["unique_id,ds,y,wind"]
    for at, name in enumerate(series):
        values = 50 + 10 * np.sin(np.arange(steps) * 2 * np.pi / 24 + at) + random.normal(size=steps)
        lines += [
            f"{name},{stamp},{value:.3f},{step % 7}"
            for step, (stamp, value) in enumerate(zip(stamps, values, strict=True))
        ]
    file.write_text("\n".join(lines) + "\n")
    return file


def recipe(file, **settings):
    small = Forecast(
        horizon=3,
        lookback=8,
        model=Model(hidden_size=4),
        fit=Fit(epochs=1, batch_size=32),
        data=ForecastSource(path=str(file), target=("y",)),
        baselines="naive",
    )
    return replace(small, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    chosen = recipe(write(folder / "t.csv", series=("a", "b")), baselines="all")
    out = folder / "run"
    out.mkdir()
    return chosen, out, chosen.run(out)


def test_a_run_is_scored_beside_the_baselines(run):
    _, folder, metrics = run
    assert set(metrics["baselines"]) == {
        "persistence",
        "drift",
        "mean",
        "seasonal_24",
        "seasonal_168",
        "ridge",
        "dlinear",
    }
    assert {"mae", "mse", "mase", "crps", "coverage_80", "interval_80_coverage"} <= set(metrics["test"])
    assert 0 < metrics["baselines"]["ridge"]["mae"] < metrics["baselines"]["persistence"]["mae"]
    assert metrics["rows"] == {"train": 316, "validation": 44, "test": 92}
    assert metrics["verdict"].startswith("The network is")
    assert any("hourly" in one for one in metrics["troubles"])
    stored = json.loads((folder / "metrics.json").read_text())
    assert stored["chosen_on"].startswith("validation")
    assert len(json.loads((folder / "scores.json").read_text())["network"]["by_step"]["mae"]) == 3
    assert (folder / "findings.txt").read_text().splitlines() == [*metrics["troubles"], metrics["verdict"]]
    assert (folder / "forecast.png").stat().st_size > 1_000
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert faults_of(page) == []
    assert "<h1>Forecasts of 2 series, hourly, 3 steps ahead</h1>" in page
    assert all(f"<li>{escape(one)}</li>" in page for one in metrics["troubles"])


def test_the_steps_to_come(run):
    chosen, folder, _ = run
    rows = (folder / "forecast.csv").read_text().splitlines()
    assert rows[0] == "unique_id,ds,forecast,low_80,high_80"
    assert len(rows) == 7
    table = chosen.predict(folder, DataRequest(folder.parent / "t.csv"))
    assert table["unique_id"] == ["a", "a", "a", "b", "b", "b"]
    assert table["ds"][:2] == ["2024-01-11", "2024-01-11 01:00"]
    assert all(
        low <= middle <= high
        for low, middle, high in zip(table["low_80"], table["forecast"], table["high_80"], strict=True)
    )
    assert all(20 < value < 80 for value in table["forecast"])
    assert rows[1].split(",")[2] == str(table["forecast"][0])


def test_the_verbs_judge_again_and_on_other_files(run):
    chosen, folder, metrics = run
    again = chosen.evaluate(folder)
    assert again["mae"] == pytest.approx(metrics["test"]["mae"], rel=1e-5)
    assert chosen.validate(folder)["mae"] == pytest.approx(metrics["validation"]["mae"], rel=1e-5)
    other = write(folder.parent / "later.csv", steps=60, series=("new",), first="2024-03-01")
    figures = chosen.evaluate(folder, DataRequest(other))
    assert np.isfinite(figures["mae"])
    assert np.isnan(figures["mase"])
    assert chosen.predict(folder, DataRequest(other))["unique_id"] == ["new"] * 3
    with pytest.raises(DataError, match="judge on a file of other steps: --data FILE"):
        replace(chosen, data=replace(chosen.data, ignore=("wind",))).evaluate(folder)


def test_errors_name_the_settings(tmp_path):
    file = write(tmp_path / "t.csv", steps=60)
    with pytest.raises(DataError, match="type --set data.target="):
        recipe(file, data=ForecastSource(path=str(write_without_target(tmp_path)))).prepare()
    with pytest.raises(DataError, match="no window fits into the steps of validation.*expected at least 11"):
        recipe(file, data=ForecastSource(path=str(file), target=("y",), steps=(40, 2, 18))).prepare()
    with pytest.raises(ConfigError, match=r"data\.path is missing"):
        recipe(file, data=ForecastSource()).prepare()
    with pytest.raises(ConfigError, match="expected one of them"):
        ForecastSource(steps=(1, 1, 1), dates=("2024-01-01", "2024-02-01"))
    with pytest.raises(ConfigError, match="fit.loss=mse is for model.output=point"):
        recipe(file, fit=Fit(loss="mse"))
    with pytest.raises(ConfigError, match=r"data\.scale=none"):
        recipe(file, model=Model(output="negative_binomial"))


def write_without_target(folder):
    (folder / "u.csv").write_text("ds,a,b\n2024-01-01,1,2\n2024-01-02,3,5\n")
    return folder / "u.csv"


@pytest.mark.parametrize("kind", ["segment", "deepar", "encoder_decoder"])
def test_every_kind_of_network_and_output(kind, tmp_path):
    output = {"segment": "point", "deepar": "gaussian", "encoder_decoder": "student_t"}[kind]
    chosen = recipe(
        write(tmp_path / "t.csv", steps=90),
        model=Model(kind=kind, hidden_size=4, output=output, segment=4, norm="none"),
        fit=Fit(epochs=1, batch_size=64, loss="l1" if output == "point" else None),
    )
    chosen.run(tmp_path)
    predictor = load_forecaster(tmp_path)
    assert bool(predictor.levels) == (output != "point")
    assert len(chosen.predict(tmp_path, DataRequest(tmp_path / "t.csv"))["forecast"]) == 3
    # DeepAR reads the horizon's true values, too, when it is measured.
    found = diagnose(*chosen.inspection_data(tmp_path)[:4], rows=8)
    assert found.evidence.horizon.length == {"segment": 2, "deepar": 11, "encoder_decoder": 8}[kind]
    assert found.evidence.horizon.steps > 0
    assert all(torch.isfinite(one.rows).all() for one in found.evidence.flow.layers)
    assert found.evidence.activity
    assert found.evidence.spectra


def test_the_recipe_is_found_by_its_name():
    assert find("forecast")().capabilities() == ("train", "evaluate", "predict", "inspect", "finetune")


def test_a_linear_map_and_convolutions_of_direct_networks():
    from rnnkit.types import WindowLayout

    model = Model(hidden_size=4, linear=True, conv_channels=3).build(WindowLayout(lookback=8, horizon=3))
    assert model.linear.in_features == 8
    assert model.body.input_size == 3
    for name in ({"linear": True}, {"conv_channels": 3}):
        with pytest.raises(ConfigError, match=f"model.{next(iter(name))}=.* is for model.kind=direct"):
            Forecast(model=Model(kind="segment", **name))


@pytest.mark.parametrize(
    ("typed", "known"),
    [("true", 6), ("false", 0), ("day_of_year", 2), ("hour,weekday", 4)],
)
def test_the_calendar_is_chosen(typed, known, tmp_path):
    chosen = override(recipe(write(tmp_path / "t.csv")), [f"data.calendar={typed}"])
    assert len(chosen.prepare().preprocessing.layout.known) == known
    assert restore(Forecast(), asdict(chosen)) == chosen
