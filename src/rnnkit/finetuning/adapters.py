"""Low-rank adapters: W + (α/r) B A in the place of W, and only A and B train.

LoRA (Hu et al. 2021, arXiv:2106.09685), applied to the weights rather than to the activations, so that it serves
recurrent layers whole: W' = W + (α/r) B A is made once for a call, with W [G·H, I] frozen, A [r, I] and B [G·H, r], B
zero at first. The gates of a layer share A.

dA = (α/r) Bᵀ dW' and dB = (α/r) dW' Aᵀ come from dW', which the layer's backward pass computes as in full fine-tuning,
in one product over all steps. To apply A and B to the activations would save that product, but add two thin products
to each time step. Beside the layer's own work a call costs a product of 2·r·G·H·I operations forward and two backward,
about 3·r/(B·T) of what the layer's products take; in return the optimizer has little to do.

Left out: dropout in front of A (the weights know no activations), training of biases.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter
from torch.nn.utils import parametrize

from ..errors import ConfigError, DataError, check_whole
from ..layers.rnn import RNN
from ..serialization import replacing
from .freeze import Patterns, matching, plain_name
from .heads import find_head, replace_head

Tensor = torch.Tensor
TARGETS = ("weight_ih*", "weight_hh*")


@dataclass(frozen=True)
class LoRA:
    """Settings of :func:`add_adapters`, for ``learner.fine_tune(adapters=LoRA(rank=8))``.

    Example:
        >>> LoRA(rank=4)
        LoRA(rank=4, alpha=None, targets=('weight_ih*', 'weight_hh*'))
    """

    rank: int = 8
    alpha: float | None = None
    targets: tuple[str, ...] = TARGETS


class LowRank(nn.Module):
    """One adapter: weight [O, I] → weight + (α/r) B A, a parametrisation of torch's.

    A is drawn from U(-1/√I, 1/√I), as Hu et al.'s own code draws it; B is 0.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.rank, self.alpha, self.scale = rank, alpha, alpha / rank
        a = torch.empty(rank, inputs, dtype=weight.dtype).uniform_(-(inputs**-0.5), inputs**-0.5)
        self.A = Parameter(a.to(weight.device))  # drawn on the CPU: the same numbers on every device
        self.B = Parameter(torch.zeros(outputs, rank, dtype=weight.dtype, device=weight.device))
        self.order: list[str] = []  # of the layer's parameters, before
        self.froze: list[Parameter] = []  # what trained before, and trains again without adapters

    def forward(self, weight: Tensor) -> Tensor:
        """weight [O, I], adapted."""
        return torch.addmm(weight, self.B, self.A, alpha=self.scale)

    def adapter_config(self) -> dict[str, Any]:
        """What :func:`restore_adapters` needs to make it anew."""
        return {"rank": self.rank, "alpha": self.alpha}


@dataclass(frozen=True)
class _Place:
    """A weight with an adapter: ``name`` as without, such as "body.weight_hh_l0"."""

    name: str
    module: nn.Module
    weight: str
    adapter: LowRank = field(repr=False)


def add_adapters(
    model: nn.Module,
    rank: int = 8,
    alpha: float | None = None,
    targets: Patterns = TARGETS,
    *,
    train: Patterns = (),
) -> list[str]:
    """Put a low-rank adapter on every weight that ``targets`` names, in place, and freeze all else.

    W + (α/r) B A; as B is 0, the model computes what it did. Works on rnnkit's layers, on PyTorch's, on cells, on the
    cell of an ``rnnkit.RNN``, and on ``torch.nn.Linear`` and ``torch.nn.Embedding`` where a target names them (an
    embedding's whole table is then made anew for each call).

    Args:
        model: any module.
        rank: r. An adapter has r·(O + I) parameters for a weight of O·I; r is at most the smaller of the two, so the
            input weight of a series with one channel gets rank 1.
        alpha: α; None: 2·r, so that α/r = 2 whatever the rank.
        targets: patterns for names of weights, whole ("head.weight") or their last part ("weight_hh_l0"), with ``*``.
            The default is the weights of recurrent layers, and every matrix in a cell of your own (``rnnkit.RNN``).
        train: groups or parameters that go on training whole, such as a new "head".

    Returns:
        The adapted weights' names.

    Raises:
        ConfigError: no such weight, a rank or an α out of range, adapters that are on already.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.LSTM(28, 256), classes=10)
        >>> add_adapters(model, rank=8, train="head")
        ['body.weight_ih_l0', 'body.weight_hh_l0']
        >>> sum(p.numel() for p in model.parameters() if p.requires_grad)
        21226
    """
    check_whole(rank, "rank")
    rank = int(rank)  # of numpy's
    alpha = 2.0 * rank if alpha is None else alpha
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not alpha > 0:
        raise ConfigError(f"alpha={alpha!r} arrived; expected a number above 0, or None for twice the rank")
    if (there := _adapters(model)) != []:
        raise ConfigError(f"{there[0].name} has an adapter already; merge_adapters(model) or remove_adapters(model)")
    patterns = [targets] if isinstance(targets, str) else list(targets)
    found = dict.fromkeys(weight for pattern in patterns for weight in _targets(model, pattern))
    if patterns == list(TARGETS):
        found |= dict.fromkeys(_cell_weights(model))
    whole = {id(parameter) for parameter in (matching(model, train).values() if train else ())}
    froze = [one for one in model.parameters() if one.requires_grad and id(one) not in whole]
    ranks = {name: min(rank, *model.get_parameter(name).shape) for name in found}
    _put(model, {name: {"rank": own, "alpha": own * alpha / rank} for name, own in ranks.items()}, froze)
    return list(found)


def merge_adapters(model: nn.Module) -> nn.Module:
    """Write W + (α/r) B A into W and take the adapters off: classes and state-dict keys are those of before.

    For deployment: the merged model costs what the model cost. What :func:`add_adapters` froze trains again.

    Raises:
        ConfigError: there is no adapter.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> keys = list(model.state_dict())
        >>> _ = add_adapters(model, rank=2)
        >>> _ = merge_adapters(model)
        >>> list(model.state_dict()) == keys
        True
    """
    with torch.no_grad():
        for place in _present(model):
            place.module.get_parameter(f"parametrizations.{place.weight}.original").copy_(
                getattr(place.module, place.weight)
            )
    return remove_adapters(model)


def remove_adapters(model: nn.Module) -> nn.Module:
    """Take the adapters off, as if they had never been; what trained whole beside them stays as it is.

    Raises:
        ConfigError: there is no adapter.

    Example:
        >>> import rnnkit
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> before = model.body.weight_hh_l0.clone()
        >>> _ = add_adapters(model, rank=2)
        >>> _ = remove_adapters(model)
        >>> bool(torch.equal(model.body.weight_hh_l0, before))
        True
    """
    for place in reversed(_present(model)):  # the first one put on knows the order of all parameters
        parametrize.remove_parametrizations(place.module, place.weight, leave_parametrized=False)
        own = place.module._parameters
        for name in place.adapter.order:
            own[name] = own.pop(name)
        for parameter in place.adapter.froze:
            parameter.requires_grad_(True)
    return model


def save_adapters(model: nn.Module, path: str | PathLike[str]) -> Path:
    """Write the adapters, and all else that trains (a new head), to one small .safetensors file.

    With them goes the SHA-256 of the weights that stayed, by which :func:`load_adapters` knows the base model.

    Raises:
        ConfigError: there is no adapter, or the path does not end in .safetensors.

    Example:
        >>> import rnnkit, tempfile
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> path = tempfile.mkdtemp() + "/task.safetensors"
        >>> _ = add_adapters(model, rank=2)
        >>> _ = save_adapters(model, path)
        >>> _ = remove_adapters(model)
        >>> _ = load_adapters(model, path)
    """
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ConfigError(f"{path} arrived; expected a file ending in .safetensors, such as adapters.safetensors")
    places = _present(model)
    tensors: dict[str, Tensor] = {}
    for place in places:
        tensors |= {f"{place.name}.A": place.adapter.A, f"{place.name}.B": place.adapter.B}
    own = {id(tensor) for tensor in tensors.values()}
    others = {name: one for name, one in model.named_parameters() if one.requires_grad and id(one) not in own}
    buffers = {name: one for name, one in model.named_buffers() if name in model.state_dict()}
    tensors |= {plain_name(name): one for name, one in (others | buffers).items()}
    description = {
        "adapters": {place.name: place.adapter.adapter_config() for place in places},
        "base": fingerprint(model, without=set(tensors)),
    }
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(stored, str(temporary), {"rnnkit_adapters": json.dumps(description)})
    return path


def load_adapters(model: nn.Module, path: str | PathLike[str]) -> nn.Module:
    """Put what :func:`save_adapters` wrote on its base model, in place; a head of another width is replaced.

    Args:
        model: the base model, as it was when :func:`add_adapters` was called.
        path: the file.

    Raises:
        DataError: the file is missing, was not written by rnnkit, or belongs to another base model.
        ConfigError: the model has adapters on already.

    Example:
        >>> import rnnkit, tempfile
        >>> model = rnnkit.SequenceClassifier(rnnkit.GRU(3, 8), classes=2)
        >>> path = tempfile.mkdtemp() + "/task.safetensors"
        >>> _ = add_adapters(model, rank=2)
        >>> _ = save_adapters(model, path)
        >>> _ = remove_adapters(model)
        >>> _ = load_adapters(model, path)
        >>> torch.nn.utils.parametrize.is_parametrized(model.body)
        True
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} does not exist; save adapters with save_adapters(model, path)")
    try:
        with safe_open(str(path), "pt") as opened:
            description = json.loads((opened.metadata() or {})["rnnkit_adapters"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        adapters, base = dict(description["adapters"]), dict(description["base"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} holds no adapters that rnnkit saved ({error})") from None
    if (there := _adapters(model)) != []:
        raise ConfigError(f"{there[0].name} has an adapter already; merge_adapters(model) or remove_adapters(model)")
    found = fingerprint(model, without=set(tensors))
    if found != base:
        missing = sorted(set(base["names"]) ^ set(found["names"]))
        what = f"it has other weights: {', '.join(missing[:5])}" if missing else "its weights have other values"
        raise DataError(
            f"{path} was trained on another model than this {type(model).__name__} ({what}); load the base model that "
            "add_adapters was called on"
        )
    _fit_head(model, tensors, path)
    whole = [model.get_parameter(name) for name in tensors if name in dict(model.named_parameters())]
    froze = [one for one in model.parameters() if one.requires_grad and not any(one is other for other in whole)]
    _put(model, adapters, froze)
    places = {place.name: place.adapter for place in _adapters(model)}
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            at, _, part = name.rpartition(".")
            (getattr(places[at], part) if at in places and part in "AB" else state[name]).copy_(tensor)
    return model


def restore_adapters(model: nn.Module, description: dict[str, dict[str, Any]]) -> None:
    """Put fresh adapters where a saved model had them; for ``rnnkit.load``.

    Args:
        model: without adapters.
        description: as :func:`rnnkit.serialization.save_module` keeps it, parametrisation's name → rank and alpha.

    Raises:
        DataError: the model has no such weight.
    """
    named = {name.replace("parametrizations.", "").removesuffix(".0"): one for name, one in description.items()}
    known = dict(model.named_parameters())
    unfit = [name for name in named if name not in known]
    if unfit:
        raise DataError(f"{type(model).__name__} has no weight {unfit[0]} for an adapter")
    targets = {id(known[name]) for name in named}
    _put(model, named, [one for one in model.parameters() if id(one) in targets])


def fingerprint(model: nn.Module, without: set[str]) -> dict[str, Any]:
    """Names and SHA-256 (names, dtypes, shapes, bytes) of a model's parameters, but for some."""
    digest, names = hashlib.sha256(), []
    adapted = {id(one) for place in _adapters(model) for one in place.adapter.parameters()}
    for name, parameter in sorted((plain_name(name), one) for name, one in model.named_parameters()):
        if name in without or id(parameter) in adapted:
            continue
        names.append(name)
        digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
        digest.update(parameter.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {"names": names, "sha256": digest.hexdigest()}


# --- where adapters are ----------------------------------------------------------------------------------------------


def _adapters(model: nn.Module) -> list[_Place]:
    return list(_walk(model))


def _present(model: nn.Module) -> list[_Place]:
    places = _adapters(model)
    if not places:
        raise ConfigError(f"this {type(model).__name__} has no adapters; put some on with add_adapters(model)")
    return places


def _walk(model: nn.Module) -> Iterator[_Place]:
    for name, module in model.named_modules():
        for weight, chain in getattr(module, "parametrizations", {}).items():
            for adapter in chain:
                if isinstance(adapter, LowRank):
                    yield _Place(f"{name}.{weight}" if name else weight, module, weight, adapter)


def _targets(model: nn.Module, pattern: str) -> list[str]:
    """The names of the weights that a pattern means."""
    names = [name for name, one in model.named_parameters() if one.dim() == 2 and "parametrizations" not in name]
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(".")[2], pattern)]
    if not found and pattern not in TARGETS:  # PyTorch's names of both kinds, of which a model may lack one
        raise ConfigError(f"{pattern!r} matches no weight of {type(model).__name__}; it has {', '.join(names)}")
    return found


def _cell_weights(model: nn.Module) -> list[str]:
    """The names of the matrices in the cells of ``rnnkit.RNN``."""
    found: dict[int, str] = {}
    inside = [f"{name}." if name else "" for name, module in model.named_modules() if isinstance(module, RNN)]
    for name, one in model.named_parameters():
        if one.dim() == 2 and name.startswith(tuple(inside)) and not name.rpartition(".")[2].startswith("initial_"):
            found[id(one)] = name
    return list(found.values())


def _put(model: nn.Module, adapters: dict[str, dict[str, Any]], froze: list[Parameter]) -> None:
    if not adapters:
        raise ConfigError(f"no weight of {type(model).__name__} is a target; name some: targets=['head.weight']")
    for parameter in froze:
        parameter.requires_grad_(False)
    for name, settings in adapters.items():
        path, _, weight = name.rpartition(".")
        module = model.get_submodule(path)
        adapter = LowRank(getattr(module, weight), int(settings["rank"]), float(settings["alpha"]))
        adapter.order = list(module._parameters)
        parametrize.register_parametrization(module, weight, adapter, unsafe=True)  # its shape and dtype are known
    _adapters(model)[0].adapter.froze = froze


def _fit_head(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Make what the file holds beside the adapters fit: only a head may have another width."""
    known = model.state_dict()
    unfit = [name for name, one in tensors.items() if name in known and known[name].shape != one.shape]
    if not unfit:
        return
    name, _ = find_head(model)
    if any(one not in (f"{name}.weight", f"{name}.bias") for one in unfit):
        raise DataError(f"{path} does not fit {type(model).__name__}: {', '.join(unfit)} have other shapes")
    replace_head(model, len(tensors[f"{name}.weight"]))
