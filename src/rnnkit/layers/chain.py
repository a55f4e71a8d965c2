"""Several layers as one, and single-step modules over whole sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..errors import ConfigError, ShapeError
from ..types import State
from ._checks import Lengths
from .description import describe, short_repr
from .sequence_adapters import Adapted, Chained, SequenceInterface, as_sequence_module, check_fit
from .sequence_module import SequenceModule, check_features, masked

Tensor = torch.Tensor


class Delegating(SequenceModule):
    """Base of a layer over sequences whose state is that of the layers in it; `_layer` returns these."""

    def _layer(self) -> SequenceInterface:
        raise NotImplementedError

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State | None:
        return self._layer().initial_state(batch, device, dtype)

    @property
    def stateful(self) -> bool:  # type: ignore[override]
        """Whether a part has a state."""
        return self._layer().stateful

    @property
    def state_batch_axis(self) -> int:  # type: ignore[override]
        """Where the batch lies in the tensors of the state."""
        return self._layer().state_batch_axis

    @property
    def carry_problem(self) -> str | None:
        """Why :meth:`forward_chunk` cannot serve; None where it can."""
        return self._layer().carry_problem


class Chain(Delegating):
    """y = part_n(… part_1(x)): layers over sequences, one behind the other, with their lengths and states.

    Args:
        parts: what :func:`rnnkit.layers.sequence_adapters.as_sequence_module` takes, from input to output.

    Shapes:
        x and lengths as the first part takes them → y, lengths and state as :class:`rnnkit.SequenceModule` says. The
        state is that of the part that has one, or a tuple where several have.

    Raises:
        ConfigError: no parts, a module that is no layer over sequences, or features that do not fit.

    Example:
        >>> import torch, rnnkit
        >>> front = rnnkit.Chain(torch.nn.Embedding(100, 16), rnnkit.ConvFront(16, channels=12, stride=2))
        >>> y, lengths, _ = front(torch.zeros(4, 10, dtype=torch.long), lengths=[10, 3, 2, 1])
        >>> tuple(y.shape), lengths.tolist()
        ((4, 5, 12), [5, 2, 1, 1])
    """

    def __init__(self, *parts: torch.nn.Module) -> None:
        super().__init__()
        if not parts:
            raise ConfigError("a chain without parts; expected at least one layer: rnnkit.Chain(first, second)")
        for place, part in enumerate(parts):
            if isinstance(part, list | tuple | torch.nn.ModuleList | Iterator):
                raise ConfigError(
                    f"part {place} is a {type(part).__name__}; expected the layers one by one: rnnkit.Chain(first, "
                    "second), or rnnkit.Chain(*layers) with a star"
                )
        check_fit([(f"part {place}", as_sequence_module(part, f"part {place}")) for place, part in enumerate(parts)])
        for place, part in enumerate(parts):
            self.add_module(str(place), part)
        self._adapted = Adapted()

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this chain again; None where a part has none."""
        parts = [describe(part) for part in self._modules.values()]
        return None if None in parts else {"builder": "Chain", "arguments": {"parts": parts}}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map x through all parts; see the class."""
        return self._chained()(x, lengths)

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        return self._chained().forward_chunk(x, state, lengths=lengths, resets=resets)

    def last_output(self, y: Tensor, lengths: Lengths | None, state: State | None) -> Tensor:
        return self._chained().last_output(y, lengths, state)

    @property
    def input_size(self) -> int | None:  # type: ignore[override]
        """Features of a step that the first part takes."""
        return self._chained().input_size

    @property
    def output_size(self) -> int | None:  # type: ignore[override]
        """Features of a step that come out."""
        return self._chained().output_size

    def __repr__(self) -> str:
        return f"Chain({', '.join(short_repr(part) for part in self._modules.values())})"

    def _layer(self) -> SequenceInterface:
        return self._chained()

    def _chained(self) -> Chained:
        return self._adapted(tuple(self._modules.values()), _chain)  # type: ignore[no-any-return]


def _chain(modules: tuple[torch.nn.Module, ...]) -> Chained:
    return Chained([as_sequence_module(part) for part in modules])


class PerStep(SequenceModule):
    """y_t = module(x_t): a module of the user's that treats each step by itself, as a layer over sequences.

    PyTorch's own modules of this kind (Linear, LayerNorm, activations, …) need no wrapper.

    Args:
        module: maps [B, T, I] to [B, T, F], each step for itself.
        output_size: F; None where as many features come out as go in.

    Shapes:
        x [B, T, I] (and ``lengths`` [B]) → y [B, T, F], 0 behind a row's length, the same lengths, no state.

    Raises:
        ConfigError: ``module`` is no ``torch.nn.Module``. ShapeError: it returns something else than [B, T, F].

    Example:
        >>> import torch, rnnkit
        >>> class Square(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x * x
        >>> y, _, _ = rnnkit.PerStep(Square())(torch.full((1, 2, 1), 3.0))
        >>> y.flatten().tolist()
        [9.0, 9.0]
    """

    def __init__(self, module: torch.nn.Module, output_size: int | None = None) -> None:
        super().__init__()
        if not isinstance(module, torch.nn.Module):
            raise ConfigError(f"module is {module!r}; expected a torch.nn.Module: rnnkit.PerStep(MyModule())")
        self.module, self.output_size = module, output_size

    def config(self) -> dict[str, Any] | None:
        """Builder and arguments that make this module again; None where the wrapped module has none."""
        module = describe(self.module)
        if module is None:
            return None
        return {"builder": "PerStep", "arguments": {"module": module, "output_size": self.output_size}}

    def forward(self, x: Tensor, lengths: Lengths | None = None) -> tuple[Tensor, Lengths | None, State | None]:
        """Map each step of x [B, T, I]; see the class."""
        return self.forward_chunk(x, lengths=lengths)[0], lengths, None

    def forward_chunk(
        self,
        x: Tensor,
        state: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State | None]:
        check_features(x, None, self.module)
        y = self.module(masked(x, lengths))
        if not isinstance(y, Tensor) or y.dim() != 3 or y.shape[:2] != x.shape[:2]:
            what = f"shape {list(y.shape)}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise ShapeError(f"{type(self.module).__name__} returned {what}; expected {list(x.shape[:2])} and features")
        return masked(y, lengths), None

    def __repr__(self) -> str:
        size = "" if self.output_size is None else f", output_size={self.output_size}"
        return f"PerStep({short_repr(self.module)}{size})"
