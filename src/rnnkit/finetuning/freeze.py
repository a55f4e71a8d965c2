"""Which parameters train: freezing by group or by pattern, and gradual unfreezing.

Freezing stops learning and nothing else: a frozen layer in training mode still drops units and a frozen batch
normalisation still follows the mean of its batches. ``layer.eval()`` stops both, until the next ``fit``. The batch
normalisation of :mod:`rnnkit.layers.map_norm` is the exception: frozen, it keeps its running means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch.nn import Module, Parameter

from ..errors import ConfigError, suggest
from .groups import named_groups

Patterns = str | Iterable[str]
_PARAMETRISED = re.compile(r"parametrizations\.(\w+)\.original(?=\d*$)")


def plain_name(name: str) -> str:
    """The name that a parameter has without a parametrisation (such as an adapter) on it.

    Example:
        >>> plain_name("body.parametrizations.weight_hh_l0.original")
        'body.weight_hh_l0'
    """
    return _PARAMETRISED.sub(r"\1", name)


def freeze(model: Module, patterns: Patterns = "*") -> list[str]:
    """Keep parameters from training, until :func:`unfreeze`.

    Args:
        model: any module.
        patterns: names of groups (:func:`rnnkit.finetuning.groups.layer_groups`), of modules or of parameters, one or
            several; ``*`` and ``?`` stand for any characters and for one.

    Returns:
        The parameters' names.

    Raises:
        ConfigError: a pattern that matches nothing.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 16, num_layers=2), classes=3)
        >>> freeze(model, "body")[:2]
        ['body.weight_ih_l0', 'body.weight_hh_l0']
        >>> unfreeze(model, "body.l1")[:2]
        ['body.weight_ih_l1', 'body.weight_hh_l1']
        >>> [name for name, weight in model.named_parameters() if weight.requires_grad][-2:]
        ['head.weight', 'head.bias']
    """
    return _set(model, patterns, False)


def unfreeze(model: Module, patterns: Patterns = "*") -> list[str]:
    """Let parameters train again; arguments, result and errors as of :func:`freeze`.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> _ = freeze(model, "body.*")
        >>> _ = unfreeze(model, "body.*")
        >>> all(parameter.requires_grad for parameter in model.parameters())
        True
    """
    return _set(model, patterns, True)


def matching(model: Module, patterns: Patterns) -> dict[str, Parameter]:
    """The parameters that patterns mean, by name; see :func:`freeze`."""
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    found: dict[str, Parameter] = {}
    groups = named_groups(model)
    for pattern in patterns:
        hits = {
            name: parameter
            for group, members in groups.items()
            for name, parameter in members
            if _means(pattern, group) or _means(pattern, plain_name(name)) or _means(pattern, name)
        }
        if not hits:
            near = suggest(pattern, list(groups))
            raise ConfigError(f"{pattern!r} matches no group and no parameter of {type(model).__name__}{near}")
        found |= hits
    return found


def unfreezing_order(model: Module) -> list[list[Parameter]]:
    """The groups from the last to the first, for gradual unfreezing (ULMFiT, Howard & Ruder 2018, section 3.3).

    The first epoch trains the last group alone, each further epoch one group more, so that the large
    first gradients of a fresh head do not damage the layers below. Parameters that are frozen when this is called are
    in no group.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(8, 16, num_layers=2), classes=3)
        >>> [len(parameters) for parameters in unfreezing_order(model)]
        [2, 4, 4]
    """
    groups = [[one for _, one in members if one.requires_grad] for members in named_groups(model).values()]
    return [group for group in reversed(groups) if group]


def _set(model: Module, patterns: Patterns, trains: bool) -> list[str]:
    found = matching(model, patterns)
    for parameter in found.values():
        parameter.requires_grad_(trains)
    return list(found)


def _means(pattern: str, name: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, pattern + ".*")
