"""Put PyTorch's recurrent layers in place of rnnkit's: the inverse of :func:`rnnkit.accelerate`."""

from __future__ import annotations

import itertools

import torch
from torch.nn.utils import parametrize

from ._options import non_default_options
from ._recurrent import RecurrentLayer
from .accelerate import Acceleration, SkippedLayer, SwappedLayer, change_class, check_model
from .gru import GRU
from .lstm import LSTM
from .simple_rnn import SimpleRNN

_ORIGINALS: dict[type, type[torch.nn.RNNBase]] = {
    SimpleRNN: torch.nn.RNN,
    LSTM: torch.nn.LSTM,
    GRU: torch.nn.GRU,
}
_OWN = ("init", "backend", "options")  # the attributes that rnnkit's constructors add


def to_torch(model: torch.nn.Module) -> Acceleration:
    """Replace every ``rnnkit.SimpleRNN``, ``LSTM`` and ``GRU`` in a model by PyTorch's layer, in place.

    This is the inverse of :func:`rnnkit.accelerate`, for tools that know PyTorch's own layers only:
    ``torch.jit.script``, ``torch.ao.quantization``, and ``torch.save(model)`` for a machine without rnnkit. Each layer
    remains the same object with the same parameters, and y = model(x) stays the same function. A layer with options
    that PyTorch's layer lacks is skipped; the report gives the reason.

    Args:
        model: any module; it is changed in place. Pass ``copy.deepcopy(model)`` to keep the original.

    Returns:
        the layers that were replaced and those that were skipped; ``print`` shows them.

    Raises:
        ConfigError: ``model`` is no ``torch.nn.Module``.

    Example:
        >>> import torch, rnnkit
        >>> model = torch.nn.Sequential(rnnkit.LSTM(8, 16))
        >>> report = rnnkit.to_torch(model)
        >>> type(model[0]) is torch.nn.LSTM, len(report.skipped)
        (True, 0)
    """
    check_model(model, "to_torch")
    swapped, skipped = [], []
    for name, module in model.named_modules():
        if not isinstance(module, RecurrentLayer):
            continue
        layer_type = parametrize.type_before_parametrizations(module)
        title = f"rnnkit.{layer_type.__name__}"
        reason = _why_skipped(module, layer_type)
        if reason is not None:
            skipped.append(SkippedLayer(name, title, reason))
            continue
        target = _ORIGINALS[layer_type]
        for attribute in _OWN:
            vars(module).pop(attribute, None)
        change_class(module, target)
        weight = next(itertools.chain(module.parameters(), module.buffers()))
        dtype = str(weight.dtype).removeprefix("torch.")
        swapped.append(SwappedLayer(name, title, f"torch.nn.{target.__name__}", "torch", str(weight.device), dtype))
    return Acceleration(tuple(swapped), tuple(skipped), sought="rnnkit.SimpleRNN, LSTM or GRU")


def _why_skipped(layer: RecurrentLayer, layer_type: type) -> str | None:
    """The reason not to replace a layer, or None."""
    if layer_type not in _ORIGINALS:
        return "a subclass may compute something else; use the plain layer"
    names = list(non_default_options(layer.options))
    if names:
        return f"PyTorch's layers have no {', '.join(names)}"
    return layer._torch_problem()
