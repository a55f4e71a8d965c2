"""Run exported graphs by ONNX Runtime and compare with rnnkit: several lengths and batches, whole and in chunks.

The deviation of a number y from rnnkit's r is |y − r| / max(1, |r|).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...errors import DataError
from .library import import_runtime
from .parts import Part, Tensor, Values

TOLERANCE = 1e-5
_LENGTHS = (1, 7, 23)
_BATCHES = (1, 3)
_STEPS = 5  # of a part that takes one at a time
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Deviation:
    """How far an exported graph is from rnnkit.

    Attributes:
        part: the name of the part.
        largest: the largest deviation by the name of the output; of states, too.
        in_chunks: the largest deviation of what came in chunks from rnnkit's whole; None where nothing may.
        cases: the number of calls that were compared.
    """

    part: str
    largest: dict[str, float]
    in_chunks: float | None
    cases: int

    @property
    def worst(self) -> float:
        """The largest of all."""
        return max([*self.largest.values(), self.in_chunks or 0.0])


class Session:
    """A graph in ONNX Runtime, which takes and returns tensors.

    Args:
        model: a file, or the bytes of one.
        threads: of ONNX Runtime; None: as many as it takes.

    Raises:
        DataError: ONNX Runtime cannot open it. MissingExtraError: onnxruntime is not installed.

    Example:
        >>> import tempfile, rnnkit
        >>> from rnnkit.interop.onnx import export
        >>> exported = export(rnnkit.GRU(3, 5, bidirectional=True), tempfile.mkdtemp() + "/layer.onnx")
        >>> session = Session(exported.files["model"])
        >>> found = session({"x": torch.zeros(2, 7, 3), "lengths": torch.tensor([7, 4])})
        >>> {name: tuple(value.shape) for name, value in found.items()}
        {'y': (2, 7, 10)}
    """

    def __init__(self, model: str | os.PathLike[str] | bytes, threads: int | None = None) -> None:
        runtime = import_runtime()
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        content = model if isinstance(model, bytes) else os.fspath(model)
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the errors of onnxruntime share no other base class
            where = "the graph" if isinstance(model, bytes) else str(model)
            raise DataError(f"ONNX Runtime cannot open {where}: {str(error).splitlines()[0]}") from error
        self.inputs = [one.name for one in self._session.get_inputs()]
        self.outputs = [one.name for one in self._session.get_outputs()]

    def __call__(self, values: Values) -> Values:
        """Return the outputs by name."""
        fed = {name: values[name].detach().numpy() for name in self.inputs}
        found = self._session.run(None, fed)
        return {name: torch.from_numpy(np.asarray(one)) for name, one in zip(self.outputs, found, strict=True)}


def start_of(part: Part, batch: int) -> Values:
    """Return the states before the first step, by the names of the inputs."""
    found = {}
    for state in part.states:
        if state.start is None:
            sizes = [batch if isinstance(one, str) else one for one in state.shape]
            found[state.input] = torch.zeros(sizes)
        else:
            begin = torch.from_numpy(state.start)
            sizes = list(begin.shape)
            sizes[state.batch_axis] = batch
            found[state.input] = begin.expand(sizes).contiguous()
    return found


def begin_of(part: Part, batch: int, inputs: Values) -> Values:
    """Return the states before the first step, those of made inputs where they have some."""
    return {name: inputs.get(name, value) for name, value in start_of(part, batch).items()}


def deviation(found: Tensor, expected: Tensor) -> float:
    """Return the largest deviation; infinite where the shapes differ or a number is none."""
    if found.shape != expected.shape:
        return float("inf")
    if not found.numel():
        return 0.0
    one, other = found.double(), expected.double()
    apart = (one - other).abs() / other.abs().clamp(min=1)
    apart = torch.where(one == other, torch.zeros_like(apart), apart)  # infinite ones, too
    return float("inf") if bool(apart.isnan().any()) else float(apart.max())


def check_part(
    part: Part,
    session: Session,
    *,
    lengths: Sequence[int] = _LENGTHS,
    batches: Sequence[int] = _BATCHES,
    seed: int = 0,
) -> Deviation:
    """Compare a graph with rnnkit on made inputs.

    Args:
        part: the graph.
        session: the same in ONNX Runtime.
        lengths: numbers of steps.
        batches: numbers of rows.
        seed: of the inputs.
    """
    generator = torch.Generator().manual_seed(seed)
    largest: dict[str, float] = {}
    chunks: float | None = 0.0 if part.in_chunks and part.states else None
    times = (part.least_steps,) if part.fixed_steps else tuple(one + part.least_steps - 1 for one in lengths)
    cases = 0
    with torch.no_grad():
        for batch in batches:
            for time in times:
                inputs = part.example(batch, time, generator)
                begin = begin_of(part, batch, inputs)
                own: list[Tensor] | None = None
                for _ in range(min(time, _STEPS) if part.stepwise else 1):
                    found = session({**begin, **inputs})
                    outputs, after = part.run(inputs, own)
                    expected = outputs | {port.output: leaf for port, leaf in zip(part.states, after, strict=False)}
                    for name, value in expected.items():
                        largest[name] = max(largest.get(name, 0.0), deviation(found[name], value))
                    cases += 1
                    if part.stepwise:  # another token, from the state that each has reached
                        own, fresh = after, part.example(batch, time, generator)
                        begin = {port.input: found[port.output] for port in part.states}
                        inputs = {name: fresh[name] if name == "ids" else one for name, one in inputs.items()
                                  if name not in begin}  # fmt: skip
                if chunks is not None and time > 1:
                    chunks = max(chunks, _in_chunks(part, session, inputs, begin))
                    cases += 1
    return Deviation(part.name or "model", largest, chunks, cases)


def _in_chunks(part: Part, session: Session, inputs: Values, state: Values) -> float:
    """The deviation of what the graph returns in chunks of 1, 2, 3 … steps from what rnnkit returns of the whole."""
    inputs = {name: torch.full_like(one, inputs["x"].shape[1]) if name == "lengths" else one
              for name, one in inputs.items()}  # fmt: skip
    outputs, after = part.run(inputs, None)
    time = max(inputs[name].shape[1] for name in part.in_chunks if name in inputs)
    begin, number, pieces = 0, 1, []
    while begin < time:
        end = min(time, begin + number)
        piece = {
            name: one[:, begin:end].contiguous() if name in part.in_chunks else one for name, one in inputs.items()
        }
        if "lengths" in piece:
            piece["lengths"] = torch.full_like(piece["lengths"], end - begin)
        if "last" in piece:
            piece["last"] = torch.tensor(end == time)
        pieces.append(session({**piece, **state}))
        state = {port.input: pieces[-1][port.output] for port in part.states}
        begin, number = end, number + 1
    worst = 0.0
    for name, expected in outputs.items():
        whole = torch.cat([one[name] for one in pieces], 1) if name in part.in_chunks else pieces[-1][name]
        worst = max(worst, deviation(whole, expected))
    for port, leaf in zip(part.states, after, strict=False):
        worst = max(worst, deviation(state[port.input], leaf))
    return worst


def rounding_of(part: Part, exact: Part, *, batch: int = 3, time: int = 23, seed: int = 0) -> float:
    """Return how far rnnkit in float32 is from the same in float64.

    Args:
        part: of the model in float32.
        exact: of its copy in float64.
        batch, time: of the made inputs.
        seed: of these.
    """
    steps = part.least_steps if part.fixed_steps else time + part.least_steps - 1
    inputs = part.example(batch, steps, torch.Generator().manual_seed(seed))
    wide = {name: one.double() if one.is_floating_point() else one for name, one in inputs.items()}
    with torch.no_grad():
        found, after = part.run(inputs, None)
        expected, exactly = exact.run(wide, None)
    pairs = [(found[name], expected[name]) for name in found] + list(zip(after, exactly, strict=True))
    return max(deviation(one, other) for one, other in pairs)
