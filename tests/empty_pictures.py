"""Pictures that are saved empty: to draw them takes most of the time of a small run."""

import io
from contextlib import contextmanager, nullcontext
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


@contextmanager
def pictures_saved_empty():
    """Make figures as ever, and save them as empty pictures. Those of pages are not even made."""
    from rnnkit.plotting.page import Page

    picture = Page.picture

    def without_drawing(page, draw, alt, **texts):
        picture(page, lambda file: save_empty(None, file), alt, **texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "picture", without_drawing)
        patch.setattr("matplotlib.figure.Figure.savefig", save_empty)
        patch.setattr("rnnkit.plotting.style.plain_texts", lambda figure: None)
        yield


@pytest.fixture
def whole_pictures():
    """Pictures are drawn in a test that asks for this."""


@pytest.fixture(autouse=True)
def empty_pictures(request):
    """Pictures are saved empty, but for fixtures of a module, which come first, and for tests that ask for whole ones.

    Of each recipe and each verb, one test or the fixture of a module draws all pictures.
    """
    with nullcontext() if "whole_pictures" in request.fixturenames else pictures_saved_empty():
        yield
