import re
import sys
from subprocess import run

import matplotlib
import numpy as np
import pytest
from PIL import Image

from rnnkit.diagnostics import _style, pictures
from rnnkit.diagnostics.compare import curves_of_runs
from rnnkit.errors import DataError

ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.8, "lr": 0.1, "samples_per_second": 100.0, "seconds": 2.0}
ROWS = [{**ROW, "epoch": epoch, "loss": 1 / epoch, "val_loss": 2 / epoch, "val_accuracy": 0.7} for epoch in range(1, 6)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn, so that what they show can be asked of them."""
    figures = []
    write = pictures._write
    monkeypatch.setattr(
        pictures, "_write", lambda figure, path, **options: (figures.append(figure), write(figure, path, **options))
    )
    return figures


def texts(axes):
    return [text.get_text() for text in axes.texts]


def is_picture(path):
    with Image.open(path) as image:
        low, high = image.convert("L").getextrema()
        return min(image.size) > 100 and low < high


def test_curves_show_loss_and_metrics_of_both_splits(tmp_path, drawn):
    pictures.curves(ROWS, tmp_path / "c.png", final={"loss": 0.3, "accuracy": 0.75})
    assert is_picture(tmp_path / "c.png")
    loss, accuracy = drawn[0].axes
    assert [axes.get_ylabel() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert {axes.get_xlabel() for axes in (loss, accuracy)} == {"epoch"}
    labels = [text.get_text() for text in loss.get_legend().get_texts()]
    assert labels == ["training", "validation", "test 0.3"]
    training, validation, test = loss.get_lines()
    assert list(training.get_ydata()) == [row["loss"] for row in ROWS]
    assert list(validation.get_ydata()) == [row["val_loss"] for row in ROWS]
    assert (list(test.get_xdata()), list(test.get_ydata())) == ([5], [0.3])


def test_curves_of_one_epoch_and_of_none(tmp_path, drawn):
    pictures.curves([ROW], tmp_path / "one.png")
    pictures.curves([], tmp_path / "none.png", final={"loss": 0.3})
    assert drawn[0].axes[0].get_lines()[0].get_marker() == "o"  # a line through one point is nothing
    assert texts(drawn[1].axes[0]) == ["no complete epoch"]
    assert is_picture(tmp_path / "one.png")
    assert is_picture(tmp_path / "none.png")


def test_confusion_shows_each_count_and_share(tmp_path, drawn):
    matrix = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])
    pictures.confusion(matrix, ["a", "b", "c"], tmp_path / "m.png")
    assert is_picture(tmp_path / "m.png")
    axes = drawn[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells[1, 0] == "2"
    assert cells[0, 2] == "1"
    assert (2, 0) not in cells  # nothing where nothing was confused
    assert [cells[k, k] for k in range(3)] == ["8", "0", "3"]
    assert {"80.0%", "–", "75.0%"} <= set(cells.values())
    assert axes.get_title() == "3 of 14 wrong (78.57% right)"


def test_names_are_drawn_as_they_stand(tmp_path):
    names = [r"$\x$", "$5_$", "_a"]
    pictures.confusion(np.eye(3, dtype=int), names, tmp_path / "m.svg")
    pictures.against(np.eye(3), np.eye(3), names, tmp_path / "a.svg")
    curves_of_runs(dict.fromkeys(names, ROWS), tmp_path / "r.svg")
    for name in ("m", "a", "r"):
        assert is_drawn(names, (tmp_path / f"{name}.svg").read_text())


def is_drawn(names, svg):
    """Whether each name stands in the drawing: matplotlib notes every text beside its outlines."""
    return all(re.search(rf"<!--[\w ]*{re.escape(name)} -->", svg) for name in names)


@pytest.mark.filterwarnings("error")
def test_names_that_no_font_can_write_are_numbered_and_told(tmp_path, drawn):
    with pytest.warns(UserWarning, match="pictures number them") as told:
        pictures.confusion(np.eye(3, dtype=int), ["ok", "\u5496\u5561 \u732b", "\u732b"], tmp_path / "c.png")
    assert [text.get_text() for text in drawn[0].axes[0].get_xticklabels()] == ["ok", "#1", "#2"]
    assert "#1 \u5496\u5561 \u732b, #2 \u732b. With" in str(told[0].message)
    assert len(told) == 1  # of all glyphs that matplotlib misses


@pytest.mark.filterwarnings("error")
def test_names_are_written_in_an_installed_font_that_can(tmp_path, monkeypatch):
    before = dict(matplotlib.rcParams)
    monkeypatch.setattr(_style, "_FAMILIES", ("nowhere", "STIXGeneral"))  # which matplotlib brings along
    pictures.confusion(np.eye(2, dtype=int), ["\u24b6", "b"], tmp_path / "c.svg")
    assert is_drawn(["\u24b6", "b"], (tmp_path / "c.svg").read_text(encoding="utf-8"))
    assert dict(matplotlib.rcParams) == before


def test_powers_of_ten_stay_formulas(tmp_path):
    figure = _style.figure(3, 3)
    axes = figure.subplots()
    axes.semilogy([1, 2, 3], [1e-3, 1, 1e3])
    _style.write(figure, tmp_path / "log.png")
    assert all(text.get_parse_math() for text in axes.get_yticklabels())
    assert not any(text.get_parse_math() for text in axes.get_xticklabels())


def test_confusion_without_a_mistake_or_without_anything(tmp_path):
    pictures.confusion(np.eye(10, dtype=int), "0123456789", tmp_path / "right.png")
    pictures.confusion(np.zeros((2, 2)), "ab", tmp_path / "none.png")
    assert is_picture(tmp_path / "right.png")
    assert is_picture(tmp_path / "none.png")


def test_confusion_of_another_size_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"shape \(2, 3\) arrived for 2 classes; expected \(2, 2\)"):
        pictures.confusion(np.zeros((2, 3)), "ab", tmp_path / "m.png")
    assert not (tmp_path / "m.png").exists()


@pytest.mark.parametrize("count", [0, 1, 8, 11])
def test_grid(tmp_path, drawn, count):
    images = np.random.default_rng(0).random((count, 28, 28))
    pictures.grid(images, [f"image {index}" for index in range(count)], tmp_path / "g.png", title="All of them")
    assert is_picture(tmp_path / "g.png")
    shown = [axes for axes in drawn[0].axes if axes.images]
    assert [axes.get_title() for axes in shown] == [f"image {index}" for index in range(count)]
    assert all(np.array_equal(axes.images[0].get_array(), image) for axes, image in zip(shown, images, strict=True))
    assert drawn[0].get_suptitle() == "All of them"


def test_before_and_after(tmp_path, drawn):
    sides = {"new data": ({"mae": 2.0}, {"mae": 1.0, "r2": 0.5}), "old data": ({"mae": 3.0}, {})}
    pictures.before_after(sides, tmp_path / "b.png")
    assert is_picture(tmp_path / "b.png")
    mae, r2 = drawn[0].axes
    assert (mae.get_ylabel(), r2.get_ylabel()) == ("mae", "r2")
    assert [bar.get_height() for bar in mae.patches] == [2.0, 1.0, 3.0]
    assert texts(mae) == ["before\n2", "after\n1", "before\n3"]
    assert [text.get_text() for text in r2.get_xticklabels()] == ["new data", "old data"]


def test_the_suffix_chooses_the_format_and_nothing_else_is_left(tmp_path):
    pictures.curves(ROWS, tmp_path / "c.svg")
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["c.svg"]


def test_importing_it_loads_neither_matplotlib_nor_torch():
    program = "import sys, rnnkit.diagnostics.pictures; print(sorted({'matplotlib', 'torch'} & set(sys.modules)))"
    assert run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
