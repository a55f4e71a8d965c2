"""Commands of rnnkit as the tests type them."""

import json

import pytest
from typer.testing import CliRunner

from rnnkit.cli.arguments import recipe_of
from rnnkit.cli.main import app


def call(*arguments, env=None):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def refused(result, *words):
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.stderr
    return True


def refused_alone(result, *words):
    """One message on stderr and nothing else, exit code 2, no traceback; words are looked for in it."""
    assert refused(result, *words)
    assert result.stderr.startswith("Error: ")
    assert result.stdout == ""
    return True


def validates_again(run):
    """Whether the recipe of a run gives the figures of its validation part again that the run has reported."""
    found, reported = recipe_of(run, None).validate(run), json.loads((run / "metrics.json").read_text())["validation"]
    same = [name for name in found if name in reported]
    assert same, found
    assert {name: found[name] for name in same} == pytest.approx({name: reported[name] for name in same}, nan_ok=True)
    return True
