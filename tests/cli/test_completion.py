"""What the shell is told to complete."""

import pytest
from typer.testing import CliRunner

from rnnkit.cli.main import app


def completed(line):
    environment = {
        "_RNNKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": f"rnnkit {line}",
        "COMP_CWORD": str(len(line.split(" "))),
    }
    result = CliRunner().invoke(app, [], env=environment, prog_name="rnnkit")
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("trai", ["train"]),
        ("tr", ["train", "translate", "transcribe"]),
        ("generate run --repet", ["--repetition-penalty"]),
        ("translate run --wi", ["--width"]),
        ("recipes ", ["list", "show", "copy"]),
        ("train mnist-p", ["mnist-permuted", "mnist-pixels"]),
        ("recipes show reg", ["regress"]),
        ("recipes copy add", ["adding", "adding-plain"]),
        ("train mnist --ep", ["--epochs"]),
        ("train mnist --nope 3 --batch", ["--batch-size"]),
        ("train mnist --cell ", ["simple_rnn", "lstm", "gru"]),
        ("train classify series.c", []),  # the shell's own completion of files
    ],
)
def test_words_are_completed(line, expected):
    assert completed(line) == expected


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_the_help_names_the_options(option):
    assert option in CliRunner().invoke(app, ["--help"]).output
