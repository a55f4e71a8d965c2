"""What a run changes for its duration and puts back, whatever happens: modes, flags, seeds, Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import FrameType
from typing import Any, Self, TypeVar, cast

import torch

from ..errors import ConfigError


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Run with torch's global generators (dropout draws from them) seeded, and put their states back."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


Function = TypeVar("Function", bound=Callable[..., Any])


def with_gradients(method: Function) -> Function:
    """Let a learner's method that trains compute gradients, whatever mode it is called in.

    Args:
        method: of an object with a `model`.

    Raises:
        ConfigError: the model was made or loaded under `torch.inference_mode`, so it cannot be trained.
    """

    @wraps(method)
    def run(self: Any, *args: Any, **settings: Any) -> Any:
        named = (*self.model.named_parameters(), *self.model.named_buffers())
        lost = next((name for name, tensor in named if tensor.is_inference()), None)
        if lost is not None:
            raise ConfigError(
                f"{lost} was made under torch.inference_mode(), so it can never be trained; make or load the model "
                "outside of that block, or under torch.no_grad()"
            )
        with torch.inference_mode(False), torch.enable_grad():
            return method(self, *args, **settings)

    return cast(Function, run)


class CatchInterrupt:
    """Notes the first Ctrl-C in `requested`, so that a step can be finished; a second one raises at once.

    Only the main thread gets signals: in any other thread this does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> Self:
        # A program that ignores Ctrl-C (under nohup, say) or handles it outside Python keeps doing so.
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if previous not in (None, signal.SIG_IGN):
                self._previous = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
