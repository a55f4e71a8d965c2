"""A forecaster that takes observation after observation equals the whole computation from the same start."""

import pytest
import torch
from forecasters import FULL, KINDS, PLAIN, make, windows
from tolerances import assert_close

import rnnkit
from rnnkit.errors import DataError, ShapeError
from rnnkit.ops import state as states
from rnnkit.types import WindowLayout

CARRIED = ("direct", "direct deep", "encoder decoder", "deepar")
LAYOUTS = {"plain": PLAIN, "full": FULL, "known": {**PLAIN, "known": ("hour",)}}


def known_of(model, x):
    return x[:, -6:, model.layout.columns("known")] if model.layout.known else None


def longer(layout, steps=20, rows=3):
    """Windows with a longer lookback."""
    return windows({**layout, "lookback": steps}, rows)[0]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", CARRIED)
def test_a_carried_state_equals_a_computation_from_the_start(kind, layout):
    model = make(kind, layout, output="gaussian")
    stream, x = model.stream(3), longer(layout)
    assert stream.recomputes is None
    for step in range(20):
        stream.update(x[:, step])
        if step in (0, 11, 19):
            window = torch.cat((x[:, : step + 1], x[:, 20:]), 1)
            expected = model.forecast(window)
            torch.testing.assert_close(stream.forecast(known_of(model, x)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CARRIED])
def test_others_forecast_from_the_last_window_and_say_so(kind, layout):
    model = make(kind, layout)
    stream, x = model.stream(3), longer(layout)
    assert stream.recomputes in repr(stream)
    assert "computed anew" in repr(stream)
    for step in range(20):
        stream.update(x[:, step])
    assert_close(stream.forecast(known_of(model, x)), model(x[:, 8:]).detach())


@pytest.mark.parametrize("kind", ["direct", "encoder decoder", "deepar", "segments"])
def test_a_window_begins_where_the_first_value_was_observed(kind):
    model = make(kind, FULL)
    observed = model.layout.columns("observed")
    x = longer(FULL, 12)
    x[0, :4, observed] = 0
    x[1, :2, observed] = 0
    stream = model.stream(3)
    for step in range(12):
        stream.update(x[:, step])
    found, expected = stream.forecast(known_of(model, x)), model(x).detach()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_is_saved_and_restored(tmp_path, kind):
    model = make(kind, FULL)
    x = longer(FULL)
    stream = model.stream(3)
    for step in range(15):
        stream.update(x[:, step])
    states.save(stream.state, tmp_path / "state.safetensors")
    kept = stream.forecast(known_of(model, x))
    again = model.stream(3)
    again.state = states.load(tmp_path / "state.safetensors")
    assert_close(again.forecast(known_of(model, x)), kept)
    for one in (stream, again):
        for step in range(15, 20):
            one.update(x[:, step])
    assert_close(again.forecast(known_of(model, x)), stream.forecast(known_of(model, x)))
    stream.reset()
    with pytest.raises(DataError, match="no observation has arrived"):
        stream.forecast(known_of(model, x))
    for step in range(20):
        stream.update(x[:, step])
    fresh = model.stream(3)
    for step in range(20):
        fresh.update(x[:, step])
    assert_close(stream.forecast(known_of(model, x)), fresh.forecast(known_of(model, x)))


def test_one_series_needs_no_batch_axis_and_plain_numbers_will_do():
    model = make("direct", {**PLAIN, "known": ("hour",)}, dropout=0.5).train()
    stream = model.stream()
    for value in (0.5, 0.25):
        stream.update([value, 1.0])
    known = [[0.0]] * 6
    assert stream.forecast(known).shape == (1, 6)
    assert torch.equal(stream.forecast(known), stream.forecast(known))
    assert model.training
    x = torch.zeros(1, 8, 2)
    x[0, :2] = torch.tensor([[0.5, 1], [0.25, 1]])
    assert_close(stream.forecast(known), model.eval().forecast(x).detach())


def test_errors():
    model = make("direct", {**PLAIN, "known": ("hour",)})
    stream = model.stream(2)
    with pytest.raises(ShapeError, match=r"row has shape \(2, 3\); expected \(2, 2\)"):
        stream.update(torch.zeros(2, 3))
    with pytest.raises(DataError, match="row holds a number that is NaN"):
        stream.update(torch.full((2, 2), torch.nan))
    stream.update(torch.zeros(2, 2))
    with pytest.raises(ShapeError, match=r"known is None; expected the known covariates \['hour'\] of"):
        stream.forecast()
    with pytest.raises(ShapeError, match=r"known has shape \(2, 5, 1\); expected \(2, 6, 1\)"):
        stream.forecast(torch.zeros(2, 5, 1))
    late = rnnkit.SegmentForecaster(WindowLayout(**PLAIN), 4, 8).stream()
    late.update([1.0])
    with pytest.raises(DataError, match=r"1 observations have arrived; this model needs 12 of them"):
        late.forecast()
