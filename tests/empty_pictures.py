"""Pictures that are saved empty: to draw them takes most of the time of a small run."""

import io
from functools import cache
from pathlib import Path

import pytest


@cache
def _empty(file_format):
    from matplotlib.figure import Figure

    file = io.BytesIO()
    Figure((1, 1)).canvas.print_figure(file, format=file_format)
    return file.getvalue()


def save_empty(figure, file, *, format=None, **_):
    """Stand in for ``Figure.savefig``."""
    if hasattr(file, "write"):
        file.write(_empty(format or "png"))
    else:
        Path(file).write_bytes(_empty(format or Path(file).suffix[1:]))


@pytest.fixture
def whole_pictures():
    """Pictures are drawn in a test that asks for this."""


@pytest.fixture(autouse=True)
def empty_pictures(request, monkeypatch):
    """Figures are made as ever, and their files are empty pictures. Fixtures of a module draw whole ones: they come first.

    Of each recipe and each verb, one test or the fixture of a module draws all pictures.
    """
    if "whole_pictures" not in request.fixturenames:
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_empty)
        monkeypatch.setattr("rnnkit.plotting.style.plain_texts", lambda figure: None)
