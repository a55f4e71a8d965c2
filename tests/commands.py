"""Commands of rnnkit as the tests type them."""

from typer.testing import CliRunner

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
