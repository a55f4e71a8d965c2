"""A task of one's own touches its own file and one table: here counts, by a Poisson regression."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import torch
from digits import on_made_digits
from empty_pictures import empty_pictures
from typer.testing import CliRunner

import rnnkit
from rnnkit import tasks
from rnnkit.cli.main import app
from rnnkit.errors import ConfigError, DataError
from rnnkit.tasks import series
from rnnkit.tasks.regression import Regression
from rnnkit.tasks.settings import Fit, Model
from rnnkit.tasks.task import Task

__all__ = ["empty_pictures", "on_made_digits"]
QUICK = {"model": Model(hidden_size=6, channels=6), "fit": Fit(steps=80, lr=0.02), "device": "cpu"}


def poisson(output, target):
    return torch.nn.functional.poisson_nll_loss(output, target.reshape(output.shape))


@dataclass(frozen=True)
class Counting(Task):
    """How often something happens in a series: log-linear, Poisson's likelihood."""

    most: int = 100

    name: ClassVar[str] = "count"
    target_type: ClassVar = "numbers"
    target_scale: ClassVar = "none"
    metric: ClassVar[str] = "mae"
    row_words: ClassVar = ("recording", "recordings")

    def as_targets(self, values):
        return np.asarray(values).astype(np.float64)

    def check_targets(self, rows):
        if rows.targets is None or rows.targets.dtype.kind != "f":
            raise DataError("counts are expected")
        if (rows.targets < 0).any() or (rows.targets > self.most).any():
            raise DataError(f"counts of 0 to {self.most} are expected")

    def build(self, body, outputs, **options):
        return rnnkit.SequenceRegressor(body, outputs, **options)

    def loss(self, fit):
        return poisson

    def answer_names(self, outputs):
        return ("count",)

    def answers(self, outputs, preprocessing):
        return outputs[:, 0].exp().clamp(max=self.most).double().numpy()

    def figures(self, outputs):
        found = self.answers(outputs.values, outputs.preprocessing)
        return {"mae": float(np.abs(found - outputs.rows.targets).mean())}

    def columns(self, outputs, *, true):
        columns = {"true": outputs.rows.targets.tolist()} if true else {}
        return columns | {"prediction": self.answers(outputs.values, outputs.preprocessing).tolist()}


# As a user writes it: the recipe for the command line is a file of its own.
RECIPE = """
from dataclasses import dataclass, field
from rnnkit.recipes import regress, series

@dataclass(frozen=True)
class Count(series.SeriesRecipe):
    data: regress.Data = field(default_factory=regress.Data)

    def task(self):
        from rnnkit.tasks import find
        return find("count")()

def recipe():
    return Count()
"""


@pytest.fixture(autouse=True)
def in_the_table(monkeypatch):
    module = ModuleType("rnnkit.tasks.counting")
    module.Counting = Counting
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(tasks.TASKS, "count", ("counting", "Counting"))


def peaks(count=40, seed=0):
    random = np.random.default_rng(seed)
    wanted = random.integers(0, 6, count)
    rows = random.normal(0, 0.1, (count, 24)).astype(np.float32)
    for row, number in zip(rows, wanted, strict=True):
        row[random.choice(24, number, replace=False)] += 2
    return rows, wanted.astype(np.float64)


class Chances(Counting):
    """The same counts; and whether there is none or at least one."""

    has_probabilities: ClassVar[bool] = True

    def probabilities(self, outputs):
        none = np.exp(-self.answers(outputs, None))
        return np.stack([none, 1 - none], 1)


def test_a_task_says_whether_it_has_probabilities():
    rows, wanted = peaks()
    shares = series.train_series(Chances(), rows, wanted, seed=0, **QUICK).predict_proba(rows)
    assert shares.shape == (40, 2)
    assert np.allclose(shares.sum(1), 1)
    with pytest.raises(ConfigError, match="the task 'count' has no classes and no probabilities; call predict"):
        series.train_series(Counting(), rows, wanted, seed=0, **QUICK).predict_proba(rows)


def test_it_trains_answers_and_comes_back_with_its_fields(tmp_path):
    rows, wanted = peaks()
    predictor = series.train_series(Counting(most=9), rows, wanted, seed=0, **QUICK)
    other, truth = peaks(seed=1)
    assert np.abs(predictor.predict(other) - truth).mean() < np.abs(wanted.mean() - truth).mean()
    assert predictor.predict(other).max() <= 9
    predictor.save(tmp_path / "counting.safetensors")
    again = series.load(tmp_path / "counting.safetensors", device="cpu")
    assert again.task == Counting(most=9)
    assert np.array_equal(again.predict(other), predictor.predict(other))
    with pytest.raises(DataError, match="0 to 9"):
        series.train_series(Counting(most=9), rows, wanted + 9, **QUICK)


def test_a_model_of_a_task_that_is_not_in_the_table_needs_the_task(tmp_path, monkeypatch):
    rows, wanted = peaks(4)
    predictor = series.train_series(Counting(), rows, wanted, **(QUICK | {"fit": Fit(steps=1)}))
    predictor.save(tmp_path)
    monkeypatch.delitem(tasks.TASKS, "count")
    with pytest.raises(DataError, match=r"task 'count' is not in rnnkit\.tasks\.TASKS; load it with load\(path, task="):
        series.load(tmp_path)
    assert series.load(tmp_path, task=Counting()).predict(rows).shape == (4,)


def test_files_from_before_tasks_had_names_load(tmp_path):
    from rnnkit.serialization import save_module

    rows, wanted = peaks(4)
    predictor = series.regress(rows, wanted, **(QUICK | {"fit": Fit(steps=1)}))
    extra = predictor.extra() | {"task": {"target_names": ["prediction"]}}
    save_module(predictor.model, tmp_path / "old.safetensors", extra)
    assert series.load(tmp_path / "old.safetensors").task == Regression()


def test_a_recipe_for_it_serves_every_verb():
    rows, wanted = peaks(24)
    for name, with_targets in (("my.csv", True), ("new.csv", False)):
        lines = ["id,time,x" + ",events" * with_targets]
        for at, (row, number) in enumerate(zip(rows, wanted, strict=True)):
            lines += [f"{at},{t},{x:.4f}" + f",{number:g}" * with_targets for t, x in enumerate(row)]
        Path(name).write_text("\n".join(lines) + "\n")
    Path("count.py").write_text(RECIPE)

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        return result

    quick = ["--epochs", 2, "--hidden", 6, "--set", "model.channels=6", "--device", "cpu", "--out", "run"]
    trained = call("train", "./count.py", "my.csv", "--set", "data.target=events", *quick)
    assert "Judged on 5 recordings alone" in trained.stderr
    assert "mae" in json.loads(Path("run/metrics.json").read_text())["test"]
    more = ["--recipe", "./count.py"]
    assert call("evaluate", "run", *more).stdout == trained.stdout.splitlines()[-1] + "\n"
    answers = call("predict", "run", "new.csv", *more).stdout.split()
    assert answers[:2] == ["id", "prediction"]
    call("inspect", "run", "my.csv", *more)
    call("finetune", "run", "my.csv", "--epochs", 1, "--device", "cpu", "--out", "tuned", *more)
