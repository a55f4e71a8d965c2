"""The mean loss of an epoch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError
from ..distribution.group import several_processes
from .divergence import NonFinite


class LossMeter:
    """The mean of losses, each weighted by the number of targets that it is the mean of.

    Reading a loss waits for an accelerator, so there 50 losses are read at once. On a CPU each is read when it comes.
    A `strict` meter raises `NonFinite` for a loss that is NaN or infinite.
    """

    def __init__(self, device: torch.device, *, strict: bool) -> None:
        self.device, self.strict = device, strict
        self.every = 1 if device.type == "cpu" else 50
        self.reset()

    def reset(self) -> None:
        self.waiting: list[tuple[Tensor, int, int]] = []
        self.total, self.count = 0.0, 0

    def add(self, loss: Tensor, count: int, batch: int) -> None:
        """Add the mean loss of `count` targets in a batch of that number (from 0) in the epoch."""
        self.waiting.append((loss.detach(), count, batch))
        if len(self.waiting) >= self.every:
            self.read()

    def read(self) -> None:
        waiting = self.waiting
        if len(waiting) == 1:
            values = [waiting[0][0].item()]
        else:
            values = torch.stack([loss for loss, _, _ in waiting]).tolist() if waiting else []
        for value, (_, count, batch) in zip(values, waiting, strict=True):
            if self.strict and not math.isfinite(value):
                raise NonFinite(f"the loss became {value}", batch)
            self.total += value * count
            self.count += count
        waiting.clear()

    def state_dict(self) -> dict[str, Any]:
        self.read()
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total, self.count = state["total"], state["count"]

    def mean(self, *, over_processes: bool = True) -> float:
        """Return the mean so far; under torchrun that of all processes, which then must all call this."""
        self.read()
        total, count = self.total, self.count
        if over_processes and several_processes():
            both = torch.tensor([total, count], dtype=torch.float64, device=self.device)
            torch.distributed.all_reduce(both)
            total, count = both.tolist()
        if count == 0:
            raise DataError("no data arrived: there was not a single batch with a target")
        return total / count


def check_loss(loss: Any, *, trains: bool) -> None:
    """Raise `ConfigError` for a loss that is not one number, or with `trains` has no gradient.

    Example:
        >>> check_loss(torch.zeros(3), trains=False)
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: the loss returned a tensor of shape [3]; expected one number, the mean over the \
targets; return its .mean()
    """
    if not isinstance(loss, Tensor):
        what = f"the number {loss!r}" if isinstance(loss, int | float) else f"a {type(loss).__name__}"
        if loss is None:
            what = "None"
        raise ConfigError(
            f"the loss returned {what}; expected a tensor with one number, computed from the model's output: return it "
            "without .item(), float() or NumPy"
        )
    if loss.numel() != 1:
        note = "an output [N, 1] and targets [N] broadcast to [N, N]: compare output.squeeze(-1) with the targets"
        square = loss.dim() == 2 and loss.shape[0] == loss.shape[1]
        raise ConfigError(
            f"the loss returned a tensor of shape {list(loss.shape)}; expected one number, the mean over the targets",
            remedy="return its .mean()",
            note=note if square else "",
        )
    if trains and not loss.requires_grad:
        raise ConfigError(
            "the loss has no gradient, so nothing can be learned; expected one that is computed from the model's "
            "output by PyTorch's operations: leave out .detach(), .data, .argmax() and torch.no_grad() in the loss "
            "and in the model's forward"
        )
