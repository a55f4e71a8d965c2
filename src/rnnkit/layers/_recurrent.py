"""What the classical layers share: checks at the door, layers and directions, packed and unbatched input.

A concrete layer derives from this class and from PyTorch's layer of the same recurrence, and adds the recurrence
itself: one direction (:meth:`_direction`), one step (:meth:`_cell`) and what speaks against each backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..errors import BackendError, ConfigError, ShapeError, suggest
from ..ops.backend import choose_backend
from ..ops.state import map_state, tensors
from ..types import BACKENDS, Backend, State
from .initialisation import Init, check_init, initialise

Tensor = torch.Tensor
Lengths = Tensor | Sequence[int]


class RecurrentLayer(torch.nn.RNNBase):
    """See the module. ``state_batch_axis`` says where the batch lies in the tensors of a state."""

    state_batch_axis: ClassVar[int] = 1
    init: Init
    backend: Backend
    num_directions: int
    weight_ih_l0: Tensor

    def _configure(self, mode: str, init: Init, backend: Backend, bidirectional: bool) -> None:
        """Checks and keeps rnnkit's own arguments; called before PyTorch's constructor draws the weights."""
        check_init(init, mode)
        if backend not in BACKENDS:
            raise ConfigError(f"backend={backend!r} is unknown{suggest(backend, BACKENDS)}")
        self.init, self.backend = init, backend
        self.num_directions = 2 if bidirectional else 1

    # --- what a concrete layer adds ----------------------------------------------------------------------------------

    def _direction(
        self, x: Tensor, state: State | None, layer: int, reverse: bool, backend: Backend, **ragged: Any
    ) -> tuple[Tensor, State]:
        raise NotImplementedError

    def _cell(self, x: Tensor, state: State, layer: int) -> tuple[Tensor, State]:
        raise NotImplementedError

    def _native_problem(self, device: torch.device, dtype: torch.dtype) -> str | None:
        raise NotImplementedError

    def _torch_problem(self) -> str | None:
        """Why PyTorch's own layer cannot compute this configuration, or None where it can."""
        return None

    def initial_state(
        self, batch: int, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> State:
        """Zeros: the state before the first step, for ``batch`` rows."""
        raise NotImplementedError

    # --- the public calls --------------------------------------------------------------------------------------------

    def reset_parameters(self) -> None:
        """Draws all weights anew, by ``init``."""
        initialise(self, self.init)

    def backend_for(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32, *, resets: bool = False
    ) -> Backend:
        """The backend that would serve a call on this device and dtype, with or without resets."""
        native = self._native_problem(torch.device(device), dtype)
        torch_own = "PyTorch's layers have no resets" if resets else self._torch_problem()
        return choose_backend(type(self).__name__, self.backend, native, torch_own)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, State]:
        """Runs whole sequences.

        Args:
            input: [T, B, I], or [B, T, I] with ``batch_first``, or [T, I] unbatched, or a ``PackedSequence``.
            hx: the state to start from, as this method returns it; None for zeros.
            lengths: the number of valid steps of each row, [B] integers from 1 to T; rows are padded on the right and
                need no order. Outputs behind a row's length are 0, its state is that of its last valid step, and the
                reverse direction starts there.
            resets: bool [B, T], whatever ``batch_first``: true puts that row's state back to ``hx`` (or zeros) before
                that step. Not with ``bidirectional``.

        Returns:
            output and state, shaped as PyTorch's layer shapes them.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
            BackendError: the named backend cannot serve this call.
        """
        if not isinstance(input, Tensor | PackedSequence):
            raise ShapeError(f"input is a {type(input).__name__}; expected a tensor: torch.as_tensor(input)")
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, resets)
        if input.dim() == 2:
            return self._forward_unbatched(input, hx, lengths, resets)
        if not input.is_meta and torch.is_autocast_enabled(input.device.type):
            # Layers before may have halved the input, PyTorch's layers the state. They halve both again.
            dtype = self.weight_ih_l0.dtype
            input = input.to(dtype)
            hx = None if hx is None else map_state(lambda leaf: leaf.to(dtype), hx)
        self._check_input(input)
        batch, time = (input.shape[0], input.shape[1]) if self.batch_first else (input.shape[1], input.shape[0])
        if hx is not None:
            self._check_state(hx, batch, input)
        if lengths is not None:
            lengths = self._check_lengths(lengths, batch, time)
        if resets is not None:
            resets = self._check_resets(resets, batch, time)
        backend = self.backend_for(input.device, input.dtype, resets=resets is not None)
        if backend == "torch":
            return self._through_torch(input, hx, lengths)
        return self._through_layers(input, hx, lengths, resets, backend)

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """One time step, pure and differentiable: the same as :meth:`forward` on a sequence of one.

        Args:
            x: [B, I].
            state: as :meth:`forward` returns it; None for zeros.

        Returns:
            output [B, H] and the next state.
        """
        if self.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no step; call the layer")
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ShapeError(f"x has shape {tuple(x.shape)}; a step takes (batch, {self.input_size})")
        if x.dtype != self.weight_ih_l0.dtype:
            raise ShapeError(f"x is {x.dtype} and the layer's weights are {self.weight_ih_l0.dtype}; convert one")
        if state is None:
            state = self.initial_state(x.shape[0], x.device, x.dtype)
        else:
            self._check_state(state, x.shape[0], x)
        following = []
        for layer in range(self.num_layers):
            x, after = self._cell(x, map_state(lambda leaf, at=layer: leaf[at], state), layer)
            following.append(after)
            x = self._dropout(x, layer)
        return x, map_state(lambda *leaves: torch.stack(leaves), *following)

    def final_output(self, state: State) -> Tensor:
        """The top layer's output at each row's last valid step, both directions side by side: [B, D·H]."""
        h = tensors(state)[0]
        if len(h) == 1:
            return h.squeeze(0)  # a view; the gradient of h[-1] would be a fresh tensor of zeros and a copy
        return h[-1] if self.num_directions == 1 else torch.cat((h[-2], h[-1]), -1)

    @property
    def output_size(self) -> int:
        """Features of an output: D·H, or D·P with a projection."""
        return self.num_directions * (self.proj_size or self.hidden_size)

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this layer anew, for ``rnnkit.load``."""
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        arguments = {name: getattr(self, name) for name in (*names, "init", "backend")}
        return {"builder": type(self).__name__, "arguments": arguments | self._own_arguments()}

    def _own_arguments(self) -> dict[str, Any]:
        return {}

    def extra_repr(self) -> str:
        own = [f"{name}={value!r}" for name, value in self._own_arguments().items() if value]
        return ", ".join([super().extra_repr(), *own, f"init={self.init!r}", f"backend={self.backend!r}"])

    # --- ways through ------------------------------------------------------------------------------------------------

    def _weights(self, layer: int, reverse: bool = False) -> list[Any]:
        """w_ih, w_hh, b_ih, b_hh; read by name each time, so that parametrisations and tied weights are seen."""
        suffix = f"_l{layer}_reverse" if reverse else f"_l{layer}"
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")
        plain = self._parameters  # a microsecond each faster than getattr, which finds parametrised weights too
        found = [plain[name + suffix] if name + suffix in plain else getattr(self, name + suffix) for name in names]
        return found if self.bias else [*found, None, None]

    def _dropout(self, x: Tensor, layer: int) -> Tensor:
        if self.dropout and self.training and layer < self.num_layers - 1:
            return torch.nn.functional.dropout(x, self.dropout)
        return x

    def _through_layers(
        self, x: Tensor, hx: State | None, lengths: Tensor | None, resets: Tensor | None, backend: Backend
    ) -> tuple[Tensor, State]:
        finals = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                place = layer * self.num_directions + direction
                start = None if hx is None else map_state(lambda leaf, at=place: leaf[at], hx)
                output, final = self._direction(
                    x, start, layer, direction == 1, backend, lengths=lengths, resets=resets
                )
                outputs.append(output)
                finals.append(final)
            x = self._dropout(outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1), layer)
        if len(finals) == 1:
            return x, map_state(lambda leaf: leaf.unsqueeze(0), finals[0])
        return x, map_state(lambda *leaves: torch.stack(leaves), *finals)

    def _through_torch(self, x: Tensor, hx: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        if lengths is None or len(lengths) == 0:
            return super().forward(x, hx)  # type: ignore[no-any-return]
        packed = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        output, state = super().forward(packed, hx)
        time = x.shape[1 if self.batch_first else 0]
        return pad_packed_sequence(output, self.batch_first, total_length=time)[0], state

    def _forward_packed(
        self, packed: PackedSequence, hx: State | None, lengths: Lengths | None, resets: Tensor | None
    ) -> tuple[PackedSequence, State]:
        if lengths is not None or resets is not None:
            raise ShapeError("a PackedSequence carries its lengths and takes no resets; pass a padded tensor instead")
        if self.backend_for(packed.data.device, packed.data.dtype) == "torch":
            return super().forward(packed, hx)  # type: ignore[no-any-return]
        padded, rows = pad_packed_sequence(packed, self.batch_first)
        output, state = self.forward(padded, hx, lengths=rows)
        if packed.sorted_indices is not None:
            output = output.index_select(0 if self.batch_first else 1, packed.sorted_indices)
            rows = rows[packed.sorted_indices.cpu()]
        data = pack_padded_sequence(output, rows, self.batch_first).data
        return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state

    def _forward_unbatched(
        self, x: Tensor, hx: State | None, lengths: Lengths | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        if lengths is not None or resets is not None:
            raise ShapeError("lengths and resets need a batch; add its axis with x.unsqueeze")
        axis = 0 if self.batch_first else 1
        if hx is not None:
            hx = map_state(lambda leaf: leaf.unsqueeze(1), hx)
        output, state = self.forward(x.unsqueeze(axis), hx)
        return output.squeeze(axis), map_state(lambda leaf: leaf.squeeze(1), state)

    # --- checks at the door ------------------------------------------------------------------------------------------

    def _check_input(self, x: Tensor) -> None:
        layout = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
        if x.dim() != 3:
            raise ShapeError(f"input has shape {tuple(x.shape)}; expected {layout}, or (time, features) unbatched")
        if x.shape[2] != self.input_size:
            raise ShapeError(
                f"input has shape {tuple(x.shape)}, read as {layout}; expected {self.input_size} features. "
                f"Build the layer with input_size={x.shape[2]} or check the order of the axes"
            )
        if x.shape[1 if self.batch_first else 0] == 0:
            raise ShapeError(f"input has shape {tuple(x.shape)}, read as {layout}: it has no time step")
        weight = self.weight_ih_l0
        if x.device != weight.device:
            raise ShapeError(f"input is on {x.device} and the layer on {weight.device}; move one with .to(...)")
        if x.dtype != weight.dtype:
            raise ShapeError(
                f"input is {x.dtype} and the layer's weights are {weight.dtype}; convert one with .to(dtype)"
            )

    def _check_state(self, state: State, batch: int, x: Tensor) -> None:
        expected = [tuple(leaf.shape) for leaf in tensors(self.initial_state(batch, "meta"))]
        given = [tuple(leaf.shape) for leaf in tensors(state)]
        if given != expected or isinstance(state, Tensor) != (len(expected) == 1):
            kind = "a tensor" if len(expected) == 1 else "a tuple of tensors"
            raise ShapeError(f"hx has shapes {given}; expected {kind} of {expected} for a batch of {batch}")
        for leaf in tensors(state):
            if leaf.device != x.device:
                raise ShapeError(f"hx is on {leaf.device} and the input on {x.device}; move one with .to(...)")
            if leaf.dtype != x.dtype:
                raise ShapeError(f"hx is {leaf.dtype} and the input {x.dtype}; convert one with .to(dtype)")

    def _check_lengths(self, lengths: Lengths, batch: int, time: int) -> Tensor:
        try:
            lengths = torch.as_tensor(
                lengths, dtype=None if isinstance(lengths, Tensor) or len(lengths) else torch.int64
            )
        except (TypeError, ValueError):
            raise ShapeError(f"lengths is {lengths!r}; expected {batch} integers, one a row") from None
        if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
            raise ShapeError(
                f"lengths has shape {tuple(lengths.shape)} and {lengths.dtype}; expected ({batch},) integers, one a row"
            )
        lengths = lengths.to("cpu", torch.int64)
        if not torch.compiler.is_compiling() and batch > 0:
            low, high = int(lengths.min()), int(lengths.max())
            if low < 1 or high > time:
                raise ShapeError(
                    f"lengths run from {low} to {high}; expected 1 to {time}, the steps of the input. "
                    "Leave out rows that have no step"
                )
        return lengths

    def _check_resets(self, resets: Tensor, batch: int, time: int) -> Tensor:
        if self.bidirectional:
            raise ShapeError("resets have no meaning for a bidirectional layer; split the rows at the resets instead")
        resets = torch.as_tensor(resets)
        if resets.shape != (batch, time):
            raise ShapeError(f"resets has shape {tuple(resets.shape)}; expected (batch, time) = ({batch}, {time})")
        if resets.is_floating_point() or resets.is_complex():
            raise ShapeError(f"resets is {resets.dtype}; expected bool: pass resets.bool()")
        return resets.bool()
