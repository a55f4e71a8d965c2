"""Recurrent layers with weights in 8 bits, for inference on the CPU; :func:`quantize` makes them of trained ones.

    W x ≈ s t ⊙ (w q)       w = round(W / t), a scale t for each row of W;   q = round(x / s), a scale s for each row x

in the place of every product with a weight: of the input, of the state, and of a projection's input
(:mod:`rnnkit.ops.int8`). The sums are exact. Gates, biases, the options' own weights and the states stay float32, so
the equations are those of the layer, with its options.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch.nn.utils import parametrize

from ..errors import BackendError, ConfigError, DataError, RnnkitWarning
from ..ops.backend import choose_backend, native_problem, tracing
from ..ops.direction import DirectionCall, DirectionResult, RecurrentWeights, StepCall
from ..ops.int8 import DEPTH, MOST, Int8Weight, dwarfing_diagonal, quantise_weight
from ..ops.lstm import coupled
from ..ops.native_int8 import run_int8
from ..ops.state import tensors
from ..types import Backend, State
from ._conv_recurrent import ConvRecurrence, ConvRecurrentLayer
from ._options import suffix_of
from ._recurrent import RecurrentLayer
from .accelerate import SkippedLayer, check_model
from .gru import GRU
from .lstm import LSTM
from .rnn import RNN
from .simple_rnn import SimpleRNN

Tensor = torch.Tensor
_VALUES, _SCALES, _DIAGONAL = "_int8", "_scales", "_diagonal"
_MATRICES = ("weight_ih_l", "weight_hh_l", "weight_hr_l")
_NO_TORCH = "PyTorch's layers have no weights in 8 bits"


class QuantizedLayer(RecurrentLayer):
    """What the layers with weights in 8 bits share. A weight W of the float layer is two buffers here.

    ``weight_ih_l0_int8`` is w, int8 of W's shape, and ``weight_ih_l0_scales`` is t, float32, one a row. Where U of a
    SimpleRNN began as the identity, ``weight_hh_l0_diagonal`` is its diagonal.
    """

    def int8_config(self) -> dict[str, Any]:
        """Return what a model file keeps of the layer beside its weights: which of these have a float diagonal."""
        return {"diagonals": sorted(name.removesuffix(_DIAGONAL) for name in self._buffers if name.endswith(_DIAGONAL))}

    @property
    def weight_like(self) -> Tensor:
        """A tensor of the layer's device and dtype."""
        return cast(Tensor, self._buffers[f"weight_ih_l0{_SCALES}"])

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_MATRICES) and not name.endswith((_VALUES, _SCALES, _DIAGONAL)):
            raise AttributeError(
                f"{type(self).__name__} has no {name}: its weights have 8 bits, {name}{_VALUES} times {name}{_SCALES}"
            )
        return super().__getattr__(name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        torch.nn.Module.__setstate__(self, state)  # torch.nn.RNNBase's expects the names of float weights
        self._flat_weight_refs: list[Any] = []

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Refuse whole numbers that :func:`quantise_weight` does not make: products of −128 differ by processor."""
        for name in self._buffers:
            given = state_dict.get(prefix + name) if name.endswith(_VALUES) else None
            if given is not None and (given.dtype != torch.int8 or bool((given < -MOST).any())):
                raise DataError(f"{prefix}{name} holds no whole numbers from −{MOST} to {MOST} in 8 bits")
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _matrix(self, name: str) -> Int8Weight:
        read = self._buffers
        return Int8Weight(
            cast(Tensor, read[name + _VALUES]), cast(Tensor, read[name + _SCALES]), read.get(name + _DIAGONAL)
        )

    def _direction_weights(self, layer: int, reverse: bool = False) -> RecurrentWeights:
        suffix = suffix_of(layer, reverse)
        w_ih, w_hh = self._matrix("weight_ih" + suffix), self._matrix("weight_hh" + suffix)
        b_ih = self._weight("bias_ih" + suffix) if self.bias else None
        b_hh = self._weight("bias_hh" + suffix) if self.bias else None
        if self.options.coupled_gates:
            w_ih, w_hh = self._coupled(w_ih), self._coupled(w_hh)
            b_ih, b_hh = (None if one is None else coupled(one) for one in (b_ih, b_hh))
        w_hr = self._matrix("weight_hr" + suffix) if self.proj_size else None
        return RecurrentWeights(cast(Tensor, w_ih), cast(Tensor, w_hh), b_ih, b_hh, cast("Tensor | None", w_hr))

    def _coupled(self, weight: Int8Weight) -> Int8Weight:
        """The rows of f, which are the negative ones of i, with the scales of i."""
        values = coupled(weight.values, normalised=self.options.layer_norm)
        return Int8Weight(values, coupled(weight.scales, normalised=True))

    def _torch_problem(self) -> str | None:
        return _NO_TORCH

    def backend_for(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32, *, resets: bool = False
    ) -> Backend:
        """Return the backend that would serve a call: ``"native"`` for float32 on the CPU, else ``"reference"``.

        Args:
            device, dtype: those of the input.
            resets: whether the call has resets.

        Raises:
            BackendError: the layer names a backend that cannot serve.
        """
        native = native_problem(torch.device(device), dtype)
        if native is None and dtype != torch.float32:
            native = f"products in 8 bits take float32, and the input is {dtype}"
        if native is None and tracing():
            native = "torch.compile, exports and summaries, which see each operation, know no products in 8 bits"
        if native is None and self.backend in ("auto", "native"):
            return "native"
        return choose_backend(type(self).__name__, self.backend, native, _NO_TORCH)

    def _run_direction(self, call: DirectionCall, backend: Backend) -> DirectionResult:
        self._refuse_gradients(call.x, call.state)
        if backend != "native" or call.return_cells:  # the core keeps no cell states here
            return super()._run_direction(call, "reference")
        output, h, c = run_int8(self.kernel, call, self.kernel_variant)
        return DirectionResult(output, h if c is None else (h, c))

    def _run_step(self, call: StepCall) -> tuple[Tensor, State]:
        self._refuse_gradients(call.x, call.state)
        if call.gates is not None or self.backend_for(call.x.device, call.x.dtype) != "native":
            return super()._run_step(call)
        sequence = DirectionCall(call.x[None], call.weights, call.options, call.state)
        output, state, _ = self._run_direction(sequence, "native")
        return output[0], state

    def _refuse_gradients(self, x: Tensor, state: State | None) -> None:
        arrived = [x] if state is None else [x, *tensors(state)]
        if torch.is_grad_enabled() and any(one.requires_grad for one in arrived):
            raise BackendError(
                f"{type(self).__name__} has weights in 8 bits and no gradients, but its input requires them",
                remedy=(
                    "type with torch.no_grad(): around the call",
                    "use the float model that it was made from",
                ),
            )

    def train(self, mode: bool = True) -> Any:
        """Refuse training mode.

        Raises:
            ConfigError: ``mode`` is true.
        """
        if mode:
            raise ConfigError(
                f"a {type(self).__name__} has weights in 8 bits and cannot be trained",
                remedy="train the float model that it was made from, and type rnnkit.quantize(model) again",
            )
        return super().train(False)

    def reset_parameters(self) -> None:
        """Refuse to draw weights.

        Raises:
            ConfigError: always.
        """
        self.train()

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments of the float layer; a model file names the layers in 8 bits beside."""
        return super().config() | {"builder": type(self).__bases__[1].__name__}


class QuantizedSimpleRNN(QuantizedLayer, SimpleRNN):
    """A :class:`rnnkit.SimpleRNN` with weights in 8 bits, see the module; :func:`quantize` makes it."""


class QuantizedLSTM(QuantizedLayer, LSTM):
    """A :class:`rnnkit.LSTM` with weights in 8 bits, see the module; :func:`quantize` makes it."""


class QuantizedGRU(QuantizedLayer, GRU):
    """A :class:`rnnkit.GRU` with weights in 8 bits, see the module; :func:`quantize` makes it."""


_QUANTIZED: dict[type, type[QuantizedLayer]] = {
    SimpleRNN: QuantizedSimpleRNN,
    LSTM: QuantizedLSTM,
    GRU: QuantizedGRU,
}


@dataclass(frozen=True)
class Quantization:
    """Which recurrent layers of a model :func:`quantize` puts in 8 bits; print it.

    Attributes:
        layers: the names of those that it does, as in ``model.named_modules()``; "" for the model itself.
        done: the names of those that have 8 bits already.
        skipped: those that stay float, with the reason.
    """

    layers: tuple[str, ...]
    done: tuple[str, ...]
    skipped: tuple[SkippedLayer, ...]

    def __str__(self) -> str:
        lines = [f"{name or '(the model)'}: can be put in 8 bits" for name in self.layers]
        lines += [f"{name or '(the model)'}: has 8 bits" for name in self.done]
        lines += [f"{one.name or '(the model)'} ({one.layer_class}) stays float: {one.reason}" for one in self.skipped]
        return "\n".join(lines) or "the model has no recurrent layer"


def quantize(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a trained model whose recurrent layers have weights in 8 bits, a quarter of the size.

    Every product of a ``SimpleRNN``, ``LSTM`` or ``GRU`` of rnnkit's is one of whole numbers then, see
    :mod:`rnnkit.layers.quantized`. The copy lies on the CPU in evaluation mode. It predicts, streams, and is saved and
    loaded as before; it cannot be trained, and has no gradients. Other layers stay as they are.

    Args:
        model: a trained module; it stays as it is.

    Returns:
        the copy.

    Warns:
        RnnkitWarning: some recurrent layers stay float; the text says which and why.

    Raises:
        ConfigError: ``model`` is no module, has no layer that can be put in 8 bits, or has 8 bits already.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 64), classes=3)
        >>> small = rnnkit.quantize(model)
        >>> x = torch.randn(4, 20, 28)
        >>> with torch.no_grad():
        ...     difference = (small(x).softmax(1) - model(x).softmax(1)).abs().max()
        >>> bool(difference < 0.02), small.body.weight_ih_l0_int8.dtype
        (True, torch.int8)
    """
    check_model(model, "quantize")
    plan = quantizable(model)
    if plan.done:
        shown = ", ".join(name or "the model" for name in plan.done)
        raise ConfigError(f"the model has weights in 8 bits already ({shown}); quantize takes the float model")
    if not plan.layers:
        raise ConfigError(f"no layer can be put in 8 bits: {plan}; expected a rnnkit.SimpleRNN, LSTM or GRU")
    if plan.skipped:
        told = "; ".join(f"{one.name or 'the model'} ({one.layer_class}): {one.reason}" for one in plan.skipped)
        warnings.warn(RnnkitWarning(f"stays float: {told}"), stacklevel=2)
    return _replaced(copy.deepcopy(model).cpu().eval(), dict.fromkeys(plan.layers))


def quantizable(model: torch.nn.Module) -> Quantization:
    """Return which recurrent layers of a model can be put in 8 bits, and why others cannot; nothing is changed.

    Args:
        model: any module.

    Example:
        >>> import torch, rnnkit
        >>> print(quantizable(torch.nn.ModuleList([rnnkit.GRU(3, 5), rnnkit.RNN(rnnkit.GRUCell(5, 5))])))
        0: can be put in 8 bits
        1 (RNN) stays float: layers around a cell have no form in 8 bits
    """
    layers: list[str] = []
    done: list[str] = []
    skipped: list[SkippedLayer] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{one.name}.") for one in skipped) or not isinstance(module, _RECURRENT):
            continue
        kind = parametrize.type_before_parametrizations(module)
        if isinstance(module, QuantizedLayer):
            done.append(name)
        elif (reason := _why_skipped(module, kind)) is None:
            layers.append(name)
        else:
            skipped.append(SkippedLayer(name, kind.__name__, reason))
    return Quantization(tuple(layers), tuple(done), tuple(skipped))


def is_quantized(model: torch.nn.Module) -> bool:
    """Return whether layers of a model have weights in 8 bits.

    Example:
        >>> import rnnkit
        >>> is_quantized(rnnkit.quantize(rnnkit.GRU(3, 5)))
        True
    """
    return isinstance(model, torch.nn.Module) and any(hasattr(module, "int8_config") for module in model.modules())


def refuse_quantized(model: torch.nn.Module, what: str) -> None:
    """Raise ConfigError where layers of a model have weights in 8 bits.

    Args:
        model: any module.
        what: cannot be done with it, as in "be exported".

    Example:
        >>> import rnnkit
        >>> refuse_quantized(rnnkit.GRU(3, 5), "be exported")
    """
    if is_quantized(model):
        raise ConfigError(
            f"the model has weights in 8 bits (rnnkit.quantize) and cannot {what}; take the float model that it was "
            "made from"
        )


def restore_quantized(model: torch.nn.Module, layers: Mapping[str, Mapping[str, Any]]) -> torch.nn.Module:
    """Put layers in 8 bits where a saved model has them; for ``rnnkit.load``, which then reads their weights.

    Args:
        model: as its description makes it; it is changed unless it is itself such a layer.
        layers: what `int8_config` of each layer returned, by the layer's name.

    Raises:
        DataError: the model has no such layer.
    """
    known = quantizable(model).layers
    for name in layers:
        if name not in known:
            raise DataError(f"{type(model).__name__} has no layer {name!r} that could have weights in 8 bits")
    return _replaced(model.eval(), {name: [str(one) for one in own["diagonals"]] for name, own in layers.items()})


_RECURRENT = (torch.nn.RNNBase, torch.nn.RNNCellBase, RNN, ConvRecurrence, ConvRecurrentLayer)


def _why_skipped(module: torch.nn.Module, kind: type) -> str | None:
    """The reason to leave a layer as it is, or None."""
    if isinstance(module, RNN):
        return "layers around a cell have no form in 8 bits"
    if isinstance(module, torch.nn.RNNCellBase):
        return "cells have no form in 8 bits; layers have"
    if not isinstance(module, torch.nn.RNNBase):
        return "recurrences of convolutions have no form in 8 bits"
    if not isinstance(module, RecurrentLayer):
        return "a layer of PyTorch's; type rnnkit.accelerate(model) before"
    if parametrize.is_parametrized(module):
        return "its weights are parametrised (adapters, weight_norm): merge adapters, or remove the parametrisation"
    if kind not in _QUANTIZED:
        return "a subclass may compute something else"
    weights = [module._parameters.get(name) for name in _matrix_names(module)]
    if any(weight is None or type(weight) is not torch.nn.Parameter for weight in weights):
        return "hooks set its weights (weight_norm, pruning): remove them, or make pruning permanent"
    if any(weight is None or weight.dtype != torch.float32 for weight in weights):
        return "its weights are no float32; type model.float() before"
    if any(weight is not None and weight.shape[1] > DEPTH for weight in weights):
        return f"more than {DEPTH:,} features, whose sums do not fit into 32 bits"
    return None


def _matrix_names(layer: RecurrentLayer) -> list[str]:
    """The names of the layer's matrices, of all layers and directions."""
    kinds = ("weight_ih", "weight_hh", "weight_hr") if layer.proj_size else ("weight_ih", "weight_hh")
    directions = (False, True) if layer.bidirectional else (False,)
    return [
        kind + suffix_of(index, reverse)
        for index in range(layer.num_layers)
        for reverse in directions
        for kind in kinds
    ]


def _replaced(model: torch.nn.Module, layers: Mapping[str, list[str] | None]) -> torch.nn.Module:
    """The model with these layers in 8 bits, all weights without gradients; None: the diagonals are to be found."""
    parts = dict(model.named_modules())
    made = {id(parts[name]): _quantized(cast(RecurrentLayer, parts[name]), own) for name, own in layers.items()}
    for part in parts.values():
        for name, child in part._modules.items():
            part._modules[name] = made.get(id(child), child)  # a layer may stand in several places
    return made.get(id(model), model).requires_grad_(False)


def _quantized(layer: RecurrentLayer, diagonals: list[str] | None) -> QuantizedLayer:
    """A layer with its weights in 8 bits, which takes over everything else of the float layer."""
    target = _QUANTIZED[type(layer)]
    made = target.__new__(target)
    made.__dict__.update(copy.copy(vars(layer)))
    made._parameters, made._buffers = dict(layer._parameters), dict(layer._buffers)
    made._flat_weights_names, made._flat_weights, made._all_weights, made._flat_weight_refs = [], [], [], []
    for name in _matrix_names(layer):
        parameter = made._parameters.pop(name)
        assert parameter is not None
        weight, diagonal = parameter.detach(), None
        if target is QuantizedSimpleRNN and name.startswith("weight_hh"):
            found = dwarfing_diagonal(weight) if diagonals is None else weight.diagonal().clone()
            diagonal = found if diagonals is None or name in diagonals else None
        if diagonal is not None:
            made.register_buffer(name + _DIAGONAL, diagonal)
            weight = weight - diagonal.diag()
        values, scales, _ = quantise_weight(weight)
        made.register_buffer(name + _VALUES, values)
        made.register_buffer(name + _SCALES, scales)
    made.options = replace(layer.options, recompute=None)
    made.backend = "auto" if layer.backend == "torch" else layer.backend
    return made.eval()
