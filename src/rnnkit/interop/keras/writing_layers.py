"""Graph layers as Keras's: class, configuration, and arrays at their paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ...errors import ConfigError
from ...layers import graph as g
from ...layers.graph.cells import ActivatedCell, GatedCell
from ...layers.gru import GRU
from ...layers.lstm import LSTM
from ...layers.rnn import RNN
from ...layers.simple_rnn import SimpleRNN
from .layers_recurrent import as_it_is, swap_gates
from .model import OPERATIONS
from .settings import OLD_HARD_SIGMOID
from .to_graph import options_without_counterpart

Tensor = torch.Tensor
Arrays = list[tuple[tuple[str, ...], list[np.ndarray]]]

_OPERATIONS = {ours: theirs for theirs, ours in OPERATIONS.items()}  # Keras 3 writes the later of two names


@dataclass
class WrittenLayer:
    """A layer as Keras's file has it.

    Attributes:
        kind: the class.
        config: its settings, without the name.
        arrays: paths below the layer, each with the arrays there in Keras's order.
        module: of the class in Keras.
    """

    kind: str
    config: dict[str, Any]
    arrays: Arrays = field(default_factory=list)
    module: str = "keras.layers"

    def describe(self, name: str) -> dict[str, Any]:
        """Return the description that stands in a configuration."""
        if self.module != "keras.layers":
            config = {"name": name, **self.config}
            return {"module": self.module, "class_name": self.kind, "config": config, "registered_name": self.kind}
        config = {"name": name, "trainable": True, "dtype": "float32", **self.config}
        if self.kind == "SpatialDropout1D":  # the one layer whose constructor refuses it
            del config["trainable"]
        return {"module": self.module, "class_name": self.kind, "config": config, "registered_name": None}


def write_layer(layer: torch.nn.Module, name: str) -> WrittenLayer:
    """Return a graph layer as Keras's.

    Args:
        layer: of :mod:`rnnkit.layers.graph`.
        name: for messages.

    Raises:
        ConfigError: Keras has no counterpart of it, or of an option of it.
    """
    for kind, write in _WRITERS:
        if isinstance(layer, kind):
            return write(layer, name)
    raise _no_counterpart(name, f"a {type(layer).__name__}")


def _no_counterpart(name: str, what: str) -> ConfigError:
    return ConfigError(f"layer {name!r}: {what} has no counterpart in Keras; export the model to another format")


def _array(tensor: Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return found


def _activation(function: str, name: str) -> str:
    if function == OLD_HARD_SIGMOID:
        raise _no_counterpart(name, f"the activation {function} (Keras 3 has another hard sigmoid)")
    return function


# --- recurrent layers ---------------------------------------------------------------------------------------------


def _recurrent(layer: g.Recurrent, name: str) -> WrittenLayer:
    around = {
        "return_sequences": layer.return_sequences,
        "return_state": layer.return_state,
        "go_backwards": layer.backward_in_time,
        "stateful": layer.stateful,
        "zero_output_for_mask": layer.zero_masked,
    }
    cells = [_cell(one, rate, name) for one, rate in zip(layer.layers, layer.dropout, strict=True)]
    if len(cells) == 1:
        kind, config, arrays = cells[0]
        return WrittenLayer(kind, around | config, [(("cell",), arrays)])
    counts: dict[str, int] = {}
    described: list[dict[str, Any]] = []
    stored: Arrays = []
    for number, (kind, config, arrays) in enumerate(cells):
        key = {"SimpleRNN": "simple_rnn_cell", "LSTM": "lstm_cell", "GRU": "gru_cell"}[kind]
        count = counts.get(key, 0)
        counts[key] = count + 1
        described.append(WrittenLayer(f"{kind}Cell", config).describe(f"cell_{number}"))
        stored.append((("cell", "cells", f"{key}_{count}" if count else key), arrays))
    stack = WrittenLayer("StackedRNNCells", {"cells": described}).describe("cells")
    return WrittenLayer("RNN", around | {"cell": stack}, stored)


def _cell(layer: torch.nn.Module, dropout: float, name: str) -> tuple[str, dict[str, Any], list[np.ndarray]]:
    """Class, settings and arrays of one recurrence."""
    config: dict[str, Any]
    if isinstance(layer, RNN) and isinstance(layer.cell, ActivatedCell):
        cell = layer.cell
        kind = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}[cell.gates]
        config = {"units": cell.hidden_size, "activation": _activation(cell.activation, name), "use_bias": cell.bias}
        if isinstance(cell, GatedCell):
            config["recurrent_activation"] = _activation(cell.recurrent_activation, name)
        reset_after = bool(getattr(cell, "reset_after", False))
        weights = cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh
        recurrent_dropout = cell.recurrent_dropout
    elif isinstance(layer, SimpleRNN | LSTM | GRU):
        if lacking := options_without_counterpart(layer):
            raise _no_counterpart(name, f"{type(layer).__name__} with {' and '.join(lacking)}")
        kind = "SimpleRNN" if isinstance(layer, SimpleRNN) else "LSTM" if isinstance(layer, LSTM) else "GRU"
        config = {"units": layer.hidden_size, "use_bias": layer.bias}
        if isinstance(layer, SimpleRNN):
            config["activation"] = layer.nonlinearity
        else:
            config |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        reset_after = isinstance(layer, GRU) and layer.options.reset_after
        biases = (layer.bias_ih_l0, layer.bias_hh_l0) if layer.bias else (None, None)
        weights = (layer.weight_ih_l0, layer.weight_hh_l0, *biases)
        recurrent_dropout = layer.options.recurrent_dropout
    else:
        raise _no_counterpart(name, f"a recurrence {type(getattr(layer, 'cell', layer)).__name__}")
    config |= {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
    w_ih, w_hh, b_ih, b_hh = weights
    order = swap_gates if kind == "GRU" else as_it_is
    arrays = [_array(order(w_ih).T), _array(order(w_hh).T)]
    if kind == "GRU":
        config["reset_after"] = reset_after
    if b_ih is not None and b_hh is not None:
        if reset_after:
            arrays.append(_array(torch.stack((order(b_ih), order(b_hh)))))
        else:
            arrays.append(_array(order(b_ih + b_hh)))
    return kind, config, arrays


def _both(layer: g.BothDirections, name: str) -> WrittenLayer:
    parts = [_recurrent(layer.forward_layer, name), _recurrent(layer.backward_layer, name)]
    config = {
        "merge_mode": layer.merge,
        "layer": parts[0].describe(f"forward_{name}"),
        "backward_layer": parts[1].describe(f"backward_{name}"),
    }
    arrays: Arrays = [
        ((side, *path), found)
        for side, part in zip(("forward_layer", "backward_layer"), parts, strict=True)
        for path, found in part.arrays
    ]
    return WrittenLayer("Bidirectional", config, arrays)


# --- other layers -------------------------------------------------------------------------------------------------


def _time_distributed(layer: g.TimeDistributed, name: str) -> WrittenLayer:
    if isinstance(layer.layer, g.Graph):
        raise _no_counterpart(name, "a model in a TimeDistributed layer, as rnnkit writes files")
    inner = write_layer(layer.layer, name)
    arrays: Arrays = [(("layer", *path), found) for path, found in inner.arrays]
    return WrittenLayer("TimeDistributed", {"layer": inner.describe(f"{name}_step")}, arrays)


def _dense(layer: g.Dense, name: str) -> WrittenLayer:
    linear = layer.linear
    if not isinstance(linear, torch.nn.Linear):
        raise _no_counterpart(name, f"a {type(linear).__name__} in a dense layer")
    arrays = [_array(linear.weight.T)] + ([] if linear.bias is None else [_array(linear.bias)])
    config = {
        "units": linear.out_features,
        "activation": _activation(layer.activation, name),
        "use_bias": linear.bias is not None,
    }
    return WrittenLayer("Dense", config, [((), arrays)])


def _embedding(layer: g.Embedding, name: str) -> WrittenLayer:
    weight: Any = layer.embedding.weight
    rows, width = weight.shape
    config = {"input_dim": rows, "output_dim": width, "mask_zero": layer.mask_zero}
    return WrittenLayer("Embedding", config, [((), [_array(weight)])])


def _convolution(layer: g.Convolution, name: str) -> WrittenLayer:
    conv = layer.conv
    config = {
        "filters": conv.out_channels,
        "kernel_size": [conv.kernel_size[0]],
        "strides": [conv.stride[0]],
        "padding": layer.padding,
        "dilation_rate": [conv.dilation[0]],
        "groups": conv.groups,
        "activation": _activation(layer.activation, name),
        "use_bias": conv.bias is not None,
    }
    arrays = [_array(conv.weight.permute(2, 1, 0))] + ([] if conv.bias is None else [_array(conv.bias)])
    return WrittenLayer("Conv1D", config, [((), arrays)])


def _pooling(layer: g.Pooling, name: str) -> WrittenLayer:
    kind = "MaxPooling1D" if layer.kind == "max" else "AveragePooling1D"
    return WrittenLayer(kind, {"pool_size": [layer.size], "strides": [layer.stride], "padding": layer.padding})


def _global_pooling(layer: g.GlobalPooling, name: str) -> WrittenLayer:
    kind = "GlobalMaxPooling1D" if layer.kind == "max" else "GlobalAveragePooling1D"
    return WrittenLayer(kind, {"keepdims": layer.keep_axis})


def _edges(layer: g.TimeEdges, name: str) -> WrittenLayer:
    both = [layer.before, layer.behind]
    if min(both) >= 0:
        return WrittenLayer("ZeroPadding1D", {"padding": both})
    if max(both) <= 0:
        return WrittenLayer("Cropping1D", {"cropping": [-one for one in both]})
    raise _no_counterpart(name, "a layer that adds steps at one end and cuts them off at the other")


def _batch_norm(layer: g.BatchNormalisation, name: str) -> WrittenLayer:
    config = {
        "axis": layer.axis,
        "momentum": layer.momentum,
        "epsilon": layer.epsilon,
        "scale": layer.weight is not None,
        "center": layer.bias is not None,
        "trainable": not layer.frozen,
    }
    found = [layer.weight, layer.bias, layer.mean, layer.variance]
    return WrittenLayer("BatchNormalization", config, [((), [_array(one) for one in found if one is not None])])


def _layer_norm(layer: g.LayerNormalisation, name: str) -> WrittenLayer:
    axes = list(range(-len(layer.shape), 0))
    config = {
        "axis": axes[0] if len(axes) == 1 else axes,
        "epsilon": layer.epsilon,
        "scale": layer.weight is not None,
        "center": layer.bias is not None,
    }
    found = [one for one in (layer.weight, layer.bias) if one is not None]
    return WrittenLayer("LayerNormalization", config, [((), [_array(one) for one in found])] if found else [])


def _rescaling(layer: g.Rescaling, name: str) -> WrittenLayer:
    return WrittenLayer("Rescaling", {"scale": layer.scale, "offset": layer.offset})


def _activation_layer(layer: g.Activation, name: str) -> WrittenLayer:
    options = layer.options
    if not options:
        return WrittenLayer("Activation", {"activation": _activation(layer.function, name)})
    kind = {"relu": "ReLU", "leaky_relu": "LeakyReLU", "elu": "ELU", "softmax": "Softmax"}[layer.function]
    return WrittenLayer(kind, dict(options))


def _prelu(layer: g.PReLU, name: str) -> WrittenLayer:
    shape = list(layer.alpha.shape)
    shared = [axis + 1 for axis, size in enumerate(shape) if size == 1]
    return WrittenLayer("PReLU", {"shared_axes": shared or None}, [((), [_array(layer.alpha)])])


def _noise(layer: g.Noise, name: str) -> WrittenLayer:
    if layer.kind == "gaussian":
        return WrittenLayer("GaussianNoise", {"stddev": layer.p})
    if layer.kind == "product":
        return WrittenLayer("GaussianDropout", {"rate": layer.p})
    if layer.kind == "features":
        return WrittenLayer("SpatialDropout1D", {"rate": layer.p})
    shape = [1 if axis in layer.axes else None for axis in range(max(layer.axes) + 1)] if layer.axes else None
    return WrittenLayer("Dropout", {"rate": layer.p, "noise_shape": shape})


def _merge(layer: g.Merge, name: str) -> WrittenLayer:
    if layer.kind == "concat":
        return WrittenLayer("Concatenate", {"axis": layer.axis})
    return WrittenLayer(layer.kind.capitalize(), {})


def operation(name: str, options: dict[str, Any]) -> WrittenLayer:
    """Return an operation on tensors as Keras's."""
    config: dict[str, Any] = {key: options[key] for key in ("axis", "keepdims") if key in options}
    if options.get("bool"):
        config["dtype"] = "bool"
    return WrittenLayer(_OPERATIONS[name], config, module="keras.src.ops.numpy")


def _plain(kind: str, *names: tuple[str, str]) -> Callable[[Any, str], WrittenLayer]:
    """A layer whose settings have other names in Keras: pairs (ours, Keras's)."""
    return lambda layer, name: WrittenLayer(kind, {theirs: getattr(layer, ours) for ours, theirs in names})


_WRITERS: Sequence[tuple[type[torch.nn.Module], Callable[[Any, str], WrittenLayer]]] = (
    (g.Recurrent, _recurrent),
    (g.BothDirections, _both),
    (g.TimeDistributed, _time_distributed),
    (g.Dense, _dense),
    (g.Embedding, _embedding),
    (g.Convolution, _convolution),
    (g.Pooling, _pooling),
    (g.GlobalPooling, _global_pooling),
    (g.TimeEdges, _edges),
    (g.UpSampling, _plain("UpSampling1D", ("times", "size"))),
    (g.BatchNormalisation, _batch_norm),
    (g.LayerNormalisation, _layer_norm),
    (g.Rescaling, _rescaling),
    (g.Activation, _activation_layer),
    (g.PReLU, _prelu),
    (g.Noise, _noise),
    (g.Merge, _merge),
    (g.Masking, _plain("Masking", ("value", "mask_value"))),
    (g.Flatten, _plain("Flatten")),
    (g.Reshape, _plain("Reshape", ("shape", "target_shape"))),
    (g.Permute, _plain("Permute", ("axes", "dims"))),
    (g.Repeat, _plain("RepeatVector", ("steps", "n"))),
    (g.Operation, lambda layer, name: operation(layer.name, layer.options)),
)
