"""What `Learner.save` does: it writes the model, and warns of what the file cannot bring back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from os import PathLike
from typing import Any

import torch

from ..errors import RnnkitWarning
from ..layers.description import describe
from ..serialization import save_module


def save(model: torch.nn.Module, path: str | PathLike[str], extra: dict[str, Any], stacklevel: int = 2) -> None:
    """Write a model and what is stored beside it to one file.

    Warns of parts that `rnnkit.load` cannot make anew, and of hooks, which are functions that no file holds. A model
    of the user's without a method `config` is always loaded into a model: it gets no warning of parts.
    """
    if (
        callable(getattr(model, "config", None))
        and describe(model) is None
        and (parts := list(_undescribed(model, "")))
    ):
        warnings.warn(
            RnnkitWarning(
                f"the file will hold the weights alone: rnnkit.load cannot make {', '.join(parts)} anew",
                remedy=(
                    "load it into the same model, rnnkit.load(path, model=model)",
                    'give the class a method config() -> {"builder": name, "arguments": {...}} and call '
                    "rnnkit.models.register",
                ),
            ),
            stacklevel=stacklevel + 1,
        )
    if hooked := [name or type(part).__name__ for name, part in model.named_modules() if _has_hooks(part)]:
        warnings.warn(
            RnnkitWarning(
                f"forward hooks of {', '.join(hooked)} are not saved",
                remedy="register them again after rnnkit.load, or write what they compute into a module's forward",
            ),
            stacklevel=stacklevel + 1,
        )
    save_module(model, path, extra)


def _undescribed(module: torch.nn.Module, name: str) -> Iterator[str]:
    """The parts without a description, as deep as they can be named: "head.1 (MyActivation)"."""
    children = [child for child in module.named_children() if describe(child[1]) is None]
    own = type(module).__module__.startswith(("rnnkit.", "torch."))
    if children and own:
        for child, part in children:
            yield from _undescribed(part, f"{name}.{child}" if name else child)
    elif name:
        yield f"{name} ({type(module).__name__})"


def _has_hooks(module: torch.nn.Module) -> bool:
    """Whether hooks of the user's change or watch a module; rnnkit's own last as long as a run."""
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not str(getattr(hook, "__module__", "")).startswith("rnnkit.") for hook in hooks)
