"""What the recurrent layers have beyond PyTorch's: every option under the contract, natively and by the reference."""

import copy
import itertools

import contract
import fresh
import pytest
import torch
from layer_inputs import gradients
from tolerances import assert_close

import rnnkit
from rnnkit.errors import BackendError, ConfigError, ShapeError
from rnnkit.ops.state import map_state, tensors

LAYERS = [rnnkit.SimpleRNN, rnnkit.LSTM, rnnkit.GRU]
SHARED = [
    {"layer_norm": True},
    {"zoneout": 0.2},
    {"learn_initial_state": True},
    {"recompute": 2},
    {"layer_norm": True, "bidirectional": True, "num_layers": 2, "learn_initial_state": True, "recompute": 3},
]
OWN = {
    rnnkit.SimpleRNN: [],
    rnnkit.LSTM: [
        {"peepholes": True},
        {"coupled_gates": True},
        {"coupled_gates": True, "peepholes": True, "layer_norm": True, "zoneout": (0.1, 0.3), "num_layers": 2},
    ],
    rnnkit.GRU: [{"reset_after": False}, {"reset_after": False, "zoneout": 0.3, "num_layers": 2, "bias": False}],
}
CASES = [(layer, options) for layer in LAYERS for options in SHARED + OWN[layer]]
DRAWN = [{"recurrent_dropout": 0.3}, {"weight_dropout": 0.3}, {"zoneout": 0.3}]


def make_evaluating(layer, dtype, **fixed):
    """Options that draw are in their expectation, so that the contract sees a function."""

    def make(inputs, hidden, **options):
        torch.manual_seed(3)
        made = layer(inputs, hidden, dtype=dtype, **fixed, **options).eval()
        with torch.no_grad():
            for parameter in made.parameters():  # gains off 1, initial states off 0
                parameter.add_(torch.rand_like(parameter) * 0.2 - 0.1)
        return made

    return make


@pytest.mark.parametrize(("dtype", "layer", "options", "check"), contract.alternating(*CASES))
def test_contract(dtype, layer, options, check):
    check(make_evaluating(layer, dtype, backend="native"), **options)


@pytest.mark.parametrize("options", DRAWN, ids=str)
@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_drawn_while_training(layer, options):
    """The same seed gives native and reference the same draws; evaluation draws nothing; recomputing draws once."""
    module = layer(3, 6, num_layers=2, dtype=torch.float64, backend="native", **options)
    others = [copy.deepcopy(module) for _ in range(2)]
    others[0].backend = "reference"
    others[1].options = rnnkit.layers._options.Options(**options, recompute=2)
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    results = []
    for one in (module, *others):
        torch.manual_seed(11)
        outcome = one(x, lengths=[7, 2, 5, 1])
        results.append([*tensors(outcome), *gradients(outcome, list(one.parameters()))])
    for other in results[1:]:
        assert_close(other, results[0])
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])


def test_variational_dropout_hides_the_same_units_at_all_steps():
    """With an identity recurrence and no input a hidden unit shows at every step which mask it met."""
    layer = rnnkit.SimpleRNN(1, 64, nonlinearity="relu", bias=False, recurrent_dropout=0.5, init="identity")
    output, _ = layer(torch.zeros(4, 3, 1), torch.ones(1, 3, 64))
    kept = output[0] > 0
    assert 0.2 < kept.float().mean() < 0.8
    for t, step in enumerate(output):
        assert torch.equal(step, kept * 2.0 ** (t + 1))


def test_zoneout_keeps_about_its_share_and_its_expectation_in_evaluation():
    layer = rnnkit.GRU(4, 200, zoneout=0.25)
    x, state = torch.randn(1, 8, 4), torch.randn(1, 8, 200)
    kept = (layer(x, state)[0] == state).float().mean()
    assert 0.2 < kept < 0.3
    plain = rnnkit.GRU(4, 200)
    plain.load_state_dict(layer.state_dict())
    expected = 0.25 * state + 0.75 * plain(x, state)[0]
    assert_close(layer.eval()(x, state)[0], expected)


def test_weight_dropout_leaves_the_weights_alone():
    layer = rnnkit.LSTM(3, 5, weight_dropout=0.5)
    before = copy.deepcopy(layer.state_dict())
    output, _ = layer(torch.randn(4, 2, 3))
    output.sum().backward()
    assert all(torch.equal(before[name], weight) for name, weight in layer.state_dict().items())
    dropped = (layer.weight_hh_l0.grad == 0).float().mean()
    assert 0.3 < dropped < 0.7


@pytest.mark.parametrize("layer", LAYERS)
def test_resets_clear_to_the_initial_state_whatever_was_carried(layer):
    module = layer(3, 5, learn_initial_state=True, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.startswith("initial"):
                parameter.uniform_(-1, 1)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    resets = torch.zeros(2, 6, dtype=torch.bool)
    resets[:, 4] = True
    carried = map_state(lambda leaf: torch.ones_like(leaf), module.initial_state(2))
    output, _ = module(x, carried, resets=resets)
    assert_close(output[:4], module(x[:4], carried)[0])
    assert_close(output[4:], module(x[4:])[0])
    gradients = torch.autograd.grad(
        output[4:].sum(), [p for n, p in module.named_parameters() if n.startswith("initial")]
    )
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_learned_initial_states_serve_through_every_backend():
    layer = rnnkit.GRU(3, 5, learn_initial_state=True, num_layers=2)
    torch.nn.init.normal_(layer.initial_h)
    x = torch.randn(4, 2, 3)
    expected = layer(x)
    assert_close(layer(x, layer.initial_state(2)), expected)
    for backend in ("torch", "reference"):
        layer.backend = backend
        assert_close(layer(x), expected)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, [4, 4])
        assert_close(layer(packed)[1], expected[1])


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2}, {"recompute": 2}], ids=str
)
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_cell_states(options, backend):
    """Every c equals the c of as many steps, also where rows end, and is differentiable."""
    layer = rnnkit.LSTM(3, 5, dtype=torch.float64, backend=backend, **options)
    x = torch.randn(6, 3, 3, dtype=torch.float64)
    lengths = torch.tensor([6, 2, 4])
    output, cells, (h, c) = layer.cell_states(x, lengths=lengths)
    assert_close((output, (h, c)), layer(x, lengths=lengths))
    assert not cells[:, 2:, 1].any()
    for row, length in enumerate(lengths):
        assert_close(cells[:, length - 1, row, :5], c[:: layer.num_directions, row])
    alone = layer(x[:3])[1][1]
    if not layer.bidirectional:
        assert_close(layer.cell_states(x)[1][:, 2], alone)
    other = copy.deepcopy(layer)
    other.backend = "reference"
    found = []
    for one in (layer, other):
        cells = one.cell_states(x, lengths=lengths)[1]
        found.append(torch.autograd.grad(cells.square().sum(), [p for n, p in one.named_parameters() if "hr" not in n]))
    assert_close(found[0], found[1])


def test_cell_states_need_more_than_pytorch():
    with pytest.raises(BackendError, match="do not return every cell state"):
        rnnkit.LSTM(3, 5, backend="torch").cell_states(torch.zeros(2, 1, 3))


def test_coupled_gates_have_weights_of_three():
    layer = rnnkit.LSTM(3, 5, coupled_gates=True)
    assert layer.weight_ih_l0.shape == (15, 3)
    assert layer.bias_hh_l0.shape == (15,)
    layer = rnnkit.LSTM(1, 1, coupled_gates=True, bias=False)
    with torch.no_grad():
        layer.weight_ih_l0[1] = 0.0  # g = 0: what is left of c is f = 1 - i
        layer.weight_hh_l0.zero_()
    x = torch.tensor([[[0.7]]])
    _, (_, c) = layer(x, (torch.zeros(1, 1, 1), torch.ones(1, 1, 1)))
    assert_close(c.item() + torch.sigmoid(0.7 * layer.weight_ih_l0[0, 0]), torch.tensor(1.0))


def test_a_hundred_thousand_steps_train_in_little_memory():
    """The peak of a fresh process, as the system counts it, with recomputation and then without."""
    program = """
import re, sys, resource, torch, rnnkit

def peak():  # of this program alone: getrusage counts what the parent held when it forked
    if sys.platform == "linux":
        return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

x = torch.randn(100_000, 1, 1)
rnnkit.LSTM(1, 32, recompute=10)(x[:30])[0].sum().backward()
before = peak()
for recompute in (1000, None):  # a peak only rises
    rnnkit.LSTM(1, 32, recompute=recompute)(x)[0][-1].sum().backward()
    print(peak() - before)
"""
    run = fresh.run(program)
    assert run.returncode == 0, run.stderr
    recomputed, stored = map(float, run.stdout.split())
    # Saved rows of all steps are 64 MB; the output and its gradient, which both keep, 26.
    assert recomputed < 0.7 * stored


@pytest.mark.parametrize("recompute", [None, 2])
def test_weights_changed_before_the_backward_pass_are_noticed(recompute):
    layer = rnnkit.LSTM(3, 5, recompute=recompute)
    output, _ = layer(torch.randn(6, 2, 3))
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("layer", LAYERS)
def test_options_leave_the_same_seed_the_same_weights(layer):
    torch.manual_seed(4)
    plain = layer(3, 5).state_dict()
    torch.manual_seed(4)
    other = layer(3, 5, recompute=3, layer_norm=True, learn_initial_state=True).state_dict()
    assert all(torch.equal(other[name], weight) for name, weight in plain.items())


def test_a_pair_of_zoneouts_survives_a_file(tmp_path):
    model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 4, zoneout=(0.1, 0.2), layer_norm=True), 2)
    rnnkit.Learner(model, loss="cross_entropy").save(tmp_path / "model")
    assert rnnkit.load(tmp_path / "model").body.options == model.body.options


@pytest.mark.parametrize("backend", ["native", "reference"])
@pytest.mark.parametrize("layer", LAYERS)
def test_steps_and_streams_take_halved_inputs_under_autocast(layer, backend):
    module = layer(3, 5, backend=backend)
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        state, stream = None, module.stream(2)
        for x_t in x.bfloat16():
            output, state = module.step(x_t, state)
            streamed = stream(x_t)
        whole, _ = module(x.bfloat16())
        packed, _ = module(torch.nn.utils.rnn.pack_padded_sequence(x.bfloat16(), [4, 4]))
    for one in (output, streamed, whole, packed.data):
        assert one.dtype == torch.float32
    assert_close(output, whole[-1])
    assert_close(streamed, whole[-1])


def test_truncated_backpropagation_carries_the_state():
    layer = rnnkit.LSTM(3, 5, dtype=torch.float64)
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    whole, _ = layer(x)
    state, parts = None, []
    for part in x.split(3):
        output, state = layer(part, state)
        parts.append(output)
        state = rnnkit.ops.state.detach(state)
    assert_close(torch.cat(parts), whole)
    with pytest.raises(ShapeError, match="for a batch of 1"):
        layer(x[:, :1], state)


@pytest.mark.parametrize("layer", LAYERS)
def test_state_dicts_configs_and_copies(layer):
    module = layer(3, 4, layer_norm=True, learn_initial_state=True, zoneout=0.1)
    arguments = dict(module.config()["arguments"])
    again = layer(**arguments)
    again.load_state_dict(module.state_dict())
    x = torch.randn(5, 2, 3)
    assert_close(again.eval()(x), module.eval()(x))
    assert "layer_norm=True" in repr(module)
    assert "peepholes" not in repr(module)


def test_wrong_options_say_what_to_type():
    cases = [
        ({"recurrent_dropout": 1.5}, "recurrent_dropout=1.5; expected a probability"),
        ({"zoneout": "much"}, "zoneout='much'; expected a probability"),
        ({"weight_dropout": True}, "weight_dropout=True; expected a probability"),
        ({"recompute": 0}, "recompute=0; expected the number of steps"),
        ({"layer_norm": "no"}, "layer_norm='no'; expected True or False"),
        ({"zoneout": (0.1,)}, "expected one probability"),
    ]
    for (options, message), layer in itertools.product(cases, LAYERS):
        with pytest.raises(ConfigError, match=message):
            layer(3, 4, **options)
    with pytest.raises(ConfigError, match="layer_norm=True needs reset_after=True"):
        rnnkit.GRU(3, 4, layer_norm=True, reset_after=False)
    with pytest.raises(ConfigError, match="expected one probability, or a pair"):
        rnnkit.LSTM(3, 4, zoneout=(0.1, 0.2, 0.3))
    with pytest.raises(ConfigError, match="only the LSTM has a second state"):
        rnnkit.GRU(3, 4, zoneout=(0.1, 0.2))
