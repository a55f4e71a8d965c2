import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from digits import made_mnist
from empty_pictures import pictures_saved_empty
from pages import faults_of
from series_files import write_waves
from typer.testing import CliRunner

import rnnkit
from rnnkit.cli.main import app
from rnnkit.serialization import save_module

QUICK = ["--set", "fit.epochs=2", "--set", "model.hidden_size=8", "--device", "cpu"]
OWN = """
from dataclasses import dataclass
from rnnkit.recipes import Recipe

@dataclass(frozen=True)
class Own(Recipe):
    def run(self, folder):
        import rnnkit
        from rnnkit.serialization import save_module
        save_module(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), folder)

def recipe():
    return Own()
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result, *words):
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert all(word in result.stderr for word in words), result.stderr
    return True


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.npz"
    rng = np.random.default_rng(0)
    np.savez(path, x=rng.normal(size=(5, 30, 2)), y=rng.normal(size=5), lengths=[30, 4, 9, 30, 1])
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the digits, trained once."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch, pictures_saved_empty():
        patch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist(40, 80))
        assert call("train", "mnist", *QUICK, "--out", folder).exit_code == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, in the test's own folder."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.usefixtures("whole_pictures")
def test_a_run_of_mnist_gets_a_verdict_and_a_page(run):
    result = call("inspect", "run")
    assert result.exit_code == 0, result.output
    verdict, seen, *_, last = result.stdout.splitlines()
    assert verdict.endswith(".")
    assert seen.endswith("of 28 steps back.")
    assert last == f"Page: {Path('run/report.html')}"
    text = Path("run/report.html").read_text(encoding="utf-8")
    assert faults_of(text) == []
    assert f"<h1>{verdict}</h1>" in text
    for title in ("Gradients through time", "Update-to-weight ratios", "Learning curves"):
        assert f"<h3>{title}</h3>" in text
    assert "looked at on 64 rows of up to 28 steps" in text
    assert "Loss and metrics over 2 epochs" in text


@pytest.mark.parametrize("recipe", ["classify", "regress"])
def test_runs_on_series_of_ones_own(recipe):
    last = "label" if recipe == "classify" else "target"
    write_waves("waves.csv", last=last)
    settings = ["data.path=waves.csv", "fit.steps=12", "model.hidden_size=8"]
    settings += [f"data.label={last}"] if recipe == "classify" else [f"data.target={last}"]
    trained = call("train", recipe, *[part for one in settings for part in ("--set", one)], "--out", "run")
    assert trained.exit_code == 0, trained.output
    assert call("inspect", "run").exit_code == 0
    text = Path("run/report.html").read_text(encoding="utf-8")
    assert "looked at on 6 rows of up to 1" in text
    assert "<h3>Update-to-weight ratios</h3>" in text
    write_waves("new.csv", count=4, seed=1, last=last)
    result = call("inspect", "run", "--data", "new.csv")
    assert result.exit_code == 0, result.output
    assert "looked at on 4 rows" in Path("run/report.html").read_text(encoding="utf-8")


def test_other_rows_of_another_file_and_another_place_for_the_page(run):
    np.savez("digits.npz", x=np.random.default_rng(0).random((3, 28, 28)), y=[1, 2, 3])
    result = call("inspect", "run", "--data", "digits.npz", "--out", "pages/mine.html", "--rows", 2)
    assert result.exit_code == 0, result.output
    assert "looked at on 2 rows" in Path("pages/mine.html").read_text(encoding="utf-8")
    assert not Path("run/report.html").exists()


@pytest.mark.parametrize("named", ["model.safetensors", ""])
def test_a_saved_model_with_rows_to_measure_on(rows, named):
    torch.manual_seed(0)
    save_module(rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 6)), Path("saved/model.safetensors"))
    result = call("inspect", Path("saved") / named, "--data", rows)
    assert result.exit_code == 0, result.output
    assert "looked at on 5 rows of up to 30 steps" in Path("saved/report.html").read_text(encoding="utf-8")
    assert "Gradients through time" in Path("saved/report.html").read_text(encoding="utf-8")


def test_a_run_of_a_recipe_in_a_file_is_not_executed_for_its_model(rows):
    Path("own.py").write_text(OWN)
    assert call("train", "./own.py", "--out", "run").exit_code == 0
    Path("own.py").write_text("raise SystemExit('executed')")
    assert refused(call("inspect", "run"), "trained from the file ./own.py", "--recipe")
    result = call("inspect", "run", "--data", rows)
    assert result.exit_code == 0, result.output
    Path("own.py").write_text(OWN)
    assert refused(
        call("inspect", "run", "--recipe", "./own.py"), "without inspection_data(folder, data)", "--data rows.npz"
    )


def test_what_cannot_be_inspected_is_refused_before_a_page_is_written(rows):
    assert refused(call("inspect", "nowhere"), "nowhere does not exist", "runs/mnist")
    Path("empty").mkdir()
    assert refused(call("inspect", "empty"), "holds no model.safetensors")
    save_module(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), Path("saved/model.safetensors"))
    assert refused(call("inspect", "saved"), "is a model without a recipe", "--data rows.npz")
    assert refused(call("inspect", "saved", "--data", "no.npz"), "no.npz does not exist")
    assert refused(call("inspect", "saved", "--data", rows, "--out", "page.txt"), "expected the name of a page")
    np.savez("odd.npz", z=[1.0])
    assert refused(call("inspect", "saved", "--data", "odd.npz"), "holds z; expected x [N, T, I]")
    np.savez("words.npz", x=["a"])
    assert refused(call("inspect", "saved", "--data", "words.npz"), "x is of type <U1")
    np.savez("objects.npz", x=np.array([{}], dtype=object))
    assert refused(call("inspect", "saved", "--data", "objects.npz"), "array 'x' holds Python objects")
    np.savez("nan.npz", x=np.full((2, 3, 2), np.nan))
    assert refused(call("inspect", "saved", "--data", "nan.npz"), "inputs hold nan")
    assert [path.name for path in Path("saved").iterdir()] == ["model.safetensors"]
    assert refused(call("inspect", "saved", "--data", rows, "--out", "saved/model.safetensors/page.html"), "--out")


def test_a_model_without_recurrent_layers_is_refused(monkeypatch, rows):
    save_module(rnnkit.SequenceRegressor(rnnkit.GRU(2, 4)), Path("saved/model.safetensors"))
    monkeypatch.setattr(rnnkit, "load", lambda path: torch.nn.Linear(2, 1))
    assert refused(call("inspect", "saved", "--data", rows), "Linear has no recurrent layer")


def test_damaged_records_are_named(run):
    Path("run/diagnostics.json").write_text("{")
    assert refused(call("inspect", "run"), "diagnostics.json holds no records")
