"""The native recurrent kernels: one layer in one direction over whole sequences, with gradients.

One call serves all of them (``simple_rnn``, ``lstm``, ``gru``); the files of the recurrences hold their equations and
say which arguments they take. Legend: B batch, T time, I input, H hidden, G gates, S length of h (P with a projection,
else H).

Eagerly the call is an ``autograd.Function``, which costs less than an operator of PyTorch's dispatcher; under
``torch.compile`` and ``torch.export`` it is the operator ``rnnkit::recurrence``. Second derivatives go through the
readable reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..errors import BackendError
from .backend import NO_TRANSFORMS, tracing, transforming
from .native_call import (
    ARGUMENTS,
    COUNT,
    DIFFERENTIABLE,
    Flags,
    Inputs,
    backward_call,
    cell_states,
    check,
    empty_sequence,
    forward_call,
    saved_width,
    sizes_of,
)
from .native_gradients import input_gradients, saved_tensors
from .padding import valid_steps
from .recompute import in_first_pass

__all__ = ["cell_states", "recurrence"]

Tensor = torch.Tensor


def recurrence(
    inputs: Inputs, kernel: str, variant: str, reverse: bool, batch_first: bool, cells: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run a kernel.

    Args:
        inputs: the tensors, see :class:`Inputs`.
        kernel: "simple_rnn", "lstm" or "gru".
        variant: one of the kernel's VARIANTS, see :mod:`rnnkit.ops.native_call`.
        reverse, batch_first: see :class:`rnnkit.ops.direction.DirectionCall`.
        cells: whether the saved rows are wanted although no gradient is.

    Returns:
        out as x with S features and zeros behind each row's length, hn [B, S], cn [B, H] (None or empty but for the
        LSTM), and the saved rows as x with features of the kernel's own (None or empty unless ``cells`` asks for them).
    """
    if transforming():  # a layer chooses another backend before
        raise BackendError(f'{NO_TRANSFORMS}; use a layer with backend="auto", or the reference')
    differentiable = False
    if torch.is_grad_enabled():
        for tensor in inputs[: len(DIFFERENTIABLE)]:
            if tensor is not None and tensor.requires_grad:
                differentiable = True
                break
    # torch.jit.trace compares a trace with gradients to one without. Its module computes again what was not saved.
    saving = cells or (differentiable and not in_first_pass() and torch._C._get_tracing_state() is None)
    flags = Flags(kernel, variant, reverse, batch_first, saving)
    if tracing():
        return torch.ops.rnnkit.recurrence(*inputs, *flags)  # type: ignore[no-any-return]
    if differentiable:
        present = [index for index, tensor in enumerate(inputs) if tensor is not None]
        tensors = [inputs[index] for index in present]
        return _Recurrence.apply(present, flags, cells, *tensors)  # type: ignore[no-any-return, no-untyped-call]
    return forward_call(inputs, flags)


# --- gradients -------------------------------------------------------------------------------------------------------


class _Recurrence(torch.autograd.Function):
    """``apply(present, flags, cells, *tensors)``: the inputs whose indices ``present`` lists; each argument costs time.

    Saved rows are a result only where ``cells`` asks for them; each tensor of the results costs time, too.
    """

    @staticmethod
    def forward(
        ctx: Any, present: list[int], flags: Flags, cells: bool, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        out, hn, cn, saved = forward_call(_inputs(present, tensors), flags)
        ctx.set_materialize_grads(False)
        # A first pass that is computed again saved nothing; its backward pass reads what the second one saved.
        ctx.save_for_backward(*tensors, out, saved)
        ctx.present, ctx.flags = present, flags
        return out, hn, cn, saved if cells else None

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
        *tensors, out, saved = saved_tensors(ctx)
        present, count = ctx.present, len(DIFFERENTIABLE)
        needs = [False] * COUNT
        for index, need in zip(present, ctx.needs_input_grad[3:], strict=True):
            needs[index] = need
        found = input_gradients(_inputs(present, tensors), ctx.flags, out, saved, needs[:count], grads)
        return (None, None, None, *[found[index] if index < count else None for index in present])


def _inputs(present: list[int], tensors: Sequence[Tensor]) -> Inputs:
    inputs: list[Any] = [None] * COUNT
    for index, tensor in zip(present, tensors, strict=True):
        inputs[index] = tensor
    return Inputs(*inputs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:COUNT], output[0], output[3])
    ctx.flags = inputs[COUNT:]


def _operator_gradients(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:
    *tensors, out, saved = saved_tensors(ctx)
    inputs, count, flags = Inputs(*tensors), len(DIFFERENTIABLE), Flags(*ctx.flags)
    needs = [bool(need) for need in ctx.needs_input_grad[:count]]
    if tracing() and any(grad is not None for grad in grads):
        found = torch.ops.rnnkit.recurrence_backward(*grads, out, saved, *inputs, *flags, needs)
    else:  # a traced module that runs
        out, saved = (out, saved) if flags.save_for_backward else (None, None)
        found = input_gradients(inputs, flags, out, saved, needs, grads)
    return (*(grad if need else None for grad, need in zip(found, needs, strict=True)), *[None] * (ARGUMENTS - count))


# --- the operator that torch.compile and torch.export see ------------------------------------------------------------

_OPTIONAL = ", ".join(f"Tensor? {name}" for name in Inputs._fields[3:])
_INPUTS = f"Tensor x, Tensor w_ih, Tensor w_hh, {_OPTIONAL}"
_FLAGS = "str kernel, str variant, bool reverse, bool batch_first, bool save_for_backward"
_library = torch.library.Library("rnnkit", "FRAGMENT")
_library.define(f"recurrence({_INPUTS}, {_FLAGS}) -> (Tensor, Tensor, Tensor, Tensor)")
_library.define(
    f"recurrence_backward(Tensor? dout, Tensor? dhn, Tensor? dcn, Tensor? dsaved, Tensor out, Tensor saved, {_INPUTS}, "
    f"{_FLAGS}, bool[] needs) -> ({', '.join(['Tensor'] * len(DIFFERENTIABLE))})"
)


def _operator(*arguments: Any) -> tuple[Tensor, ...]:
    """The operator. Its results are the same each time: saved rows of the padding, which are not read, are cleared."""
    inputs, flags = Inputs(*arguments[:COUNT]), Flags(*arguments[COUNT:])
    out, hn, cn, saved = forward_call(inputs, flags)
    if inputs.lengths is not None and saved.numel():
        valid = valid_steps(inputs.lengths, out.shape[1 if flags.batch_first else 0], out.device)
        saved.masked_fill_(~(valid if flags.batch_first else valid.T)[..., None], 0)
    return out, hn, out.new_empty(0) if cn is None else cn, saved


def _operator_backward(*arguments: Any) -> tuple[Tensor, ...]:
    *grads, out, saved = arguments[:6]
    inputs, flags = Inputs(*arguments[6 : 6 + COUNT]), Flags(*arguments[6 + COUNT : -1])
    check(inputs, flags, sizes_of(inputs, flags))
    found = backward_call(tuple(grads), out, saved, inputs, flags, arguments[-1])
    return tuple(out.new_empty(0) if grad is None else grad for grad in found)


_library.impl("recurrence", _operator, "CPU")
_library.impl("recurrence_backward", _operator_backward, "CPU")


def _saved_width(inputs: Inputs, flags: Flags, hidden: int) -> int:
    normed, zoned = inputs.gain_hh is not None, inputs.zone_h is not None
    return saved_width(flags.kernel, hidden, normed=normed, zoned=zoned)


def _forward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    inputs, flags = Inputs(*arguments[:COUNT]), Flags(*arguments[COUNT:])
    sizes, weight = sizes_of(inputs, flags), inputs.w_hh
    width = _saved_width(inputs, flags, sizes.hidden) if flags.save_for_backward else 0
    return (
        empty_sequence(weight, sizes, sizes.state, flags.batch_first),
        weight.new_empty(sizes.batch, sizes.state),
        weight.new_empty((sizes.batch, sizes.hidden) if flags.kernel == "lstm" else (0,)),
        empty_sequence(weight, sizes, width, flags.batch_first),
    )


def _backward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    _, _, _, _, _, _, *rest, needs = arguments
    inputs = Inputs(*rest[:COUNT])
    return tuple(
        inputs.w_hh.new_empty(0 if tensor is None or not need else tensor.shape)
        for tensor, need in zip(inputs[: len(DIFFERENTIABLE)], needs, strict=True)
    )


torch.library.register_fake("rnnkit::recurrence", _forward_shapes, lib=_library)
torch.library.register_fake("rnnkit::recurrence_backward", _backward_shapes, lib=_library)
torch.library.register_autograd(
    "rnnkit::recurrence",
    _operator_gradients,
    setup_context=_save,
    lib=_library,
)
