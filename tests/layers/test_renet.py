"""ReNet: rows and columns of pictures."""

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.layers.costs import Call, count

LAYERS = [
    ("gru", {}),
    ("gru", {"reset_after": False, "zoneout": 0.2}),
    ("lstm", {"proj_size": 3, "layer_norm": True}),
    ("lstm", {"peepholes": True, "num_layers": 2}),
    ("simple_rnn", {"nonlinearity": "relu", "learn_initial_state": True}),
    ("torch.nn.LSTM", {}),
]


def made(layer="gru", patch=(2, 3), **options):
    torch.manual_seed(0)
    return rnnkit.ReNet(3, 5, patch, layer=layer, dtype=torch.float64, **options).eval()


def pictures(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def picture_by_picture(net, x):
    """The equations, with a Python loop over the rows and columns of each picture."""
    tall, wide = net.patch
    maps = []
    for one in x:
        rows = one.shape[1] // tall
        patches = one.unfold(1, tall, tall).unfold(2, wide, wide).permute(1, 2, 0, 3, 4).flatten(2)
        read = torch.stack([net.rows(patches[row][:, None])[0][:, 0] for row in range(rows)])
        columns = [net.columns(read[:, column][:, None])[0][:, 0] for column in range(read.shape[1])]
        maps.append(torch.stack(columns, 1).permute(2, 0, 1))
    return torch.stack(maps)


@pytest.mark.parametrize(("layer", "options"), LAYERS)
def test_rows_and_then_columns_are_read(layer, options):
    net, x = made(layer, **options), pictures(2, 3, 6, 12)
    y = net(x)
    assert y.shape == (2, net.output_size, 3, 4)
    assert_close(y, picture_by_picture(net, x))


@pytest.mark.parametrize(("layer", "options"), LAYERS)
def test_padding_changes_nothing_and_gets_nothing(layer, options):
    net, x = made(layer, **options), pictures(3, 3, 8, 9)
    sizes = [(8, 9), (3, 4), (1, 1)]
    poisoned = torch.full_like(x, torch.nan)
    for row, (height, width) in enumerate(sizes):
        poisoned[row, :, :height, :width] = x[row, :, :height, :width]
    poisoned.requires_grad_()
    heights, widths = zip(*sizes, strict=True)
    y = net(poisoned, heights, widths)
    tops, lefts = net.output_sizes(heights, widths)
    parameters = list(net.parameters())
    found = torch.autograd.grad(y.square().sum(), [poisoned, *parameters])
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for row, (height, width) in enumerate(sizes):
        alone = net(x[row : row + 1, :, :height, :width])
        top, left = int(tops[row]), int(lefts[row])
        assert alone.shape[2:] == (top, left)
        assert_close(y[row, :, :top, :left], alone[0])
        assert not y[row, :, top:].any()
        assert not y[row, :, :, left:].any()
        for one, more in zip(total, torch.autograd.grad(alone.square().sum(), parameters), strict=True):
            one += more
        assert found[0][row, :, :height, :width].isfinite().all()
        assert not found[0][row, :, height:].any()
    for one, expected in zip(found[1:], total, strict=True):
        assert_close(one, expected)


def test_gradients_are_those_of_the_equations():
    net, x = made(), pictures(2, 3, 4, 6).requires_grad_()
    inputs = [x, *net.parameters()]
    weights = pictures(*net(x).shape)
    found, expected = (torch.autograd.grad((y * weights).sum(), inputs) for y in (net(x), picture_by_picture(net, x)))
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(("layer", "options"), LAYERS)
def test_a_saved_network_is_built_again(layer, options, tmp_path):
    net, x = made(layer, **options), pictures(2, 3, 4, 6)
    rnnkit.Learner(net, loss="mse").save(tmp_path)
    again = rnnkit.load(tmp_path)
    assert repr(again) == repr(net)
    assert torch.equal(again(x), net(x))


def test_pytorch_layers_are_accelerated_in_place():
    net, x = made("torch.nn.GRU"), pictures(2, 3, 4, 6)
    before = net(x, [4, 3], [6, 2])
    report = rnnkit.accelerate(net)
    assert [one.name for one in report.swapped] == ["rows", "columns"]
    assert net.config()["arguments"]["layer"] == "gru"
    assert_close(net(x, [4, 3], [6, 2]), before)


def test_the_cost_is_that_of_both_layers():
    net = rnnkit.ReNet(3, 5, 2)
    summary = rnnkit.summary(torch.nn.Sequential(net), torch.zeros(2, 3, 8, 6))
    rows, columns = (
        count(layer, Call(shape, (*shape[:2], 10)))[0].forward
        for layer, shape in ((net.rows, (3, 8, 12)), (net.columns, (4, 6, 10)))
    )
    assert f"{sum(weight.numel() for weight in net.parameters()):,}" in str(summary)
    assert rows == 2 * 2 * 3 * 5 * (12 + 5) * 24
    assert columns == 2 * 2 * 3 * 5 * (10 + 5) * 24


def test_diagnostics_look_into_it():
    found = rnnkit.diagnostics.saturation(rnnkit.ReNet(1, 4, 2), torch.randn(2, 1, 6, 4))
    assert [one.layer for one in found] == ["rows.l0", "rows.l0_reverse", "columns.l0", "columns.l0_reverse"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rnnkit.ReNet(3, 5, 0), "patch=0"),
        (lambda: rnnkit.ReNet(3, 5, layer="gro"), "did you mean 'gru'"),
        (lambda: rnnkit.ReNet(3, 5, bidirectional=False), "ReNet sets it"),
        (lambda: rnnkit.ReNet(3, 5, zoneout=2.0), "zoneout"),
        (lambda: rnnkit.ReNet(3, 5, layer="torch.nn.GRU", zoneout=0.1), "refuses the options"),
        (lambda: rnnkit.ReNet(in_channels=3, hidden_size=5), "input_size=3"),
    ],
)
def test_settings_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net(torch.zeros(2, 8, 8, 3)), r"x.permute\(0, 3, 1, 2\)"),
        (lambda net: net(torch.zeros(3, 8, 8)), r"x\[None\]"),
        (lambda net: net(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)), "/ 255"),
        (lambda net: net(torch.zeros(2, 3, 8, 8), [9, 1]), "expected 1 to 8"),
        (lambda net: net(torch.zeros(2, 3, 8, 8), widths=[1]), r"expected \(2,\) integers"),
        (lambda net: net([[1.0]]), "torch.as_tensor"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ShapeError, match=message):
        call(rnnkit.ReNet(3, 5))


def test_a_batch_without_pictures_has_no_sizes():
    assert rnnkit.ReNet(3, 5, 2)(torch.zeros(0, 3, 8, 7), [], []).shape == (0, 10, 4, 4)
