"""Write a model as ONNX files, with a description in JSON beside them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from ...errors import ConfigError, DataError, check_choice
from ...layers.quantized import refuse_quantized
from ...serialization import replacing, strict
from ..formats import Report, Request
from .checking import TOLERANCE, Deviation, Session, check_part, rounding_of
from .comparing import Quantised, checked_rows, compare
from .dense import kind_of
from .graph import OPSET
from .library import import_onnx
from .models import parts_of
from .parts import Part
from .quantising import FORMS, LEAST, Form, bits_here, has_whole_numbers, meets_whole_numbers, quantise
from .writer import Unsupported

_LARGEST = 1 << 31
"""Bytes of one message of ONNX's format."""


@dataclass(frozen=True)
class Exported:
    """What :func:`export` has written.

    Attributes:
        files: the graphs by the name of the part; "model" where there is one.
        description: the file in JSON.
        deviations: of each part from rnnkit, where they were checked; of graphs in float32.
        quantised: size, time and accuracy before and after, where the weights are in 8 bits.
    """

    files: dict[str, Path]
    description: Path
    deviations: tuple[Deviation, ...] = ()
    quantised: tuple[Quantised, ...] = ()


def export(
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    *,
    states: bool = True,
    check: bool = False,
    int8: Form | None = None,
    bits: int | None = None,
    rows: tuple[Any, ...] | None = None,
    description: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model as one or several ONNX graphs, and what they take and return as JSON beside them.

    The graph is written operator by operator from the model's layers. Sequences are batch first; their lengths are an
    input; batch and time are free. Where the model can continue from a state, the tensors of its state are named inputs
    and outputs: a stream feeds each output back. A model of several graphs (an encoder and a decoder) gets a file for
    each, as in ``model.encoder.onnx``.

    Args:
        model: one of rnnkit's models, or a layer over sequences. It is written in float32 and in evaluation mode.
        path: the file, which ends in ``.onnx``; the description is beside it and ends in ``.json``.
        states: False leaves states out: each call reads whole sequences.
        check: compare what ONNX Runtime returns with rnnkit, at three lengths and two batches, whole and in chunks.
        int8: "runtime" or "portable": weights in 8 bits, see :mod:`rnnkit.interop.onnx.quantising`; None: float32.
        bits: 8, or 7 for x86 processors without VNNI; None: what this processor needs.
        rows: (inputs, targets), or (inputs, targets, loss), on which the files in float32 and in 8 bits are compared.
            None for the loss is the model's own.
        description: further JSON values for the description, such as the preprocessing.

    Raises:
        ConfigError: the model, or one of its options, cannot be written; or the path cannot.
        DataError: with ``check``, the graph computes something else; or ``rows`` do not fit the model.
        MissingExtraError: onnx, or for the check onnxruntime, is not installed.

    Example:
        >>> import tempfile, rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64), classes=10)
        >>> exported = export(model, tempfile.mkdtemp() + "/digits.onnx", check=True)
        >>> exported.description.name, exported.deviations[0].worst < 1e-5
        ('digits.json', True)
    """
    path = checked_path(path)
    if int8 is None and bits is not None:
        raise ConfigError(f"bits={bits} arrived without int8; add int8='runtime', or leave it out")
    if int8 is None and rows is not None:
        raise ConfigError("rows= arrived without int8, whose files are compared on them; add int8='runtime'")
    measured = None if rows is None else checked_rows(rows)
    refuse_quantized(model, "be exported")
    parts = prepared(model, states=states)
    deviations = tuple(checked(model, parts, states=states)) if check else ()
    facts = dict(description or {})
    if int8 is None:
        return written(parts, path, model, facts, deviations)
    chosen = bits_here() if bits is None else bits
    check_choice(int8, "int8", FORMS)
    check_choice(chosen, "bits", (7, 8))

    def small(content: bytes) -> bytes:
        made = import_onnx().load_model_from_string(content)
        found: bytes = quantise(made, form=int8, bits=chosen).SerializeToString()
        return found

    def told_bits(content: bytes) -> tuple[int, str]:
        made = import_onnx().load_model_from_string(content)
        if not has_whole_numbers(made):
            return 32, f"as no weight has {LEAST} entries or more"
        if not meets_whole_numbers(made):
            return 8, "as no weight meets inputs of 8 bits"
        if bits is not None:
            return bits, "as asked"
        if chosen == 7:
            return 7, "as this processor lacks VNNI (--bits 8 for one that has it)"
        return 8, "as 8 bits do not overflow on this processor (--bits 7 for an x86 without VNNI)"

    found = []
    for part in parts:
        plain = serialized(part)
        told = measured if len(parts) == 1 else None
        smaller = small(plain)
        many, reason = told_bits(smaller)
        found.append(compare(part, plain, smaller, form=int8, bits=many, reason=reason, model=model, rows=told))
    facts["int8"] = [asdict(one) for one in found]
    return replace(written(parts, path, model, facts, deviations, small), quantised=tuple(found))


def prepared(model: Any, *, states: bool = True) -> list[Part]:
    """Return the graphs of a model, in float32 and in evaluation mode; the model itself is left as it is."""
    import_onnx()
    if not isinstance(model, torch.nn.Module):
        raise ConfigError(f"model is a {type(model).__name__}; expected a module: rnnkit.load(path)")
    if any(weight.is_meta for weight in model.parameters()):
        raise ConfigError("the model has weights without values (device='meta'); load them first: rnnkit.load(path)")
    return parts_of(as_exported(model), states=states)


def as_exported(model: torch.nn.Module, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """A copy in evaluation mode on the CPU."""
    return copy.deepcopy(model).to("cpu", dtype).eval()


def checked(model: torch.nn.Module, parts: list[Part], *, states: bool) -> list[Deviation]:
    """Compare graphs with rnnkit.

    A recurrence can multiply rounding errors, above all with layer normalisation. Where a graph deviates by more than
    1e-5, it may deviate by ten times as much as rnnkit's own float32 does from float64.

    Raises:
        DataError: a graph computes something else.
    """
    found = []
    for number, part in enumerate(parts):
        deviation = check_part(part, Session(serialized(part), threads=1))
        if deviation.worst > TOLERANCE:
            exact = parts_of(as_exported(model, torch.float64), states=states)[number]
            rounding = rounding_of(part, exact)
            if not isfinite(rounding):
                raise DataError(
                    f"rnnkit's own answers, those of the graph {deviation.part!r}, are not finite on made inputs: "
                    "weights hold NaN, or are too large. Nothing was written"
                )
            if deviation.worst > 10 * rounding:
                raise DataError(
                    f"the graph {deviation.part!r} deviates from rnnkit by {deviation.worst:.1e}, rnnkit's own float32 "
                    f"from float64 by {rounding:.1e}; expected at most {TOLERANCE:g}. Nothing was written"
                )
        found.append(deviation)
    return found


def serialized(part: Part, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a part's file.

    Raises:
        ConfigError: they are more than a file of ONNX's can hold.
    """
    size = sum(array.nbytes for array in part.graph.constants.values())
    if size >= _LARGEST:
        raise Unsupported(
            f"the weights take {size / 1e9:.1f} GB; an ONNX file holds at most 2.1 GB. Export a smaller model"
        )
    found: bytes = part.graph.model(dict(metadata or {}), _version()).SerializeToString()
    return found


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to write.

    Raises:
        ConfigError: it does not end in .onnx, or is a folder.
    """
    found = Path(path)
    if found.suffix != ".onnx":
        raise ConfigError.of("path", str(path), "expected a name that ends in .onnx, such as model.onnx")
    if found.is_dir():
        raise ConfigError.of("path", str(path), "expected a file, but it is a folder")
    return found


def file_of(path: Path, part: str) -> Path:
    """Return the file of a part: the path itself, or with the part's name in it."""
    return path if not part else path.with_name(f"{path.stem}.{part}{path.suffix}")


def written(
    parts: list[Part],
    path: Path,
    model: Any,
    description: Mapping[str, Any],
    deviations: tuple[Deviation, ...] = (),
    change: Callable[[bytes], bytes] | None = None,
) -> Exported:
    """Write all files of a model, changed by a function where there is one.

    Raises:
        ConfigError: a file cannot be written.
    """
    files = {part.name or "model": file_of(path, part.name) for part in parts}
    facts = {
        "format": "rnnkit onnx",
        "version": 1,
        "rnnkit": _version(),
        "opset": OPSET,
        "model": kind_of(model).__name__,
        "parts": [part.as_json(files[part.name or "model"].name) for part in parts],
        **strict(dict(description)),
    }
    beside = path.with_suffix(".json")
    metadata = {"rnnkit": _version(), "model": facts["model"], "description": beside.name}
    try:
        for part in parts:
            content = serialized(part, metadata | {"part": part.name or "model"})
            content = content if change is None else change(content)
            with replacing(files[part.name or "model"]) as temporary:
                temporary.write_bytes(content)
        with replacing(beside) as temporary:
            temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error}); name another place") from error
    return Exported(files, beside, deviations)


def write(model: Any, path: Path, request: Request) -> Report:
    """Write a model as ``rnnkit export --to onnx`` does; see :class:`rnnkit.interop.formats.Format`."""
    options = request.options
    if options.get("portable") and not options.get("int8"):
        raise ConfigError("--portable arrived without --int8; it says how weights of 8 bits are written: add --int8")
    if options.get("bits") is not None and not options.get("int8"):
        raise ConfigError(f"--bits {options['bits']} arrived without --int8: add --int8")
    form: Form | None = None
    if options.get("int8"):
        form = "portable" if options.get("portable") else "runtime"
    rows = request.rows() if form is not None and request.rows is not None else None
    exported = export(
        model,
        path,
        states=not options.get("whole"),
        check=bool(options.get("check")),
        int8=form,
        bits=options.get("bits"),
        rows=None if rows is None else rows[:3],
        description=request.description,
    )
    lines = []
    for one in exported.deviations:
        parts = [f"whole {max(one.largest.values()):.1e}"]
        if one.in_chunks is not None:
            parts.append(f"in chunks {one.in_chunks:.1e}")
        lines.append(f"Checked {one.part} in {one.cases} calls; the largest deviation: {', '.join(parts)}")
    lines += [line for one in exported.quantised for line in one.lines()]
    if any(one.figures for one in exported.quantised) and rows is not None:
        lines.append(f"Figures are of {rows[3]}")
    elif form is not None:
        lines.append("Outputs were compared on made inputs alone, on no rows with known answers")
    return Report((*exported.files.values(), exported.description), tuple(lines))


def _version() -> str:
    try:
        return version("rnnkit")
    except PackageNotFoundError:
        return "unknown"
