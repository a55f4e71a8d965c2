"""The native kernels' own calls: what arrives is checked, laid out as the core takes it, and handed over as addresses.

Legend: B batch, T time, I input, H hidden, G gates, S length of h (P with a projection, else H).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from ..errors import ShapeError
from .backend import native_core

Tensor = torch.Tensor

KERNELS = ("simple_rnn", "lstm", "gru")  # the order of the native enumeration
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


class Inputs(NamedTuple):
    """The tensors of a call, in the order in which the operator takes them; None is not given.

    x [T, B, I], or [B, T, I] with ``batch_first``; w_ih [G·H, I], w_hh [G·H, S], biases [G·H], w_hr [S, H], peephole
    [3, H], gain_ih and gain_hh [G·H], gain_c and shift_c [H], h0 [B, S] and c0 [B, H], reset_h and reset_c likewise for
    what resets go back to, mask [B, S], zones [B, T, S] and [B, T, H] (or expanded to that), lengths int64 [B], resets
    bool [B, T].
    """

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None
    peephole: Tensor | None = None
    gain_ih: Tensor | None = None
    gain_hh: Tensor | None = None
    gain_c: Tensor | None = None
    shift_c: Tensor | None = None
    h0: Tensor | None = None
    c0: Tensor | None = None
    reset_h: Tensor | None = None
    reset_c: Tensor | None = None
    mask: Tensor | None = None
    zone_h: Tensor | None = None
    zone_c: Tensor | None = None
    lengths: Tensor | None = None
    resets: Tensor | None = None


class Flags(NamedTuple):
    """What a call computes beside its tensors; ``kind`` is the kernel's own variant."""

    kernel: int
    kind: int
    reverse: bool
    batch_first: bool
    keep: bool  # whether rows for the backward call are saved


ARGUMENTS = len(Inputs._fields) + len(Flags._fields)
DIFFERENTIABLE = Inputs._fields[: Inputs._fields.index("mask")]
COUNT = len(Inputs._fields)


def whole_zone(zone: Tensor | None, x: Tensor, batch_first: bool) -> Tensor | None:
    """A zone [B, T, H], or a constant that broadcasts to [B, H], as [B, T, H]; constants are not copied."""
    if zone is None or zone.dim() == 3:
        return zone
    batch, time = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    zone = torch.atleast_1d(zone)
    return (zone if zone.dim() == 1 else zone[:, None]).expand(batch, time, -1)


def saved_width(kernel: str, hidden: int, *, normed: bool, zoned: bool) -> int:
    """Elements that a kernel saves of each step for the backward call, beside the output; its header says which."""
    if kernel == "simple_rnn":
        return 3 * hidden + 4 if normed else hidden if zoned else 0
    if kernel == "lstm":
        return 13 * hidden + 6 if normed else 5 * hidden
    return 10 * hidden + 4 if normed else 4 * hidden


class Sizes(NamedTuple):
    batch: int
    time: int
    input: int
    hidden: int
    state: int
    gates: int


def sizes_of(inputs: Inputs, flags: Flags) -> Sizes:
    first, second, features = inputs.x.shape
    batch, time = (first, second) if flags.batch_first else (second, first)
    gates = GATES[KERNELS[flags.kernel]]
    width, state = inputs.w_hh.shape
    return Sizes(batch, time, features, width // gates, state, gates)


def like(tensor: Tensor, sizes: Sizes, features: int, batch_first: bool) -> Tensor:
    shape = (sizes.batch, sizes.time) if batch_first else (sizes.time, sizes.batch)
    return tensor.new_empty(*shape, features)


_LARGE = 1 << 23  # bytes


def large_empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Unset memory of the calls' own; large arrays come from NumPy, which asks the system for huge pages.

    The C library gives large memory back to the system each time it is freed. Taking 4 KiB pages anew cost the LSTM
    over 784 steps half of its forward pass.
    """
    wanted = math.prod(shape) * dtype.itemsize
    if wanted < _LARGE:
        return torch.empty(shape, dtype=dtype, device="cpu")
    memory = torch.from_numpy(np.empty(wanted + 64, np.uint8))
    start = -memory.data_ptr() % 64  # whole lines of the cache
    return memory[start : start + wanted].view(dtype).view(shape)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _rows(tensor: Tensor | None) -> Tensor | None:
    """The same array with adjacent features, copied only where they are not."""
    return tensor if tensor is None or tensor.stride(-1) == 1 else tensor.contiguous()


def _strided(tensor: Tensor | None, batch_first: bool) -> tuple[int, int, int]:
    """Address, stride over the batch, stride over time."""
    if tensor is None:
        return 0, 0, 0
    first, second, _ = tensor.stride()
    return (tensor.data_ptr(), first, second) if batch_first else (tensor.data_ptr(), second, first)


def check(inputs: Inputs, flags: Flags, sizes: Sizes) -> None:
    """The kernel takes addresses: what does not fit would read somebody else's memory."""
    x = inputs.x
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64) or not x.is_cpu:
        raise ShapeError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected float32 or float64, three axes, on the CPU"
        )
    batch, time, features, hidden, state, gates = sizes
    wide, dtype = gates * hidden, x.dtype
    _fit("w_ih", inputs.w_ih, (wide, features), dtype)
    _fit("w_hh", inputs.w_hh, (wide, hidden if inputs.w_hr is None else state), dtype)
    for name in ("b_ih", "b_hh", "gain_ih", "gain_hh"):
        _fit(name, getattr(inputs, name), (wide,), dtype)
    _fit("w_hr", inputs.w_hr, (state, hidden), dtype)
    for name in ("h0", "reset_h", "mask"):
        _fit(name, getattr(inputs, name), (batch, state), dtype)
    for name in ("c0", "reset_c"):
        _fit(name, getattr(inputs, name), (batch, hidden), dtype)
    for name in ("gain_c", "shift_c"):
        _fit(name, getattr(inputs, name), (hidden,), dtype)
    _fit("peephole", inputs.peephole, (3, hidden), dtype)
    _fit("zone_h", inputs.zone_h, (batch, time, state), dtype)
    _fit("zone_c", inputs.zone_c, (batch, time, hidden), dtype)
    _fit("lengths", inputs.lengths, (batch,), torch.int64)
    _fit("resets", inputs.resets, (batch, time), torch.bool)


def _fit(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor is not None and (tensor.shape != shape or tensor.dtype != dtype or not tensor.is_cpu):
        raise ShapeError(
            f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}; "
            f"expected {dtype} of shape {tuple(shape)} on the CPU"
        )


_SEQUENCES = {Inputs._fields.index(name) for name in ("x", "zone_h", "zone_c")}
_RESETS = Inputs._fields.index("resets")


def compact(inputs: Inputs) -> Inputs:
    """Tensors as the kernel takes them: adjacent features, and all but sequences contiguous."""
    taken: list[Any] = list(inputs)
    for index, tensor in enumerate(inputs):
        if tensor is None or tensor.is_contiguous() or index == _RESETS:
            continue
        taken[index] = _rows(tensor) if index in _SEQUENCES else tensor.contiguous()
    return Inputs(*taken)


def describe(core: Any, inputs: Inputs, flags: Flags, sizes: Sizes) -> Any:
    """The core's own description of a call."""
    given = (inputs.mask, inputs.zone_h, inputs.zone_c, inputs.peephole, inputs.gain_hh)
    options = sum(1 << bit for bit, tensor in enumerate(given) if tensor is not None)
    strides = (0, 0) if inputs.resets is None else inputs.resets.stride()
    return core.RecurrentSizes(
        *sizes[:5], flags.kind, flags.reverse, options, torch.get_num_threads(), _address(inputs.lengths),
        _address(inputs.resets), *strides,
    )  # fmt: skip


_MASK = Inputs._fields.index("mask")


def _input_addresses(inputs: Inputs, batch_first: bool) -> list[int]:
    """Of x, of weights, states and mask as Inputs lists them, and of zones: how both of the core's calls begin."""
    return [
        *_strided(inputs.x, batch_first), *(_address(tensor) for tensor in inputs[1 : _MASK + 1]),
        *_strided(inputs.zone_h, True), *_strided(inputs.zone_c, True),
    ]  # fmt: skip


def forward_addresses(
    inputs: Inputs, out: Tensor, hn: Tensor, cn: Tensor | None, saved: Tensor | None, scratch: Tensor, batch_first: bool
) -> list[int]:
    """In the order of the core's forward call."""
    return [
        *_input_addresses(inputs, batch_first), *_strided(out, batch_first), hn.data_ptr(), _address(cn),
        *_strided(saved, batch_first), scratch.data_ptr(),
    ]  # fmt: skip


def forward_call(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, flags = Inputs(*arguments[:COUNT]), Flags(*arguments[COUNT:])
    sizes = sizes_of(inputs, flags)
    check(inputs, flags, sizes)
    inputs = compact(inputs)
    core: Any = native_core()
    description = describe(core, inputs, flags, sizes)
    weight = inputs.w_hh
    element, is_lstm = weight.element_size(), KERNELS[flags.kernel] == "lstm"
    out = like(weight, sizes, sizes.state, flags.batch_first)
    hn = weight.new_empty(sizes.batch, sizes.state)
    cn = weight.new_empty((sizes.batch, sizes.hidden) if is_lstm else 0)
    width = description.saved(flags.kernel) if flags.keep else 0
    shape = (sizes.batch, sizes.time) if flags.batch_first else (sizes.time, sizes.batch)
    saved = large_empty((*shape, width), weight.dtype)
    scratch = large_empty((description.scratch(flags.kernel, element, False),), torch.uint8)
    call = core.forward_f32 if weight.dtype == torch.float32 else core.forward_f64
    addresses = forward_addresses(
        inputs, out, hn, cn if is_lstm else None, saved if width else None, scratch, flags.batch_first
    )
    call(flags.kernel, description, addresses)
    return out, hn, cn, saved


def backward_call(*arguments: Any) -> list[Tensor]:
    """Gradients of the tensors that DIFFERENTIABLE names; those that ``needs`` does not ask for are empty.

    The inputs are a forward call's, checked there; its results may have passed through hooks of the user's.
    """
    dout, dhn, dcn, dsaved, out, saved, *rest, needs = arguments
    inputs, flags = compact(Inputs(*rest[:COUNT])), Flags(*rest[COUNT:])
    sizes, core, batch_first = sizes_of(inputs, flags), native_core(), flags.batch_first
    assert core is not None
    shape = tuple(inputs.x.shape[:2])
    description = describe(core, inputs, flags, sizes)
    width = description.saved(flags.kernel) if flags.keep else 0
    _fit("out", out, (*shape, sizes.state), inputs.x.dtype)
    _fit("saved", saved, (*shape, width), inputs.x.dtype)
    _fit("the gradient of out", dout, (*shape, sizes.state), inputs.x.dtype)
    _fit("the gradient of saved", dsaved, (*shape, width), inputs.x.dtype)
    for name, dh, features in (("hn", dhn, sizes.state), ("cn", dcn, sizes.hidden)):
        if dh is not None and dh.numel():
            _fit(f"the gradient of {name}", dh, (sizes.batch, features), inputs.x.dtype)
    # Whatever the addresses are taken of keeps a name until the call is over.
    dout, out, saved = _rows(dout), out if out.stride(-1) == 1 else out.contiguous(), saved.contiguous()
    dcells = None if dsaved is None or dsaved.numel() == 0 else _rows(cell_states(dsaved, sizes.hidden))
    dhn, dcn = (None if dh is None or dh.numel() == 0 else dh.contiguous() for dh in (dhn, dcn))
    empty = out.new_empty(0)
    # Contiguous, so sequences lie in memory as the output does.
    grads = [
        torch.empty(tensor.shape, dtype=out.dtype, device="cpu") if tensor is not None and need else empty
        for tensor, need in zip(inputs, needs, strict=False)
    ]
    scratch = large_empty((description.scratch(flags.kernel, out.element_size(), True),), torch.uint8)
    written = [None if grad is empty else grad for grad in grads]
    addresses = [
        *_input_addresses(inputs, batch_first), *_strided(out, batch_first),
        *_strided(saved if saved.numel() else None, batch_first),
        *_strided(dout, batch_first), *_strided(dcells, batch_first), _address(dhn), _address(dcn),
        *_strided(written[0], batch_first), *(_address(grad) for grad in written[1:]), scratch.data_ptr(),
    ]  # fmt: skip
    call = core.backward_f32 if out.dtype == torch.float32 else core.backward_f64
    call(flags.kernel, description, addresses)
    return grads


def cell_states(saved: Tensor, hidden: int) -> Tensor:
    """The c of every step, in the saved rows of an LSTM."""
    return saved[..., 4 * hidden : 5 * hidden]
