"""PyTorch's other ways to differentiate: batched gradients, torch.func, forward mode, second derivatives.

The native core has none of them but the first derivative; the layers go through their reference by themselves.
"""

import copy

import pytest
import torch
from tolerances import assert_close
from torch.autograd import forward_ad, functional
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import rnnkit
from rnnkit.errors import BackendError

LAYERS = [rnnkit.SimpleRNN, rnnkit.GRU, rnnkit.LSTM]
pytestmark = pytest.mark.filterwarnings("ignore:.*slow reference", "ignore:.torch.jit")


def outputs(layer, x):
    return layer(x)[0].sum(1)


def scalar(layer, x):
    return outputs(layer, x).square().sum()


def many_gradients(layer, x):
    leaf = x.clone().requires_grad_()
    result = outputs(layer, leaf)
    many = torch.arange(2 * result.numel(), dtype=x.dtype).view(2, *result.shape).sin()
    return torch.autograd.grad(result, [leaf, *layer.parameters()], many, is_grads_batched=True)


def mapped_gradients(layer, x):
    leaf = x.clone().requires_grad_()
    result = outputs(layer, leaf)
    many = torch.arange(2 * result.numel(), dtype=x.dtype).view(2, *result.shape).sin()
    return vmap(lambda one: torch.autograd.grad(result, [leaf, *layer.parameters()], one))(many)


def sample_gradients(layer, x):
    weights = dict(layer.named_parameters())

    def loss(weights, row):
        return functional_call(layer, weights, (row[None],))[0].square().sum()

    return list(vmap(grad(loss), (None, 0))(weights, x).values())


def dual_outputs(layer, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(outputs(layer, forward_ad.make_dual(x, torch.ones_like(x)))).tangent


def dual_weights(layer, x):
    with forward_ad.dual_level():
        weights = {name: forward_ad.make_dual(one.detach(), one.detach()) for name, one in layer.named_parameters()}
        return forward_ad.unpack_dual(functional_call(layer, weights, (x,))[0]).tangent


def gradient_penalty(layer, x):
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(scalar(layer, leaf), leaf, create_graph=True)
    return torch.autograd.grad(first.square().sum(), [leaf, layer.weight_hh_l0])


def ensemble(layer, x):
    stacked = {name: torch.stack([one.detach(), 2 * one.detach()]) for name, one in layer.named_parameters()}
    return vmap(lambda weights: functional_call(layer, weights, (x,))[0])(stacked)


WAYS = {
    "jacobian": lambda layer, x: functional.jacobian(lambda x: outputs(layer, x), x),
    "vectorised jacobian": lambda layer, x: functional.jacobian(lambda x: outputs(layer, x), x, vectorize=True),
    "forward-mode jacobian": lambda layer, x: functional.jacobian(
        lambda x: outputs(layer, x), x, vectorize=True, strategy="forward-mode"
    ),
    "vectorised hessian": lambda layer, x: functional.hessian(lambda x: scalar(layer, x), x, vectorize=True),
    "is_grads_batched": many_gradients,
    "vmap of autograd.grad": mapped_gradients,
    "vmap": lambda layer, x: vmap(lambda row: outputs(layer, row[None]))(x),
    "per-sample gradients": sample_gradients,
    "ensemble": ensemble,
    "func.grad": lambda layer, x: grad(lambda x: scalar(layer, x))(x),
    "jvp": lambda layer, x: jvp(lambda x: outputs(layer, x), (x,), (torch.ones_like(x),)),
    "vjp": lambda layer, x: vjp(lambda x: outputs(layer, x), x)[1](torch.ones(2, 3, dtype=x.dtype)),
    "jacrev": lambda layer, x: jacrev(lambda x: outputs(layer, x))(x),
    "jacfwd": lambda layer, x: jacfwd(lambda x: outputs(layer, x))(x),
    "func.hessian": lambda layer, x: hessian(lambda x: scalar(layer, x))(x),
    "dual input": dual_outputs,
    "dual weights": dual_weights,
    "gradient penalty": gradient_penalty,
}
NATIVE = {"jacobian", "vectorised jacobian", "vectorised hessian", "is_grads_batched", "vmap of autograd.grad",
          "gradient penalty"}  # fmt: skip


def made(layer, **options):
    torch.manual_seed(0)
    return layer(2, 3, batch_first=True, dtype=torch.float64, **options), torch.randn(2, 3, 2, dtype=torch.float64)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_values_are_the_references(layer, way):
    module, x = made(layer)
    reference = copy.deepcopy(module)
    reference.backend = "reference"
    assert_close(WAYS[way](module, x), WAYS[way](reference, x))


def test_the_jacobian_is_that_of_single_gradients():
    module, x = made(rnnkit.GRU)
    assert_close(WAYS["vectorised jacobian"](module, x), WAYS["jacobian"](module, x))
    assert_close(WAYS["jacfwd"](module, x), WAYS["jacobian"](module, x))


def test_per_sample_gradients_are_those_of_each_sample():
    module, x = made(rnnkit.LSTM)
    each = [torch.autograd.grad(module(row[None])[0].square().sum(), list(module.parameters())) for row in x]
    assert_close(sample_gradients(module, x), [torch.stack(rows) for rows in zip(*each, strict=True)])


def test_ragged_rows_under_vmap():
    module, x = made(rnnkit.GRU)
    lengths = torch.tensor([2, 3])
    rows = vmap(lambda row, length: module(row[None], lengths=length[None])[0][0])(x, lengths)
    assert_close(rows, module(x, lengths=lengths)[0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", LAYERS)
def test_each_remedy_that_an_error_names_works(layer, way):
    """backend="native" says which backend serves, and that one does."""
    module, x = made(layer, backend="native")
    if way in NATIVE:
        WAYS[way](module, x)
        return
    with pytest.raises(BackendError, match='use backend="auto"') as caught:
        WAYS[way](module, x)
    assert '"torch"' not in str(caught.value)
    module.backend = "auto"
    WAYS[way](module, x)


def test_the_slow_way_is_said_once():
    from rnnkit.ops.backend import _warn_once

    module, x = made(rnnkit.GRU)
    _warn_once.cache_clear()
    with pytest.warns(UserWarning, match="GRU uses its slow reference.*no torch.func transforms"):
        grad(lambda x: scalar(module, x))(x)


def test_random_masks_obey_vmap():
    module, x = made(rnnkit.GRU, recurrent_dropout=0.5)
    same = torch.stack([x[:1], x[:1]])
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(lambda x: outputs(module, x))(same)
    for randomness in ("same", "different"):
        torch.manual_seed(1)
        first, second = vmap(lambda x: outputs(module, x), randomness=randomness)(same)
        assert torch.equal(first, second) == (randomness == "same")


def test_forward_mode_over_frozen_weights():
    module, x = made(rnnkit.GRU)
    module.requires_grad_(False)
    _, tangent = jvp(lambda x: outputs(module, x), (x,), (torch.ones_like(x),))
    step = 1e-6
    expected = (outputs(module, x + step) - outputs(module, x - step)) / (2 * step)
    torch.testing.assert_close(tangent, expected, rtol=1e-6, atol=1e-8)
