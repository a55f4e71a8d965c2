"""Training and evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def mode(module: torch.nn.Module, training: bool) -> Iterator[None]:
    """Put a module into training or evaluation mode; each submodule gets its own flag back.

    Example:
        >>> module = torch.nn.Dropout()
        >>> with mode(module, training=False):
        ...     module.training
        False
        >>> module.training
        True
    """
    flags = [(part, part.training) for part in module.modules()]
    if any(flag is not training for _, flag in flags):  # a stream asks at each push: setting a flag is slow
        module.train(training)
    try:
        yield
    finally:
        for part, flag in flags:
            if part.training is not flag:
                part.training = flag
