import math

import pytest
import torch

import rnnkit
from rnnkit.diagnostics import gradient_flow, horizon, saturation, spectra
from rnnkit.diagnostics import measurement_pictures as drawing
from rnnkit.plotting import style

T = 40


@pytest.fixture
def drawn(monkeypatch):
    """The figures drawn, so that what they show can be asked of them."""
    figures = []
    write = drawing._write
    monkeypatch.setattr(drawing, "_write", lambda figure, path: (figures.append(figure), write(figure, path)))
    return figures


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return rnnkit.SequenceRegressor(rnnkit.LSTM(2, 8, num_layers=2))


@pytest.fixture(scope="module")
def x():
    return torch.randn(4, T, 2, generator=torch.Generator().manual_seed(0))


def test_gradients_by_layer_with_an_lstms_cells_dotted(model, x, tmp_path, drawn):
    flow = gradient_flow(model, x, torch.zeros(4))
    drawing.gradients(flow, tmp_path / "g.png")
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["body.l0", "body.l1"]
    first, cells, *_ = axes.get_lines()
    assert list(first.get_ydata()) == pytest.approx(flow.layers[0].norms.tolist())
    assert list(cells.get_ydata()) == pytest.approx(flow.layers[0].cell_norms.tolist())
    assert (cells.get_linestyle(), axes.get_yscale()) == (":", "log")
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


def test_several_flows_in_one_picture_and_a_map_of_many_layers(x, tmp_path, drawn):
    plain = gradient_flow(rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 8)), x, torch.zeros(4))
    drawing.gradients({"tanh": plain, "again": plain}, tmp_path / "two.png")
    assert [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()] == ["tanh", "again"]
    deep = rnnkit.SequenceRegressor(rnnkit.GRU(2, 4, num_layers=4, bidirectional=True))
    flow = gradient_flow(deep, x, torch.zeros(4))
    drawing.gradients(flow, tmp_path / "map.png")
    axes = drawn[1].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [one.layer for one in flow.layers]
    assert axes.images[0].get_array()[0].tolist() == pytest.approx(flow.layers[0].norms.tolist())


def test_the_horizon_with_its_threshold_and_its_end(model, x, tmp_path, drawn):
    seen = horizon(model, x)
    drawing.horizon({"LSTM": seen}, tmp_path / "h.png")
    axes = drawn[0].axes[0]
    assert axes.get_legend().get_texts()[0].get_text() == f"LSTM: sees {seen.steps} of {T} steps"
    curve, end, threshold = axes.get_lines()
    assert max(curve.get_ydata()) == 1
    assert end.get_xdata()[0] == seen.steps - 0.5
    assert threshold.get_ydata()[0] == 0.01


def test_spectra_by_layer_and_gate(model, tmp_path, drawn):
    found = spectra(model)
    drawing.spectra(found, tmp_path / "s.svg")
    planes = [axes for axes in drawn[0].axes if "eigenvalues" in axes.get_title()]
    assert [axes.get_title() for axes in planes] == ["body.l0: eigenvalues", "body.l1: eigenvalues"]
    circle, *gates = planes[0].get_lines()
    assert {round(math.hypot(*point), 6) for point in circle.get_xydata()} == {1.0}
    assert [line.get_label() for line in gates] == ["i", "f", "g", "o"]
    assert list(gates[1].get_xdata()) == pytest.approx(found[1].eigenvalues.real.tolist())
    values = drawn[0].axes[1].get_lines()[1]
    assert list(values.get_ydata()) == pytest.approx(found[1].singular_values.tolist())


def test_saturation_bars_add_up(x, tmp_path, drawn):
    torch.manual_seed(0)
    model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 8))
    relu = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(2, 8, nonlinearity="relu"))
    found = saturation(model, 9 * x) + saturation(relu, x)
    drawing.saturation(found, tmp_path / "a.png")
    axes = drawn[0].axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["body.l0  h", "body.l0  constant units", "body.l0  dead units", "body.l0  constant units"]
    low, high, idle = ([bar.get_width() for bar in bars] for bars in axes.containers)
    assert low[0] + high[0] == pytest.approx(100 * found[0].saturated["h"])
    assert 0 < high[0] < 100
    assert idle[2] == pytest.approx(100 * found[1].dead_share)


def test_what_was_recorded_over_training(tmp_path, drawn):
    series = {f"weight {index}": [10.0**-index, math.nan, 0.0] for index in range(8)}
    drawing.over_training(series, [1, 2, 3], tmp_path / "u.png", label="ratio", band=(1e-4, 1e-2))
    lines = drawn[0].axes[0].get_lines()
    assert [line.get_label() for line in lines] == [f"weight {index}" for index in range(6)]  # the largest
    assert lines[0].get_ydata()[0] == 1
    assert all(math.isnan(value) for value in lines[0].get_ydata()[1:])
    drawing.over_training({"dead": [0.0, math.nan]}, [1, 2], tmp_path / "none.png", label="ratio")
    assert drawn[1].axes[0].texts[0].get_text() == "0 everywhere"


def test_dark_paper_changes_every_colour_of_ours_once(model, x, tmp_path):
    drawing.horizon(horizon(model, x), tmp_path / "h.svg")
    light = (tmp_path / "h.svg").read_text()
    dark = style.dark_svg(light)
    for colour in (style.BLUE, style.INK, style.GRID):
        assert colour.lower() in light
        assert colour.lower() not in dark.lower().replace(style._DARK[style.ORANGE].lower(), "")
    assert style._DARK[style.BLUE] in dark  # not changed once more, though it is a light colour of ours too
    assert 'fill="#e8e8e8"' in dark
    assert dark.count("<") == light.count("<")
