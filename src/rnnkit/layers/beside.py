"""A layer over sequences whose inputs stand beside its outputs.

    y_t = [module(x)_t, x_t]

A head behind it sees each step both with and without what the module joins to it. A network that is trained by CTC
learns first to distinguish classes by single steps; the way past a recurrence lets the layers in front learn that in a
fraction of the steps. He et al. 2016 add what this puts side by side, as Huang et al. 2017 do ("Densely connected
convolutional networks").

Legend: B batch, T time, I input, F features of the module's output.
"""

from __future__ import annotations

from typing import Any

import torch

from ..errors import ConfigError
from ..types import State
from ._checks import Lengths
from .chain import Delegating
from .description import describe, short_repr
from .sequence_adapters import Adapted, SequenceInterface, as_sequence_module
from .sequence_module import masked

Tensor = torch.Tensor


class Beside(Delegating):
    """y_t = [module(x)_t, x_t]; see the module for why.

    Args:
        module: a layer over sequences with as many steps out as in, as in :class:`rnnkit.SequenceClassifier`.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, T, F + I], 0 behind a row's length, the same lengths, the module's
        state.

    Raises:
        ConfigError: the module is no layer over sequences, or does not declare its sizes.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.Beside(rnnkit.GRU(16, 8, batch_first=True, bidirectional=True))
        >>> y, _, _ = layer(torch.zeros(2, 10, 16))
        >>> tuple(y.shape)
        (2, 10, 32)
    """

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module
        self._adapted = Adapted()
        layer = self._layer()
        if layer.input_size is None or layer.output_size is None:
            raise ConfigError(f"{short_repr(module)} does not tell how many features go in and out; take one that does")
        self.input_size, self.output_size = layer.input_size, layer.input_size + layer.output_size

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this module again; None where the wrapped module has none."""
        module = describe(self.module)
        return None if module is None else {"builder": "Beside", "arguments": {"module": module}}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x [B, T, I]; see the class."""
        y, lengths, state = self._layer()(x, lengths)
        return torch.cat([y, masked(x, lengths)], 2), lengths, state

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        y, state = self._layer().forward_chunk(x, state, lengths=lengths, resets=resets)
        return torch.cat([y, masked(x, lengths)], 2), state

    def __repr__(self) -> str:
        return f"Beside({short_repr(self.module)})"

    def _layer(self) -> SequenceInterface:
        return self._adapted((self.module,), _adapt)  # type: ignore[no-any-return]


def _adapt(modules: tuple[torch.nn.Module, ...]) -> SequenceInterface:
    return as_sequence_module(modules[0])
