"""PictureFront: convolutions over pictures."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.layers.picture_front import PictureFront


def made(**options):
    torch.manual_seed(0)
    return PictureFront(2, (4, 6), (2, 3), **options).double()


@pytest.mark.parametrize("options", [{}, {"blocks": 2, "residual": False}, {"channels_last": True}])
def test_padding_and_other_pictures_change_nothing(options):
    front, x = made(**options), torch.randn(3, 2, 13, 11, dtype=torch.float64)
    sizes = [(13, 11), (7, 4), (1, 2)]
    poisoned = torch.full_like(x, torch.nan)
    for row, (height, width) in enumerate(sizes):
        poisoned[row, :, :height, :width] = x[row, :, :height, :width]
    heights, widths = zip(*sizes, strict=True)
    y = front(poisoned, heights, widths)
    assert y.shape == (3, 6, 3, 2)
    tops, lefts = front.output_sizes(heights, widths)
    for row, (height, width) in enumerate(sizes):
        alone = front(x[row : row + 1, :, :height, :width])[0]
        assert alone.shape[1:] == (tops[row], lefts[row])
        assert_close(y[row, :, : tops[row], : lefts[row]], alone)
        assert not y[row, :, tops[row] :].any()
    gradients = torch.autograd.grad(y.sum(), list(front.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_half_precision_is_near_and_gives_usual_numbers():
    front, x = made().float(), torch.randn(2, 2, 13, 11)
    expected = front(x)
    front.precision = "bfloat16"
    found = front(x)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.1)
    found.sum().backward()
    assert front.convs[0].weight.grad.dtype == torch.float32


def test_the_fastest_form_is_measured_and_named(monkeypatch):
    front = made().float()
    clock = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    front.fastest_form(torch.randn(1, 2, 6, 6), repeats=1)
    assert front.form == "float32"  # all took as long
    ticks = iter([0] * 4 + [0, 9, 0, 5, 0, 9, 0, 9])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    times = front.fastest_form(torch.randn(1, 2, 6, 6), repeats=1)
    assert times["float32, channels last"] == 5e3
    assert front.form == "float32, channels last"
    assert all(weight.grad is None for weight in front.parameters())
    assert "channels_last=True" in repr(front)


def test_a_profile_names_the_form(monkeypatch):
    monkeypatch.setattr("rnnkit.training.reports.profile.matrix_peak", lambda *_, **__: 1e9)
    model = torch.nn.Sequential(PictureFront(1, (4,), (2,)), torch.nn.Flatten(), torch.nn.Linear(64, 2))
    learner = rnnkit.Learner(model, loss="cross_entropy", metrics=[])
    profile = learner.profile((torch.randn(8, 1, 8, 8), torch.randint(2, (8,))), steps=1)
    part = next(part for part in profile.parts if part.kind == "PictureFront (float32)")
    assert part.flops > 0


def test_a_saved_front_is_built_again(tmp_path):
    front = made(blocks=0, channels_last=True).float()
    rnnkit.Learner(front, loss="mse").save(tmp_path)
    again, x = rnnkit.load(tmp_path), torch.randn(1, 2, 7, 7)
    assert repr(again) == repr(front)
    assert torch.equal(again(x), front(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (4,), "strides": (2, 2)}, "one of each"),
        ({"precision": "float16"}, "precision='float16'"),
        ({"blocks": -1}, "blocks=-1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        PictureFront(1, **options)
