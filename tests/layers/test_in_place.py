"""Outputs and states that users change in place: the gradients of PyTorch's layers, and no copy where nobody does."""

import copy

import pytest
import torch
from tolerances import assert_close
from torch import nn
from torch.utils.checkpoint import checkpoint

import rnnkit

LAYERS = [(nn.RNN, rnnkit.SimpleRNN), (nn.GRU, rnnkit.GRU), (nn.LSTM, rnnkit.LSTM)]
IDS = ["rnn", "gru", "lstm"]


def h_of(state):
    return state[0] if isinstance(state, tuple) else state


def dropped(output, state):
    torch.manual_seed(3)
    keep = torch.rand(output.shape) < 0.5
    return nn.functional.dropout(output, 0.0, inplace=True).mul_(keep)


def last_step(output, state):
    output[:, -1].mul_(3)
    return output


def erased(output, state):
    with torch.no_grad():
        output.zero_()
    return h_of(state)


def last_state(output, state):
    h_of(state).mul_(2)
    return output.sum(1) + h_of(state)[-1].sum()


def every_state(output, state):
    for leaf in state if isinstance(state, tuple) else (state,):
        leaf += 1
        leaf[0].sigmoid_()
    return torch.cat([h_of(state).flatten(), state[-1].flatten(), output.relu_().flatten()])


CHANGES = {
    "relu_": lambda output, state: torch.relu_(output),
    "iadd": lambda output, state: output.__iadd__(1),
    "mul_": lambda output, state: output.mul_(output.detach() + 2),
    "dropout": dropped,
    "masked_fill_": lambda output, state: output.masked_fill_(output.detach() > 0, 0.5),
    "a slice": last_step,
    "without gradient": erased,
    "the last state": last_state,
    "states and output": every_state,
}


def gradients(layer, change, x, **options):
    x = x.clone().requires_grad_()
    changed = change(*layer(x, **options))
    return torch.autograd.grad(changed.square().sum(), [x, *layer.parameters()])


def expected_gradients(theirs, change, x):
    """PyTorch's own; its LSTM on a CPU saves its output too, so a copy is changed there."""
    return gradients(theirs, lambda output, state: change(output.clone(), state), x)


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(("theirs", "ours"), LAYERS, ids=IDS)
def test_the_gradients_are_pytorchs(theirs, ours, change, backend):
    torch.manual_seed(0)
    theirs = theirs(4, 6, batch_first=True, dtype=torch.float64)
    layer = ours(4, 6, batch_first=True, dtype=torch.float64, backend=backend)
    layer.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    assert_close(gradients(layer, change, x), expected_gradients(theirs, change, x))


@pytest.mark.parametrize("options", [{"num_layers": 2, "bidirectional": True}, {"recompute": 2}, {"recompute": 9}])
@pytest.mark.parametrize(("theirs", "ours"), LAYERS, ids=IDS)
def test_stacks_and_chunks(theirs, ours, options):
    torch.manual_seed(0)
    layer = ours(4, 6, batch_first=True, dtype=torch.float64, **options)
    plain = copy.deepcopy(layer)
    plain.backend = "reference"
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    found, expected = ([*gradients(one, CHANGES["relu_"], x)] for one in (layer, plain))
    assert_close(found, expected)


def test_ragged_rows_whose_lengths_change_before_the_backward_pass():
    layer = rnnkit.GRU(4, 6, batch_first=True, dtype=torch.float64)
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    lengths, resets = torch.tensor([2, 5, 4]), torch.rand(3, 5) < 0.4

    def change(output, state):
        lengths.sub_(1)
        resets.logical_not_()
        return output.relu_()

    found = gradients(layer, change, x, lengths=lengths, resets=resets)
    lengths.add_(1)
    resets.logical_not_()
    assert_close(found, gradients(layer, lambda output, _: output.relu(), x, lengths=lengths, resets=resets))


def test_a_retained_graph_is_differentiated_twice():
    layer, x = rnnkit.LSTM(4, 6), torch.randn(5, 2, 4).requires_grad_()
    output, _ = layer(x)
    loss = output.relu_().square().sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)
    assert_close(torch.autograd.grad(loss, x), first)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, x)


@pytest.mark.parametrize("reentrant", [True, False])
def test_inside_a_checkpoint(reentrant):
    """PyTorch does not check versions of tensors that a checkpoint hands out."""
    layer = rnnkit.GRU(4, 6)
    x = torch.randn(5, 2, 4)
    found = []
    for run in (lambda x: layer(x)[0].relu(), lambda x: layer(x)[0].relu_()):
        leaf = x.clone().requires_grad_()
        layer.zero_grad()
        checkpoint(run, leaf, use_reentrant=reentrant).square().sum().backward()
        found.append([leaf.grad, *(weight.grad for weight in layer.parameters())])
    assert_close(*found)


def test_hooks_of_saved_tensors():
    layer, x = rnnkit.GRU(4, 6, batch_first=True), torch.randn(2, 5, 4)
    expected = gradients(layer, last_step, x)
    for hooks in (
        torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor),
        torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone),
    ):
        with hooks:
            assert_close(gradients(layer, last_step, x), expected)


def test_a_changed_input_is_still_an_error():
    layer, x = rnnkit.GRU(4, 6), torch.randn(5, 2, 4)
    output, _ = layer(x)
    output.relu_()
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation.*\[18, 6\]"):
        output.sum().backward()


def test_nothing_is_copied_or_computed_twice_where_nobody_changes_the_output(monkeypatch):
    from rnnkit.ops import native_gradients

    calls = []
    real = native_gradients.forward_call
    monkeypatch.setattr(native_gradients, "forward_call", lambda *arguments: calls.append(1) or real(*arguments))
    layer, x = rnnkit.GRU(4, 6), torch.randn(5, 2, 4)
    output, _ = layer(x)
    output.sum().backward()
    assert not calls
    output, _ = layer(x)
    output.relu_().sum().backward()
    assert len(calls) == 1


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_a_traced_layer(grad):
    """Traced with gradients or without, it has the layer's gradients, also second ones, and its output may change."""
    layer, x = rnnkit.LSTM(4, 6, dtype=torch.float64), torch.randn(5, 2, 4, dtype=torch.float64)
    with torch.set_grad_enabled(grad):
        traced = torch.jit.trace(layer, (x,))
    for change in (lambda output, _: output, CHANGES["relu_"]):
        assert_close(gradients(traced, change, x), gradients(layer, change, x))
    second = []
    for one in (layer, traced):
        leaf = x.clone().requires_grad_()
        (first,) = torch.autograd.grad(one(leaf)[0].square().sum(), leaf, create_graph=True)
        second.append(torch.autograd.grad(first.square().sum(), [leaf, *layer.parameters()], allow_unused=True))
    assert_close(*[[one for one in found if one is not None] for found in second])


def test_accelerated_models_go_on():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.GRU(4, 6), nn.GRU(6, 6)
            self.dropout, self.activation = nn.Dropout(0.0, inplace=True), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.activation(self.first(x)[0])
            y = y + 0 * self.dropout(y)
            return self.dropout(self.activation(self.second(y)[0]))

    torch.manual_seed(0)
    model = Network()
    before = copy.deepcopy(model)
    rnnkit.accelerate(model)
    x = torch.randn(5, 2, 4)
    found = [torch.autograd.grad(one(x).square().sum(), list(one.parameters())) for one in (model, before)]
    assert_close(*found)
