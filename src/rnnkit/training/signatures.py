"""Whether functions of the user's can be called as a run calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch


def takes(function: Callable[..., Any], count: int) -> bool:
    """Return whether a callable takes so many arguments by position; true where that is unknown.

    Example:
        >>> takes(lambda learner, row: None, 2), takes(lambda learner: None, 2)
        (True, False)
    """
    signature = _signature(function)
    if signature is None:
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def takes_keyword(function: Callable[..., Any], name: str) -> bool:
    """Return whether a callable takes an argument of that name; true where that is unknown.

    Example:
        >>> takes_keyword(lambda x, lengths=None: x, "lengths"), takes_keyword(lambda x: x, "lengths")
        (True, False)
    """
    signature = _signature(function)
    if signature is None:
        return True
    kinds = inspect.Parameter
    found = signature.parameters.get(name)
    if found is not None and found.kind is not kinds.POSITIONAL_ONLY:
        return True
    return any(one.kind is kinds.VAR_KEYWORD for one in signature.parameters.values())


def parameters_of(function: Callable[..., Any]) -> str:
    """Return how the parameters of a callable are written, "(learner, row)"; "" where they are unknown.

    Example:
        >>> parameters_of(lambda learner, row=None: None)
        '(learner, row=None)'
    """
    signature = _signature(function)
    if signature is None:
        return ""
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    called = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        return inspect.signature(called)
    except (TypeError, ValueError):  # of some functions in C
        return None
