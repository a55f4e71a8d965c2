"""The table of accuracies, and which runs are used again."""

import dataclasses
import json
from pathlib import Path

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


def test_the_mean_decides_and_the_spread_is_shown():
    page = render({"mnist-founding": [0.961, 0.968, 0.969], "mnist": [0.99, 0.97, 0.99]})
    assert "| mnist-founding | 3 | 96.10% | 96.90% | 96.60% | 0.44% | ≥ 96.50% | met |" in page
    assert "| mnist | 3 | 97.00% | 99.00% | 98.33% | 1.15% | ≥ 98.50% | **not met** |" in page


def test_every_error_must_be_small_and_one_seed_is_enough_where_it_is_said():
    page = render({"adding-400": [2e-4, 1.2e-3, 3e-4], "adding-1000": [2e-4, 5e-4, 9e-4], "mnist-pixels": [0.986]})
    assert "| adding-400 | 3 | 2.0e-04 | 1.2e-03 | 5.7e-04 | 5.5e-04 | each < 1.0e-03 | **not met** |" in page
    assert "| adding-1000 | 3 | 2.0e-04 | 9.0e-04 | 5.3e-04 | 3.5e-04 | each < 1.0e-03 | met |" in page
    assert "| mnist-pixels | 1 | 98.60% | 98.60% | 98.60% |  | ≥ 98.50% | met |" in page


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
        assert override(recipes.find(job.recipe)(), resolve(job)).seed == 0
    assert possible(JOBS["mnist"])
    assert not possible(JOBS["GunPoint"])
    (tmp_path / "ucr_uea" / "GunPoint").mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        (tmp_path / "ucr_uea" / "GunPoint" / f"GunPoint_{part}.ts").write_text("")
    assert possible(JOBS["GunPoint"])
