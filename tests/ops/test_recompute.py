"""Stretches that are computed again: the same values, gradients and random numbers in less memory."""

import weakref

import pytest
import torch
from tolerances import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit.ops.recompute import in_chunks
from rnnkit.ops.state import reset, tensors

T, B, H = 11, 4, 5


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors made inside held at one time."""

    def __init__(self, *outside):
        super().__init__()
        self.now, self.peak = 0, 0
        self.known = {tensor.untyped_storage()._cdata: None for tensor in outside}  # their views are not counted

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in result if isinstance(result, tuple | list) else [result]:
            if isinstance(leaf, torch.Tensor):
                self.count(leaf.untyped_storage())
        return result

    def count(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.now += size
            self.peak = max(self.peak, self.now)
            self.known[key] = weakref.ref(storage, lambda _: self.freed(key, size))

    def freed(self, key, size):
        del self.known[key]
        self.now -= size


def gated(weight):
    """A run over a stretch: a gated state, a counter of the row's steps beside it, and an output of 2 features."""

    def run(x, state, shared, *, lengths, resets):
        x, scale = x
        h, (count,) = state
        outputs = []
        for t in range(len(x)):
            if resets is not None:
                h, (count,) = reset((h, (count,)), resets[:, t], shared, batch_axis=0)
            gate = torch.sigmoid(x[t] @ weight + h)
            h_after = gate * torch.tanh(h @ weight) + (1 - gate) * h * scale[t]
            valid = torch.ones(len(h), dtype=torch.bool) if lengths is None else t < lengths
            h, count = torch.where(valid[:, None], h_after, h), count + valid
            outputs.append(h[:, :2] * valid[:, None])
        return torch.stack(outputs), (h, (count,))

    return run


def problem():
    torch.manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, requires_grad=True)  # noqa: E731
    return draw(H, H), (draw(T, B, H), draw(T, B, 1)), draw(B, H)


@pytest.mark.parametrize("steps", [1, 3, 10, 11, 50])
@pytest.mark.parametrize("ragged", ["plain", "lengths", "resets", "both"])
def test_equals_the_plain_run(steps, ragged):
    lengths = torch.tensor([11, 2, 7, 1]) if ragged in ("lengths", "both") else None
    # A reset in a later stretch goes back to the very first state.
    resets = (
        torch.rand(B, T, generator=torch.Generator().manual_seed(1)) < 0.3 if ragged in ("resets", "both") else None
    )
    found = []
    for chunked in (False, True):
        weight, x, h = problem()
        run, state = gated(weight), (h, (torch.full((B,), 3),))
        if chunked:
            outcome = in_chunks(run, x, state, steps=steps, lengths=lengths, resets=resets, shared=state)
        else:
            outcome = run(x, state, state, lengths=lengths, resets=resets)
        loss = outcome[0].square().sum() + outcome[1][0].sum()
        found.append([*tensors(outcome), *torch.autograd.grad(loss, [weight, *x, h])])
    for actual, expected in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-11)


def test_reverse_takes_stretches_from_the_last():
    seen = []

    def run(x, state, shared, *, lengths, resets):
        seen.append((x.flatten().tolist(), lengths.tolist(), state.item()))
        return x, state + 1

    x = torch.arange(5.0, requires_grad=True).view(5, 1, 1)
    output, state = in_chunks(run, x, torch.zeros(1, 1), steps=2, lengths=torch.tensor([3]), reverse=True)
    assert seen == [([4.0], [0], 0.0), ([2.0, 3.0], [1], 1.0), ([0.0, 1.0], [2], 2.0)]
    assert torch.equal(output, x)
    assert state.item() == 3.0


def test_dropout_is_the_same_and_absent_inputs_stay_absent():
    def run(x, state, shared, *, lengths, resets):
        x, nothing = x
        assert nothing is None
        return torch.nn.functional.dropout(x * state, 0.5), state * 1.5

    x = torch.ones(8, 3, 20, requires_grad=True)
    torch.manual_seed(0)
    output, _ = in_chunks(run, (x, None), torch.ones(3, 1), steps=3)
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert_close(gradient, output)  # linear: what was dropped has no gradient, and only that
    assert 0 < (output == 0).sum() < output.numel()


def test_a_tensor_changed_before_the_backward_pass_is_noticed():
    def run(x, state, shared, *, lengths, resets):
        return x * state[0], state

    hx = torch.ones(3, 1)
    output, _ = in_chunks(run, torch.ones(8, 3, 2, requires_grad=True), (hx,), steps=3)
    hx.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_memory_is_that_of_one_stretch():
    def run(x, h, shared, *, lengths, resets):
        outputs = []
        for x_t in x.unbind():
            h = torch.sin(torch.tanh(torch.addmm(x_t, h, weight)))
            outputs.append(h[:, :1])
        return torch.stack(outputs), h

    torch.manual_seed(0)
    weight, x, h = torch.randn(32, 32, requires_grad=True), torch.randn(1000, 8, 32), torch.zeros(8, 32)
    peaks = []
    for steps in (1000, 25):
        with LiveBytes(weight, x) as live:
            output, _ = in_chunks(run, x, h, steps=steps)
            output.sum().backward()
        peaks.append(live.peak)
    plain, chunked = peaks
    assert plain > 1000 * 2 * 8 * 32 * 4  # at least two tensors of the state's size a step
    assert chunked < plain / 12  # a stretch is a fortieth; outputs and borders remain


def test_without_gradients_the_sequence_runs_once_and_whole():
    calls = []

    def run(x, state, shared, *, lengths, resets):
        calls.append(len(x))
        return x, state

    with torch.no_grad():
        in_chunks(run, torch.ones(8, 3, 2), torch.ones(3, 1), steps=3)
    assert calls == [8]
