"""Fine-tuning a run folder: classes that join or take over, rows of one's own, digits of one's own."""

import csv
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from empty_pictures import pictures_saved_empty
from PIL import Image
from typer.testing import CliRunner

import rnnkit
from rnnkit import runs
from rnnkit.cli.arguments import recipe_of
from rnnkit.cli.main import app
from rnnkit.data import mnist
from rnnkit.errors import ConfigError, DataError
from rnnkit.recipes import DataRequest
from rnnkit.recipes import classify as classify_recipe
from rnnkit.recipes import regress as regress_recipe
from rnnkit.recipes.classify import Classify
from rnnkit.recipes.finetuning import FineTune, say_old
from rnnkit.recipes.regress import Regress
from rnnkit.serialization import read_config, save_module
from rnnkit.tasks.settings import Fit, Model
from rnnkit.training.fine_tuning.report import FineTuningReport, Quality
from rnnkit.training.watching.progress import Progress

SMALL = {"model": Model(hidden_size=6, channels=6), "fit": Fit(steps=40, lr=0.01), "device": "cpu"}
QUICK = ["--set", "epochs=2", "--set", "lr=0.01"]


def write(path, last="label", seed=0):
    """A long table of slow and fast waves, 30 of 12 steps."""
    random = np.random.default_rng(seed)
    with Path(path).open("w") as file:
        print(f"id,time,height,{last}", file=file)
        for row in range(30):
            fast, phase = row % 2, random.uniform(0, 6)
            answer = ["slow", "fast"][fast] if last == "label" else f"{3 + 2 * fast + phase / 100:.4f}"
            for step in range(12):
                print(f"s{row},{step},{np.sin(phase + step * (0.3 + fast)):.4f},{answer}", file=file)
    return str(path)


def train(recipe, name):
    with runs.start(name, recipe, Path("run")) as folder:
        return folder, recipe.prepare().run(folder)


def read(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run of classes and its data, trained once."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch, pictures_saved_empty():
        patch.chdir(folder)
        train(Classify(**SMALL, data=classify_recipe.Data(path=write("my.csv"))), "classify")
    return folder


@pytest.fixture
def base(trained, tmp_path, monkeypatch):
    """The run in a copy of this folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("run")


def renamed(path, **names):
    text = Path(write("other.csv", seed=3)).read_text()
    for old, new in names.items():
        text = text.replace(f",{old}\n", f",{new}\n")
    Path(path).write_text(text)
    return path


@pytest.mark.usefixtures("whole_pictures")
def test_a_new_class_joins_in_a_run_of_its_own_and_the_old_run_stays(base):
    before = contents(base)
    data = renamed("new.csv", fast="rapid")
    result = call("finetune", base, "--data", data, "--out", "more", *QUICK, "--set", "replay=20")
    assert result.exit_code == 0, result.output
    assert "new accuracy (6 rows)" in result.stdout
    assert "old accuracy (6 rows)" in result.stdout
    assert contents(base) == before
    folder = Path("more")
    names = {"model.safetensors", "report.json", "before_after.png", "finetune.json", "metrics.json", "history.csv"}
    names |= {"report.html", "troubles.txt"}
    assert names <= {path.name for path in folder.iterdir()}
    assert rnnkit.load(folder).head.out_features == 3
    report = json.loads((folder / "report.json").read_text())
    assert report["method"]["classes"] == "fast, slow, rapid"
    told = json.loads((folder / "finetune.json").read_text())
    assert (told["from"], told["data"], told["settings"]["epochs"]) == ("run", "new.csv", 2)
    # The new run is one like any other.
    assert call("predict", "more", data, "--out", "p.csv").exit_code == 0
    assert set(read("p.csv")[0]) == {"id", "prediction", "probability_fast", "probability_slow", "probability_rapid"}
    shown = call("evaluate", "more").stdout
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"Accuracy: {metrics['test']['accuracy']:.2%}" in shown
    evaluated = recipe_of(Path("run"), None).evaluate(folder)
    assert metrics["test"] == report["old"]["after"] == pytest.approx(evaluated)  # its loss is not smoothed
    assert report["old"]["before"] == pytest.approx(recipe_of(Path("run"), None).evaluate(base))
    assert set(metrics["validation"]) == set(report["new"]["before"]) == set(evaluated)


def test_ctrl_c_is_told_of_and_the_speed_too(base, monkeypatch):
    assert call("finetune", base, "--data", write("new.csv", seed=2), "--out", "more", *QUICK).exit_code == 0
    assert json.loads(Path("more/metrics.json").read_text())["samples_per_second"] > 0
    monkeypatch.setattr(Progress, "step", lambda *_: signal.raise_signal(signal.SIGINT))
    call("finetune", base, "--data", "new.csv", "--out", "less", *QUICK)
    told = json.loads(Path("less/metrics.json").read_text())
    assert told["stopped"] == "interrupted"
    assert told["chosen_on"] == "last step before Ctrl-C; nothing was chosen on test data"


def test_ctrl_c_ends_as_an_interrupted_training_does(base, monkeypatch):
    monkeypatch.setattr(Progress, "step", lambda *_: signal.raise_signal(signal.SIGINT))
    result = call("finetune", base, "--data", write("new.csv", seed=2), "--out", "more", *QUICK)
    assert result.exit_code == 130, result.output
    assert "Interrupted; the model as it was then is in more" in result.stderr
    assert rnnkit.load("more") is not None


def test_a_fine_tuning_that_was_killed_is_not_resumed_as_a_training(base, monkeypatch):
    data = write("new.csv", seed=2)
    with monkeypatch.context() as patch:
        patch.setattr("rnnkit.runs.folders._discard_unused", lambda *_: None)  # as SIGKILL leaves the folder
        patch.setattr(Progress, "step", lambda *_: 1 / 0)
        assert call("finetune", base, "--data", data, "--out", "more", *QUICK).exit_code == 1
    before = contents("more")
    assert "model.safetensors" not in before
    result = call("train", "--resume", "more")
    assert result.exit_code == 2, result.output
    assert "more began as a fine-tuning" in result.stderr
    assert "rnnkit finetune --resume more" in result.stderr
    assert contents("more") == before
    other = rnnkit.load(base)
    torch.nn.init.zeros_(other.head.bias)
    save_module(other, base, read_config(base)["extra"])
    result = call("finetune", "--resume", "more")
    assert result.exit_code == 2, result.output
    assert "run has another model now than the one that more began with" in result.stderr


def test_a_fine_tuning_is_marked_as_one_before_anything_else(base, monkeypatch):
    seen = []

    def note(path, value):
        seen.append(path.name)
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnkit.runs.folders.write_json", note)
    call("finetune", base, "--data", write("new.csv", seed=2), "--out", "more", *QUICK)
    assert seen == ["finetune.json"]


def test_fine_tuned_twice(base):
    """The old rows are still those of the first training, and the report says so."""
    once = call("finetune", base, "--data", write("new.csv", seed=2), "--out", "one", *QUICK)
    assert "old data: rows of my.csv\n" in once.stdout
    twice = call("finetune", "one", "--data", write("newer.csv", seed=3), "--out", "two", *QUICK)
    said = "rows of my.csv, of the first training; none of new.csv, which one learned later"
    assert f"old data: {said}\n" in twice.stdout
    assert json.loads(Path("two/report.json").read_text())["method"]["old data"] == said
    compared = json.loads(call("runs", "--compare", base, "two", "--json").stdout)["settings"]
    assert compared["finetune.from"] == {"run": None, "two": "one"}
    assert compared["finetune.data"] == {"run": None, "two": "newer.csv"}
    assert compared["finetune.replay"] == {"run": None, "two": 0.5}


def test_a_fine_tuning_that_fails_leaves_no_folder(base, monkeypatch):
    def fail(*_):
        raise DataError("no more rows")

    monkeypatch.setattr(Progress, "step", fail)
    assert call("finetune", base, "--data", write("new.csv", seed=2), "--out", "more", *QUICK).exit_code == 2
    assert not Path("more").exists()


def test_rows_of_a_file_that_has_changed_are_no_rows_held_back(base):
    data = write("new.csv", seed=2)
    assert call("finetune", base, "--data", data, "--out", "more", *QUICK).exit_code == 0
    assert call("evaluate", "more").exit_code == 0
    with Path("my.csv").open("a") as file:
        file.writelines(f"late,{step},0.5,slow\n" for step in range(12))
    for run in (base, "more"):
        for verb in ("evaluate", "inspect"):
            result = call(verb, run)
            assert result.exit_code == 2, result.output
            assert f"my.csv has changed since {run} was trained" in result.stderr
            assert "--data FILE" in result.stderr
        assert call("evaluate", run, "--data", "my.csv").exit_code == 0
        result = call("finetune", run, "--data", data, *QUICK)
        assert result.exit_code == 2, result.output
        assert "my.csv has changed" in result.stderr
    before = contents(base)
    assert "train into a new folder" in call("train", "--resume", base, "--set", "fit.steps=80").stderr
    assert contents(base) == before
    assert not Path("runs").exists()


def test_the_new_classes_may_take_over_and_adapters_are_kept_apart(base):
    data = renamed("new.csv", fast="rapid", slow="steady")
    assert "classes to replay" in call("finetune", base, "--data", data, "--set", "classes=replace").stderr
    more = ["--set", "classes=replace", "--set", "replay=none", "--set", "rank=2", "--set", "validation=0"]
    result = call("finetune", base, "--data", data, "--out", "more", *QUICK, *more)
    assert result.exit_code == 0, result.output
    assert Path("more/adapters.safetensors").stat().st_size < Path("more/model.safetensors").stat().st_size
    assert "parametrizations" not in str(list(rnnkit.load("more").state_dict()))
    assert json.loads(Path("more/report.json").read_text())["old"]["after"] is None
    assert call("predict", "more", data, "--out", "p.csv").exit_code == 0
    assert {row["prediction"] for row in read("p.csv")} <= {"rapid", "steady"}
    for verb in ("evaluate", "inspect"):
        shown = call(verb, "more").stderr
        assert "more was fine-tuned from other classes to 'rapid', 'steady'" in shown
        assert "my.csv, have 'fast', 'slow'; name rows of the new classes: --data FILE" in shown
    assert call("evaluate", "more", "--data", data).exit_code == 0
    again = call("finetune", "more", "--data", data, *QUICK, "--set", "replay=none")
    assert again.exit_code == 0, again.output


def test_numbers_are_learned_too_and_old_rows_that_are_gone_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Regress(**SMALL, data=regress_recipe.Data(path=write("my.csv", last="y"), target=("y",)))
    folder = train(recipe, "regress")[0]
    data = write("new.csv", last="y", seed=5)
    result = call("finetune", folder, "--data", data, "--out", "more", *QUICK, "--set", "protect=ewc")
    assert result.exit_code == 0, result.output
    assert "old mae (6 rows)" in result.stdout
    metrics, report = (json.loads(Path("more", name).read_text()) for name in ("metrics.json", "report.json"))
    assert metrics["test"] == pytest.approx(recipe.evaluate(Path("more")))  # in the numbers' own unit
    assert report["old"]["before"] == pytest.approx(recipe.evaluate(folder))
    Path("my.csv").unlink()
    result = call("finetune", folder, "--data", data, *QUICK)
    assert result.exit_code == 2
    assert "replay=none" in result.stderr
    assert not Path("runs").exists()
    assert call("finetune", folder, "--data", data, *QUICK, "--set", "replay=none").exit_code == 0
    assert json.loads(Path("runs/regress/report.json").read_text())["old"] is None


def test_digits_of_ones_own_are_learned_by_a_run_of_mnist(tmp_path, monkeypatch):
    from digits import made_mnist

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    small = ["--set", "model.hidden_size=8", "--set", "fit.epochs=1", "--device", "cpu", "--out", "run"]
    assert call("train", "mnist", *small).exit_code == 0
    images, labels = mnist.load().train
    for digit in (3, 8):
        Path("mine", str(digit)).mkdir(parents=True)
        for at in (labels == digit).nonzero()[:5, 0].tolist():
            pixels = (255 * (1 - images[at].numpy())).astype(np.uint8)
            Image.fromarray(pixels).save(f"mine/{digit}/{at}.png")
    result = call("finetune", "run", "--data", "mine", "--out", "more", *QUICK)
    assert result.exit_code == 0, result.output
    assert "new accuracy (2 rows)" in result.stdout
    assert "old accuracy (80 rows)" in result.stdout
    assert call("evaluate", "more").exit_code == 0
    Path("mine", "x").mkdir()
    Path("mine", "x", "a.png").write_bytes(Path("mine/3").iterdir().__next__().read_bytes())
    assert "named 0 to 9" in call("finetune", "run", "--data", "mine", *QUICK).stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"rank": 0}, "rank=0"),
        ({"validation": 1.0}, "validation=1.0"),
        ({"replay": 1.5}, "replay=1.5"),
        ({"replay": 0.0}, "replay=0.0"),
        ({"strength": 2.0}, "add --set protect"),
        ({"strength": -1.0, "protect": "ewc"}, "strength=-1"),
        ({"lr": -1.0}, "lr=-1"),
        ({"discriminative": 0.5}, "discriminative=0.5"),
        ({"rank": 3, "protect": "ewc"}, "protect=ewc and rank=3"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        FineTune(**settings)


def test_settings_reach_the_learner():
    found = FineTune(replay=30.0, protect="ewc", strength=7.0).arguments()
    assert (found["replay"], found["protect"].strength) == (30, 7.0)
    assert FineTune(rank=3).arguments()["adapters"].rank == 3
    assert isinstance(found["replay"], int)


def test_other_columns_are_refused_and_nothing_is_written(base):
    Path("odd.csv").write_text(Path(write("new.csv")).read_text().replace("height", "depth", 1))
    result = call("finetune", base, "--data", "odd.csv", *QUICK)
    assert result.exit_code == 2
    assert "height" in result.stderr
    assert not Path("runs").exists()
    with pytest.raises(DataError):
        Classify(data=classify_recipe.Data(path="my.csv")).fine_tune_job(
            base, DataRequest(Path("none.csv")), FineTune()
        )
    assert runs.read_recipe(base).name


def test_it_is_told_where_nothing_was_held_back_to_judge_what_is_forgotten():
    quality = Quality(rows=9, before={"cer": 0.5}, after={"cer": 0.25})
    report = FineTuningReport(quality, quality, "validation", trained=2, parameters=2, epochs=3, seconds=1.5)
    assert say_old(report, "pictures of a", [1]).method == {"old data": "pictures of a"}
    without = replace(report, old=None)
    assert say_old(without, "pictures of a", [1]).method["old data"].endswith("what is forgotten is not measured")
    assert say_old(without, "pictures of a", None) is without  # a warning has told that the old data is gone
