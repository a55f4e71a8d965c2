"""Functions on recurrent states, which are opaque nested tuples of tensors.

Code outside ``ops`` uses states through these functions only. Each layer declares the batch axis of its state tensors
(``layer.state_batch_axis``; 1 for the classical layers, whose states are [L·D, B, H] as in PyTorch). So the same
functions work for a recurrence whose state is a matrix per head.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, ShapeError
from ..types import State


def map_state(function: Callable[..., torch.Tensor], state: State, *others: State) -> State:
    """Apply ``function`` to every tensor of ``state`` and the matching tensors of ``others``."""
    if isinstance(state, torch.Tensor):
        return function(state, *others)
    return tuple([map_state(function, *parts) for parts in zip(state, *others, strict=True)])


def tensors(state: State) -> list[torch.Tensor]:
    """Return the tensors of a state, in order."""
    return [state] if isinstance(state, torch.Tensor) else [leaf for part in state for leaf in tensors(part)]


def detach(state: State) -> State:
    """Return the same state without its graph, for truncated backpropagation through time.

    Example:
        >>> h = torch.ones(1, 2, 3, requires_grad=True) * 2
        >>> detach((h, h))[0].requires_grad
        False
    """
    return map_state(torch.Tensor.detach, state)


def reorder(state: State, index: torch.Tensor, batch_axis: int = 1) -> State:
    """Select rows of a state, as beam search needs: row ``index[i]`` becomes row i.

    Args:
        state: any state.
        index: integers [B'].
        batch_axis: the axis of the batch in each tensor.

    Example:
        >>> h = torch.tensor([[1.0], [2.0]])
        >>> reorder(h, torch.tensor([1, 1, 0]), batch_axis=0).tolist()
        [[2.0], [2.0], [1.0]]
    """
    return map_state(lambda leaf: leaf.index_select(batch_axis, index), state)


def reset(state: State, mask: torch.Tensor, initial: State | None = None, batch_axis: int = 1) -> State:
    """Put the rows where ``mask`` is true back to an initial state.

    Args:
        state: any state.
        mask: bool [B].
        initial: a state of the same shapes; zeros by default.
        batch_axis: the axis of the batch in each tensor.

    Raises:
        ShapeError: ``mask`` has another dtype or shape.

    Example:
        >>> h = torch.tensor([[1.0], [2.0]])
        >>> reset(h, torch.tensor([True, False]), batch_axis=0).tolist()
        [[0.0], [2.0]]
    """

    def one(leaf: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        if mask.dtype != torch.bool:
            raise ShapeError(f"mask is {mask.dtype}; expected bool, true at the rows to reset: pass mask.bool()")
        if mask.shape != (leaf.shape[batch_axis],):
            raise ShapeError(
                f"mask has shape {tuple(mask.shape)}; expected ({leaf.shape[batch_axis]},), one entry per row"
            )
        shape = [1] * leaf.dim()
        shape[batch_axis] = -1
        return torch.where(mask.view(shape), start, leaf)

    return map_state(one, state, map_state(torch.zeros_like, state) if initial is None else initial)


def save(state: State, path: str | Path) -> None:
    """Write a state to one safetensors file; the names of the tensors store the nesting.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/state.safetensors"
        >>> save((torch.ones(1, 2, 3), torch.zeros(1, 2, 3)), path)
        >>> h, c = load(path)
        >>> tuple(h.shape)
        (1, 2, 3)
    """
    from safetensors.torch import save_file

    named: dict[str, torch.Tensor] = {}

    def collect(part: State, name: str) -> None:
        if isinstance(part, torch.Tensor):
            named[name] = part.detach().contiguous()
        else:
            for index, child in enumerate(part):
                collect(child, f"{name}.{index}")

    collect(state, "state")
    save_file(named, str(path))


def load(path: str | Path) -> State:
    """Read a state that :func:`save` wrote.

    Raises:
        DataError: the file holds no state.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/state.safetensors"
        >>> save(torch.ones(1, 2, 3), path)
        >>> tuple(load(path).shape)
        (1, 2, 3)
    """
    from safetensors.torch import load_file

    named = load_file(str(path))
    if not named or any(name.split(".")[0] != "state" for name in named):
        raise DataError(f"{path} holds no recurrent state; write one with rnnkit.ops.state.save(state, path)")

    def build(name: str) -> Any:
        if name in named:
            return named[name]
        children = {key[len(name) + 1 :].split(".")[0] for key in named if key.startswith(name + ".")}
        return tuple(build(f"{name}.{index}") for index in range(len(children)))

    return build("state")
