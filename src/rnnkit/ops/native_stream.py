"""Layers on the native core that take one step at a time."""

from __future__ import annotations

from typing import Any

import torch

from .backend import native_core
from .direction import RecurrentOptions, RecurrentWeights
from .native_call import (
    Flags,
    Inputs,
    check,
    check_added,
    compact,
    empty_sequence,
    expand_zoneout,
    forward_arrays,
    recurrent_problem,
    sizes_of,
)
from .native_int8 import Int8Call, is_int8, stream_inputs

Tensor = torch.Tensor


class NativeStream:
    """Stacked layers on the native core that take one step at a time, see :class:`rnnkit.layers.stream`.

    The core holds the addresses of the weights, states and outputs, so this object owns those tensors. ``output``
    [B, S] is what the last layer wrote.
    """

    def __init__(self, batch: int, features: int, dtype: torch.dtype) -> None:
        core: Any = native_core()
        self._stream = core.StreamF32() if dtype == torch.float32 else core.StreamF64()
        self._owned: list[Any] = []
        self.output = torch.zeros(batch, features, dtype=dtype, device="cpu")

    def add(
        self,
        kernel: str,
        variant: str,
        weights: RecurrentWeights,
        state: list[Tensor],
        options: RecurrentOptions,
        added: Tensor | None = None,
    ) -> None:
        """Add a layer that reads the output so far.

        Args:
            kernel, variant: see :class:`rnnkit.ops.native_call.Flags`.
            weights, options: as the recurrence takes them.
            state: the tensors of the state, updated in place by every step.
            added: [B, G·H], what each step adds to W x; without layer normalisation and weights in 8 bits.

        Raises:
            ShapeError: a shape, dtype or device does not fit.
        """
        x = self.output[:, None]
        gains: dict[str, Any] = {} if options.norm is None else options.norm._asdict()
        tensors: dict[str, Any] = dict(zip(("h0", "c0"), state, strict=False)) | weights._asdict() | gains
        tensors["zone_h"] = expand_zoneout(options.zoneout_h, x, True)
        tensors["zone_c"] = expand_zoneout(options.zoneout_c, x, True)
        if is_int8(weights):
            self._add_int8(Int8Call(stream_inputs(x, tensors, options), weights, kernel, variant, False, True))
            return
        inputs = compact(Inputs(x=x, peephole=options.peephole, **tensors))
        flags = Flags(kernel, variant, reverse=False, batch_first=True, save_for_backward=False)
        sizes = sizes_of(inputs, flags)
        check(inputs, flags, sizes)
        problem = recurrent_problem(inputs, flags, sizes)
        scratch = torch.empty(problem.scratch(False), dtype=torch.uint8, device="cpu")
        out = empty_sequence(x, sizes, sizes.state, True)
        h, c = inputs.h0, inputs.c0
        assert h is not None
        arrays = forward_arrays(inputs, out, h, c, scratch.data_ptr(), True)
        if added is not None:
            check_added(added, inputs, sizes)
            arrays["added"] = (added.data_ptr(), added.stride(0), 0)
        self._stream.add(problem, arrays)
        self._owned.append((inputs, out, scratch, added))
        self.output = out[:, 0]

    def _add_int8(self, call: Int8Call) -> None:
        scratch = torch.empty(call.problem.scratch_int8(), dtype=torch.uint8, device="cpu")
        out = empty_sequence(call.inputs.x, call.sizes, call.sizes.state, True)
        h, c = call.inputs.h0, call.inputs.c0
        assert h is not None
        self._stream.add_int8(call.problem, call.arrays(out, h, c, scratch.data_ptr()))
        self._owned.append((call, out, scratch))
        self.output = out[:, 0]

    def step(self, x: Tensor) -> None:
        """Take one step on x [B, I]."""
        x = x.contiguous()  # a copy keeps its name until the call is over
        self._stream.step(x.data_ptr())

    def seconds_per_step(self, x: Tensor, repeats: int) -> float:
        """Return the median of so many steps, timed inside the core."""
        x = x.contiguous()
        seconds: float = self._stream.seconds_per_step(x.data_ptr(), repeats)
        return seconds
