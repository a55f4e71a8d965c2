"""What a model holds and costs: parameters, shapes, operations and memory by layer, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...errors import ConfigError, DataError, ShapeError
from ...layers._options import suffix_of
from ...layers.costs import Cost, count, rule_of
from ...layers.modes import mode
from ...ops.backend import counting_operations
from ...types import Batch, Sequences
from ..batching.arrays import describe, in_memory, select, to_batch, to_inputs
from ..batching.iterables import check_rereadable, stream
from ..batching.order import Order
from ..objectives.objective import call_model
from ..optimization.optimizer_bytes import StateBytes, state_bytes
from ..optimization.optimizers import OptimizerLike, check_optimizer
from ..resuming.preserve import generators
from .calls import Watch, units
from .summary_table import Row, Summary, sum_or_none

_WHOLE = "(model)"


def summary(
    model: nn.Module,
    data_or_shape: Any = None,
    *,
    optimizer: OptimizerLike = "adam",
    batch_size: int = 32,
) -> Summary:
    """List a model's layers with parameters, output shapes, FLOPs and memory.

    The model is run once on the given batch, or on zeros of the given shape, in evaluation mode; generators, modes
    and weights are as before. FLOPs are those of the layers' matrix products and normalisations
    (:mod:`rnnkit.layers.costs`); what is computed otherwise is counted where torch.utils.flop_counter knows it, and
    else said to be not counted. Recurrent stacks are opened layer by layer.

    Args:
        model: any module called as `model(x)`, and as `model(x, lengths=lengths)` for `Sequences`.
        data_or_shape: a shape such as `(32, 100, 28)` for [B, T, I], or `(32, 100)` for token ids where the model
            has an embedding; or a batch: a tensor, an array, `Sequences`, a list of arrays; or `(X, y)` and all else
            that `Learner.fit` takes, of which the first `batch_size` rows, or the first batch, are used. None: only
            what is known without running: parameters and their memory.
        optimizer: whose state is counted: a name, a callable or an Optimizer, as for `Learner`.
        batch_size: see above.

    Raises:
        ConfigError: no module, one with weights that have no shape yet, an unknown optimizer.
        DataError, ShapeError: data that the model cannot be run on.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 128), classes=10)
        >>> found = rnnkit.summary(model, (32, 28, 28))
        >>> [(row.name, row.output, row.trainable) for row in found.rows]
        [('body', (28, 32, 128), 80896), ('head', (32, 10), 1290)]
        >>> found.flops  # 2·B·T·4·H·(I + H) forward, (I + 2·H) backward, and the head
        403947520
    """
    if not isinstance(model, nn.Module):
        raise ConfigError(f"{describe(model)} arrived as model; expected a torch.nn.Module")
    check_optimizer(optimizer)
    if lazy := [name for name, parameter in model.named_parameters() if is_lazy(parameter)]:
        raise ConfigError(f"{lazy[0]} has no shape yet; call the model once on a batch, then ask for its summary")
    watch = Watch(model, count_products=True)
    batch = None
    if data_or_shape is not None:
        device = next((one.device for one in model.parameters()), torch.device("cpu"))
        with generators(device, data_or_shape):  # a DataLoader draws its order, and perhaps its rows
            batch = _batch(model, data_or_shape, batch_size)
            _run(model, batch, watch)
    name, state = state_bytes(optimizer)
    rows = list(_rows(model, watch, state, ran=batch is not None))
    return Summary(tuple(rows), name, batch is not None)


def _batch(model: nn.Module, given: Any, batch_size: int) -> Batch:
    """Return the batch to run on, on the model's device."""
    first = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    if isinstance(given, tuple | list) and given and all(type(axis) is int for axis in given):
        if min(given) < 1:
            raise ShapeError(f"shape {tuple(given)} arrived; expected sizes of at least 1, as in (32, 100, 28)")
        # As data of integers with one or two axes does, [B, T] stands for token ids: where there is a table of them.
        tokens = len(given) <= 2 and any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in model.modules())
        return Batch(torch.zeros(given, dtype=torch.int64 if tokens else first.dtype, device=first.device))
    if isinstance(given, tuple) and len(given) == 2:
        rows = in_memory(given, first.dtype)
        assert rows is not None
        return select(rows, torch.arange(min(batch_size, len(rows)))).to(first.device)
    of_batches = isinstance(given, list) and bool(given) and isinstance(given[0], tuple)
    if not of_batches and (isinstance(given, Tensor | Sequences | list) or hasattr(given, "__array__")):
        batch = to_batch(to_inputs(given, first.dtype), None)
        if len(batch) == 0:
            raise DataError(
                f"{describe(given)} without a row arrived; expected a batch, or a shape such as (32, 100, 28)"
            )
        return batch.to(first.device)
    return _first_batch(given, first, batch_size)


def _first_batch(given: Any, like: Tensor, batch_size: int) -> Batch:
    """Return the inputs of the first of the batches that `fit` would train on."""
    check_rereadable(given, "a summary would use its first batch up", "pass that batch")
    source = stream(given, lambda rows: Order(torch.arange(rows)), batch_size=batch_size, passes=1)
    pair = next(iter(source), None)
    if isinstance(pair, Batch):
        return pair.to(like.device)
    if not (isinstance(pair, tuple | list) and len(pair) == 2):
        what = "nothing" if pair is None else describe(pair)
        raise DataError(f"the first batch is {what}; expected a pair (inputs, targets), or pass a shape [B, T, I]")
    return to_batch(to_inputs(pair[0], like.dtype), None).to(like.device)


def _run(model: nn.Module, batch: Batch, watch: Watch) -> None:
    """One forward pass under the watch, as if for training: only so it shows where gradients will flow."""
    with mode(model, training=False), torch.enable_grad(), counting_operations(), watch:
        try:
            call_model(model, batch)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            shape = tuple(batch.inputs.shape)
            raise ShapeError(
                f"the model does not run on a batch of shape {shape}: {error}. Pass what it takes, [B, T, I] for "
                "sequences, [B, T] for token ids, or a batch"
            ) from error


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(model: nn.Module, watch: Watch, state: StateBytes, *, ran: bool) -> Iterator[Row]:
    seen: set[int] = set()
    found = units(model)
    for name, module in found.items():
        tensors = _own(module, whole=rule_of(module) is not None, seen=seen)
        calls = watch.calls[name]
        costs = [count(module, call) for call in calls]
        known = [cost for cost in costs if cost is not None]
        layers = [sum(parts[1:], parts[0]) for parts in zip(*known, strict=True)] if known else []
        note = f"called {len(calls)} times" if len(calls) > 1 else ""
        cost = sum(layers[1:], layers[0]) if layers else None
        if cost is None and (products := watch.products.get(name, 0)):
            cost = Cost(products, 2 * products, None, "FLOPs of its matrix products, by torch.utils.flop_counter")
        shape = calls[0].output if calls else None
        yield _row(name or _WHOLE, module, 0, shape, tensors, cost, state, note)
        if isinstance(module, nn.RNNBase) and module.num_layers > 1:
            for index in range(module.num_layers):
                part = {key: tensor for key, tensor in tensors.items() if _of_layer(key, index)}
                one = layers[index] if layers else None
                yield _row(f"layer {index}", module, 1, shape, part, one, state, "")
    for name, products in watch.products.items():
        if name not in found and ran:
            note = "products outside of the layers, by torch.utils.flop_counter"
            rest = Cost(products, 2 * products, 0, note)
            yield _row(f"{name or _WHOLE}, itself", model.get_submodule(name), 0, (), {}, rest, state, "")


def _row(
    name: str,
    module: nn.Module,
    level: int,
    output: tuple[int, ...] | None,
    tensors: dict[str, Tensor],
    cost: Cost | None,
    state: StateBytes,
    note: str,
) -> Row:
    parameters = [tensor for tensor in tensors.values() if isinstance(tensor, nn.Parameter)]
    whole = sum(tensor.numel() for tensor in tensors.values() if tensor.dtype == torch.int8)  # weights in 8 bits
    train = [parameter for parameter in parameters if parameter.requires_grad]
    notes = [text for text in (note, cost.note if cost is not None and level == 0 else "") if text]
    return Row(
        name=name,
        kind=_kind(module) if level == 0 else "",
        level=level,
        output=output,
        trainable=sum(parameter.numel() for parameter in train),
        frozen=whole + sum(parameter.numel() for parameter in parameters if not parameter.requires_grad),
        forward=None if cost is None else cost.forward,
        backward=None if cost is None else cost.backward,
        weights=sum(tensor.nbytes for tensor in tensors.values()),
        gradients=sum(parameter.nbytes for parameter in train),
        optimizer=sum_or_none(state(parameter) for parameter in train),
        activations=None if cost is None else cost.activations,
        note="; ".join(notes),
    )


def _own(module: nn.Module, *, whole: bool, seen: set[int]) -> dict[str, Tensor]:
    """Parameters and buffers of a module, with all inside it or its own, without those that are counted already."""
    named = [*module.named_parameters(recurse=whole), *module.named_buffers(recurse=whole)]
    fresh = {name: tensor for name, tensor in named if id(tensor) not in seen}
    seen |= {id(tensor) for tensor in fresh.values()}
    return fresh


def _of_layer(name: str, index: int) -> bool:
    """Whether a parameter is of that layer of a stack, in either direction, also where a parametrisation holds it."""
    return any(part.endswith((suffix_of(index, False), suffix_of(index, True))) for part in name.split("."))


def _kind(module: nn.Module) -> str:
    kind = nn.utils.parametrize.type_before_parametrizations(module)
    package = kind.__module__.split(".")[0]
    return f"{package}.{kind.__name__}" if package == "rnnkit" else kind.__name__
