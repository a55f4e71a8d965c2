"""Normalisation behind convolutions of pictures."""

import pytest
import torch
from tolerances import assert_close

from rnnkit.errors import ConfigError
from rnnkit.layers.map_norm import MapNorm, convolved, map_norm
from rnnkit.layers.picture_front import PictureFront
from rnnkit.recipes import find
from rnnkit.runs.settings import restore

SIZES = [(13, 11), (7, 4), (1, 2)]


def poisoned():
    """Pictures of three sizes, with NaN outside of them."""
    x = torch.full((3, 2, 13, 11), torch.nan, dtype=torch.float64)
    for row, (height, width) in enumerate(SIZES):
        x[row, :, :height, :width] = torch.randn(2, height, width, dtype=torch.float64)
    return x


def test_all_valid_pixels_of_a_channel_have_mean_0_and_variance_1():
    torch.manual_seed(0)
    norm, x = MapNorm(2, eps=1e-30).double(), poisoned()
    valid = ~x[:, :1].isnan()
    y = norm(x, valid)
    values = y.movedim(1, -1)[valid[:, 0]]
    assert_close(values.mean(0), torch.zeros(2).double())
    assert_close(values.var(0, correction=0), torch.ones(2).double())
    assert not y.masked_select(~valid).any()
    every = x.movedim(1, -1)[valid[:, 0]]
    assert_close(norm.running_mean, 0.1 * every.mean(0))
    assert_close(norm.running_var, 0.9 + 0.1 * every.var(0))
    whole = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    assert_close(norm(whole, torch.ones(2, 1, 3, 4, dtype=torch.bool)), norm(whole))


def test_a_single_pixel_is_normalised_by_the_running_averages():
    norm = MapNorm(2)
    x = torch.tensor([3.0, -1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)
    assert norm.running_mean.tolist() == [0, 0]
    there = torch.zeros(1, 1, 1, 2, dtype=torch.bool)
    there[..., 0] = True
    assert norm(torch.ones(1, 2, 1, 2), there)[..., 0].isfinite().all()


@pytest.mark.parametrize("bias", [False, True])
def test_in_evaluation_it_is_a_part_of_the_convolution(bias):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(2, 3, 3, 2, padding=1, bias=bias).double()
    norm, x = MapNorm(3).double(), torch.randn(4, 2, 9, 7, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.uniform_(-2, 2)
        norm.bias.uniform_(-2, 2)
    for _ in range(3):
        norm(conv(x))
    norm.eval()
    assert_close(convolved(conv, norm, x), norm(conv(x)))
    gradient = torch.autograd.grad(convolved(conv, norm, x).square().sum(), [*conv.parameters(), *norm.parameters()])
    expected = torch.autograd.grad(norm(conv(x)).square().sum(), [*conv.parameters(), *norm.parameters()])
    for one, other in zip(gradient, expected, strict=True):
        assert_close(one, other)


def test_padding_changes_neither_what_is_learned_nor_what_is_answered():
    torch.manual_seed(0)
    front = PictureFront(2, (4, 6), (2, 3), norm="batch").double()
    x = poisoned()
    heights, widths = zip(*SIZES, strict=True)
    y = front(x, heights, widths)
    wide = torch.nn.functional.pad(x, (0, 5, 0, 4), value=torch.nan)
    assert_close(front(wide, heights, widths)[:, :, : y.shape[2], : y.shape[3]], y)
    gradients = torch.autograd.grad(y.sum(), list(front.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)
    front.eval()
    y = front(x, heights, widths)
    for row, (height, width) in enumerate(SIZES):
        alone = front(x[row : row + 1, :, :height, :width])[0]
        assert_close(y[row, :, : alone.shape[1], : alone.shape[2]], alone)


def test_what_is_frozen_answers_as_before():
    torch.manual_seed(0)
    front, x = PictureFront(2, (4,), (2,), norm="batch").double(), torch.randn(3, 2, 8, 8, dtype=torch.float64)
    front(x)
    expected, kept = front.eval()(x), [one.clone() for one in front.buffers()]
    front.train().requires_grad_(False)
    assert_close(front(x + 3 - 3), expected)
    assert all(torch.equal(one, other) for one, other in zip(front.buffers(), kept, strict=True))
    front.requires_grad_(True)
    assert not torch.allclose(front(x), expected)


def test_another_kind_is_refused():
    with pytest.raises(ConfigError, match="norm"):
        map_norm("group", 3)


@pytest.mark.parametrize("name", ["detect", "blood-cells"])
def test_runs_from_before_batch_normalisation_go_on_without_it(name):
    assert find(name)().model.norm == "batch"
    assert restore(find(name)(), {"model": {"context": "none"}}).model.norm == "layer"
