"""A recipe in a file of the user's, with a task of its own, serves every verb of the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnkit
from rnnkit import recipes
from rnnkit.cli.main import app
from rnnkit.errors import ConfigError
from rnnkit.recipes.finetuning import FineTune
from rnnkit.runs.stored import read as read_run
from rnnkit.training.watching.progress import Progress

# Largest value of a made row: nothing here is a series of rnnkit's, and no task of it is used.
MINE = '''
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

import rnnkit
from rnnkit import runs
from rnnkit.errors import DataError
from rnnkit.recipes import DataRequest, InspectionData, Recipe
from rnnkit.recipes.finetuning import FineTuneJob
from rnnkit.tasks.ranges import Count, Settings
from rnnkit.tasks.settings import TrainingSettings


@dataclass(frozen=True)
class Data(Settings):
    """The rows.

    Attributes:
        path: a text file with a row of numbers a line; none makes rows.
        rows: to make.
    """

    group_name: ClassVar[str] = "data"
    path: str | None = None
    rows: Count = 60


@dataclass(frozen=True)
class Largest(Recipe):
    """The largest number of a row.

    Attributes:
        hidden_size: units of the recurrence.
        seed: of the made rows and the weights.
    """

    data_setting: ClassVar[str | None] = "data.path"
    fit: TrainingSettings = TrainingSettings(epochs=2, lr=0.01)
    data: Data = Data()
    hidden_size: Count = 6
    seed: int = 0
    device: str = "cpu"

    def run(self, folder):
        import torch

        torch.manual_seed(self.seed)
        model = rnnkit.SequenceRegressor(rnnkit.GRU(1, self.hidden_size))
        learner = rnnkit.Learner(model, metrics="mae", device=self.device, **self.fit.learner_settings())
        history = learner.fit(self.rows(0), seed=self.seed, checkpoint=folder, resume=True, progress=False,
                              **self.fit.fit_settings())
        learner.save(folder)
        return runs.record(folder, history, {"test": learner.evaluate(self.rows(1))})

    def evaluate(self, folder, data=None):
        return self.learner(folder).evaluate(self.rows(1) if data is None else read(data))

    def predict(self, folder, data):
        answers = self.learner(folder).predict(read(data)[0])[:, 0].tolist()
        return {"line": list(range(1, 1 + len(answers))), "prediction": answers}

    def inspection_data(self, folder, data=None):
        rows, largest = self.rows(1) if data is None else read(data)
        return InspectionData(rnnkit.load(folder), rows, largest, "mse")

    def fine_tune_job(self, folder, data, settings):
        learner = self.learner(folder)
        return FineTuneJob(learner=learner, new=read(data), save=learner.save, old=lambda: self.rows(0),
                           old_test=self.rows(1))

    def learner(self, folder):
        return rnnkit.Learner(rnnkit.load(folder), metrics="mae", lr=self.fit.lr, device=self.device)

    def rows(self, seed):
        if self.data.path is not None and seed == 0:
            return read(DataRequest(Path(self.data.path)))
        x = np.random.default_rng(seed).random((self.data.rows, 5, 1)).astype(np.float32)
        return x, x.max(1)


def read(data):
    try:
        x = np.loadtxt(data.without_encoding(), dtype=np.float32, ndmin=2)[:, :, None]
    except (OSError, ValueError) as error:
        raise DataError(f"{data.path}: {error}") from None
    return x, x.max(1)


def recipe():
    return Largest()
'''
AND = ["--recipe", "./mine.py"]


def call(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result


@pytest.fixture(autouse=True)
def mine():
    Path("mine.py").write_text(MINE)
    np.savetxt("rows.txt", np.random.default_rng(3).random((8, 5)))


def test_a_recipe_of_ones_own_serves_every_verb():
    trained = call("train", "./mine.py", "rows.txt", "--epochs", 3, "--hidden", 4, "--seed", 2, "--out", "run")
    assert trained.exit_code == 0, trained.output
    settings = json.loads(Path("run/recipe.json").read_text())["settings"]
    assert (settings["fit"]["epochs"], settings["hidden_size"], settings["data"]["path"]) == (3, 4, "rows.txt")
    assert rnnkit.load("run").body.hidden_size == 4

    evaluated = call("evaluate", "run", *AND)
    assert evaluated.stdout.splitlines() == trained.stdout.splitlines()[-2:]
    assert (
        call("evaluate", "run", "rows.txt", *AND).stdout == call("evaluate", "run", "--data", "rows.txt", *AND).stdout
    )
    predicted = call("predict", "run", "rows.txt", *AND)
    assert predicted.exit_code == 0, predicted.output
    assert predicted.stdout.split()[:2] == ["line", "prediction"]
    assert len(predicted.stdout.splitlines()) == 9
    assert "none.txt" in call("predict", "run", "none.txt", *AND).stderr
    inspected = call("inspect", "run", "rows.txt", *AND)
    assert inspected.exit_code == 0, inspected.output
    assert "looked at on 8 rows" in Path("run/report.html").read_text(encoding="utf-8")
    tuned = call("finetune", "run", "rows.txt", "--epochs", 1, "--out", "tuned", *AND)
    assert tuned.exit_code == 0, tuned.output
    report = json.loads(Path("tuned/report.json").read_text())
    assert report["method"]["old data"] == "rows of the first training"
    assert call("evaluate", "tuned", *AND).exit_code == 0
    resumed = call("train", "./mine.py", "--resume", "run", "--epochs", 5)
    assert resumed.exit_code == 0, resumed.output
    assert json.loads(Path("run/metrics.json").read_text())["epochs"] == 5
    assert "data.rows=60" in call("recipes", "show", "./mine.py").stdout
    assert "text file with a row of numbers" in call("train", "./mine.py", "--help").stdout


def test_what_a_recipe_can_do_is_what_it_overrides():
    recipe = recipes.open_recipe("./mine.py")
    assert recipe.capabilities() == ("train", "evaluate", "predict", "inspect", "finetune")
    Path("mine.py").write_text(MINE.replace("def evaluate(", "def judge(").replace("def fine_tune_job(", "def job("))
    less = recipes.open_recipe("./mine.py")
    assert less.capabilities() == ("train", "predict", "inspect")
    with pytest.raises(ConfigError, match=r"no evaluate\(...\), which `rnnkit evaluate` needs; it can train, predict"):
        less.require("evaluate", Path("run"))
    with pytest.raises(ConfigError, match="Largest has no method fine_tune_job"):
        less.fine_tune_job(Path("run"), recipes.DataRequest(Path("rows.txt")), FineTune())


def test_replay_needs_old_rows_and_says_so_before_a_folder_exists():
    Path("mine.py").write_text(MINE.replace("old=lambda: self.rows(0),", ""))
    assert call("train", "./mine.py", "--epochs", 1, "--out", "run").exit_code == 0
    refused = call("finetune", "run", "rows.txt", *AND, "--out", "tuned")
    assert refused.exit_code == 2
    assert "replay=0.5 needs rows of the first training" in refused.stderr
    assert "add --set replay=none" in refused.stderr
    assert not Path("tuned").exists()
    tuned = call("finetune", "run", "rows.txt", *AND, "--out", "tuned", "--epochs", 1, "--set", "replay=none")
    assert tuned.exit_code == 0, tuned.output


def test_an_encoding_is_refused_by_a_recipe_that_reads_no_text():
    assert call("train", "./mine.py", "--epochs", 1, "--out", "run").exit_code == 0
    result = call("evaluate", "run", "rows.txt", "--encoding", "gb18030", *AND)
    assert result.exit_code == 2
    assert "reads no text files" in result.stderr


OWN_JOB = """
class Job(FineTuneWork):
    def __init__(self, learner, rows):
        self.learner, self.rows = learner, rows

    def run(self, settings, folder):
        history = self.learner.fit(self.rows, epochs=settings.epochs, checkpoint=folder, resume=True, seed=0,
                                   progress=False)
        self.learner.save(folder)
        return history


def recipe():
"""


class Killed(Exception):
    """Ends a process as SIGKILL does: nothing is written behind it."""


def test_a_job_of_ones_own_that_reports_nothing_goes_on_and_is_finished(monkeypatch):
    begin, end = MINE.index("        return FineTuneJob("), MINE.index("    def learner(")
    own = MINE[:begin] + "        return Job(learner, read(data))\n\n" + MINE[end:]
    own = own.replace("import FineTuneJob", "import FineTuneWork").replace("def recipe():\n", OWN_JOB.lstrip())
    Path("mine.py").write_text(own)
    assert call("train", "./mine.py", "--epochs", 1, "--out", "run").exit_code == 0
    steps = []

    def stop(*_):
        steps.append(0)
        if len(steps) == 2:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stop)
        line = ["finetune", "run", "rows.txt", "--epochs", 3, "--out", "tuned", *AND]
        assert isinstance(CliRunner().invoke(app, [str(word) for word in line]).exception, Killed)
    resume = ["finetune", "--resume", "tuned", *AND]
    rows = Path("rows.txt").read_text()
    Path("rows.txt").write_text(rows.replace("e-01", "e-02"))
    refused = call(*resume)
    assert refused.exit_code == 2
    assert "rows.txt has changed since tuned began" in refused.stderr
    Path("rows.txt").write_text(rows)
    resumed = call(*resume)
    assert resumed.exit_code == 0, resumed.output
    assert "Going on: 1 of 3 epochs are done" in resumed.stdout
    assert "None" not in resumed.stdout
    assert not Path("tuned/report.json").exists()
    assert "tuned is finished" in call(*resume).stderr
    assert read_run(Path("tuned")).stopped == "finished"


def test_a_training_that_goes_on_names_the_file_that_has_changed():
    assert call("train", "./mine.py", "rows.txt", "--epochs", 1, "--out", "run").exit_code == 0
    np.savetxt("rows.txt", np.random.default_rng(4).random((8, 5)))
    refused = call("train", "./mine.py", "--resume", "run", "--epochs", 2)
    assert refused.exit_code == 2
    assert "rows.txt has changed since run began" in refused.stderr
    assert "train into a new folder" in refused.stderr


def test_a_longer_training_that_failed_as_it_began_is_not_finished(monkeypatch):
    assert call("train", "./mine.py", "--epochs", 1, "--out", "run").exit_code == 0
    longer = ["train", "./mine.py", "--resume", "run", "--epochs", "2"]

    def stop(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", stop)
        assert isinstance(CliRunner().invoke(app, longer).exception, Killed)
    assert "Going on: 1 of 1 epochs are done" in call(*longer).stdout
    assert "run is finished (2 of 2 epochs are done)" in call(*longer).stdout
