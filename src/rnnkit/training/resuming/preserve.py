"""What a look at a model or a learner must leave as it found it: generators, weights, gradients, the optimizer."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from ..learner import Learner


@contextmanager
def preserve_learner_state(one: Learner, data: Any) -> Iterator[None]:
    """Puts weights, buffers, gradients, optimizer, float16's scale, generators and the learner's fields back.

    A loss that is a module is the learner's too. Modes are not looked at: what trains a model puts them back itself.
    """
    fields, loss = dict(vars(one)), one._loss.function
    scaler = getattr(getattr(one._fabric, "_precision", None), "scaler", None)
    scale = None if scaler is None else scaler.state_dict()
    given: Any = one._optimizer if one._optimizer is not None else one.optimizer
    modules = (one.model, loss) if isinstance(loss, torch.nn.Module) else (one.model,)
    with generators(one.device, data), tensors(*modules), _optimizer(getattr(given, "optimizer", given)):  # in Fabric's
        try:
            yield
        finally:
            if scaler is not None:
                scaler.load_state_dict(scale)
            vars(one).clear()
            vars(one).update(fields)


@contextmanager
def _optimizer(given: Any) -> Iterator[None]:
    """Puts an optimizer's state, the same tensors, and its groups' settings back; no-op unless it is an Optimizer."""
    if not isinstance(given, Optimizer):
        yield
        return
    state, groups = given.state, [dict(group) for group in given.param_groups]
    given.state = defaultdict(dict, {parameter: _copied(held) for parameter, held in state.items()})
    try:
        yield
    finally:
        given.state = state
        for group, before in zip(given.param_groups, groups, strict=True):
            group.clear()
            group.update(before)


def _copied(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().clone()
    return {key: _copied(one) for key, one in state.items()} if isinstance(state, dict) else deepcopy(state)


@contextmanager
def generators(device: torch.device, data: Any = None) -> Iterator[None]:
    """Puts the states of torch's global generators, Python's, numpy's and a DataLoader's own back to what they were."""
    places = (data, data.sampler, getattr(data.batch_sampler, "sampler", None)) if isinstance(data, DataLoader) else ()
    found = [getattr(place, "generator", None) for place in places]
    own = [(one, one.get_state()) for one in found if isinstance(one, torch.Generator)]
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the global one is meant)
    metal = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        for one, state in own:
            one.set_state(state)
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
