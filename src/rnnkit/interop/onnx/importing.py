"""An ONNX file as a graph of layers, which ``rnnkit import`` makes a run of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...errors import ConfigError, DataError, Place
from ...models.classifier import SequenceClassifier
from ..keras.to_graph import to_graph
from .reading import from_onnx

if TYPE_CHECKING:
    from ...models.graph import GraphModel


def read_graph(path: str | os.PathLike[str]) -> GraphModel:
    """Return the network of an ONNX file as a graph whose outputs are logits.

    Args:
        path: see :func:`from_onnx`.

    Raises:
        DataError, MissingExtraError: as :func:`from_onnx`; or a layer has an option that graphs lack.
    """
    model = from_onnx(path)
    try:
        graph = to_graph(model, probabilities=isinstance(model, SequenceClassifier))
    except ConfigError as error:
        what = str(error).partition(" has no counterpart")[0]
        raise DataError(
            f"holds {what}, which `rnnkit import` makes no run of; in Python, rnnkit.interop.onnx.from_onnx reads the "
            "file as a model that trains and saves",
            Place(str(path)),
        ) from error
    graph.logits = True
    return graph.eval()
