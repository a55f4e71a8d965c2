import json
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnkit import recipes, runs
from rnnkit.errors import ConfigError, RunFolderError
from rnnkit.runs import resuming


@dataclass(frozen=True)
class Small:
    seed: int = 7
    device: str = "cpu"


def begin(out=None, write="model.safetensors", recipe=None):
    with runs.start("small", recipe or Small(), out) as folder:
        (folder / write).write_text("trained")
    return folder


def test_folders_are_numbered_and_never_shared():
    assert [str(begin()) for _ in range(3)] == ["runs/small", "runs/small-2", "runs/small-3"]
    folders = []
    threads = [threading.Thread(target=lambda: folders.append(begin())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 8


def test_a_files_run_is_named_after_it():
    with runs.start("./recipes/mine.py", Small()) as folder:
        assert folder == Path("runs/mine")


def test_recipe_and_versions_are_there_from_the_start():
    with runs.start("small", Small()) as folder:
        stored = json.loads((folder / "recipe.json").read_text())
        versions = json.loads((folder / "versions.json").read_text())
    assert stored == {"recipe": "small", "settings": {"seed": 7, "device": "cpu"}}
    assert runs.read_recipe(folder) == ("small", {"seed": 7, "device": "cpu"})
    assert (versions["seed"], versions["device"]) == (7, "cpu")
    assert versions["threads"] >= 1
    assert {"python", "rnnkit", "torch", "numpy", "native core"} <= set(versions)


def test_an_explicit_folder_may_be_new_or_empty_but_not_used():
    assert begin(Path("a/b")) == Path("a/b")
    Path("empty").mkdir()
    begin(Path("empty"))
    with pytest.raises(RunFolderError, match="a/b is in use \\(3 files\\); name a new folder with --out"):
        begin(Path("a/b"), write="other")
    assert not Path("a/b/other").exists()
    Path("file").write_text("mine")
    with pytest.raises(RunFolderError, match="--out file is a file"):
        begin(Path("file"))
    assert Path("file").read_text() == "mine"


def test_no_run_lies_in_the_folder_of_another():
    begin(Path("a/b"))
    for inside in ("a/b/c", "a/b/c/d", "a/../a/b/c"):
        with pytest.raises(RunFolderError, match="lies in the folder of another run, .*/a/b; name a folder beside it"):
            begin(Path(inside))
    assert not Path("a/b/c").exists()
    begin(Path("a/c"))


@pytest.mark.parametrize("error", [ConfigError("no"), KeyboardInterrupt()])
def test_a_run_that_came_to_nothing_leaves_no_folder(error):
    def fail(folder):
        runs.write_json(folder / runs.DATA, {})
        raise error

    with pytest.raises(type(error)), runs.start("small", Small()) as folder:
        fail(folder)
    assert list(Path("runs").iterdir()) == []


def test_a_run_that_trained_keeps_its_folder():
    def broken_off():
        with runs.start("small", Small()) as folder:
            (folder / "model.safetensors").write_text("trained")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    files = {path.name for path in Path("runs/small").iterdir()}
    assert files == {"model.safetensors", "recipe.json", "versions.json"}


def test_a_device_that_does_not_exist_is_refused_before_anything_is_written():
    with pytest.raises(ConfigError, match="cpuu"):
        begin(recipe=Small(device="cpuu"))
    assert not Path("runs").exists()


def test_what_is_no_run_folder():
    Path("some").mkdir()
    with pytest.raises(RunFolderError, match="some has no recipe.json; expected the folder of a run"):
        runs.read_recipe(Path("some"))
    with pytest.raises(RunFolderError, match="none does not exist"):
        runs.read_recipe(Path("none"))
    for damaged in ('{"recipe": "mni', '{"recipe": "mnist"}', "[]", '{"recipe": "mnist", "settings": 3}'):
        Path("some/recipe.json").write_text(damaged)
        with pytest.raises(RunFolderError, match="recipe.json is damaged"):
            runs.read_recipe(Path("some"))


def test_names_of_recipes():
    assert recipes.find("mnist")() == recipes.find("mnist")()
    for name in recipes.RECIPES:
        assert isinstance(recipes.find(name)(), recipes.Recipe)
        assert len(recipes.summary(name)) > 20
    with pytest.raises(ConfigError, match="no recipe 'mnits'; did you mean 'mnist'?"):
        recipes.find("mnits")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "mine.py does not exist; `rnnkit recipes copy mnist mine.py`"),
        ("x = 1", "mine.py has no function recipe()"),
        ("def recipe():\n    return 3", "returned a int; expected a rnnkit.recipes.Recipe: type `from rnnkit"),
        ("import nothing_of_this_name", "failed in line 1: ModuleNotFoundError"),
        ("def recipe():\n    x = 1\n    return x / 0", "failed in line 3: ZeroDivisionError"),
        ("def recipe(:", "SyntaxError"),
    ],
)
def test_files_that_are_no_recipes(text, message):
    file = Path("mine.py")
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        recipes.from_file(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_a_copy_is_the_recipe(name):
    Path("copy.py").write_text(recipes.source_text(name))
    copied = recipes.from_file(Path("copy.py"))
    assert type(copied).__module__ == "rnnkit_recipe_copy"
    # Dataclasses of two modules are never equal, but print alike.
    assert repr(copied) == repr(recipes.find(name)())


def test_json_files_are_strict(tmp_path):
    runs.write_json(tmp_path / "metrics.json", {"test": {"loss": float("nan"), "accuracy": 0.5}})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"test": {"loss": None, "accuracy": 0.5}}


def test_a_device_is_compared_only_where_the_recipe_names_one(tmp_path):
    folder = begin(tmp_path / "run")
    facts = json.loads((folder / runs.VERSIONS).read_text()) | {"device": "cuda:0"}
    (folder / runs.VERSIONS).write_text(json.dumps(facts))
    assert resuming.changes(folder, Small()) == ["device was cuda:0, now cpu"]
    assert resuming.changes(folder, object()) == []
