"""What the verbs print alike."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from ..errors import OPEN, ConfigError, DataError, Remedy, RnnkitError, Words
from ..plotting.numbering import numbered_names
from ..tasks.figure_names import figure_name

INTERRUPTED = 130  # the exit code of Ctrl-C


def report(metrics: dict[str, float]) -> None:
    """Print results on the test set; the accuracy, where there is one, last."""
    for name, value in metrics.items():
        if name != "accuracy":
            title = figure_name(name)
            typer.echo(f"{title if title == 'chrF' else title[0].upper() + title[1:]}: {value:.4g}")
    if "accuracy" in metrics:
        typer.echo(f"Accuracy: {metrics['accuracy']:.2%}")


def complain(error: RnnkitError) -> None:
    """Print an error on stderr, in red on a terminal."""
    typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)


def check_overwrites(out: Path, run: Path, files: Iterable[Path]) -> None:
    """Raise ConfigError where --out names what is read: data, a file in a folder of data, or a file of the run."""
    for file in files:
        if out.exists() and file.exists() and (out.samefile(file) or file.resolve() in out.resolve().parents):
            raise ConfigError(f"--out {out} is data that is read; name another file")
    if run.resolve() in (out.resolve(), *out.resolve().parents):
        raise ConfigError(f"--out {out} lies in the run's folder {run}; name a file elsewhere")


def warn(message: object) -> None:
    """Print a warning on stderr, in yellow on a terminal."""
    typer.secho(f"Warning: {message}", fg=typer.colors.YELLOW, err=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings that are raised in a block as messages on stderr, without the line of code they come from.

    The pictures of the block number names that no font can write together, with one warning.
    """

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(message)

    with warnings.catch_warnings():
        warnings.showwarning = show
        with numbered_names():
            yield


class Options(Words):
    """How errors name the arguments of a function that are options of a verb: ``--encoding gb18030``.

    Example:
        >>> Options("encoding").clause(Remedy("encoding", "gb18030", "(Chinese)"))
        'type --encoding gb18030 (Chinese)'
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    def assignment(self, argument: str, value: Any) -> str:
        """Write an argument as an option; a value that a shell would cut is quoted."""
        return f"--{argument} {'NAME' if value is OPEN else shlex.quote(str(value))}"

    def clause(self, remedy: Remedy) -> str | None:
        """Write a remedy; None where the verb has no such option."""
        return super().clause(remedy) if set(remedy.arguments) <= set(self._names) else None


@contextmanager
def in_options(*names: str) -> Iterator[None]:
    """Write errors about data that a block raises with the options of a verb.

    Args:
        names: the arguments that are options, too.
    """
    try:
        yield
    except (DataError, ConfigError) as error:
        raise error.in_words(Options(*names)) from error
