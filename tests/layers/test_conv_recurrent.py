"""ConvGRU and ConvLSTM: recurrences over maps, on tiles and by PyTorch's convolutions."""

import copy

import pytest
import torch
from tolerances import assert_close

import rnnkit
from rnnkit.errors import ConfigError, ShapeError
from rnnkit.layers.costs import Call, count
from rnnkit.ops import state as states
from rnnkit.ops.state import map_state, tensors
from rnnkit.ops.tile_conv import TileConv, from_tiles, to_tiles

KINDS = [
    (rnnkit.ConvGRU, {}),
    (rnnkit.ConvGRU, {"reset_after": False}),
    (rnnkit.ConvGRU, {"bias": False}),
    (rnnkit.ConvLSTM, {}),
    (rnnkit.ConvLSTM, {"peepholes": True}),
]
CELLS = {rnnkit.ConvGRU: rnnkit.ConvGRUCell, rnnkit.ConvLSTM: rnnkit.ConvLSTMCell}
SIZES = [(8, 4), (5, 6), (1, 1)]
RAGGED = [
    {},
    {"lengths": [4, 1, 2]},
    {"resets": torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]).bool()},
]


def pair(kind, dtype=torch.float64, **options):
    """The same layer on tiles and by PyTorch's convolutions."""
    torch.manual_seed(0)
    tiles = kind(2, 3, algorithm="tiles", dtype=dtype, **options)
    direct = kind(2, 3, algorithm="direct", dtype=dtype, **options)
    direct.load_state_dict(tiles.state_dict())
    return tiles, direct


def outcome(layer, x, hx=None, **ragged):
    """Outputs, state and all gradients."""
    x = x.clone().requires_grad_()
    hx = None if hx is None else map_state(lambda leaf: leaf.clone().requires_grad_(), hx)
    found = tensors(layer(x, hx, **ragged))
    generator = torch.Generator().manual_seed(2)
    weights = [torch.randn(one.shape, dtype=one.dtype, generator=generator) for one in found]
    inputs = [x, *layer.parameters(), *([] if hx is None else tensors(hx))]
    return [*found, *torch.autograd.grad(found, inputs, weights)]


def sequence(size, batch=3, time=4, dtype=torch.float64):
    return torch.randn(batch, time, 2, *size, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("ragged", RAGGED, ids=["whole", "lengths", "resets"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_tiles_compute_the_equations(kind, options, size, ragged):
    tiles, direct = pair(kind, **options)
    x = sequence(size)
    hx = map_state(lambda leaf: torch.randn_like(leaf), tiles.initial_state(3, size=size))
    for one, other in zip(outcome(tiles, x, hx, **ragged), outcome(direct, x, hx, **ragged), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_layer_is_its_cell_over_the_steps(kind, options):
    tiles, _ = pair(kind, **options)
    cell = CELLS[kind](2, 3, dtype=torch.float64, **options)
    cell.load_state_dict(tiles.state_dict())
    layer = rnnkit.RNN(cell, batch_first=True)
    for ragged in RAGGED:
        for one, other in zip(outcome(tiles, sequence((5, 6)), **ragged), outcome(layer, sequence((5, 6)), **ragged),
                              strict=True):  # fmt: skip
            assert_close(one, other)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_gradients_are_derivatives(kind, options):
    tiles, direct = pair(kind, **options)
    x = sequence((2, 5), batch=1, time=2).requires_grad_()
    hx = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), tiles.initial_state(1, size=(2, 5)))

    def run(x, *state):
        return tuple(tensors(tiles(x, state if isinstance(hx, tuple) else state[0])))

    assert torch.autograd.gradcheck(run, (x, *tensors(hx)), fast_mode=True)
    small = x[:, :, :, :1, :2].detach().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: tuple(tensors(direct(x))), (small,), fast_mode=True)


@pytest.mark.parametrize("algorithm", ["tiles", "direct"])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_padding_changes_nothing(kind, options, algorithm):
    layer = pair(kind, **options)[algorithm == "direct"]
    x = sequence((4, 3))
    expected = outcome(layer, x, lengths=[4, 1, 2])
    poisoned = x.clone()
    poisoned[1, 1:], poisoned[2, 2:] = torch.nan, torch.nan
    found = outcome(layer, poisoned, lengths=[4, 1, 2])
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)
    alone = layer(x[1:2, :1])
    assert_close(found[0][1:2, :1], alone[0])
    assert not found[0][1, 1:].any()
    assert not found[len(tensors(alone))][1, 1:].any()  # of the gradients the first, dx


@pytest.mark.parametrize("kind", list(CELLS))
def test_float32_stays_within_tolerance(kind):
    torch.manual_seed(0)
    tiles = kind(2, 20, algorithm="auto")
    assert tiles.serves_tiles(torch.device("cpu"), torch.float32)
    direct = kind(2, 20, algorithm="direct")
    direct.load_state_dict(tiles.state_dict())
    x = sequence((9, 7), dtype=torch.float32)
    for one, other in zip(outcome(tiles, x), outcome(direct, x), strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_steps_and_streams_go_on_from_a_state(kind, options, tmp_path):
    layer, _ = pair(kind, **options)
    x = sequence((4, 3))
    output, last = layer(x)
    stream = layer.stream(3)
    assert_close(torch.stack([stream(one) for one in x.unbind(1)], 1), output)
    assert_close(stream.state, last)
    first, state = layer(x[:, :2])
    states.save(state, tmp_path / "state.safetensors")
    state = states.load(tmp_path / "state.safetensors")
    second, _ = layer(x[:, 2:], state)
    assert_close(torch.cat([first, second], 1), output)
    turned = states.reorder(state, torch.tensor([2, 0, 1]), layer.state_batch_axis)
    assert_close(layer.step(x[[2, 0, 1], 2], turned)[0], layer.step(x[:, 2], state)[0][[2, 0, 1]])
    assert_close(layer.final_output(last), output[:, -1])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_saved_layer_is_built_again(kind, options, tmp_path):
    layer, _ = pair(kind, **options)
    for module in (layer, CELLS[kind](2, 3, **options), rnnkit.RNN(CELLS[kind](2, 3, **options))):
        rnnkit.Learner(module, loss="mse").save(tmp_path)
        assert repr(rnnkit.load(tmp_path)) == repr(module)
    assert torch.equal(copy.deepcopy(layer)(sequence((4, 3)))[0], layer(sequence((4, 3)))[0])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_what_is_returned_may_be_changed_in_place(kind, options):
    def gradients(layer):
        output, _ = layer(sequence((8, 4)))
        _, state = layer(sequence((8, 4)))
        *_, last = tensors(state)
        loss = output.relu_().square().sum() + last.mul_(2).square().sum()
        return torch.autograd.grad(loss, list(layer.parameters()))

    tiles, direct = pair(kind, **options)
    for one, other in zip(gradients(tiles), gradients(direct), strict=True):
        assert_close(one, other)


def test_other_kernels_take_the_convolutions_of_pytorch():
    layer = rnnkit.ConvGRU(2, 16, 5)
    assert not layer.serves_tiles(torch.device("cpu"), torch.float32)
    assert layer(torch.randn(1, 2, 2, 6, 7))[0].shape == (1, 2, 16, 6, 7)


def test_half_precision_of_others_is_taken():
    layer = rnnkit.ConvLSTM(2, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(torch.randn(1, 2, 2, 6, 7).bfloat16())
    assert output.dtype == torch.float32


def test_the_cost_counts_both_convolutions():
    forward = 2 * 9 * 3 * 5 * (2 + 5) * (4 * 3 * 8 * 6)
    found = count(rnnkit.ConvGRU(2, 5), Call((4, 3, 2, 8, 6), (4, 3, 5, 8, 6), input_gradient=True))[0]
    assert (found.forward, found.backward, found.activations) == (forward, 2 * forward, None)
    assert count(rnnkit.ConvGRUCell(2, 5), Call((12, 2, 8, 6), (12, 5, 8, 6)))[0].forward == forward


def test_a_convolution_of_tiles_and_its_gradients():
    x = torch.randn(2, 3, 9, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(7, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x, weight, padding=1)
    dy = torch.randn_like(y)
    dx, dw = torch.autograd.grad(y, [x, weight], dy)
    with torch.no_grad():
        tiles = to_tiles(x)
        conv = TileConv(weight, tiles.shape, (9, 5))
        found, kept = conv.forward(tiles)
        assert_close(from_tiles(found, 9, 5), y)
        assert_close(from_tiles(conv.backward(to_tiles(dy), kept), 9, 5), dx)
        assert_close(conv.weight_gradient(), dw)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rnnkit.ConvGRU(2, 3, 4), "odd"),
        (lambda: rnnkit.ConvGRU(2, 3, 5, algorithm="tiles"), "expected 3"),
        (lambda: rnnkit.ConvGRU(2, 3, algorithm="tile"), "did you mean 'tiles'"),
        (lambda: rnnkit.ConvLSTM(in_channels=2, hidden_size=3), "input_size=2"),
        (lambda: rnnkit.ConvGRU(2, 3).initial_state(1), r"size=\(height, width\)"),
    ],
)
def test_settings_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer(torch.zeros(1, 2, 5, 5)), r"input\[:, None\]"),
        (lambda layer: layer(torch.zeros(1, 4, 3, 5, 5)), r"expects \(batch, time, 2, height, width\)"),
        (lambda layer: layer(torch.zeros(1, 4, 2, 5, 5), torch.zeros(1, 3, 5, 4)), "the state has shapes"),
        (lambda layer: layer(torch.zeros(1, 4, 2, 5, 5).double()), "weights are"),
        (lambda layer: layer(torch.zeros(1, 4, 2, 5, 5), lengths=[5]), "expected 1 to 4"),
        (lambda layer: layer.step(torch.zeros(1, 5, 5)), "a step of ConvGRU takes"),
        (lambda layer: layer.stream(2)(torch.zeros(1, 2, 5, 5)), r"layer.stream\(batch\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ShapeError, match=message):
        call(rnnkit.ConvGRU(2, 3))
