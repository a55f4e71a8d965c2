"""Recipes in two processes: one writes and prints, and both see their share."""

import importlib.util
import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import together
import torch
from empty_pictures import pictures_saved_empty

from rnnkit.recipes import RECIPES

FEW = ("classify", "lm", "speech", "translate")  # one for each kind of batches
ALL = [name for name in RECIPES if name != "ngram"]  # which counts
# What a run of a recipe is fine-tuned on, and how: rows in memory, a language model, and a task after another one.
FINE_TUNED = {
    "classify": ["my.csv", "--set", "rank=2"],
    "lm": ["my.txt", "--set", "validation=0.2"],
    "pretrain": ["my.csv", "--task", "classify"],
    "forecast": ["steps.csv"],
}


def small():
    """The settings and data of small runs of all recipes."""
    place = Path(__file__).with_name("test_resume.py")
    spec = importlib.util.spec_from_file_location("small_runs", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def train_all(folder, names, processes):
    """Train recipes one after the other, fine-tune some of the runs, and write what each printed and left."""
    from rnnkit.cli.main import app
    from rnnkit.recipes import lm_results, mnist
    from rnnkit.training.distribution.group import join_group

    os.chdir(folder)
    if processes > 1:
        join_group(torch.device("cpu"))
    rank = os.environ.get("RANK", "0")
    settings = small()
    lm_results.SAMPLE_TOKENS, mnist.draw = 5, lambda *_: None
    found = {}
    lines = {}
    for name in names:
        own = settings.SMALL.get(name, settings.SMALL.get(RECIPES[name][0], settings.DIGITS))
        lines[name] = ["train", name, "--out", f"{processes}/{name}"]
        for one in ("fit.epochs=2", "model.hidden_size=4", "device=cpu", *own):
            lines[name] += ["--set", one.replace("my.csv", "numbers.csv") if name == "regress" else one]
        if name in FINE_TUNED:
            line = ["finetune", f"{processes}/{name}", *FINE_TUNED[name], "--epochs", "2", "--device", "cpu"]
            lines[tuned(name)] = [*line, "--out", f"{processes}/{tuned(name)}"]
    for name, line in lines.items():
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pictures_saved_empty():
            try:
                code = app(line, standalone_mode=False) or 0
            except BaseException as error:
                code = f"{type(error).__name__}: {error}"
        found[name] = [code, out.getvalue(), err.getvalue()]
        if code:
            break
    Path(f"{processes}-{rank}.json").write_text(json.dumps(found))


def tuned(name):
    return f"{name}-tuned"


@pytest.fixture(scope="module")
def names():
    chosen = os.environ.get("RNNKIT_RECIPES", ",".join(FEW))
    return ALL if chosen == "all" else chosen.split(",")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, names):
    """The folder of runs in two processes."""
    folder = tmp_path_factory.mktemp("runs")
    before = os.getcwd()
    os.chdir(folder)
    try:
        settings = small()
        settings.write_waves("my.csv", last="label")
        settings.write_waves("numbers.csv", last="target")
        settings.write_texts()
        settings.write_sounds()
        settings.write_lines("lines", 16)
    finally:
        os.chdir(before)
    with together.search_path(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "agg")
        pair = together.start(train_all, str(folder), names, 2, world=2)
        assert together.finish(pair, 600) == [0, 0]
    return folder


def test_every_recipe_trains_and_is_fine_tuned_in_two_processes(trained, names):
    first, second = (json.loads((trained / f"2-{rank}.json").read_text()) for rank in (0, 1))
    expected = [*names, *(tuned(name) for name in names if name in FINE_TUNED)]
    for name in expected:
        assert [first[name][0], second[name][0]] == [0, 0], (name, first[name], second[name])
        assert (trained / "2" / name / "metrics.json").is_file()
        assert json.loads((trained / "2" / name / "versions.json").read_text())["processes"] == 2
    assert sorted(path.name for path in (trained / "2").iterdir()) == sorted(expected)
