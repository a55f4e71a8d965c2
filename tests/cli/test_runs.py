"""``rnnkit runs`` as it is typed."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnkit import runs
from rnnkit.cli.main import app


def call(*arguments):
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


@pytest.fixture(autouse=True)
def two_runs_and_a_broken_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for at, (name, accuracy) in enumerate({"first": 0.9, "second": 0.95}.items()):
        folder = Path("runs") / name
        folder.mkdir(parents=True)
        settings = {"fit": {"lr": 0.1 / (at + 1)}, "seed": 0, "note": "tabs\tand [red]markup[/red]"}
        runs.write_json(folder / runs.RECIPE, {"recipe": "mnist", "settings": settings})
        runs.write_json(folder / runs.VERSIONS, {"started": f"2020-01-0{at + 1}T00:00:00+00:00", "torch": f"2.{at}"})
        runs.write_json(
            folder / runs.METRICS,
            {"test": {"loss": 0.2, "accuracy": accuracy}, "epochs": 2, "seconds": 75.0 + at, "stopped": "finished"},
        )
        (folder / "history.csv").write_text("epoch,loss,accuracy,val_loss\n1,0.9,0.5,1.0\n2,0.5,0.8,0.9\n")
    Path("runs/broken").mkdir()
    Path("runs/broken/recipe.json").write_text("{")


def rows(text):
    return [line.split("\t") for line in text.splitlines()]


def test_a_pipe_gets_a_line_a_run_in_columns():
    result = call()
    assert result.exit_code == 0, result.output
    header, *lines = rows(result.stdout)
    assert header[:7] == ["run", "recipe", "started", "stopped", "epochs", "seconds", "size"]
    assert {len(line) for line in lines} == {len(header)}
    first = dict(zip(header, lines[0], strict=True))
    assert (first["run"], first["test.accuracy"], first["seconds"]) == ("first", "0.9", "75.0")
    broken = dict(zip(header, lines[2], strict=True))
    assert (broken["run"], broken["stopped"], broken["test.accuracy"]) == ("broken", "damaged", "")
    assert "broken: recipe.json cannot be read" in result.stderr


def test_sorted_by_a_figure():
    result = call("runs", "--sort", "accuracy")
    assert [row[0] for row in rows(result.stdout)[1:]] == ["second", "first", "broken"]
    wrong = call("--sort", "acuracy")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("Error: no run can be sorted by 'acuracy'")


def test_compared_in_a_pipe():
    result = call("--compare", "first", "second")
    assert result.exit_code == 0, result.output
    header, *lines = rows(result.stdout)
    assert header == ["kind", "name", "first", "second", "second - first"]
    found = {(line[0], line[1]): line[2:] for line in lines}
    assert found["setting", "fit.lr"] == ["0.1", "0.05", ""]
    assert ("setting", "seed") not in found
    assert float(found["figure", "test.accuracy"][2]) == pytest.approx(0.05)
    assert found["version", "torch"] == ["2.0", "2.1", ""]
    assert call("runs", "--compare", "first", "second").stdout == result.stdout
    assert call("first", "second", "--compare").stdout == result.stdout


def test_json():
    listed = json.loads(call("--json").stdout)
    assert [one["name"] for one in listed] == ["first", "second", "broken"]
    assert listed[0]["figures"]["test.accuracy"] == 0.9
    compared = json.loads(call("--json", "--compare", "second", "first", "broken").stdout)
    assert compared["figures"]["test.accuracy"] == {"second": 0.95, "first": 0.9, "broken": None}
    assert compared["runs"]["broken"]["stopped"] == "damaged"


def test_a_terminal_gets_tables(monkeypatch):
    monkeypatch.setattr("rnnkit.cli.runs._terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    text = call().stdout
    assert re.search(r"first +mnist +20(19|20)-\d\d-\d\d \d\d:\d\d +finished +2 +1 min 15 s", text)
    assert "90.00%" in text
    assert re.search(r"broken +— +20\d\d", text)
    compared = call("--compare", "first", "second").stdout
    assert re.search(r"fit\.lr +0\.1 +0\.05", compared)
    assert re.search(r"test\.accuracy +90\.00% +95\.00% \(\+5\.00\)", compared)
    assert "2 more are alike" not in compared
    assert "3 more are alike" in compared  # recipe, seed, note
    assert re.search(r"torch +2\.0 +2\.1", compared)


def test_markup_in_a_setting_is_text(monkeypatch):
    monkeypatch.setattr("rnnkit.cli.runs._terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    stored = json.loads(Path("runs/first/recipe.json").read_text())
    stored["settings"]["note"] = "[bold]other[/wrong]"
    Path("runs/first/recipe.json").write_text(json.dumps(stored))
    text = " ".join(call("--compare", "first", "second").stdout.split())
    assert "note [bold]other[/wrong] tabs and [red]markup[/red]" in text


@pytest.mark.usefixtures("whole_pictures")
def test_a_picture_of_all_curves():
    result = call("--picture", "runs.png")
    assert result.exit_code == 0, result.output
    assert Path("runs.png").read_bytes().startswith(b"\x89PNG")
    assert "Drew runs.png, without broken, which have no epoch" in result.stderr
    wrong = call("--picture", "runs.docx")
    assert wrong.exit_code == 2
    assert "runs.docx is no picture's name" in wrong.stderr


def test_nothing_to_list():
    assert call("nowhere").exit_code == 2
    assert call("--compare", "first").exit_code == 2
    Path("empty").mkdir()
    result = call("empty")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No run in empty" in result.stderr
    assert json.loads(call("empty", "--json").stdout) == []


@pytest.mark.parametrize("width", [80, 110, 140])
def test_no_word_is_broken_on_a_narrow_terminal(monkeypatch, width):
    monkeypatch.setattr("rnnkit.cli.runs._terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    figures = {"loss": 0.2, "balanced_accuracy": 0.9, "accuracy": 0.9}
    metrics = {"test": figures, "validation": figures, "epochs": 12, "seconds": 75.0, "stopped": "early stopping"}
    chosen_on = "validation (5000 held-out training images)"
    runs.write_json(Path("runs/first", runs.METRICS), metrics | {"chosen_on": chosen_on})
    text = call().stdout
    assert max(map(len, text.splitlines())) <= width
    words = set(text.split())
    assert {"run", "first", "second", "broken", "early", "stopping", "finished"} <= words
    assert words & {"test.accuracy", "validation.accuracy"}
    _, _, *lines = [line for line in text.splitlines() if line.strip()]
    assert [line.split()[0] for line in lines[:3]] == ["first", "second", "broken"]  # none takes a second line
    assert len(lines) == 3 or "Not shown, for the width of" in text
    if width == 110:
        assert "--json has all" in text


@pytest.mark.parametrize("width", [60, 80, 110])
def test_a_comparison_breaks_no_word_either(monkeypatch, width):
    monkeypatch.setattr("rnnkit.cli.runs._terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"a-run-with-a-name-{at}" for at in range(5)]
    for at, name in enumerate(names):
        Path("runs", name).mkdir()
        runs.write_json(Path("runs", name, runs.RECIPE), {"recipe": "mnist", "settings": {"path": f"{'x' * 20}{at}"}})
        runs.write_json(Path("runs", name, runs.METRICS), {"test": {"accuracy": 0.9 + at / 100}, "stopped": "finished"})
    text = call("--compare", *names).stdout
    assert max(map(len, text.splitlines())) <= width
    assert {*names, *(f"{'x' * 20}{at}" for at in range(5)), "test.accuracy"} <= set(text.split())


def test_a_pipe_gets_short_numbers():
    metrics = {"test": {"accuracy": 0.1 + 0.2, "loss": 1 / 3}, "seconds": 100 / 7, "stopped": "finished"}
    runs.write_json(Path("runs/first", runs.METRICS), metrics)
    runs.write_json(Path("runs/second", runs.METRICS), {**metrics, "test": {"accuracy": 0.4, "loss": 1 / 3}})
    header, first, *_ = (line.split("\t") for line in call().stdout.splitlines())
    row = dict(zip(header, first, strict=True))
    assert (row["test.accuracy"], row["test.loss"], row["seconds"]) == ("0.3", "0.333333", "14.2857")
    assert "figure\ttest.accuracy\t0.3\t0.4\t0.1" in call("--compare", "first", "second").stdout.splitlines()
