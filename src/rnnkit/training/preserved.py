"""What a look at a model must leave as it found it: generators, weights, buffers, gradients."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def generators(device: torch.device) -> Iterator[None]:
    """Puts the states of torch's global generators, Python's and numpy's back to what they were."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the global one is meant)
    metal = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        if metal is not None:
            torch.mps.set_rng_state(metal)


@contextmanager
def tensors(*modules: torch.nn.Module) -> Iterator[None]:
    """Puts the parameters and buffers of modules back, the same tensors with the same bits, and their gradients.

    Inside, no parameter has a gradient yet.
    """
    parts = list(dict.fromkeys(part for module in modules for part in module.modules()))
    tables: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (table, dict(table)) for part in parts for table in (part._parameters, part._buffers)
    ]
    kept = [(one, one.detach().clone()) for _, before in tables for one in before.values() if one is not None]
    gradients = [(parameter, parameter.grad) for part in parts for parameter in part.parameters(recurse=False)]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for table, before in tables:
            table.clear()
            table.update(before)
        with torch.no_grad():
            for one, bits in kept:
                if not torch.equal(one, bits):  # an untouched tensor keeps its version, which autograd looks at
                    one.copy_(bits)
        for parameter, gradient in gradients:
            parameter.grad = gradient
