"""What is declared to PyTorch's scripting and quantisation: both know PyTorch's own layers only, by their class."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.nn.utils import parametrize

from ..errors import BackendError, RnnkitWarning

TO_TORCH = "type rnnkit.to_torch(model) before, which puts PyTorch's layers in place of rnnkit's"
_TRACE = "type torch.jit.trace(model, (x,)) or torch.export.export(model, (x,)), which keep the native core"


class NotScriptable(torch.nn.Module):
    """A module that ``torch.jit.script`` cannot compile, with an error that says what to type."""

    def __prepare_scriptable__(self) -> Any:
        kind = parametrize.type_before_parametrizations(self)
        layer = issubclass(kind, torch.nn.RNNBase)
        raise BackendError(
            f"torch.jit.script cannot compile rnnkit.{kind.__name__}", remedy=(_TRACE, TO_TORCH) if layer else _TRACE
        )


class NotQuantisable(torch.nn.Module):
    """A layer that ``torch.ao.quantization`` would pass over silently."""

    @property
    def qconfig(self) -> None:
        """What ``torch.ao.quantization`` sets on every module of a model; nothing here."""
        return

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        name = parametrize.type_before_parametrizations(self).__name__
        warnings.warn(
            RnnkitWarning(
                f"rnnkit.{name} is not quantised: torch.ao.quantization knows PyTorch's own layers only",
                remedy=f"to quantise it too, {TO_TORCH}",
            ),
            stacklevel=2,
        )

    @qconfig.deleter
    def qconfig(self) -> None:
        """Delete nothing: ``torch.ao.quantization`` clears it at the end."""


def recorded_call(layer: torch.nn.Module, input: Any, hx: Any, **options: Any) -> Any:
    """Record one call of the layer while ``torch.fx`` traces a model, as it does for PyTorch's own layers."""
    given = {name: value for name, value in options.items() if value is not None}
    tracer = input.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(layer), (input, hx), given)
