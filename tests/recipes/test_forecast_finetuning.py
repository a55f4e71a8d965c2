"""Fine-tuning of forecasts: one series, an unseen one, few observations, and a run that goes on to the same bits."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call, refused
from forecast_runs import HORIZON, LOOKBACK, trained, write

import rnnkit
from rnnkit.cli.arguments import recipe_of
from rnnkit.data.forecasting import ForecastPreprocessing, TimeSeries, divide_time, read_time_series
from rnnkit.errors import ConfigError, DataError
from rnnkit.finetuning.forgetting import EWC
from rnnkit.recipes import DataRequest
from rnnkit.recipes.forecast import Forecast
from rnnkit.recipes.forecast_finetuning import ForecastFineTune
from rnnkit.recipes.forecast_source import ForecastSource
from rnnkit.runs import start
from rnnkit.tasks.forecast_fine_tuning import fine_tune_forecaster, prepare_new
from rnnkit.tasks.forecasting import ForecastPredictor, load_forecaster
from rnnkit.training.watching.progress import Progress
from rnnkit.types import WindowLayout

pytest.importorskip("pandas")


def write_wide(file, names, steps=200):
    """Three hourly series of one shape, a column each."""
    hours = np.arange(steps)
    values = [10.0 ** (1 + at) + 5 * np.sin(2 * np.pi * hours / 24 + at) for at in range(len(names))]
    stamps = np.datetime64("2024-01-01") + hours * np.timedelta64(1, "h")
    rows = np.stack(values, 1).round(4).tolist()
    lines = [",".join(map(str, (stamp, *row))) for stamp, row in zip(stamps, rows, strict=True)]
    lines.insert(0, ",".join(("ds", *names)))
    Path(file).write_text("\n".join(lines) + "\n")
    return Path(file)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("forecast"), baselines="naive")


def read(file):
    return json.loads(Path(file).read_text())


def test_a_run_on_many_series_is_tuned_to_one(run):
    result = call("finetune", run, write("b.csv", series=("b",)), "--epochs", 2, "--out", "tuned", "--device", "cpu")
    assert result.exit_code == 0, result.output
    report, metrics = read("tuned/report.json"), read("tuned/metrics.json")
    assert report["new"]["rows"] == 200 - 160 - HORIZON + 1
    assert {"mae", "mase", "crps", "interval_80_coverage"} <= set(report["new"]["before"])
    assert report["old"]["before"]["mae"] == pytest.approx(read(run / "metrics.json")["test"]["mae"], rel=1e-5)
    assert metrics["test"] == report["old"]["after"]
    assert metrics["validation"] == report["new"]["after"]
    assert metrics["chosen_on"] == "validation (38 windows held out from training)"
    assert report["method"]["intervals"].startswith("The intervals are calibrated on 38 validation windows")
    assert "'b' trains on steps of the old test part" not in result.stdout
    again = call("evaluate", "tuned", "--device", "cpu")
    assert f"Mae: {metrics['test']['mae']:.4g}" in again.stdout
    # The model knew the series, so its number and its scale stay; the time of the training is that of both.
    before, after = load_forecaster(run), load_forecaster("tuned")
    assert after.preprocessing.scaling == before.preprocessing.scaling
    assert after.seen["train"]["a"] == before.seen["train"]["a"]
    assert call("forecast", "tuned", write("latest.csv", series=("b",), ahead=3)).exit_code == 0
    judged = call("backtest", "tuned", "b.csv", "--out", "bt")
    assert judged.exit_code == 0, judged.output
    assert read("bt/backtest.json")["windows"] == report["new"]["rows"]
    assert read("bt/backtest.json")["scores"]["network"]["figures"]["mae"] == pytest.approx(
        report["new"]["after"]["mae"], rel=1e-5
    )


def test_one_window_of_an_unseen_series_is_enough(run):
    write("few.csv", steps=LOOKBACK + HORIZON, series=("new",), seed=3)
    result = call("finetune", run, "few.csv", "--out", "tuned", "--device", "cpu", "--lr", 0.01)
    assert result.exit_code == 0, result.output
    assert "All 11 steps are trained on: a window takes 11, so none can be held out." in result.stdout
    assert "The number of epochs is fixed." in result.stdout
    assert "The series 'new' is new; the scale is measured on the training part." in result.stdout
    report, metrics = read("tuned/report.json"), read("tuned/metrics.json")
    assert report["new_from"] == "the training windows"
    assert report["epochs"] == 100  # one step each
    assert report["method"]["freeze_body_epochs"] == "25"
    assert report["new"]["after"]["mae"] < report["new"]["before"]["mae"]
    assert metrics["chosen_on"].startswith("last epoch")
    assert "not calibrated for the new series" in report["method"]["intervals"]
    scaling = load_forecaster("tuned").preprocessing.scaling
    assert scaling.ids == ("a", "b", "new")
    values = [float(line.split(",")[2]) for line in Path("few.csv").read_text().splitlines()[1:]]
    assert scaling.centers[2] == pytest.approx(np.mean(values))
    assert refused(
        call("finetune", run, write("less.csv", steps=10, series=("new",)), "--out", "no"),
        "the longest series has 10 steps",
        "at least 11, 8 of lookback and 3 of horizon",
    )
    assert not Path("no").exists()


def job(run, data, **settings):
    """What `rnnkit finetune` would run; nothing is trained."""
    recipe = recipe_of(run, None)
    return recipe.fine_tune_job(run, DataRequest(Path(data)), ForecastFineTune(device="cpu", **settings))


def test_a_column_that_was_no_target_is_learned(tmp_path):
    file = write_wide("wide.csv", ("a", "b", "c"))
    options = {"target": ("a", "b"), "ignore_columns": ("c",)}
    parts = divide_time(read_time_series(file, **options))
    fitted = ForecastPreprocessing.fit(parts, lookback=LOOKBACK, horizon=HORIZON)
    recipe = Forecast(data=ForecastSource(path=str(file), target=("a", "b"), ignore=("c",)), lookback=8, horizon=3)
    with start("forecast", recipe, Path("run")) as folder:
        ForecastPredictor(rnnkit.DirectForecaster(fitted.layout, hidden_size=4), fitted).save(folder)
    new = job(Path("run"), file, target=("c",)).new
    scaling = new.predictor.preprocessing.scaling
    assert new.parts.series.ids == ("c",)
    assert scaling.ids == ("a", "b", "c")
    assert scaling.centers[2] == pytest.approx(1000, abs=5)
    later = read_time_series(file, **new.predictor.preprocessing.read_options)
    assert later.ids == ("c",)


def test_some_of_the_series_of_a_table(run):
    chosen = job(run, run.parent / "load.csv", series=("a",))
    assert chosen.new.parts.series.ids == ("a",)
    assert not any("old test part" in one for one in chosen.findings())
    with pytest.raises(DataError, match="there is no series 'c'"):
        job(run, run.parent / "load.csv", series=("c",))
    whole = job(run, run.parent / "load.csv", validation=0.0, test=0.0)
    assert "2 series train on steps of the old test part, so the old figures after it are too good." in whole.findings()


def test_a_series_that_lies_elsewhere_is_measured_anew(run):
    text = write("high.csv", series=("a",)).read_text().splitlines()
    cells = [line.split(",") for line in text[1:]]
    high = [f"{name},{stamp},{1000 + 20 * float(value)},{known}" for name, stamp, value, known in cells]
    Path("high.csv").write_text("\n".join([text[0], *high]) + "\n")
    new = job(run, "high.csv").new
    assert "The series 'a' lies elsewhere than in the first training; the scale is measured anew." in new.findings
    before, after = load_forecaster(run).preprocessing.scaling, new.predictor.preprocessing.scaling
    assert after.ids == before.ids
    assert after.centers[0] == pytest.approx(2000, rel=0.1)
    assert after.centers[1] == before.centers[1]


def test_a_stopped_fine_tuning_goes_on_to_the_same_bits(run, monkeypatch):
    quick = ["--epochs", 3, "--device", "cpu", "--out"]
    data = write("b.csv", series=("b",), steps=80)
    assert call("finetune", run, data, *quick, "whole").exit_code == 0
    steps = []

    def stop(*_):
        steps.append(0)
        if len(steps) == 5:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stop)
        stopped = call("finetune", run, data, *quick, "part")
    assert stopped.exit_code == 130, stopped.output
    assert "`rnnkit finetune --resume part` goes on" in stopped.stderr
    assert refused(call("train", "--resume", "part"), "which goes on by `rnnkit finetune --resume part`")
    resumed = call("finetune", "--resume", "part")
    assert resumed.exit_code == 0, resumed.output
    weights = [rnnkit.load(one).state_dict() for one in ("whole", "part")]
    assert all(torch.equal(one, weights[1][name]) for name, one in weights[0].items())
    ours, theirs = (read(f"{one}/report.json") for one in ("part", "whole"))
    assert ours["new"] == theirs["new"]
    assert ours["old"] == theirs["old"]
    assert refused(call("finetune", "--resume", "part"), "part is finished", "`rnnkit finetune part FILE`")
    assert refused(call("finetune", "--resume", run), "began as no fine-tuning", "rnnkit train --resume")
    assert refused(call("finetune", "--resume", "part", "--epochs", 2), "arrived with --resume part")
    assert refused(call("finetune"), "no run arrived", "`rnnkit finetune RUN FILE`")


def test_old_windows_are_replayed_or_hold_the_weights(run):
    data = write("b.csv", series=("b",))
    options = ("--epochs", 1, "--device", "cpu", "--set", "replay=0.5", "--set", "protect=ewc", "--set", "strength=1e6")
    result = call("finetune", run, data, "--out", "held", *options)
    assert result.exit_code == 0, result.output
    report = read("held/report.json")
    assert report["method"]["replay"] == "old rows are 50% of each epoch"
    assert report["method"]["protect"] == "EWC(strength=1e+06, rows=1000)"
    assert report["old"]["rows"] == read(run / "metrics.json")["rows"]["test"]  # judged as without a replay


def test_old_windows_keep_a_forecaster_near_what_it_was():
    old = TimeSeries.from_arrays([np.sin(np.arange(60.0))], ids=["a"])
    parts = divide_time(old)
    fitted = ForecastPreprocessing.fit(parts, lookback=8, horizon=2)
    torch.manual_seed(0)
    predictor = ForecastPredictor(rnnkit.DirectForecaster(fitted.layout, hidden_size=4), fitted)
    new = TimeSeries.from_arrays([np.cos(np.arange(40.0)) ** 3], ids=["b"])

    def moved(**settings):
        tuned = fine_tune_forecaster(predictor, new, epochs=3, lr=0.02, progress=False, seed=0, **settings)
        before, after = predictor.model.state_dict(), tuned.predictor.model.state_dict()
        return sum(float((after[name] - one).square().sum()) for name, one in before.items())

    free = moved()
    assert moved(protect=EWC(1e6), old=parts) < 0.2 * free
    assert moved(replay=0.9, old=parts) != free
    with pytest.raises(ConfigError, match="need the series of the first training; pass old=parts"):
        moved(replay=0.5)
    with pytest.raises(ConfigError, match="protect='l2-sp'"):
        moved(protect="ewc")


def test_settings_that_forecasts_cannot_use_are_refused(run):
    data = write("b.csv", series=("b",))
    assert refused(call("finetune", run, data, "--set", "freeze=bodies"), "matches no group")
    assert refused(call("finetune", run, data, "--set", "test=0.9"), "test=0.9", "leave steps to train on")
    with pytest.raises(ConfigError, match="leave freeze_body_epochs=1 out"):
        ForecastFineTune(gradual_unfreezing=True, freeze_body_epochs=1)
    help_ = call("finetune", run, "--help")
    assert "freeze_body_epochs=none" in help_.stdout


@pytest.mark.parametrize("kind", ["direct", "segment", "deepar", "encoder_decoder"])
def test_every_kind_of_forecaster_freezes_its_body_first(kind):
    layout = WindowLayout(lookback=LOOKBACK, horizon=HORIZON, series=2)
    model = {
        "direct": lambda: rnnkit.DirectForecaster(layout, hidden_size=4),
        "segment": lambda: rnnkit.SegmentForecaster(layout, segment=4, hidden_size=4),
        "deepar": lambda: rnnkit.DeepAR(layout, hidden_size=4, num_layers=1, num_samples=4),
        "encoder_decoder": lambda: rnnkit.EncoderDecoderForecaster(layout, hidden_size=4),
    }[kind]()
    many = TimeSeries.from_arrays([np.sin(np.arange(60.0) + one) for one in range(2)], ids=["a", "b"])
    fitted = ForecastPreprocessing.fit(divide_time(many), lookback=LOOKBACK, horizon=HORIZON, series_index=True)
    predictor = ForecastPredictor(model, fitted)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    new = TimeSeries.from_arrays([np.cos(np.arange(30.0))], ids=["c"])
    tuned = fine_tune_forecaster(predictor, new, epochs=1, freeze_body_epochs=1, lr=0.1, progress=False)
    after = tuned.predictor.model.state_dict()
    body = ("body", "encoder", "decoder")
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith(body))
    assert not torch.equal(after["head.weight"], before["head.weight"])
    assert not torch.equal(after["embedding.weight"][0], before["embedding.weight"][0])  # the unknown series
    assert torch.equal(after["embedding.weight"][1:], before["embedding.weight"][1:])
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())  # the one that was given


def test_parts_are_left_out_where_they_would_have_too_few_windows():
    many = TimeSeries.from_arrays([np.sin(np.arange(60.0))], ids=["a"])
    fitted = ForecastPreprocessing.fit(divide_time(many), lookback=8, horizon=2)
    predictor = ForecastPredictor(rnnkit.DirectForecaster(fitted.layout, hidden_size=4), fitted)

    def parts(steps, **shares):
        new = TimeSeries.from_arrays([np.cos(np.arange(float(steps)))], ids=["b"])
        found = prepare_new(predictor, new, **shares)
        return {name: len(one) for name, one in found.windows.items()}, found.findings

    assert parts(60)[0] == {"train": 27, "validation": 11, "test": 11}
    counts, told = parts(40)
    assert counts == {"train": 23, "test": 7}
    assert "There are too few steps for validation windows; the number of epochs is fixed." in told
    assert parts(60, test=0.0)[0] == {"train": 39, "validation": 11}
    assert parts(12)[0] == {"train": 1, "test": 1}
    assert parts(11)[0] == {"train": 2}
    with pytest.raises(DataError, match="the longest series has 9 steps; fine-tuning needs at least 10"):
        parts(9)
    schedule = prepare_new(predictor, TimeSeries.from_arrays([np.cos(np.arange(60.0))], ids=["b"])).schedule
    assert schedule(None, 16, None) == (7, 25, 6)
    assert schedule(3, 4, 0) == (4, 3, 0)
