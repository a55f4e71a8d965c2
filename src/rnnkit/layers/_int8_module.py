"""What all layers with weights in 8 bits share: they load whole numbers, and refuse training and gradients."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import BackendError, ConfigError, DataError
from ..ops.int8 import MOST
from ..ops.state import tensors
from ..types import State

VALUES, SCALES = "_int8", "_scales"
"""What the names of a weight's two buffers end with."""


class Int8Module(torch.nn.Module):
    """A layer without gradients whose weights W are two buffers each, W_int8 and W_scales; :func:`rnnkit.quantize`."""

    def int8_config(self) -> dict[str, Any]:
        """Return what a model file keeps of the layer beside its weights."""
        return {}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Refuse whole numbers that :func:`quantise_weight` does not make: products of −128 differ by processor."""
        for name in self._buffers:
            given = state_dict.get(prefix + name) if name.endswith(VALUES) else None
            if given is not None and (given.dtype != torch.int8 or bool((given < -MOST).any())):
                raise DataError(f"{prefix}{name} holds no whole numbers from −{MOST} to {MOST} in 8 bits")
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def _refuse_gradients(self, x: torch.Tensor, state: State | None = None) -> None:
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
