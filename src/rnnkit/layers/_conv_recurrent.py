"""What the recurrences over maps share: weights, states, the calls over sequences and the choice of the algorithm."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch.nn.utils import parametrize

from ..errors import ConfigError, ShapeError, check_choice, check_whole
from ..ops.backend import tracing, transforming
from ..ops.conv_gru import same_conv
from ..ops.padding import valid_steps
from ..ops.state import map_state, tensors
from ..ops.tile_conv import from_tiles, to_tiles
from ..ops.unroll import unroll
from ..types import State
from ._cell_checks import state_shapes
from ._checks import Lengths, check_lengths, check_resets, described
from ._exports import NotScriptable
from .sequence_module import last_valid, masked

Tensor = torch.Tensor
Algorithm = Literal["auto", "tiles", "direct"]
ALGORITHMS: tuple[Algorithm, ...] = ("auto", "tiles", "direct")
_TILES_FROM = 16
"""Channels of the state from which "auto" takes tiles; with fewer, their transforms outweigh what the products save."""

# What Keras and others call the arguments.
RENAMED = {
    "in_channels": "input_size",
    "input_dim": "input_size",
    "channels": "hidden_size",
    "filters": "hidden_size",
    "out_channels": "hidden_size",
    "hidden_channels": "hidden_size",
    "hidden_dim": "hidden_size",
    "use_bias": "bias",
}


class ConvRecurrence(NotScriptable):
    """The weights and one step of a recurrence over maps. Legend: C channels in, H channels of the state, G gates."""

    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]] = ("h",)
    state_batch_axis: ClassVar[int] = 0

    def _make_weights(
        self, input_size: int, hidden_size: int, kernel_size: int, bias: bool, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        check_whole(input_size, "input_size")
        check_whole(hidden_size, "hidden_size")
        check_whole(kernel_size, "kernel_size")
        if kernel_size % 2 == 0:
            raise ConfigError.of("kernel_size", kernel_size, "expected an odd number, with a pixel in the middle")
        self.input_size, self.hidden_size = input_size, hidden_size
        self.kernel_size, self.bias = kernel_size, bool(bias)

        def new(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        wide = self.gates * hidden_size
        self.weight_ih = new(wide, input_size, kernel_size, kernel_size)
        self.weight_hh = new(wide, hidden_size, kernel_size, kernel_size)
        self.bias_ih = new(wide) if bias else None
        self.bias_hh = new(wide) if bias else None

    def reset_parameters(self) -> None:
        """Draw all weights again, uniform in ±1/√(H k²)."""
        bound = (self.hidden_size * self.kernel_size**2) ** -0.5
        with torch.no_grad():
            for weight in self.parameters():
                weight.uniform_(-bound, bound)

    @property
    def output_size(self) -> int:
        """H, the channels of an output."""
        return self.hidden_size

    def initial_state(
        self,
        batch: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        size: tuple[int, int] | None = None,
    ) -> State:
        """Return zeros [B, H, h, w], for an LSTM (h, c) of that shape.

        Args:
            batch: B.
            device, dtype: those of the weights unless given.
            size: (h, w), the pixels of the maps.

        Raises:
            ConfigError: without a size.
        """
        if size is None:
            name = parametrize.type_before_parametrizations(self).__name__
            raise ConfigError(
                f"the state of {name} is a map, and its size is unknown before an input came: call it without a "
                "state, or pass size=(height, width)"
            )
        device, dtype = device or self.weight_hh.device, dtype or self.weight_hh.dtype
        shape = (batch, self.hidden_size, *size)
        leaves = tuple(torch.zeros(shape, device=device, dtype=dtype) for _ in self.state_names)
        return leaves[0] if len(leaves) == 1 else leaves

    def initial_state_for(self, x: Tensor) -> State:
        """Return the state before the first step for inputs x [B, C, h, w] of one step."""
        self._check_step(x, None)
        return self.initial_state(len(x), x.device, size=(x.shape[2], x.shape[3]))

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this module again."""
        names = ("input_size", "hidden_size", "kernel_size", "bias", *self._own_arguments())
        builder = parametrize.type_before_parametrizations(self).__name__
        return {"builder": builder, "arguments": {name: getattr(self, name) for name in names}}

    def extra_repr(self) -> str:
        arguments = self.config()["arguments"]
        shown = [f"{name}={value!r}" for name, value in arguments.items() if not name.endswith("_size")]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", f"kernel_size={self.kernel_size}", *shown])

    def _own_arguments(self) -> tuple[str, ...]:
        return ()

    # --- what a recurrence defines -----------------------------------------------------------------------------------

    def _step(self, from_x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step from W ∗ x + b_i and the state before."""
        raise NotImplementedError

    # --- one step ----------------------------------------------------------------------------------------------------

    def _checked_step(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        self._check_step(x, state)
        state = self.initial_state_for(x) if state is None else state
        return self._step(same_conv(x, self.weight_ih, self.bias_ih), state)

    def _check_step(self, x: Any, state: State | None) -> None:
        name = parametrize.type_before_parametrizations(self).__name__
        if not isinstance(x, Tensor) or x.dim() != 4 or x.shape[1] != self.input_size:
            raise ShapeError(
                f"x is {described(x)}; a step of {name} takes maps (batch, {self.input_size}, height, width)"
            )
        self._check_state(x, state, len(x), x.shape[2], x.shape[3])

    def _check_state(self, x: Tensor, state: State | None, batch: int, height: int, width: int) -> None:
        weight = self.weight_hh
        if x.dtype != weight.dtype or x.device != weight.device:
            raise ShapeError(
                f"x is {x.dtype} on {x.device} and the weights are {weight.dtype} on {weight.device}; convert one "
                "with .to(...)"
            )
        if state is None:
            return
        expected = (batch, self.hidden_size, height, width)
        nested = expected if len(self.state_names) == 1 else (expected,) * len(self.state_names)
        shapes = state_shapes(state, "the state")
        if shapes != nested:
            raise ShapeError(f"the state has shapes {shapes}; expected {nested} for this input")
        if any(leaf.dtype != x.dtype or leaf.device != x.device for leaf in tensors(state)):
            raise ShapeError(f"the state has another dtype or device than the input, {x.dtype} on {x.device}")


class ConvRecurrentLayer(ConvRecurrence):
    """A recurrence over maps that runs whole sequences [B, T, C, h, w]."""

    algorithm: Algorithm = "auto"
    bidirectional: ClassVar[bool] = False
    batch_first: ClassVar[bool] = True

    def _configure(self, algorithm: Algorithm) -> None:
        check_choice(algorithm, "algorithm", ALGORITHMS)
        if algorithm == "tiles" and self.kernel_size != 3:
            raise ConfigError.of("kernel_size", self.kernel_size, 'algorithm="tiles" expected 3')
        self.algorithm = algorithm

    def _own_arguments(self) -> tuple[str, ...]:
        return ("algorithm",)

    def _run_tiles(
        self, from_x: Tensor, state: State, keep: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """All steps on tiles: every h, and for an LSTM every c, [4, 4, T, B, R, S, H]."""
        raise NotImplementedError

    def _input_bias(self) -> Tensor | None:
        """All biases that are added before a gate's nonlinearity, outside of any product."""
        return None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh

    def forward(
        self,
        input: Tensor,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run whole sequences of maps.

        Args:
            input: [B, T, C, h, w].
            hx: the state to start from, as this method returns it; None for zeros.
            lengths: the number of valid steps of each row, [B] integers from 1 to T. Outputs past a row's length are
                0, and its state is that of its last valid step.
            resets: bool [B, T]; true puts the row's state back to zeros before that step.

        Returns:
            output [B, T, H, h, w], whose channels lie last in memory, and the last state.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
        """
        name = parametrize.type_before_parametrizations(self).__name__
        if not isinstance(input, Tensor) or input.dim() != 5 or input.shape[2] != self.input_size:
            hint = ": type input[:, None] for a single step" if isinstance(input, Tensor) and input.dim() == 4 else ""
            raise ShapeError(
                f"input is {described(input)}; {name} expects (batch, time, {self.input_size}, height, width){hint}"
            )
        if 0 in input.shape[1:]:
            raise ShapeError.of("input", tuple(input.shape), "; expected at least one step and one pixel")
        kind = input.device.type
        if not input.is_meta and torch.is_autocast_enabled(kind):
            dtype = self.weight_hh.dtype
            hx = None if hx is None else map_state(lambda leaf: leaf.to(dtype), hx)
            with torch.autocast(kind, enabled=False):
                return self.forward(input.to(dtype), hx, lengths=lengths, resets=resets)
        batch, time, _, height, width = input.shape
        self._check_state(input, hx, batch, height, width)
        if hx is None:
            hx = self.initial_state(batch, input.device, input.dtype, size=(height, width))
        if lengths is not None:
            lengths = check_lengths(lengths, batch, time)
            input = masked(input, lengths)
        if resets is not None:
            resets = check_resets(resets, batch, time, False).to(input.device)
        run = self._forward_tiles if self.serves_tiles(input.device, input.dtype) else self._forward_direct
        return run(input, hx, lengths, resets)

    def serves_tiles(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Return whether a call would compute on tiles (:mod:`rnnkit.ops.tile_conv`)."""
        if self.algorithm == "direct" or self.kernel_size != 3 or tracing() or transforming():
            return False
        usual = device.type == "cpu" and dtype in (torch.float32, torch.float64)
        return usual and (self.algorithm == "tiles" or self.hidden_size >= _TILES_FROM)

    def _forward_direct(
        self, x: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        """PyTorch's convolutions: of the input for all steps at once, of the state step by step."""
        from_x = same_conv(x.flatten(0, 1), self.weight_ih, self.bias_ih).unflatten(0, x.shape[:2])
        zeros = map_state(torch.zeros_like, state)
        output, state = unroll(self._step, from_x.transpose(0, 1), state, initial=zeros, lengths=lengths, resets=resets)
        return output.transpose(0, 1), state

    def _forward_tiles(
        self, x: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        batch, time, _, height, width = x.shape
        size = (height, width)
        steps = x.transpose(0, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        weight = self.weight_ih.contiguous(memory_format=torch.channels_last)
        from_x = to_tiles(same_conv(steps, weight, self._input_bias()).unflatten(0, (time, batch)))
        keep = None if resets is None else (~resets.T).to(x.dtype)[:, :, None, None, None]
        sequences = self._run_tiles(from_x, map_state(to_tiles, state), keep, size)
        maps = [from_tiles(tiles, height, width) for tiles in sequences]  # [T, B, H, h, w]
        output = maps[0].transpose(0, 1)
        if lengths is None:
            leaves = [one[-1] for one in maps]
        else:
            leaves = [last_valid(one.transpose(0, 1), lengths) for one in maps]
            valid = valid_steps(lengths, time, x.device)[:, :, None, None, None]
            output = torch.where(valid, output, torch.zeros((), dtype=output.dtype, device=output.device))
        return output, leaves[0] if len(leaves) == 1 else tuple(leaves)

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, without side effects and differentiable: the same as a sequence of one step.

        Args:
            x: [B, C, h, w].
            state: as :meth:`forward` returns it; None for zeros.

        Returns:
            output [B, H, h, w] and the next state.
        """
        self._check_step(x, state)
        output, state = self.forward(x[:, None], state)
        return output[:, 0], state

    def stream(self, batch: int = 1) -> ConvStream:
        """Return an object that takes maps one by one and holds the state, without gradients.

        Args:
            batch: B.
        """
        check_whole(batch, "batch")
        return ConvStream(self, batch)

    def final_output(self, state: State) -> Tensor:
        """Return the output at each row's last valid step, [B, H, h, w].

        Args:
            state: as :meth:`forward` returns it.
        """
        return tensors(state)[0]


class ConvStream:
    """Maps one by one through a recurrence: ``y_t = stream(x_t)``, x_t [B, C, h, w] and y_t [B, H, h, w].

    The size of the maps is that of the first one.

    Attributes:
        state: after the last map; None before the first, unless a state was assigned.
    """

    def __init__(self, layer: ConvRecurrentLayer, batch: int) -> None:
        self._layer, self._batch = layer, batch
        self.state: State | None = None

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Run one step."""
        if isinstance(x, Tensor) and len(x) != self._batch:
            raise ShapeError(
                f"x has {len(x)} rows; this stream takes {self._batch}: make another with layer.stream(batch)"
            )
        output, self.state = self._layer.step(x, self.state)
        return output

    def __repr__(self) -> str:
        return f"ConvStream({self._layer}, batch={self._batch})"
