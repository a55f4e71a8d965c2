"""Inputs of recurrent layers, and the comparison of two layers on them: outputs, states and gradients.

All data is made here: random numbers from a fixed seed.
"""

from __future__ import annotations

import torch
from tolerances import assert_close

from rnnkit.ops.state import map_state, tensors


def sequence(layer, batch, time, seed=0):
    generator = torch.Generator().manual_seed(seed)
    dtype = layer.weight_ih_l0.dtype
    return torch.randn(time, batch, layer.input_size, generator=generator, dtype=dtype)


def random_state(layer, batch):
    generator = torch.Generator().manual_seed(1)
    zeros = layer.initial_state(batch)
    return map_state(lambda leaf: torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) * 0.5, zeros)


def lengths_for(batch, time):
    """From 1 to T in no order, including T."""
    return torch.tensor([1 + (time - 1 - 3 * row) % time for row in range(batch)])


def resets_for(batch, time):
    """Every third step, another one in each row."""
    return (torch.arange(batch)[:, None] + torch.arange(time)[None, :]) % 3 == 0


def gradients(outcome, inputs):
    """Gradients of a weighted sum of everything that came out, so that no entry can hide."""
    generator = torch.Generator().manual_seed(2)
    leaves = tensors(outcome)
    weights = [torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) for leaf in leaves]
    return torch.autograd.grad(
        leaves, inputs, weights, materialize_grads=True
    )  # a given state leaves a learned one unused


def check_same(layer, other, *, batch, time, state=False, **ragged):
    """Outputs, final state and all gradients of two layers with the same weights."""
    found = []
    for one in (layer, other):
        x = sequence(one, batch, time).requires_grad_()
        hx = None
        inputs = [x, *one.parameters()]
        if state:
            hx = map_state(lambda leaf: leaf.requires_grad_(), random_state(layer, batch))
            inputs += tensors(hx)
        outcome = one(x, hx, **ragged)
        found.append((*tensors(outcome), *gradients(outcome, inputs)))
    for actual, expected in zip(*found, strict=True):
        assert_close(actual, expected)
