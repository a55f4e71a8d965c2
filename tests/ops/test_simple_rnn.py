"""The native simple recurrence: gradients, operators, CPU families, threads."""

import pytest
import torch
from tolerances import assert_close

from rnnkit.errors import ShapeError
from rnnkit.ops.direction import DirectionCall, RecurrentWeights
from rnnkit.ops.simple_rnn import NONLINEARITIES, simple_rnn, simple_rnn_reference


def weights(inputs, hidden, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(hidden, inputs), (hidden, hidden), (hidden,), (hidden,)]
    scale = hidden**-0.5
    return [(torch.randn(shape, generator=generator, dtype=dtype) * scale).requires_grad_() for shape in shapes]


def direction(x, h0, *weights, **ragged):
    return DirectionCall(x, RecurrentWeights(*weights), state=h0, **ragged)


def data(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_gradcheck_first_and_second(nonlinearity):
    x, h0 = data(3, 2, 2), data(2, 3, seed=2)
    lengths = torch.tensor([3, 2])

    def run(x, h0, *w):
        return simple_rnn(direction(x, h0, *w, lengths=lengths), nonlinearity=nonlinearity)[:2]

    inputs = (x, h0, *weights(2, 3))
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_second_derivative_where_one_input_depends_on_another():
    def penalty(function):
        x = data(3, 2, 2)
        w_ih, w_hh, *_ = weights(2, 2)
        w = w_ih * x.sum()
        output = function(direction(x, None, w, w_hh)).output
        (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), [x, w_ih, w_hh])

    for ours, theirs in zip(penalty(simple_rnn), penalty(simple_rnn_reference), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("kind", NONLINEARITIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_activations_over_their_whole_range(kind, dtype):
    """Against torch's function in float64; one unit, identity weights, so that only σ is seen."""
    points = torch.cat([torch.linspace(-120, 120, 4001), torch.logspace(-6, 2, 400), -torch.logspace(-6, 2, 400)])
    x = points.to(dtype)[None, :, None]
    one, zero = torch.ones(1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype)
    out = simple_rnn(direction(x, None, one, zero), nonlinearity=kind).output
    function = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[kind]
    expected = function(x.double())
    bound = 4 * torch.finfo(dtype).eps
    error = (out.double() - expected).abs()
    assert (error <= bound * expected.abs() + torch.finfo(dtype).tiny).all(), error.max()


@pytest.mark.parametrize("kind", NONLINEARITIES)
def test_nan_and_infinity_are_not_hidden(kind):
    x = torch.tensor([[[float("nan")], [float("inf")], [float("-inf")]]])
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    out = simple_rnn(direction(x, None, one, zero), nonlinearity=kind).output
    function = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[kind]
    torch.testing.assert_close(out, function(x), equal_nan=True)


def test_error_is_no_more_than_pytorchs():
    """Float32 error against the float64 reference, beside torch.nn.RNN's own on the same numbers."""
    for kind in ("tanh", "relu"):
        layer = torch.nn.RNN(28, 128, nonlinearity=kind)
        x = torch.rand(28, 32, 28)
        double = direction(x.double(), None, *(p.detach().double() for p in layer.parameters()))
        exact = simple_rnn_reference(double, nonlinearity=kind).output
        ours = simple_rnn(direction(x, None, *layer.parameters()), nonlinearity=kind).output
        error = (ours.double() - exact).abs().max()
        theirs = (layer(x)[0].double() - exact).abs().max()
        assert error <= 4 * theirs


def test_denormals_are_flushed_and_the_callers_mode_kept():
    tiny = torch.full((1, 1, 1), 1e-42)
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    out = simple_rnn(direction(tiny, None, one, zero), nonlinearity="relu").output
    assert out.item() == 0.0
    assert (tiny * 1.0).item() != 0.0


def test_a_length_out_of_range_never_reaches_memory():
    x = torch.zeros(3, 2, 1)
    with pytest.raises(ValueError, match="a length lies outside"):
        simple_rnn(direction(x, None, torch.ones(1, 1), torch.ones(1, 1), lengths=torch.tensor([4, 1])))


def test_tensors_that_do_not_fit_never_reach_memory():
    x, (w_ih, w_hh, b, _) = data(4, 2, 3).detach(), weights(3, 5)
    h0 = torch.zeros(2, 5, dtype=torch.float64)

    def run(*arguments, **ragged):
        return simple_rnn(direction(*arguments, **ragged))

    cases = [
        ("x is torch.float16", lambda: run(x.half(), None, w_ih, w_hh)),
        ("h0 is .*expected torch.float64 of shape", lambda: run(x, h0.float(), w_ih, w_hh)),
        (r"h0 is .* \(1, 1\)", lambda: run(x, h0[:1, :1], w_ih, w_hh)),
        (r"w_ih is .* \(5, 2\)", lambda: run(x, h0, w_ih[:, :2], w_hh)),
        ("w_ih is torch.float32", lambda: run(x, h0, w_ih.float(), w_hh)),
        (r"w_hh is .* \(5, 4\)", lambda: run(x, h0, w_ih, w_hh[:, :4])),
        (r"b_ih is .* \(1,\)", lambda: run(x, h0, w_ih, w_hh, b[:1])),
        ("lengths is torch.int32", lambda: run(x, h0, w_ih, w_hh, lengths=torch.ones(2, dtype=torch.int32))),
        ("lengths is .*shape", lambda: run(x, h0, w_ih, w_hh, lengths=torch.ones(1, dtype=torch.int64))),
        ("resets is torch.uint8", lambda: run(x, h0, w_ih, w_hh, resets=torch.ones(2, 4, dtype=torch.uint8))),
    ]
    for message, call in cases:
        with pytest.raises(ShapeError, match=message):
            call()
