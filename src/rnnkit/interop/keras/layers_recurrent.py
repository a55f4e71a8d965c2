"""Keras's recurrent layers as rnnkit's.

Weights, Keras → PyTorch: kernels are transposed. LSTM's gates i, f, c, o are i, f, g, o. GRU's z, r, h become r, z, n.
One bias becomes b_ih, with b_hh = 0; GRU with reset_after has both, [2, 3H]. CuDNNLSTM and CuDNNGRU store each gate's
input kernel so that its memory is W [H, I], though its shape says [I, H]; the recurrent one as U [H, H]; the bias has
2·4H or 2·3H numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ...layers.graph import ActivatedGRUCell, ActivatedLSTMCell, ActivatedRNNCell, BothDirections, Recurrent
from ...layers.gru import GRU
from ...layers.lstm import LSTM
from ...layers.rnn import RNN
from ...layers.simple_rnn import SimpleRNN
from .builder import Builder
from .settings import LayerSettings, Location, short
from .weights import LayerWeights

Tensor = torch.Tensor
_GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}
_CELLS = {"SimpleRNNCell": "SimpleRNN", "LSTMCell": "LSTM", "GRUCell": "GRU"}
_CUDNN = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
_ACTIVATED = {"SimpleRNN": ActivatedRNNCell, "LSTM": ActivatedLSTMCell, "GRU": ActivatedGRUCell}


def read_recurrent(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Recurrent:
    """Return SimpleRNN, LSTM, GRU, CuDNNLSTM or CuDNNGRU."""
    if kind in _CUDNN:
        layer, dropout = _cudnn(_CUDNN[kind], settings, weights, builder), 0.0
    else:
        layer, dropout = _layer(kind, settings, weights.child("cell"), builder)
    return _around([layer], [dropout], settings)


def read_rnn(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> Recurrent:
    """Return RNN over one of Keras's cells, or over several stacked."""
    cell, place = settings.get("cell"), settings.place
    name, config = described(cell, place, "cell")
    if name == "StackedRNNCells":
        inner = LayerSettings(config, place.inside("cell (StackedRNNCells)"))
        cells = inner.get("cells")
        if inner.get("reverse_state_order", False):
            raise inner.place.problem("reverse_state_order=True is not read")
        inner.finish()
        if not isinstance(cells, list) or not 0 < len(cells) <= 64:
            raise inner.place.problem(f"cells={short(cells)} arrived; expected a list of 1 to 64 cells")
        found = [described(one, inner.place, f"cells[{index}]") for index, one in enumerate(cells)]
        names = [str(config.get("name", kind)) for kind, config in found]
        stored = weights.child("cell", "cells").members([kind for kind, _ in found], names)
    else:
        found, stored = [(name, config)], [weights.child("cell")]
    layers, dropouts = [], []
    for index, ((own, config), theirs) in enumerate(zip(found, stored, strict=True)):
        inside = place.inside(f"cell {index} ({own})")
        if own not in _CELLS:
            raise inside.problem(f"a cell of class {short(own)} arrived; expected one of {', '.join(_CELLS)}")
        cell_settings = LayerSettings(config, inside)
        layer, dropout = _layer(_CELLS[own], cell_settings, theirs, builder)
        cell_settings.finish()
        layers.append(layer)
        dropouts.append(dropout)
    return _around(layers, dropouts, settings)


def read_bidirectional(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> BothDirections:
    """Return Bidirectional over a recurrent layer."""
    place = settings.place
    merge = settings.choice("merge_mode", ("concat", "sum", "mul", "ave", None), "concat")
    forward = described(settings.get("layer"), place, "layer")
    other = settings.get("backward_layer", None)
    back: tuple[str, Mapping[str, Any]]
    if other is None:
        name, config = forward
        back = name, {**config, "go_backwards": not config.get("go_backwards", False)}
    else:
        back = described(other, place, "backward_layer")
    settings.flag("go_backwards", False)
    made = []
    for part, (name, config) in (("forward_layer", forward), ("backward_layer", back)):
        inside = place.inside(f"{part} ({name})")
        if name not in RECURRENT:
            raise inside.problem(f"a layer of class {short(name)} arrived; expected one of {', '.join(RECURRENT)}")
        own = LayerSettings({**config, "zero_output_for_mask": config.get("return_sequences") is True}, inside)
        made.append(RECURRENT[name](name, own, weights.child(part), builder))
        own.finish()
    first, second = made
    if first.backward_in_time == second.backward_in_time:
        raise place.problem("both of its layers read in the same direction")
    if (first.return_sequences, first.return_state) != (second.return_sequences, second.return_state):
        raise place.problem("its two layers differ in return_sequences or return_state")
    return BothDirections(first, second, merge)


RECURRENT = {
    **dict.fromkeys((*_GATES, *_CUDNN), read_recurrent),
    "RNN": read_rnn,
}


def described(value: Any, place: Location, what: str) -> tuple[str, Mapping[str, Any]]:
    """Class and configuration of an object inside a configuration."""
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
        raise place.problem(f"{what} is {short(value)}; expected a class_name and a config")
    return str(value.get("class_name")), value["config"]


def _around(layers: list[torch.nn.Module], dropouts: list[float], settings: LayerSettings) -> Recurrent:
    if settings.flag("time_major", False):
        raise settings.place.problem("time_major=True is not read: rnnkit's models take [batch, time, features]")
    settings.get("num_constants", None)
    if settings.values.get("num_constants"):
        raise settings.place.problem("constants of a cell are not read")
    return Recurrent(
        layers,
        return_sequences=settings.flag("return_sequences", False),
        return_state=settings.flag("return_state", False),
        backward=settings.flag("go_backwards", False),
        stateful=settings.flag("stateful", False),
        zero_masked=settings.flag("zero_output_for_mask", False),
        dropout=dropouts,
    )


def _layer(
    kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder
) -> tuple[torch.nn.Module, float]:
    """A layer of rnnkit's with the weights of one of Keras's cells, and the dropout of its inputs."""
    gates, units = _GATES[kind], settings.whole("units")
    activation = settings.activation("activation", "tanh")
    gated = kind != "SimpleRNN"
    inner = settings.activation("recurrent_activation", "sigmoid") if gated else "sigmoid"
    bias = settings.flag("use_bias", True)
    dropout = settings.number("dropout", 0.0, least=0, below=1)
    recurrent_dropout = settings.number("recurrent_dropout", 0.0, least=0, below=1)
    reset_after = settings.flag("reset_after", False) if kind == "GRU" else False
    names = ("kernel", "recurrent_kernel", *(("bias",) if bias else ()))
    kernel, recurrent, *biases = weights.take(names, settings.place)
    rows = gates * units
    kernel.expect("a kernel", None, rows)
    recurrent.expect("a recurrent kernel", units, rows)
    for one in biases:
        one.expect("a bias", *((2, rows) if reset_after else (rows,)))
    size = kernel.shape[0]
    if size > 2**24:
        raise settings.place.problem(f"its kernel has {size:,} rows, one for each feature of the input")

    options: dict[str, Any] = {"bias": bias, "recurrent_dropout": recurrent_dropout}
    native = activation == "tanh" and inner == "sigmoid"
    if kind == "SimpleRNN" and activation in ("tanh", "relu", "sigmoid"):
        options["nonlinearity"] = activation
        layer: torch.nn.Module = SimpleRNN(size, units, batch_first=True, **options)
        owner, suffix = layer, "_l0"
    elif kind == "LSTM" and native:
        layer = LSTM(size, units, batch_first=True, **options)
        owner, suffix = layer, "_l0"
    elif kind == "GRU" and native:
        layer = GRU(size, units, batch_first=True, reset_after=reset_after, **options)
        owner, suffix = layer, "_l0"
    else:
        if gated:
            options["recurrent_activation"] = inner
        if kind == "GRU":
            options["reset_after"] = reset_after
        owner, suffix = _ACTIVATED[kind](size, units, activation, **options), ""
        layer = RNN(owner, batch_first=True)
    order = swap_gates if kind == "GRU" else as_it_is
    builder.fill(owner, "weight_ih" + suffix, kernel, change=lambda one: order(one.T))
    builder.fill(owner, "weight_hh" + suffix, recurrent, change=lambda one: order(one.T))
    if biases and reset_after:
        builder.fill(owner, "bias_ih" + suffix, biases[0], change=lambda one: order(one[0]))
        builder.fill(owner, "bias_hh" + suffix, biases[0], change=lambda one: order(one[1]))
    elif biases:
        builder.fill(owner, "bias_ih" + suffix, biases[0], change=order)
        builder.fill(owner, "bias_hh" + suffix)
    return layer, dropout


def _cudnn(kind: str, settings: LayerSettings, weights: LayerWeights, builder: Builder) -> torch.nn.Module:
    """A layer with the weights of CuDNNLSTM or CuDNNGRU."""
    gates, units = _GATES[kind], settings.whole("units")
    kernel, recurrent, bias = weights.take(("kernel", "recurrent_kernel", "bias"), settings.place)
    kernel.expect("a kernel", None, gates * units)
    recurrent.expect("a recurrent kernel", units, gates * units)
    bias.expect("a bias", 2 * gates * units)
    size = kernel.shape[0]
    layer = LSTM(size, units, batch_first=True) if kind == "LSTM" else GRU(size, units, batch_first=True)
    order = swap_gates if kind == "GRU" else as_it_is

    def blocks(one: Tensor) -> Tensor:
        """Each gate's block, whose memory is a matrix with H rows."""
        return order(torch.cat([block.reshape(units, -1) for block in one.contiguous().chunk(gates, 1)]))

    builder.fill(layer, "weight_ih_l0", kernel, change=blocks)
    builder.fill(layer, "weight_hh_l0", recurrent, change=blocks)
    half = gates * units
    builder.fill(layer, "bias_ih_l0", bias, change=lambda one: order(one[:half]))
    builder.fill(layer, "bias_hh_l0", bias, change=lambda one: order(one[half:]))
    return layer


def as_it_is(one: Tensor) -> Tensor:
    """Return a tensor itself: LSTM's gates have the same order in both libraries."""
    return one


def swap_gates(one: Tensor) -> Tensor:
    """Return the rows of Keras's gates z, r, h as r, z, n, or those of r, z, n as z, r, h."""
    first, second, third = one.chunk(3)
    return torch.cat((second, first, third))
