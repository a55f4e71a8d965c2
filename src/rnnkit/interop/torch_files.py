"""Recurrent layers of ``torch.nn`` in a file of weights, whatever model they are part of."""

from __future__ import annotations

import os
import re
from typing import Any, Literal, NamedTuple

import torch

from ..errors import DataError, Place, check_choice
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.simple_rnn import SimpleRNN
from .weight_files import read_weights, take

Tensor = torch.Tensor
_NAME = re.compile(
    r"^(?:(?P<layer>.*)\.)?(?P<kind>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(?P<number>\d+)(?P<back>_reverse)?$"
)
_GATES: dict[int, Any] = {4: LSTM, 3: GRU, 1: SimpleRNN}


class TorchLayers(NamedTuple):
    """What a file of weights holds.

    Attributes:
        layers: the recurrent layers by their names in the model that was saved; "" where one was saved alone.
        others: the other tensors by their names, such as those of embeddings and linear layers.
    """

    layers: dict[str, LSTM | GRU | SimpleRNN]
    others: dict[str, Tensor]


def read_torch_layers(
    path: str | os.PathLike[str],
    *,
    batch_first: bool = False,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> TorchLayers:
    """Return the recurrent layers of a file of weights, as rnnkit's layers.

    ``torch.nn.LSTM``, ``GRU`` and ``RNN`` are known by the names and the shapes of their weights: number of layers,
    directions, projection and biases follow from these. What the weights do not show has to be given.

    Args:
        path: `.safetensors`, or `.pt`, `.pth` or `.bin` of ``torch.save(model.state_dict(), path)``; it is read with
            ``weights_only=True``.
        batch_first: whether the layers take [B, T, I].
        nonlinearity: of ``torch.nn.RNN``.

    Raises:
        DataError: the file cannot be read, holds no recurrent layer, or one of it lacks a weight.

    Example:
        >>> import pathlib, tempfile
        >>> model = torch.nn.ModuleDict({"body": torch.nn.LSTM(3, 4, 2), "head": torch.nn.Linear(4, 5)})
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "model.pt"
        >>> torch.save(model.state_dict(), file)
        >>> found = read_torch_layers(file)
        >>> found.layers["body"]
        LSTM(3, 4, num_layers=2, init='torch', backend='auto')
        >>> sorted(found.others)
        ['head.bias', 'head.weight']
        >>> x = torch.randn(7, 2, 3)
        >>> bool(torch.allclose(found.layers["body"](x)[0], model["body"](x)[0], atol=1e-6))
        True
    """
    check_choice(nonlinearity, "nonlinearity", ("tanh", "relu"))
    weights = read_weights(path)
    found: dict[str, dict[str, Tensor]] = {}
    others: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        match = _NAME.match(name)
        if match is None:
            others[name] = tensor
        else:
            found.setdefault(match["layer"] or "", {})[name.rpartition(".")[2]] = tensor
    if not found:
        shown = ", ".join(list(weights)[:5])
        raise DataError(
            f"holds no recurrent layer of torch.nn, such as weight_ih_l0, among {shown} …", Place(str(path))
        )
    layers = {name: _layer(name, own, path, batch_first, nonlinearity) for name, own in found.items()}
    return TorchLayers(layers, others)


def _layer(
    name: str, weights: dict[str, Tensor], path: str | os.PathLike[str], batch_first: bool, nonlinearity: str
) -> LSTM | GRU | SimpleRNN:
    """Return the layer of its weights."""
    place = Place(f"{path}: {name}" if name else str(path))
    first, recurrent = (take(weights, one, (None, None), place.source) for one in ("weight_ih_l0", "weight_hh_l0"))
    projection = weights["weight_hr_l0"].shape[0] if "weight_hr_l0" in weights else 0
    hidden = weights["weight_hr_l0"].shape[-1] if projection else recurrent.shape[1]
    rows = first.shape[0]
    kind = _GATES.get(rows // hidden) if hidden and rows % hidden == 0 else None
    if kind is None or (projection and kind is not LSTM):
        raise DataError(
            f"weight_ih_l0 has {rows} rows and weight_hh_l0 {hidden} columns; expected 4 (LSTM), 3 (GRU) or 1 (RNN) "
            "times as many rows",
            place,
        )
    options: dict[str, Any] = {"proj_size": projection} if projection else {}
    if kind is SimpleRNN:
        options["nonlinearity"] = nonlinearity
    numbers = {int(match["number"]) for one in weights if (match := _NAME.match(one))}
    lacking = min(set(range(len(numbers))) - numbers, default=None)
    if lacking is not None:
        raise DataError(f"lacks the tensor 'weight_ih_l{lacking}'", place)
    layer = kind(
        first.shape[1],
        hidden,
        len(numbers),
        bias="bias_ih_l0" in weights,
        batch_first=batch_first,
        bidirectional="weight_ih_l0_reverse" in weights,
        **options,
    )
    wanted = dict(layer.named_parameters())
    more = sorted(set(weights) - set(wanted))
    if more:
        raise DataError(f"has the weights {', '.join(more)}, which {layer!r} has no place for", place)
    with torch.no_grad():
        for own, parameter in wanted.items():
            parameter.copy_(take(weights, own, tuple(parameter.shape), place.source))
    return layer
