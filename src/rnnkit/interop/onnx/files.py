"""Open ONNX files of other programs without trusting them: nothing is executed, and no other file is read.

Before a file is read, its outermost fields are walked: their lengths have to add up to that of the file. A weight's
bytes have to be as many as its sizes say.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...errors import DataError, Place
from .graph import FLOAT, INT8, INT32, INT64, UINT8
from .library import decode_error, import_onnx

Array = np.ndarray[Any, Any]
_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}  # of onnx.ModelProto
_TYPES: dict[int, np.dtype[Any]] = {
    FLOAT: np.dtype("<f4"),
    11: np.dtype("<f8"),
    10: np.dtype("<f2"),
    INT64: np.dtype("<i8"),
    INT32: np.dtype("<i4"),
    INT8: np.dtype("i1"),
    UINT8: np.dtype("u1"),
}
_MOST_NODES = 10_000
_OLDEST = 7  # the set of operators from which on sizes spread by themselves, as numpy's do
_LARGEST = 1 << 31


def open_model(path: str | os.PathLike[str]) -> Any:
    """Return the ``onnx.ModelProto`` of a file.

    Raises:
        DataError: there is no such file, or it is no ONNX file that can be trusted.
    """
    onnx, file, place = import_onnx(), Path(path), Place(str(path))
    if file.suffix.lower() != ".onnx":
        raise DataError("expected a file that ends in .onnx", place)
    if not file.is_file():
        raise DataError("there is no such file" if not file.exists() else "is a folder; expected a file", place)
    size = file.stat().st_size
    if not 0 < size < _LARGEST:
        raise DataError(f"has {size:,} bytes; an ONNX file has some, and less than 2,147,483,648", place)
    with file.open("rb") as opened:
        _check_fields(opened, size, place)
        opened.seek(0)
        content = opened.read()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except decode_error() as error:
        raise DataError(f"is damaged: it is no message of ONNX ({' '.join(str(error).split())[:80]})", place) from error
    if not model.graph.node:
        raise DataError("holds no graph with operators", place)
    if len(model.graph.node) > _MOST_NODES:
        raise DataError(f"has {len(model.graph.node):,} operators; expected at most {_MOST_NODES:,}", place)
    if 0 < opset_of(model) < _OLDEST:
        raise DataError(
            f"is written in ONNX's set of operators {opset_of(model)}; rnnkit reads {_OLDEST} and later ones: convert "
            "it by onnx.version_converter.convert_version(model, 17)",
            place,
        )
    if len(model.functions):
        raise DataError("defines operators of its own (functions), which rnnkit does not read", place)
    return model


def opset_of(model: Any) -> int:
    """Return the version of ONNX's own operators that a model names; 0 where it names none.

    Args:
        model: an ``onnx.ModelProto``.
    """
    return max((int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)


def _check_fields(opened: BinaryIO, size: int, place: Place) -> None:
    """Walk the outermost fields of a message."""
    damaged = DataError("is damaged, or no ONNX file: its fields do not add up", place)
    at, graphs = 0, 0
    for _ in range(10_000):
        if at == size:
            break
        opened.seek(at)
        key, used = _varint(opened.read(10))
        field, kind = key >> 3, key & 7
        at += used
        if not used or field not in _FIELDS or kind not in (0, 2):
            raise damaged
        number, used = _varint(opened.read(10)) if opened.seek(at) == at else (0, 0)
        if not used:
            raise damaged
        at += used + (number if kind == 2 else 0)
        graphs += field == 7
        if at > size:
            raise damaged
    if at != size or graphs != 1:
        raise damaged


def _varint(data: bytes) -> tuple[int, int]:
    """A number, and the bytes that it takes; 0 bytes where there is none."""
    value = 0
    for place, byte in enumerate(data):
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, place + 1
    return 0, 0


def array_of(tensor: Any, place: Place) -> Array:
    """Return the numbers of an ``onnx.TensorProto``; fractions as float32.

    Raises:
        DataError: they stand in another file, are of another type, or are not as many as the sizes say.
    """
    name = tensor.name or "a constant"
    if tensor.data_location == 1 or tensor.external_data:
        raise DataError(f"the weight {name!r} stands in another file, which is not read; save it in one file", place)
    if tensor.data_type not in _TYPES and tensor.data_type not in (9,):
        raise DataError(f"the weight {name!r} has the element type {tensor.data_type}; expected numbers", place)
    sizes = [int(size) for size in tensor.dims]
    if any(size < 0 for size in sizes):
        raise DataError(f"the weight {name!r} has the sizes {sizes}", place)
    count = math.prod(sizes)
    kind: np.dtype[Any] = _TYPES.get(tensor.data_type, np.dtype("?"))
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * kind.itemsize:
            raise DataError(
                f"the weight {name!r} has the sizes {sizes} and {len(tensor.raw_data)} bytes; expected "
                f"{count * kind.itemsize}",
                place,
            )
        found: Array = np.frombuffer(tensor.raw_data, kind)
    else:
        fields = {FLOAT: "float_data", 11: "double_data", INT64: "int64_data"}
        values = getattr(tensor, fields.get(tensor.data_type, "int32_data"))
        if len(values) != count:
            raise DataError(f"the weight {name!r} has the sizes {sizes} and {len(values)} numbers", place)
        found = np.array(values, np.uint16).view(np.float16) if tensor.data_type == 10 else np.array(values, kind)
    found = found.reshape(sizes)
    if found.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite, and is refused as a weight
            found = found.astype(np.float32)
    return found
