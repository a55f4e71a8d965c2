"""How data reaches a learner's model: the batches of whatever arrives, the calls that take them, predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ...types import Sequences
from ..contexts import mode
from ..objectives.forward import Forward
from .arrays import check_inputs, select, to_inputs
from .batches import ArrayBatches, Batches, Mixed, Order, StreamBatches, in_memory, stream
from .truncated import Carrying, check_carries

if TYPE_CHECKING:
    from ..learner import Learner


def batches_of(
    learner: Learner,
    data: Any,
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    passes: int = 1,
    even: bool = False,
    bptt: int | None = None,
    stateful: bool = False,
) -> tuple[Forward, Batches]:
    """Returns how the model is run on the batches of `data`, and these, checked as far as they are in memory.

    Args:
        learner: whose model, dtype, device and processes it is for.
        data: see the Learner.
        batch_size: rows of a batch, where the data does not come in batches.
        generator: of the order of the rows, anew in each epoch; None: as they are.
        passes: how often the data will be read.
        even: whether all processes get equally many rows.
        bptt, stateful: see `Learner.fit`.
    """

    def order(count: int) -> Order:
        return Order(torch.arange(count), generator, rank=learner._rank, world=learner._processes, even=even)

    forward = forward_of(learner, bptt, stateful)
    arrays = in_memory(data, learner._dtype)
    if arrays is None:
        source = stream(data, order, batch_size=batch_size, passes=passes)
        place: Any = {"dtype": learner._dtype, "device": learner.device}
        return forward, StreamBatches(source, forward.prepare, stateful=stateful, **place)
    if stateful:
        raise ConfigError(
            "stateful=True goes on from batch to batch, so it takes an iterable of batches, chunk by chunk; arrays "
            "(X, y) of whole sequences are cut by bptt=100"
        )
    inputs, targets = arrays[0], forward.prepare(*arrays)
    rows = data.order(order(len(inputs))) if isinstance(data, Mixed) else order(len(inputs))
    return forward, ArrayBatches(inputs, targets, rows, batch_size, device=learner.device, per_step=forward.per_step)


def forward_of(learner: Learner, bptt: int | None = None, stateful: bool = False) -> Forward:
    """How the model is run on batches: each by itself, or with its state carried on."""
    place: Any = {"dtype": learner._dtype, "device": learner.device}
    if bptt is None and not stateful:
        return Forward(learner._module, learner._loss, **place)
    check_carries(learner.model, "stateful=True" if stateful else f"bptt={bptt}")
    model: Any = learner.model
    if learner._fabric is not None:
        place["autocast"] = learner._fabric.autocast
        if learner._processes > 1:  # through the wrapper, which sees to the exchange of gradients
            model = learner._module
            model.mark_forward_method("run")
    return Carrying(learner._module, learner._loss, model=model, steps=bptt, stateful=stateful, **place)


def predict(learner: Learner, x: Any, batch_size: int) -> Tensor:
    """See `Learner.predict`."""
    if isinstance(x, tuple):
        raise DataError(f"a tuple of {len(x)} arrived; predict takes the inputs alone, without targets")
    inputs = to_inputs(x, learner._dtype)
    check_inputs(inputs)
    forward = forward_of(learner)
    longest = len(inputs.values[0]) if isinstance(inputs, Sequences) else None
    with mode(learner._module, training=False), torch.inference_mode():
        outputs = [
            forward.padded(select(inputs, rows).to(learner.device), longest).cpu()
            for rows in torch.arange(len(inputs)).split(batch_size)
        ]
    return torch.cat(outputs)  # out here, so that it is a tensor autograd can take
