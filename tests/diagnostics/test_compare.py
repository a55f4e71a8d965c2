"""Several runs' curves in one picture."""

import pytest
from matplotlib.figure import Figure

from rnnkit.diagnostics.compare import curves_of_runs
from rnnkit.errors import DataError
from rnnkit.plotting.palette import COLOURS, ORANGE

ROWS = [{"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 1.0, "lr": 0.1}, {"epoch": 2, "loss": 0.5}]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were written."""
    figures = []
    original = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: figures.append(self) or original(self, *a, **k))
    return figures


def test_a_panel_a_metric_and_a_colour_a_run(tmp_path, drawn):
    runs = {f"run {index}": ROWS for index in range(9)}
    assert curves_of_runs({**runs, "nothing": []}, tmp_path / "runs.png") == ["nothing"]
    (figure,) = drawn
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.legends[0].get_lines()]
    assert len(set(looks)) == 9
    assert looks[7] == (COLOURS[0], "--")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(runs)
    thick = [line for line in loss.get_lines() if line.get_linewidth() > 1 and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in thick] == [[1.0]] * 9  # validation in front
    assert (tmp_path / "runs.png").stat().st_size > 1000


def test_nothing_to_draw_or_to_draw_into(tmp_path):
    with pytest.raises(DataError, match="none of a, b has an epoch"):
        curves_of_runs({"a": [], "b": []}, tmp_path / "runs.png")
    with pytest.raises(DataError, match="no picture's name"):
        curves_of_runs({"a": ROWS}, tmp_path / "runs.doc")
    assert list(tmp_path.iterdir()) == []


def test_runs_that_coincide_are_all_seen(tmp_path, drawn):
    curves_of_runs({"lstm": ROWS, "lstm-2": ROWS, "other": ROWS}, tmp_path / "runs.png")
    lines = [line for line in drawn[0].axes[0].get_lines() if line.get_linewidth() > 1 and len(line.get_xdata())]
    assert [line.get_color() for line in lines[:2]] == [ORANGE, ORANGE]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 3
    sizes = [line.get_linewidth() for line in lines]
    assert sizes == sorted(sizes, reverse=True)  # the narrower ones are drawn on the wider ones
    assert len(set(sizes)) == 3
