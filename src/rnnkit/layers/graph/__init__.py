"""Layers of graphs (:class:`rnnkit.models.GraphModel`): several inputs and outputs, and masks that travel.

They compute what the layers of other libraries' model files compute, on the recurrent layers of rnnkit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .activations import Activation, PReLU
from .base import GraphLayer
from .cells import ActivatedGRUCell, ActivatedLSTMCell, ActivatedRNNCell
from .convolution import Convolution, GlobalPooling, Pooling, TimeEdges, UpSampling
from .dense import Dense, Embedding, Masking, TimeDistributed
from .graph import Graph
from .merging import Merge
from .normalisation import BatchNormalisation, LayerNormalisation, Rescaling
from .operations import Operation
from .recurrent import BothDirections, Recurrent
from .shapes import Flatten, Noise, Permute, Repeat, Reshape

__all__ = [
    "GRAPH_BUILDERS",
    "ActivatedGRUCell",
    "ActivatedLSTMCell",
    "ActivatedRNNCell",
    "Activation",
    "BatchNormalisation",
    "BothDirections",
    "Convolution",
    "Dense",
    "Embedding",
    "Flatten",
    "GlobalPooling",
    "Graph",
    "GraphLayer",
    "LayerNormalisation",
    "Masking",
    "Merge",
    "Noise",
    "Operation",
    "PReLU",
    "Permute",
    "Pooling",
    "Recurrent",
    "Repeat",
    "Rescaling",
    "Reshape",
    "TimeDistributed",
    "TimeEdges",
    "UpSampling",
]

# What a model file can name, by the name in it.
GRAPH_BUILDERS: dict[str, Callable[..., Any]] = {
    f"graph.{kind.__name__}": kind
    for kind in (
        Activation,
        ActivatedGRUCell,
        ActivatedLSTMCell,
        ActivatedRNNCell,
        BatchNormalisation,
        BothDirections,
        Convolution,
        Dense,
        Embedding,
        Flatten,
        GlobalPooling,
        Graph,
        LayerNormalisation,
        Masking,
        Merge,
        Noise,
        Operation,
        PReLU,
        Permute,
        Pooling,
        Recurrent,
        Repeat,
        Rescaling,
        Reshape,
        TimeDistributed,
        TimeEdges,
        UpSampling,
    )
}
