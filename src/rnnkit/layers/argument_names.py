"""Arguments by the names of other libraries: constructors that say what to type in their place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from ..errors import ConfigError, Remedy, suggest

_Init = TypeVar("_Init", bound=Callable[..., None])

# What users of Keras and others call a layer's arguments.
RENAMED = {
    "units": "hidden_size",
    "num_units": "hidden_size",
    "hidden_dim": "hidden_size",
    "hidden_units": "hidden_size",
    "input_dim": "input_size",
    "n_features": "input_size",
    "n_layers": "num_layers",
    "use_bias": "bias",
}
_ALL_STEPS = "leave it out: every layer returns all steps and its state, output, state = layer(x)"
_KERAS_INIT = "type init='keras' for the initial weights of Keras, or set them with torch.nn.init"
_DECAY = "type rnnkit.Learner(model, weight_decay=...) or l2=..., recurrent_l2=..."
OWN_CELL = "leave it out for the usual functions; for others write a cell of your own and run it by rnnkit.RNN(cell)"
INSTEAD = {
    "return_sequences": _ALL_STEPS,
    "return_state": _ALL_STEPS,
    "stateful": "pass the state on, output, state = layer(x, state), or type learner.fit(..., stateful=True)",
    "go_backwards": "type x.flip(1) for [batch, time, features], or bidirectional=True for both directions",
    "time_major": "type batch_first=True for [batch, time, features]; without it time comes first",
    "input_shape": "type input_size=, the features of a step",
    "batch_input_shape": "type input_size=, the features of a step",
    "batch_shape": "type input_size=, the features of a step",
    "activation": OWN_CELL,
    "recurrent_activation": OWN_CELL,
    "nonlinearity": OWN_CELL,
    "kernel_initializer": _KERAS_INIT,
    "recurrent_initializer": _KERAS_INIT,
    "bias_initializer": _KERAS_INIT,
    "unit_forget_bias": _KERAS_INIT,
    "kernel_regularizer": _DECAY,
    "recurrent_regularizer": _DECAY,
    "bias_regularizer": _DECAY,
    "activity_regularizer": "type rnnkit.Learner(model, ar=...)",
    "mask": "pass the valid steps of each row to the call: layer(x, lengths=lengths)",
    "mask_zero": "pass the valid steps of each row to the call: layer(x, lengths=lengths)",
    "unroll": "leave it out",
    "implementation": "leave it out",
    "name": "leave it out: a module has the name of the attribute that holds it",
    "trainable": "leave it out, and type rnnkit.finetuning.freeze(model, 'body')",
}


class ArgumentError(ConfigError, TypeError):
    """A constructor does not have an argument, or lacks one; Python's own error for that is a TypeError."""


def explains_arguments(
    renamed: Mapping[str, str] | None = None, instead: Mapping[str, str] | None = None
) -> Callable[[_Init], _Init]:
    """Have a constructor say what to type for arguments that it does not have, and which of its own are missing.

    Args:
        renamed: names of other libraries, and the argument of this constructor that means the same.
        instead: names of other libraries, and a sentence that says what does the same.
    """
    names, sentences = renamed or {}, instead or {}

    def decorate(init: _Init) -> _Init:
        signature, kind = inspect.signature(init), init.__qualname__.split(".")[0]
        parameters = list(signature.parameters.values())[1:]
        known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
        passes_on = len(known) < len(parameters)  # arguments that it does not know itself, to another constructor

        @functools.wraps(init)
        def checked(self: Any, *arguments: Any, **options: Any) -> None:
            others = (name for name in options if name not in known)
            if unknown := next((name for name in others if not passes_on or name in names or name in sentences), None):
                raise _unknown(kind, unknown, options[unknown], known, names, sentences)
            if missing := _missing(signature, arguments, options):
                typed = ", ".join(f"{name}=..." for name in missing)
                raise ArgumentError(
                    f"{kind} got no {' and no '.join(missing)}; expected {kind}({', '.join(known[:2])}, ...)",
                    remedy=f"type {typed}",
                )
            init(self, *arguments, **options)

        return cast(_Init, checked)

    return decorate


def _unknown(
    kind: str, name: str, value: Any, known: list[str], renamed: Mapping[str, str], instead: Mapping[str, str]
) -> ArgumentError:
    if renamed.get(name) in known:
        return ArgumentError(f"{kind} has no argument {name!r}", remedy=Remedy(renamed[name], value))
    if name in instead:
        return ArgumentError(f"{kind} has no argument {name!r}", remedy=instead[name])
    return ArgumentError(f"{kind} has no argument {name!r}{suggest(name, known)}")


def _missing(signature: inspect.Signature, arguments: tuple[Any, ...], options: dict[str, Any]) -> list[str]:
    """The arguments without a default that were not passed."""
    positions = list(signature.parameters.values())[1:]
    return [
        one.name
        for place, one in enumerate(positions)
        if one.default is one.empty
        and one.kind is not one.VAR_KEYWORD
        and place >= len(arguments)
        and one.name not in options
    ]
