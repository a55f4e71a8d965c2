"""Pretraining on series without labels, on made waves: what is filled in, and what comes of it with a few labels."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from empty_pictures import pictures_saved_empty
from series_files import write_waves
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.data import SeriesSet
from rnnkit.data.preprocessing import Preprocessing
from rnnkit.recipes.forecast_transfer import forecaster_on
from rnnkit.recipes.series_transfer import with_inputs_of
from rnnkit.tasks import series
from rnnkit.tasks.forecast_settings import Model
from rnnkit.types import WindowLayout

SMALL = ["--set", "model.channels=6", "--set", "model.hidden_size=8", "--set", "model.dropout=0"]


def call(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    file = write_waves(folder / "all.csv", count=40, labels=True)
    result = call("train", "pretrain", file, *SMALL, "--epochs", 40, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run", folder, result


def test_a_run_fills_in_better_than_a_line(pretrained):
    run, _, result = pretrained
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["rmse"] < 0.8 * metrics["test"]["interpolation_rmse"]
    assert metrics["chosen_on"].startswith("the root mean square error of what is filled in of validation")
    assert (run / "filling.png").exists()
    assert "Rmse: " in result.output


def test_evaluate_gives_the_same_figures_and_takes_other_series(pretrained):
    run, folder, _ = pretrained
    metrics = json.loads((run / "metrics.json").read_text())
    result = call("evaluate", run)
    assert result.exit_code == 0, result.output
    assert f"Rmse: {metrics['test']['rmse']:.4g}" in result.output
    other = write_waves(folder / "other.csv", labels=False, seed=3)
    assert call("evaluate", run, "--data", other).exit_code == 0
    assert call("inspect", run).exit_code == 0


def test_it_goes_on_to_classes(pretrained):
    run, folder, _ = pretrained
    few = write_waves(folder / "few.csv", count=16, seed=5)
    target = folder / "classes"
    compared = ["--set", "compare=4,8"]
    result = call("finetune", run, few, "--task", "classify", "--epochs", 20, *compared, "--out", target)
    assert result.exit_code == 0, result.output
    method = json.loads((target / "report.json").read_text())["method"]
    for count in (4, 8):
        told = r"accuracy [01]\S* after the pretraining, [01]\S* with fresh weights, of 3 rows held back"
        assert re.fullmatch(told, method[f"with {count} labelled"])
    new = write_waves(folder / "new.csv", count=20, labels=False, seed=7)
    found = call("predict", target, new)
    assert found.exit_code == 0, found.output
    assert call("evaluate", target).exit_code == 0
    answers = series.load(target)
    whole = write_waves(folder / "judged.csv", count=20, seed=7)
    assert answers.evaluate(rnnkit.data.read_series(whole))["accuracy"] > 0.9
    before = rnnkit.load(run)
    assert answers.model.front.stride == before.front.stride
    # It learned on: the convolutions are near those of the pretraining, and not fresh ones.
    ours, theirs = answers.model.front.convs[0].weight, before.front.convs[0].weight
    fresh = rnnkit.ConvFront(2, 6).convs[0].weight
    assert torch.dist(ours, theirs) < torch.dist(fresh, theirs) / 2


def test_channels_of_the_same_names_come_into_the_order_of_the_pretraining():
    rows = SeriesSet.from_arrays([np.random.default_rng(0).normal(size=(9, 2)) * [1, 100]], channels=["a", "b"])
    turned = SeriesSet.from_arrays([rows.values[0][:, ::-1]], channels=["b", "a"])
    pretrained = Preprocessing.fit(rows)
    found = with_inputs_of(pretrained, Preprocessing.fit(turned), Path("run"))
    assert found.channels == ("a", "b")
    torch.testing.assert_close(found.transform(turned), pretrained.transform(rows))


def test_channels_of_other_names_are_told_in_one_line(pretrained):
    run, folder, _ = pretrained
    file = Path(write_waves(folder / "named.csv", count=16, seed=5))
    file.write_text(file.read_text().replace("height", "depth", 1))
    result = call("finetune", run, file, "--task", "classify", "--epochs", 1, "--out", folder / "named")
    assert result.exit_code == 0, result.output
    told = f"The channels have other names than those that {run} was pretrained on: depth for height."
    assert told in result.output.splitlines()


def test_it_goes_on_to_numbers(pretrained):
    run, folder, _ = pretrained
    few = write_waves(folder / "numbers.csv", count=16, seed=5, last="target")
    target = folder / "numbers"
    result = call(
        "finetune", run, few, "--task", "regress", "--epochs", 2, "--set", "data.target=target", "--set", "rank=2",
        "--out", target,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert call("evaluate", target).exit_code == 0
    assert "mae" in json.loads((target / "metrics.json").read_text())["test"]


def write_steps(path, count, seed):
    """A table of daily steps of several series, in the layout that pretraining and forecasts read."""
    random, lines = np.random.default_rng(seed), ["id,time,y"]
    for row in range(count):
        values = np.sin(np.arange(40) * 2 * np.pi / 7 + random.uniform(0, 6)) + random.normal(0, 0.1, 40)
        days = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(40), unit="D")
        lines += [f"s{row},{day},{value:.4f}" for day, value in zip(days, values, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def on_steps(tmp_path_factory):
    """A pretraining on the pieces of long series."""
    folder = tmp_path_factory.mktemp("steps")
    file = write_steps(folder / "all.csv", 6, 0)
    with pictures_saved_empty():
        result = call("train", "pretrain", file, *SMALL, "--set", "data.cut=18", "--epochs", 2, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    rows = json.loads((folder / "run" / "metrics.json").read_text())["rows"]
    assert sum(rows.values()) == 12
    return folder, folder / "run"


FORECAST = ["--task", "forecast", "--set", "horizon=3", "--set", "lookback=10", "--set", "baselines=naive"]


def test_it_goes_on_to_forecasts(on_steps):
    folder, run = on_steps
    few = write_steps(folder / "few.csv", 2, 5)
    target = folder / "forecast"
    result = call("finetune", run, few, *FORECAST, "--epochs", 2, "--set", "compare=8", "--out", target)
    assert result.exit_code == 0, result.output
    assert re.search(r"with 8 labelled: .* after the pretraining, .* with fresh weights, of \d+ windows", result.output)
    metrics = json.loads((target / "metrics.json").read_text())
    assert "mae" in metrics["test"]
    assert "pretrained on all steps" not in result.output
    assert json.loads((target / "recipe.json").read_text())["settings"]["horizon"] == 3
    assert json.loads((target / "report.json").read_text())["new"]
    assert f"{metrics['test']['mae']:.4g}" in call("evaluate", target).output
    answers = folder / "answers.csv"
    assert call("predict", target, few, "--out", answers).exit_code == 0
    assert len(answers.read_text().splitlines()) == 1 + 2 * 3
    again = call("finetune", run, folder / "all.csv", *FORECAST, "--epochs", 1, "--out", folder / "again")
    assert "was pretrained on all steps of" in " ".join(again.output.split())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("front", [None, rnnkit.ConvFront(1, 6, (3, 5), stride=2)])
def test_a_forecaster_reads_a_window_as_the_pretraining_did(front, bidirectional):
    """Known covariates are further inputs without a weight."""
    body = rnnkit.LSTM(1 if front is None else 6, 4, num_layers=2, batch_first=True, bidirectional=bidirectional)
    layout = WindowLayout(lookback=9, horizon=2, known=("hour", "day"))
    model = forecaster_on(front, body, Model(norm="none"), layout).eval()
    x = torch.randn(3, 11, layout.channels)
    seen = []
    model.body.register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    model(x)
    target = x[:, :9, :1]
    features = target if front is None else front.eval()(target)[0]
    torch.testing.assert_close(seen[0], body(features)[0])


def test_what_cannot_be_forecast_is_told(on_steps, pretrained):
    folder, run = on_steps
    few = write_steps(folder / "few.csv", 2, 5)
    for words, told in (
        ([pretrained[0], few, *FORECAST], "was pretrained on 2 channels (height, width), and a forecast reads one"),
        ([run, few, *FORECAST, "--set", "replay=0.5"], "replay=0.5"),
        ([run, few, *FORECAST, "--set", "validation=0.1"], "--set data.validation and --set data.test"),
        ([run, few, *FORECAST, "--set", "model.norm=last"], "no field 'model.norm'"),
        ([run, few, "--task", "forecast", "--set", "horizon=300"], "horizon"),
    ):
        result = call("finetune", *words)
        assert result.exit_code == 2, result.output
        assert told in " ".join(result.output.split())


def test_what_cannot_be_used_is_told(pretrained):
    run, folder, _ = pretrained
    few = write_waves(folder / "few.csv", count=16, seed=5)
    for arguments, told in (
        (("finetune", run, few), "say what it shall learn of"),
        (("finetune", run, few, "--task", "translate"), "expected one of 'classify', 'regress', 'forecast'"),
        (("finetune", run, few, "--task", "classify", "--set", "replay=0.5", "--set", "classes=add"), "replay=0.5"),
        (("finetune", run, few, "--task", "classify", "--set", "validation=0.2"), "--set data.validation"),
        (
            ("finetune", run, few, "--task", "classify", "--set", "compare=99"),
            "compare=99 arrived for 13 rows to train",
        ),
        (("finetune", run, few, "--task", "classify", "--set", "compare=1"), "numbers of at least 2"),
        (("train", "pretrain"), "name the file to learn from"),
    ):
        result = call(*arguments)
        assert result.exit_code != 0
        assert told in " ".join(result.output.split()), result.output
    (folder / "words.csv").write_text("id,time,height\na,0,1\na,1,tall\nb,0,2\nb,1,3\n")
    assert "--set data.ignore=height" in " ".join(call("train", "pretrain", folder / "words.csv").output.split())
    np.savez(folder / "one.npz", X=np.random.default_rng(0).normal(size=(12, 9, 1)), y=np.arange(12) % 2)
    result = call("finetune", run, folder / "one.npz", "--task", "classify")
    assert "was pretrained on 2 channels (height, width), and the rows have 1 channel" in " ".join(
        result.output.split()
    )
    labelled = write_waves(folder / "labelled.csv", count=16)
    assert call("train", "classify", labelled, "--epochs", 1, "--out", folder / "plain").exit_code == 0
    result = call("finetune", folder / "plain", few, "--task", "classify")
    assert "go on to no other task" in " ".join(result.output.split())
