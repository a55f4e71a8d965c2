import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.layers.conv import StepNorm

LENGTHS = [23, 9, 1, 14]


def ragged():
    """Rows of unequal length, NaN behind each."""
    x = torch.randn(4, 23, 3)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = float("nan")
    return x


def warmed(stride):
    """A front whose running averages are not those it starts with."""
    front = rnnkit.ConvFront(3, 12, (3, 5), stride=stride)
    front(torch.randn(8, 23, 3) * 2 + 1)
    return front.eval()


@pytest.mark.parametrize("stride", [1, 4])
def test_a_padded_row_is_seen_as_if_alone(stride):
    front, x = warmed(stride), ragged()
    together, lengths, _ = front(x, LENGTHS)
    assert lengths.tolist() == [-(-length // stride) for length in LENGTHS]
    for row, length in enumerate(LENGTHS):
        alone, none, _ = front(x[row : row + 1, :length])
        assert none is None
        assert_close(together[row : row + 1, : lengths[row]], alone)
        assert not together[row, lengths[row] :].any()


@pytest.mark.parametrize("stride", [1, 4])
def test_padding_has_no_part_in_training(stride):
    front, x = rnnkit.ConvFront(3, 12, stride=stride), ragged()
    wider = torch.cat([x, torch.full((4, 9, 3), float("inf"))], 1)
    results = []
    for padded in (x, wider):
        front.zero_grad()
        features, lengths, _ = front(padded, LENGTHS)
        features.square().sum().backward()
        results.append([features[:, : int(lengths.max())], front.norm.running_var.clone(), front.convs[0].weight.grad])
        front.norm.reset_running_stats()
    assert_close(results[0], results[1])


def test_views_are_what_they_are_called():
    front = rnnkit.ConvFront(1, 3)
    x = torch.tensor([[[1.0], [3.0], [8.0], [7.0]]])
    plain, changes, standardised = front._views(x, None)[0]
    assert plain.tolist() == [1, 3, 8, 7]
    assert changes.tolist() == [0, 2, 5, -1]
    assert_close(standardised, ((x - x.mean()) / x.std(correction=0))[0, :, 0])
    assert rnnkit.ConvFront(2, 3, differences=False, standardised=False).convs[0].in_channels == 2
    assert not front._views(torch.full((1, 5, 1), 3.0), None)[0, 2].any()  # constant: no spread to divide by


def test_norm_is_torchs_over_valid_steps():
    norm, truth = StepNorm(4), torch.nn.BatchNorm1d(4)
    x, valid = torch.randn(3, 5, 4), torch.rand(3, 5, 1) < 0.6
    assert_close(norm(x, valid)[valid[:, :, 0]], truth(x[valid[:, :, 0]]))
    assert_close(norm.running_mean, truth.running_mean)
    before = norm.running_mean.clone()
    assert norm(torch.randn(1, 1, 4)).isfinite().all()
    assert torch.equal(norm.running_mean, before)


def test_dropout_hides_a_feature_at_all_steps_while_training():
    torch.manual_seed(0)
    front = rnnkit.ConvFront(2, 12, dropout=0.5)
    x = torch.randn(3, 40, 2)
    hidden = (front(x)[0] == 0).all(1)
    assert 5 < hidden.sum() < 31
    assert not (front.eval()(x)[0] == 0).all(1).any()


@pytest.mark.parametrize(
    "settings",
    [{"stride": 0}, {"channels": 2}, {"kernel_sizes": ()}, {"kernel_sizes": (3, 0)}, {"dropout": 1.0}],
)
def test_settings_out_of_range(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        rnnkit.ConvFront(3, **settings)


def test_an_input_that_does_not_fit():
    with pytest.raises(ShapeError, match=r"\(2, 5, 4\); expected \(batch, time, 3\)"):
        rnnkit.ConvFront(3)(torch.zeros(2, 5, 4))
