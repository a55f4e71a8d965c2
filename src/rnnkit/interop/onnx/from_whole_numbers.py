"""Weights in 8 bits of an ONNX graph as float32, w = s (q − z), before the graph is read as layers.

What ``rnnkit export --int8`` writes in either form, and what ONNX Runtime's ``quantize_dynamic`` writes, becomes the
usual operators again:

    DequantizeLinear of a constant                                 →  a constant
    DynamicQuantizeLinear, MatMulInteger, Cast, Mul                →  MatMul
    Gather of rows of whole numbers, times their scales            →  Gather
    DynamicQuantizeLSTM                                            →  LSTM

Inputs that a graph rounds as they come are not rounded any more: answers are those of the rounded weights in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...errors import DataError, Place
from .files import Array, array_of
from .from_nodes import attributes_of
from .graph import FLOAT, INT8, RUNTIME_DOMAIN, UINT8
from .library import import_onnx

_SMALL = 4096  # entries of a constant that a graph may make of nothing
_WHOLE = ("int8", "uint8")


class _Unfinished(NamedTuple):
    """A value on the way from whole numbers to a product or to rows of a table.

    Attributes:
        kind: "input" (rounded), "scale" and "zero" (of it), "sum" (of products), "scales" (of the sum), "rows" (of a
            table of whole numbers), "row scales" (of these).
        source: the value of the network that it comes from.
        array: constants: the weight q − z, the scales, or the table.
        turned: what transposed the rows; None: nothing.
    """

    kind: str
    source: str
    array: Array | None = None
    turned: Any = None


def has_whole_numbers(model: Any) -> bool:
    """Return whether a model has weights in 8 bits.

    Args:
        model: an ``onnx.ModelProto``.
    """
    return any(one.data_type in (INT8, UINT8) for one in model.graph.initializer)


def as_floats(model: Any, place: Place) -> Any:
    """Return the same model with its weights of 8 bits as float32, and without the operators for whole numbers.

    Args:
        model: an ``onnx.ModelProto``, which stays as it is.
        place: of the file.

    Raises:
        DataError: an operator uses whole numbers in a form that is not read.

    Example:
        >>> import onnx, rnnkit, tempfile
        >>> from rnnkit.interop.onnx import export
        >>> folder = tempfile.mkdtemp()
        >>> file = export(rnnkit.LSTM(28, 64), folder + "/m.onnx", int8="portable").files["model"]
        >>> found = as_floats(onnx.load(file), Place(str(file)))
        >>> has_whole_numbers(onnx.load(file)), has_whole_numbers(found)
        (True, False)
    """
    return _Rewriter(model, place).run()


class _Rewriter:
    def __init__(self, model: Any, place: Place) -> None:
        self.model, self.place = model, place
        self.helper, self.numpy = import_onnx().helper, import_onnx().numpy_helper
        self.constants: dict[str, Array] = {one.name: array_of(one, place) for one in model.graph.initializer}
        self.most = max(_SMALL, sum(one.size for one in self.constants.values()))
        self.unfinished: dict[str, _Unfinished] = {}
        self.nodes: list[Any] = []
        self.written: dict[tuple[int, str], str] = {}

    def run(self) -> Any:
        for node in self.model.graph.node:
            self._follow(node)
        found = import_onnx().ModelProto()
        found.CopyFrom(self.model)
        del found.graph.node[:], found.graph.initializer[:]
        found.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input}
        found.graph.initializer.extend(
            self.numpy.from_array(np.ascontiguousarray(array), name)
            for name, array in self.constants.items()
            if name in used
        )
        return found

    def error(self, problem: str, node: Any) -> DataError:
        return DataError(f"the operator {node.op_type} ({node.name or node.output[0]}) {problem}", self.place)

    def _follow(self, node: Any) -> None:
        given = [name for name in node.input if name]
        if node.op_type == "DynamicQuantizeLSTM" and node.domain == RUNTIME_DOMAIN:
            self.nodes.append(self._lstm(node))
            return
        fold = _FOLDED.get(node.op_type)
        if fold is not None and given and all(name in self.constants for name in given):
            self._fold(node, fold)
            return
        if node.op_type in ("Constant", "Shape"):
            self.nodes.append(node)
            return
        for rule in (self._begun, self._gone_on, self._ended):
            if rule(node):
                return
        whole = [name for name in given if name in self.unfinished or self._is_whole(name)]
        if whole:
            raise self.error(
                f"reads the whole numbers {whole[0]!r} in a form that is not read; import the file with weights in "
                "float32, or export it anew with --int8 --portable",
                node,
            )
        self.nodes.append(node)

    def _is_whole(self, name: str) -> bool:
        return name in self.constants and self.constants[name].dtype.name in _WHOLE

    def _fold(self, node: Any, fold: Callable[..., Array]) -> None:
        """Note what an operator makes of constants."""
        inputs = [self.constants[name] if name else None for name in node.input]
        try:
            self.constants[node.output[0]] = fold(inputs, attributes_of(node, self.place), self.most)
        except (ValueError, IndexError, TypeError) as error:
            raise self.error(f"does not fit its constants ({error})", node) from None

    # --- products and rows -------------------------------------------------------------------------------------------

    def _begun(self, node: Any) -> bool:
        """What rounds the network's values, and what reads whole numbers by them."""
        kind, inputs = node.op_type, node.input
        if kind == "DynamicQuantizeLinear":
            for name, made in zip(node.output, ("input", "scale", "zero"), strict=True):
                self.unfinished[name] = _Unfinished(made, inputs[0])
            return True
        if kind == "MatMulInteger":
            rounded = self.unfinished.get(inputs[0])
            if rounded is None or rounded.kind != "input" or not self._is_whole(inputs[1]):
                raise self.error("multiplies something else than rounded values and constants", node)
            zero = self.constants.get(inputs[3]) if len(inputs) > 3 and inputs[3] else None
            self.unfinished[node.output[0]] = _Unfinished(
                "sum", rounded.source, _shifted(self.constants[inputs[1]], zero)
            )
            return True
        if kind == "Gather" and inputs[0] in self.constants and inputs[1] not in self.constants:
            table = self.constants[inputs[0]]
            if table.dtype.name in _WHOLE or (table.ndim == 1 and table.dtype.kind == "f"):
                made = "rows" if table.dtype.name in _WHOLE else "row scales"
                self.unfinished[node.output[0]] = _Unfinished(made, inputs[1], table)
                return True
        return False

    def _gone_on(self, node: Any) -> bool:
        """What changes nothing, and the scales of a product."""
        first = self.unfinished.get(node.input[0]) if node.input else None
        if node.op_type in ("Cast", "Unsqueeze") and first is not None and first.array is not None:
            self.unfinished[node.output[0]] = first
            return True
        if node.op_type == "Transpose" and first is not None and first.kind == "rows" and first.turned is None:
            self.unfinished[node.output[0]] = first._replace(turned=node)
            return True
        if node.op_type == "Mul":
            for one, other in (tuple(node.input), tuple(node.input)[::-1]):
                found = self.unfinished.get(one)
                if found is not None and found.kind == "scale" and other in self.constants:
                    self.unfinished[node.output[0]] = _Unfinished("scales", found.source, self.constants[other])
                    return True
        return False

    def _ended(self, node: Any) -> bool:
        """Whole numbers times their scales: the product, or the rows, in float32."""
        inputs = [self.unfinished.get(name) for name in node.input]
        if node.op_type == "Mul" and all(one is not None and one.array is not None for one in inputs):
            parts = {one.kind: one for one in inputs if one is not None}
            for whole, scales, kind in (("sum", "scales", "MatMul"), ("rows", "row scales", "Gather")):
                if set(parts) == {whole, scales} and parts[whole].source == parts[scales].source:
                    q, scale = parts[whole].array, parts[scales].array
                    assert q is not None
                    assert scale is not None
                    weight = q.astype(np.float32) * (scale[:, None] if kind == "Gather" else scale)
                    self._written(node, kind, parts[whole], weight)
                    return True
        if node.op_type == "DequantizeLinear" and inputs[0] is not None and inputs[0].kind == "rows":
            scale, zero = (self.constants.get(name) for name in (*node.input[1:], *["", ""][len(node.input) - 1 :]))
            table = inputs[0].array
            if table is not None and scale is not None and scale.size == 1:
                self._written(node, "Gather", inputs[0], _shifted(table, zero) * scale.reshape(()))
                return True
        return False

    def _written(self, node: Any, kind: str, found: _Unfinished, weight: Array) -> None:
        """Write a product or a table's rows in place of the last operator of several."""
        last = node.output[0]
        key = (id(found.array), found.source)  # rows may be made floats once for a layer, and once for their shape
        if kind != "Gather" or key not in self.written:
            name = f"{last}/weight"
            made = self.written[key] = last if found.turned is None else f"{last}/rows"
            self.constants[name] = weight.astype(np.float32)
            inputs = [name, found.source] if kind == "Gather" else [found.source, name]
            self.nodes.append(self.helper.make_node(kind, inputs, [made], name=node.name))
        made = self.written[key]
        if made != last:
            moved = "Identity" if found.turned is None else "Transpose"
            self.nodes.append(self.helper.make_node(moved, [made], [last], name=node.name))
            self.nodes[-1].attribute.extend([] if found.turned is None else found.turned.attribute)

    # --- the recurrence ----------------------------------------------------------------------------------------------

    def _lstm(self, node: Any) -> Any:
        """ONNX Runtime's operator: weights [D, I, 4H], scales and zeros [D] or [D, 4H]."""
        inputs = [*node.input, *[""] * (12 - len(node.input))]
        for at, scale, zero in ((1, 8, 9), (2, 10, 11)):
            q, s, z = (self.constants.get(inputs[place]) for place in (at, scale, zero))
            if q is None or s is None or not self._is_whole(inputs[at]) or q.ndim != 3 or s.shape[:1] != q.shape[:1]:
                raise self.error("has weights that are no constants of whole numbers with their scales", node)
            try:
                weight = _shifted(q, None if z is None else z.reshape(len(q), 1, -1)) * s.reshape(len(q), 1, -1)
            except ValueError as error:
                raise self.error(f"has weights and scales that do not fit ({error})", node) from None
            inputs[at] = f"{inputs[at]}/{node.output[0] or at}/float"
            self.constants[inputs[at]] = weight.transpose(0, 2, 1).astype(np.float32)
        made = self.helper.make_node("LSTM", inputs[:8], list(node.output), name=node.name)
        made.attribute.extend(node.attribute)
        return made


def _shifted(q: Array, zero: Array | None) -> Array:
    return q.astype(np.float32) if zero is None else q.astype(np.float32) - zero.astype(np.float32)


# --- operators on constants ------------------------------------------------------------------------------------------


def _dequantized(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    q, scale, zero = (*inputs, None)[:3]
    assert q is not None
    assert scale is not None
    if scale.size == 1:
        return _shifted(q, None if zero is None else zero.reshape(())) * scale.reshape(())
    axis = int(options.get("axis", 1)) % q.ndim
    shape = [-1 if place == axis else 1 for place in range(q.ndim)]
    if scale.ndim != 1 or len(scale) != q.shape[axis]:
        raise ValueError(f"scales {list(scale.shape)} for whole numbers {list(q.shape)}, axis {axis}")
    return _shifted(q, None if zero is None else zero.reshape(shape)) * scale.reshape(shape)


def _zeros(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    sizes = [] if inputs[0] is None else [int(one) for one in inputs[0].ravel()]
    value = options.get("value", np.zeros(1, np.float32))
    if any(one < 0 for one in sizes) or math.prod(sizes) > most:
        raise ValueError(f"sizes {sizes}")
    return np.full(sizes, value.reshape(-1)[0])


def _eye(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    assert inputs[0] is not None
    return np.eye(*inputs[0].shape, dtype=np.float32)


def _of_two(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def fold(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
        one, other = inputs
        assert one is not None
        assert other is not None
        if math.prod(np.broadcast_shapes(one.shape, other.shape)) > most:
            raise ValueError(f"sizes {list(one.shape)} and {list(other.shape)}")
        return function(one, other)

    return fold


def _turned(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    assert inputs[0] is not None
    return np.transpose(inputs[0], options.get("perm"))


def _reshaped(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    one, sizes = inputs
    assert one is not None
    assert sizes is not None
    return one.reshape([one.shape[at] if size == 0 else int(size) for at, size in enumerate(sizes.ravel())])


def _cast(inputs: list[Array | None], options: dict[str, Any], most: int) -> Array:
    assert inputs[0] is not None
    return inputs[0].astype(np.float32) if options.get("to") == FLOAT else inputs[0]


_FOLDED: dict[str, Callable[..., Array]] = {
    "DequantizeLinear": _dequantized,
    "ConstantOfShape": _zeros,
    "EyeLike": _eye,
    "Mul": _of_two(np.multiply),
    "Add": _of_two(np.add),
    "Transpose": _turned,
    "Reshape": _reshaped,
    "Cast": _cast,
}
