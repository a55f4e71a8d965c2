"""The choice of the backend that serves a call. It is made here and nowhere else."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import forward_ad

from ..errors import BackendError
from ..types import Backend

_core: list[Any] = []  # the native module after its import; a list, because torch.compile warns of functools.cache


def native_core() -> Any | None:
    """Return the native module, or None where rnnkit was installed without it."""
    if not _core:
        _core.append(_load_core())
    return _core[0]


def _load_core() -> Any | None:
    try:
        from .. import _native
    except ImportError:
        return None
    if problem := _native.cpu_info()["problem"]:
        warnings.warn(f"{problem}; using {_native.cpu_info()['chosen']}", stacklevel=4)
    return _native


def native_problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why the native core cannot compute with such tensors, or None where it can."""
    if native_core() is None:
        return "rnnkit was installed without its native core (see `rnnkit doctor`)"
    if device.type != "cpu":
        return f"the native core runs on the CPU, and the input is on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"the native core computes in float32 and float64, and the input is {dtype}"
    if transforming():
        return NO_TRANSFORMS
    if exporting_to_onnx():
        return "ONNX has no operator for the native core"
    return None


NO_TRANSFORMS = "the native core has no torch.func transforms and no forward-mode differentiation"


def transforming() -> bool:
    """Return whether a transform of torch.func (vmap, grad, jvp, …) or forward-mode differentiation is in use.

    The native core would drop tangents and wrapped tensors silently.
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def exporting_to_onnx() -> bool:
    """Return whether ``torch.onnx.export`` runs the model."""
    return tracing() and torch.onnx.is_in_onnx_export()


def tracing() -> bool:
    """Return whether operations are recorded or tensors hold no data (torch.compile, jit.trace, make_fx, FakeTensor).

    Then a call must use the operator, which has shape functions. Addresses of tensors have no meaning then.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
    )


# torch.compile treats the result as a constant and does not trace into the native module. This is the mark that
# torch.compiler.assume_constant_result sets; that function would import the compiler, which takes 1.5 seconds.
_constant: Any
for _constant in (native_problem, transforming, exporting_to_onnx):
    _constant._dynamo_marked_constant = True


_counting: list[None] = []  # an entry for each `counting_operations` that is in use


@contextmanager
def counting_operations() -> Iterator[None]:
    """Let layers use their references without a warning: only their operations are counted."""
    _counting.append(None)
    try:
        yield
    finally:
        _counting.pop()


def warn_of_reference(layer: str, reason: str, advice: str = "") -> None:
    """Warn, once for a layer and a reason, that a call uses the layer's slow reference.

    Args:
        layer: its name.
        reason: why nothing faster serves.
        advice: what to type, a clause in front of "or see `rnnkit doctor`".
    """
    if not _counting:
        _warn_once(layer, reason, advice)


@functools.cache
def _warn_once(layer: str, reason: str, advice: str) -> None:
    told = f"{advice}, or see" if advice else "See"
    warnings.warn(f"{layer} uses its slow reference: {reason}. {told} `rnnkit doctor`.", stacklevel=9)


def choose_backend(layer: str, requested: Backend, native: str | None, torch_own: str | None) -> Backend:
    """Return the backend that serves a call.

    Args:
        layer: the layer's name, for messages.
        requested: the backend that the user named.
        native, torch_own: why that backend cannot serve this call, or None where it can.

    Returns:
        "native", "torch" or "reference".

    Raises:
        BackendError: the named backend cannot serve.
    """
    if requested == "auto":
        if native is None:
            return "native"
        if torch_own is None:
            return "torch"
        warn_of_reference(layer, f"{native}; {torch_own}", 'Pass backend="reference" to choose it on purpose')
        return "reference"
    problem = {"native": native, "torch": torch_own}.get(requested)
    if problem is not None:
        raise BackendError(f'{layer} cannot run with backend="{requested}": {problem}; use backend="auto"')
    return requested
