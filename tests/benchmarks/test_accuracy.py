"""The table of accuracies, and which runs are used again."""

import dataclasses
import json
from pathlib import Path

from benchmarks import accuracy, accuracy_jobs, few_observations
from benchmarks.accuracy import JOBS, MACHINES, finished, possible, render, resolve
from rnnkit import recipes
from rnnkit.runs.settings import override


@dataclasses.dataclass(frozen=True)
class Recipe:
    seed: int = 0
    sizes: tuple[int, ...] = (28, 128)


def write_run(folder, recipe, stopped="finished"):
    content = {"recipe": "made", "settings": dataclasses.asdict(recipe)}
    (folder / "recipe.json").write_text(json.dumps(content))
    (folder / "metrics.json").write_text(json.dumps({"test": {"accuracy": 0.5}, "stopped": stopped}))


def accuracies(*found):
    return [{"test": {"accuracy": one}} for one in found]


def errors(*found):
    return [{"test": {"mse": one}} for one in found]


def test_the_mean_decides_and_the_spread_is_shown():
    page = render({"mnist-founding": accuracies(0.961, 0.968, 0.969), "mnist": accuracies(0.99, 0.97, 0.99)})
    assert "| mnist-founding | accuracy | 3 | 96.10% | 96.90% | 96.60% | 0.44% | ≥ 96.50% | met |" in page
    assert "| mnist | accuracy | 3 | 97.00% | 99.00% | 98.33% | 1.15% | ≥ 98.50% | **not met** |" in page


def test_every_error_must_be_small_and_one_seed_is_enough_where_it_is_said():
    small = {"adding-400": errors(2e-4, 1.2e-3, 3e-4), "adding-1000": errors(2e-4, 5e-4, 9e-4)}
    page = render(small | {"mnist-pixels": accuracies(0.986)})
    assert "| adding-400 | mse | 3 | 2.0e-04 | 1.2e-03 | 5.7e-04 | 5.5e-04 | each ≤ 1.0e-03 | **not met** |" in page
    assert "| adding-1000 | mse | 3 | 2.0e-04 | 9.0e-04 | 5.3e-04 | 3.5e-04 | each ≤ 1.0e-03 | met |" in page
    assert "| mnist-pixels | accuracy | 1 | 98.60% | 98.60% | 98.60% |  | ≥ 98.50% | met |" in page


def forecast(mae=470.0, ridge=591.0, coverage=0.777):
    baselines = {"seasonal_24": {"mae": 921.0}, "seasonal_168": {"mae": 1433.0}, "ridge": {"mae": ridge}}
    return {"test": {"mae": mae, "interval_80_coverage": coverage}, "baselines": baselines}


def weather(network):
    step = {"persistence": 2.26, "climatology": 3.14, "ridge": 2.10}
    ahead = {name: {key: {"mae": value} for key, value in (step | {"network": network}).items()} for name in "137"}
    return {"test": {"interval_80_coverage": 0.8}, "ahead": ahead}


def test_forecasts_are_judged_beside_naive_ones_and_ridge():
    page = render({"forecast-energy": [forecast()], "forecast-weather": [weather(one) for one in (2.0, 2.1, 2.2)]})
    assert "| forecast-energy | mae / naive | 1 | 0.510 | 0.510 | 0.510 |  | ≤ 0.650 | met |" in page
    assert "| forecast-energy | mae / ridge | 1 | 0.795 |" in page
    assert "| forecast-energy | 80% intervals | 1 | 77.7% | 77.7% | 77.7% |  | 77.0% … 83.0% | met |" in page
    assert "| forecast-weather | mae / ridge, 7 ahead | 3 | 0.952 | 1.048 | 1.000 | 0.048 | ≤ 1.020 | met |" in page
    page = render({"forecast-energy": [forecast(mae=600.0, ridge=591.0, coverage=0.84)]})
    assert page.count("**not met**") == 3


def test_etth1_has_dlinear_as_the_check_of_the_protocol():
    run = {"test": {"mse": 0.364}, "baselines": {"dlinear": {"mse": 0.42}}}
    page = render({"forecast-etth1-96": [run], "forecast-etth1-720": [run]})
    assert "| forecast-etth1-96 | mse | 1 | 0.364 | 0.364 | 0.364 |  | ≤ 0.375 | met |" in page
    assert "| forecast-etth1-96 | DLinear | 1 | 0.420 | 0.420 | 0.420 |  | 0.371 … 0.401 | **not met** |" in page
    assert [JOBS[f"forecast-etth1-{one}"].goals[0].most for one in (96, 192, 336, 720)] == [0.375, 0.415, 0.45, 0.455]
    assert JOBS["forecast-etth1-336"].settings == ("horizon=336",)


def test_texts_are_judged_by_their_figures_and_some_are_only_shown():
    rouge = {"rouge1": 0.3, "rouge2": 0.1, "rougeL": 0.25}
    summary = {"test": rouge, "baselines": {"random sentence": dict.fromkeys(rouge, 0.2)}}
    language = {"test": {"loss": 1.46}, "dynamic_evaluation": {"loss": 1.46}}
    page = render(
        {
            "lm-tinyshakespeare": [language],
            "intents-snips": [{"test": {"intent_accuracy": 0.985, "slot_f1": 0.92}}],
            "translate-tatoeba-en": [{"test": {"bleu": 17.0}}],
            "summarize-scitldr": [summary],
        }
    )
    assert "| lm-tinyshakespeare | loss | 1 | 1.460 | 1.460 | 1.460 |  | ≤ 1.470 | met |" in page
    assert "| lm-tinyshakespeare | dynamic loss | 1 | 1.460 | 1.460 | 1.460 |  | ≤ 1.450 | **not met** |" in page
    assert "| intents-snips | slot F1 | 1 | 92.00% | 92.00% | 92.00% |  | ≥ 93.00% | **not met** |" in page
    assert "| translate-tatoeba-en | BLEU | 1 | 17.0 | 17.0 | 17.0 |  |  | shown |" in page
    assert "| summarize-scitldr | rouge1 / random | 1 | 1.500 |" in page
    assert "| summarize-scitldr | rouge2 / random | 1 | 0.500 | 0.500 | 0.500 |  | ≥ 1.000 | **not met** |" in page


def test_a_study_is_measured_once_and_read_again(tmp_path, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(accuracy, "FOLDER", tmp_path)
    monkeypatch.setattr(few_observations, "measure", lambda seed: calls.append(seed) or {"gain": 0.25})
    for _ in range(2):
        assert accuracy.main(["--only", "few-observations"]) == 0
    assert calls == [0]
    assert "| few-observations | gain | 1 | 25.0% | 25.0% | 25.0% |  | ≥ 10.0% | met |" in capsys.readouterr().out
    assert accuracy.main(["--only", "few-observations", "--fresh"]) == 0
    assert calls == [0, 0]
    assert accuracy.main(["--only", "few-observations", "--skip", "few-observations"]) == 0
    assert len(calls) == 2


@dataclasses.dataclass(frozen=True)
class Made:
    seed: int = 0
    rows: int = 10

    def run(self, folder):
        (folder / "metrics.json").write_text(json.dumps({"test": {"mse": self.rows / 10}, "stopped": "finished"}))


def test_a_recipe_is_trained_once_and_data_that_is_missing_is_told(tmp_path, monkeypatch, capsys):
    goal = accuracy_jobs.Goal("mse", accuracy_jobs.at("test", "mse"), most=1.5)
    monkeypatch.setitem(JOBS, "adding-400", accuracy_jobs.Job("adding", (goal,), ("rows=20",), (0, 1)))
    monkeypatch.setattr(recipes, "find", lambda name: Made)
    monkeypatch.setattr(accuracy, "override", lambda recipe, texts: dataclasses.replace(recipe, rows=20))
    monkeypatch.setattr(accuracy, "FOLDER", tmp_path / "runs")
    for trained in (2, 0):
        assert accuracy.main(["--only", "adding-400"]) == 1
        said = capsys.readouterr()
        assert said.err.count("training into") == trained
        assert "| adding-400 | mse | 2 | 2 | 2 | 2 | 0 | ≤ 1.5 | **not met** |" in said.out
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    assert accuracy.main(["--only", "intents-snips"]) == 0
    assert "intents-snips: left out, RNNKIT_DATA names no folder" in capsys.readouterr().err


def test_the_machines_are_those_of_the_makefile():
    text = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    for name, settings in MACHINES.items():
        for variable, value in settings.items():
            assert f"{variable}={value}" in text, name


def test_a_finished_run_of_the_same_recipe_is_used_again(tmp_path):
    assert not finished(tmp_path, Recipe())
    write_run(tmp_path, Recipe())
    assert finished(tmp_path, Recipe())


def test_a_run_of_another_recipe_or_an_interrupted_one_is_not(tmp_path):
    write_run(tmp_path, Recipe())
    assert not finished(tmp_path, Recipe(sizes=(28, 64)))
    write_run(tmp_path, Recipe(), stopped="interrupted")
    assert not finished(tmp_path, Recipe())


def test_settings_fit_their_recipes_and_files_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    for job in JOBS.values():
        if job.study:
            continue
        assert override(recipes.find(job.recipe)(), resolve(job)).seed == 0
    assert possible(JOBS["mnist"])
    assert not possible(JOBS["GunPoint"])
    (tmp_path / "ucr_uea" / "GunPoint").mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        (tmp_path / "ucr_uea" / "GunPoint" / f"GunPoint_{part}.ts").write_text("")
    assert possible(JOBS["GunPoint"])
