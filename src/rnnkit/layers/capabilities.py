"""The backend that serves each layer and option, as the layers themselves say; ``rnnkit doctor`` prints it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch

from ._recurrent import RecurrentLayer
from .gru import GRU
from .lstm import LSTM
from .simple_rnn import SimpleRNN


@dataclass(frozen=True)
class Capability:
    """One row: the backend that ``backend="auto"`` uses on each device."""

    layer: str
    option: str
    cpu: str
    cuda: str


def capabilities() -> list[Capability]:
    """Return every layer with each of its options, in the order of ``rnnkit doctor``."""
    plain: list[tuple[str, RecurrentLayer]] = [
        ("tanh, relu", SimpleRNN(1, 1)),
        ("sigmoid", SimpleRNN(1, 1, nonlinearity="sigmoid")),
        ("plain", LSTM(1, 1)),
        ("proj_size", LSTM(1, 2, proj_size=1)),
        ("peepholes, coupled_gates", LSTM(1, 1, peepholes=True, coupled_gates=True)),
        ("plain", GRU(1, 1)),
        ("reset_after=False", GRU(1, 1, reset_after=False)),
    ]
    drawn = {"zoneout": 0.1, "recurrent_dropout": 0.1, "weight_dropout": 0.1}
    extras: list[tuple[str, dict[str, Any]]] = [
        ("zoneout, recurrent and weight dropout", drawn),
        ("layer_norm", {"layer_norm": True}),
        ("recompute", {"recompute": 1}),
        ("learn_initial_state", {"learn_initial_state": True}),
    ]
    rows = []
    for option, layer in plain:
        rows.append(_row(layer, option))
        if option in ("tanh, relu", "plain"):
            layer_class: Any = type(layer)
            rows.append(_row(layer, "lengths"))  # PyTorch's layers take them as packed sequences
            rows.append(_row(layer, "resets", resets=True))
            rows += [_row(layer_class(1, 1, **options), name) for name, options in extras]
            rows.append(_row(layer, "float16, bfloat16", dtype=torch.bfloat16))
    return rows


def _row(layer: RecurrentLayer, option: str, dtype: torch.dtype = torch.float32, *, resets: bool = False) -> Capability:
    def serving(device: str) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a question about a backend, not a use of it
            return layer.backend_for(device, dtype, resets=resets)

    return Capability(type(layer).__name__, option, serving("cpu"), serving("cuda"))
