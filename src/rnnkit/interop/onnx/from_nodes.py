"""Layers of rnnkit's made of single ONNX operators.

Legend: D directions, G gates, H hidden, I input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import DataError, Place
from ...layers._options import suffix_of
from ...layers.gru import GRU
from ...layers.lstm import LSTM
from ...layers.simple_rnn import SimpleRNN
from .files import Array, array_of

_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# The place of each of our gates among ONNX's: i, f, g, o of i, o, f, c; r, z, n of z, r, h.
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_NONLINEARITIES = {"Tanh": "tanh", "Relu": "relu", "Sigmoid": "sigmoid"}
ACTIVATIONS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {
    "Relu": lambda found: nn.ReLU(),
    "Tanh": lambda found: nn.Tanh(),
    "Sigmoid": lambda found: nn.Sigmoid(),
    "Softplus": lambda found: nn.Softplus(),
    "Softsign": lambda found: nn.Softsign(),
    "Elu": lambda found: nn.ELU(float(found.get("alpha", 1.0))),
    "LeakyRelu": lambda found: nn.LeakyReLU(float(found.get("alpha", 0.01))),
    "Softmax": lambda found: nn.Softmax(-1),
    "LogSoftmax": lambda found: nn.LogSoftmax(-1),
}


def attributes_of(node: Any, place: Place) -> dict[str, Any]:
    """Return a node's attributes as plain values; a tensor as an array."""
    found: dict[str, Any] = {}
    for one in node.attribute:
        kind = one.type
        if kind == 1:
            found[one.name] = float(one.f)
        elif kind == 2:
            found[one.name] = int(one.i)
        elif kind == 3:
            found[one.name] = one.s.decode(errors="replace")
        elif kind == 4:
            found[one.name] = array_of(one.t, place)
        elif kind == 6:
            found[one.name] = [float(value) for value in one.floats]
        elif kind == 7:
            found[one.name] = [int(value) for value in one.ints]
        elif kind == 8:
            found[one.name] = [value.decode(errors="replace") for value in one.strings]
    if node.op_type == "Constant":
        for name, dtype in (("value_float", np.float32), ("value_int", np.int64), ("value_floats", np.float32),
                            ("value_ints", np.int64)):  # fmt: skip
            if name in found:
                found["value"] = np.array(found[name], dtype)
    return found


def recurrent_of(node: Any, inputs: list[Array | None], place: Place) -> LSTM | GRU | SimpleRNN:
    """Return the layer that a recurrent operator computes.

    Args:
        node: RNN, LSTM or GRU.
        inputs: its inputs X, W, R, B, ..., those that are constants.
        place: of the file.

    Raises:
        DataError: an option that rnnkit has not, or weights that do not fit each other.
    """
    kind, found = node.op_type, attributes_of(node, place)
    name = f"the operator {kind} ({node.name or node.output[0]})"

    def refuse(problem: str) -> DataError:
        return DataError(f"{name} {problem}", place)

    directions = {"forward": 1, "reverse": 1, "bidirectional": 2}.get(found.get("direction", "forward"), 0)
    if found.get("direction") == "reverse":
        raise refuse("runs from the last step to the first alone; rnnkit's layers run forwards, or both ways")
    gates, w, r = _GATES[kind], inputs[1], inputs[2]
    assert w is not None
    assert r is not None
    hidden = r.shape[2] if r.ndim == 3 else 0
    sizes = (directions, gates * hidden)
    if not directions or not hidden or w.ndim != 3 or w.shape[:2] != sizes or r.shape != (*sizes, hidden):
        raise refuse(f"has weights {list(w.shape)} and {list(r.shape)}, which do not fit each other")
    if found.get("hidden_size", hidden) != hidden:
        raise refuse(f"tells hidden_size={found['hidden_size']}, and its weights {hidden}")
    activations = found.get("activations", _DEFAULTS[kind] * directions)
    if found.get("clip") or found.get("input_forget"):
        raise refuse("has clip or input_forget, which rnnkit's layers have not")
    options: dict[str, Any] = {"bidirectional": directions == 2}
    if kind == "RNN":
        if len(set(activations)) != 1 or activations[0] not in _NONLINEARITIES:
            raise refuse(f"has the activations {activations}; expected Tanh, Relu or Sigmoid")
        options["nonlinearity"] = _NONLINEARITIES[activations[0]]
    elif activations != _DEFAULTS[kind] * directions:
        raise refuse(f"has the activations {activations}; expected {_DEFAULTS[kind]}")
    if kind == "GRU":
        options["reset_after"] = bool(found.get("linear_before_reset", 0))
    bias = inputs[3] if len(inputs) > 3 else None
    peephole = inputs[7] if len(inputs) > 7 else None
    if bias is not None and bias.shape != (directions, 2 * gates * hidden):
        raise refuse(f"has a bias {list(bias.shape)}; expected {[directions, 2 * gates * hidden]}")
    if peephole is not None and peephole.shape != (directions, 3 * hidden):
        raise refuse(f"has peepholes {list(peephole.shape)}; expected {[directions, 3 * hidden]}")
    if peephole is not None:
        options["peepholes"] = True
    layers: dict[str, Any] = {"LSTM": LSTM, "GRU": GRU, "RNN": SimpleRNN}
    layer: LSTM | GRU | SimpleRNN = layers[kind](w.shape[2], hidden, bias=bias is not None, batch_first=True, **options)
    with torch.no_grad():
        for direction in range(directions):
            suffix = suffix_of(0, direction == 1)
            tensors = {"weight_ih": w[direction], "weight_hh": r[direction]}
            if bias is not None:
                tensors["bias_ih"], tensors["bias_hh"] = np.split(bias[direction], 2)
            for one, value in tensors.items():
                getattr(layer, one + suffix).copy_(_in_our_order(kind, value))
            if peephole is not None:
                i, o, f = np.split(peephole[direction], 3)
                getattr(layer, "peephole" + suffix).copy_(torch.from_numpy(np.stack((i, f, o))))
    return layer


def _in_our_order(kind: str, value: Array) -> torch.Tensor:
    parts = np.split(value, _GATES[kind])
    return torch.from_numpy(np.concatenate([parts[place] for place in _ORDER[kind]]).copy())


def linear_of(weight: Array, bias: Array | None, options: dict[str, Any], place: Place) -> nn.Linear:
    """Return the linear layer of x · W + b; of a Gemm with its options.

    Raises:
        DataError: a weight that is no matrix, a bias that does not fit, or an option that rnnkit does not read.
    """
    if weight.ndim != 2 or 0 in weight.shape:
        raise DataError(f"a product has a weight {list(weight.shape)}; expected a matrix", place)
    if options.get("transA") or options.get("alpha", 1.0) != 1.0 or options.get("beta", 1.0) != 1.0:
        raise DataError("a Gemm has transA, alpha or beta, which rnnkit does not read", place)
    matrix = weight if options.get("transB") else weight.T
    outputs, inputs = matrix.shape
    if bias is not None and bias.size != outputs:
        raise DataError(f"a linear layer of {outputs} outputs has a bias {list(bias.shape)}", place)
    made = nn.Linear(inputs, outputs, bias=bias is not None)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(np.ascontiguousarray(matrix)))
        if bias is not None:
            made.bias.copy_(torch.from_numpy(bias.reshape(-1).copy()))
    return made


def norm_of(gain: Array, shift: Array | None, options: dict[str, Any], place: Place) -> nn.LayerNorm:
    """Return a layer normalisation over the last axis.

    Raises:
        DataError: it is over other axes.
    """
    if gain.ndim != 1 or (shift is not None and shift.shape != gain.shape):
        raise DataError(f"a LayerNormalization has a gain {list(gain.shape)}; expected that of the last axis", place)
    made = nn.LayerNorm(len(gain), eps=float(options.get("epsilon", 1e-5)), bias=shift is not None)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(gain.copy()))
        if shift is not None:
            made.bias.copy_(torch.from_numpy(shift.copy()))
    return made
