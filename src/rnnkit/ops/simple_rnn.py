"""The simple (Elman) recurrence, one layer in one direction.

    h_t = σ(W x_t + b_ih + U h_{t-1} + b_hh)        σ one of tanh, relu, sigmoid

Options of the step and the reference, all off by default, in any combination:
    mask m [B, H]       m ⊙ h_{t-1} in place of h_{t-1} in the product with U
    norm                gain_ih ⊙ N(W x_t) and gain_hh ⊙ N(U h_{t-1}) in place of W x_t and U h_{t-1}, the biases behind
    zone ζ in [0, 1]    h_t = ζ ⊙ h_{t-1} + (1 − ζ) ⊙ h̃_t, where h̃_t is the h_t above

Variant: Elman, "Finding structure in time", Cognitive Science 14 (1990), with PyTorch's two biases. Mask: variational
dropout, Gal & Ghahramani (2016). N: layer normalisation, see :mod:`rnnkit.ops.normalisation`. ζ: zoneout, Krueger et
al. (2017), 0 or 1 while training and the probability itself in evaluation.
Legend: B batch, T time, I input, H hidden.
Shapes: x [T, B, I], h [B, H], W [H, I], U [H, H], b [H], gain [H], mask [B, H], zone [B, H] or a constant [H].
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from ..errors import ShapeError
from .backend import native_core
from .normalisation import pre_activation
from .unroll import over_time, unroll

Nonlinearity = Literal["tanh", "relu", "sigmoid"]
NONLINEARITIES: tuple[Nonlinearity, ...] = ("tanh", "relu", "sigmoid")  # the order of the native enumeration

Tensor = torch.Tensor
SimpleRnnNorm = tuple[Tensor, Tensor]


def simple_rnn_step(
    x: Tensor,
    h: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: Nonlinearity = "tanh",
    norm: SimpleRnnNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
) -> Tensor:
    """One step: x [B, I] and h [B, H] to the next h [B, H].

    Args:
        w_ih, w_hh, b_ih, b_hh: [H, I], [H, H], [H], [H]; biases may be None.
        norm: (gain_ih [H], gain_hh [H]).
        nonlinearity, mask, zone: see the module.
    """
    gain_ih, gain_hh = (None, None) if norm is None else norm
    recurrent = h if mask is None else mask * h
    pre = pre_activation(x, w_ih, b_ih, gain_ih) + pre_activation(recurrent, w_hh, b_hh, gain_hh)
    new = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}[nonlinearity](pre)
    return new if zone is None else zone * h + (1 - zone) * new


def simple_rnn_reference(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    nonlinearity: Nonlinearity = "tanh",
    norm: SimpleRnnNorm | None = None,
    mask: Tensor | None = None,
    zone: Tensor | None = None,
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """The readable truth: a plain loop of :func:`simple_rnn_step`. Arguments as in :func:`simple_rnn`, and:

    Args:
        norm: (gain_ih [H], gain_hh [H]).
        mask: [B, H], one for the whole sequence.
        zone: [B, T, H] whatever ``batch_first``, where step t takes ``zone[:, t]`` in either direction, or a constant.
    """
    x = x.transpose(0, 1) if batch_first else x
    h0 = x.new_zeros(x.shape[1], w_hh.shape[0]) if h0 is None else h0

    def step(inputs: tuple[Tensor, Tensor | None], before: Tensor) -> tuple[Tensor, Tensor]:
        x_t, zone_t = inputs
        h = simple_rnn_step(
            x_t, before, w_ih, w_hh, b_ih, b_hh, nonlinearity=nonlinearity, norm=norm, mask=mask, zone=zone_t
        )
        return h, h

    out, hn = unroll(step, (x, over_time(zone, x)), h0, lengths=lengths, resets=resets, reverse=reverse)
    return out.transpose(0, 1) if batch_first else out, hn


def simple_rnn(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    nonlinearity: Nonlinearity = "tanh",
    reverse: bool = False,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor]:
    """The native kernel over whole sequences, differentiable (twice: the second time through the reference).

    Args:
        x: [T, B, I], or [B, T, I] with ``batch_first``; float32 or float64 on the CPU.
        h0: [B, H], or None for zeros.
        w_ih, w_hh, b_ih, b_hh: [H, I], [H, H], [H], [H]; biases may be None.
        lengths: int64 [B] on the CPU, 0 ≤ length ≤ T, or None.
        resets: bool [B, T], or None.
        nonlinearity, reverse, batch_first: see the module and :func:`rnnkit.ops.unroll.unroll`.

    Returns:
        out, as x with H in place of I and zeros behind each row's length, and hn [B, H].
    """
    kind = NONLINEARITIES.index(nonlinearity)
    call: Any = torch.ops.rnnkit.simple_rnn if torch.compiler.is_compiling() else _SimpleRnn.apply
    result: tuple[Tensor, Tensor] = call(x, h0, w_ih, w_hh, b_ih, b_hh, lengths, resets, kind, reverse, batch_first)
    return result


# --- the native call -------------------------------------------------------------------------------------------------


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _rows(tensor: Tensor) -> Tensor:
    """The same array with adjacent features, copied only where they are not."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _strided(tensor: Tensor | None, batch_first: bool) -> tuple[int, int, int]:
    """Address, stride over the batch, stride over time."""
    if tensor is None:
        return 0, 0, 0
    first, second, _ = tensor.stride()
    return (tensor.data_ptr(), first, second) if batch_first else (tensor.data_ptr(), second, first)


def _check(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    batch_first: bool,
) -> None:
    """The kernel takes addresses: what does not fit would read somebody else's memory."""
    if x.dim() != 3 or x.dtype not in (torch.float32, torch.float64) or not x.is_cpu:
        raise ShapeError(
            f"x is {x.dtype} of shape {tuple(x.shape)}; expected float32 or float64, three axes, on the CPU"
        )
    batch, time = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    hidden = w_hh.shape[0]
    _fit("w_ih", w_ih, (hidden, x.shape[2]), x.dtype)
    _fit("w_hh", w_hh, (hidden, hidden), x.dtype)
    _fit("h0", h0, (batch, hidden), x.dtype)
    _fit("b_ih", b_ih, (hidden,), x.dtype)
    _fit("b_hh", b_hh, (hidden,), x.dtype)
    _fit("lengths", lengths, (batch,), torch.int64)
    _fit("resets", resets, (batch, time), torch.bool)


def _fit(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor is not None and (tensor.shape != shape or tensor.dtype != dtype or not tensor.is_cpu):
        raise ShapeError(
            f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}; "
            f"expected {dtype} of shape {tuple(shape)} on the CPU"
        )


def _sizes(core: Any, x: Tensor, hidden: int, lengths: Tensor | None, resets: Tensor | None, *flags: Any) -> Any:
    kind, reverse, batch_first = flags
    batch, time = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    strides = (0, 0) if resets is None else resets.stride()
    threads = torch.get_num_threads()
    return core.SimpleRnnSizes(
        batch, time, x.shape[2], hidden, kind, reverse, threads, _address(lengths), _address(resets), *strides
    )


def _forward(
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    nonlinearity: int,
    reverse: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    _check(x, h0, w_ih, w_hh, b_ih, b_hh, lengths, resets, batch_first)
    core: Any = native_core()
    x, w_ih, w_hh = _rows(x), w_ih.contiguous(), w_hh.contiguous()
    h0, b_ih, b_hh, lengths = map(_contiguous, (h0, b_ih, b_hh, lengths))
    hidden = w_hh.shape[0]
    sizes = _sizes(core, x, hidden, lengths, resets, nonlinearity, reverse, batch_first)
    out = x.new_empty(x.shape[0], x.shape[1], hidden)
    hn = x.new_empty(x.shape[0] if batch_first else x.shape[1], hidden)
    scratch = torch.empty(sizes.scratch(x.element_size()), dtype=torch.uint8)
    call = core.simple_rnn_forward_f32 if x.dtype == torch.float32 else core.simple_rnn_forward_f64
    call(
        sizes, *_strided(x, batch_first), w_ih.data_ptr(), w_hh.data_ptr(), _address(b_ih), _address(b_hh),
        _address(h0), *_strided(out, batch_first), hn.data_ptr(), scratch.data_ptr(),
    )  # fmt: skip
    return out, hn


def _backward(
    dout: Tensor | None,
    dhn: Tensor | None,
    x: Tensor,
    h0: Tensor | None,
    w_ih: Tensor,
    w_hh: Tensor,
    out: Tensor,
    lengths: Tensor | None,
    resets: Tensor | None,
    nonlinearity: int,
    reverse: bool,
    batch_first: bool,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, h0, w_ih, w_hh and the bias; those that ``needs`` does not name are empty."""
    hn_shape = (x.shape[0] if batch_first else x.shape[1], w_hh.shape[0])
    _check(x, h0, w_ih, w_hh, None, None, lengths, resets, batch_first)
    out_shape = (*x.shape[:2], w_hh.shape[0])
    _fit("out", out, out_shape, x.dtype)
    _fit("the gradient of out", dout, out_shape, x.dtype)
    _fit("the gradient of hn", dhn, hn_shape, x.dtype)
    core: Any = native_core()
    x, w_hh, out = _rows(x), w_hh.contiguous(), _rows(out)
    h0, dhn, lengths = map(_contiguous, (h0, dhn, lengths))
    dout = None if dout is None else _rows(dout)
    sizes = _sizes(core, x, w_hh.shape[0], lengths, resets, nonlinearity, reverse, batch_first)
    need_x, need_h0, *need_weights = needs
    # Allocated like `out`, so that dpre · W lies in memory as x does.
    dpre = torch.empty(out.shape, dtype=out.dtype)
    dh0 = x.new_empty(hn_shape if need_h0 else 0)
    shapes = (w_ih.shape, w_hh.shape, w_hh.shape[:1])
    dw, du, db = (x.new_empty(shape if need else 0) for shape, need in zip(shapes, need_weights, strict=True))
    scratch = torch.empty(sizes.scratch(x.element_size()), dtype=torch.uint8)
    call = core.simple_rnn_backward_f32 if x.dtype == torch.float32 else core.simple_rnn_backward_f64
    call(
        sizes, *_strided(x, batch_first), w_hh.data_ptr(), _address(h0), *_strided(out, batch_first),
        *_strided(dout, batch_first), _address(dhn), *_strided(dpre, batch_first),
        dw.data_ptr(), du.data_ptr(), db.data_ptr(), dh0.data_ptr(), scratch.data_ptr(),
    )  # fmt: skip
    dx = dpre @ w_ih if need_x else x.new_empty(0)
    return dx, dh0, dw, du, db


class _SimpleRnn(torch.autograd.Function):
    """Registered behind eager calls, where it costs less than an operator of the dispatcher."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        out, hn = _forward(*arguments)
        ctx.set_materialize_grads(False)
        _save(ctx, arguments, (out, hn))
        return out, hn

    @staticmethod
    def backward(ctx: Any, dout: Tensor | None, dhn: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            return _differentiable_backward(ctx, dout, dhn)
        return _gradients(ctx, dout, dhn, _backward)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:8], output[0])
    ctx.flags = inputs[8:]


def _gradients(ctx: Any, dout: Tensor | None, dhn: Tensor | None, backward: Any) -> tuple[Any, ...]:
    x, h0, w_ih, w_hh, b_ih, b_hh, lengths, resets, out = ctx.saved_tensors
    needs = [*ctx.needs_input_grad[:4], ctx.needs_input_grad[4] or ctx.needs_input_grad[5]]
    if dout is None and dhn is None:
        return (None,) * 11
    found = backward(dout, dhn, x, h0, w_ih, w_hh, out, lengths, resets, *ctx.flags, needs)
    dx, dh0, dw, du, db = (grad if need else None for grad, need in zip(found, needs, strict=True))
    return (
        dx, dh0, dw, du, None if b_ih is None else db, None if b_hh is None else db,
        None, None, None, None, None,
    )  # fmt: skip


def _differentiable_backward(ctx: Any, dout: Tensor | None, dhn: Tensor | None) -> tuple[Any, ...]:
    """The gradients as a graph of their own, by way of the reference: slow, and differentiable again."""
    *inputs, lengths, resets, _ = ctx.saved_tensors
    # Aliases: where one input was computed from another, each still gets its own share alone.
    inputs = [None if tensor is None else tensor.view_as(tensor) for tensor in inputs]
    kind, reverse, batch_first = ctx.flags
    results = simple_rnn_reference(
        *inputs, lengths=lengths, resets=resets, nonlinearity=NONLINEARITIES[kind],
        reverse=reverse, batch_first=batch_first,
    )  # fmt: skip
    pairs = [(y, dy) for y, dy in zip(results, (dout, dhn), strict=True) if dy is not None]
    wanted = [tensor for tensor, need in zip(inputs, ctx.needs_input_grad, strict=False) if need]
    grads = iter(
        torch.autograd.grad([y for y, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=True,
                            allow_unused=True)
    )  # fmt: skip
    return (*(next(grads) if need else None for need in ctx.needs_input_grad[:6]), *[None] * 5)


# --- the operator that torch.compile and torch.export see ------------------------------------------------------------

_library = torch.library.Library("rnnkit", "FRAGMENT")
_library.define(
    "simple_rnn(Tensor x, Tensor? h0, Tensor w_ih, Tensor w_hh, Tensor? b_ih, Tensor? b_hh, Tensor? lengths, "
    "Tensor? resets, int nonlinearity, bool reverse, bool batch_first) -> (Tensor, Tensor)"
)
_library.define(
    "simple_rnn_backward(Tensor? dout, Tensor? dhn, Tensor x, Tensor? h0, Tensor w_ih, Tensor w_hh, Tensor out, "
    "Tensor? lengths, Tensor? resets, int nonlinearity, bool reverse, bool batch_first, bool[] needs) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
_library.impl("simple_rnn", _forward, "CPU")
_library.impl("simple_rnn_backward", _backward, "CPU")


def _forward_shapes(x: Tensor, h0: Any, w_ih: Tensor, w_hh: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    batch = x.shape[0] if rest[-1] else x.shape[1]
    return x.new_empty(x.shape[0], x.shape[1], w_hh.shape[0]), x.new_empty(batch, w_hh.shape[0])


def _backward_shapes(
    dout: Any, dhn: Any, x: Tensor, h0: Any, w_ih: Tensor, w_hh: Tensor, *rest: Any
) -> tuple[Tensor, ...]:
    batch, hidden = x.shape[0] if rest[-2] else x.shape[1], w_hh.shape[0]
    shapes = (x.shape, (batch, hidden), w_ih.shape, w_hh.shape, (hidden,))
    return tuple(x.new_empty(shape if need else 0) for shape, need in zip(shapes, rest[-1], strict=True))


torch.library.register_fake("rnnkit::simple_rnn", _forward_shapes, lib=_library)
torch.library.register_fake("rnnkit::simple_rnn_backward", _backward_shapes, lib=_library)
torch.library.register_autograd(
    "rnnkit::simple_rnn",
    lambda ctx, dout, dhn: _gradients(ctx, dout, dhn, torch.ops.rnnkit.simple_rnn_backward),
    setup_context=_save,
    lib=_library,
)
