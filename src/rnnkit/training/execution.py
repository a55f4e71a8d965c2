"""Where a learner computes: the bare device, or Lightning Fabric for mixed precision and several processes."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError, suggest

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("32-true", "64-true", "bf16-true", "16-true", "bf16-mixed", "16-mixed")


def find_device(name: str | torch.device) -> torch.device:
    """Returns the device of that name; "auto" is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        known = ("cuda",) if str(name).lower().startswith("gpu") else ("auto", "cpu", "cuda", "mps")
        raise ConfigError(
            f"unknown device {name!r}{suggest('cuda' if len(known) == 1 else str(name), known)}"
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r} was asked for but torch finds no CUDA device; take device 'auto' or 'cpu'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError(f"device {name!r} was asked for but torch finds no Metal device; take device 'auto' or 'cpu'")
    return device


def several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def from_all_processes(value: Any) -> list[Any]:
    """Returns what each process gave, in the order of their ranks; all must call it."""
    if not several_processes():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


@contextmanager
def exchanged_once(fabric: Fabric, module: Any) -> Iterator[None]:
    """Within, each of several processes adds up gradients of its own, however often; at the end they are averaged."""
    with fabric.no_backward_sync(module):
        yield
    for parameter in module.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= torch.distributed.get_world_size()


def make_fabric(device: torch.device, precision: Any) -> Fabric | None:
    """Returns the Fabric to run on, or None for one process in "32-true", which needs none and is faster bare.

    Fabric's wrappers take about 50 µs a step and its import takes two seconds. Under torchrun (WORLD_SIZE > 1) it
    runs one process per device.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}{suggest(precision, PRECISIONS)}")
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
    """Ends the process group before Python does, for its threads, left running, can abort the process at its exit.

    gloo's run on as long as a wrapped model holds the group: seldom, a process still aborts when its work is done.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
