"""Help, `rnnkit doctor`, and what is answered to options that do not exist."""

import os
import re
import subprocess
import sys

import pytest
import torch
from commands import call
from commands import refused_alone as refused

from rnnkit import recipes
from rnnkit.cli import doctor, start
from rnnkit.cli.main import app
from rnnkit.layers.capabilities import capabilities


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
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    assert ("OMP_WAIT_POLICY=passive" in str(doctor._busy_cores())) == told


def test_doctor_without_the_native_core():
    result = python(
        "import sys; sys.modules['rnnkit._native'] = None; sys.argv = ['rnnkit', 'doctor']\n"
        "from rnnkit.cli.start import main; main()"
    )
    assert re.search(r"present +no \(", result.stdout)
    assert re.search(r"SimpleRNN +tanh, relu +torch", result.stdout)


def test_help_and_lists_load_nothing_heavy():
    """Each line in turn; one that loads something fails the lines after it, too."""
    lines = [
        "--help",
        "--version",
        "train --help",
        "train classify --help",
        "finetune --help",
        "generate --help",
        "translate --help",
        "summarize --help",
        "recipes list",
        "recipes show mnist",
    ]
    program = (
        "import sys; from rnnkit.cli.main import app\n"
        f"for line in {lines}:\n"
        "    try: app(line.split())\n    except SystemExit as end: code = end.code\n"
        "    heavy = sorted({'torch', 'numpy', 'matplotlib', 'PIL', 'lightning_fabric'} & set(sys.modules))\n"
        "    print('Ended:', line, code, heavy)"
    )
    ended = [line for line in python(program).stdout.splitlines() if line.startswith("Ended:")]
    assert ended == [f"Ended: {line} 0 []" for line in lines]


def test_the_list_of_verbs_is_printed_without_them(monkeypatch, capsys):
    def printed(run):
        with pytest.raises(SystemExit) as ended:
            run()
        return ended.value.code, capsys.readouterr().out

    for words in (["--help"], []):
        monkeypatch.setattr(sys, "argv", ["rnnkit", *words])
        code, whole = printed(app)
        assert printed(start.main) == (code, whole)
        assert "train" in whole
    ended = python(
        "import sys; sys.argv = ['rnnkit', '--help']\n"
        "from rnnkit.cli.start import main\n"
        "try: main()\n"
        "finally: print('Loaded:', sorted({'rnnkit.recipes', 'rnnkit.cli.main'} & set(sys.modules)))"
    )
    assert ended.stdout.splitlines()[-1] == "Loaded: []"


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


def test_each_verb_takes_data_behind_what_reads_it_or_by_data():
    import typer

    from rnnkit.cli.main import app

    without = {"doctor", "generate", "import", "recipes", "runs", "shards"}
    for name, verb in typer.main.get_command(app).commands.items():
        options = {option for parameter in verb.params for option in parameter.opts}
        assert ("--data" in options) == (name not in without), name
        assert not options & {"--file", "--files", "--path"}, name
        if name not in without | {"translate"}:  # which takes texts in the place of files
            behind = [
                parameter for parameter in verb.params if getattr(parameter, "help", "").startswith("Same as --data")
            ]
            assert [(parameter.metavar or "").strip("[].") for parameter in behind] == ["FILE"], name
