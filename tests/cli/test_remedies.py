"""What the command line advises works when it is typed; settings that arrive twice are refused."""

import shlex
from pathlib import Path

from commands import call, refused
from series_files import write_waves


def test_a_model_that_is_gone_is_written_again_by_what_the_error_says():
    write_waves("my.csv")
    quick = ["--epochs", "2", "--hidden", "6", "--device", "cpu", "--set", "model.channels=6"]
    assert call("train", "classify", "my.csv", *quick).exit_code == 0
    kept = Path("runs/classify/model.safetensors").read_bytes()
    Path("runs/classify/model.safetensors").unlink()
    answer = call("evaluate", "runs/classify")
    assert refused(answer, "`rnnkit train --resume runs/classify` goes on with the training, and writes the model")
    advice = answer.stderr.split("`")[1]
    assert call(*shlex.split(advice)[1:]).exit_code == 0
    assert Path("runs/classify/model.safetensors").read_bytes() == kept
    assert call("evaluate", "runs/classify").exit_code == 0


def test_a_setting_that_arrives_twice_is_refused():
    write_waves("my.csv")
    twice = call("train", "classify", "my.csv", "--epochs", "3", "--set", "fit.epochs=4")
    assert refused(twice, "fit.epochs arrived twice, by --set fit.epochs=4 and as 3; give it once")
    assert refused(call("train", "classify", "my.csv", "--set", "data.path=b.csv"), "data.path arrived twice")
    assert refused(
        call("train", "classify", "my.csv", "--cell", "gru", "--set", "model.cell=lstm"), "model.cell arrived"
    )
    assert not Path("runs").exists()


def test_an_option_without_its_value_is_no_unknown_option():
    result = call("train", "classify", "my.csv", "--set")
    assert result.exit_code == 2
    assert "there is no option" not in result.output
    assert "requires an argument" in result.output
