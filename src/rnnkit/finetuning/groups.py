"""The layers of a model as groups of parameters, from its input to its output."""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch.nn import Module, Parameter

from ..layers.chain import Chain

_LAYER = re.compile(r"_l(\d+)(?:_reverse)?(?:\.|$)")
_CONTAINERS = (
    torch.nn.Sequential,
    Chain,
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
    torch.nn.TransformerEncoder,
    torch.nn.TransformerDecoder,
)


def layer_groups(model: Module) -> dict[str, list[Parameter]]:
    """The parameters of a model, layer by layer, from the input to the output.

    A group is what Howard & Ruder (2018) call a layer: a recurrent layer with both its directions, an embedding, a
    convolution, a head. Modules count in the order of their registration (``head`` of the model last, wherever it was
    made); containers and modules with a recurrent layer inside are opened, all others, such as a front, stay whole.
    Parameters of a normalisation, all vectors, go with the layer before it. A tied parameter is in its first group
    alone; a learned initial state goes with the first recurrent layer.

    Args:
        model: any module.

    Returns:
        Groups by name, in that order: the module's own (``"head"``), for recurrent layers with the layer's number
        (``"body.l0"``, ``"body.l1"``). Each parameter is in exactly one of them.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(8, 16, num_layers=2, bidirectional=True), classes=3)
        >>> {name: len(parameters) for name, parameters in layer_groups(model).items()}
        {'body.l0': 8, 'body.l1': 8, 'head': 2}
    """
    return {name: [parameter for _, parameter in found] for name, found in named_groups(model).items()}


def named_groups(model: Module) -> dict[str, list[tuple[str, Parameter]]]:
    """As :func:`layer_groups`, each parameter with its name in ``model.named_parameters()``."""
    groups: dict[str, list[tuple[str, Parameter]]] = {}
    seen: set[int] = set()
    last = ""
    for group, name, parameter, joins in _walk(model, "", root=True):
        if id(parameter) in seen:
            continue
        seen.add(id(parameter))
        group = last if joins and last else group
        groups.setdefault(group, []).append((name, parameter))
        last = group
    return groups


def _walk(module: Module, path: str, root: bool = False) -> Iterator[tuple[str, str, Parameter, bool]]:
    """Group, name, parameter, and whether it goes with the group before it."""
    dot = f"{path}." if path else ""
    if isinstance(module, torch.nn.RNNBase):
        layers: dict[int, list[tuple[str, Parameter]]] = {}
        for name, parameter in module.named_parameters():
            number = _LAYER.search(name)
            layers.setdefault(int(number[1]) if number else 0, []).append((name, parameter))
        for layer in sorted(layers):
            for name, parameter in layers[layer]:
                yield f"{dot}l{layer}", dot + name, parameter, False
        return
    children = list(module.named_children())
    if not children or not (root or _opens(module)):
        found = list(module.named_parameters())
        vectors = all(parameter.dim() <= 1 for _, parameter in found)
        for name, parameter in found:
            yield path or "model", dot + name, parameter, vectors and not root
        return
    for name, parameter in module.named_parameters(recurse=False):
        yield dot + name, dot + name, parameter, False
    if root:
        children.sort(key=lambda child: child[0] == "head")
    for name, child in children:
        yield from _walk(child, dot + name)


def _opens(module: Module) -> bool:
    """Whether a module is a row of layers rather than one layer."""
    recurrent = (torch.nn.RNNBase, torch.nn.RNNCellBase)
    return isinstance(module, _CONTAINERS) or any(isinstance(part, recurrent) for part in module.modules())
