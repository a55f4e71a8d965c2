"""Counted operations and kept bytes: by hand, against torch's counter, and against what autograd really saves."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import rnnkit
from rnnkit.layers.costs import Call, Cost, count, rule_of

B, T, IN, H = 4, 6, 3, 8
ELEMENT = 4


def sequence_call(layer, **more):
    x = (B, T, IN) if layer.batch_first else (T, B, IN)
    return Call(x, (*x[:2], H), **more)


def numbers_saved(layer, x):
    """The numbers in all storages that autograd keeps for the backward pass, beside parameters and the input."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (x, *layer.parameters())}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = layer(x)
    assert output is not None
    return sum(saved.values()) / ELEMENT


# operations


@pytest.mark.parametrize(("kind", "gates"), [("SimpleRNN", 1), ("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("home", ["rnnkit", "torch"])
def test_products_by_hand(kind, gates, home):
    kinds = {"rnnkit": rnnkit, "torch": torch.nn}
    layer = getattr(kinds[home], "RNN" if (home, kind) == ("torch", "SimpleRNN") else kind)(IN, H)
    column = 2 * B * T * gates * H
    (first,) = count(layer, sequence_call(layer))
    assert first.forward == column * (IN + H)
    assert first.backward == column * (IN + 2 * H)  # dW, dU, dh; no gradient for the data
    assert first.step == first.forward + first.backward
    (flowing,) = count(layer, sequence_call(layer, input_gradient=True))
    assert flowing.backward == column * (2 * IN + 2 * H)
    (ragged,) = count(layer, sequence_call(layer, valid=9))
    assert ragged.forward == 2 * 9 * gates * H * (IN + H)


def test_a_stack_in_both_directions_by_layer():
    layer = rnnkit.LSTM(IN, H, num_layers=3, bidirectional=True, proj_size=5, batch_first=True)
    column, projection = 2 * B * T * 4 * H, 2 * B * T * H * 5
    first, second, third = count(layer, sequence_call(layer))
    assert first.forward == 2 * (column * (IN + 5) + projection)
    assert first.backward == 2 * (column * (IN + 10) + 2 * projection)
    assert second.forward == 2 * (column * (10 + 5) + projection)
    assert second.backward == 2 * second.forward
    assert (third.forward, third.backward) == (second.forward, second.backward)


def test_options_by_hand():
    steps, column = B * T, 2 * B * T * 4 * H
    plain = column * (IN + H)

    def forward_and_backward(kind="LSTM", **options):
        layer = getattr(rnnkit, kind)(IN, H, **options)
        (cost,) = count(layer, sequence_call(layer))
        return cost.forward, cost.backward

    assert forward_and_backward(peepholes=True) == (plain + 6 * steps * H, column * (IN + 2 * H) + 12 * steps * H)
    three = column * 3 // 4
    assert forward_and_backward(coupled_gates=True) == (three * (IN + H), three * (IN + 2 * H))
    normed, cells = steps * 2 * 4 * H, steps * H
    assert forward_and_backward(layer_norm=True) == (
        plain + 6 * normed + 7 * cells,
        column * (IN + 2 * H) + 10 * normed + 11 * cells,
    )
    assert forward_and_backward(recompute=2) == (plain, column * (IN + 2 * H) + plain)
    assert forward_and_backward(recompute=T) == (plain, column * (IN + 2 * H))
    assert forward_and_backward("GRU", reset_after=False) == forward_and_backward("GRU")


def test_frozen_weights_need_no_gradient():
    layer = rnnkit.GRU(IN, H, num_layers=2)
    column = 2 * B * T * 3 * H
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name == "weight_hh_l1")
    first, second = count(layer, sequence_call(layer))
    assert first.backward == 0
    assert second.backward == 2 * column * H
    layer.requires_grad_(False)
    assert [cost.backward for cost in count(layer, sequence_call(layer))] == [0, 0]
    through = count(layer, sequence_call(layer, input_gradient=True))
    assert [cost.backward for cost in through] == [column * (H + IN), column * 2 * H]


def test_a_parametrised_weight_still_trains():
    layer = torch.nn.utils.parametrizations.weight_norm(rnnkit.LSTM(IN, H), "weight_hh_l0")
    (cost,) = count(layer, sequence_call(layer))
    assert cost.backward == 2 * B * T * 4 * H * (IN + 2 * H)


def test_packed_and_unbatched_shapes():
    layer = rnnkit.GRU(IN, H)
    (cost,) = count(layer, Call((T, IN), (T, H)))
    assert cost.forward == 2 * T * 3 * H * (IN + H)


KNOWN = [
    (torch.nn.Linear(7, 5), torch.randn(2, 3, 7)),
    (torch.nn.Conv1d(4, 6, 3, stride=2, padding=1), torch.randn(2, 4, 9)),
    (torch.nn.Conv2d(3, 4, (2, 3)), torch.randn(2, 3, 5, 6)),
    (torch.nn.LSTMCell(IN, H), torch.randn(B, IN)),
    (rnnkit.LSTMCell(IN, H), torch.randn(B, IN)),
    (torch.nn.GRUCell(IN, H), torch.randn(B, IN)),
    (rnnkit.SimpleRNNCell(IN, H, nonlinearity="sigmoid"), torch.randn(B, IN)),
    (torch.nn.RNN(IN, H), torch.randn(T, B, IN)),
    (torch.nn.GRU(IN, H, num_layers=2, bidirectional=True), torch.randn(T, B, IN)),
    (torch.nn.LSTM(IN, H, proj_size=5), torch.randn(T, B, IN)),
    (rnnkit.LSTM(IN, H, num_layers=2, backend="reference"), torch.randn(T, B, IN)),
]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(("layer", "x"), KNOWN, ids=lambda one: type(one).__name__)
def test_products_as_torch_counts_them(layer, x):
    def first(result):
        return result if isinstance(result, torch.Tensor) else first(result[0])

    for gradient in (False, True):
        x = x.clone().requires_grad_(gradient)
        layer.zero_grad()
        with FlopCounterMode(display=False) as forward:
            output = first(layer(x))
        with FlopCounterMode(display=False) as backward:
            output.sum().backward()
        cost = sum(count(layer, Call(tuple(x.shape), tuple(output.shape), None, gradient)), Cost(0, 0, 0))
        assert cost.forward == forward.get_total_flops()
        steps = T if x.dim() == 3 and isinstance(layer, torch.nn.RNNBase) else 1
        if isinstance(layer, torch.nn.RNNBase | torch.nn.RNNCellBase):
            # autograd leaves out dh of the state before the first step, which needs no gradient
            short = cost.backward - backward.get_total_flops()
            assert 0 < short <= cost.forward / steps
        else:
            assert cost.backward == backward.get_total_flops()


def test_groups_of_a_convolution_by_hand():
    # torch's counter takes the backward pass of a grouped convolution for that of a whole one
    (cost,) = count(torch.nn.Conv1d(4, 6, 3, groups=2), Call((2, 4, 9), (2, 6, 7)))
    assert (cost.forward, cost.backward) == (2 * 2 * 6 * 7 * 3 * 2, 2 * 2 * 6 * 7 * 3 * 2)


def test_embedding_and_normalisations():
    (lookup,) = count(torch.nn.Embedding(9, 5), Call((2, 3), (2, 3, 5)))
    assert (lookup.forward, lookup.backward, lookup.activations) == (0, 30, 30 * ELEMENT)
    assert "look-up" in lookup.note
    (norm,) = count(torch.nn.LayerNorm(5), Call((2, 3, 5), (2, 3, 5)))
    assert (norm.forward, norm.backward, norm.activations) == (7 * 30, 11 * 30, (30 + 2 * 6) * ELEMENT)
    (bare,) = count(torch.nn.BatchNorm1d(5, affine=False), Call((2, 5, 3), (2, 5, 3), None, True))
    assert (bare.forward, bare.backward, bare.activations) == (5 * 30, 7 * 30, (30 + 2 * 5) * ELEMENT)


def test_what_is_not_known_is_none_and_not_zero():
    class Doubled(torch.nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    call = Call((2, 3), (2, 3))
    assert count(Doubled(3, 3), call) is None
    assert count(torch.nn.ReLU(), call) is None
    replaced = torch.nn.Linear(3, 3)
    replaced.forward = lambda x: x
    assert rule_of(replaced) is None
    assert count(torch.nn.Linear(3, 3), call)[0].forward == 36


# bytes


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layer_norm": True},
        {"zoneout": 0.1},
        {"recurrent_dropout": 0.1},
        {"weight_dropout": 0.1},
        {"layer_norm": True, "zoneout": 0.1, "bias": False},
        {"num_layers": 2, "dropout": 0.5},
        {"learn_initial_state": True},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_bytes_are_those_that_autograd_saves(kind, options):
    layer = getattr(rnnkit, kind)(IN, H, **options)
    costs = count(layer, sequence_call(layer))
    assert sum(cost.activations for cost in costs) == ELEMENT * numbers_saved(layer, torch.randn(T, B, IN))


@pytest.mark.parametrize(
    "options",
    [
        {"proj_size": 5},
        {"peepholes": True},
        {"coupled_gates": True},
        {"coupled_gates": True, "weight_dropout": 0.2, "bias": False},
        {"zoneout": (0.0, 0.1)},
    ],
)
def test_bytes_of_an_lstm_with_options_of_its_own(options):
    layer = rnnkit.LSTM(IN, H, **options)
    (cost,) = count(layer, sequence_call(layer))
    assert cost.activations == ELEMENT * numbers_saved(layer, torch.randn(T, B, IN))


def test_bytes_of_two_directions_hold_the_joined_output():
    layer = rnnkit.GRU(IN, H, num_layers=2, bidirectional=True)
    costs = count(layer, sequence_call(layer))
    assert [cost.activations for cost in costs] == [ELEMENT * B * T * (2 * 5 * H + 2 * H)] * 2
    # autograd has no use for the last join, but what follows has
    unjoined = sum(cost.activations for cost in costs) - ELEMENT * B * T * 2 * H
    assert unjoined == ELEMENT * numbers_saved(layer, torch.randn(T, B, IN))


def test_bytes_of_recomputation_by_hand():
    layer = rnnkit.LSTM(IN, H, recompute=2)
    (cost,) = count(layer, sequence_call(layer))
    assert cost.activations == ELEMENT * (B * T * H + 3 * B * 2 * H + B * 2 * 6 * H)
    assert count(rnnkit.LSTM(IN, H, recompute=T), sequence_call(layer))[0].activations == ELEMENT * B * T * 6 * H


@pytest.mark.parametrize(("kind", "width"), [("RNN", 1), ("GRU", 7), ("LSTM", 16)])
def test_bytes_of_torchs_own_layers_are_near(kind, width):
    batch, time, inputs, hidden = 16, 20, 8, 64
    layer = getattr(torch.nn, kind)(inputs, hidden, batch_first=True)
    (cost,) = count(layer, Call((batch, time, inputs), (batch, time, hidden)))
    assert cost.activations == ELEMENT * batch * time * (width * hidden + inputs)
    assert cost.activations == pytest.approx(ELEMENT * numbers_saved(layer, torch.randn(batch, time, inputs)), rel=0.1)


def test_double_precision_takes_twice_the_bytes():
    costs = [count(rnnkit.LSTM(IN, H, dtype=dtype), sequence_call(rnnkit.LSTM(IN, H)))[0].activations
             for dtype in (torch.float32, torch.float64)]  # fmt: skip
    assert costs[1] == 2 * costs[0]


def test_the_reference_is_said_to_be_unknown():
    layer = rnnkit.LSTM(IN, H, backend="reference")
    (cost,) = count(layer, sequence_call(layer))
    assert cost.activations is None
    assert "reference" in cost.note
    assert (cost + cost).activations is None
