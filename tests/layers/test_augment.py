import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError


def test_evaluation_changes_nothing():
    x = torch.randn(2, 9, 3)
    same, lengths, state = rnnkit.SeriesAugment().eval()(x, [9, 4])
    assert (same is x, lengths, state) == (True, [9, 4], None)


def test_noise_and_height():
    x = torch.ones(4000, 5, 1)
    noisy = rnnkit.SeriesAugment(jitter=0.2, scale=0, warp=0)(x)[0] - x
    assert noisy.std().item() == pytest.approx(0.2, rel=0.05)
    factors = rnnkit.SeriesAugment(jitter=0, scale=0.3, warp=0)(x)[0]
    assert torch.equal(factors, factors[:, :1].expand_as(factors))
    assert factors[:, 0].std().item() == pytest.approx(0.3, rel=0.1)


def test_warping_keeps_order_and_range_and_reads_no_padding():
    x = torch.linspace(0, 1, 20).expand(50, 20)[:, :, None].clone()
    lengths = torch.tensor([20, 11, 2, 1, 5] * 10)
    for row, length in enumerate(lengths):
        x[row, length:] = float("nan")
    warped = rnnkit.SeriesAugment(jitter=0, scale=0, warp=0.2)(x, lengths)[0]
    for row, length in enumerate(lengths):
        before, after = x[row, :length, 0], warped[row, :length, 0]
        assert after.isfinite().all()
        assert (after.diff() >= 0).all()
        assert before[0] <= after[0]
        assert after[-1] <= before[-1]
    moved = (warped[lengths == 20] - x[lengths == 20]).abs().amax()
    assert 0.02 < moved < 0.25


def test_the_seed_decides():
    x = torch.randn(3, 9, 2)
    layer, results = rnnkit.SeriesAugment(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(layer(x)[0])
    assert_close(results[0], results[1])
    assert not torch.allclose(results[0], results[2])


@pytest.mark.parametrize("settings", [{"jitter": -0.1}, {"scale": -1.0}, {"warp": 0.5}])
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError, match="warp below 0.5"):
        rnnkit.SeriesAugment(**settings)
