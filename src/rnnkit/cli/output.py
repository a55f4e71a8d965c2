"""What the verbs print alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from ..errors import RnnkitError

INTERRUPTED = 130  # the exit code of Ctrl-C


def report(metrics: dict[str, float]) -> None:
    """Print results on the test set; the accuracy, where there is one, last."""
    for name, value in metrics.items():
        if name != "accuracy":
            typer.echo(f"{name.replace('_', ' ').capitalize()}: {value:.4g}")
    if "accuracy" in metrics:
        typer.echo(f"Accuracy: {metrics['accuracy']:.2%}")


def complain(error: RnnkitError) -> None:
    """Print an error on stderr, in red on a terminal."""
    typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)


def warn(message: object) -> None:
    """Print a warning on stderr, in yellow on a terminal."""
    typer.secho(f"Warning: {message}", fg=typer.colors.YELLOW, err=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print warnings that are raised in a block as messages on stderr, without the line of code they come from."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(message)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
