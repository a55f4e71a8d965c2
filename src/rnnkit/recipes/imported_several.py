"""Imported networks with several inputs or outputs: all inputs of a row as one row, and the loss of all outputs.

    L = mean over rows of Σ_o l_o        l_o: cross-entropy, binary cross-entropy or square of output o, the mean over
                                         its steps and numbers

A :class:`rnnkit.Learner` takes one tensor of inputs and one of targets. So the inputs of a row stand one after the
other in a tensor [N, P], its targets in a tensor [N, Q], and the objective takes them apart. Legend: N rows, P and Q
numbers of a row.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError, RnnkitWarning
from ..layers.modes import mode
from ..ops.losses import Loss
from ..ops.padding import valid_steps
from ..training.execution import find_device
from ..training.learner import Learner
from ..training.objectives.objective import Objective, Score
from .finetuning import FineTuneJob, divide
from .imported_rows import only_target_name, target_names
from .inspection import named_arrays, tensor_of
from .interface import InspectionData

if TYPE_CHECKING:
    from ..models.graph import GraphModel
    from ..types import Batch
    from .finetuning import FineTune

_EXACT = 1 << 24  # whole numbers up to it are exact in float32
_BATCH = 256


class Packing:
    """How tensors [N, ...] stand in one tensor [N, P].

    Args:
        tensors: as many rows each; whole numbers come back as int64.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.shapes = [one.shape[1:] for one in tensors]
        self.fractions = [one.is_floating_point() for one in tensors]

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the numbers of each row in a tensor [N, P] of float32."""
        return torch.cat([one.flatten(1).float() if one.dim() > 1 else one[:, None].float() for one in tensors], 1)

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """Return the tensors again."""
        parts = torch.split(packed, [math.prod(shape) for shape in self.shapes], 1)
        found = [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return [one if fraction else one.long() for one, fraction in zip(found, self.fractions, strict=True)]


class SeveralOutputs(Objective):
    """The sum of the losses of all outputs of a network that takes several inputs.

    Args:
        inputs: how the inputs are packed, the lengths after them where there are some.
        targets: how the targets are packed, those of the outputs in their order.
        outputs: how the outputs are.
        final: of each output: "softmax", "sigmoid" or "linear"; the network returns what comes before.
        lengths: whether there are lengths.
    """

    name: ClassVar[str] = "several outputs"
    has_pairs: ClassVar[bool] = False

    def __init__(
        self, inputs: Packing, targets: Packing, outputs: Packing, final: Sequence[str], lengths: bool
    ) -> None:
        super().__init__(Loss("several outputs", F.mse_loss))
        self.inputs, self.targets, self.outputs = inputs, targets, outputs
        self.final, self.lengths = list(final), lengths

    def call(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        """Return all outputs of a batch of packed inputs, packed."""
        return self.outputs.pack(outputs_of(module, *self.given(batch.inputs)))

    def given(self, packed: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Return the inputs of packed rows, and their lengths."""
        found = self.inputs.unpack(packed)
        return (found[:-1], found[-1].cpu()) if self.lengths else (found, None)

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        """Return the batch: its targets were checked as they were read."""
        assert batch.targets is not None
        return replace(batch, weights=None)

    def __call__(self, output: Tensor, batch: Batch) -> Score:
        """Return the loss of a batch."""
        assert batch.targets is not None
        _, lengths = self.given(batch.inputs)
        both = zip(self.outputs.unpack(output), self.targets.unpack(batch.targets), self.final, strict=True)
        total = torch.stack([row_losses(y, target, final, lengths) for y, target, final in both]).sum(0)
        return Score(total.mean(), len(total), output, batch.targets)


class SeveralRows(NamedTuple):
    """Rows of a file.

    Attributes:
        path: the file.
        inputs: in the network's order, [N, ...] each.
        lengths: valid steps of each row [N]; None: all.
        targets: of each output, [N, ...].
    """

    path: Path
    inputs: list[Tensor]
    lengths: Tensor | None
    targets: list[Tensor]

    def subset(self, rows: Any) -> SeveralRows:
        """Return some of the rows."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return SeveralRows(self.path, [one[rows] for one in self.inputs], lengths, [one[rows] for one in self.targets])


class FirstOutput(torch.nn.Module):
    """A network with several inputs as a function of packed rows, for measurements: its first output.

    The rows are the bits of float32 as int32 [N, P]: like ids, they are no steps that a measurement differentiates by.
    It then takes what the first recurrent layer reads.

    Args:
        model: the network.
        objective: how the rows are packed.
    """

    def __init__(self, model: GraphModel, objective: SeveralOutputs) -> None:
        super().__init__()
        self.layers = model.layers  # so that findings name the layers as those of the network itself
        self._whole = (model, objective)  # not a part: its layers are here

    def forward(self, x: Tensor) -> Tensor:
        """Return the first output of rows."""
        model, objective = self._whole
        return outputs_of(model, *objective.given(x.view(torch.float32)))[0]


def outputs_of(module: Any, inputs: Sequence[Tensor], lengths: Tensor | None) -> list[Tensor]:
    """Return the outputs of a network in their order."""
    found = module(inputs, lengths)
    return list(found) if isinstance(found, tuple) else [found]


def row_losses(y: Tensor, target: Tensor, final: str, lengths: Tensor | None) -> Tensor:
    """Return the loss of each row [B], the mean over its valid steps.

    Args:
        y: of the network, [B, ...].
        target: [B, ...] of classes for a softmax, else shaped as y.
        final: "softmax", "sigmoid" or "linear".
        lengths: valid steps [B]; None: all.
    """
    if final == "softmax":
        each = F.cross_entropy(y.flatten(0, -2), target.flatten(), reduction="none").reshape(target.shape)
    else:
        loss = F.binary_cross_entropy_with_logits if final == "sigmoid" else F.mse_loss
        each = loss(y, target.to(y.dtype), reduction="none")
        each = each.flatten(2).mean(2) if each.dim() > 2 else each
    if each.dim() < 2:
        return each
    if lengths is None or y.dim() < 3:
        return each.flatten(1).mean(1)
    valid = valid_steps(lengths, each.shape[1], each.device)
    steps = each.flatten(2).mean(2) if each.dim() > 2 else each
    return torch.where(valid, steps, 0).sum(1) / valid.sum(1)


def figures_of(model: GraphModel, rows: SeveralRows, device: str) -> dict[str, float]:
    """Return the loss, and the accuracy of each output of classes; of several outputs also the loss of each.

    Args:
        model: with logits.
        rows: for the test.
        device: where to compute.
    """
    place = find_device(device)
    model = model.to(place)
    losses: list[list[Tensor]] = [[] for _ in rows.targets]
    right: list[list[Tensor]] = [[] for _ in rows.targets]
    with mode(model, training=False), torch.inference_mode():
        for begin in range(0, len(rows.inputs[0]), _BATCH):
            part = rows.subset(slice(begin, begin + _BATCH))
            ends = part.lengths
            outputs = outputs_of(model, [x.to(place) for x in part.inputs], ends)
            for at, (y, final) in enumerate(zip(outputs, model.final, strict=True)):
                target = part.targets[at].to(place)
                losses[at].append(row_losses(y, target, final, ends).cpu())
                if final == "softmax":
                    same = y.argmax(-1) == target
                    if ends is not None and same.dim() > 1:
                        same = same[valid_steps(ends, same.shape[1], same.device)]
                    right[at].append(same.flatten().cpu())
    means = [float(torch.cat(one).mean()) for one in losses]
    found = {"loss": sum(means)}
    for name, mean, hits in zip(model.output_names, means, right, strict=True):
        suffix = "" if len(means) == 1 else f"_{name}"
        found |= {f"loss{suffix}": mean}
        found |= {f"accuracy{suffix}": float(torch.cat(hits).float().mean())} if hits else {}
    return found


def read_rows(path: Path, model: GraphModel, inputs: list[Tensor], lengths: Tensor | None) -> SeveralRows:
    """Return inputs with the targets of each output of an .npz file: arrays by the names of the outputs.

    The arrays are named by :func:`target_names`. That of one output alone may be y.

    Args:
        path: the file.
        model: with logits.
        inputs, lengths: of the file; two rows, and those of the least and the largest ids, are tried.

    Raises:
        DataError: an array is missing, or does not fit the output.
    """
    arrays, wanted = named_arrays(path), target_names(model)
    if len(wanted) == 1:
        wanted = [only_target_name(model, arrays) or wanted[0]]
    lacking = [name for name in wanted if name not in arrays]
    if lacking:
        raise DataError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected an array of answers for each output, too: "
            f"{', '.join(lacking)}"
        )
    rows = _extreme_rows(inputs)
    with torch.inference_mode():
        tried = outputs_of(model, [x[rows] for x in inputs], None if lengths is None else lengths[rows])
    targets = [
        _fitted(tensor_of(arrays[name], name, path), name, path, len(inputs[0]), y, final)
        for name, y, final in zip(wanted, tried, model.final, strict=True)
    ]
    return SeveralRows(path, inputs, lengths, targets)


def pack_rows(model: GraphModel, rows: SeveralRows) -> tuple[Tensor, Tensor, SeveralOutputs]:
    """Return packed inputs, packed targets, and the objective that takes them apart.

    Raises:
        DataError: ids or classes that float32 does not hold.
    """
    for one in (*rows.inputs, *rows.targets):
        if not one.is_floating_point() and int(one.abs().max()) > _EXACT:
            raise DataError(f"{rows.path}: whole numbers up to {int(one.abs().max()):,}; expected at most {_EXACT:,}")
    given = [*rows.inputs, *([] if rows.lengths is None else [rows.lengths])]
    first = rows.subset(slice(1))
    with mode(model, training=False), torch.inference_mode():
        outputs = Packing(outputs_of(model, first.inputs, first.lengths))
    packing, answers = Packing(given), Packing(rows.targets)
    objective = SeveralOutputs(packing, answers, outputs, model.final, rows.lengths is not None)
    return packing.pack(given), answers.pack(rows.targets), objective


def inspection_data(model: GraphModel, rows: SeveralRows) -> InspectionData:
    """Return the network's first output as a model, with rows to measure it on."""
    x, _, objective = pack_rows(model, rows)
    if len(rows.targets) > 1:
        told = f"of {len(rows.targets)} outputs {model.output_names[0]} is looked at"
        warnings.warn(RnnkitWarning(told), stacklevel=3)
    return InspectionData(FirstOutput(model, objective), x.view(torch.int32), rows.targets[0], model.default_loss)


def fine_tune_job(model: GraphModel, rows: SeveralRows, settings: FineTune, lr: float) -> FineTuneJob:
    """Return the network with rows to learn by the losses of all outputs.

    Args:
        model: with logits.
        rows: for training and test.
        settings: of the fine-tuning.
        lr: the rate that the network was trained with.
    """
    x, y, objective = pack_rows(model, rows)
    new, judged = (x, y), rows
    validation: tuple[Tensor, Tensor] | None = None
    if settings.validation:
        (kept, _), held = divide(torch.arange(len(x)), torch.zeros(len(x), dtype=torch.int64), settings)
        if held is not None and len(kept):
            judged, new, validation = rows.subset(held[0]), (x[kept], y[kept]), (x[held[0]], y[held[0]])
    learner = Learner(model, lr=lr, device=settings.device, objective=objective, metrics=[])

    def figures(which: str, old_head: bool) -> dict[str, float]:
        return figures_of(model, judged, settings.device)

    return FineTuneJob(learner=learner, new=new, save=learner.save, validation=validation, evaluate=figures)


def _extreme_rows(inputs: list[Tensor]) -> list[int]:
    """The first rows, and those with the least and the largest id of each input."""
    found = {0, min(1, len(inputs[0]) - 1)}
    for one in inputs:
        if not one.is_floating_point():
            flat = one.flatten(1) if one.dim() > 1 else one[:, None]
            found |= {int(flat.amin(1).argmin()), int(flat.amax(1).argmax())}
    return sorted(found)


def _fitted(target: Tensor, name: str, path: Path, rows: int, y: Tensor, final: str) -> Tensor:
    """Targets in the shape that the loss takes."""
    shape, answer = list(target.shape), list(y.shape[1:])
    if len(target) != rows:
        raise DataError(f"{path}: {rows} inputs arrived with {len(target)} rows of {name}; expected one for each")
    if final == "softmax":
        if target.is_floating_point() and bool((target == target.round()).all()):
            target = target.long()
        if shape[1:] != answer[:-1] or target.is_floating_point():
            kind = "fractions" if target.is_floating_point() else "whole numbers"
            raise DataError(
                f"{path}: {name} holds {kind} {shape}; expected the number of the class, {[rows, *answer[:-1]]}; "
                "of shares of each class it is y.argmax(-1)"
            )
        low, high = int(target.min()), int(target.max())
        if not 0 <= low <= high < answer[-1]:
            raise DataError(f"{path}: {name} holds classes from {low} to {high}; the output has 0 to {answer[-1] - 1}")
        return target
    if shape[1:] != answer and [*shape[1:], 1] != answer:
        raise DataError(f"{path}: {name} has shape {shape}; the output gives {[rows, *answer]}")
    target = target.float().reshape(rows, *answer)
    if not bool(target.isfinite().all()):
        raise DataError(f"{path}: {name} holds nan or inf; expected finite numbers")
    if final == "sigmoid" and not 0 <= float(target.min()) <= float(target.max()) <= 1:
        raise DataError(f"{path}: {name} holds {float(target.min()):g} to {float(target.max()):g}; expected 0 to 1")
    return target
