"""Long sequences in the memory of a short stretch: what lies between is computed again in the backward pass.

A sequence of T steps is cut into stretches of K. The forward pass keeps the state at the T/K borders alone; the
backward pass runs each stretch once more before it goes through it. Memory for K steps and T/K states in place of T
steps, at the price of one more forward pass. Values and gradients stay the same, random numbers too.
The first call of a process imports PyTorch's compiler on behalf of its checkpoints, which takes a second.

Source: Chen, Xu, Zhang & Guestrin, "Training Deep Nets with Sublinear Memory Cost" (arXiv:1604.06174), over time
instead of layers, as in Gruslys et al., "Memory-Efficient Backpropagation Through Time" (arXiv:1606.03401); borders at
equal distances, one level.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from ..types import State

Tensor = torch.Tensor
Run = Callable[..., tuple[Tensor, State]]


def in_chunks(
    run: Run,
    x: State,
    state: State,
    *,
    steps: int,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    shared: State = (),
) -> tuple[Tensor, State]:
    """Runs a sequence ``steps`` steps at a time and keeps the memory of that many only.

    Args:
        run: ``run(x, state, shared, *, lengths, resets) -> (output, state)`` over one stretch, time first. ``state`` is
            where the stretch starts; what ``resets`` go back to is the caller's to share. A row whose length is 0 in
            the stretch keeps its state. With ``reverse`` it runs from last to first. It is called twice a stretch, so
            what it changes on the side (running averages of a batch norm) changes twice.
        x: [T, B, ...], or a nested tuple of such tensors and None.
        state: the state before the first step.
        steps: K, the steps of a stretch.
        lengths: [B], or None.
        resets: bool [B, T], or None.
        reverse: stretches go from the last to the first.
        shared: tensors that every stretch uses, such as weights, nested with None as x may be. PyTorch notices where
            they change before the backward pass.

    Returns:
        output [T, B, ...] and the last state, as ``run(x, state, shared, lengths=lengths, resets=resets)`` has them.
    """
    columns: list[Tensor] = []
    nesting = _taken_out(x, columns)
    time = columns[0].shape[0]
    if time <= steps or not torch.is_grad_enabled():
        return run(x, state, shared, lengths=lengths, resets=resets)
    outputs = []
    for start in _starts(time, steps, reverse):
        stop = min(start + steps, time)
        output, state = _recomputed(
            run,
            _put_back(nesting, [column[start:stop] for column in columns]),
            state,
            shared,
            None if lengths is None else (lengths - start).clamp(0, stop - start),
            None if resets is None else resets[:, start:stop],
        )
        outputs.append(output)
    return torch.cat(outputs[::-1] if reverse else outputs), state


def _starts(time: int, steps: int, reverse: bool) -> Sequence[int]:
    starts = range(0, time, steps)
    return starts[::-1] if reverse else starts


def _recomputed(run: Run, *arguments: Any) -> tuple[Tensor, State]:
    leaves: list[Tensor] = []
    nesting = _taken_out(arguments, leaves)

    def call(*leaves: Tensor) -> tuple[Tensor, State]:
        x, state, shared, lengths, resets = _put_back(nesting, leaves)
        return run(x, state, shared, lengths=lengths, resets=resets)

    options: dict[str, Any] = {}
    if not torch.compiler.is_compiling():
        # What the first pass saves is dropped at once: the kernels need not write it. PyTorch would wonder why the
        # second pass saves something of another shape.
        options = {"context_fn": lambda: (_FirstPass(), nullcontext()), "determinism_check": "none"}
    # Flat, because PyTorch notices a tensor that was changed in place before the backward pass only where it is an
    # argument by itself; inside a tuple it would be recomputed from without a word.
    result: tuple[Tensor, State] = checkpoint(call, *leaves, use_reentrant=False, **options)
    return result


_passes = threading.local()


def in_first_pass() -> bool:
    """Whether what this computation saves for a backward pass will be dropped and computed again."""
    return getattr(_passes, "first", 0) > 0


class _FirstPass:
    def __enter__(self) -> None:
        _passes.first = getattr(_passes, "first", 0) + 1

    def __exit__(self, *_: object) -> None:
        _passes.first -= 1


def _taken_out(nested: Any, leaves: list[Tensor]) -> Any:
    """Appends the tensors of a nested tuple to ``leaves`` and returns it with their places in their stead."""
    if nested is None:
        return None
    if isinstance(nested, Tensor):
        leaves.append(nested)
        return len(leaves) - 1
    return tuple(_taken_out(part, leaves) for part in nested)


def _put_back(nesting: Any, leaves: Sequence[Tensor]) -> Any:
    """What :func:`_taken_out` took apart."""
    if nesting is None:
        return None
    return leaves[nesting] if isinstance(nesting, int) else tuple(_put_back(part, leaves) for part in nesting)
