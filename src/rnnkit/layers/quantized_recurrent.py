"""The recurrent layers with weights in 8 bits, see :mod:`rnnkit.layers.quantized`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

import torch

from ..ops.direction import DirectionCall, DirectionResult, RecurrentWeights, StepCall
from ..ops.int8 import Int8Weight, dwarfing_diagonal, quantise_weight
from ..ops.lstm import coupled
from ..ops.native_int8 import int8_problem, run_int8
from ..types import Backend, State
from ._int8_module import SCALES, VALUES, Int8Module
from ._options import suffix_of
from ._recurrent import RecurrentLayer
from .gru import GRU
from .lstm import LSTM
from .simple_rnn import SimpleRNN

Tensor = torch.Tensor
_DIAGONAL = "_diagonal"
_MATRICES = ("weight_ih_l", "weight_hh_l", "weight_hr_l")


class QuantizedLayer(Int8Module, RecurrentLayer):
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
        return cast(Tensor, self._buffers[f"weight_ih_l0{SCALES}"])

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_MATRICES) and not name.endswith((VALUES, SCALES, _DIAGONAL)):
            raise AttributeError(
                f"{type(self).__name__} has no {name}: its weights have 8 bits, {name}{VALUES} times {name}{SCALES}"
            )
        return super().__getattr__(name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        torch.nn.Module.__setstate__(self, state)  # torch.nn.RNNBase's expects the names of float weights
        self._flat_weight_refs: list[Any] = []

    def _matrix(self, name: str) -> Int8Weight:
        read = self._buffers
        return Int8Weight(
            cast(Tensor, read[name + VALUES]), cast(Tensor, read[name + SCALES]), read.get(name + _DIAGONAL)
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
        return "PyTorch's layers have no weights in 8 bits"

    def _native_problem(self, device: torch.device, dtype: torch.dtype) -> str | None:
        return int8_problem(device, dtype)

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

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments of the float layer; a model file names the layers in 8 bits beside."""
        return super().config() | {"builder": type(self).__bases__[1].__name__}


class QuantizedSimpleRNN(QuantizedLayer, SimpleRNN):
    """A :class:`rnnkit.SimpleRNN` with weights in 8 bits, see the module; :func:`quantize` makes it."""


class QuantizedLSTM(QuantizedLayer, LSTM):
    """A :class:`rnnkit.LSTM` with weights in 8 bits, see the module; :func:`quantize` makes it."""


class QuantizedGRU(QuantizedLayer, GRU):
    """A :class:`rnnkit.GRU` with weights in 8 bits, see the module; :func:`quantize` makes it."""


QUANTIZED: dict[type, type[QuantizedLayer]] = {
    SimpleRNN: QuantizedSimpleRNN,
    LSTM: QuantizedLSTM,
    GRU: QuantizedGRU,
}


def matrix_names(layer: RecurrentLayer) -> list[str]:
    """The names of the layer's matrices, of all layers and directions."""
    kinds = ("weight_ih", "weight_hh", "weight_hr") if layer.proj_size else ("weight_ih", "weight_hh")
    directions = (False, True) if layer.bidirectional else (False,)
    return [
        kind + suffix_of(index, reverse)
        for index in range(layer.num_layers)
        for reverse in directions
        for kind in kinds
    ]


def quantized_layer(layer: RecurrentLayer, diagonals: list[str] | None) -> QuantizedLayer:
    """A layer with its weights in 8 bits, which takes over everything else of the float layer."""
    target = QUANTIZED[type(layer)]
    made = target.__new__(target)
    made.__dict__.update(copy.copy(vars(layer)))
    made._parameters, made._buffers = dict(layer._parameters), dict(layer._buffers)
    made._flat_weights_names, made._flat_weights, made._all_weights, made._flat_weight_refs = [], [], [], []
    for name in matrix_names(layer):
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
        made.register_buffer(name + VALUES, values)
        made.register_buffer(name + SCALES, scales)
    made.options = replace(layer.options, recompute=None)
    made.backend = "auto" if layer.backend == "torch" else layer.backend
    return made.eval()
