"""The writer of ``rnnkit export --to keras``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...layers.graph import Masking
from ...serialization import json_text, replacing
from ..formats import Report, Request
from .to_graph import to_graph
from .writing import to_keras


def write(model: Any, path: Path, request: Request) -> Report:
    """Write a ``.keras`` file, and beside it what is known of the run, as JSON.

    Args:
        model: what ``rnnkit.load`` returns.
        path: of the file.
        request: with the description of the run.

    Raises:
        ConfigError: Keras has no counterpart of a part of the model, or a file cannot be written.
    """
    graph = to_graph(model)
    shapes: list[list[int | None] | None] = [None] * len(graph.inputs) if graph.shapes is None else [*graph.shapes]
    described = {
        "format": "keras",
        "inputs": [
            {"name": name, "shape": shape, "type": "int32" if name in graph.integers else "float32"}
            for name, shape in zip(graph.inputs, shapes, strict=True)
        ],
        "outputs": [
            {"name": name, "activation": final} for name, final in zip(graph.output_names, graph.final, strict=True)
        ],
        **request.description,
    }
    beside = path.with_name(f"{path.name}.json")  # not that of an ONNX file of the same name
    try:
        to_keras(graph, path)
        with replacing(beside) as temporary:
            temporary.write_text(json_text(described), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error}); name another place") from error
    masks = any(isinstance(layer, Masking) or getattr(layer, "mask_zero", False) for layer in graph.modules())
    padded = "" if masks else "; it predicts on rows without padding"
    lines = [f"Keras 3 loads the file by keras.saving.load_model(FILE){padded}."]
    if any(final == "softmax" for final in graph.final):
        lines.append("It ends in softmax: probabilities come out.")
    return Report((path, beside), tuple(lines))
