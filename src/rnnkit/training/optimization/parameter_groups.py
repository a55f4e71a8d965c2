"""Settings of the optimizer by group of parameters: rates, decay, momenta.

`Learner(parameter_groups=...)` takes one of two forms.

A mapping from patterns on names to settings. A pattern is matched like a file name (`*`, `?`, `[...]`) against the
names of `model.named_parameters()`. Every pattern that matches a parameter applies; if two set the same setting, the
later one wins. A pattern that matches nothing is an error.

    Learner(model, weight_decay=0.01, parameter_groups={
        "body.*": {"lr": 1e-4},
        "*bias*": {"weight_decay": 0},
    })

Or PyTorch's own list of dicts, `{"params": [parameters or their names], "lr": ...}`. Parameters that are not listed
have the learner's settings; a `"name"` is kept. For example, rates that fall by the factor 2.6 per layer from the
output to the input (discriminative fine-tuning, Howard & Ruder 2018):

    from rnnkit.finetuning.rates import discriminative_rates
    Learner(model, lr=1e-3, parameter_groups=discriminative_rates(model, lr=1e-3))

Settings are `lr`, `weight_decay`, `l2` and the settings of PyTorch's optimizer: `betas`, `eps`, `momentum` ...
"""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, suggest

Settings = dict[str, Any]
ParameterGroups = Mapping[str, Mapping[str, Any]] | Iterable[Mapping[str, Any]]


def group_parameters(
    model: torch.nn.Module, groups: ParameterGroups | None, known: tuple[str, ...] | None, *, decay_biases: bool
) -> list[Settings]:
    """Return the groups `[{"params": [...], setting: value, ...}]`, parameters with the same settings together.

    Args:
        model: the model; a shared parameter counts once and has each of its names.
        groups: patterns or dicts, see the module.
        known: the settings that exist; None: any setting.
        decay_biases: False: `weight_decay` and `l2` are 0 for parameters of at most one axis (biases, gains of
            normalisations) and for learned initial states, unless `groups` says otherwise.

    Raises:
        ConfigError: a pattern or a name that matches nothing, a parameter listed twice, a setting that is unknown or
            negative.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> groups = group_parameters(model, {"head.*": {"lr": 0.01}}, None, decay_biases=True)
        >>> [(group.get("lr"), len(group["params"])) for group in groups]
        [(None, 4), (0.01, 2)]
    """
    names: dict[Tensor, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    chosen: dict[Tensor, Settings] = {parameter: {} for parameter in names}
    if not decay_biases:
        for tensor, (name, *_) in names.items():
            if tensor.dim() <= 1 or name.rpartition(".")[2].startswith(("bias", "initial_")):
                chosen[tensor] = {"weight_decay": 0.0} | ({"l2": 0.0} if known is None or "l2" in known else {})
    if isinstance(groups, Mapping):
        _apply_patterns(groups, names, chosen, known)
    elif groups is not None:
        _apply_list(groups, names, chosen, known)
    alike: dict[str, Settings] = {}
    for member, settings in chosen.items():
        key = repr(sorted(settings.items()))
        alike.setdefault(key, {"params": [], **settings})["params"].append(member)
    # The reported learning rate is the first group's: the learner's own if a group has it, else the highest.
    return sorted(alike.values(), key=lambda group: -float(group.get("lr", math.inf)))


def by_names(model: torch.nn.Module, groups: ParameterGroups) -> ParameterGroups:
    """Return the groups with names in place of parameters: comparable, and valid after a change of device."""
    if isinstance(groups, Mapping):
        return dict(groups)
    names = {parameter: name for name, parameter in model.named_parameters()}
    named: list[Mapping[str, Any]] = []
    for group in groups:
        if isinstance(group, Mapping) and "params" in group:
            members = group["params"]
            members = [members] if isinstance(members, Tensor | str) else members
            named.append({**group, "params": [names.get(member, member) for member in members]})
        else:
            named.append(group)  # `group_parameters` raises the error
    return named


def _apply_patterns(
    groups: Mapping[str, Mapping[str, Any]],
    names: dict[Tensor, list[str]],
    chosen: dict[Tensor, Settings],
    known: tuple[str, ...] | None,
) -> None:
    for pattern, settings in groups.items():
        if not isinstance(pattern, str) or not isinstance(settings, Mapping):
            raise ConfigError(
                f"parameter_groups has {pattern!r}: {settings!r}; expected a pattern and its settings, as in "
                "{'body.*': {'lr': 1e-4}}"
            )
        _check(f"parameter_groups[{pattern!r}]", settings, known)
        matched = [
            parameter
            for parameter, aliases in names.items()
            if any(fnmatch.fnmatchcase(name, pattern) for name in aliases)
        ]
        if not matched:
            raise ConfigError(f"parameter_groups: no parameter is called {pattern!r}{_near(pattern, names)}")
        for parameter in matched:
            chosen[parameter] = {**chosen[parameter], **settings}


def _apply_list(
    groups: Iterable[Mapping[str, Any]],
    names: dict[Tensor, list[str]],
    chosen: dict[Tensor, Settings],
    known: tuple[str, ...] | None,
) -> None:
    by_name = {name: parameter for parameter, aliases in names.items() for name in aliases}
    listed: set[Tensor] = set()
    for number, group in enumerate(groups):
        where = f"parameter_groups[{number}]"
        if not isinstance(group, Mapping) or "params" not in group:
            raise ConfigError(f"{where} is {group!r}; expected a dict with 'params', or {{pattern: settings}}")
        settings = {name: value for name, value in group.items() if name != "params"}
        _check(where, {name: value for name, value in settings.items() if name != "name"}, known)
        members = group["params"]
        for member in [members] if isinstance(members, Tensor | str) else members:
            parameter = by_name.get(member) if isinstance(member, str) else member
            if parameter is None:
                raise ConfigError(f"{where}: no parameter is called {member!r}{_near(str(member), names)}")
            if not isinstance(parameter, Tensor) or parameter not in names:
                what = tuple(parameter.shape) if isinstance(parameter, Tensor) else repr(member)
                raise ConfigError(f"{where} lists {what}, which is not a parameter of the model")
            if parameter in listed:
                raise ConfigError(f"{where} lists {names[parameter][0]!r}, which an earlier group lists too")
            listed.add(parameter)
            chosen[parameter] = {**chosen[parameter], **settings}


def _check(where: str, settings: Mapping[str, Any], known: tuple[str, ...] | None) -> None:
    for name, value in settings.items():
        if known is not None and name not in known:
            raise ConfigError(f"{where} has the setting {name!r}{suggest(name, known)}")
        if name in ("lr", "weight_decay", "l2") and not (isinstance(value, int | float) and 0 <= value < math.inf):
            raise ConfigError(f"{where} has {name}={value!r}; expected a number of at least 0")


def _near(pattern: str, names: dict[Tensor, list[str]]) -> str:
    every = [name for aliases in names.values() for name in aliases]
    near = difflib.get_close_matches(pattern.replace("*", ""), every, n=3, cutoff=0.4)
    if near:
        return f"; near: {', '.join(map(repr, near))}"
    return f"; known: {', '.join(map(repr, every[:8]))}" + (f", … ({len(every)} in all)" if len(every) > 8 else "")
