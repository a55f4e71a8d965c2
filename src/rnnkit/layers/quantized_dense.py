"""Linear layers and embeddings with weights in 8 bits, see :mod:`rnnkit.layers.quantized`.

A weight W [N, K] of the float layer is two buffers: ``weight_int8``, w int8 [N, K], and ``weight_scales``, t float32
[N]. Tied layers share both.
"""

from __future__ import annotations

from typing import Any, cast

import torch

from ..errors import ShapeError
from ..ops.backend import warn_of_reference
from ..ops.int8 import Int8Weight
from ..ops.native_int8 import NativeInt8Linear, int8_problem
from ._int8_module import SCALES, VALUES, Int8Module
from .description import describe_as
from .dropout import Embedding

Tensor = torch.Tensor


class QuantizedMatrix(Int8Module):
    """What a linear layer and an embedding with a weight in 8 bits share."""

    _float_class: type[torch.nn.Module]

    @property
    def int8_weight(self) -> Int8Weight:
        """w and t."""
        return Int8Weight(cast(Tensor, self._buffers["weight" + VALUES]), self.weight_like)

    @property
    def weight_like(self) -> Tensor:
        """A tensor of the layer's device and dtype."""
        return cast(Tensor, self._buffers["weight" + SCALES])

    @property
    def weight(self) -> Tensor:
        """t w, computed again by each access: for code that reads the weight itself. Changes do not reach the layer."""
        return self.int8_weight.dequantised()

    def config(self) -> dict[str, Any]:
        """Return the description of the float layer; a model file names the layers in 8 bits beside."""
        own: Any = getattr(self._float_class, "config", None)
        found: Any = describe_as(self, self._float_class) if own is None else own(self)
        return cast(dict[str, Any], found)


class QuantizedLinear(QuantizedMatrix, torch.nn.Linear):  # type: ignore[override]  # weight is a property
    """A ``torch.nn.Linear`` with its weight in 8 bits: y = s t ⊙ (w q) + b; :func:`rnnkit.quantize` makes it.

    float32 on the CPU is computed by the native core, which packs the weight when it is used for the first time, and
    again after a change of the weights or of ``torch.get_num_threads()``. Other inputs take the reference.
    """

    _packed: tuple[tuple[Any, ...], NativeInt8Linear] | None

    def forward(self, input: Tensor) -> Tensor:
        """Return y [..., N] of x [..., K].

        Raises:
            ShapeError: x has another number of features, or another dtype than the layer.
            BackendError: x requires gradients.
        """
        like = self.weight_like
        if input.dtype != like.dtype:
            if not input.is_floating_point() or input.is_meta or not torch.is_autocast_enabled(input.device.type):
                raise ShapeError(f"x is {input.dtype} and the layer's weights are {like.dtype}; convert one")
            input = input.to(like.dtype)
        if not input.dim() or input.shape[-1] != self.in_features:
            raise ShapeError.of("x", list(input.shape), f"; {self} takes [..., {self.in_features}]")
        self._refuse_gradients(input)
        if (problem := int8_problem(input.device, input.dtype)) is None:
            if input.dim() == 2:
                return self._native()(input)
            product = self._native()(input.reshape(-1, self.in_features))
            return product.view(*input.shape[:-1], self.out_features)
        warn_of_reference(type(self).__name__, problem)
        product = self.int8_weight.product(input)
        return product if self.bias is None else product + self.bias

    def _native(self) -> NativeInt8Linear:
        """The packed weight."""
        stands: list[Any] = [torch.get_num_threads()]
        for one in (*self._buffers.values(), self._parameters["bias"]):
            if one is not None:  # a tensor of torch.inference_mode does not record whether it changes
                stands += (one.data_ptr(), 0 if one.is_inference() else one._version)
        packed = self.__dict__.get("_packed")
        if packed is None or packed[0] != tuple(stands):
            packed = tuple(stands), NativeInt8Linear(self.int8_weight, self.bias)
            self.__dict__["_packed"] = packed
        made: NativeInt8Linear = packed[1]
        return made

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        self.__dict__.pop("_packed", None)
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles are made of: they pack the weight themselves."""
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}


class QuantizedEmbedding(QuantizedMatrix, Embedding):  # type: ignore[override]  # as above
    """An embedding with a scale for each row, of ``torch.nn`` or rnnkit's: row i is t_i w_i; :func:`rnnkit.quantize`.

    Only the rows that are asked for become floats.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map token ids [...] to their rows [..., K].

        Raises:
            IndexError: an id that the embedding does not have.
        """
        values, scales, _ = self.int8_weight
        return torch.embedding(values, input) * torch.embedding(scales[:, None], input)


def quantized_matrix(layer: torch.nn.Module, weight: Int8Weight) -> QuantizedMatrix:
    """A layer with this weight in 8 bits, which takes over everything else of the float layer.

    Args:
        layer: ``torch.nn.Linear``, ``torch.nn.Embedding`` or rnnkit's :class:`rnnkit.layers.dropout.Embedding`.
        weight: of tied layers the same one.
    """
    target: Any = QuantizedLinear if isinstance(layer, torch.nn.Linear) else QuantizedEmbedding
    made: Any = target.__new__(target)
    made.__dict__.update(vars(layer))
    made._parameters = {name: one for name, one in layer._parameters.items() if name != "weight"}
    made._buffers = dict(layer._buffers)
    made._float_class = type(layer)
    if target is QuantizedEmbedding and not isinstance(layer, Embedding):
        made.dropout = 0.0
    made.register_buffer("weight" + VALUES, weight.values)
    made.register_buffer("weight" + SCALES, weight.scales)
    found: QuantizedMatrix = made.eval()
    return found


def weight_like(layer: torch.nn.Module) -> Tensor:
    """A tensor of the device and dtype of a linear layer or an embedding, with a weight in 8 bits or not."""
    return layer.weight_like if isinstance(layer, QuantizedMatrix) else cast(Tensor, layer.weight)


def share_weight(one: Any, other: Any) -> bool:
    """Whether two layers, with weights in 8 bits or not, have one weight.

    Example:
        >>> embedding, head = torch.nn.Embedding(9, 4), torch.nn.Linear(4, 9)
        >>> share_weight(embedding, head)
        False
        >>> head.weight = embedding.weight
        >>> share_weight(embedding, head)
        True
    """
    if isinstance(one, QuantizedMatrix) and isinstance(other, QuantizedMatrix):
        return one.int8_weight.values is other.int8_weight.values
    return getattr(one, "weight", None) is getattr(other, "weight", False)
