"""The declarations that the parts of a recurrent layer share: its options, sizes, states and recurrence."""

from __future__ import annotations

from typing import ClassVar

import torch

from ..ops.direction import DirectionCall, DirectionResult, RecurrentOptions, RecurrentWeights, StepCall
from ..types import Backend, State
from ._options import DEFAULTS, Options
from .initialisation import Init

Tensor = torch.Tensor


class RecurrentBase(torch.nn.RNNBase):
    """What :class:`rnnkit.layers._recurrent.RecurrentLayer` offers to the modules that it is built from.

    ``init``, ``backend`` and ``options`` have their defaults on the class. So a layer of PyTorch's becomes one of
    rnnkit's when its class is changed (:func:`rnnkit.accelerate`).

    Attributes:
        state_names: the names of the tensors of a state: h, and c for an LSTM.
        state_batch_axis: the axis of the batch in the tensors of a state.
        kernel: the name of the native kernel.
        gates: the number of gate blocks in the rows of a weight.
    """

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    state_batch_axis: ClassVar[int] = 1
    kernel: ClassVar[str]
    gates: ClassVar[int]
    init: Init = "torch"
    backend: Backend = "auto"
    options: Options = DEFAULTS
    weight_ih_l0: Tensor

    @property
    def kernel_variant(self) -> str:
        """The name of the native kernel's variant."""
        return "standard"

    def _weight(self, name: str) -> Tensor:
        """A parameter, or what a parametrisation computes in its place."""
        # getattr finds a parameter only after it has made an error's message, which takes some microseconds.
        found: Tensor | None = self._parameters.get(name)
        return getattr(self, name) if found is None else found

    @property
    def weight_like(self) -> Tensor:
        """A tensor of the layer's device and dtype."""
        return self._weight("weight_ih_l0")

    @property
    def num_directions(self) -> int:
        """D, 1 or 2."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Features of an output: D·H, or D·P with a projection."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    @property
    def state_sizes(self) -> dict[str, int]:
        """Features of each tensor of a state by its name: P for h with a projection, else H."""
        h_size = self.proj_size or self.hidden_size
        return {name: h_size if name == "h" else self.hidden_size for name in self.state_names}

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Return the state before the first step, for ``batch`` rows: zeros, or what was learned.

        Args:
            batch: B.
            device, dtype: those of the weights unless given.

        Returns:
            h [L·D, B, H], or (h, c) for an LSTM.
        """
        weight = self.weight_like
        device, dtype = device or weight.device, dtype or weight.dtype
        if self.options.learn_initial_state:
            learned = [getattr(self, f"initial_{name}") for name in self.state_names]
            leaves = [one.to(device, dtype).expand(-1, batch, -1) for one in learned]
        else:
            rows = self.num_layers * self.num_directions
            leaves = [torch.zeros(rows, batch, size, device=device, dtype=dtype) for size in self.state_sizes.values()]
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    def backend_for(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32, *, resets: bool = False
    ) -> Backend:
        """Return the backend that would serve a call."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step."""
        raise NotImplementedError

    # --- one layer and direction -------------------------------------------------------------------------------------

    def _direction_weights(self, layer: int, reverse: bool = False) -> RecurrentWeights:
        """The weights of one layer and direction."""
        raise NotImplementedError

    def _direction_options(self, x: Tensor, batch: int, time: int, layer: int, reverse: bool) -> RecurrentOptions:
        """The tensors of the options of one layer and direction; while training their random masks are drawn."""
        raise NotImplementedError

    def _run_direction(self, call: DirectionCall, backend: Backend) -> DirectionResult:
        """Run one layer in one direction over whole sequences, natively or by the reference."""
        raise NotImplementedError

    def _run_step(self, call: StepCall) -> tuple[Tensor, State]:
        """Run one step of one layer."""
        raise NotImplementedError
