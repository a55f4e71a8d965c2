"""Files of rows for imported networks: which arrays are inputs and answers, and what they must hold."""

from __future__ import annotations

import shlex
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OPEN, DataError, Remedy, Words
from .inspection import INPUTS, TARGETS, lengths_of, named_arrays, tensor_of

if TYPE_CHECKING:
    import torch

    from ..models.graph import GraphModel


class ImportWords(Words):
    """How what a reader of tables advises is typed for a network that another program trained.

    Args:
        source: the file that the network was read from.

    Example:
        >>> ImportWords("their.onnx").clause(Remedy("target_column", "mood"))
        'type `rnnkit import their.onnx --target mood`'
    """

    def __init__(self, source: str) -> None:
        self.source = source

    def clause(self, remedy: Remedy) -> str | None:
        """Write a remedy; None where there is no such option."""
        if set(remedy.arguments) == {"encoding"}:
            name = "NAME" if remedy.value is OPEN else shlex.quote(str(remedy.value))
            return f"type --encoding {name} {remedy.purpose}".strip()
        if set(remedy.arguments) == {"target_column"}:
            name = "COLUMN" if remedy.value is OPEN else str(remedy.value)
            line = shlex.join(["rnnkit", "import", self.source or "FILE", "--target", name])
            return f"type `{line}` {remedy.purpose}".strip()
        if set(remedy.arguments) == {"ignore_columns"}:
            names = ", ".join(remedy.value) if isinstance(remedy.value, list | tuple) else remedy.value
            answers = self.clause(Remedy("target_column", names, "if it holds the answers"))
            return f"take it out of the file {remedy.purpose}, or {answers}"
        return None


def inputs_of(path: Path, model: GraphModel) -> tuple[list[torch.Tensor], Any]:
    """Return the inputs of an .npz file in their order, and the lengths of its rows; a single input may be named x."""
    arrays, names = named_arrays(path), model.inputs
    if len(names) == 1 and names[0] not in arrays:
        names = [next((name for name in INPUTS if name in arrays), "x")]
    lacking = [name for name in names if name not in arrays]
    if lacking:
        more = f"; the network's input is named {model.inputs[0]}" if len(names) == 1 else ""
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected an array for each input: {', '.join(names)}{more}"
        )
    found = [tensor_of(arrays[name], name, path) for name in names]
    if len({len(one) for one in found}) > 1:
        raise DataError(
            f"{path}: the arrays of the inputs have {[len(one) for one in found]} rows; expected as many each"
        )
    return found, None if "lengths" not in arrays or "lengths" in names else lengths_of(arrays, found[0], path)


def target_names(model: GraphModel) -> list[str]:
    """Return what the arrays of targets are named, in the order of the outputs.

    The array of an output that is named as an input, or as the lengths, is y_NAME.
    """
    taken = {*model.inputs, "lengths"}
    return [f"y_{name}" if name in taken else name for name in model.output_names]


def only_target_name(model: GraphModel, arrays: Container[str]) -> str | None:
    """Return the name of the array of targets for a network with one output: y, or the output's; None: there is none.

    Args:
        model: it may have an input named y, which is no target then.
        arrays: the names in the file.
    """
    names = (*(name for name in TARGETS if name not in model.inputs), *target_names(model))
    return next((name for name in names if name in arrays), None)


def answers_of(path: Path, model: GraphModel, rows: int) -> torch.Tensor:
    """Return the answers of an .npz file for a network with one input and one output, see `only_target_name`."""
    arrays = named_arrays(path)
    name = only_target_name(model, arrays)
    if name is None:
        [wanted] = target_names(model)
        raise DataError(f"{path} has no {wanted if 'y' in model.inputs else 'y'}; expected the answer of each row")
    found: torch.Tensor = tensor_of(arrays[name], name, path)
    if len(found) != rows:
        raise DataError(f"{path}: {rows} inputs arrived with {len(found)} targets; expected one for each")
    return found


def checked(x: torch.Tensor, name: str, path: Path) -> torch.Tensor:
    """Return rows of an input; an error where one holds no finite numbers."""
    wrong = ~x.isfinite().flatten(1).all(1) if x.dim() > 1 else ~x.isfinite()
    if bool(wrong.any()):
        raise DataError(f"{path}: row {int(wrong.int().argmax())} of {name} holds nan or inf; expected finite numbers")
    return x


def padded(rows: Any) -> Any:
    """Return series as rows of a tensor, with their lengths."""
    import torch

    from ..types import Sequences

    lengths = torch.tensor([len(one) for one in rows.values])
    values = torch.zeros(len(rows), int(lengths.max()), len(rows.channels))
    for row, one in enumerate(rows.values):
        found = torch.as_tensor(one, dtype=torch.float32)
        if bool(found.isnan().any()):
            raise DataError(
                f"{rows.source}: series {rows.ids[row]} has gaps; a network from elsewhere takes none: fill them"
            )
        values[row, : len(one)] = found
    return Sequences(values, lengths)
