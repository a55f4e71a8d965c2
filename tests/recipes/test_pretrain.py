"""Pretraining on series without labels, on made waves: what is filled in, and what comes of it with a few labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from series_files import write_waves
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.data import SeriesSet
from rnnkit.data.preprocessing import Preprocessing
from rnnkit.recipes.series_transfer import with_inputs_of
from rnnkit.tasks import series

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
    result = call("finetune", run, few, "--task", "classify", "--epochs", 20, "--out", target)
    assert result.exit_code == 0, result.output
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
        "finetune", run, few, "--task", "regress", "--epochs", 2, "--set", "data.target=target", "--out", target
    )
    assert result.exit_code == 0, result.output
    assert "mae" in json.loads((target / "metrics.json").read_text())["test"]


def test_what_cannot_be_used_is_told(pretrained):
    run, folder, _ = pretrained
    few = write_waves(folder / "few.csv", count=16, seed=5)
    for arguments, told in (
        (("finetune", run, few), "say what it shall learn of"),
        (("finetune", run, few, "--task", "translate"), "expected one of 'classify', 'regress'"),
        (("finetune", run, few, "--task", "classify", "--set", "replay=0.5", "--set", "classes=add"), "replay=0.5"),
        (("finetune", run, few, "--task", "classify", "--set", "validation=0.2"), "--set data.validation"),
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
