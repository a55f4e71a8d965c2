import contract
import pytest
import torch

import rnnkit
from rnnkit.errors import BackendError, ConfigError

OPTIONS = [
    {"nonlinearity": "tanh"},
    {"nonlinearity": "relu", "num_layers": 2},
    {"nonlinearity": "sigmoid", "bias": False},
    {"nonlinearity": "relu", "bidirectional": True},
    {"nonlinearity": "tanh", "bidirectional": True, "num_layers": 2},
]


def maker(dtype=torch.float32, **fixed):
    def make(inputs, hidden, **options):
        torch.manual_seed(3)
        return rnnkit.SimpleRNN(inputs, hidden, dtype=dtype, **fixed, **options)

    return make


@pytest.mark.parametrize(("dtype", "options", "check"), contract.alternating(*((options,) for options in OPTIONS)))
def test_contract(dtype, options, check):
    check(maker(dtype, backend="native"), **options)


WITHOUT_CORE = [
    one
    for one in contract.cases((torch.float64, OPTIONS[0]), (torch.float64, OPTIONS[-1]))
    if one.values[-1] not in contract.REFERENCE_CHECKS + contract.RESET_CHECKS  # which compare with the reference
]


@pytest.mark.parametrize(("dtype", "options", "check"), WITHOUT_CORE)
def test_contract_without_the_core(dtype, options, check):
    check(maker(dtype, backend="reference"), **options)


@pytest.mark.parametrize("options", [option for option in OPTIONS if option["nonlinearity"] != "sigmoid"], ids=str)
@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_equals_pytorch(backend, options):
    contract.check_torch(maker(backend=backend), torch.nn.RNN, **options)


def test_bad_input():
    contract.check_bad_input(maker())


def test_same_seed_gives_pytorchs_weights():
    torch.manual_seed(7)
    ours = rnnkit.SimpleRNN(4, 5, 2, "relu", True, True, 0.0, True)
    torch.manual_seed(7)
    theirs = torch.nn.RNN(4, 5, 2, "relu", True, True, 0.0, True)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight)


def test_identity_init_keeps_the_state():
    layer = rnnkit.SimpleRNN(3, 8, nonlinearity="relu", init="identity")
    state = torch.rand(1, 2, 8)
    _, last = layer(torch.zeros(50, 2, 3), state)
    assert torch.equal(last, state)


def test_keras_init():
    torch.manual_seed(0)
    layer = rnnkit.SimpleRNN(40, 64, init="keras")
    recurrent = layer.weight_hh_l0.detach()
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(64), atol=1e-5, rtol=0)
    bound = (6 / (40 + 64)) ** 0.5
    assert 0.95 * bound < layer.weight_ih_l0.abs().max() <= bound
    assert not layer.bias_ih_l0.any()


def test_unknown_options_name_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'relu'"):
        rnnkit.SimpleRNN(1, 1, nonlinearity="rellu")
    with pytest.raises(ConfigError, match="did you mean 'identity'"):
        rnnkit.SimpleRNN(1, 1, init="identiti")
    with pytest.raises(ConfigError, match="did you mean 'native'"):
        rnnkit.SimpleRNN(1, 1, backend="nativ")


def test_a_named_backend_that_cannot_serve_is_an_error():
    x = torch.zeros(2, 3, 4)
    with pytest.raises(BackendError, match="has no sigmoid"):
        rnnkit.SimpleRNN(4, 5, nonlinearity="sigmoid", backend="torch")(x)
    with pytest.raises(BackendError, match="no resets"):
        rnnkit.SimpleRNN(4, 5, backend="torch")(x, resets=torch.zeros(3, 2, dtype=torch.bool))
    with pytest.raises(BackendError, match="float32 and float64"):
        rnnkit.SimpleRNN(4, 5, backend="native", dtype=torch.bfloat16)(x.bfloat16())


def test_other_dtypes_go_through_pytorch():
    layer = rnnkit.SimpleRNN(4, 5, dtype=torch.bfloat16)
    assert layer.backend_for("cpu", torch.bfloat16) == "torch"
    assert layer(torch.zeros(2, 3, 4, dtype=torch.bfloat16))[0].dtype == torch.bfloat16
    assert layer.backend_for("cuda") == "torch"


def test_dropout_acts_between_layers_while_training_only():
    layer = rnnkit.SimpleRNN(4, 16, num_layers=2, dropout=0.5)
    x = torch.randn(3, 2, 4)
    torch.manual_seed(0)
    first = layer(x)[0]
    assert not torch.equal(first, layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
