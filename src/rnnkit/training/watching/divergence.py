"""What is reported when a loss turns NaN or infinite."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...ops.padding import valid_steps
from ...types import Batch


class NonFinite(Exception):
    """Raised in the loop, for `DivergenceRescue`: what became NaN or infinite, at which step (from 0) of the epoch."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(what, step)
        self.what, self.step = what, step


def all_finite(parameters: list[Tensor]) -> bool:
    return all(math.isfinite(_largest(parameter)) for parameter in parameters)


def explain(model: torch.nn.Module, rows: list[int] | None, batch: Batch | None) -> list[str]:
    """Return lines that say which batch it was and what was large."""
    lines = []
    if rows is not None:
        lines.append("batch: rows " + _some(rows, 8))
    if batch is not None:
        inputs, targets, lengths = batch.inputs, batch.targets, batch.target_lengths
        assert targets is not None
        if lengths is None and targets.shape[1:2] == inputs.shape[1:2]:
            lengths = batch.input_lengths  # targets per step are padded like the inputs
        largest = _largest(inputs, batch.input_lengths), _largest(targets, lengths)
        lines.append(f"largest input {largest[0]:.4g}, largest target {largest[1]:.4g}")
    gradients = [torch.linalg.vector_norm(p.grad) for p in model.parameters() if p.grad is not None]
    if gradients:
        lines.append(f"norm of the last gradient {torch.linalg.vector_norm(torch.stack(gradients)).item():.4g}")
    sizes = {name: _largest(parameter) for name, parameter in model.named_parameters()}
    lost = [name for name, size in sizes.items() if not math.isfinite(size)]
    if lost:
        lines.append("weights not finite: " + _some(lost, 4))
    finite = sorted((name for name in sizes if name not in lost), key=lambda name: -sizes[name])[:3]
    if finite:
        lines.append("largest weights " + ", ".join(f"{name} {sizes[name]:.4g}" for name in finite))
    return lines


def _largest(data: Tensor, lengths: Tensor | None = None) -> float:
    """Return the largest magnitude at steps that are no padding; NaN or infinite if one of them is."""
    values = data.detach()
    if lengths is not None:
        values = values[valid_steps(lengths, values.shape[1], values.device)]
    if values.numel() == 0:
        return 0.0
    low, high = torch.aminmax(values)
    return max(abs(low.item()), abs(high.item()))


def _some(items: list[int] | list[str], count: int) -> str:
    more = f", … ({len(items)} in all)" if len(items) > count else ""
    return ", ".join(map(str, items[:count])) + more
