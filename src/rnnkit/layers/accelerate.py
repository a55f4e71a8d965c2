"""Swap the recurrent layers of any PyTorch model for rnnkit's, in place."""

from __future__ import annotations

import importlib
import inspect
import itertools
import warnings
from dataclasses import dataclass

import torch
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from ..errors import ConfigError

_OURS: dict[type, tuple[str, str]] = {
    torch.nn.RNN: ("simple_rnn", "SimpleRNN"),
    torch.nn.LSTM: ("lstm", "LSTM"),
    torch.nn.GRU: ("gru", "GRU"),
}
"""PyTorch's class → module beside this one and class. A cell with a kernel of its own would join by one line."""

_CELLS = (torch.nn.RNNCell, torch.nn.LSTMCell, torch.nn.GRUCell)
_NAMES = {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}


@dataclass(frozen=True)
class Swapped:
    """A layer that is rnnkit's now. ``backend`` serves it on ``device`` in ``dtype``."""

    name: str
    was: str
    now: str
    backend: str
    device: str
    dtype: str


@dataclass(frozen=True)
class Left:
    """A recurrent layer that stayed as it was, and why."""

    name: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Acceleration:
    """What :func:`accelerate` did; print it. Names are those of ``model.named_modules()``, "" for the model itself."""

    swapped: tuple[Swapped, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        if not self.swapped and not self.left:
            return "no recurrent layer found: the model has no torch.nn.RNN, LSTM, GRU or cell of these"
        lines = [f"{_count(len(self.swapped), 'recurrent layer')} swapped, {len(self.left)} left"]
        cells = [(_shown(s.name), f"{s.was} → {s.now}", f"{s.backend} on {s.device}, {s.dtype}") for s in self.swapped]
        cells += [(_shown(one.name), one.kind, f"left: {one.reason}") for one in self.left]
        widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
        lines += [f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {text}" for name, kind, text in cells]
        return "\n".join(lines)


def accelerate(model: torch.nn.Module) -> Acceleration:
    """Makes every ``torch.nn.RNN``, ``LSTM`` and ``GRU`` in a model the rnnkit layer of the same recurrence, in place.

    y = model(x) stays the same function of the same parameters: each layer keeps its identity and changes its class,
    which derives from the class that it had. So parameters (and what an optimizer, a tied weight or a sharer holds of
    them), names, state dicts, hooks, parametrisations, training mode, device and dtype are untouched, wrappers
    (``torch.compile``, ``DataParallel``) go on working, and the model may itself be a layer. Calling it again finds
    nothing left to do.

    Left as they are, with the reason in the report: subclasses written by others, scripted and quantised layers, cells
    (rnnkit's compute through PyTorch's too), layers whose ``forward`` was replaced, whose weights have no shape yet, or
    whose weights are set by hooks before each call (``torch.nn.utils.weight_norm``, pruning, some sharding wrappers).

    Args:
        model: any module.

    Returns:
        What was swapped and what was left; ``print`` shows it.

    Raises:
        ConfigError: ``model`` is no ``torch.nn.Module``.

    Example:
        >>> import torch, rnnkit
        >>> model = torch.nn.ModuleDict({"body": torch.nn.LSTM(8, 16), "head": torch.nn.Linear(16, 2)})
        >>> report = rnnkit.accelerate(model)
        >>> [(layer.name, layer.was, layer.now) for layer in report.swapped]
        [('body', 'torch.nn.LSTM', 'rnnkit.LSTM')]
        >>> isinstance(model["body"], torch.nn.LSTM)
        True
    """
    if not isinstance(model, torch.nn.Module):
        arrived = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ConfigError(f"model is {arrived}; expected a torch.nn.Module: rnnkit.accelerate(model)")
    swapped, left = [], []
    for name, module in model.named_modules():
        if not _is_recurrent(module):
            continue
        kind = parametrize.type_before_parametrizations(module)
        reason = _why_left(module, kind)
        if reason is None:
            swapped.append(_swap(name, module, kind))
        else:
            left.append(Left(name, _title(module, kind), reason))
    return Acceleration(tuple(swapped), tuple(left))


# --- which layers ----------------------------------------------------------------------------------------------------


def _is_recurrent(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return getattr(module, "original_name", "") in _NAMES
    kind = type(module)
    return isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase) or (_quantised(kind) and kind.__name__ in _NAMES)


def _quantised(kind: type) -> bool:
    return kind.__module__.startswith("torch.ao.nn.")


def _why_left(module: torch.nn.Module, kind: type) -> str | None:
    """What speaks against the swap, or None."""
    if isinstance(module, torch.jit.ScriptModule):
        return "scripted or traced; accelerate the model before torch.jit takes it"
    if _quantised(kind):
        return "quantised; accelerate serves floating-point layers"
    if any(base.__module__.split(".")[0] == "rnnkit" for base in kind.__mro__):
        return "already rnnkit's"
    if kind not in _OURS:
        if kind in _CELLS:
            return "a single step runs through PyTorch's own cell either way, so there is nothing to gain"
        return "a subclass may compute something else; accelerate a plain layer, or the model before it is wrapped"
    if "forward" in vars(module):
        return "its forward was replaced on the object; accelerate the model before that is done"
    return _weights_problem(module, kind) or _names_problem(module, kind)


def _weights_problem(module: torch.nn.Module, kind: type) -> str | None:
    for name, expected in _fresh(module, kind).named_parameters():
        if parametrize.is_parametrized(module, name):
            continue  # asking for it would compute it, and some change with each computation (spectral norm)
        weight = module._parameters.get(name)
        if weight is None:
            return (
                f"{name} is no parameter (a hook of weight_norm or pruning, or a sharding wrapper, sets it); "
                "use torch.nn.utils.parametrizations, make pruning permanent, or accelerate before wrapping"
            )
        if is_lazy(weight):
            return f"{name} has no shape yet; run the model once first"
        if type(weight) is not torch.nn.Parameter:
            return f"{name} is a {type(weight).__name__} and no plain parameter (quantised or sharded weights)"
        if weight.shape != expected.shape:
            return f"{name} has shape {tuple(weight.shape)} where the layer's sizes say {tuple(expected.shape)}"
    return None


def _names_problem(module: torch.nn.Module, kind: type) -> str | None:
    """Names that somebody else gave this very object, and that the new class uses for itself."""
    plain, ours = _fresh(module, kind), _fresh(module, _ours(kind))
    own, given = set(dir(ours)) - set(dir(plain)), set(dir(module)) - set(dir(plain))
    clash = sorted(own & given)
    return f"it has attributes that rnnkit uses itself: {', '.join(clash)}; rename them" if clash else None


# --- the swap --------------------------------------------------------------------------------------------------------


def _ours(kind: type) -> type[torch.nn.Module]:
    module, name = _OURS[kind]
    found: type[torch.nn.Module] = getattr(importlib.import_module(f".{module}", __package__), name)
    return found


def _fresh(module: torch.nn.Module, kind: type) -> torch.nn.Module:
    """A layer of that class with the module's arguments and without memory; draws no random number."""
    parameters = inspect.signature(_ours(kind) if kind in _OURS else kind).parameters.values()
    # rnnkit's constructors take PyTorch's arguments by position and their own by keyword alone.
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ("device", "dtype")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user was warned when the layer was made
        layer: torch.nn.Module = kind(**{name: getattr(module, name) for name in names}, device="meta")
    return layer


def _swap(name: str, module: torch.nn.Module, kind: type) -> Swapped:
    target = _ours(kind)
    # What rnnkit's layers know beyond PyTorch's comes from their own constructor, whatever options it grows.
    for attribute, value in vars(_fresh(module, target)).items():
        vars(module).setdefault(attribute, value)
    if parametrize.is_parametrized(module):
        # PyTorch gave the module a class with a property for each parametrised weight, shared with copies of it.
        namespace = {key: value for key, value in vars(type(module)).items() if key not in ("__dict__", "__weakref__")}
        module.__class__ = type(f"Parametrized{target.__name__}", (target,), namespace)
    else:
        module.__class__ = target
    weight = next(itertools.chain(module.parameters(), module.buffers()))
    return Swapped(
        name,
        _title(module, kind),
        _title(module, target),
        module.backend_for(weight.device, weight.dtype),  # type: ignore[operator]
        str(weight.device),
        str(weight.dtype).removeprefix("torch."),
    )


# --- words -----------------------------------------------------------------------------------------------------------


def _title(module: torch.nn.Module, kind: type) -> str:
    """The class by the name people import it by."""
    if isinstance(module, torch.jit.ScriptModule):
        return f"torch.jit {module.original_name}"
    if kind.__module__.startswith("torch.nn.modules."):
        return f"torch.nn.{kind.__name__}"
    root = kind.__module__.split(".")[0]
    return f"rnnkit.{kind.__name__}" if root == "rnnkit" else f"{kind.__module__}.{kind.__qualname__}"


def _shown(name: str) -> str:
    return name or "(the model)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
