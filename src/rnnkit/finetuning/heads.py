"""A new head for other classes, warm-started for those that stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import ConfigError, check_whole


def find_head(model: nn.Module) -> tuple[str, nn.Linear]:
    """The name and the module of a model's output layer: ``head``, else the last ``torch.nn.Linear``.

    Raises:
        ConfigError: there is none.
    """
    head = getattr(model, "head", None)
    if isinstance(head, nn.Linear):
        return "head", head
    if isinstance(head, nn.Module):
        inner, found = find_head(head)
        return f"head.{inner}", found
    linears = [(name, part) for name, part in model.named_modules() if name and isinstance(part, nn.Linear)]
    if not linears:
        raise ConfigError(f"{type(model).__name__} has no head: neither a module of that name nor a torch.nn.Linear")
    return linears[-1]


def head_name(model: nn.Module) -> str:
    """The name of a model's output layer: a convolution ``head``, as of networks that name pixels; else `find_head`'s.

    Raises:
        ConfigError: there is none.
    """
    return "head" if isinstance(getattr(model, "head", None), nn.Conv2d) else find_head(model)[0]


def same_index(old: int, new: int) -> dict[int, int]:
    """Classes that stay where the class of an output is known by its number: those that both heads have."""
    return {index: index for index in range(min(old, new))}


def same_name(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Classes that stay, by name: new index → old index.

    Raises:
        ConfigError: a name that occurs twice.

    Example:
        >>> same_name(["cat", "dog"], ["bird", "cat"])
        {1: 0}
    """
    for names in (old, new):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        if twice:
            raise ConfigError(f"the class names {twice} occur twice; each class needs a name of its own")
    places = {name: index for index, name in enumerate(old)}
    return {index: places[name] for index, name in enumerate(new) if name in places}


def replace_head(
    model: nn.Module, outputs: int, keep: Mapping[int, int] | None = None, *, generator: torch.Generator | None = None
) -> nn.Linear:
    """Give a model an output layer of another width, in place.

    Row i of the new weight and bias is the old head's row ``keep[i]``; the rows of new classes are drawn from
    U(-1/√F, 1/√F), F the features, as ``torch.nn.Linear`` draws them.

    Args:
        model: a model of rnnkit (its ``config()`` then tells the new width), or any module with a ``head`` or a last
            ``torch.nn.Linear``.
        outputs: C, classes or numbers that the new head puts out.
        keep: new index → old index of the outputs that stay; None: those of the same index (:func:`same_index`).
            :func:`same_name` makes it from names.
        generator: for the draw; None: torch's global one.

    Returns:
        The new head.

    Raises:
        ConfigError: no head, an index out of range, or a head that shares its weight with another layer.

    Example:
        >>> import rnnkit, torch
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 16), classes=3)
        >>> old = model.head.weight
        >>> head = replace_head(model, 4, {0: 2})
        >>> bool(torch.equal(head.weight[0], old[2])), model.config()["arguments"]["classes"]
        (True, 4)
    """
    check_whole(outputs, "outputs")
    name, old = find_head(model)
    if "parametrizations" in dict(old.named_children()):
        raise ConfigError(f"{name} has adapters on; merge_adapters(model) first, or give the adapters other targets")
    shared = [
        other
        for other, parameter in model.named_parameters(remove_duplicate=False)
        if parameter is old.weight and other != f"{name}.weight"
    ]
    if shared:
        raise ConfigError(f"{name} shares its weight with {shared[0]}; the two can only change together, by hand")
    keep = same_index(old.out_features, outputs) if keep is None else dict(keep)
    wrong = [pair for pair in keep.items() if not (0 <= pair[0] < outputs and 0 <= pair[1] < old.out_features)]
    if wrong:
        raise ConfigError(
            f"keep says that new output {wrong[0][0]} is old output {wrong[0][1]}; there are {outputs} new and "
            f"{old.out_features} old ones, counted from 0"
        )
    head = _drawn(old, outputs, generator)
    with torch.no_grad():
        for new_row, old_row in keep.items():
            head.weight[new_row] = old.weight[old_row]
            if old.bias is not None:
                head.bias[new_row] = old.bias[old_row]
    for parameter, flag in zip(head.parameters(), old.parameters(), strict=True):
        parameter.requires_grad_(flag.requires_grad)
    head.train(old.training)
    put_head(model, name, head)
    return head


def grow_linear_head(model: nn.Module, outputs: int, generator: torch.Generator | None = None) -> None:
    """Give a model whose head is a linear layer more outputs, in place; those that it has stay.

    Args:
        model: as for :func:`replace_head`.
        outputs: C, with the new ones.
        generator: for the draw; None: torch's global one.

    Raises:
        ConfigError: the head is no linear layer.
    """
    head = getattr(model, "head", None)
    if not isinstance(head, nn.Linear):
        raise ConfigError(f"its head is a {type(head).__name__}; expected a linear layer, which can grow")
    replace_head(model, outputs, generator=generator)


def put_head(model: nn.Module, name: str, head: nn.Linear) -> None:
    """Put a finished output layer in the place of that name."""
    put = getattr(model, "set_head", None)
    if callable(put) and name == "head":  # a model of rnnkit, which describes itself
        put(head)
    elif callable(put) and name.startswith("head."):
        put(head, name)
    else:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, head)


def _drawn(old: nn.Linear, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    weight = old.weight
    make: dict[str, Any] = {"bias": old.bias is not None, "dtype": weight.dtype}
    head = nn.utils.skip_init(nn.Linear, old.in_features, outputs, **make)
    bound = old.in_features**-0.5
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    placed: nn.Linear = head.to(weight.device)  # drawn on the CPU: the same numbers on every device
    return placed
