"""Where a model computes: a device alone, or Lightning Fabric for mixed precision and several processes."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import ConfigError, check_choice

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("32-true", "64-true", "bf16-true", "16-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Execution:
    """Where and how a model is computed. It is handed to whatever runs the model.

    Attributes:
        model: the model itself.
        module: what is called in a step: the model, or Fabric's wrapper around it.
        device: where parameters and batches are.
        dtype: of the model's floating parameters.
        precision: Lightning Fabric's name for it.
        fabric: Lightning Fabric; None where it is not needed.
        rank, world: the number of this process and of all processes.
    """

    model: torch.nn.Module
    module: torch.nn.Module
    device: torch.device
    dtype: torch.dtype
    precision: str = "32-true"
    fabric: Fabric | None = None
    rank: int = 0
    world: int = 1

    @classmethod
    def create(cls, model: torch.nn.Module, device: str | torch.device, precision: str) -> Execution:
        """Move a model to its device, and wrap it where Fabric is needed.

        Raises:
            ConfigError: an unknown device or precision.
        """
        found = find_device(device)
        fabric = make_fabric(found, precision)
        if fabric is None:
            module, rank, world = model.to(found), 0, 1
        else:
            module, found = fabric.setup_module(model), fabric.device
            rank, world = fabric.global_rank, fabric.world_size
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        return cls(model, module, found, dtype, precision, fabric, rank, world)

    def rewrapped(self) -> Execution:
        """Return the execution of the same model after parameters were added or replaced."""
        return self if self.fabric is None else replace(self, module=self.fabric.setup_module(self.model))

    @property
    def fused(self) -> bool:
        """Whether an optimizer step may be one kernel; Fabric cannot undo float16's scaling in front of it."""
        return self.device.type in ("cpu", "cuda", "mps") and self.precision != "16-mixed"

    @property
    def backward(self) -> Callable[[Tensor], object]:
        return Tensor.backward if self.fabric is None else self.fabric.backward

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context that the precision computes in."""
        return nullcontext() if self.fabric is None else self.fabric.autocast()

    def setup_optimizer(self, optimizer: Optimizer) -> Optimizer:
        return optimizer if self.fabric is None else self.fabric.setup_optimizers(optimizer)  # type: ignore[return-value]

    def shared(self, value: Any) -> Any:
        """Return the first process's value in all processes."""
        return value if self.fabric is None else self.fabric.broadcast(value)

    def joined_gradients(self) -> AbstractContextManager[None]:
        """Within, several processes add up their own gradients; at the end the gradients are averaged."""
        return nullcontext() if self.fabric is None or self.world == 1 else exchanged_once(self.fabric, self.module)

    def sum_over_processes(self, number: int) -> int | Tensor:
        """Return the sum of a number of each process; all must call it.

        On an accelerator it stays there, a tensor [], since reading it waits for all work before.
        """
        if self.world == 1:
            return number
        total = torch.full((), number, dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(total)
        return int(total.item()) if self.device.type == "cpu" else total


class DeviceShare:
    """A factor of a loss, count / total, whose total is on an accelerator and is not read.

    A tensor in its place would be read by each comparison with a number.

    Example:
        >>> share = DeviceShare(3, torch.tensor(4))
        >>> share == 1.0, torch.tensor(2.0) * share
        (False, tensor(1.5000))
    """

    def __init__(self, count: int, total: Tensor) -> None:
        self.count, self.total = count, total

    def __rmul__(self, loss: Tensor) -> Tensor:
        share = self.count / self.total.to(torch.promote_types(loss.dtype, torch.float32))
        return loss * share.to(loss.dtype)


def share_of_total(count: int, total: int | Tensor) -> float | DeviceShare:
    """Return count / total as a factor of a loss."""
    return DeviceShare(count, total) if isinstance(total, Tensor) else count / total


def find_device(name: str | torch.device) -> torch.device:
    """Return the device of that name; "auto" is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        if not str(name).lower().startswith(("gpu", "nvidia")):
            check_choice(name, "device", ("auto", "cpu", "cuda", "mps"))
        found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
        expected = "expected 'auto' or 'cpu': torch finds no GPU" if found is None else f"did you mean {found!r}?"
        raise ConfigError.of("device", name, expected) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError.of("device", str(name), "expected 'auto' or 'cpu': torch finds no CUDA device")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError.of("device", str(name), "expected 'auto' or 'cpu': torch finds no Metal device")
    return device


def several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def from_all_processes(value: Any) -> list[Any]:
    """Return what each process gave, in the order of their ranks; all must call it."""
    if not several_processes():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def exchanged_once(fabric: Fabric, module: Any) -> Iterator[None]:
    """Within, each process adds up its own gradients; at the end they are averaged over the processes."""
    with fabric.no_backward_sync(module):
        yield
    for parameter in module.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= torch.distributed.get_world_size()


def make_fabric(device: torch.device, precision: Any) -> Fabric | None:
    """Return the Fabric to run on; None for one process in "32-true", which needs none and is faster without.

    Fabric's wrappers take about 50 µs a step and its import takes two seconds. Under torchrun (WORLD_SIZE > 1) it
    runs one process per device.
    """
    check_choice(precision, "precision", PRECISIONS)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 and precision == "32-true":
        return None
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    if world == 1:
        devices: Any = 1 if device.index is None else [device.index]
        fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
    else:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        # Frozen parameters get no gradient; batch statistics stay each process's own, so evaluation needs no exchange.
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
        fabric = Fabric(
            accelerator=device.type, devices=local, num_nodes=world // local, strategy=strategy, precision=precision
        )
    fabric.launch()
    if world > 1:
        atexit.register(_leave)
    return fabric


def _leave() -> None:
    """End the process group before Python does, for its threads, left running, can abort the process at its exit.

    gloo's run on as long as a wrapped model holds the group: seldom, a process still aborts when its work is done.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
