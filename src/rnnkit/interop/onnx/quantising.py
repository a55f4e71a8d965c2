"""Weights of an ONNX graph in 8 bits, a scale for each output.

    w ≈ s_r q,   s_r = max |w_r| / q_max,   q = round(w / s_r)         for each row r of a weight

The weights of products and of recurrences, tables of embeddings and kernels are stored so. How they are used depends on
the form:

    runtime     DynamicQuantizeLSTM of ONNX Runtime, and whole-number products (MatMulInteger) whose other factor is
                quantised as it comes
    portable    ONNX's DequantizeLinear in front of the usual operators: any runtime, the time of float32

GRU and RNN have no operator for weights in 8 bits and are written in the second form in both. q_max is 127; where
weights meet 8-bit inputs on an x86 processor without VNNI, two products of 255 · 127 overflow its 16 bits, so q_max is
63 there (7 bits).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ...errors import check_choice
from ...ops.int8 import dwarfing_diagonal
from .graph import FLOAT, OPSET, RUNTIME_DOMAIN
from .library import import_onnx

Form = Literal["runtime", "portable"]
Array = np.ndarray[Any, Any]
FORMS: tuple[Form, ...] = ("runtime", "portable")
_PRODUCT = 16_384  # entries of a weight whose product is faster in whole numbers
LEAST = 256  # entries of a weight that is worth it
_RECURRENT = ("RNN", "LSTM", "GRU")


def bits_here() -> int:
    """Return 8, or 7 where the processor is an x86 without VNNI.

    Example:
        >>> bits_here() in (7, 8)
        True
    """
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return 8
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 7  # not known
    return 8 if "avx512_vnni" in flags or "avx_vnni" in flags else 7


def has_whole_numbers(model: Any) -> bool:
    """Return whether weights of a quantised model have 8 bits; small ones stay as they are.

    Args:
        model: an ``onnx.ModelProto``.
    """
    return any(one.data_type == import_onnx().TensorProto.INT8 for one in model.graph.initializer)


def meets_whole_numbers(model: Any) -> bool:
    """Return whether weights of a quantised model meet inputs of 8 bits, so that 7 bits may be needed.

    Args:
        model: an ``onnx.ModelProto``.
    """
    kinds = {node.op_type for graph in _graphs(model.graph) for node in graph.node}
    return bool(kinds & {"DynamicQuantizeLSTM", "MatMulInteger"})


def quantised_rows(weight: Array, axes: tuple[int, ...], bits: int) -> tuple[Array, Array]:
    """Return whole numbers int8 of a weight's shape, and their scales.

    Args:
        weight: float32.
        axes: along which the scales differ.
        bits: 8 or 7.

    Returns:
        q, and s with the sizes of these axes; a row of zeros has the scale 1.

    Example:
        >>> q, scale = quantised_rows(np.array([[1.0, -0.3], [0.0, 0.0]], np.float32), (0,), 8)
        >>> q.tolist(), [round(float(one), 4) for one in scale]
        ([[127, -38], [0, 0]], [0.0079, 1.0])
    """
    others = tuple(axis for axis in range(weight.ndim) if axis not in axes)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    most = (1 << (bits - 1)) - 1
    scale = np.where(largest > 0, largest / most, 1.0).astype(np.float32)
    q = np.clip(np.rint(weight / scale), -most, most).astype(np.int8)
    return q, scale.squeeze(others)


def quantise(model: Any, *, form: Form = "runtime", bits: int | None = None) -> Any:
    """Return the same model with its large weights in 8 bits.

    Args:
        model: an ``onnx.ModelProto``, which stays as it is.
        form: see the module.
        bits: 8 or 7, of weights that meet quantised inputs; None: what this processor needs. Others have 8.

    Raises:
        ConfigError: an unknown form, or other bits.

    Example:
        >>> import onnx, rnnkit, tempfile
        >>> from rnnkit.interop.onnx import export
        >>> file = export(rnnkit.LSTM(28, 64), tempfile.mkdtemp() + "/m.onnx").files["model"]
        >>> small = quantise(onnx.load(file), form="portable")
        >>> small.ByteSize() < 0.35 * file.stat().st_size
        True
    """
    check_choice(form, "form", FORMS)
    check_choice(bits, "bits", (7, 8, None))
    onnx = import_onnx()
    found = onnx.ModelProto()
    found.CopyFrom(model)
    return _Quantiser(found, form, bits_here() if bits is None else bits).run()


class _Quantiser:
    """Rewrites one model in place."""

    def __init__(self, model: Any, form: Form, bits: int) -> None:
        self.model, self.form, self.bits = model, form, bits
        self.helper, self.numpy = import_onnx().helper, import_onnx().numpy_helper
        self.arrays = {one.name: self.numpy.to_array(one) for one in model.graph.initializer}
        self.new: dict[str, Array] = {}
        self.front: list[Any] = []  # nodes that make float weights, in front of all others
        self.floats: dict[str, str] = {}
        self.uses: dict[str, list[tuple[Any, int]]] = {}
        for graph in _graphs(model.graph):
            for node in graph.node:
                for place, name in enumerate(node.input):
                    self.uses.setdefault(name, []).append((node, place))

    def run(self) -> Any:
        for graph in reversed(list(_graphs(self.model.graph))):  # bodies first: a node that is moved is copied
            self._rewrite(graph, outermost=graph is self.model.graph)
        graph = self.model.graph
        nodes = [*self.front, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for one in _graphs(graph) for node in one.node for name in node.input}
        used |= {one.name for one in graph.output}
        kept = {name: array for name, array in (self.arrays | self.new).items() if name in used}
        del graph.initializer[:]
        graph.initializer.extend(self.numpy.from_array(array, name) for name, array in kept.items())
        self._shorten()
        domains = {node.domain for one in _graphs(graph) for node in one.node}
        del self.model.opset_import[:]
        versions = {"": OPSET, RUNTIME_DOMAIN: 1}
        self.model.opset_import.extend(self.helper.make_opsetid(name, versions[name]) for name in sorted(domains))
        return self.model

    def _shorten(self) -> None:
        """Give all values but inputs and outputs short names, and nodes none: a tenth of a small file."""
        graph = self.model.graph
        short = {one.name: one.name for one in (*graph.input, *graph.output)} | {"": ""}

        def named(names: Any) -> list[str]:
            return [short.setdefault(name, f"v{len(short)}") for name in names]

        for one in graph.initializer:
            one.name = named([one.name])[0]
        for inner in _graphs(graph):
            inner.name = inner.name if inner is graph else "body"
            for value in (*inner.input, *inner.output) if inner is not graph else ():
                value.name = named([value.name])[0]
            for node in inner.node:
                node.ClearField("name")
                given, made = named(node.input), named(node.output)
                del node.input[:], node.output[:]
                node.input.extend(given)
                node.output.extend(made)

    # --- what is quantised -------------------------------------------------------------------------------------------

    def _large(self, name: str) -> bool:
        array = self.arrays.get(name)
        return array is not None and array.dtype == np.float32 and array.ndim >= 2 and array.size >= LEAST

    def _stored(self, name: str, axis: int, bits: int) -> tuple[str, str]:
        """The names of the whole numbers and the scales of a weight."""
        q, scale = f"{name}_int{bits}", f"{name}_scale"
        if q not in self.new:
            self.new[q], self.new[scale] = quantised_rows(self.arrays[name], (axis,), bits)
        return q, scale

    def _rewrite(self, graph: Any, outermost: bool) -> None:
        nodes = list(graph.node)
        del graph.node[:]
        for node in nodes:
            graph.node.extend(self._replaced(node, outermost))

    def _replaced(self, node: Any, outermost: bool) -> list[Any]:
        kind, inputs = node.op_type, list(node.input)
        if kind == "Gather" and self._large(inputs[0]) and self._rows_alone(inputs[0]):
            return self._gathered(node)
        if kind == "MatMul" and outermost and self.form == "runtime":
            if self._large(inputs[1]) and self.arrays[inputs[1]].ndim == 2 and self.arrays[inputs[1]].size >= _PRODUCT:
                q, scale = self._stored(inputs[1], 1, self.bits)
                return self._product(node, q, scale)
            tied = self._tied(inputs[1])
            if tied is not None:
                q, scale = self._stored(tied, 0, self.bits)
                turned = f"{node.name}/turned"
                return [self._node("Transpose", [q], [turned], perm=[1, 0]), *self._product(node, turned, scale)]
        if kind == "LSTM" and self.form == "runtime" and self._large(inputs[1]) and self._large(inputs[2]):
            return [self._lstm(node)]
        places = {"MatMul": (1,), "Gemm": (1,), "Conv": (1,), "Transpose": (0,), **dict.fromkeys(_RECURRENT, (1, 2))}
        for place in places.get(kind, ()):
            if place < len(inputs) and self._large(inputs[place]):
                node.input[place] = self._as_float(inputs[place], kind)
        return [node]

    def _rows_alone(self, name: str) -> bool:
        """Whether a table is used by its rows: gathered, and turned for a product."""
        return all(node.op_type in ("Gather", "Transpose") and place == 0 for node, place in self.uses[name])

    def _tied(self, name: str) -> str | None:
        """The table of an embedding whose transpose a product reads; None where it reads another thing."""
        for graph in _graphs(self.model.graph):
            for node in graph.node:
                if node.op_type == "Transpose" and node.output[0] == name and self._large(node.input[0]):
                    return str(node.input[0])
        for sources in self.uses.values():
            for node, _ in sources:
                if node.op_type == "Transpose" and node.output[0] == name and node.input[0] in self.arrays:
                    return str(node.input[0])
        return None

    # --- how it is written -------------------------------------------------------------------------------------------

    def _node(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> Any:
        return self.helper.make_node(kind, inputs, outputs, name=outputs[0], domain=domain, **attributes)

    def _gathered(self, node: Any) -> list[Any]:
        table, ids = node.input[0], node.input[1]
        bits = (
            self.bits if self.form == "runtime" and len(self.uses[table]) > 1 else 8
        )  # of tied weights, also a product's
        q, scale = self._stored(table, 0, bits)
        at = node.name
        minus = f"{at}/last"
        self.new[minus] = np.array([-1], np.int64)
        return [
            self._node("Gather", [q, ids], [f"{at}/q"], axis=0),
            self._node("Cast", [f"{at}/q"], [f"{at}/float"], to=FLOAT),
            self._node("Gather", [scale, ids], [f"{at}/scale"], axis=0),
            self._node("Unsqueeze", [f"{at}/scale", minus], [f"{at}/column"]),
            self._node("Mul", [f"{at}/float", f"{at}/column"], [node.output[0]]),
        ]

    def _product(self, node: Any, q: str, scale: str) -> list[Any]:
        at = node.name
        return [
            self._node("DynamicQuantizeLinear", [node.input[0]], [f"{at}/q", f"{at}/scale", f"{at}/zero"]),
            self._node("MatMulInteger", [f"{at}/q", q, f"{at}/zero"], [f"{at}/sum"]),
            self._node("Cast", [f"{at}/sum"], [f"{at}/float"], to=FLOAT),
            self._node("Mul", [f"{at}/scale", scale], [f"{at}/scales"]),
            self._node("Mul", [f"{at}/float", f"{at}/scales"], [node.output[0]]),
        ]

    def _lstm(self, node: Any) -> Any:
        """ONNX Runtime's operator: weights [D, I, 4H] with a scale for each direction and row."""
        names = []
        for place in (1, 2):
            name = node.input[place]
            q, scale = quantised_rows(self.arrays[name], (0, 1), self.bits)
            if q.ndim == 3 and scale.ndim == 1:
                scale = scale.reshape(q.shape[:2])
            self.new[f"{name}_q"] = np.ascontiguousarray(q.transpose(0, 2, 1))
            self.new[f"{name}_scale"] = scale
            self.new[f"{name}_zero"] = np.zeros(scale.shape, np.int8)
            names.append(name)
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        w, r = names
        inputs[1], inputs[2] = f"{w}_q", f"{r}_q"
        inputs += [f"{w}_scale", f"{w}_zero", f"{r}_scale", f"{r}_zero"]
        made = self.helper.make_node(
            "DynamicQuantizeLSTM", inputs, list(node.output), name=node.name, domain=RUNTIME_DOMAIN
        )
        made.attribute.extend(node.attribute)
        return made

    def _as_float(self, name: str, kind: str) -> str:
        """A weight that DequantizeLinear makes of whole numbers, in front of the graph."""
        if name in self.floats:
            return self.floats[name]
        array, made = self.arrays[name], f"{name}_float"
        if kind in _RECURRENT:
            self._recurrent_float(name, array, made)
        else:
            axis = 1 if kind in ("MatMul", "Gemm") else 0
            table = kind == "Transpose" and self._rows_alone(name)
            bits = self.bits if table and self.form == "runtime" else 8
            whole, scales = self._stored(name, axis, bits)
            self.front.append(self._node("DequantizeLinear", [whole, scales], [made], axis=axis))
        self.floats[name] = made
        return made

    def _recurrent_float(self, name: str, array: Array, made: str) -> None:
        """Weights [D, G·H, I] of whole numbers with the scales of both directions in one row."""
        shape, flat, size = f"{name}_shape", f"{name}_flat", array.shape[2]
        rows, diagonal = array.reshape(-1, size), None
        if array.shape[1] % size == 0:  # of the state: a square for each gate
            blocks = array.reshape(-1, size, size)
            diagonal = dwarfing_diagonal(torch.tensor(blocks))
            if diagonal is not None:
                rows = (blocks * (1 - np.eye(size, dtype=np.float32))).reshape(rows.shape)
        self.new[shape] = np.array(array.shape, np.int64)
        self.new[f"{name}_int8"], self.new[f"{name}_scale"] = quantised_rows(rows, (0,), 8)
        self.front.append(self._node("DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [flat], axis=0))
        if diagonal is not None:
            side, square, eye = f"{name}_side", f"{name}_square", f"{name}_eye"
            self.new[side], self.new[f"{name}_diagonal"] = (
                np.array([size, size], np.int64),
                diagonal[:, :, None].numpy(),
            )
            self.new[square] = np.array([-1, size, size], np.int64)
            self.front += [
                self._node("ConstantOfShape", [side], [f"{eye}_zeros"]),
                self._node("EyeLike", [f"{eye}_zeros"], [eye]),
                self._node("Mul", [eye, f"{name}_diagonal"], [f"{eye}_scaled"]),
                self._node("Reshape", [flat, square], [f"{flat}_blocks"]),
                self._node("Add", [f"{flat}_blocks", f"{eye}_scaled"], [f"{flat}_whole"]),
            ]
            flat = f"{flat}_whole"
        self.front.append(self._node("Reshape", [flat, shape], [made]))


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph, and the bodies of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
