"""The libraries onnx and onnxruntime, imported where they are needed."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from ...errors import MissingExtraError


def import_onnx() -> Any:
    """Return the package onnx, with its helpers.

    Raises:
        MissingExtraError: it is not installed.
    """
    return _imported("onnx", ("onnx.helper", "onnx.numpy_helper", "onnx.checker"))


def import_runtime() -> Any:
    """Return the package onnxruntime.

    Raises:
        MissingExtraError: it is not installed.
    """
    return _imported("onnxruntime", ())


def decode_error() -> type[Exception]:
    """Return what protobuf, which onnx is built on, raises where bytes are no message."""
    found: type[Exception] = importlib.import_module("google.protobuf.message").DecodeError
    return found


@cache
def _imported(name: str, parts: tuple[str, ...]) -> Any:
    try:
        found = importlib.import_module(name)
        for part in parts:
            importlib.import_module(part)
    except ImportError as error:
        raise MissingExtraError(
            f"the package {name} is not installed, which models in ONNX's format need; type: pip install 'rnnkit[onnx]'"
        ) from error
    return found
