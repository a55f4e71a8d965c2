"""Replace the recurrent layers of any PyTorch model by rnnkit's, in place."""

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

_REPLACEMENTS: dict[type, tuple[str, str]] = {
    torch.nn.RNN: ("simple_rnn", "SimpleRNN"),
    torch.nn.LSTM: ("lstm", "LSTM"),
    torch.nn.GRU: ("gru", "GRU"),
}
"""PyTorch's class → the module in this package and the class that replaces it."""

_CELLS = (torch.nn.RNNCell, torch.nn.LSTMCell, torch.nn.GRUCell)
_NAMES = {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}


@dataclass(frozen=True)
class SwappedLayer:
    """A layer that was replaced.

    Attributes:
        name: the layer's name in the model.
        original, replacement: its class before and after.
        backend: what computes the layer now, on ``device`` in ``dtype``.
        device, dtype: those of its weights.
    """

    name: str
    original: str
    replacement: str
    backend: str
    device: str
    dtype: str


@dataclass(frozen=True)
class SkippedLayer:
    """A recurrent layer that was not replaced.

    Attributes:
        name: the layer's name in the model.
        layer_class: its class.
        reason: why it was not replaced, and what to do.
    """

    name: str
    layer_class: str
    reason: str


@dataclass(frozen=True)
class Acceleration:
    """The report of :func:`accelerate`; print it.

    Attributes:
        swapped: the layers that were replaced. Names are those of ``model.named_modules()``, "" for the model itself.
        skipped: the recurrent layers that were not replaced, with the reason.
        sought: what was looked for, in words.
    """

    swapped: tuple[SwappedLayer, ...]
    skipped: tuple[SkippedLayer, ...]
    sought: str = "torch.nn.RNN, LSTM, GRU or cell of these"

    def __str__(self) -> str:
        if not self.swapped and not self.skipped:
            return f"no recurrent layer found: the model has no {self.sought}"
        lines = [f"{_count(len(self.swapped), 'recurrent layer')} swapped, {len(self.skipped)} skipped"]
        cells = [
            (_shown(one.name), f"{one.original} → {one.replacement}", f"{one.backend} on {one.device}, {one.dtype}")
            for one in self.swapped
        ]
        cells += [(_shown(one.name), one.layer_class, f"skipped: {one.reason}") for one in self.skipped]
        widths = [max(len(row[column]) for row in cells) for column in (0, 1)]
        lines += [f"  {name:<{widths[0]}}  {change:<{widths[1]}}  {text}" for name, change, text in cells]
        return "\n".join(lines)


def accelerate(model: torch.nn.Module) -> Acceleration:
    """Replace every ``torch.nn.RNN``, ``LSTM`` and ``GRU`` in a model by the rnnkit layer of the same recurrence.

    y = model(x) stays the same function of the same parameters. Each layer remains the same object and changes its
    class to a subclass of the class that it had. So parameters (also those that an optimizer or a tied layer holds),
    names, state dicts, hooks, parametrisations, training mode, device and dtype do not change. Wrappers
    (``torch.compile``, ``DataParallel``) work as before, and the model may itself be a layer. A second call changes
    nothing.

    Some layers are skipped; the report gives the reason: subclasses written by others, scripted and quantised layers,
    cells (rnnkit's cells use PyTorch's too), layers whose ``forward`` was replaced, whose weights have no shape yet, or
    whose weights are set by hooks before each call (``torch.nn.utils.weight_norm``, pruning, some sharding wrappers).

    Args:
        model: any module; it is changed in place.

    Returns:
        the layers that were replaced and those that were skipped; ``print`` shows them.

    Raises:
        ConfigError: ``model`` is no ``torch.nn.Module``.

    Example:
        >>> import torch, rnnkit
        >>> model = torch.nn.ModuleDict({"body": torch.nn.LSTM(8, 16), "head": torch.nn.Linear(16, 2)})
        >>> report = rnnkit.accelerate(model)
        >>> [(layer.name, layer.original, layer.replacement) for layer in report.swapped]
        [('body', 'torch.nn.LSTM', 'rnnkit.LSTM')]
        >>> isinstance(model["body"], torch.nn.LSTM)
        True
    """
    check_model(model, "accelerate")
    swapped, skipped = [], []
    for name, module in model.named_modules():
        if not _is_recurrent(module):
            continue
        layer_type = parametrize.type_before_parametrizations(module)
        reason = _why_skipped(module, layer_type)
        if reason is None:
            swapped.append(_swap(name, module, layer_type))
        else:
            skipped.append(SkippedLayer(name, _title(module, layer_type), reason))
    return Acceleration(tuple(swapped), tuple(skipped))


def check_model(model: object, function: str) -> None:
    """Raise ConfigError for what is no module; ``function`` is the name of the function that got it."""
    if not isinstance(model, torch.nn.Module):
        arrived = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ConfigError(f"model is {arrived}; expected a torch.nn.Module: rnnkit.{function}(model)")


# --- which layers ----------------------------------------------------------------------------------------------------


def _is_recurrent(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.jit.ScriptModule):
        return getattr(module, "original_name", "") in _NAMES
    layer_type = type(module)
    if isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase):
        return True
    return _quantised(layer_type) and layer_type.__name__ in _NAMES


def _quantised(layer_type: type) -> bool:
    return layer_type.__module__.startswith("torch.ao.nn.")


def _why_skipped(module: torch.nn.Module, layer_type: type) -> str | None:
    """The reason not to replace a layer, or None."""
    if isinstance(module, torch.jit.ScriptModule):
        return (
            "scripted or traced, its computation is fixed; accelerate the model that it was made from, then trace that"
        )
    if _quantised(layer_type):
        return "quantised; rnnkit has no quantised layers, so it stays PyTorch's"
    if any(base.__module__.split(".")[0] == "rnnkit" for base in layer_type.__mro__):
        return "already an rnnkit layer"
    if layer_type not in _REPLACEMENTS:
        if layer_type in _CELLS:
            return "rnnkit's cells use PyTorch's cells too, so a single step would not become faster"
        return "a subclass may compute something else; use the plain layer, or call accelerate before wrapping"
    if vars(module).get("qconfig") is not None:
        return "prepared for quantisation, which knows PyTorch's own layers only"
    if "forward" in vars(module):
        return "its forward was replaced on the object; call accelerate before that"
    return _weights_problem(module, layer_type) or _names_problem(module, layer_type)


def _weights_problem(module: torch.nn.Module, layer_type: type) -> str | None:
    for name, expected in _fresh(module, layer_type).named_parameters():
        if parametrize.is_parametrized(module, name):
            continue  # reading it would compute it, and some change with each computation (spectral norm)
        weight = module._parameters.get(name)
        if weight is None:
            return (
                f"{name} is no parameter (a hook of weight_norm or pruning, or a sharding wrapper, sets it); "
                "use torch.nn.utils.parametrizations, make pruning permanent, or call accelerate before wrapping"
            )
        if is_lazy(weight):
            return f"{name} has no shape yet; run the model once, then call accelerate"
        if type(weight) is not torch.nn.Parameter:
            return f"{name} is a {type(weight).__name__}, not a plain torch.nn.Parameter (quantised or sharded weights)"
        if weight.shape != expected.shape:
            return f"{name} has shape {tuple(weight.shape)}; the layer's sizes give {tuple(expected.shape)}"
    return None


def _names_problem(module: torch.nn.Module, layer_type: type) -> str | None:
    """Attributes that were added to this object under names that rnnkit's class uses."""
    plain, replacement = _fresh(module, layer_type), _fresh(module, _replacement_class(layer_type))
    # PyTorch sets a qconfig of None on layers that it does not quantise.
    ours, added = set(dir(replacement)) - set(dir(plain)) - {"qconfig"}, set(dir(module)) - set(dir(plain))
    clash = sorted(ours & added)
    return f"it has attributes whose names rnnkit uses itself: {', '.join(clash)}; rename them" if clash else None


# --- the swap --------------------------------------------------------------------------------------------------------


def _replacement_class(layer_type: type) -> type[torch.nn.Module]:
    module, name = _REPLACEMENTS[layer_type]
    found: type[torch.nn.Module] = getattr(importlib.import_module(f".{module}", __package__), name)
    return found


def _fresh(module: torch.nn.Module, layer_type: type) -> torch.nn.Module:
    """A layer of that class with the module's arguments and without memory; draws no random number."""
    replacement = _replacement_class(layer_type) if layer_type in _REPLACEMENTS else layer_type
    parameters = inspect.signature(replacement).parameters.values()
    # rnnkit's constructors take PyTorch's arguments by position and their own by keyword alone.
    names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ("device", "dtype")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user saw the warning when the layer was made
        layer: torch.nn.Module = layer_type(**{name: getattr(module, name) for name in names}, device="meta")
    return layer


def _swap(name: str, module: torch.nn.Module, layer_type: type) -> SwappedLayer:
    target = _replacement_class(layer_type)
    # The attributes that rnnkit's layers add are those that their own constructor sets.
    for attribute, value in vars(_fresh(module, target)).items():
        vars(module).setdefault(attribute, value)
    change_class(module, target)
    weight = next(itertools.chain(module.parameters(), module.buffers()))
    return SwappedLayer(
        name,
        _title(module, layer_type),
        _title(module, target),
        module.backend_for(weight.device, weight.dtype),  # type: ignore[operator]
        str(weight.device),
        str(weight.dtype).removeprefix("torch."),
    )


def change_class(module: torch.nn.Module, target: type[torch.nn.Module]) -> None:
    """Make the module one of the class ``target``; its parametrisations stay."""
    if parametrize.is_parametrized(module):
        # PyTorch gave the module a class with a property for each parametrised weight; its copies share that class.
        namespace = {key: value for key, value in vars(type(module)).items() if key not in ("__dict__", "__weakref__")}
        target = type(f"Parametrized{target.__name__}", (target,), namespace)
    module.__class__ = target


# --- the report's text -----------------------------------------------------------------------------------------------


def _title(module: torch.nn.Module, layer_type: type) -> str:
    """The class by the name that users import it by."""
    if isinstance(module, torch.jit.ScriptModule):
        return f"torch.jit {module.original_name}"
    if layer_type.__module__.startswith("torch.nn.modules."):
        return f"torch.nn.{layer_type.__name__}"
    root = layer_type.__module__.split(".")[0]
    return f"rnnkit.{layer_type.__name__}" if root == "rnnkit" else f"{layer_type.__module__}.{layer_type.__qualname__}"


def _shown(name: str) -> str:
    return name or "(the model)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
