import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from typer.testing import CliRunner

import rnnkit
from rnnkit import recipes
from rnnkit.cli import doctor
from rnnkit.cli.main import app
from rnnkit.data.images import prepare_digit
from rnnkit.layers.capabilities import capabilities
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


def call(*arguments, env=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def refused(result, *words):
    """One message on stderr, exit code 2, no traceback; words are looked for in it."""
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr
    return True


def train(*arguments):
    result = call("train", "mnist", *QUICK, *arguments)
    assert result.exit_code == 0, result.output
    return result


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
    assert result.stdout.splitlines()[-1] == "Wer: 0.25"
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


def test_evaluate_says_what_train_said():
    trained = train()
    result = call("evaluate", "runs/mnist")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == trained.stdout.splitlines()[-2:]
    assert call("evaluate", "runs/mnist", "--device", "cpu").stdout == result.stdout
    assert refused(call("evaluate", "runs/mnist", "--device", "tpu"), "'tpu'")


def test_what_cannot_be_evaluated():
    assert refused(call("evaluate", "nowhere"), "nowhere does not exist")
    Path("empty").mkdir()
    assert refused(call("evaluate", "empty"), "empty has no recipe.json")
    train("--out", "mine")
    Path("mine/model.safetensors").write_bytes(b"no weights")
    assert refused(call("evaluate", "mine"), "model.safetensors")
    Path("mine/model.safetensors").unlink()
    assert refused(call("predict", "mine", "x.png"), "model.safetensors")


def test_a_folder_cannot_have_a_file_executed():
    train("--out", "mine")
    Path("evil.py").write_text("open('executed', 'w')")
    stored = json.loads(Path("mine/recipe.json").read_text())
    Path("mine/recipe.json").write_text(json.dumps({**stored, "recipe": "evil.py"}))
    assert refused(call("evaluate", "mine"), "trained from the file evil.py; if you trust that file")
    assert refused(call("predict", "mine", "x.png"))
    assert not Path("executed").exists()


# predict


def test_predict_names_each_image_and_goes_on_after_an_unreadable_one():
    train()
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


# doctor, help


def test_doctor_tells_what_runs_where(monkeypatch):
    monkeypatch.setenv("RNNKIT_DATA", "/no/such/folder")
    result = call("doctor")
    assert result.exit_code == 0, result.output
    assert torch.__version__ in result.stdout
    assert re.search(rf"threads +{torch.get_num_threads()}\n", result.stdout)
    assert "/no/such/folder (does not exist)" in result.stdout
    table = [line.split() for line in result.stdout.splitlines()]
    for row in capabilities():
        assert [row.layer, *row.option.split(), row.cpu, row.cuda] in table


def python(program):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)


@pytest.mark.parametrize(("policy", "told"), [("passive", False), ("", True)])
def test_doctor_names_the_passive_policy_where_it_is_not_set(policy, told, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setattr("rnnkit.ops.machine.busy_cores_of_others", lambda: 2.0)
    monkeypatch.setattr("rnnkit.cli.doctor._LOOK_SECONDS", 0)
    assert ("OMP_WAIT_POLICY=passive" in str(doctor._busy_cores())) == told


def test_doctor_without_the_native_core():
    result = python(
        "import sys; sys.modules['rnnkit._native'] = None; sys.argv = ['rnnkit', 'doctor']\n"
        "from rnnkit.cli.main import main; main()"
    )
    assert re.search(r"present +no \(", result.stdout)
    assert re.search(r"SimpleRNN +tanh, relu +torch", result.stdout)


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--version",
        "train --help",
        "train classify --help",
        "finetune --help",
        "recipes list",
        "recipes show mnist",
    ],
)
def test_help_and_lists_load_nothing_heavy(line):
    program = (
        "import sys; from rnnkit.cli.main import app\n"
        f"try: app({line.split()})\nexcept SystemExit as end: code = end.code\n"
        "print(code, sorted({'torch', 'numpy', 'matplotlib', 'PIL', 'lightning_fabric'} & set(sys.modules)))"
    )
    assert python(program).stdout.splitlines()[-1] == "0 []"


def test_a_wrong_option_is_a_mistake_too():
    assert call("train", "mnist", "--epohcs", "3").exit_code == 2
    assert call("trian").exit_code == 2


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("train mnist --learning-rate 0.1", "--lr"),
        ("train mnist --n_epochs 3", "--epochs"),
        ("train mnist --units 3", "--hidden"),
        ("train mnist --random-state 3", "--seed"),
        ("train mnist --gpu", "--device cuda"),
        ("train mnist --dropout 0.1", "--set model.dropout=VALUE"),
        ("train classify --validation-split 0.1", "--set data.validation=VALUE"),
        ("finetune run new.csv --freeze body", "--set freeze=VALUE"),
        ("finetune run new.csv --learning-rate 0.1", "--lr"),
        ("evaluate run --file x.csv", "--data"),
    ],
)
def test_options_of_other_tools_are_answered_with_ours(line, meant):
    assert refused(call(*line.split()), f"did you mean {meant}?")


@pytest.mark.parametrize(
    ("assignment", "meant"),
    [("learning_rate=1", "fit.lr"), ("fit.n_epochs=1", "fit.epochs"), ("units=3", "model.hidden_size")],
)
def test_settings_of_other_libraries_are_answered_with_ours(assignment, meant):
    assert refused(call("train", "mnist", "--set", assignment), f"did you mean '{meant}'?")


def test_the_version():
    from importlib.metadata import version

    assert call("--version").stdout == f"rnnkit {version('rnnkit')}\n"


def test_a_gpu_is_called_cuda():

    advice = "did you mean 'cuda'?" if torch.cuda.is_available() else "expected 'auto' or 'cpu'"
    assert refused(call("train", "mnist", "--device", "gpu"), advice)


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


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_help_lists_every_setting_of_the_recipe_that_is_named(name):
    from rnnkit.runs.settings import settings

    text = call("train", name, "--help").stdout
    shown = call("recipes", "show", name).stdout
    for setting in settings(recipes.find(name)()):
        assert f"  {setting}=" in text
        assert f"{setting}=" in shown
    assert "--epochs" in text


def test_help_of_fine_tuning_lists_its_settings():
    text = call("finetune", "--help").stdout
    assert re.search(r"  replay=0\.5 +a number or none, more than 0\n +old rows mixed into each epoch", text)
