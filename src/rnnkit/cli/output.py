"""What the verbs print alike."""

from __future__ import annotations

import typer

from ..errors import RnnkitError


def report(metrics: dict[str, float]) -> None:
    """Prints results on the test set; the accuracy, where there is one, last."""
    for name, value in metrics.items():
        if name != "accuracy":
            typer.echo(f"{name.capitalize()}: {value:.4g}")
    if "accuracy" in metrics:
        typer.echo(f"Accuracy: {metrics['accuracy']:.2%}")


def complain(error: RnnkitError) -> None:
    """Prints an error on stderr, in red on a terminal."""
    typer.secho(f"Error: {error}", fg=typer.colors.RED, err=True)
