"""An ONNX graph under construction: nodes, constants, inputs and outputs, written one by one.

Values are names, as in the file. Nothing is traced: each layer writes the operators that compute its equations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .library import import_onnx

OPSET = 17
"""The version of ONNX's operators that files name: the first with LayerNormalization; ONNX Runtime 1.12 reads it."""

IR_VERSION = 8
RUNTIME_DOMAIN = "com.microsoft"
FLOAT, INT64, INT32, BOOL, INT8, UINT8 = 1, 7, 6, 9, 3, 2
"""Numbers of element types, as `onnx.TensorProto` has them."""

Shape = Sequence[int | str]


class Graph:
    """A graph, or the body of a Scan within one.

    Args:
        name: of the graph.
        outer: the graph around the body; its values may be used, and it holds all constants.

    Example:
        >>> graph = Graph("double")
        >>> graph.input("x", FLOAT, ["batch"])
        'x'
        >>> graph.output(graph("Mul", "x", graph.number(2.0)), "y", FLOAT, ["batch"])
        >>> graph.model().graph.node[0].op_type
        'Mul'
    """

    def __init__(self, name: str, outer: Graph | None = None) -> None:
        self.name, self._outer = name, outer
        self.root: Graph = self if outer is None else outer.root
        """The graph around all bodies; it holds the constants."""
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        if outer is None:
            self.constants: dict[str, np.ndarray[Any, Any]] = {}
            self._known: dict[tuple[Any, ...], str] = {}
            self._counts: dict[str, int] = {}
            self._scopes: list[str] = []
            self._domains = {""}

    # --- values ------------------------------------------------------------------------------------------------------

    def input(self, name: str, kind: int, shape: Shape | None) -> str:
        """Add an input; a text among the sizes names a free one."""
        self.inputs.append(import_onnx().helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value: str, name: str, kind: int, shape: Shape | None) -> None:
        """Add an output of another name for a value."""
        self.nodes.append(import_onnx().helper.make_node("Identity", [value], [name], name=self._new("Identity")))
        self.outputs.append(import_onnx().helper.make_tensor_value_info(name, kind, shape))

    def result(self, value: str, kind: int) -> None:
        """Add an output of the body of a Scan: the value itself."""
        self.output(value, self._new("result"), kind, None)

    def constant(self, value: Any, name: str = "constant") -> str:
        """Return the name of a constant; equal ones are stored once.

        Args:
            value: an array, or a tensor.
            name: what it is called, where it is new; a number is added.
        """
        array, root = _array(value), self.root
        key = _key(array)
        if key not in root._known:
            root._known[key] = made = self._new(name)
            root.constants[made] = array
        return root._known[key]

    def constants_like(self, value: Any) -> str | None:
        """Return the name of the constant that equals an array or a tensor; None where there is none."""
        return self.root._known.get(_key(_array(value)))

    def ints(self, *values: int) -> str:
        """Return a constant int64 [n]."""
        return self.constant(np.array(values, np.int64), "ints")

    def whole(self, value: int) -> str:
        """Return a constant int64 scalar."""
        return self.constant(np.array(value, np.int64), "int")

    def number(self, value: float) -> str:
        """Return a constant float32 scalar."""
        return self.constant(np.array(value, np.float32), "number")

    # --- nodes -------------------------------------------------------------------------------------------------------

    def __call__(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output and return that; an input "" is absent."""
        return self.several(operator, *inputs, outputs=1, domain=domain, **attributes)[0]

    def several(
        self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Add a node of several outputs and return them."""
        self.root._domains.add(domain)
        name = self._new(operator)
        names = tuple(f"{name}:{place}" if outputs > 1 else name for place in range(outputs))
        helper = import_onnx().helper
        self.nodes.append(helper.make_node(operator, list(inputs), list(names), name=name, domain=domain, **attributes))
        return names

    def scan(
        self, body: Graph, states: Sequence[str], steps: Sequence[str], *, outputs: int, reverse: bool
    ) -> tuple[str, ...]:
        """Run a body over time.

        Args:
            body: takes the states and one step of each sequence, and returns the states and the outputs of the step.
            states: their first values.
            steps: sequences with the time on axis 0.
            outputs: the number of outputs of a step.
            reverse: from the last step to the first.

        Returns:
            the last states, and the outputs with the time on axis 0.
        """
        way = [int(reverse)]
        return self.several(
            "Scan", *states, *steps, outputs=len(states) + outputs, body=body.proto(), num_scan_inputs=len(steps),
            scan_input_directions=way * len(steps), scan_output_directions=way * outputs,
        )  # fmt: skip

    def body(self, name: str) -> Graph:
        """Return an empty body, which sees the values of this graph."""
        return Graph(self._new(name), self)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put a name in front of the names of the nodes that a block adds."""
        self.root._scopes.append(name)
        try:
            yield
        finally:
            self.root._scopes.pop()

    # --- the file ----------------------------------------------------------------------------------------------------

    def proto(self) -> Any:
        """Return the graph as ONNX's message."""
        onnx = import_onnx()
        constants = [] if self._outer is not None else [
            onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()
        ]  # fmt: skip
        return onnx.helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, constants)

    def model(self, metadata: dict[str, str] | None = None, producer_version: str = "") -> Any:
        """Return the model that a file holds.

        Args:
            metadata: texts by name, which stand in the file.
            producer_version: of rnnkit.
        """
        helper = import_onnx().helper
        versions = {"": OPSET, RUNTIME_DOMAIN: 1}
        made = helper.make_model(
            self.proto(),
            opset_imports=[helper.make_opsetid(domain, versions[domain]) for domain in sorted(self._domains)],
            ir_version=IR_VERSION,
            producer_name="rnnkit",
            producer_version=producer_version,
        )
        helper.set_model_props(made, metadata or {})
        return made

    def _new(self, name: str) -> str:
        root = self.root
        full = "/".join([*root._scopes, name])
        root._counts[full] = count = root._counts.get(full, 0) + 1
        return full if count == 1 else f"{full}_{count}"


def _array(value: Any) -> np.ndarray[Any, Any]:
    """An array in float32 where it has fractions."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    return np.array(array, order="C")


def _key(array: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    content = array.tobytes()
    return array.dtype.str, array.shape, content if len(content) < 1 << 10 else hashlib.sha256(content).digest()
