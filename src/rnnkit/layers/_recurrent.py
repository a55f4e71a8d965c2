"""The base class of the classical layers: options, states, backends, and the calls that users make.

A concrete layer derives from this class and from PyTorch's layer of the same recurrence. It adds the recurrence itself:
one direction (:meth:`RecurrentLayer._run_direction`), one step (:meth:`RecurrentLayer._run_step`), and the names of its
state tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..errors import BackendError, ShapeError, check_choice
from ..ops.backend import choose_backend, exporting_to_onnx, native_problem, transforming
from ..ops.direction import NO_OPTIONS, RecurrentOptions, RecurrentWeights, StepCall
from ..ops.draws import bernoulli
from ..ops.state import map_state, tensors
from ..types import BACKENDS, Backend, State
from ._base import RecurrentBase
from ._checks import Lengths, check_input, check_lengths, check_resets, check_state
from ._exports import NotQuantisable, NotScriptable, recorded_call
from ._option_tensors import direction_options, parameter_shapes
from ._options import (
    DEFAULTS,
    Options,
    check_options,
    non_default_options,
    suffix_of,
    unsupported_by_torch,
)
from ._packed import refuse_beside_packed, run_padded
from ._stack import dropout_between_layers, run_stack, state_row
from .initialisation import Init, check_init, initialise
from .stream import Stream

Tensor = torch.Tensor


def _autocast(x: Tensor) -> bool:
    return not x.is_meta and torch.is_autocast_enabled(x.device.type)


class RecurrentLayer(NotScriptable, NotQuantisable, RecurrentBase):
    """See the module."""

    def _configure(self, mode: str, init: Init, backend: Backend, **options: Any) -> None:
        """Check and store rnnkit's own arguments. Called before PyTorch's constructor, which draws the weights."""
        check_init(init, mode)
        check_choice(backend, "backend", BACKENDS)
        if isinstance(options["zoneout"], list):  # as a configuration file has it
            options["zoneout"] = tuple(options["zoneout"])
        chosen = Options(**options)
        check_options(chosen, pairs="c" in self.state_names)
        self.init, self.backend = init, backend
        self.options = DEFAULTS if chosen == DEFAULTS else chosen  # itself: each call asks whether there are any

    def _complete(self) -> None:
        """Add the parameters of the options. Called after PyTorch's constructor."""
        weight = self.weight_ih_l0

        def new(shape: tuple[int, ...]) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.empty(shape, device=weight.device, dtype=weight.dtype))

        if self.options.coupled_gates:  # without the rows of the forget gate
            for name, full in list(self.named_parameters()):
                if name.startswith(("weight_ih", "weight_hh", "bias")):
                    rows = full.shape[0] // self.gates * (self.gates - 1)
                    setattr(self, name, new((rows, *full.shape[1:])))
        for name, shape in parameter_shapes(self).items():
            self.register_parameter(name, new(shape))
        # PyTorch's constructor has drawn the others, so the same seed gives the same weights with and without options.
        initialise(self, self.init, None if self.options.coupled_gates else set(parameter_shapes(self)))

    # --- what a concrete layer may change ----------------------------------------------------------------------------

    def _own_arguments(self) -> dict[str, Any]:
        """Constructor arguments that this layer has and other recurrences do not."""
        return {}

    def _torch_problem(self) -> str | None:
        """Why PyTorch's own layer cannot compute this configuration, or None where it can."""
        return unsupported_by_torch(self.options, self.training)

    # --- weights and options of one layer and direction --------------------------------------------------------------

    def _direction_weights(self, layer: int, reverse: bool = False) -> RecurrentWeights:
        """Read the weights by name at each call, so that parametrisations and tied weights take effect."""
        suffix, weight = suffix_of(layer, reverse), self._weight
        found = [weight("weight_ih" + suffix), weight("weight_hh" + suffix)]
        if self.bias:
            found += [weight("bias_ih" + suffix), weight("bias_hh" + suffix)]
        if self.options.weight_dropout and self.training:
            keep = 1 - self.options.weight_dropout
            found[1] = found[1] * bernoulli(tuple(found[1].shape), keep, 1 / keep, found[1])
        return RecurrentWeights(*found)

    def _direction_options(self, x: Tensor, batch: int, time: int, layer: int, reverse: bool) -> RecurrentOptions:
        """The tensors of the options; while training their random masks are drawn."""
        if self.options is DEFAULTS or self.options == DEFAULTS:  # equal where the layer was copied
            return NO_OPTIONS
        return self._option_tensors(x, batch, time, suffix_of(layer, reverse))

    def _option_tensors(self, x: Tensor, batch: int, time: int, suffix: str) -> RecurrentOptions:
        return direction_options(self, x, batch, time, suffix)

    # --- the public calls --------------------------------------------------------------------------------------------

    def reset_parameters(self) -> None:
        """Draw all weights again, as ``init`` says."""
        initialise(self, self.init)

    def flatten_parameters(self) -> None:
        """Prepare the weights for cuDNN where PyTorch's own layer can serve; do nothing otherwise."""
        if self._torch_problem() is None:
            super().flatten_parameters()

    def _native_problem(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why the native core cannot serve a call; None where it can."""
        return native_problem(device, dtype)

    def backend_for(
        self, device: torch.device | str, dtype: torch.dtype = torch.float32, *, resets: bool = False
    ) -> Backend:
        """Return the backend that would serve a call.

        Args:
            device, dtype: those of the input.
            resets: whether the call has resets.

        Raises:
            BackendError: the layer names a backend that cannot serve.
        """
        native = self._native_problem(device if isinstance(device, torch.device) else torch.device(device), dtype)
        if native is None and self.backend in ("auto", "native"):
            return "native"  # first, so that a native call does not pay for the question about PyTorch
        torch_own = "PyTorch's layers have no resets" if resets else self._torch_problem()
        if torch_own is None and self.backend == "auto" and transforming():
            torch_own = "PyTorch's layers have some of them"
        return choose_backend(type(self).__name__, self.backend, native, torch_own)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, State]:
        """Run whole sequences.

        Args:
            input: [T, B, I], or [B, T, I] with ``batch_first``, or [T, I] unbatched, or a ``PackedSequence``.
            hx: the state to start from, as this method returns it; None for :meth:`initial_state`.
            lengths: the number of valid steps of each row, [B] integers from 1 to T; rows are padded on the right and
                need no order. Outputs past a row's length are 0, its state is that of its last valid step, and the
                reverse direction starts there.
            resets: bool [B, T] in either layout; true puts that row's state back to :meth:`initial_state` before that
                step, also where ``hx`` is given. Not with ``bidirectional``.

        Returns:
            output and state, in the shapes of PyTorch's layer.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
            BackendError: the named backend cannot serve this call.
        """
        if isinstance(input, Tensor):
            if input.dim() == 2:
                return self._forward_unbatched(input, hx, lengths, resets)
        elif isinstance(input, PackedSequence):
            refuse_beside_packed(lengths, resets)
            return self._forward_packed(input, hx)
        elif isinstance(input, torch.fx.Proxy):
            return recorded_call(self, input, hx, lengths=lengths, resets=resets)
        x, hx, lengths, resets, backend = self._checked(input, hx, lengths, resets)
        if backend == "torch":
            return self._forward_torch(x, hx, lengths)
        if backend == "native" or not _autocast(x):  # autocast does not change what the native core computes
            return run_stack(self, x, hx, lengths, resets, backend)[:2]
        # In the weights' dtype: products in half precision would not fit the state that is carried.
        with torch.autocast(x.device.type, enabled=False):
            return run_stack(self, x, hx, lengths, resets, backend)[:2]

    def step(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run one time step, without side effects and differentiable: the same as a sequence of one step.

        Args:
            x: [B, I].
            state: as :meth:`forward` returns it; None for :meth:`initial_state`.

        Returns:
            output [B, H] and the next state. Dropout is drawn again at each step; call the layer to train with it.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
            BackendError: the layer is bidirectional.
        """
        if self.bidirectional:
            raise BackendError("a bidirectional layer needs the whole sequence and has no step: call layer(x)")
        if not isinstance(x, Tensor):
            raise ShapeError(f"x is a {type(x).__name__}; expected a tensor: torch.as_tensor(x)")
        if _autocast(x):
            x = x.to(self.weight_like.dtype)
            state = None if state is None else map_state(lambda leaf: leaf.to(x.dtype), state)
            with torch.autocast(x.device.type, enabled=False):
                return self.step(x, state)
        if x.dim() != 2 or x.shape[1] != self.input_size:
            raise ShapeError(f"x has shape {tuple(x.shape)}; a step takes (batch, {self.input_size})")
        if x.dtype != self.weight_like.dtype:
            raise ShapeError(f"x is {x.dtype} and the layer's weights are {self.weight_like.dtype}; convert one")
        if state is None:
            state = self.initial_state(x.shape[0], x.device, x.dtype)
        else:
            check_state(state, self, x.shape[0], x)
        following = []
        for layer in range(self.num_layers):
            options = self._direction_options(x, len(x), 1, layer, False)
            zoneout_h, zoneout_c = options.zoneout_h, options.zoneout_c
            if zoneout_h is not None and zoneout_h.dim() == 3:  # drawn for a sequence of one step
                options = options._replace(zoneout_h=zoneout_h[:, 0])
            if zoneout_c is not None and zoneout_c.dim() == 3:
                options = options._replace(zoneout_c=zoneout_c[:, 0])
            call = StepCall(x, state_row(state, layer), self._direction_weights(layer), options)
            x, after = self._run_step(call)
            following.append(after)
            x = dropout_between_layers(self, x, layer)
        return x, map_state(lambda *leaves: torch.stack(leaves), *following)

    def stream(self, batch: int = 1, *, reuse_output: bool = False) -> Stream:
        """Return the layer as a stream of single steps: fast, without gradients, see :class:`Stream`.

        Args:
            batch: the number of rows that step together.
            reuse_output: return the same buffer at every step, which the next step overwrites. Nothing is allocated.
                Otherwise every step returns a new tensor.

        Raises:
            BackendError: the layer is bidirectional.
            ConfigError: ``batch`` is no positive number.

        Example:
            >>> import torch, rnnkit
            >>> layer = rnnkit.LSTM(3, 5)
            >>> stream = layer.stream(batch=2)
            >>> x = torch.randn(7, 2, 3)
            >>> outputs = [stream(x_t) for x_t in x]
            >>> torch.allclose(torch.stack(outputs), layer(x)[0], atol=1e-6)
            True
        """
        return Stream(self, batch, reuse_output=reuse_output)

    def final_output(self, state: State) -> Tensor:
        """Return the top layer's output at each row's last valid step, both directions side by side: [B, D·H].

        Args:
            state: as :meth:`forward` returns it.
        """
        h = tensors(state)[0]
        if self.num_layers * self.num_directions == 1:  # the length of h would become a constant of a trace
            return h.squeeze(0)  # a view; the gradient of h[-1] would be a new tensor of zeros and a copy
        return h[-1] if self.num_directions == 1 else torch.cat((h[-2], h[-1]), -1)

    def config(self) -> dict[str, Any]:
        """Return the builder and the arguments that make this layer again, for ``rnnkit.load``."""
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        arguments = {name: getattr(self, name) for name in (*names, "init", "backend")}
        arguments |= self._own_arguments() | non_default_options(self.options)
        builder = parametrize.type_before_parametrizations(self).__name__  # a parametrisation changes the class
        return {"builder": builder, "arguments": arguments}

    def extra_repr(self) -> str:
        torchs, options = super().extra_repr(), non_default_options(self.options)
        own = self._own_arguments() | options
        shown = [f"{name}={value!r}" for name, value in own.items() if value or name in options]
        shown = [text for text in shown if text not in torchs]
        return ", ".join([torchs, *shown, f"init={self.init!r}", f"backend={self.backend!r}"])

    # --- backends and special inputs ---------------------------------------------------------------------------------

    def _checked(
        self, x: Tensor, hx: State | None, lengths: Lengths | None, resets: Tensor | None
    ) -> tuple[Tensor, State | None, Tensor | None, Tensor | None, Backend]:
        """The arguments of a call after all checks, and the backend that serves it."""
        if not isinstance(x, Tensor):
            raise ShapeError(f"input is a {type(x).__name__}; expected a tensor: torch.as_tensor(input)")
        if _autocast(x):
            # The input may come in half precision from the layers before, and the state from PyTorch's layers.
            dtype = self.weight_like.dtype
            x = x.to(dtype)
            hx = None if hx is None else map_state(lambda leaf: leaf.to(dtype), hx)
        check_input(x, self)
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if hx is not None:
            check_state(hx, self, batch, x)
        elif self.options.learn_initial_state:
            hx = self.initial_state(batch)
        if lengths is not None:
            lengths = check_lengths(lengths, batch, time)
        if resets is not None:
            resets = check_resets(resets, batch, time, self.bidirectional)
        backend = self.backend_for(x.device, x.dtype, resets=resets is not None)
        if backend == "torch" and self.backend == "auto" and lengths is not None and exporting_to_onnx():
            backend = "reference"  # PyTorch's layers take lengths as packed sequences, which ONNX has not
        return x, hx, lengths, resets, backend

    def _forward_torch(self, x: Tensor, hx: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        if lengths is None or len(lengths) == 0:
            return super().forward(x, hx)  # type: ignore[no-any-return]
        packed = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=False)
        output, state = super().forward(packed, hx)
        time = x.shape[1 if self.batch_first else 0]
        return pad_packed_sequence(output, self.batch_first, total_length=time)[0], state

    def _forward_packed(self, packed: PackedSequence, hx: State | None) -> tuple[PackedSequence, State]:
        if _autocast(packed.data):
            packed = packed.to(self.weight_like.dtype)
        if self.backend_for(packed.data.device, packed.data.dtype) != "torch":
            return run_padded(lambda x, rows: self.forward(x, hx, lengths=rows), packed, self.batch_first)
        if hx is None and self.options.learn_initial_state:
            hx = self.initial_state(int(packed.batch_sizes[0]))
        return super().forward(packed, hx)  # type: ignore[no-any-return]

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
