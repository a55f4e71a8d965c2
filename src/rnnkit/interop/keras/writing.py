"""Models of rnnkit's as ``.keras`` files.

A file has the graph as Keras 3 describes it. Masks stand in it as operations and as arguments of the calls, as Keras
itself writes them, so that it builds no others and orders the layers as they are ordered here: arrays are stored by
class and order.
"""

from __future__ import annotations

import json
import math
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import ConfigError, check_number, check_whole
from ...layers import graph as g
from ...layers.quantized import refuse_quantized
from ...models.graph import GraphModel
from ...serialization import replacing
from .files import h5py_module
from .to_graph import to_graph
from .weights import snake_case
from .writing_layers import WrittenLayer, operation, write_layer

KERAS_VERSION = "3.0.0"  # whose format is written
_TAKE_MASKS = (
    g.Recurrent, g.BothDirections, g.TimeDistributed, g.BatchNormalisation, g.GlobalPooling,
)  # fmt: skip
_DATE = (1980, 1, 1, 0, 0, 0)  # of the archive's files: the same model gives the same bytes
Tensor = tuple[str, int, int]


def to_keras(
    model: torch.nn.Module,
    path: str | PathLike[str],
    *,
    mask_value: float | None = None,
    probabilities: bool = True,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    batch_size: int | None = None,
) -> Path:
    """Write a model as a ``.keras`` file, which Keras 3 loads (with ``safe_mode``) and which predicts the same.

    Args:
        model: a :class:`rnnkit.GraphModel`; a :class:`rnnkit.SequenceClassifier`, ``SequenceRegressor``,
            ``SequenceTagger`` or ``LanguageModel`` of layers that Keras has, too; or a recurrent layer alone.
        path: of the file; it ends in ``.keras``.
        mask_value: put a ``Masking`` layer in front: rows are padded with steps of this number. None: rows have no
            padding. With an embedding in front it is the id of the padding, and must be 0.
        probabilities: end classifiers in softmax (and a model of logits in its softmax or sigmoid), as Keras's usually
            do. False writes what the model returns.
        shapes: of the inputs by name, with the batch, such as ``{"x": [None, None, 3]}``; for a graph that does not
            name them.
        batch_size: B; needed for stateful layers, whose batch Keras fixes.

    Returns:
        The path of the file.

    Raises:
        ConfigError: Keras has no counterpart of a layer or an option; the message names it.
        MissingExtraError: h5py is not installed: ``pip install 'rnnkit[keras]'``.

    Example:
        >>> import rnnkit, tempfile
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(3, 8, num_layers=2))
        >>> to_keras(model, tempfile.mkdtemp() + "/model.keras").name
        'model.keras'
    """
    refuse_quantized(model, "be written for Keras")
    path = Path(path)
    if path.suffix != ".keras":
        raise ConfigError(f"path={str(path)!r} arrived; expected a name that ends in .keras")
    check_whole(batch_size, "batch_size", optional=True)
    check_number(mask_value, "mask_value", least=-math.inf, optional=True)
    h5py = h5py_module()
    graph = to_graph(model, mask_value=mask_value, probabilities=probabilities)
    sizes = graph.shapes
    if shapes is not None:
        missing = [name for name in graph.inputs if name not in shapes]
        if missing:
            raise ConfigError(f"shapes names {sorted(shapes)}; expected one for each input: {', '.join(graph.inputs)}")
        for name in graph.inputs:
            if not all(size is None or isinstance(size, int) for size in shapes[name]):
                raise ConfigError.of(
                    "shapes", shapes, f"expected sizes, with None for any, as in {{{name!r}: [None, 3]}}"
                )
        sizes = [list(shapes[name]) for name in graph.inputs]
    if sizes is None:
        raise ConfigError(
            f"the model does not tell the shapes of its inputs; add shapes={{{graph.inputs[0]!r}: [...]}}"
        )
    written = _Writer(graph, sizes, probabilities, batch_size)
    description = written.description()
    with replacing(path) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as folder:
        weights = Path(folder) / "model.weights.h5"
        with h5py.File(weights, "w") as file:
            _write_arrays(file, written.arrays())
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": "written by rnnkit"})
            for name, text in (("metadata.json", metadata), ("config.json", json.dumps(description))):
                archive.writestr(zipfile.ZipInfo(name, _DATE), text)
            with archive.open(zipfile.ZipInfo("model.weights.h5", _DATE), "w", force_zip64=True) as target:
                target.write(weights.read_bytes())
    return path


class _Writer:
    """The calls of a graph as Keras's, with the operations that compute masks."""

    def __init__(
        self, graph: GraphModel, shapes: list[list[int | None]], probabilities: bool, batch_size: int | None
    ) -> None:
        self.layers: dict[str, WrittenLayer] = {}
        self.calls: dict[str, list[dict[str, Any]]] = {}
        self._masks: dict[Tensor, Tensor | None] = {}
        self._inputs: list[Tensor] = []
        self._keys = _names([*graph.inputs, *graph.names])
        stateful = any(getattr(part, "stateful", False) for part in graph.modules() if isinstance(part, g.Recurrent))
        for name, shape in zip(graph.inputs, shapes, strict=True):
            batch = shape[0] if batch_size is None else batch_size
            if stateful and batch is None:
                raise ConfigError("the model has a stateful layer, whose batch Keras fixes; add batch_size=")
            key = self._keys[name]
            kind = "int32" if name in graph.integers else "float32"
            config = {"batch_shape": [batch, *shape[1:]], "dtype": kind, "sparse": False, "ragged": False}
            self.layers[key] = WrittenLayer("InputLayer", config)
            self.calls[key] = []
            self._inputs.append((key, 0, 0))
            self._masks[key, 0, 0] = None
        self.results = self._compute(graph, self._inputs, "")
        for place, final in enumerate(graph.final):
            if final != "linear" and (probabilities or not graph.logits):
                self._end(place, final, graph.output_names[place])
        self.name = "model"

    def description(self) -> dict[str, Any]:
        """Return what stands in ``config.json``."""
        ordered = self._order()
        described = []
        for name in ordered:
            one = self.layers[name].describe(name)
            if self.layers[name].kind == "InputLayer":
                one["config"].pop("trainable")
            described.append({**one, "name": name, "inbound_nodes": self.calls[name]})
        config = {
            "name": self.name,
            "trainable": True,
            "layers": described,
            "input_layers": [list(one) for one in self._inputs],
            "output_layers": [list(one) for one in self.results],
        }
        if len(self.results) == 1:
            config["output_layers"] = list(self.results[0])
        if len(self._inputs) == 1:
            config["input_layers"] = list(self._inputs[0])
        return {
            "module": "keras.src.models.functional", "class_name": "Functional", "config": config,
            "registered_name": "Functional", "build_config": {"input_shape": None}, "compile_config": None,
        }  # fmt: skip

    def arrays(self) -> dict[str, list[np.ndarray]]:
        """Return the arrays of the file by the path of their group."""
        found: dict[str, list[np.ndarray]] = {}
        counts: dict[str, int] = {}
        for name in self._order():
            layer = self.layers[name]
            if layer.module != "keras.layers":
                continue
            key = snake_case(layer.kind)
            count = counts.get(key, 0)
            counts[key] = count + 1
            path = f"layers/{key}_{count}" if count else f"layers/{key}"
            for inner, arrays in layer.arrays:
                found["/".join((path, *inner))] = arrays
        return found

    def _end(self, place: int, final: str, name: str) -> None:
        """Let a result end in an activation: that of its dense layer, or a layer of its own."""
        result = self.results[place]
        layer = self.layers[result[0]]
        while layer.kind == "TimeDistributed":
            inner = layer.config["layer"]
            layer = WrittenLayer(inner["class_name"], inner["config"])
        users = [found for calls in self.calls.values() for call in calls for found in _histories(call["args"])]
        alone = result[:2] not in users and len(self.calls[result[0]]) == self.results.count(result) == 1
        if alone and layer.kind == "Dense" and layer.config["activation"] == "linear":
            layer.config["activation"] = final
            return
        while name in self.layers:
            name += f"_{final}"
        (self.results[place],) = self._call(g.Activation(final), name, [result])

    def _compute(self, graph: g.Graph, inputs: Sequence[Tensor], prefix: str) -> list[Tensor]:
        """Write the calls of a graph; a graph inside is written layer by layer."""
        keys = self._keys if not prefix else {name: f"{prefix}{key}" for name, key in _names(graph.names).items()}
        found: list[list[Tensor]] = [[one] for one in inputs]
        for node in graph.nodes:
            layer = graph.layer(node["layer"])
            given = [found[place][output] for place, output in node["inputs"]]
            mask = node.get("mask")
            if isinstance(layer, g.Graph):
                found.append(self._compute(layer, given, f"{keys[node['layer']]}_"))
                continue
            passed: Any = "arrived" if node.get("masked", True) else "none"
            passed = passed if mask is None else found[mask[0]][mask[1]]
            found.append(self._call(layer, keys[node["layer"]], given, passed))
        return [found[place][output] for place, output in graph.results]

    def _call(self, layer: Any, key: str, inputs: list[Tensor], mask: Any = "arrived") -> list[Tensor]:
        """Write one call and return the tensors that come out; note their masks."""
        if key not in self.layers:
            self.layers[key] = write_layer(layer, key)
            self.calls[key] = []
        arrived = self._masks[inputs[0]] if mask == "arrived" else None if mask == "none" else mask
        number = len(self.calls[key])
        outputs = [(key, number, place) for place in range(layer.outputs)]
        tensors = [_tensor(one) for one in inputs]
        named: dict[str, Any] = {}
        if isinstance(layer, g.Operation):
            coming = iter(tensors)
            arguments: list[Any] = [next(coming) if one is None else one for one in layer.operands]
            arguments = [arguments] if layer.name == "concatenate" else arguments
        elif isinstance(layer, g.Merge):
            arguments = [tensors]
        else:
            arguments = list(tensors[:1])
            if len(tensors) > 1:
                named["initial_state"] = tensors[1:]
            takes = isinstance(layer, _TAKE_MASKS) and not (isinstance(layer, g.GlobalPooling) and layer.kind == "max")
            if takes and arrived is not None:
                named["mask"] = _tensor(arrived)
        self.calls[key].append({"args": arguments, "kwargs": named})
        kept = self._masks[inputs[0]] if mask == "none" else arrived
        for place, one in enumerate(outputs):
            self._masks[one] = self._mask_after(layer, key, number, inputs, outputs[0], kept, place)
        return outputs

    def _mask_after(
        self,
        layer: Any,
        key: str,
        number: int,
        inputs: list[Tensor],
        output: Tensor,
        arrived: Tensor | None,
        place: int,
    ) -> Tensor | None:
        """The mask of an output, written as operations where it is a new one."""
        name = f"{key}_mask" if number == 0 else f"{key}_{number}_mask"
        if isinstance(layer, g.Masking):
            return self._operation(f"{name}_any", "any", [self._operation(name, "not_equal", [inputs[0], layer.value])],
                                   {"axis": -1, "keepdims": False})  # fmt: skip
        if isinstance(layer, g.Embedding):
            return self._operation(name, "not_equal", [inputs[0], 0]) if layer.mask_zero else arrived
        if isinstance(layer, g.Merge):
            return self._merged_mask(layer, name, inputs)
        if isinstance(layer, g.Recurrent):
            return arrived if layer.return_sequences and place == 0 else None
        if isinstance(layer, g.BothDirections):
            sequences = layer.forward_layer.return_sequences
            return arrived if sequences and place < (2 if layer.merge is None else 1) else None
        return arrived if layer.keeps_mask and not isinstance(layer, g.Operation) else None

    def _merged_mask(self, layer: g.Merge, name: str, inputs: list[Tensor]) -> Tensor | None:
        masks = [self._masks[one] for one in inputs]
        known = [one for one in masks if one is not None]
        if not known or (layer.kind != "concat" and len(known) < len(masks)):
            return None
        if layer.kind != "concat":
            found = known[0]
            for number, other in enumerate(known[1:]):
                found = self._operation(f"{name}_{number}", "logical_or", [found, other])
            return found
        wide = []
        for number, (one, mask) in enumerate(zip(inputs, masks, strict=True)):
            if mask is None:
                wide.append(self._operation(f"{name}_ones_{number}", "ones_like", [one], {"bool": True}))
                continue
            zeros = self._operation(f"{name}_zeros_{number}", "zeros_like", [one], {"bool": True})
            last = self._operation(f"{name}_axis_{number}", "expand_dims", [mask], {"axis": -1})
            wide.append(self._operation(f"{name}_or_{number}", "logical_or", [last, zeros]))
        joined = self._operation(f"{name}_joined", "concatenate", wide, {"axis": layer.axis})
        return self._operation(f"{name}_any", "any", [joined], {"axis": -1, "keepdims": False})

    def _operation(
        self, name: str, kind: str, operands: Sequence[Any], options: dict[str, Any] | None = None
    ) -> Tensor:
        while name in self.layers:
            name += "_"
        self.layers[name] = operation(kind, options or {})
        arguments = [_tensor(one) if isinstance(one, tuple) else one for one in operands]
        self.calls[name] = [{"args": [arguments] if kind == "concatenate" else arguments, "kwargs": {}}]
        self._masks[name, 0, 0] = None
        return name, 0, 0

    def _order(self) -> list[str]:
        """Layers in the order in which Keras has them once it built the graph: by depth, then as it finds them.

        The depth of a layer is its longest way to a result. Layers of one depth stand as a search from the results,
        depth first, meets them. Layers that no result needs are left out; inputs are not.
        """
        seen: dict[str, int] = {}
        finished: list[tuple[str, int]] = []
        done: set[tuple[str, int]] = set()
        for result in self.results:
            stack: list[tuple[tuple[str, int], bool]] = [(result[:2], False)]
            while stack:
                node, ready = stack.pop()
                if ready:
                    finished.append(node)
                    continue
                if node in done:
                    continue
                done.add(node)
                seen.setdefault(node[0], len(seen))
                stack.append((node, True))
                stack += [(parent, False) for parent in reversed(self._parents(node))]
        node_depths: dict[tuple[str, int], int] = {}
        depths: dict[str, int] = {}
        for node in reversed(finished):
            depth = max(node_depths.get(node, 0), depths.get(node[0], 0))
            depths[node[0]] = node_depths[node] = depth
            for parent in self._parents(node):
                node_depths[parent] = max(depth + 1, node_depths.get(parent, 0))
        for key, _, _ in self._inputs:
            if key not in depths:
                depths[key], seen[key] = 0, -1
        return sorted(depths, key=lambda name: (-depths[name], seen[name]))

    def _parents(self, node: tuple[str, int]) -> list[tuple[str, int]]:
        calls = self.calls[node[0]]
        if not calls:
            return []
        call = calls[node[1]]
        found: list[tuple[str, int]] = []
        pending: list[Any] = [call["args"], *(call["kwargs"][name] for name in sorted(call["kwargs"]))]
        for one in pending:
            found += _histories(one)
        return found


def _histories(value: Any) -> list[tuple[str, int]]:
    if isinstance(value, list):
        return [found for one in value for found in _histories(one)]
    if isinstance(value, dict):
        name, number, _ = value["config"]["keras_history"]
        return [(name, number)]
    return []


def _tensor(one: Tensor) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": list(one)}
    return {"class_name": "__keras_tensor__", "config": config}


def _names(names: Sequence[str]) -> dict[str, str]:
    """Names as Keras takes them: no slash, none twice."""
    found: dict[str, str] = {}
    for name in names:
        key = name.replace("/", "_")
        while key in found.values():
            key += "_"
        found[name] = key
    return found


def _write_arrays(file: Any, arrays: Mapping[str, list[np.ndarray]]) -> None:
    for path, found in arrays.items():
        group = file.create_group(f"{path}/vars")
        for number, one in enumerate(found):
            group.create_dataset(str(number), data=one)
