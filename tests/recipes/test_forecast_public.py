"""The recipes for public time series, on small series of the same form."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rnnkit.errors import ConfigError
from rnnkit.recipes import find
from rnnkit.recipes.forecast_summary import steps_ahead, tell_errors
from rnnkit.tasks.forecast_scores import ScoreSums

pytest.importorskip("pandas")
NAMES = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def write(file, columns, start, step, steps):
    stamps = np.datetime64(start) + np.arange(steps) * np.timedelta64(1, step)
    rows = zip(stamps, *columns.values(), strict=True)
    file.write_text("\n".join([",".join(("date", *columns)), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(file)


def small(name, file, **data):
    recipe = find(name)()
    model = replace(recipe.model, hidden_size=4)
    fit = replace(recipe.fit, epochs=1)
    return replace(recipe, model=model, fit=fit, data=replace(recipe.data, path=file, **data))


def test_etth1_has_the_windows_of_the_protocol_and_standard_units(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit.tasks.forecast_comparison._STEPS", (20, 20))
    random = np.random.default_rng(0)
    columns = {name: 10 * row + (row + 1) * random.normal(size=330).round(3) for row, name in enumerate(NAMES)}
    file = write(tmp_path / "e.csv", columns, "2016-07-01T00", "h", 330)
    recipe = small("forecast-etth1", file, steps=(200, 60, 60))
    assert (recipe.horizon, recipe.lookback, recipe.data.public) == (96, 96, "etth1")
    assert find("forecast-etth1")().data.steps == (8640, 2880, 2880)
    recipe = replace(recipe, horizon=12, lookback=24, model=replace(recipe.model, segment=6))
    prepared = recipe.prepare()
    # Of each variable: training windows inside of its part; test windows that look back into the validation part.
    assert [len(one) for one in prepared.windows] == [7 * (200 - 24 - 12 + 1), 7 * (60 - 12 + 1), 7 * (60 - 12 + 1)]
    (tmp_path / "run").mkdir()
    metrics = prepared.run(tmp_path / "run")
    assert "All figures count the scales of the series." in metrics["troubles"]
    assert metrics["verdict"].startswith("The network is")
    assert "MSE" in metrics["verdict"]
    assert metrics["summary"][0].startswith(f"All 12 steps: MSE {metrics['test']['mse']:.4g}; persistence ")
    assert "dlinear" in metrics["summary"][0]
    # On the scale of the training part of each variable.
    scaled = [(values - values[:200].mean()) / values[:200].std() for values in columns.values()]
    usual = [one[at : at + 12] - one[at - 24 : at].mean() for one in scaled for at in range(260, 309)]
    assert metrics["baselines"]["mean"]["mse"] == pytest.approx(np.mean(np.square(usual)))
    step = [np.abs(one[260:309] - one[259:308]) for one in scaled]
    assert metrics["ahead"]["1"]["persistence"]["mae"] == pytest.approx(np.mean(step))
    assert list(metrics["ahead"]) == ["1"]
    usual = np.abs(usual).reshape(7, -1).mean(1)
    season = [np.abs(one[24:200] - one[:176]).mean() for one in scaled]
    assert metrics["baselines"]["mean"]["mase"] == pytest.approx(np.mean(usual / season))
    again = recipe.evaluate(tmp_path / "run")
    assert again["mse"] == pytest.approx(metrics["test"]["mse"], rel=1e-5)


def test_weather_is_scored_1_3_and_7_days_ahead_beside_climatology(tmp_path):
    random = np.random.default_rng(0)
    days = 15 - 8 * np.cos(2 * np.pi * np.arange(1461) / 365.25) + random.normal(size=1461)
    columns = {"temp_max": days.round(1), "temp_min": (days - 7).round(1)}
    recipe = small("forecast-weather", write(tmp_path / "w.csv", columns, "2012-01-01", "D", 1461))
    recipe = replace(recipe, baselines="naive", fit=replace(recipe.fit, batch_size=256))
    prepared = recipe.prepare()
    assert prepared.parts.findings[-1] == "test: 365 steps, from 2015-01-01 to 2015-12-31."
    assert len(prepared.windows[-1]) == 365 - 7 + 1
    (tmp_path / "run").mkdir()
    metrics = prepared.run(tmp_path / "run")
    assert list(metrics["ahead"]) == ["1", "3", "7"]
    for figures in metrics["ahead"].values():
        assert figures["climatology"]["mae"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.1)  # of the noise
    told = [one.partition(":")[0] for one in metrics["summary"]]
    assert told == ["All 7 steps", "1 day ahead", "3 days ahead", "7 days ahead"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["ahead"] == metrics["ahead"]
    assert (tmp_path / "run" / "findings.txt").read_text().splitlines()[-5:-1] == metrics["summary"]


def test_of_prices_the_last_one_is_hard_to_beat(tmp_path):
    random = np.random.default_rng(4)
    lines = ["symbol,date,price"]
    for name in ("A", "B"):
        price = 100 * np.exp(np.cumsum(0.05 * random.normal(size=120)))
        months = np.datetime64("2000-01") + np.arange(120)
        lines += [f"{name},{month},{value:.2f}" for month, value in zip(months, price, strict=True)]
    (tmp_path / "s.csv").write_text("\n".join(lines) + "\n")
    recipe = small("forecast-stocks", str(tmp_path / "s.csv"))
    (tmp_path / "run").mkdir()
    metrics = replace(recipe, baselines="naive").run(tmp_path / "run")
    assert metrics["verdict"].endswith("hard to beat where the changes of a series are random, as with prices.")


def test_energy_is_a_day_ahead_of_the_last_fifth():
    recipe = find("forecast-energy")()
    assert (recipe.horizon, recipe.data.public, recipe.data.test) == (24, "aep", 0.2)


def test_a_public_set_is_named_in_place_of_a_path():
    source = find("forecast-energy")().data
    assert source.named() == "aep"
    assert replace(source, path="mine.csv").named() == "mine.csv"
    with pytest.raises(ConfigError, match="ahead=.*expected steps from 1 on"):
        replace(find("forecast")(), ahead=(0, 3))


def test_a_step_is_told_in_the_words_of_its_frequency():
    from rnnkit.data.forecasting import Frequency

    def scored(error):
        sums = ScoreSums(horizon=2)
        sums.add(np.zeros((1, 2)), np.array([[error, 2 * error]]))
        return sums.result()

    network, others = scored(1.0), {"seasonal_24": scored(2.0), "mean": scored(3.0)}
    ahead = steps_ahead(network, others, (2, 5))
    assert list(ahead) == ["2"]
    assert tell_errors(network, others, ahead, Frequency("minute", 15), "mse") == [
        "All 2 steps: MSE 2.5; seasonal 24 10.",
        "30 minutes ahead: MSE 4; seasonal 24 16.",
    ]
    assert tell_errors(network, others, ahead, Frequency("number"))[1] == "2 steps ahead: MAE 2; seasonal 24 4."
    assert tell_errors(network, others, {}, Frequency("number")) == []
