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


def test_what_a_reader_guesses_is_said_in_the_words_of_the_command_line():
    lines = [f"{2 * i};{i // 4:03};{i % 4};{i * 7 % 5},5;{i * 3 % 5};{'1E1' if i < 24 else '10'}" for i in range(48)]
    Path("my.csv").write_text("\n".join(["Unnamed: 0;id;time;x;y;label", *lines]))
    quick = ["--epochs", "1", "--hidden", "4", "--device", "cpu", "--set", "data.missing_codes=4"]
    answer = call("train", "classify", "my.csv", *quick)
    assert answer.exit_code == 0, answer.output
    said = [line for line in answer.stderr.splitlines() if "my.csv: " in line]
    marks = (
        "read with ';' as the delimiter and ',' as the decimal mark; type --set data.delimiter=, or --set data.decimal="
    )
    assert marks in said[0]
    counter = (
        "the column 'Unnamed: 0' only counts the rows and is left out; type --set 'data.keep=Unnamed: 0' to keep it"
    )
    assert said[1].endswith(counter)
    assert len(said) == 2
    table = Path("runs/classify/predictions.csv").read_text().splitlines()
    assert table[0] == "id,true,prediction,probability_1E1,probability_10"
    assert {line.split(",")[1] for line in table[1:]} <= {"10", "1E1"}
    assert all(len(line.split(",")[0]) == 3 for line in table[1:])


def test_a_thousands_mark_is_named_as_the_error_says():
    Path("my.csv").write_text("id;t0;t1;label\n" + "".join(f"{i};2.155;{i},5;{'uv'[i % 2]}\n" for i in range(12)))
    answer = call("train", "classify", "my.csv", "--set", "data.decimal=,")
    assert refused(answer, "type --set data.thousands=. if it is 2155")
    said = call("train", "classify", "my.csv", "--set", "data.thousands=.", "--set", "data.label=kind")
    assert refused(said, "there is no column 'kind'")


def test_what_was_read_is_said_before_training():
    rows = [f"{'uv'[i % 2]};{i},5;{i * 7 % 5};{i * 3 % 4}" for i in range(12)]
    Path("my.csv").write_text("\n".join(["kind;t0;t1;t2", *rows]))
    answer = call("train", "classify", "my.csv", "--epochs", "1", "--hidden", "4", "--device", "cpu")
    assert answer.exit_code == 0, answer.output
    said = "Read 12 series of 3 steps; channels 'value'; labels 'u', 'v'; columns: target 'kind'."
    assert answer.stdout.splitlines()[1] == said
