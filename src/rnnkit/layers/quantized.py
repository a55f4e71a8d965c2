"""Layers with weights in 8 bits, for inference on the CPU; :func:`quantize` makes them of trained ones.

    W x ≈ s t ⊙ (w q)       w = round(W / t), a scale t for each row of W;   q = round(x / s), a scale s for each row x

in the place of every product with a weight: of a recurrent layer's input, of its state, of a projection's input, and of
what a linear layer reads (:mod:`rnnkit.ops.int8`). The sums are exact. Row i of an embedding is t_i w_i. Gates, biases,
the options' own weights and the states stay float32, so the equations are those of the layer, with its options.

Tied layers have one w and one t. These stay float: convolutions and all other layers, subclasses, and linear layers and
embeddings of fewer than 256 weights or with rows of fewer than 8 (a linear layer also with fewer than 8 outputs), where
8 bits would save next to nothing.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from ..errors import ConfigError, DataError, RnnkitWarning
from ..ops.int8 import DEPTH, Int8Weight, quantise_weight
from ._conv_recurrent import ConvRecurrence, ConvRecurrentLayer
from ._int8_module import Int8Module
from ._recurrent import RecurrentLayer
from .accelerate import SkippedLayer, check_model
from .dropout import Embedding
from .quantized_dense import quantized_matrix
from .quantized_recurrent import QUANTIZED, matrix_names, quantized_layer
from .rnn import RNN

_LEAST_WEIGHTS, _LEAST_SIZE = 256, 8
"""Of a linear layer and an embedding. Beside its numbers a row has a scale of 4 bytes, and a file a name for them. A
product with few outputs takes less time than the rounding of its input."""
_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase, RNN, ConvRecurrence, ConvRecurrentLayer)
_DENSE = (torch.nn.Linear, torch.nn.Embedding, Embedding)
_SUBCLASS = "a subclass may compute something else"


@dataclass(frozen=True)
class Quantization:
    """Which layers of a model :func:`quantize` puts in 8 bits; print it.

    Attributes:
        layers: the names of those that it does, as in ``model.named_modules()``; "" for the model itself.
        done: the names of those that have 8 bits already.
        skipped: recurrent and linear layers and embeddings that stay float, with the reason.
        others: further layers with matrices, which stay float because they are of another kind, or too small.
    """

    layers: tuple[str, ...]
    done: tuple[str, ...]
    skipped: tuple[SkippedLayer, ...]
    others: tuple[SkippedLayer, ...] = ()

    def __str__(self) -> str:
        lines = [f"{name or '(the model)'}: can be put in 8 bits" for name in self.layers]
        lines += [f"{name or '(the model)'}: has 8 bits" for name in self.done]
        lines += [
            f"{one.name or '(the model)'} ({one.layer_class}) stays float: {one.reason}"
            for one in (*self.skipped, *self.others)
        ]
        return "\n".join(lines) or "the model has no layer with a matrix"


def quantize(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a trained model whose layers have weights in 8 bits, a quarter of the size.

    Every product of a ``SimpleRNN``, ``LSTM`` or ``GRU`` of rnnkit's and of a ``torch.nn.Linear`` is one of whole
    numbers then, and an embedding makes floats of the rows that are read, see :mod:`rnnkit.layers.quantized`, which
    says what stays float. The copy lies on the CPU in evaluation mode. It predicts, streams, and is saved and loaded as
    before; it cannot be trained, and has no gradients. Code of a model that reads ``weight`` of a linear layer or an
    embedding itself gets t w, computed again by each access.

    Args:
        model: a trained module; it stays as it is.

    Returns:
        the copy.

    Warns:
        RnnkitWarning: some recurrent or linear layers or embeddings stay float, not for their size; the text says which
            and why.

    Raises:
        ConfigError: ``model`` is no module, has no layer that can be put in 8 bits, or has 8 bits already.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64), classes=10)
        >>> small = rnnkit.quantize(model)
        >>> x = torch.randn(4, 20, 28)
        >>> with torch.no_grad():
        ...     difference = (small(x).softmax(1) - model(x).softmax(1)).abs().max()
        >>> bool(difference < 0.02), small.body.weight_ih_l0_int8.dtype, small.head.weight_int8.dtype
        (True, torch.int8, torch.int8)
    """
    check_model(model, "quantize")
    plan = quantizable(model)
    if plan.done:
        shown = ", ".join(name or "the model" for name in plan.done)
        raise ConfigError(f"the model has weights in 8 bits already ({shown}); quantize takes the float model")
    if not plan.layers:
        raise ConfigError(f"no layer can be put in 8 bits: {plan}; expected {EXPECTED}")
    if plan.skipped:
        told = "; ".join(f"{one.name or 'the model'} ({one.layer_class}): {one.reason}" for one in plan.skipped)
        warnings.warn(RnnkitWarning(f"stays float: {told}"), stacklevel=2)
    return _replaced(copy.deepcopy(model).cpu().eval(), dict.fromkeys(plan.layers))


EXPECTED = "a SimpleRNN, LSTM or GRU of rnnkit's, or a torch.nn.Linear or Embedding that is not small"


def quantizable(model: torch.nn.Module) -> Quantization:
    """Return which layers of a model can be put in 8 bits, and why others cannot; nothing is changed.

    Args:
        model: any module.

    Example:
        >>> import torch, rnnkit
        >>> print(quantizable(torch.nn.ModuleList([rnnkit.GRU(3, 5), torch.nn.Linear(5, 2)])))
        0: can be put in 8 bits
        1 (Linear) stays float: 8 bits would save next to nothing in 2 × 5 weights
    """
    layers: dict[str, torch.nn.Module] = {}
    done: list[str] = []
    skipped: list[SkippedLayer] = []
    others: list[SkippedLayer] = []
    closed: list[str] = []  # what the names of a skipped layer's own parts begin with
    for name, module in model.named_modules():
        if any(name.startswith(begin) for begin in closed):
            continue
        kind = parametrize.type_before_parametrizations(module)
        if isinstance(module, Int8Module):
            done.append(name)
        elif isinstance(module, _RECURRENT) or kind in _DENSE:
            if (reason := _why_skipped(module, kind) or _why_broken(module)) is not None:
                skipped.append(SkippedLayer(name, kind.__name__, reason))
                closed.append(f"{name}." if name else "")
            elif (reason := _why_small(module)) is not None:
                others.append(SkippedLayer(name, kind.__name__, reason))
            else:
                layers[name] = module
        elif (reason := _why_other(module)) is not None:
            others.append(SkippedLayer(name, kind.__name__, reason))
            if parametrize.is_parametrized(module):
                closed.append(f"{name}." if name else "")
    skipped += _tied_to_float(model, layers)
    return Quantization(
        tuple(name for name in layers if name not in {one.name for one in skipped}),
        tuple(done),
        tuple(skipped),
        tuple(others),
    )


def is_quantized(model: torch.nn.Module) -> bool:
    """Return whether layers of a model have weights in 8 bits.

    Example:
        >>> import rnnkit
        >>> is_quantized(rnnkit.quantize(rnnkit.GRU(3, 5)))
        True
    """
    return isinstance(model, torch.nn.Module) and any(isinstance(one, Int8Module) for one in model.modules())


def refuse_quantized(model: torch.nn.Module, what: str) -> None:
    """Raise ConfigError where layers of a model have weights in 8 bits.

    Args:
        model: any module.
        what: cannot be done with it, as in "be exported".

    Example:
        >>> import rnnkit
        >>> refuse_quantized(rnnkit.GRU(3, 5), "be exported")
    """
    if is_quantized(model):
        raise ConfigError(
            f"the model has weights in 8 bits (rnnkit.quantize) and cannot {what}; take the float model that it was "
            "made from"
        )


def restore_quantized(model: torch.nn.Module, layers: Mapping[str, Mapping[str, Any]]) -> torch.nn.Module:
    """Put layers in 8 bits where a saved model has them; for ``rnnkit.load``, which then reads their weights.

    Args:
        model: as its description makes it; it is changed unless it is itself such a layer.
        layers: what `int8_config` of each layer returned, by the layer's name.

    Raises:
        DataError: the model has no such layer.
    """
    parts = dict(model.named_modules())
    for name in layers:
        part = parts.get(name)
        kind = None if part is None else parametrize.type_before_parametrizations(part)
        if part is None or kind not in (*QUANTIZED, *_DENSE) or _why_skipped(part, kind) is not None:
            raise DataError(f"{type(model).__name__} has no layer {name!r} that could have weights in 8 bits")
    diagonals = {name: [str(one) for one in own.get("diagonals", [])] for name, own in layers.items()}
    return _replaced(model.eval(), diagonals)


def _why_skipped(module: torch.nn.Module, kind: type) -> str | None:
    """The reason why a recurrent or linear layer or an embedding has no form in 8 bits, or None."""
    if isinstance(module, RNN):
        return "layers around a cell have no form in 8 bits"
    if isinstance(module, torch.nn.RNNCellBase):
        return "cells have no form in 8 bits; layers have"
    if kind not in _DENSE and not isinstance(module, torch.nn.RNNBase):
        return "recurrences of convolutions have no form in 8 bits"
    if kind not in _DENSE and not isinstance(module, RecurrentLayer):
        return "a layer of PyTorch's; type rnnkit.accelerate(model) before"
    if parametrize.is_parametrized(module):
        return "its weights are parametrised (adapters, weight_norm): merge adapters, or remove the parametrisation"
    if kind not in (*QUANTIZED, *_DENSE):
        return _SUBCLASS
    weights = _weights(module)
    if any(weight is None or type(weight) is not torch.nn.Parameter for weight in weights):
        return "hooks set its weights (weight_norm, pruning): remove them, or make pruning permanent"
    if any(weight is None or weight.dtype != torch.float32 for weight in weights):
        return "its weights are no float32; type model.float() before"
    if any(weight is not None and weight.shape[1] > DEPTH for weight in weights):
        return f"more than {DEPTH:,} features, whose sums do not fit into 32 bits"
    if getattr(module, "max_norm", None) is not None:
        return "max_norm changes its rows when they are read"
    return None


def _why_broken(module: torch.nn.Module) -> str | None:
    for weight in _weights(module):
        if weight is not None and not weight.is_meta and not bool(weight.isfinite().all()):
            return "its weights hold NaN or an infinity"
    return None


def _why_small(module: torch.nn.Module) -> str | None:
    """The reason why 8 bits are of no use for a linear layer or an embedding, or None."""
    if isinstance(module, RecurrentLayer):
        return None
    [weight] = _weights(module)
    assert weight is not None
    rows, columns = weight.shape
    least = min(rows, columns) if isinstance(module, torch.nn.Linear) else columns
    if weight.numel() >= _LEAST_WEIGHTS and least >= _LEAST_SIZE:
        return None
    return f"8 bits would save next to nothing in {rows:,} × {columns:,} weights"


def _why_other(module: torch.nn.Module) -> str | None:
    """The reason why a layer of another kind stays float; None where it has no matrix."""
    if isinstance(module, torch.nn.Linear | torch.nn.Embedding):
        return _SUBCLASS
    own: list[Any] = list(module._parameters.values())
    if parametrize.is_parametrized(module):
        own += list(cast(torch.nn.Module, module.parametrizations).parameters())
    if not any(one is not None and not is_lazy(one) and one.dim() > 1 for one in own):
        return None
    convolves = isinstance(module, torch.nn.modules.conv._ConvNd)
    return "convolutions have no form in 8 bits" if convolves else "layers of its kind have no form in 8 bits"


def _tied_to_float(model: torch.nn.Module, layers: Mapping[str, torch.nn.Module]) -> list[SkippedLayer]:
    """The layers among these whose weight another layer, which stays float, has too."""
    float_layers = {
        id(weight): name or "the model"
        for name, module in model.named_modules()
        if name not in layers
        for weight in module._parameters.values()
    }
    return [
        SkippedLayer(name, type(module).__name__, f"{float_layers[id(weight)]}, which stays float, has its weight, too")
        for name, module in layers.items()
        for weight in _weights(module)[:1]
        if id(weight) in float_layers
    ]


def _weights(layer: torch.nn.Module) -> list[torch.nn.Parameter | None]:
    """The matrices of a layer that could be put in 8 bits."""
    names = matrix_names(layer) if isinstance(layer, RecurrentLayer) else ["weight"]
    return [layer._parameters.get(name) for name in names]


def _replaced(model: torch.nn.Module, layers: Mapping[str, list[str] | None]) -> torch.nn.Module:
    """The model with these layers in 8 bits, all weights without gradients; None: the diagonals are to be found."""
    parts = dict(model.named_modules())
    made: dict[int, torch.nn.Module] = {}
    weights: dict[int, Int8Weight] = {}  # tied layers share one
    for name, own in layers.items():
        part = parts[name]
        if isinstance(part, RecurrentLayer):
            made[id(part)] = quantized_layer(part, own)
        else:
            key = id(part.weight)
            if key not in weights:
                weights[key] = quantise_weight(part.weight)
            made[id(part)] = quantized_matrix(part, weights[key])
    for part in parts.values():
        for name, child in part._modules.items():
            part._modules[name] = made.get(id(child), child)  # a layer may stand in several places
    return made.get(id(model), model).requires_grad_(False)
