"""Mistakes in the words of a command: one message, which says what arrived and what to type."""

import shlex

import pytest
import typer
from commands import call, refused_alone

from rnnkit.cli.command import Verb, Verbs
from rnnkit.cli.main import app


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "there is no `rnnkit trian`; did you mean `rnnkit train`?"),
        ("mnist", "there is no `rnnkit mnist`, and mnist is a recipe; type `rnnkit train mnist`"),
        ("zzz", "there is no `rnnkit zzz`; expected one of train, evaluate, predict"),
        ("recipes cpy", "there is no `rnnkit recipes cpy`; did you mean `rnnkit recipes copy`?"),
        ("recipes zzz", "there is no `rnnkit recipes zzz`; expected one of list, show, copy"),
        ("--verson", "there is no option --verson; did you mean --version?"),
        ("predict", "no RUN arrived; type `rnnkit predict RUN [FILE ...]` (`rnnkit predict --help` says more)"),
        ("recipes copy", "no NAME arrived; type `rnnkit recipes copy NAME [FILE]`"),
        ("shards make texts", "no --out arrived; type `rnnkit shards make SOURCE ... --out OUT`"),
        ("doctor now", "extra argument(s) (now); type `rnnkit doctor` (`rnnkit doctor --help` says more)"),
        ("train classify my.csv again", "(again); type `rnnkit train [RECIPE] [FILE]`"),
        ("export run --dta my.csv", "there is no option --dta; did you mean --data?"),
        ("export run --zzz", "there is no option --zzz; `rnnkit export --help` lists the options"),
        ("train mnist --epochs 3.5", "--epochs 3.5 arrived; expected a whole number: type --epochs 3"),
        ("train mnist --lr=fast", "--lr fast arrived; expected a number: type --lr 0.5"),
        ("train mnist --epochs", "--epochs arrived without its value; type --epochs EPOCHS"),
        ("train mnist --set", "--set arrived without its value; type --set FIELD=VALUE"),
        ("runs --json=yes", "--json arrived with a value; it takes none: type --json"),
    ],
)
def test_says_what_arrived_and_what_to_type(line, message):
    assert refused_alone(call(*shlex.split(line)), message)


def test_a_group_without_a_verb_shows_its_help():
    for line in ([], ["recipes"], ["shards"]):
        answer = call(*line)
        assert "Usage:" in answer.output
        assert "Error" not in answer.output


def test_every_verb_answers_so():
    def check(group):
        for command in group.commands.values():
            assert isinstance(command, Verb | Verbs), command.name
            if isinstance(command, Verbs):
                check(command)

    check(typer.main.get_command(app))
