"""A graph of layers: which tensor goes where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...errors import ConfigError, RnnkitError, ShapeError
from ..description import describe
from .base import GraphLayer, Mask, Masks, Tensor, Values

Reference = Sequence[int]
"""The number of a node, and which of its outputs; the inputs are the first nodes."""


class Graph(GraphLayer):
    """Layers, each called at one or several nodes of a graph without cycles.

    Args:
        layers: graph layers.
        names: one for each layer; a layer that is called twice has two nodes and stands here once.
        inputs: names of the inputs.
        nodes: in the order in which they are computed, each ``{"layer": name, "inputs": [[node, output], ...]}``, and
            ``"mask": [node, output]`` where a tensor is the mask in place of the one that arrives, or
            ``"masked": False`` where the one that arrives is left out. Nodes are counted from the inputs on: with two
            inputs, the first node is 2.
        results: what comes out, as pairs of a node and an output.

    Raises:
        ConfigError: a node names a layer or a tensor that there is not.

    Example:
        >>> from rnnkit.layers.graph import Dense, Merge
        >>> graph = Graph(
        ...     [Dense(torch.nn.Linear(3, 2)), Merge("add")], ["dense", "add"], ["x"],
        ...     [{"layer": "dense", "inputs": [[0, 0]]}, {"layer": "add", "inputs": [[1, 0], [1, 0]]}], [[2, 0]],
        ... )
        >>> (y,), _ = graph([torch.zeros(4, 3)], [None])
        >>> tuple(y.shape)
        (4, 2)
    """

    def __init__(
        self,
        layers: Sequence[torch.nn.Module],
        names: Sequence[str],
        inputs: Sequence[str],
        nodes: Sequence[Mapping[str, Any]],
        results: Sequence[Reference],
    ) -> None:
        super().__init__()
        if len(layers) != len(names) or len(set(names)) != len(names):
            raise ConfigError(f"{len(layers)} layers and the names {list(names)} arrived; expected a name for each")
        self.names, self.inputs = list(names), list(inputs)
        self.nodes = [_checked(node, self.names, len(inputs) + place) for place, node in enumerate(nodes)]
        self.results = [_reference(one, len(inputs) + len(nodes), "results") for one in results]
        self.outputs = len(self.results)
        self.layers = torch.nn.ModuleDict()
        self._keys = dict(zip(names, _keys(names), strict=True))
        for name, layer in zip(names, layers, strict=True):
            self.layers[self._keys[name]] = layer

    def arguments(self) -> dict[str, Any]:
        return {
            "layers": [describe(layer) for layer in self.layers.values()],
            "names": self.names,
            "inputs": self.inputs,
            "nodes": self.nodes,
            "results": self.results,
        }

    def layer(self, name: str) -> torch.nn.Module:
        """Return the layer of that name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self._keys:
            raise ConfigError(f"layer {name!r} arrived; expected one of {', '.join(map(repr, self.names))}")
        return self.layers[self._keys[name]]

    def reset_states(self) -> None:
        """Forget what stateful layers carried from the call before."""
        for layer in self.layers.values():
            layer.reset_states()  # type: ignore[operator]

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Compute all nodes; see the class."""
        return self.compute_nodes(inputs, masks, None)

    def compute_nodes(self, inputs: Sequence[Tensor], masks: Sequence[Mask], valid: Mask) -> tuple[Values, Masks]:
        """Compute all nodes.

        Args:
            inputs, masks: as for a call.
            valid: which steps count because of lengths, [B, T]; taken together with masks that nodes name.
        """
        if len(inputs) != len(self.inputs):
            raise ShapeError(f"{len(inputs)} tensors arrived; expected {len(self.inputs)}: {', '.join(self.inputs)}")
        found: list[tuple[Values, Masks]] = [((x,), (mask,)) for x, mask in zip(inputs, masks, strict=True)]
        for node in self.nodes:
            given = [found[place][0][output] for place, output in node["inputs"]]
            theirs = [found[place][1][output] for place, output in node["inputs"]]
            if (named := node.get("mask")) is not None:
                mask = found[named[0]][0][named[1]].to(torch.bool)
                theirs[0] = mask if valid is None or valid.shape != mask.shape else mask & valid
            elif not node.get("masked", True):
                theirs[0] = (
                    valid if given[0].dim() > 1 and valid is not None and given[0].shape[:2] == valid.shape else None
                )
            found.append(self._called(node["layer"], given, theirs))
        picked = [(found[place][0][output], found[place][1][output]) for place, output in self.results]
        return tuple(value for value, _ in picked), tuple(mask for _, mask in picked)

    def _called(self, name: str, inputs: list[Tensor], masks: list[Mask]) -> tuple[Values, Masks]:
        """Call a layer; what PyTorch says of shapes that do not fit becomes a message with the layer's name."""
        try:
            return self.layers[self._keys[name]](inputs, masks)  # type: ignore[no-any-return]
        except ShapeError as error:
            raise ShapeError(f"layer {name!r}: {error}") from error
        except (RuntimeError, IndexError) as error:  # the latter of axes without a step
            if isinstance(error, RnnkitError | torch.OutOfMemoryError):
                raise
            shapes = ", ".join(str(list(x.shape)) for x in inputs)
            raise ShapeError(f"layer {name!r} cannot take inputs of shape {shapes}: {error}") from error


def _keys(names: Sequence[str]) -> list[str]:
    """Names that a ``torch.nn.ModuleDict`` takes: letters, digits and "_", none of its own methods."""
    keys: list[str] = []
    for name in names:
        key = re.sub(r"\W", "_", name, flags=re.ASCII) or "layer"
        while key in keys or hasattr(torch.nn.ModuleDict, key):
            key += "_"
        keys.append(key)
    return keys


def _checked(node: Mapping[str, Any], names: Sequence[str], known: int) -> dict[str, Any]:
    if node.get("layer") not in names:
        raise ConfigError(f"a node names the layer {node.get('layer')!r}; known: {', '.join(map(repr, names))}")
    inputs = [_reference(one, known, f"node {known}") for one in node["inputs"]]
    if not inputs:
        raise ConfigError(f"node {known} has no input")
    checked: dict[str, Any] = {"layer": node["layer"], "inputs": inputs}
    if node.get("mask") is not None:
        checked["mask"] = _reference(node["mask"], known, f"node {known}")
    if node.get("masked") is False:
        checked["masked"] = False
    return checked


def _reference(one: Reference, known: int, where: str) -> list[int]:
    node, output = one
    if not (isinstance(node, int) and isinstance(output, int) and 0 <= node < known and output >= 0):
        raise ConfigError(f"{where} reads output {output} of node {node}; expected a node before it, of {known}")
    return [node, output]
