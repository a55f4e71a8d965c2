"""The native kernels against the references: values, states and gradients, every option alone and all together.

All data is made here: random numbers from a fixed seed.
"""

import itertools

import pytest
import torch
from tolerances import assert_close

from rnnkit.ops.direction import DirectionCall, LayerNormWeights, RecurrentOptions, RecurrentWeights
from rnnkit.ops.gru import gru, gru_reference
from rnnkit.ops.lstm import lstm, lstm_reference
from rnnkit.ops.simple_rnn import simple_rnn, simple_rnn_reference

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}
# (batch, time, input, hidden): one of each, vectors' widths and beside them, more rows than a tile and than are summed
# at once, and weights that threads share by hidden units. Few steps: each costs a reference as much as a large one.
SIZES = [(1, 1, 1, 1), (3, 5, 2, 7), (2, 3, 16, 16), (33, 4, 20, 65), (5, 4, 3, 50), (9, 3, 300, 260)]
# One row, and weights in float32 that outgrow a core's own cache.
OUTGROWN = {"simple_rnn": (1, 3, 20, 700), "gru": (1, 3, 20, 363), "lstm": (1, 3, 20, 331)}
OPTIONS = {
    "simple_rnn": ["norm", "mask", "zone", "dead_zone", "bias", "state", "ragged", "resets", "initial"],
    "gru": ["norm", "mask", "zone", "dead_zone", "bias", "state", "ragged", "resets", "initial", "before"],
    "lstm": [
        "norm",
        "mask",
        "zone",
        "dead_zone",
        "bias",
        "state",
        "ragged",
        "resets",
        "initial",
        "peephole",
        "projection",
    ],
}


def problem(kernel, sizes, options, dtype, batch_first=False, reverse=False):
    """A function of differentiable tensors for the kernel and one for the reference, and the tensors."""
    batch, time, inputs, hidden = sizes
    generator = torch.Generator().manual_seed(5)
    leaves = []

    def numbers(*shape, scale=1.0):
        leaf = ((torch.rand(shape, generator=generator, dtype=dtype) - 0.5) * 2 * scale).requires_grad_()
        leaves.append(leaf)
        return leaf

    wide, scale = GATES[kernel] * hidden, hidden**-0.5
    out = max(1, hidden // 2) if "projection" in options else hidden
    x = numbers(*((batch, time) if batch_first else (time, batch)), inputs)
    weights = [numbers(wide, inputs, scale=scale), numbers(wide, out, scale=scale)]
    weights += [numbers(wide), numbers(wide)] if "bias" in options else [None, None]
    found = {"batch_first": batch_first, "reverse": reverse}
    if kernel == "lstm":
        weights.append(numbers(out, hidden, scale=scale) if out != hidden else None)
        state = (numbers(batch, out), numbers(batch, hidden)) if "state" in options else None
        if "peephole" in options:
            found["peephole"] = numbers(3, hidden)
    else:
        state = numbers(batch, hidden) if "state" in options else None
    if "norm" in options and "before" not in options:
        found["norm"] = LayerNormWeights(numbers(wide), numbers(wide))
        if kernel == "lstm":
            found["norm"] = LayerNormWeights(*found["norm"][:2], numbers(hidden), numbers(hidden))
    if "mask" in options:
        found["mask"] = (torch.rand(batch, out, generator=generator) < 0.7).to(dtype) / 0.7
    zones = (("zoneout_h", out), ("zoneout_c", hidden)) if kernel == "lstm" else (("zoneout_h", hidden),)
    for name, width in zones:
        if "zone" in options:
            found[name] = (torch.rand(batch, time, width, generator=generator) < 0.3).to(dtype)
        elif "dead_zone" in options:
            found[name] = torch.full((width,), 0.3, dtype=dtype)
    if kernel == "gru":
        found["reset_after"] = "before" not in options
    if "initial" in options:
        found["resets"] = torch.rand(batch, time, generator=generator) < 0.3
        found["initial"] = (numbers(batch, out), numbers(batch, hidden)) if kernel == "lstm" else numbers(batch, hidden)
    if kernel == "simple_rnn":
        found["nonlinearity"] = ("tanh", "relu", "sigmoid")[(batch + time) % 3]
    if "ragged" in options:
        found["lengths"] = torch.tensor([(7 * row + 3) % (time + 1) for row in range(batch)])
    if "resets" in options and "initial" not in options:
        found["resets"] = (torch.arange(batch)[:, None] + torch.arange(time)) % 4 == 1
    native, reference = {
        "simple_rnn": (simple_rnn, simple_rnn_reference),
        "gru": (gru, gru_reference),
        "lstm": (lstm, lstm_reference),
    }[kernel]
    flags = {name: found.pop(name) for name in ("reset_after", "nonlinearity") if name in found}
    named = RecurrentOptions(**{name: found.pop(name) for name in RecurrentOptions._fields if name in found})
    call = DirectionCall(x, RecurrentWeights(*weights), named, state, return_cells=kernel == "lstm", **found)
    return (lambda: native(call, **flags)), (lambda: reference(call, **flags)), leaves


def flat(outcome):
    if outcome is None:
        return []
    return [outcome] if isinstance(outcome, torch.Tensor) else [leaf for part in outcome for leaf in flat(part)]


def gradients(outcome, leaves):
    generator = torch.Generator().manual_seed(2)
    weights = [torch.rand(leaf.shape, generator=generator, dtype=leaf.dtype) - 0.5 for leaf in outcome]
    return torch.autograd.grad(outcome, leaves, weights)


def check(kernel, sizes, options, dtype, **more):
    native, reference, leaves = problem(kernel, sizes, options, dtype, **more)
    actual, expected = flat(native()), flat(reference())
    assert_close(actual, expected)
    assert_close(gradients(actual, leaves), gradients(expected, leaves))
    with torch.no_grad():
        assert_close(flat(native()), expected)


CASES = [(kernel, sizes) for kernel in OPTIONS for sizes in (*SIZES, OUTGROWN[kernel])]


@pytest.mark.parametrize(("kernel", "sizes"), CASES, ids=str)
def test_every_option_alone(kernel, sizes):
    check(kernel, sizes, (), torch.float64)
    for option in OPTIONS[kernel]:
        check(kernel, sizes, (option, "bias"), torch.float64)


@pytest.mark.parametrize("kernel", OPTIONS)
@pytest.mark.parametrize("sizes", SIZES[1:4], ids=str)
def test_pairs_of_options(kernel, sizes):
    for number, pair in enumerate(itertools.combinations(OPTIONS[kernel], 2)):
        check(kernel, sizes, pair, torch.float64, batch_first=number % 2 == 0, reverse=number % 3 == 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("kernel", "sizes"), CASES, ids=str)
def test_all_options_together(kernel, sizes, dtype):
    several = ((), ("norm",), ("norm", "projection", "mask"), ("before",), ("norm", "before", "mask"))
    sets = dict.fromkeys(tuple(one for one in OPTIONS[kernel] if one not in left_out) for left_out in several)
    for number, options in enumerate(sets):
        # Wide weights take longest: each set of options in one direction, which narrow ones meet in both.
        for reverse in (False, True) if sizes[3] < 100 else (number % 2 == 1,):
            check(kernel, sizes, options, dtype, reverse=reverse, batch_first=reverse)


@pytest.mark.parametrize("kernel", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_more_rows_than_a_block(kernel, dtype):
    every = [option for option in OPTIONS[kernel] if option != "before"]
    for number, options in enumerate(((), ("ragged", "bias", "state"), every, OPTIONS[kernel])):
        check(kernel, (301, 3, 5, 9), options, dtype, reverse=number % 2 == 0, batch_first=number % 2 == 1)


@pytest.mark.parametrize("kernel", OPTIONS)
def test_second_derivatives(kernel):
    for options in (("bias", "state"), [option for option in OPTIONS[kernel] if option != "before"]):
        native, reference, leaves = problem(kernel, (3, 4, 2, 5), options, torch.float64)
        found = []
        for run in (native, reference):
            first = torch.autograd.grad(sum(leaf.square().sum() for leaf in flat(run())), leaves, create_graph=True)
            found.append(torch.autograd.grad(sum(leaf.square().sum() for leaf in first), leaves))
        assert_close(*found)
