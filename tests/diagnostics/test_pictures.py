import re
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from rnnkit.cli.output import plain_warnings
from rnnkit.diagnostics import pictures
from rnnkit.diagnostics.compare import curves_of_runs
from rnnkit.errors import DataError
from rnnkit.plotting import style
from rnnkit.plotting.attention import attention_picture

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


@pytest.fixture
def made(monkeypatch):
    """The figures that would be drawn, for tests that look at no file."""
    figures = []
    monkeypatch.setattr(pictures, "_write", lambda figure, path, **options: figures.append(figure))
    return figures


def texts(axes):
    return [text.get_text() for text in axes.texts]


def is_picture(path):
    with Image.open(path) as image:
        low, high = image.convert("L").getextrema()
        return min(image.size) > 100 and low < high


def test_curves_show_loss_and_metrics_of_both_splits(tmp_path):
    drawn = pictures.curves(ROWS, tmp_path / "c.png", final={"loss": 0.3, "accuracy": 0.75})
    assert is_picture(tmp_path / "c.png")
    loss, accuracy = drawn.axes
    assert [axes.get_ylabel() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert {axes.get_xlabel() for axes in (loss, accuracy)} == {"epoch"}
    labels = [text.get_text() for text in loss.get_legend().get_texts()]
    assert labels == ["training", "validation", "test 0.3"]
    training, validation, test = loss.get_lines()
    assert list(training.get_ydata()) == [row["loss"] for row in ROWS]
    assert list(validation.get_ydata()) == [row["val_loss"] for row in ROWS]
    assert (list(test.get_xdata()), list(test.get_ydata())) == ([5], [0.3])
    assert not test.get_clip_on()  # whole, at the right edge too


def test_curves_mark_the_best_epoch(tmp_path):
    for axes in pictures.curves(ROWS, None, best=3).axes:
        assert [text.get_text() for text in axes.get_legend().get_texts()][-1] == "best epoch 3"
        assert list(axes.get_lines()[-1].get_xdata()) == [3, 3]


def test_an_accuracy_ends_at_1():
    rows = [{"epoch": epoch, "loss": 1 + epoch, "val_accuracy": 1.0, "accuracy": 0.3 + 0.1 * epoch} for epoch in (1, 7)]
    loss, accuracy = pictures.curves(rows, None).axes
    assert accuracy.get_ylim()[1] < 1.05
    assert max(accuracy.get_yticks()) <= 1.0001
    assert loss.get_ylim()[1] > 8


@pytest.mark.parametrize("name", ["top5_accuracy", "f1", "val_r2", "macro_recall", "auroc"])
def test_what_is_1_at_best_ends_at_1(tmp_path, made, name):
    before = {"accuracy": 0.5, name: 0.98, "loss": 0.9}
    pictures.before_after({"new": (before, {"accuracy": 0.99, name: 1.0, "loss": 0.9})}, tmp_path / "b.png")
    shares = [axes for axes in made[0].axes if axes.get_ylabel() != "loss"]
    assert [(axes.get_ylim()[1], max(axes.get_yticks()) <= 1) for axes in shares] == [(1, True)] * 2


def test_curves_of_one_epoch_and_of_none(tmp_path):
    one = pictures.curves([ROW], tmp_path / "one.png")
    none = pictures.curves([], tmp_path / "none.png", final={"loss": 0.3})
    assert one.axes[0].get_lines()[0].get_marker() == "o"  # a line through one point is nothing
    assert texts(none.axes[0]) == ["no complete epoch"]
    assert is_picture(tmp_path / "one.png")
    assert is_picture(tmp_path / "none.png")


def test_confusion_shows_each_count_and_share(tmp_path, drawn):
    matrix = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])
    pictures.confusion(matrix, ["a", "b", "c"], tmp_path / "m.png")
    assert is_picture(tmp_path / "m.png")
    axes = drawn[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert axes.get_title(loc="left") == "3 of 14 wrong (78.57% right)"
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells[1, 0] == "2"
    assert cells[0, 2] == "1"
    assert (2, 0) not in cells  # nothing where nothing was confused
    assert [cells[k, k] for k in range(3)] == ["8", "0", "3"]
    assert {"80.0%", "–", "75.0%"} <= set(cells.values())


def test_classes_are_drawn_in_the_order_of_their_numbers(tmp_path, made):
    pictures.confusion(np.diag([5, 6, 7]), ["class_1", "class_10", "class_2"], tmp_path / "m.png")
    pictures.confusion(np.diag([5, 6, 7]), ["low", "high", "10"], tmp_path / "o.png")
    shown = [[text.get_text() for text in figure.axes[0].get_yticklabels()] for figure in made]
    assert shown == [["class_1", "class_2", "class_10"], ["low", "high", "10"]]
    cells = {text.get_position(): text.get_text() for text in made[0].axes[0].texts}
    assert [cells[k, k] for k in range(3)] == ["5", "7", "6"]


def margin_is_empty(path):
    """Whether the outermost pixels are paper: no text, line or marker is cut off."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return all((edge == 255).all() for edge in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]))


LONG = "W" * 60  # of the widest letter


@pytest.mark.parametrize("size", [1, 2, 10, 44, 120])  # with counts, without, and in the smallest letters
def test_confusion_cuts_nothing_off_and_stays_small(tmp_path, size):
    matrix = np.random.default_rng(0).integers(0, 30, (size, size)) + 100 * np.eye(size, dtype=int)
    pictures.confusion(matrix, [f"{LONG} {at}" for at in range(size)], tmp_path / "m.png")
    assert margin_is_empty(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        assert max(image.size) < 2300


@pytest.mark.parametrize("length", [3, 28, 60])
def test_axis_titles_stand_clear_of_the_names_of_classes(tmp_path, made, length):
    pictures.confusion(np.eye(3, dtype=int), [letter * length for letter in "WMi"], tmp_path / "m.png")
    (axes,) = made[0].axes
    canvas = FigureCanvasAgg(made[0])
    canvas.draw()
    box = Text.get_window_extent
    below = min(box(text, canvas.get_renderer()).y0 for text in axes.get_xticklabels())
    beside = min(box(text, canvas.get_renderer()).x0 for text in axes.get_yticklabels())
    assert box(axes.xaxis.label).y1 <= below
    assert box(axes.yaxis.label).x1 <= beside


@pytest.mark.filterwarnings("error")
def test_no_picture_cuts_its_texts_off(tmp_path):
    pictures.curves(ROWS, tmp_path / "curves.png", final={"loss": 0.3, "accuracy": 1.0}, best=5)
    pictures.against(np.eye(3), np.eye(3), [LONG, "words " * 20, "a"], tmp_path / "against.png")
    pictures.before_after({LONG: ({"accuracy": 0.9}, {"accuracy": 1.0, "loss": 2.0})}, tmp_path / "before.png")
    pictures.grid(np.zeros((3, 4, 4)), ["short", LONG, "words " * 9], tmp_path / "grid.png", title="title " * 30)
    curves_of_runs({LONG: ROWS, "b": ROWS}, tmp_path / "runs.png")
    assert [path.name for path in tmp_path.iterdir() if not margin_is_empty(path)] == []


def test_captions_of_images_are_no_wider_than_the_images(tmp_path, made):
    pictures.grid(np.zeros((9, 4, 4)), ["cat taken for dog (99.9%)"] * 9, tmp_path / "grid.png")
    FigureCanvasAgg(made[0]).draw()
    panels = [axes for axes in made[0].axes if axes.images]
    assert panels[0].get_title() == "cat taken for\ndog (99.9%)"
    boxes = [axes.title.get_window_extent() for axes in panels]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes[:8]))


def test_names_cut_short_stay_different(tmp_path, made):
    names = [f"the same beginning {word} the same ending" for word in ("one", "two")] + ["x" * 40]
    pictures.confusion(np.eye(3, dtype=int), names, tmp_path / "m.png")
    shown = [text.get_text() for text in made[0].axes[0].get_yticklabels()]
    assert shown == [*names[:2], "x" * 14 + "…" + "x" * 13]


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
def test_names_that_no_font_can_write_are_numbered_and_told(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(style, "_FAMILIES", ())  # as on a machine without such a font
    with pytest.warns(UserWarning, match="pictures number them") as told:
        pictures.confusion(np.eye(3, dtype=int), ["ok", "\u5496\u5561 \u732b", "\u732b"], tmp_path / "c.png")
    assert [text.get_text() for text in drawn[0].axes[0].get_xticklabels()] == ["ok", "#1", "#2"]
    assert "#1 \u5496\u5561 \u732b, #2 \u732b. Install" in str(told[0].message)
    assert "apt install fonts-noto-cjk" in str(told[0].message)
    assert len(told) == 1  # of all glyphs that matplotlib misses


@pytest.mark.filterwarnings("error")
def test_names_are_written_in_an_installed_font_that_can(tmp_path, monkeypatch):
    before = dict(matplotlib.rcParams)
    monkeypatch.setattr(style, "_FAMILIES", ("nowhere", "STIXGeneral"))  # which matplotlib brings along
    pictures.confusion(np.eye(2, dtype=int), ["\u24b6", "b"], tmp_path / "c.svg")
    assert is_drawn(["\u24b6", "b"], (tmp_path / "c.svg").read_text(encoding="utf-8"))
    assert dict(matplotlib.rcParams) == before


def test_a_figure_that_is_not_written_has_no_squares_either(monkeypatch):
    monkeypatch.setattr(style, "_FAMILIES", ())
    with pytest.warns(UserWarning, match="#1 \u51c6\u786e\u7387"):
        figure = pictures.curves([{"epoch": 1, "loss": 0.5, "\u51c6\u786e\u7387": 0.7}], None)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "#1"]


def test_powers_of_ten_stay_formulas(tmp_path):
    figure = style.figure(3, 3)
    axes = figure.subplots()
    axes.semilogy([1, 2, 3], [1e-3, 1, 1e3])
    style.write(figure, tmp_path / "log.png")
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
    assert r2.get_ylim()[1] == 1


def test_the_suffix_chooses_the_format_and_nothing_else_is_left(tmp_path):
    pictures.curves(ROWS, tmp_path / "c.svg")
    assert b"<svg" in (tmp_path / "c.svg").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["c.svg"]


def test_one_warning_tells_the_names_that_no_font_can_write(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(style, "_FAMILIES", ())
    with plain_warnings():  # as each verb of the command line
        for number, words in enumerate((["猫", "dog"], ["狗", "猫"], ["猫", "dog"])):
            attention_picture(["a"], words, torch.ones(2, 1), tmp_path / f"{number}.png")
    told = capsys.readouterr().err
    assert told.count("no installed font can write these names, so that pictures number them: #1 猫, #2 狗.") == 1
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    with plain_warnings():
        attention_picture(["a"], ["dog"], torch.ones(1, 1), tmp_path / "3.png")
    assert capsys.readouterr().err == ""
