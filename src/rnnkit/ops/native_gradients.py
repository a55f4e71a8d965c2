"""The gradients of a native call: by the kernel, or through the readable reference.

The reference serves where gradients are differentiated again (``create_graph=True``) and where many are computed at
once (``is_grads_batched=True``): the kernel takes addresses, and such gradients have none of their own.
"""

from __future__ import annotations

from typing import Any

import torch

from .backend import tracing
from .native_call import DIFFERENTIABLE, Flags, Inputs, backward_call, cell_states, forward_call

Tensor = torch.Tensor
_RESULTS = 2  # output and saved rows, the last tensors that a call saves


def saved_tensors(ctx: Any) -> list[Any]:
    """Return what a call saved: its inputs, its output and its saved rows.

    The output belongs to the user, who may change it in place, as PyTorch's own layers allow. Then output and saved
    rows are None here, and :func:`input_gradients` computes them again. A copy of every output would cost memory and
    time in each call; this costs one more forward pass, and only where an output was changed.

    Raises:
        RuntimeError: PyTorch's error, where an input was changed in place or the graph was freed.
    """
    try:
        saved = list(ctx.saved_tensors)
    except RuntimeError as error:
        # PyTorch checks the versions of all saved tensors at once. With hooks of its own a result is not checked.
        try:
            for result in ctx._raw_saved_tensors[-_RESULTS:]:
                result.register_hooks(lambda _: None, lambda _: torch.empty(0, device="cpu"))
        except RuntimeError:  # the graph was freed, or the error came out of a user's or a checkpoint's hooks
            raise error from None
        ctx.results_dropped = True  # also for another backward pass over a retained graph
        saved = list(ctx.saved_tensors)
    dropped = getattr(ctx, "results_dropped", False)
    # Hooks that users set (checkpoints, for example) hand out tensors that PyTorch does not check.
    if dropped or ((saved[-1]._version or saved[-2]._version) and not tracing()):
        saved[-_RESULTS:] = None, None
    return saved


def input_gradients(
    inputs: Inputs,
    flags: Flags,
    out: Tensor | None,
    saved: Tensor | None,
    needs: list[bool],
    grads: tuple[Tensor | None, ...],
) -> list[Tensor | None]:
    """Return the gradients of the tensors that DIFFERENTIABLE names, None for those that are not needed.

    Args:
        inputs, flags: those of the call.
        out, saved: the results that :func:`saved_tensors` gives.
        needs: whether each gradient is needed.
        grads: the gradients of the four results of the call.
    """
    dout, dhn, dcn, dsaved = grads
    if dsaved is not None and dsaved.numel() == 0:  # of rows that were not saved
        grads = dout, dhn, dcn, None
    given = [grad for grad in grads if grad is not None]
    if not given:
        return [None] * len(needs)
    # create_graph=True, is_grads_batched=True
    if torch.is_grad_enabled() or any(map(_batched, given)):
        return _through_the_reference(inputs, flags, needs, grads)
    if not flags.save_for_backward:
        flags = flags._replace(save_for_backward=True)
    if out is None or saved is None:
        out, _, _, saved = forward_call(inputs, flags)
    return backward_call(grads, out, saved, inputs, flags, needs)


def _batched(tensor: Tensor) -> bool:
    """Whether a tensor stands for many, of which each has its own address."""
    functorch = torch._C._functorch
    return functorch.is_legacy_batchedtensor(tensor) or functorch.is_functorch_wrapped_tensor(tensor)


def _through_the_reference(
    tensors: Inputs, flags: Flags, needs: list[bool], grads: tuple[Tensor | None, ...]
) -> list[Tensor | None]:
    """Return the gradients by the reference: slow, of any number at once, and differentiable again where asked for."""
    from .references import run_reference

    count, again = len(DIFFERENTIABLE), torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: where one input was computed from another, each still gets its own part alone.
        aliases: list[Any] = [None if tensor is None else tensor.view_as(tensor) for tensor in tensors[:count]]
        inputs = Inputs(*aliases, *tensors[count:])
        results = run_reference(inputs, flags)
    dout, dhn, dcn, dsaved = grads
    dcells = None if dsaved is None else cell_states(dsaved, inputs.w_hh.shape[0] // 4)
    outcomes = zip(results, (dout, dhn, dcn, dcells), strict=True)
    pairs = [(y, dy) for y, dy in outcomes if y is not None and dy is not None]
    wanted = [tensor for tensor, need in zip(aliases, needs, strict=True) if need]
    found = iter(
        torch.autograd.grad([y for y, _ in pairs], wanted, [dy for _, dy in pairs], create_graph=again,
                            allow_unused=True)
    )  # fmt: skip
    return [next(found) if need else None for need in needs]
