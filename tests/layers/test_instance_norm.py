import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError


def windows():
    torch.manual_seed(0)
    return 30 + 4 * torch.randn(3, 8, 2, dtype=torch.float64)


def learned(**options):
    norm = rnnkit.ReversibleNorm(2, **options).double()
    if norm.affine:
        with torch.no_grad():
            norm.log_gain.copy_(torch.tensor([0.3, -0.2]))
            norm.shift.copy_(torch.tensor([0.5, -1.0]))
    return norm


def test_standard_is_torchs_instance_norm():
    x, norm = windows(), learned()
    expected = torch.nn.functional.instance_norm(
        x.transpose(1, 2), weight=norm.log_gain.exp(), bias=norm.shift, eps=norm.eps
    )
    assert_close(norm(x)[0], expected.transpose(1, 2))


@pytest.mark.parametrize("affine", [False, True])
def test_last_subtracts_the_last_value(affine):
    x, norm = windows(), learned(form="last", affine=affine)
    y, _ = norm(x)
    plain = x - x[:, -1:]
    assert_close(y, plain * norm.log_gain.exp() + norm.shift if affine else plain)


def test_mean_divides_by_one_and_the_mean():
    x = torch.tensor([[[1.0], [0.0], [5.0]], [[-3.0], [3.0], [0.0]]])
    y, back = rnnkit.ReversibleNorm(form="mean", affine=False)(x)
    assert_close(y, x / 3)
    assert_close([back.scale, back.offset], [torch.full((2, 1, 1), 3.0), torch.zeros(2, 1, 1)])


@pytest.mark.parametrize("form", ["standard", "last", "mean"])
@pytest.mark.parametrize("affine", [False, True])
def test_the_way_back(form, affine):
    x, norm = windows(), learned(form=form, affine=affine)
    y, back = norm(x)
    assert_close(norm.inverse(y, back), x)
    assert_close(norm.inverse(y[:, :2] + 1, back), x[:, :2] + back.scale)
    assert (back.scale > 0).all()


@pytest.mark.parametrize("form", ["standard", "last", "mean"])
def test_what_was_not_observed_changes_nothing(form):
    x, norm = windows(), learned(form=form)
    observed = torch.ones(3, 8, dtype=torch.float64)
    observed[0, :3] = observed[1, 6:] = observed[1, 2] = 0
    _, back = norm(x, observed)
    poisoned = torch.where(observed[:, :, None] != 0, x, torch.nan)
    _, same = norm(poisoned, observed)
    assert_close(same, back)
    for row in range(3):
        _, alone = norm(x[row : row + 1, observed[row] != 0])
        assert_close([one[row : row + 1] for one in back], alone)


@pytest.mark.parametrize("form", ["standard", "last", "mean"])
def test_a_window_without_any_value_and_a_constant_one_stay_finite(form):
    norm = rnnkit.ReversibleNorm(form=form)
    y, back = norm(torch.full((1, 4, 1), 7.0), torch.zeros(1, 4))
    assert_close(back.offset, torch.zeros(1, 1, 1))
    assert back.scale.item() == pytest.approx(1, abs=1e-4)
    y, back = norm(torch.full((1, 4, 1), 7.0))
    assert_close(y, torch.full((1, 4, 1), 7 / 8 if form == "mean" else 0.0))
    assert_close(norm.inverse(y, back), torch.full((1, 4, 1), 7.0))


def test_gradients_reach_gain_and_shift():
    x, norm = windows(), learned()
    y, back = norm(x)
    norm.inverse(y.tanh(), back).square().sum().backward()
    assert all(one.grad.isfinite().all() and one.grad.any() for one in norm.parameters())


def test_it_is_rebuilt_by_its_description():
    norm = rnnkit.ReversibleNorm(2, "last", affine=False, eps=1e-3)
    assert rnnkit.models.build(norm.config()).config() == norm.config()


def test_errors():
    with pytest.raises(ConfigError, match="did you mean 'standard'"):
        rnnkit.ReversibleNorm(form="standart")
    with pytest.raises(ConfigError, match="has no argument 'num_features'; type features=3"):
        rnnkit.ReversibleNorm(num_features=3)
    with pytest.raises(ShapeError, match=r"x has shape \(2, 5, 3\); expected \(batch, time, 1\)"):
        rnnkit.ReversibleNorm()(torch.zeros(2, 5, 3))
    with pytest.raises(ShapeError, match=r"observed has shape \(2, 4\); expected \(2, 5\)"):
        rnnkit.ReversibleNorm()(torch.zeros(2, 5, 1), torch.ones(2, 4))
