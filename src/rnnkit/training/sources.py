"""From the data that users pass to the batches and the forward pass of a run; predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, DataError
from ..layers.modes import mode
from ..ops.padding import pad_steps
from ..types import Batches
from .batching.arrays import check_inputs, in_memory, select, to_batch, to_stored_inputs, to_weights
from .batching.batches import ArrayBatches
from .batching.iterables import IterableBatches, stream
from .batching.order import Order, ReplayData
from .batching.scale_hints import inputs_in, warn_of_scale
from .execution import Execution
from .objectives.cross_entropy import is_balanced, set_balanced_weights
from .objectives.forward import Forward, check_carries
from .objectives.objective import Objective
from .objectives.stateful import StatefulForward


def make_batches(
    execution: Execution,
    objective: Objective,
    data: Any,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    passes: int = 1,
    even: bool = False,
    bptt: int | None = None,
    stateful: bool = False,
    weights: Any = None,
    hints: bool = False,
) -> tuple[Forward, ArrayBatches | IterableBatches]:
    """Return the forward pass and the batches of `data`. Data in memory is checked as a whole.

    Args:
        execution, objective: of the run.
        data: see the Learner.
        batch_size: rows of a batch, where the data does not come in batches.
        generator: of the order of the rows, anew in each epoch; None: as they are.
        passes: how often the data will be read.
        even: whether all processes get equally many batches.
        bptt, stateful: see `Learner.fit`.
        weights: one number a row, or one a step.
        hints: whether to warn of inputs whose scale keeps a network from learning.
    """

    def order(count: int, *, even: bool = even) -> Order:
        return Order(torch.arange(count), generator, rank=execution.rank, world=execution.world, even=even)

    if execution.world > 1 and hasattr(data, "divided"):
        data = data.divided(execution.rank, execution.world, widen=even)
    forward = make_forward(execution, objective, bptt, stateful)
    replayed = data if isinstance(data, ReplayData) else None
    if hints:
        warn_of_scale(inputs_in(data), execution.dtype)
    batch = in_memory(data if replayed is None else replayed.data, execution.dtype)
    if batch is None:
        if weights is not None:
            raise ConfigError("sample_weight is for data in memory, (X, y); a batch of an iterable has its own weights")
        source = stream(data, order, batch_size=batch_size, passes=passes)
        return forward, IterableBatches(
            source,
            forward.prepare,
            dtype=execution.dtype,
            device=execution.device,
            stateful=stateful,
            class_names=_class_names(execution, objective),
            hints=hints,
        )
    if stateful:
        raise ConfigError(
            "stateful=True goes on from batch to batch, so it takes an iterable of batches, chunk by chunk; arrays "
            "(X, y) of whole sequences are cut by bptt=100"
        )
    if weights is not None:
        batch = replace(batch, weights=to_weights(weights, execution.dtype))
    batch = forward.prepare(batch)
    rows = order(len(batch), even=False)
    if replayed is not None:
        rows = replayed.order(rows)
    follow = forward.objective.targets_follow
    return forward, ArrayBatches(batch, rows, batch_size, device=execution.device, follow=follow, equally_many=even)


def _class_names(execution: Execution, objective: Objective) -> tuple[str, ...] | None:
    """The names of the model's classes, where the loss compares labels."""
    names = getattr(execution.model, "class_names", None)
    return None if names is None or objective.loss.probabilities != "softmax" else tuple(names)


def make_forward(
    execution: Execution, objective: Objective, bptt: int | None = None, stateful: bool = False
) -> Forward:
    """Return the forward pass of a run: each batch by itself, or with the state carried on."""
    if bptt is None and not stateful:
        return Forward(execution, objective)
    check_carries(execution.model, "stateful=True" if stateful else f"bptt={bptt}")
    return StatefulForward(execution, objective, steps=bptt, stateful=stateful)


def balance_classes(forward: Forward, batches: Batches) -> None:
    """Set "balanced" class weights from the targets of the rows to train on, where the loss asks for them.

    Raises:
        ConfigError: the labels cannot be counted, since the data comes in batches.
    """
    loss = forward.objective.loss
    if not is_balanced(loss):
        return
    if not isinstance(batches, ArrayBatches):
        raise ConfigError(
            "class_weights='balanced' counts the labels of data in memory, (X, y); for an iterable of batches pass "
            "the weights, class_weights=[1.0, 3.5]"
        )
    function: Any = loss.function
    set_balanced_weights(loss, batches.class_counts(function.classes, forward.objective.valid))


def predict(execution: Execution, objective: Objective, x: Any, batch_size: int) -> Tensor:
    """Return the outputs of a model for inputs in memory; see `Learner.predict`."""
    if isinstance(x, tuple):
        raise DataError(f"a tuple of {len(x)} arrived; predict takes the inputs alone, without targets")
    batch = to_batch(to_stored_inputs(x, execution.dtype), None)
    check_inputs(batch.inputs, batch.input_lengths)
    forward = make_forward(execution, objective)
    longest = None if batch.input_lengths is None else batch.inputs.shape[1]
    with mode(execution.module, training=False), torch.inference_mode():
        outputs = [
            forward.predictions(select(batch, rows).to(execution.device), longest).cpu()
            for rows in torch.arange(len(batch)).split(batch_size)
        ]
    if objective.targets_follow == "targets":  # each batch has as many steps as its longest row
        longest = max(output.shape[1] for output in outputs)
        outputs = [pad_steps(output, longest) for output in outputs]
    return torch.cat(outputs)  # outside, so that autograd can use it
