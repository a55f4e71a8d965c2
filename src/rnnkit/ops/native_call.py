"""The native kernels' own calls: what arrives is checked, laid out as the core takes it, and handed over as addresses.

Legend: B batch, T time, I input, H hidden, G gates, S length of h (P with a projection, else H).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..errors import ShapeError
from .backend import native_core

Tensor = torch.Tensor

KERNELS = ("simple_rnn", "lstm", "gru")  # the order of the native enumeration
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


class Inputs(NamedTuple):
    """The tensors of a call, in the order in which the operator takes them; None is not given.

    x [T, B, I], or [B, T, I] with ``batch_first``; pre likewise with G·H features: the input's part where it arrives
    computed, and x and w_ih are None. w_ih [G·H, I], w_hh [G·H, S], biases [G·H], w_hr [S, H], peephole [3, H],
    gain_hh [G·H], gain_c and shift_c [H], h0 [B, S] and c0 [B, H], reset_h and reset_c likewise for what resets go back
    to, mask [B, S], zones [B, T, S] and [B, T, H] (or expanded to that), lengths int64 [B], resets bool [B, T].
    """

    x: Tensor | None
    pre: Tensor | None
    w_ih: Tensor | None
    w_hh: Tensor
    b_ih: Tensor | None = None
    b_hh: Tensor | None = None
    w_hr: Tensor | None = None
    peephole: Tensor | None = None
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
DIFFERENTIABLE = Inputs._fields[:15]
COUNT = len(Inputs._fields)


def whole_zone(zone: Tensor | None, x: Tensor, batch_first: bool) -> Tensor | None:
    """A zone [B, T, H], or a constant that broadcasts to [B, H], as [B, T, H]; constants are not copied."""
    if zone is None or zone.dim() == 3:
        return zone
    batch, time = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    zone = torch.atleast_1d(zone)
    return (zone if zone.dim() == 1 else zone[:, None]).expand(batch, time, -1)


class Sizes(NamedTuple):
    batch: int
    time: int
    input: int
    hidden: int
    state: int
    gates: int


def sizes_of(inputs: Inputs, flags: Flags) -> Sizes:
    x = inputs.pre if inputs.x is None else inputs.x
    assert x is not None
    first, second, features = x.shape
    batch, time = (first, second) if flags.batch_first else (second, first)
    gates = GATES[KERNELS[flags.kernel]]
    width, state = inputs.w_hh.shape
    return Sizes(batch, time, features if inputs.pre is None else 0, width // gates, state, gates)


def like(tensor: Tensor, sizes: Sizes, features: int, batch_first: bool) -> Tensor:
    shape = (sizes.batch, sizes.time) if batch_first else (sizes.time, sizes.batch)
    return tensor.new_empty(*shape, features)


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
    x = inputs.pre if inputs.x is None else inputs.x
    assert x is not None
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64) or not x.is_cpu:
        raise ShapeError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected float32 or float64, three axes, on the CPU"
        )
    batch, time, features, hidden, state, gates = sizes
    wide, dtype = gates * hidden, x.dtype
    _fit("pre", inputs.pre, (*x.shape[:2], wide), dtype)
    _fit("w_ih", inputs.w_ih, (wide, features), dtype)
    _fit("w_hh", inputs.w_hh, (wide, hidden if inputs.w_hr is None else state), dtype)
    for name in ("b_ih", "b_hh", "gain_hh"):
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


_FREE_STRIDES = ("x", "pre", "zone_h", "zone_c", "resets")


def compact(inputs: Inputs) -> Inputs:
    """Tensors as the kernel takes them: adjacent features, and all but sequences contiguous."""
    return Inputs(*(_as_taken(name, tensor) for name, tensor in zip(Inputs._fields, inputs, strict=True)))


def _as_taken(name: str, tensor: Tensor | None) -> Any:
    if tensor is None or name == "resets":
        return tensor
    return _rows(tensor) if name in _FREE_STRIDES else tensor.contiguous()


def describe(core: Any, inputs: Inputs, flags: Flags, sizes: Sizes) -> Any:
    """The core's own description of a call."""
    given = (inputs.mask, inputs.zone_h, inputs.zone_c, inputs.peephole, inputs.gain_hh)
    options = sum(1 << bit for bit, tensor in enumerate(given) if tensor is not None)
    strides = (0, 0) if inputs.resets is None else inputs.resets.stride()
    return core.RecurrentSizes(
        *sizes[:5], flags.kind, flags.reverse, options, torch.get_num_threads(), _address(inputs.lengths),
        _address(inputs.resets), *strides,
    )  # fmt: skip


def weight_addresses(inputs: Inputs) -> list[int]:
    """In the order of the core's weights."""
    weights = (inputs.w_ih, inputs.w_hh, inputs.b_ih, inputs.b_hh, inputs.w_hr, inputs.peephole, *inputs[8:11])
    return [_address(tensor) for tensor in weights]


def forward_addresses(
    inputs: Inputs, out: Tensor, hn: Tensor, cn: Tensor | None, saved: Tensor | None, scratch: Tensor, batch_first: bool
) -> list[int]:
    """In the order of the core's forward call."""
    return [
        *_strided(inputs.x, batch_first), *_strided(inputs.pre, batch_first), *weight_addresses(inputs),
        *(_address(tensor) for tensor in inputs[11:16]), *_strided(inputs.zone_h, True),
        *_strided(inputs.zone_c, True), *_strided(out, batch_first), hn.data_ptr(), _address(cn),
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
    saved = like(weight, sizes, width, flags.batch_first)
    scratch = torch.empty(description.scratch(flags.kernel, element, False), dtype=torch.uint8)
    call = core.forward_f32 if weight.dtype == torch.float32 else core.forward_f64
    addresses = forward_addresses(
        inputs, out, hn, cn if is_lstm else None, saved if width else None, scratch, flags.batch_first
    )
    call(flags.kernel, description, addresses)
    return out, hn, cn, saved


def backward_call(*arguments: Any) -> tuple[Tensor, ...]:
    """Gradients of the tensors that DIFFERENTIABLE names; those that ``needs`` does not ask for are empty.

    Its arguments are a forward call's, checked there, and gradients, which PyTorch has checked.
    """
    dout, dhn, dcn, dsaved, out, saved, *rest, needs = arguments
    inputs, flags = Inputs(*rest[:COUNT]), Flags(*rest[COUNT:])
    sizes = sizes_of(inputs, flags)
    dtype, batch_first = inputs.w_hh.dtype, flags.batch_first
    if dcn is not None and dcn.numel() == 0:
        dcn = None
    inputs = compact(inputs)
    core: Any = native_core()
    description = describe(core, inputs, flags, sizes)
    dout = _rows(dout)
    dhn, dcn = (None if tensor is None else tensor.contiguous() for tensor in (dhn, dcn))
    dcells = None if dsaved is None or dsaved.numel() == 0 else _rows(cell_states(dsaved, sizes.hidden))
    need = dict(zip(DIFFERENTIABLE, needs, strict=True))
    empty, grads = inputs.w_hh.new_empty(0), {}
    for name in DIFFERENTIABLE:
        tensor = getattr(inputs, name)
        wanted = need[name] and tensor is not None
        # Sequences lie in memory as the output does.
        grads[name] = torch.empty(tensor.shape, dtype=dtype) if wanted else empty
    if inputs.pre is not None and not need["pre"]:
        grads["pre"] = torch.empty(inputs.pre.shape, dtype=dtype)  # the kernel's way to the other gradients
    scratch = torch.empty(description.scratch(flags.kernel, out.element_size(), True), dtype=torch.uint8)
    to = {name: grad if grad is not empty else None for name, grad in grads.items()}
    addresses = [
        *_strided(inputs.x, batch_first), *weight_addresses(inputs), *(_address(tensor) for tensor in inputs[11:16]),
        *_strided(inputs.zone_h, True), *_strided(inputs.zone_c, True),
        *_strided(out, batch_first), *_strided(saved if saved.numel() else None, batch_first),
        *_strided(dout, batch_first), *_strided(dcells, batch_first), _address(dhn), _address(dcn),
        *_strided(to["x"], batch_first), *_strided(to["pre"], batch_first),
        *(_address(to[name]) for name in DIFFERENTIABLE[2:]), scratch.data_ptr(),
    ]  # fmt: skip
    call = core.backward_f32 if dtype == torch.float32 else core.backward_f64
    call(flags.kernel, description, addresses)
    return tuple(grads[name] if need[name] else empty for name in DIFFERENTIABLE)


def cell_states(saved: Tensor, hidden: int) -> Tensor:
    """The c of every step, in the saved rows of an LSTM."""
    return saved[..., 4 * hidden : 5 * hidden]
