"""Run folders are read in whatever state they are, sorted and put side by side."""

import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import rnnkit
from rnnkit import recipes, runs
from rnnkit.errors import ConfigError, RunFolderError
from rnnkit.runs import compare as comparing
from rnnkit.runs import listing, stored
from rnnkit.runs.settings import override
from rnnkit.serialization import save_module


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(name, *, lr=0.1, accuracy=0.9, seconds=12.5, started="2030-01-02T03:04:05+00:00", **metrics):
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    settings = {"model": {"cell": "lstm", "sizes": []}, "fit": {"lr": lr, "epochs": 3}, "seed": 0}
    runs.write_json(folder / runs.RECIPE, {"recipe": "mnist", "settings": settings})
    runs.write_json(folder / runs.VERSIONS, {"started": started, "torch": "2.13", "threads": len(name)})
    reported = {
        "validation": {"loss": 0.3, "accuracy": accuracy - 0.01},
        "test": {"loss": 0.2, "accuracy": accuracy},
        "chosen_on": "last epoch",
        "epochs": 3,
        "seconds": seconds,
        "stopped": "finished",
        **metrics,
    }
    runs.write_json(folder / runs.METRICS, reported)
    (folder / "history.csv").write_text("epoch,loss,val_loss,lr\n1,0.9,1.0,0.1\n2,0.5,,0.1\n3,nan,oops,0.1\n")
    return folder


def names(found):
    return [run.name for run in found]


def test_a_run_as_it_was_reported():
    folder = made("mnist")
    (run,) = listing.find(Path("runs"))
    assert (run.folder, run.name, run.recipe, run.stopped) == (folder, "mnist", "mnist", "finished")
    assert run.started == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (run.epochs, run.seconds, run.chosen_on) == (3, 12.5, "last epoch")
    assert list(run.figures) == ["validation.loss", "validation.accuracy", "test.loss", "test.accuracy"]
    assert run.figures["test.accuracy"] == 0.9
    assert run.settings == {"model.cell": "lstm", "model.sizes": [], "fit.lr": 0.1, "fit.epochs": 3, "seed": 0}
    assert run.size == sum(path.stat().st_size for path in folder.iterdir())
    assert run.problems == ()
    assert stored.read(folder).history()[:2] == [
        {"epoch": 1, "loss": 0.9, "val_loss": 1.0, "lr": 0.1},
        {"epoch": 2, "loss": 0.5, "lr": 0.1},
    ]


def test_what_a_started_run_writes_is_read():
    with runs.start("small", object(), None) as folder:
        (run,) = listing.find(Path("runs"))
        assert (run.folder, run.recipe, run.stopped) == (folder, "small", "unfinished")
        assert abs((datetime.now(UTC) - run.started).total_seconds()) < 60


def test_an_unfinished_run_tells_its_last_checkpoint():
    folder = made("killed")
    (folder / "metrics.json").unlink()
    assert stored.read(folder).epochs is None
    row = {"epoch": 2, "loss": 0.4, "val_loss": 0.6, "val_accuracy": 0.75}
    save_module(torch.nn.Linear(2, 2), folder, extra={"epoch": 2, "metrics": row})
    run = stored.read(folder)
    assert (run.stopped, run.epochs, run.problems) == ("unfinished", 2, ())
    assert run.figures == {"validation.loss": 0.6, "validation.accuracy": 0.75}
    (folder / "model.safetensors").write_bytes(b"torn")
    assert stored.read(folder).stopped == "unfinished"


def test_an_unfinished_runs_curves_are_those_of_its_checkpoint():
    folder = made("killed")
    for name in ("metrics.json", "history.csv"):
        (folder / name).unlink()
    assert stored.read(folder).history() == []
    learner = rnnkit.Learner(torch.nn.Linear(2, 1), loss="mse")
    history = learner.fit((torch.ones(8, 2), torch.ones(8)), epochs=2, checkpoint=folder, progress=False)
    (folder / ".training.safetensors.being-written").write_text("by a run that is under way")
    before = sorted(folder.iterdir())
    run = stored.read(folder)
    assert (run.stopped, run.epochs) == ("unfinished", 2)
    assert sorted(folder.iterdir()) == before
    assert [row["loss"] for row in run.history()] == [row["loss"] for row in history.rows]
    assert sorted(folder.iterdir()) == before
    (folder / "training.safetensors").write_bytes(b"torn")
    assert stored.read(folder).history() == []


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("recipe.json", '{"recipe": "mni', "recipe.json cannot be read"),
        ("recipe.json", "[]", "recipe.json cannot be read (it holds a list"),
        ("recipe.json", '{"recipe": "mnist"}', "names no recipe with settings"),
        ("recipe.json", None, "recipe.json is missing"),
        ("metrics.json", "{", "metrics.json cannot be read"),
        ("metrics.json", "[" * 100_000, "metrics.json cannot be read"),
        ("metrics.json", '{"test":' + "[" * 600 + "]" * 600 + "}", "metrics.json cannot be read"),
        ("metrics.json", b"\xff\xfe", "metrics.json cannot be read"),
        ("versions.json", "3", "versions.json cannot be read (it holds a int"),
    ],
)
def test_a_damaged_run_is_shown_beside_the_others(file, text, words):
    made("whole")
    broken = made("broken") / file
    if text is None:
        broken.unlink()
    else:
        broken.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = {run.name: run for run in listing.find(Path("runs"))}
    assert found["whole"].stopped == "finished"
    assert found["broken"].stopped == "damaged"
    assert words in found["broken"].problems[0]
    json.dumps(found["broken"].as_json(), allow_nan=False)
    assert comparing.compare(list(found.values())).runs[1].name in found


def test_odd_but_whole_reports():
    odd = made(
        "odd",
        epochs="three",
        seconds=None,
        stopped=None,
        test={"loss": math.nan, "words": "none", "ok": True, "error": 1},
    )
    run = stored.read(odd)
    assert (run.epochs, run.seconds, run.stopped) == (None, None, "None")
    assert [name for name in run.figures if name.startswith("test")] == ["test.error"]
    facts = json.loads(json.dumps(run.as_json(), allow_nan=False))
    assert facts["started"] == "2030-01-02T03:04:05+00:00"


def test_folders_without_a_run_are_passed_over_and_groups_are_entered():
    made("group/one")
    made("group/two/three")
    (made("single") / "nested").mkdir()
    Path("runs/notes").mkdir()
    Path("runs/.hidden").mkdir()
    Path("runs/.hidden/recipe.json").write_text("{}")
    os.symlink(Path("runs").absolute(), "runs/loop")
    found = listing.find(Path("runs"))
    assert sorted(names(found)) == ["group/one", "group/two/three", "single"]
    assert names(listing.find(Path("runs/single"))) == ["runs/single"]
    with pytest.raises(RunFolderError, match="nowhere does not exist"):
        listing.find(Path("nowhere"))


def test_the_oldest_comes_first_and_old_folders_have_the_time_of_their_recipe():
    made("late", started="2031-01-01T00:00:00+00:00")
    made("early", started="2030-01-01T00:00:00")
    old = made("old", started=None)
    os.utime(old / "recipe.json", (0, 0))
    assert names(listing.find(Path("runs"))) == ["old", "early", "late"]
    assert stored.read(old).started == datetime(1970, 1, 1, tzinfo=UTC)


def test_sorting_puts_the_best_first_and_the_unknown_last():
    made("b", accuracy=0.9, seconds=3)
    made("a", accuracy=0.95, seconds=9)
    made("c", test={"loss": 0.1}, seconds=1)
    made("d", accuracy=math.nan, seconds=5)
    found = listing.find(Path("runs"))
    assert names(listing.order(found, "accuracy")) == ["a", "b", "c", "d"]
    assert names(listing.order(found, "test_accuracy")) == ["a", "b", "c", "d"]
    assert names(listing.order(found, "validation.accuracy"))[:3] == ["a", "b", "c"]
    assert names(listing.order(found, "test.loss"))[0] == "c"
    assert names(listing.order(found, "seconds")) == ["c", "b", "d", "a"]
    assert names(listing.order(found, "name")) == ["a", "b", "c", "d"]
    for by in ("recipe", "stopped", "chosen_on", "started", "epochs", "size"):
        assert len(listing.order(found, by)) == 4
    with pytest.raises(ConfigError, match="did you mean 'test.accuracy'"):
        listing.order(found, "test.acuracy")


def test_runs_side_by_side():
    made("one", lr=0.1, accuracy=0.9)
    made("other", lr=0.01, accuracy=0.95, seconds=10.0, extra={"wer": 0.5})
    found = comparing.compare(listing.locate([Path("one"), Path("other")]))
    assert found.settings == {"fit.lr": (0.1, 0.01)}
    assert found.same == 5
    assert found.figures["test.accuracy"] == (0.9, 0.95)
    assert found.difference("test.accuracy") == (None, pytest.approx(0.05))
    assert found.difference("seconds") == (None, -2.5)
    assert found.figures["extra.wer"] == (None, 0.5)
    assert found.difference("extra.wer") == (None, None)
    assert found.versions == {"threads": (3, 5)}
    facts = found.as_json()
    assert facts["settings"]["fit.lr"] == {"one": 0.1, "other": 0.01}
    assert facts["differences"]["test.accuracy"]["other"] == pytest.approx(0.05)


def test_runs_are_found_by_path_by_name_and_in_the_folder_named_first():
    one, other = made("one"), made("group/other")
    for given in ([one, other], [Path("one"), Path("group/other")], [Path("runs"), Path("one"), Path("group/other")]):
        assert [run.folder for run in listing.locate(given)] == [one, other]
    with pytest.raises(RunFolderError, match="two runs or more"):
        listing.locate([one])
    with pytest.raises(RunFolderError, match="group/ohter is no run.*did you mean 'group/other'"):
        listing.locate([one, Path("group/ohter")])


def test_settings_of_another_recipe_are_none():
    made("one")
    stranger = made("two")
    runs.write_json(stranger / runs.RECIPE, {"recipe": "./mine.py", "settings": {"words": "x"}})
    found = comparing.compare(listing.find(Path("runs")))
    assert found.settings["recipe"] == ("mnist", "./mine.py")
    assert found.settings["words"] == (None, "x")


def test_a_real_run_is_listed(monkeypatch):
    from digits import made_mnist

    monkeypatch.setattr("rnnkit.data.mnist.load", lambda root=None: made_mnist())
    recipe = override(recipes.find("mnist")(), ["fit.epochs=1", "model.hidden_size=4", "data.limit=64", "device=cpu"])
    with runs.start("mnist", recipe) as folder:
        recipe.run(folder)
    run = stored.read(folder)
    assert (run.stopped, run.epochs, run.problems) == ("finished", 1, ())
    assert run.figures["test.accuracy"] <= 1
    assert run.settings["model.hidden_size"] == 4
    assert len(run.history()) == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1" + "0" * 400])
def test_a_report_with_what_is_no_finite_number_stops_no_list(number):
    made("whole")
    odd = made("odd", started="0001-01-01T00:00:00+14:00") / "metrics.json"
    odd.write_text(f'{{"epochs": {number}, "seconds": {number}, "test": {{"loss": {number}}}}}')
    found = {run.name: run for run in listing.find(Path("runs"))}
    assert found["whole"].epochs == 3
    assert (found["odd"].epochs, found["odd"].seconds, found["odd"].figures) == (None, None, {})
    assert found["odd"].started.year > 1


@pytest.mark.parametrize("text", ["[1]", '{"extra": 3, "config": null}', '{"dict": 5}', "[" * 100_000, "{"])
def test_a_checkpoint_that_says_something_else_tells_nothing(text):
    folder = made("killed")
    for name in ("metrics.json", "history.csv"):
        (folder / name).unlink()
    save_file({}, folder / "model.safetensors", {"rnnkit": text})
    save_file({}, folder / "training.safetensors", {"rnnkit values": text})
    run = stored.read(folder)
    assert (run.stopped, run.epochs, run.figures, run.history()) == ("unfinished", None, {}, [])
