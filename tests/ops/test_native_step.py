"""The native training step against autograd and PyTorch's own optimizers and clipping."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from rnnkit.ops.backend import native_core
from rnnkit.ops.direction import DirectionCall, RecurrentWeights
from rnnkit.ops.gru import gru_reference
from rnnkit.ops.lstm import lstm_reference
from rnnkit.ops.native_call import GATES, VARIANTS
from rnnkit.ops.native_step import NativeGradients, NativeUpdate, StepLayer
from rnnkit.ops.simple_rnn import simple_rnn_reference
from tests.tolerances import CLOSE, assert_close

pytestmark = pytest.mark.skipif(native_core() is None, reason="rnnkit is installed without its native core")

KINDS = [(kernel, variant) for kernel, variants in VARIANTS.items() for variant in variants]


def made(kernel, sizes, outputs, *, bias=True, dtype=torch.float32, seed=0):
    """Weights of the layers of these sizes, from the input on, and of the head."""
    generator = torch.Generator().manual_seed(seed)

    def new(*shape):
        return (0.4 * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    layers = []
    for features, hidden in pairwise(sizes):
        rows = GATES[kernel] * hidden
        layers.append([new(rows, features), new(rows, hidden)] + ([new(rows), new(rows)] if bias else []))
    return layers, (new(outputs, sizes[-1]), new(outputs) if bias else None)


def batch(count, time, features, outputs, *, ragged=False, labels=True, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, time, features, generator=generator, dtype=dtype)
    lengths = torch.randint(1, time + 1, (count,), generator=generator) if ragged else None
    if ragged:  # a step behind a row's end must never be read
        x[torch.arange(time) >= lengths[:, None]] = float("nan")
    if labels:
        return x, lengths, torch.randint(outputs, (count,), generator=generator)
    return x, lengths, torch.randn(count, outputs, generator=generator, dtype=dtype)


def reference(kernel, variant, call):
    if kernel == "simple_rnn":
        return simple_rnn_reference(call, nonlinearity=variant)
    return lstm_reference(call) if kernel == "lstm" else gru_reference(call, reset_after=variant == "reset_after")


def by_autograd(kernel, variant, layers, head, x, lengths, targets):
    """The loss, the outputs and the gradients, in double precision through the readable reference."""
    whole = [[one.detach().double().requires_grad_() for one in layer] for layer in layers]
    top = [None if one is None else one.detach().double().requires_grad_() for one in head]
    y = x.double()
    if lengths is not None:
        y = y.masked_fill((torch.arange(x.shape[1]) >= lengths[:, None])[..., None], 0)
    for layer in whole:
        call = DirectionCall(y, RecurrentWeights(*layer), lengths=lengths, batch_first=True)
        y, state, _ = reference(kernel, variant, call)
    h = state[0] if kernel == "lstm" else state
    z = F.linear(h, *top)
    loss = F.cross_entropy(z, targets) if targets.dtype == torch.int64 else F.mse_loss(z, targets.double())
    loss.backward()
    found = [one.grad for layer in whole for one in layer] + [one.grad for one in top if one is not None]
    return loss.detach(), z.detach(), found


@pytest.mark.parametrize(("kernel", "variant"), KINDS)
@pytest.mark.parametrize("sizes", [(3, 5), (1, 17, 9), (6, 4, 33, 2)], ids=str)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_those_of_autograd(kernel, variant, sizes, ragged, dtype):
    for labels, outputs, bias in ((True, 7, True), (False, 1, False), (False, 19, True)):
        layers, head = made(kernel, sizes, outputs, bias=bias, dtype=dtype)
        x, lengths, targets = batch(5, 6, sizes[0], outputs, ragged=ragged, labels=labels, dtype=dtype)
        loss, z, expected = by_autograd(kernel, variant, layers, head, x, lengths, targets)
        kind = "cross_entropy" if labels else "mse"
        step = NativeGradients([StepLayer(kernel, variant, layer) for layer in layers], head, kind)
        assert step.fits(x, lengths, targets)
        found = step(x, lengths, targets)
        assert found is not None
        assert_close([torch.tensor(found[0], dtype=dtype), found[1]], [loss.to(dtype), z.to(dtype)])
        assert_close([one.grad for one in step.parameters], [one.to(dtype) for one in expected])


def test_several_threads_and_other_sizes_afterwards():
    layers, head = made("gru", (12, 40), 300)
    step = NativeGradients([StepLayer("gru", "reset_after", layers[0])], head, "cross_entropy")
    threads = torch.get_num_threads()
    try:
        for count, time, number in ((70, 9, 3), (2, 3, 2), (150, 20, 4)):
            torch.set_num_threads(number)
            x, _, targets = batch(count, time, 12, 300, seed=count)
            loss, z, expected = by_autograd("gru", "reset_after", layers, head, x, None, targets)
            found = step(x, None, targets)
            assert_close([torch.tensor(found[0]), found[1]], [loss.float(), z.float()])
            assert_close([one.grad for one in step.parameters], [one.float() for one in expected])
    finally:
        torch.set_num_threads(threads)


def test_inputs_may_lie_in_any_layout():
    layers, head = made("lstm", (4, 6), 3)
    step = NativeGradients([StepLayer("lstm", "standard", layers[0])], head, "cross_entropy")
    x, _, targets = batch(5, 7, 4, 3)
    wanted = step(x, None, targets)[1]
    time_first = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert step.fits(time_first, None, targets)
    assert torch.equal(step(time_first, None, targets)[1], wanted)
    assert not step.fits(x.transpose(1, 2).contiguous().transpose(1, 2), None, targets)
    assert not step.fits(x.double(), None, targets)
    assert not step.fits(x, None, targets.int())
    assert not step.fits(x, torch.ones(4, dtype=torch.int64), targets)
    assert not step.fits(x[:0], None, targets[:0])


def test_what_is_out_of_range_is_left_alone():
    layers, head = made("lstm", (4, 6), 3)
    step = NativeGradients([StepLayer("lstm", "standard", layers[0])], head, "cross_entropy")
    x, _, targets = batch(5, 7, 4, 3)
    assert step(x, None, torch.full_like(targets, 3)) is None
    assert step(x, None, torch.full_like(targets, -100)) is None
    assert step(x, torch.full((5,), 8), targets) is None
    assert step(x, torch.zeros(5, dtype=torch.int64), targets) is None
    assert all(one.grad is None for one in step.parameters)


def test_a_loss_that_is_not_finite_leaves_the_gradients():
    layers, head = made("simple_rnn", (4, 6), 3)
    step = NativeGradients([StepLayer("simple_rnn", "relu", layers[0])], head, "cross_entropy")
    x, _, targets = batch(5, 7, 4, 3)
    step(x, None, targets)
    before = [one.grad.clone() for one in step.parameters]
    loss, _ = step(x.index_fill(0, torch.tensor([2]), float("nan")), None, targets)
    assert loss != loss
    assert all(torch.equal(one.grad, old) for one, old in zip(step.parameters, before, strict=True))


# --- the optimizers --------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam, l2": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.3),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "groups": lambda p: torch.optim.AdamW([{"params": p[:1], "lr": 0.1}, {"params": p[1:], "weight_decay": 0.0}]),
}


def pair(make, dtype):
    """The same parameters twice with an optimizer each; the first step, which makes the state, is done."""
    generator = torch.Generator().manual_seed(3)
    shapes = [(3, 5), (1,), (70000,), (33,)]
    ours = [torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    theirs = [one.detach().clone().requires_grad_() for one in ours]
    optimizers = make(ours), make(theirs)
    step_gradients(ours, theirs, generator)
    for optimizer in optimizers:
        optimizer.step()
    return ours, theirs, optimizers, generator


def step_gradients(ours, theirs, generator):
    for one, other in zip(ours, theirs, strict=True):
        gradient = torch.randn(one.shape, generator=generator, dtype=one.dtype)
        one.grad = gradient if one.grad is None else one.grad.copy_(gradient)
        other.grad = gradient.clone()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_updates_are_those_of_pytorch(name, dtype):
    ours, theirs, (optimizer, other), generator = pair(OPTIMIZERS[name], dtype)
    gradients = {one: one.grad for one in ours}
    assert NativeUpdate.problem(optimizer, gradients) is None
    assert NativeUpdate.ready(optimizer)
    update = NativeUpdate(optimizer, gradients)
    for number in range(4):
        for group, others in zip(optimizer.param_groups, other.param_groups, strict=True):
            group["lr"] = others["lr"] = 0.02 / (1 + number)
        step_gradients(ours, theirs, generator)
        versions = [one._version for one in ours]
        assert update.serves(optimizer)
        update()
        other.step()
        assert all(one._version > old for one, old in zip(ours, versions, strict=True))
    assert_close([one.detach() for one in ours], [one.detach() for one in theirs])
    ours_state, theirs_state = optimizer.state_dict()["state"], other.state_dict()["state"]
    assert ours_state.keys() == theirs_state.keys()
    for key, state in theirs_state.items():
        for field, value in state.items():
            if value is not None:
                torch.testing.assert_close(ours_state[key][field], value, **CLOSE[dtype])


@pytest.mark.parametrize("limit", [0.1, 1e6])
def test_clipping_is_that_of_pytorch(limit):
    ours, theirs, (optimizer, _), _ = pair(OPTIMIZERS["adam"], torch.float32)
    update = NativeUpdate(optimizer, {one: one.grad for one in ours})
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit)
    assert update.clip(limit) == pytest.approx(float(expected), rel=1e-5)
    assert_close([one.grad for one in ours], [one.grad for one in theirs])


def test_other_optimizers_and_states_are_not_served():
    ours, _, (optimizer, _), _ = pair(OPTIMIZERS["adam"], torch.float32)
    gradients = {one: one.grad for one in ours}
    update = NativeUpdate(optimizer, gradients)
    assert update.serves(optimizer)
    optimizer.load_state_dict(optimizer.state_dict())  # new tensors
    assert not update.serves(optimizer)
    assert NativeUpdate.ready(optimizer)
    assert not NativeUpdate.ready(torch.optim.Adam(ours))
    assert NativeUpdate.ready(torch.optim.SGD(ours))
    assert not NativeUpdate.ready(torch.optim.SGD(ours, momentum=0.9))
    for other in (
        torch.optim.RMSprop(ours),
        torch.optim.Adam(ours, amsgrad=True),
        torch.optim.Adam(ours, maximize=True),
        torch.optim.Adam(ours, lr=torch.tensor(0.1)),
        torch.optim.Adam([*ours, torch.zeros(2, requires_grad=True)]),
    ):
        assert NativeUpdate.problem(other, gradients) is not None
    watched = torch.optim.Adam(ours)
    watched.register_step_post_hook(lambda *_: None)
    assert "watches" in NativeUpdate.problem(watched, gradients)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # counts the steps by a wrapper of its own
    assert "watches" in NativeUpdate.problem(optimizer, gradients)
