"""A Keras file as a model of rnnkit's."""

from __future__ import annotations

from itertools import count
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...models.graph import GraphModel
from .builder import Builder
from .files import open_file
from .model import final_activations, read_model


class KerasModel(NamedTuple):
    """What a file of Keras's holds.

    Attributes:
        model: the network; its ``shapes`` are those that the file declares.
        notes: what was not taken over, a sentence each.
    """

    model: GraphModel
    notes: list[str]


def from_keras(
    path: str | PathLike[str],
    *,
    configuration: str | PathLike[str] | dict[str, Any] | None = None,
    logits: bool = False,
) -> GraphModel:
    """Read a model that Keras saved, with its weights, in evaluation mode.

    Neither Keras nor TensorFlow is needed, and nothing of the file is executed: the configuration is read as JSON
    against a table of known layers, the arrays with h5py.

    Args:
        path: a ``.keras`` file; an ``.h5`` file of a whole model; or a ``.weights.h5`` file with its `configuration`.
        configuration: of a file of weights alone: a file with what ``model.to_json()`` returned, a ``.keras`` or
            ``.h5`` file of the same model, or the object itself.
        logits: leave the last softmax or sigmoid out, as rnnkit's losses expect it; then a :class:`rnnkit.Learner`
            trains the model with cross-entropy. False: the model returns what Keras's returns.

    Returns:
        The model. Its inputs and outputs have Keras's order and names (``model.inputs``, ``model.output_names``).

    Raises:
        DataError: the file is damaged, not safe, or holds a layer or a setting that rnnkit does not know; the message
            names the layer and where it stands.
        MissingExtraError: h5py is not installed: ``pip install 'rnnkit[keras]'``.

    Example:
        >>> import rnnkit, tempfile, torch
        >>> from rnnkit.interop.keras import from_keras, to_keras
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, batch_first=True), classes=2)
        >>> file = to_keras(model, tempfile.mkdtemp() + "/model.keras")
        >>> again = from_keras(file, logits=True)
        >>> x = torch.randn(4, 7, 3)
        >>> bool(torch.allclose(again(x), model(x), atol=1e-6))
        True
    """
    return read_keras(path, configuration=configuration, logits=logits).model


def read_keras(
    path: str | PathLike[str],
    *,
    configuration: str | PathLike[str] | dict[str, Any] | None = None,
    logits: bool = False,
) -> KerasModel:
    """Read a model that Keras saved, and what else the file says of it.

    Args:
        path, configuration, logits: see :func:`from_keras`.

    Raises:
        DataError, MissingExtraError: as :func:`from_keras`.

    Example:
        >>> import rnnkit, tempfile
        >>> from rnnkit.interop.keras import read_keras, to_keras
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(3, 8, batch_first=True), classes=2)
        >>> found = read_keras(to_keras(model, tempfile.mkdtemp() + "/model.keras"))
        >>> found.model.shapes, found.notes
        ([[None, None, 3]], [])
    """
    given = configuration if configuration is None or isinstance(configuration, dict) else Path(configuration)
    with open_file(Path(path), given) as opened, torch.device("meta"):
        builder = Builder()
        graph = read_model(opened.kind, opened.config, opened.weights, builder, opened.place)
        final = final_activations(graph)
        finish = getattr(opened.weights, "finish", None)
        if finish is not None:
            finish()
        shapes, integers = _declared(opened.kind, opened.config, graph.inputs)
        told = [shapes[name] for name in graph.inputs] if set(graph.inputs) <= set(shapes) else None
        model = GraphModel(
            **graph.arguments(),
            final=final,
            logits=logits,
            outputs=_different(graph.outputs),
            shapes=told,
            integers=integers,
        )
        with torch.device("cpu"):
            builder.complete(model, opened.place)
    return KerasModel(model.eval(), builder.notes)


def _different(names: list[str]) -> list[str]:
    """Names of outputs where a layer has several: dense, dense_1 …"""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        found.append(name if name not in found else next(one for one in numbered if one not in (*names, *found)))
    return found


def _declared(kind: str, config: Any, names: list[str]) -> tuple[dict[str, list[int | None]], list[str]]:
    """Shapes of the inputs, and the inputs of ids."""
    layers = config["layers"] if isinstance(config, dict) else config
    shapes: dict[str, list[int | None]] = {}
    integers = []
    for place, layer in enumerate(layers):
        own = layer.get("config") if isinstance(layer, dict) else None
        if not isinstance(own, dict):
            continue
        if layer.get("class_name") == "InputLayer":
            name = str(layer.get("name") or own.get("name"))
        elif kind == "Sequential" and place == 0:
            name = names[0]
        else:
            continue
        shape = own.get("batch_shape") or own.get("batch_input_shape")
        good = isinstance(shape, list) and all(one is None or isinstance(one, int) for one in shape)
        if name in names and good and shape:
            shapes[name] = list(shape)
        kinds = str(own.get("dtype") if layer.get("class_name") == "InputLayer" else "")
        if name in names and (kinds.startswith(("int", "uint")) or layer.get("class_name") == "Embedding"):
            integers.append(name)
    if kind == "Sequential" and not integers:
        rest = [layer for layer in layers if isinstance(layer, dict) and layer.get("class_name") != "InputLayer"]
        if rest and rest[0].get("class_name") == "Embedding":
            integers.append(names[0])
    return shapes, integers
