"""Settings by the names of other libraries, and those that a learner cannot change: what to type instead."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ..errors import ConfigError, suggest

# What users of other libraries type, and what it is called here.
_ELSEWHERE = {
    "verbose": "progress=False for silence",
    "validation_data": "validation=(X, y)",
    "lr": "Learner(model, lr=...), or learner.lr = ... before fit",
    "learning_rate": "Learner(model, lr=...), or learner.lr = ... before fit",
    "n_epochs": "epochs=...",
    "max_epochs": "epochs=...",
    "class_weight": "Learner(model, class_weights=...)",
    "workers": "a torch DataLoader as data",
    "steps_per_epoch": "an iterable of so many batches as data",
}
_ALIKE = 0.8  # of two names, from 0 to 1: a slip of the hand, and no attribute of the user's own
# What a learner is made of, and cannot be changed afterwards.
_FIXED = ("model", "loss", "objective", "metrics", "label_smoothing", "class_weights", "device", "precision")


def check_may_change(name: str, known: Sequence[str]) -> None:
    """Raise `ConfigError` for an attribute of a learner that cannot be set, belongs elsewhere, or is misspelt.

    Args:
        name: of the attribute.
        known: the attributes that can be set. A name that is like one of them, and is none, is taken for misspelt.
    """
    if name in _FIXED:
        advice = "Learner(model, ...)" if name == "model" else f"Learner(learner.model, {name}=...)"
        raise ConfigError(f"learner.{name} cannot be changed; make another learner: {advice}")
    if name in _ELSEWHERE and name != "lr":
        raise ConfigError(f"a learner has no setting {name!r}; type {_ELSEWHERE[name]}")
    if name not in known and (near := difflib.get_close_matches(name, [*known, *_FIXED], n=1, cutoff=_ALIKE)):
        raise ConfigError(f"a learner has no setting {name!r}; did you mean {near[0]!r}?")


def unknown_setting(name: str, function: str, known: Sequence[str]) -> ConfigError:
    """Return the error about a setting that a function of the learner does not have."""
    if name in _ELSEWHERE:
        return ConfigError(f"{function} has no setting {name!r}; type {_ELSEWHERE[name]}")
    return ConfigError(f"{function} has no setting {name!r}{suggest(name, known)}")
