"""Train over long sequences in the memory of a short chunk: the rest is computed again in the backward pass.

A sequence of T steps is split into chunks of K steps. The forward pass stores the state at the T/K chunk borders and
nothing else. The backward pass runs each chunk forward once more before it differentiates it. This takes memory for K
steps and T/K states in place of T steps, and costs one more forward pass. Values, gradients and random numbers are the
same. The first call in a process takes one second more, because PyTorch's checkpoints import its compiler.

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
    """Run a sequence in chunks of ``steps`` steps and store the intermediate values of one chunk at a time.

    Args:
        run: ``run(x, state, shared, *, lengths, resets) -> (output, state)`` over one chunk, time first. ``state`` is
            the state before the chunk. The state that ``resets`` put a row back to belongs into ``shared``. A row
            whose length is 0 in the chunk keeps its state. With ``reverse`` it runs from the last step to the first.
            It is called twice a chunk, so a side effect (running averages of a batch norm) happens twice.
        x: [T, B, ...], or a nested tuple of such tensors and None.
        state: the state before the first step.
        steps: K, the steps of a chunk.
        lengths: [B], or None.
        resets: bool [B, T], or None.
        reverse: run the chunks from the last to the first.
        shared: tensors that every chunk uses, such as weights: a nested tuple as ``x``; named tuples keep their type.
            PyTorch raises where one is changed in place before the backward pass.

    Returns:
        output [T, B, ...] and the last state, the same as ``run(x, state, shared, lengths=lengths, resets=resets)``.
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
        # PyTorch drops what the first pass saves, so the kernels need not write it. The second pass saves tensors of
        # other shapes, which the determinism check would refuse.
        options = {"context_fn": lambda: (_FirstPass(), nullcontext()), "determinism_check": "none"}
    # Flat arguments: PyTorch checks for changes in place only where a tensor is an argument of its own. A changed
    # tensor inside a tuple would be used without an error.
    result: tuple[Tensor, State] = checkpoint(call, *leaves, use_reentrant=False, **options)
    return result


_passes = threading.local()


def in_first_pass() -> bool:
    """Whether this is a first pass, whose saved tensors are dropped and computed again."""
    return getattr(_passes, "first", 0) > 0


class _FirstPass:
    def __enter__(self) -> None:
        _passes.first = getattr(_passes, "first", 0) + 1

    def __exit__(self, *_: object) -> None:
        _passes.first -= 1


def _taken_out(nested: Any, leaves: list[Tensor]) -> Any:
    """Append the tensors of a nested tuple to ``leaves``; return the tuple with their indices in place of them."""
    if nested is None:
        return None
    if isinstance(nested, Tensor):
        leaves.append(nested)
        return len(leaves) - 1
    return _of_type(nested, [_taken_out(part, leaves) for part in nested])


def _put_back(nesting: Any, leaves: Sequence[Tensor]) -> Any:
    """The nested tuple that :func:`_taken_out` took apart."""
    if nesting is None:
        return None
    if isinstance(nesting, int):
        return leaves[nesting]
    return _of_type(nesting, [_put_back(part, leaves) for part in nesting])


def _of_type(nested: Any, parts: list[Any]) -> Any:
    """The parts as a tuple of the type of ``nested``: a named tuple stays one."""
    return type(nested)(*parts) if hasattr(nested, "_fields") else tuple(parts)
