"""The exchange between processes that train one model: gradients at each step, or weights from time to time.

Legend: P processes, g_p the gradient of the mean loss of the n_p targets of process p, θ_p its weights.

- Each step, all processes take the gradient of the mean loss over the targets of all of them,
  g = Σ_p n_p g_p / Σ_p n_p, that of one process with a batch P times as large.
- Local SGD (`local_steps=K`): each process takes K steps with gradients of its own. Then θ_p ← Σ_q θ_q / P, and the
  optimizers' averages likewise (Stich 2019, "Local SGD Converges Fast and Communicates Little"; averaged momentum: Yu,
  Jin & Yang 2019).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from ...errors import ConfigError, check_choice, check_whole

Compress = Literal["fp16", "bf16", "powersgd"]
EXCHANGE = "RNNKIT_EXCHANGE"
_METHODS = ("fp16", "bf16", "powersgd")


@dataclass(frozen=True)
class Exchange:
    """What processes exchange, and how; nothing of it matters to a single process.

    Args:
        compress: how gradients are sent. None: as they are. "fp16" and "bf16": as numbers of 16 bits, half the bytes.
            "powersgd": of each matrix [n, m] a product [n, r] · [r, m], with what was lost added to the next gradient
            (Vogels, Karimireddy & Jaggi 2019).
        rank: r, with "powersgd".
        start: steps that are sent whole before "powersgd" begins, at least 2.
        local_steps: K, the steps after which weights are averaged; 1: gradients are exchanged at each step.
        local_start: steps that exchange gradients before local steps begin.

    Raises:
        ConfigError: a number out of range, or an unknown way to compress; compressed gradients with local steps, which
            send none.

    Example:
        >>> Exchange.parse("powersgd,rank=4")
        Exchange(compress='powersgd', rank=4, start=10, local_steps=1, local_start=0)
        >>> Exchange.parse("local_steps=8").local
        True
        >>> str(Exchange("powersgd", rank=4))
        'powersgd,rank=4'
    """

    compress: Compress | None = None
    rank: int = 2
    start: int = 10
    local_steps: int = 1
    local_start: int = 0

    def __post_init__(self) -> None:
        if self.compress is not None:
            check_choice(self.compress, "compress", _METHODS)
        check_whole(self.rank, "rank")
        check_whole(self.start, "start", 2)
        check_whole(self.local_steps, "local_steps")
        check_whole(self.local_start, "local_start", 0)
        if self.compress is not None and self.local:
            raise ConfigError(
                f"compress={self.compress!r} and local_steps={self.local_steps} arrived; local steps send no "
                "gradients: pass one of them"
            )

    def __str__(self) -> str:
        """Return the text that `parse` reads."""
        changed = [f"{one.name}={value}" for one in fields(self) if (value := getattr(self, one.name)) != one.default]
        return ",".join(changed).removeprefix("compress=")

    @property
    def local(self) -> bool:
        """Whether processes take steps of their own."""
        return self.local_steps > 1

    @staticmethod
    def parse(text: str) -> Exchange:
        """Return the exchange that a text such as ``fp16`` or ``local_steps=8,local_start=100`` describes.

        Raises:
            ConfigError: it describes none.
        """
        known: dict[str, Any] = {}
        wrong = ConfigError(f"exchange={text} arrived; expected fp16, bf16, powersgd, powersgd,rank=4 or local_steps=8")
        for part in filter(None, (one.strip() for one in text.split(","))):
            name, _, value = part.partition("=")
            if not value and name in _METHODS:
                name, value = "compress", name
            if name not in {one.name for one in fields(Exchange)} or name in known:
                raise wrong
            if name != "compress" and not value.isdecimal():
                raise ConfigError(f"exchange={text} arrived; expected a whole number as {name}, as in {name}=8")
            known[name] = value if name == "compress" else int(value)
        if known and not {"compress", "local_steps"} & set(known):
            raise wrong
        return Exchange(**known)

    @staticmethod
    def of_environment() -> Exchange:
        """Return the exchange that the variable ``RNNKIT_EXCHANGE`` describes, as `parse` reads it."""
        return Exchange.parse(os.environ.get(EXCHANGE, ""))


@contextmanager
def in_environment(how: str) -> Iterator[None]:
    """Let the learners that are made in a block exchange as a text describes; see `Exchange.parse`."""
    before = os.environ.get(EXCHANGE)
    os.environ[EXCHANGE] = how
    try:
        yield
    finally:
        if before is None:
            del os.environ[EXCHANGE]
        else:
            os.environ[EXCHANGE] = before


class Bucket:
    """Gradients as one vector, with the methods of ``torch.distributed.GradBucket`` that communication hooks call."""

    def __init__(self, flat: Tensor, views: Sequence[Tensor], index: int, *, last: bool) -> None:
        self._flat, self._views, self._index, self._last = flat, list(views), index, last

    def buffer(self) -> Tensor:
        """Return the vector."""
        return self._flat

    def gradients(self) -> list[Tensor]:
        """Return the gradients as parts of the vector, each in its shape."""
        return self._views

    def index(self) -> int:
        """Return the number of the bucket."""
        return self._index

    def is_last(self) -> bool:
        """Return whether no other bucket of this step follows."""
        return self._last


class GradientExchange:
    """Brings gradients and weights of several processes together, in a few messages a step.

    One message a dtype has all gradients, the number of targets and, for each parameter, whether it has a gradient: a
    parameter that has none in any process keeps none.

    Args:
        settings: what is exchanged.
        world: P.

    Attributes:
        bytes_sent: what this process has handed over to be added up, over all steps.
    """

    def __init__(self, settings: Exchange, world: int) -> None:
        self.settings, self.world = settings, world
        self.hook = make_hook(settings)
        self.bytes_sent = 0

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share, as JSON values; nothing of an exchange without settings."""
        return {} if self.settings == Exchange() else {"exchange": asdict(self.settings)}

    def local_at(self, step: int) -> bool:
        """Return whether the update of that number (from 0) is each process's own."""
        return self.settings.local and step >= self.settings.local_start

    @torch.no_grad()
    def join(self, parameters: Iterable[Tensor], count: int) -> None:
        """Replace gradients of this process's mean loss by those of the mean over all processes' targets.

        Args:
            parameters: of the model; those that require no gradient are left.
            count: n_p, the targets of this process; 0: its gradients do not count.
        """
        wanted = [one for one in parameters if one.requires_grad]
        kinds = list(dict.fromkeys((one.dtype, one.device) for one in wanted))
        for number, kind in enumerate(kinds):
            these = [one for one in wanted if (one.dtype, one.device) == kind]
            self._join(these, count, number, last=number == len(kinds) - 1)

    def _join(self, parameters: list[Tensor], count: int, number: int, *, last: bool) -> None:
        first = parameters[0]
        size, wide = sum(one.numel() for one in parameters), torch.promote_types(first.dtype, torch.float32)
        flat = torch.empty(size + len(parameters) + 1, dtype=wide, device=first.device)
        views = _views(flat, parameters)
        missing = [at for at, one in enumerate(parameters) if one.grad is None]
        flags = flat[size:-1].fill_(1.0)
        if missing:
            flags[missing] = 0.0
        flat[-1] = count
        # Each gradient is read and written once before the message, and once behind it: large ones are in no cache.
        for view, one in zip(views, parameters, strict=True):
            if one.grad is None or count == 0:
                view.zero_()
            elif self.hook is None and one.dtype == wide:
                torch.mul(one.grad, count, out=view)
            else:
                view.copy_(one.grad)
                if self.hook is None:
                    view.mul_(count)
        if self.hook is None:
            self._add_up(flat)
        else:
            self._add_up(flat[size:])
            flat[:size] *= count * self.world / flat[-1].clamp(min=1)
            self.hook(Bucket(flat[:size], views, number, last=last))
        total = flat[-1].clamp(min=1)
        used = (flags > 0).tolist() if missing else [True] * len(parameters)
        for view, one, has in zip(views, parameters, used, strict=True):
            if not has:
                continue
            if one.grad is None:
                one.grad = torch.empty_like(one)
            if self.hook is not None:
                one.grad.copy_(view)
            elif one.dtype == wide:
                torch.div(view, total, out=one.grad)
            else:
                one.grad.copy_(view.div_(total))

    @torch.no_grad()
    def average_weights(self, parameters: Iterable[Tensor], optimizer: Optimizer) -> None:
        """Replace weights, and the averages of an optimizer, by their means over the processes."""
        held = {id(one): one for group in optimizer.param_groups for one in group["params"]}
        for one in parameters:
            held.setdefault(id(one), one)
        tensors = [one for one in held.values() if one.requires_grad]
        state = [
            part
            for one in held.values()
            for part in optimizer.state.get(one, {}).values()
            if isinstance(part, Tensor) and part.is_floating_point() and part.dim()
        ]
        for kind in dict.fromkeys((one.dtype, one.device) for one in tensors + state):
            these = [one for one in tensors + state if (one.dtype, one.device) == kind]
            wide = torch.promote_types(kind[0], torch.float32)
            flat = torch.empty(sum(one.numel() for one in these), dtype=wide, device=kind[1])
            views = _views(flat, these)
            torch._foreach_copy_(views, [one.detach() for one in these])
            self._add_up(flat)
            flat /= self.world
            torch._foreach_copy_([one.detach() for one in these], views)

    def _add_up(self, flat: Tensor) -> None:
        self.bytes_sent += flat.nbytes
        torch.distributed.all_reduce(flat)

    def state_dict(self) -> dict[str, Any]:
        """Return what compressing remembers from step to step, of this process."""
        return {} if self.hook is None else self.hook.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        if self.hook is not None:
            self.hook.load_state_dict(state)


class Hook:
    """One of PyTorch's communication hooks, which average a bucket over the processes, and what it remembers.

    Args:
        function: the hook.
        state: its first argument.
    """

    def __init__(self, function: Callable[[Any, Any], Any], state: Any) -> None:
        self.function, self.state = function, state

    def __call__(self, bucket: Bucket) -> None:
        found = self.function(self.state, bucket).wait()
        found = found[0] if isinstance(found, list | tuple) else found
        if found.data_ptr() != bucket.buffer().data_ptr():
            bucket.buffer().copy_(found)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and numbers."""
        state = self.state
        if not hasattr(state, "error_dict"):
            return {}
        named = {"error": state.error_dict, "p": state.p_memory_dict, "q": state.q_memory_dict}
        return {"iter": state.iter, **{name: {str(key): one for key, one in of.items()} for name, of in named.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        if not state:
            return
        self.state.iter = state["iter"]
        for name, held in (
            ("error", self.state.error_dict),
            ("p", self.state.p_memory_dict),
            ("q", self.state.q_memory_dict),
        ):
            held.clear()
            held.update({int(key): one.clone() for key, one in state[name].items()})


def make_hook(settings: Exchange) -> Hook | None:
    """Return what compresses gradients; None where they are sent as they are."""
    if settings.compress is None:
        return None
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

    if settings.compress == "powersgd":
        state = powerSGD_hook.PowerSGDState(
            None, matrix_approximation_rank=settings.rank, start_powerSGD_iter=settings.start
        )
        return Hook(powerSGD_hook.powerSGD_hook, state)
    hooks = {"fp16": default_hooks.fp16_compress_hook, "bf16": default_hooks.bf16_compress_hook}
    return Hook(hooks[settings.compress], None)


def _views(flat: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return parts of a vector in the shapes of tensors, one after the other."""
    found, begin = [], 0
    for one in tensors:
        found.append(flat[begin : begin + one.numel()].view(one.shape))
        begin += one.numel()
    return found
