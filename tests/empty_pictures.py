"""Pictures that are saved empty: to draw them takes most of the time of a small run."""

import io
from functools import cache

import pytest


@cache
def _empty(file_format):
    from matplotlib.figure import Figure

    file = io.BytesIO()
    Figure((1, 1)).canvas.print_figure(file, format=file_format)
    return file.getvalue()


@pytest.fixture
def whole_pictures():
    """Pictures are drawn in a test that asks for this."""


@pytest.fixture(autouse=True)
def empty_pictures(request, monkeypatch):
    """Figures are made as ever, and their files are empty pictures. Fixtures of a module or a session draw whole ones.

    Of each recipe and each verb, one test or the fixture of a module draws all pictures.
    """
    if "whole_pictures" in request.fixturenames:
        return

    def save(figure, file, *, format, **_):
        with open(file, "wb") as opened:
            opened.write(_empty(format))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)
