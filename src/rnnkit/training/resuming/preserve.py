"""What a look at a model or a learner must leave as it found it: generators, weights, gradients, the optimizer."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ...types import Batches


@contextmanager
def preserve_session(session: Any, given: Any, data: Any) -> Iterator[None]:
    """Put weights, buffers, gradients, optimizer, float16's scale, generators and the session's fields back.

    A loss that is a module is preserved, too. Modes are not: what trains a model puts them back itself.

    Args:
        session: a `training.session.Session`.
        given: the learner's optimizer setting, which may be an optimizer with a state.
        data: what is read; a DataLoader's generators are put back.
    """
    fields, execution, loss = dict(vars(session)), session.execution, session.objective.loss.function
    scaler = getattr(getattr(execution.fabric, "_precision", None), "scaler", None)
    scale = None if scaler is None else scaler.state_dict()
    optimizer: Any = session.optimizer if session.optimizer is not None else given
    modules = (session.model, loss) if isinstance(loss, torch.nn.Module) else (session.model,)
    bare = getattr(optimizer, "optimizer", optimizer)  # in Fabric's wrapper
    with generators(execution.device, data), tensors(*modules), _optimizer(bare):
        try:
            yield
        finally:
            if scaler is not None:
                scaler.load_state_dict(scale)
            vars(session).update(fields)


@contextmanager
def _optimizer(given: Any) -> Iterator[None]:
    """Put an optimizer's state, the same tensors, and its groups' settings back; no-op unless it is an Optimizer."""
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
    """Put the states of torch's global generators, Python's, numpy's and a DataLoader's own back to what they were."""
    places = (data, data.sampler, getattr(data.batch_sampler, "sampler", None)) if isinstance(data, DataLoader) else ()
    source = deepcopy(data.state_dict()) if isinstance(data, Batches) else None
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
        if source is not None:
            data.load_state_dict(source)
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        if metal is not None:
            torch.mps.set_rng_state(metal)


@contextmanager
def tensors(*modules: torch.nn.Module) -> Iterator[None]:
    """Put the parameters and buffers of modules back, the same tensors with the same bits, and their gradients.

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
