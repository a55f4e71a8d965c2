"""Where a model computes: a device alone, or Lightning Fabric for mixed precision and several processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import ConfigError, check_choice
from .distribution.exchange import Exchange, GradientExchange
from .distribution.group import from_all_processes, from_first_process, join_group, timeout, world_size

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
        exchange: between processes; None: there is but one.
    """

    model: torch.nn.Module
    module: torch.nn.Module
    device: torch.device
    dtype: torch.dtype
    precision: str = "32-true"
    fabric: Fabric | None = None
    rank: int = 0
    world: int = 1
    exchange: GradientExchange | None = None

    @classmethod
    def create(
        cls, model: torch.nn.Module, device: str | torch.device, precision: str, exchange: Exchange | None = None
    ) -> Execution:
        """Move a model to its device, and wrap it where Fabric is needed. All processes get the weights of the first.

        Args:
            model: the model.
            device: where it is computed.
            precision: one of `PRECISIONS`.
            exchange: between processes; None: as the environment has it.

        Raises:
            ConfigError: an unknown device, precision or exchange.
        """
        found, settings = find_device(device), Exchange.of_environment() if exchange is None else exchange
        fabric = make_fabric(found, precision)
        if fabric is None:
            module, rank, world = model.to(found), 0, world_size()
            if world > 1:
                join_group(found)
                rank = torch.distributed.get_rank()
                _take_over_weights(model)
        else:
            module, found = fabric.setup_module(model), fabric.device
            rank, world = fabric.global_rank, fabric.world_size
        dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
        made = None if world == 1 else GradientExchange(settings, world)
        if fabric is not None:
            _register_hook(module, made)
        return cls(model, module, found, dtype, precision, fabric, rank, world, made)

    def rewrapped(self) -> Execution:
        """Return the execution of the same model after parameters were added or replaced."""
        if self.fabric is None:
            if self.world > 1:
                _take_over_weights(self.model)
            return self
        module = self.fabric.setup_module(self.model)
        _register_hook(module, self.exchange)
        return replace(self, module=module)

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
        return value if self.world == 1 else from_first_process(value)

    def from_all(self, value: Any) -> list[Any]:
        """Return the values of all processes, in the order of their ranks; all must call it."""
        return [value] if self.world == 1 else from_all_processes(value)

    def by_reducer(self, *, several: bool, step: int) -> bool:
        """Return whether the wrapper around the model exchanges the gradients of an update while they are computed.

        Args:
            several: whether the update has several backward passes.
            step: of the run.
        """
        exchange = self.exchange
        return self.fabric is not None and exchange is not None and not several and not exchange.local_at(step)

    def own_gradients(self, *, several: bool, step: int) -> AbstractContextManager[Any]:
        """Return the context in which backward passes leave each process's gradients its own, where that is needed."""
        if self.fabric is None or self.exchange is None or self.by_reducer(several=several, step=step):
            return nullcontext()
        module: Any = self.module
        return self.fabric.no_backward_sync(module)

    def sum_over_processes(self, number: int) -> int | Tensor:
        """Return the sum of a number of each process; all must call it.

        On an accelerator it stays there, a tensor [], since reading it waits for all work before.
        """
        if self.world == 1:
            return number
        total = torch.full((), number, dtype=torch.int64, device=self.device)
        torch.distributed.all_reduce(total)
        return int(total.item()) if self.device.type == "cpu" else total

    def any_process(self, statement: bool) -> bool:
        """Return whether a statement is true in some process; all must call it."""
        if self.world == 1:
            return statement
        found = torch.tensor(int(statement), device=self.device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        return bool(found)


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
        share = self.count / self.total.clamp(min=1).to(torch.promote_types(loss.dtype, torch.float32))
        return loss * share.to(loss.dtype)


def share_of_total(count: int, total: int | Tensor) -> float | DeviceShare:
    """Return count / total as a factor of a loss; 0 where there is no target at all."""
    return DeviceShare(count, total) if isinstance(total, Tensor) else count / max(1, total)


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


def _take_over_weights(model: torch.nn.Module) -> None:
    """Give a model the parameters and buffers of the first process, in one message a dtype."""
    tensors = [one.detach() for one in (*model.parameters(), *model.buffers())]
    for kind in dict.fromkeys((one.dtype, one.device) for one in tensors):
        these = [one for one in tensors if (one.dtype, one.device) == kind]
        flat = torch.cat([one.reshape(-1) for one in these])
        torch.distributed.broadcast(flat, src=0)
        for one, part in zip(these, flat.split([one.numel() for one in these]), strict=True):
            one.copy_(part.view(one.shape))


def _register_hook(module: Any, exchange: GradientExchange | None) -> None:
    """Have the wrapper around a model compress gradients as the exchange does."""
    wrapper = getattr(module, "_forward_module", module)
    if exchange is not None and exchange.hook is not None and hasattr(wrapper, "register_comm_hook"):
        wrapper.register_comm_hook(exchange.hook.state, exchange.hook.function)


def make_fabric(device: torch.device, precision: Any) -> Fabric | None:
    """Return the Fabric to run on; None on a device alone, or processes on CPUs, in "32-true".

    There it is not needed, and faster without: its wrappers take about 50 µs a step and its import takes two seconds.
    Under torchrun (WORLD_SIZE > 1) it runs one process a device.
    """
    check_choice(precision, "precision", PRECISIONS)
    world = world_size()
    if precision == "32-true" and (world == 1 or device.type == "cpu"):
        return None
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    if world == 1:
        devices: Any = 1 if device.index is None else [device.index]
        fabric = Fabric(accelerator=device.type, devices=devices, precision=precision)
    else:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        join_group(device)
        # Frozen parameters get no gradient; batch statistics stay each process's own, so evaluation needs no exchange.
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False, timeout=timeout())
        fabric = Fabric(
            accelerator=device.type, devices=local, num_nodes=world // local, strategy=strategy, precision=precision
        )
    fabric.launch()
    return fabric
