"""Rebuilding a saved model from its builder's name, its arguments and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import torch
from safetensors import safe_open

from ..errors import ConfigError, DataError, RnnkitError, suggest
from ..finetuning.adapters import restore_adapters
from ..layers.augment import SeriesAugment
from ..layers.conv import ConvFront
from ..layers.gru import GRU
from ..layers.lstm import LSTM
from ..layers.pixels import PixelFront
from ..layers.simple_rnn import SimpleRNN
from ..serialization import model_file, read_config
from .classifier import SequenceClassifier
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

# The only classes that a file can name.
BUILDERS: dict[str, Any] = {
    "SimpleRNN": SimpleRNN,
    "LSTM": LSTM,
    "GRU": GRU,
    "ConvFront": ConvFront,
    "PixelFront": PixelFront,
    "SeriesAugment": SeriesAugment,
    "SequenceClassifier": SequenceClassifier,
    "SequenceRegressor": SequenceRegressor,
    "SequenceTagger": SequenceTagger,
}


def build(config: dict[str, Any]) -> torch.nn.Module:
    """Makes the module that ``{"builder": name, "arguments": {...}}`` describes, with fresh weights."""
    name, arguments = config["builder"], dict(config["arguments"])
    if name not in BUILDERS:
        raise ConfigError(f"builder {name!r} is unknown{suggest(name, list(BUILDERS))}")
    for argument, value in arguments.items():
        if isinstance(value, dict) and "builder" in value:
            arguments[argument] = build(value)
    module: torch.nn.Module = BUILDERS[name](**arguments)
    return module


@contextmanager
def _damaged(path: str | PathLike[str]) -> Iterator[None]:
    """Raises `DataError` where a description lacks something, or has it of another type."""
    try:
        yield
    except RnnkitError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise DataError(f"{path} is damaged: no model can be built as it describes one ({error!r})") from error


def load(path: str | PathLike[str], model: torch.nn.Module | None = None) -> torch.nn.Module:
    """Loads what ``learner.save(path)`` wrote, in evaluation mode, on the CPU; adapters stay adapters.

    Args:
        path: the file, or a folder (such as a run folder) with a ``model.safetensors``.
        model: a module to load the weights into; needed for modules that rnnkit cannot rebuild by name.

    Raises:
        DataError: the file is missing, damaged or was not written by rnnkit, or its weights do not fit.
        ConfigError: the file names a builder that rnnkit does not have, or settings that the builder refuses.

    Example:
        >>> import rnnkit, tempfile, torch
        >>> folder = tempfile.mkdtemp()
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(1, 4))
        >>> rnnkit.Learner(model).save(folder)
        >>> again = rnnkit.load(folder)
        >>> bool(torch.equal(again.head.weight, model.head.weight))
        True
    """
    described = read_config(path)
    config = described["config"]
    if model is None:
        if config is None:
            raise DataError(f"{path} holds weights of a module of your own; pass rnnkit.load(path, model=module)")
        with _damaged(path):
            model = build(config)
    parts = dict(model.named_modules())
    with _damaged(path):
        adapters = {name: one for name, one in described.get("adapters", {}).items() if name not in parts}
        if adapters:
            restore_adapters(model, adapters)
    file = model_file(path)
    with safe_open(str(file), "pt") as opened:
        weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    # Tensors that share memory are stored once, under the first of their names.
    state = model.state_dict()
    found = {state[name].data_ptr() for name in weights if name in state}
    missing = {name for name, tensor in state.items() if name not in weights and tensor.data_ptr() not in found}
    unfit = sorted(missing | (set(weights) - set(state)))
    unfit += [name for name in weights if name in state and weights[name].shape != state[name].shape]
    if unfit:
        raise DataError(f"the weights in {file} do not fit {type(model).__name__}: {', '.join(unfit)}")
    for dtype in {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}:
        model = model.to(dtype)
    model.load_state_dict(weights, strict=False)
    return model.eval()
