import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from commands import call
from commands import refused_alone as refused
from PIL import Image, ImageDraw

import rnnkit
from rnnkit import recipes
from rnnkit.data.images import prepare_digit
from rnnkit.training.watching.progress import Progress

QUICK = ["--set", "fit.epochs=1", "--set", "model.hidden_size=8", "--device", "cpu"]
OWN = """
from dataclasses import dataclass
from pathlib import Path
from rnnkit.recipes import Recipe

@dataclass(frozen=True)
class Own(Recipe):
    words: str = "hello"

    def run(self, folder):
        (folder / "said.txt").write_text(self.words)
        return {METRICS}

def recipe():
    return Own()
"""


def train(*arguments):
    result = call("train", "mnist", *QUICK, *arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder with a run, trained once by the test that first asks for it, and what the command said."""
    return tmp_path_factory.mktemp("stored") / "run", []


@pytest.fixture
def trained(stored):
    """Puts a copy of the run into the test's folder; returns what the command that trained it said."""
    folder, said = stored
    if not said:
        said.append(train("--out", folder))

    def copy(out="runs/mnist"):
        shutil.copytree(folder, out)
        return said[0]

    return copy


def picture(path, **options):
    image = Image.new(options.get("mode", "L"), (60, 90), options.get("paper", 255))
    ImageDraw.Draw(image).line([(10, 20), (45, 20), (25, 75)], fill=options.get("ink", 0), width=6)
    image.save(path)
    return path


# train


def test_train_makes_the_run_folder_and_ends_with_the_accuracy():
    result = train("--set", "model.cell=lstm", "--seed", 5)
    folder = Path("runs/mnist")
    assert {path.name for path in folder.iterdir()} == {
        "recipe.json", "versions.json", "metrics.json", "history.csv", "diagnostics.json", "model.safetensors",
        "training.safetensors", "curves.png", "confusion.png", "mistakes.png",
    }  # fmt: skip
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["recipe"] == "mnist"
    settings = recipe["settings"]
    assert (settings["seed"], settings["model"]["cell"], settings["fit"]["epochs"]) == (5, "lstm", 1)
    accuracy = json.loads((folder / "metrics.json").read_text())["test"]["accuracy"]
    lines = result.stdout.splitlines()
    assert lines[0] == "Run folder: runs/mnist"
    assert lines[-1] == f"Accuracy: {accuracy:.2%}"
    assert re.fullmatch(r"Accuracy: \d+\.\d\d%", lines[-1])
    assert type(rnnkit.load(folder).body) is rnnkit.LSTM


def test_no_run_folder_is_used_twice():
    Path("own.py").write_text(OWN.replace("METRICS", ""))
    assert call("train", "./own.py").stdout == "Run folder: runs/own\n"
    assert call("train", "./own.py").stdout == "Run folder: runs/own-2\n"
    assert call("train", "./own.py", "--out", "mine").exit_code == 0
    before = {path: path.read_bytes() for path in Path("mine").iterdir()}
    again = ["train", "./own.py", "--set", "words=other", "--out"]
    assert refused(call(*again, "mine"), "mine is in use", "--out")
    Path("file").write_text("")
    assert refused(call(*again, "file/run"), "no run folder can be made here")
    assert {path: path.read_bytes() for path in Path("mine").iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist", "--set", "fit.epoch=3"], ["no field 'fit.epoch'", "did you mean 'fit.epochs'?"]),
        (["mnist", "--set", "fit.epochs=many"], ["fit.epochs=many", "a whole number"]),
        (["mnist", "--set", "model.cell=rnn"], ["simple_rnn | lstm | gru"]),
        (["mnist", "--set", "fit.epochs"], ["FIELD=VALUE"]),
        (["mnist", "--set", "fit.epochs=0"], ["epochs=0"]),
        (["mnist", "--device", "tpu"], ["'tpu'"]),
        (["mnits"], ["no recipe 'mnits'", "did you mean 'mnist'?"]),
        (["./mine.py"], ["mine.py does not exist"]),
    ],
)
def test_what_cannot_be_trained_is_told_and_leaves_nothing(arguments, words):
    assert refused(call("train", *arguments), *words)
    assert not Path("runs").exists() or list(Path("runs").iterdir()) == []


def test_a_recipe_of_ones_own():
    Path("mine.py").write_text(OWN.replace("METRICS", '"test": {"wer": 0.25}'))
    result = call("train", "./mine.py", "--set", "words=good morning")
    assert result.exit_code == 0, result.output
    assert Path("runs/mine/said.txt").read_text() == "good morning"
    assert result.stdout.splitlines()[-1] == "Word error rate: 0.25"
    assert refused(call("train", "./mine.py", "--set", "word=x"), "did you mean 'words'?")
    assert refused(call("train", "./mine.py", "--seed", "1"), "no field 'seed'")
    assert refused(call("evaluate", "runs/mine"), "trained from the file ./mine.py", "--recipe ./mine.py")
    assert refused(call("evaluate", "runs/mine", "--recipe", "./mine.py"), "has no evaluate(...)", "it can train")
    assert refused(call("predict", "runs/mine", "x.png", "--recipe", "./mine.py"), "has no predict(...)")


def test_an_object_that_is_no_recipe_is_refused_with_what_to_type():
    Path("mine.py").write_text(OWN.replace("METRICS", "").replace("class Own(Recipe)", "class Own"))
    assert refused(call("train", "./mine.py"), "from rnnkit.recipes import Recipe", "`class Own(Recipe):`")


def test_a_recipe_that_reports_nothing():
    Path("mine.py").write_text(OWN.replace("return {METRICS}", "return None"))
    result = call("train", "mine.py", "--out", "out")
    assert (result.exit_code, result.stdout) == (0, "Run folder: out\n")


def test_ctrl_c_keeps_the_model(monkeypatch):
    monkeypatch.setattr(Progress, "step", lambda *_: signal.raise_signal(signal.SIGINT))
    result = call("train", "mnist", *QUICK)
    assert result.exit_code == 130, result.output
    assert "Interrupted" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("Accuracy: ")
    assert json.loads(Path("runs/mnist/metrics.json").read_text())["stopped"] == "interrupted"
    assert call("evaluate", "runs/mnist").exit_code == 0


def test_ctrl_c_before_training_leaves_nothing(monkeypatch):
    def load(root=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnkit.data.mnist.load", load)
    assert call("train", "mnist", *QUICK).exit_code == 130
    assert list(Path("runs").iterdir()) == []


def test_the_traceback_is_there_for_those_who_ask():
    result = call("train", "mnist", "--set", "fit.epoch=3", env={"RNNKIT_DEBUG": "1"})
    assert type(result.exception).__name__ == "ConfigError"
    assert refused(call("train", "mnits", env={"RNNKIT_DEBUG": "0"}))


# evaluate


def test_evaluate_says_what_train_said(trained):
    said = trained()
    result = call("evaluate", "runs/mnist")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == said.stdout.splitlines()[-2:]
    assert call("evaluate", "runs/mnist", "--device", "cpu").stdout == result.stdout
    assert refused(call("evaluate", "runs/mnist", "--device", "tpu"), "'tpu'")


def test_what_cannot_be_evaluated(trained):
    assert refused(call("evaluate", "nowhere"), "nowhere does not exist")
    Path("empty").mkdir()
    assert refused(call("evaluate", "empty"), "empty has no recipe.json")
    trained("mine")
    Path("mine/model.safetensors").write_bytes(b"no weights")
    assert refused(call("evaluate", "mine"), "model.safetensors")
    Path("mine/model.safetensors").unlink()
    assert refused(call("predict", "mine", "x.png"), "model.safetensors")


def test_a_folder_cannot_have_a_file_executed(trained):
    trained("mine")
    Path("evil.py").write_text("open('executed', 'w')")
    stored = json.loads(Path("mine/recipe.json").read_text())
    Path("mine/recipe.json").write_text(json.dumps({**stored, "recipe": "evil.py"}))
    assert refused(call("evaluate", "mine"), "trained from the file evil.py; if you trust that file")
    assert refused(call("predict", "mine", "x.png"))
    assert not Path("executed").exists()


# predict


def test_predict_names_each_image_and_goes_on_after_an_unreadable_one(trained):
    trained()
    files = [
        picture("dark.png"),
        picture("light.png", paper=0, ink=255),
        picture("transparent.png", mode="RGBA", paper=(0, 0, 0, 0), ink=(0, 0, 90, 255)),
    ]
    Path("broken.png").write_text("no image")
    result = call("predict", "runs/mnist", files[0], "broken.png", *files[1:], "missing.png")
    assert result.exit_code == 1
    shares = rnnkit.load("runs/mnist")(torch.from_numpy(prepare_digit("dark.png"))[None]).detach().softmax(1)[0]
    expected = f"{int(shares.argmax())}\t{float(shares.max()):.1%}"
    assert result.stdout.splitlines() == [f"{file}\t{expected}" for file in files]
    errors = result.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("Error: broken.png: cannot be read as an image")
    assert errors[1] == "Error: missing.png: there is no such file"

    assert call("predict", "runs/mnist", *files).exit_code == 0
    assert call("predict", "runs/mnist").exit_code == 2


# recipes


def test_recipes_are_listed_and_shown():
    listed = call("recipes", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(recipes.RECIPES)
    assert {"classify", "regress", "mnist", "mnist-founding"} <= set(recipes.RECIPES)
    shown = call("recipes", "show", "mnist-founding").stdout
    assert re.search(r"^model\.init=keras +auto \| identity \| keras \| torch$", shown, re.MULTILINE)
    assert re.search(
        r"^fit\.epochs=10 +a whole number, at least 1\n +passes .* Same as --epochs\.$", shown, re.MULTILINE
    )
    assert re.search(r"^fit\.schedule=none +constant \| .*warmup_cosine \| .* or none$", shown, re.MULTILINE)
    assert refused(call("recipes", "show", "mnst"), "did you mean 'mnist'?")


def test_a_copied_recipe_runs_and_can_be_evaluated():
    copied = call("recipes", "copy", "mnist")
    assert copied.stdout == "Wrote mnist.py; run it with: rnnkit train ./mnist.py\n"
    Path("mnist.py").write_text(
        Path("mnist.py").read_text().replace("hidden_size: Count = 128", "hidden_size: Count = 6")
    )
    trained = call("train", "./mnist.py", "--set", "fit.epochs=1")
    assert trained.exit_code == 0, trained.output
    assert rnnkit.load("runs/mnist").body.hidden_size == 6
    again = call("evaluate", "runs/mnist", "--recipe", "./mnist.py")
    assert again.stdout.splitlines()[-1] == trained.stdout.splitlines()[-1]
    assert call("predict", "runs/mnist", picture("a.png"), "--recipe", "./mnist.py").stdout.startswith("a.png\t")


def test_a_copy_overwrites_nothing():
    Path("mine.py").write_text("mine")
    assert refused(call("recipes", "copy", "mnist", "mine.py"), "mine.py exists")
    assert Path("mine.py").read_text() == "mine"
    assert refused(call("recipes", "copy", "mnist", "no/folder/mine.py"), "cannot be written")


# short options, data files


@pytest.mark.parametrize(
    ("name", "prefix"), [("mnist", "fit."), ("adding", "fit."), ("classify", "fit."), ("regress", "fit.")]
)
def test_short_options_serve_every_recipe(name, prefix):
    from rnnkit.cli.arguments import shorthands
    from rnnkit.runs.settings import override

    recipe = recipes.find(name)()
    given = {"--epochs": 3, "--batch-size": 8, "--lr": 0.5, "--hidden": 7, "--seed": 5, "--device": "cpu"}
    changed = override(recipe, shorthands(recipe, given))
    assert (changed.fit.epochs, changed.fit.batch_size, changed.fit.lr) == (3, 8, 0.5)
    assert (changed.model.hidden_size, changed.seed, changed.device) == (7, 5, "cpu")


def test_a_short_option_without_a_setting_names_the_nearest_and_set():
    result = call("train", "adding", "--layers", "2")
    assert refused(result, "--layers 2 arrived", "no field 'num_layers'", "--set FIELD=VALUE")
    Path("mine.py").write_text(
        OWN.replace("METRICS", "").replace("words: str", "hidden_sizes: int = 3\n    words: str")
    )
    assert refused(call("train", "./mine.py", "--hidden", "2"), "did you mean 'hidden_sizes'?")


def test_a_recipe_that_makes_its_rows_takes_no_file():
    assert refused(call("train", "adding", "my.csv"), "my.csv arrived, but the recipe adding takes no data file")


def test_a_data_file_in_place_of_a_recipe_is_told_apart():
    Path("my.csv").write_text("a,b\n")
    assert refused(call("train", "my.csv"), "`rnnkit train classify my.csv`")


def test_a_folder_of_images_is_named_as_any_data():
    trained = call("train", "mnist", "somewhere", *QUICK, "--out", "run")
    assert trained.exit_code == 0, trained.output
    assert json.loads(Path("run/recipe.json").read_text())["settings"]["data"]["root"] == "somewhere"


def test_a_run_folder_deleted_meanwhile_is_an_error():
    text = OWN.replace("METRICS", "").replace("(folder /", "import shutil; shutil.rmtree(folder); (folder /")
    Path("mine.py").write_text(text)
    result = call("train", "./mine.py", "--out", "gone")
    assert result.exit_code == 2, result.output
    assert "gone was deleted while the run wrote into it" in result.stderr
    Path("mine.py").write_text(text.replace("(folder /", "folder.mkdir(); (folder /"))
    result = call("train", "./mine.py", "--out", "gone")
    assert result.exit_code == 2, result.output
    assert "lies there, incomplete. Train again into a new folder" in result.stderr
