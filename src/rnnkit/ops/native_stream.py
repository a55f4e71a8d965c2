"""Layers on the native core that take one step at a time."""

from __future__ import annotations

from typing import Any

import torch

from .backend import native_core
from .direction import VARIANTS, RecurrentOptions, RecurrentWeights
from .native_call import KERNELS, Flags, Inputs, check, compact, describe, forward_addresses, like, sizes_of, whole_zone

Tensor = torch.Tensor


class NativeStream:
    """Layers on the native core that take one step at a time, on buffers that stay; see :class:`rnnkit.layers.stream`.

    ``output`` [B, S] is what the last layer wrote.
    """

    def __init__(self, batch: int, features: int, dtype: torch.dtype) -> None:
        core: Any = native_core()
        self._core, self._dtype = core, dtype
        self._stream = core.StreamF32() if dtype == torch.float32 else core.StreamF64()
        self._kept: list[Any] = []  # what the core holds addresses of
        self.output = torch.zeros(batch, features, dtype=dtype, device="cpu")

    def add(
        self, kernel: str, variant: str, weights: RecurrentWeights, state: list[Tensor], options: RecurrentOptions
    ) -> None:
        """One more layer: ``weights`` and ``options`` as the recurrence takes them, ``state`` its buffers, updated."""
        x = self.output[:, None]
        gains: dict[str, Any] = {} if options.norm is None else options.norm._asdict()
        tensors: dict[str, Any] = dict(zip(("h0", "c0"), state, strict=False)) | weights._asdict() | gains
        tensors["zone_h"] = whole_zone(options.zoneout_h, x, True)
        tensors["zone_c"] = whole_zone(options.zoneout_c, x, True)
        inputs = compact(Inputs(x=x, peephole=options.peephole, **tensors))
        flags = Flags(KERNELS.index(kernel), VARIANTS[kernel].index(variant), False, True, False)
        sizes = sizes_of(inputs, flags)
        check(inputs, flags, sizes)
        description = describe(self._core, inputs, flags, sizes)
        scratch = torch.empty(
            description.scratch(flags.kernel, x.element_size(), False), dtype=torch.uint8, device="cpu"
        )
        out = like(x, sizes, sizes.state, True)
        h, c = inputs.h0, inputs.c0
        assert h is not None
        self._stream.add(flags.kernel, description, forward_addresses(inputs, out, h, c, None, scratch, True))
        self._kept.append((inputs, out, scratch))
        self.output = out[:, 0]

    def step(self, x: Tensor) -> None:
        """One step on x [B, I]."""
        x = x.contiguous()  # a copy keeps its name until the call is over
        self._stream.step(x.data_ptr())

    def seconds_per_step(self, x: Tensor, repeats: int) -> float:
        """The median of so many steps, timed inside the core."""
        x = x.contiguous()
        seconds: float = self._stream.seconds_per_step(x.data_ptr(), repeats)
        return seconds
