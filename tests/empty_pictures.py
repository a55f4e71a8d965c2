"""Pictures that are saved empty: to draw them takes most of the time of a small run."""

import functools
import inspect
import io
import pkgutil
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import pytest

from rnnkit.serialization import replacing


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


# Pictures of nearly every run, which are not even made: to make a figure takes half as long as to draw it.
NOT_MADE = (
    "rnnkit.diagnostics.pictures.curves", "rnnkit.diagnostics.pictures.confusion", "rnnkit.diagnostics.pictures.grid",
    "rnnkit.diagnostics.pictures.against", "rnnkit.diagnostics.pictures.before_after",
)  # fmt: skip


def _not_made(draw):
    """Return a function in the place of one that draws, which saves an empty picture."""
    taken = inspect.signature(draw)

    @functools.wraps(draw)
    def saved(*arguments, **settings):
        path = taken.bind(*arguments, **settings).arguments.get("path")
        if path is None:  # the figure is asked for
            return draw(*arguments, **settings)
        with replacing(path) as temporary:
            save_empty(None, temporary)
        return None

    return saved


@contextmanager
def pictures_saved_empty():
    """Make figures as ever, and save them as empty pictures. Those of pages and `NOT_MADE` are not even made."""
    from rnnkit.plotting.page import Page

    picture = Page.picture

    def without_drawing(page, draw, alt, **texts):
        picture(page, lambda file: save_empty(None, file), alt, **texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Page, "picture", without_drawing)
        patch.setattr("matplotlib.figure.Figure.savefig", save_empty)
        for name in NOT_MADE:
            patch.setattr(name, _not_made(pkgutil.resolve_name(name)))
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
