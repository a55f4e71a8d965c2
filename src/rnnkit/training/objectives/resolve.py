"""Objectives by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...errors import ConfigError, check_choice
from ...ops.losses import LossFunction, resolve_loss
from ..signatures import parameters_of, takes
from .cross_entropy import ClassWeights, make_cross_entropy
from .ctc import CTC
from .ctc_attention import CTCAttention
from .horizon import HorizonObjective, StepObjective
from .inferred import InferredObjective
from .objective import Objective, SequenceObjective
from .pixels import PixelObjective
from .sequence_to_sequence import SequenceToSequence
from .sets import SetObjective
from .teacher_forcing import TeacherForcedHorizon
from .transducer import Transducer

_WITH_A_LOSS: dict[str, type[Objective]] = {
    "sequence": SequenceObjective,
    "step": StepObjective,
    "horizon": HorizonObjective,
}
# Those that have a loss of their own, made for a model, which has attributes for its special tokens.
_OWN_LOSS: dict[str, Callable[[Any], Objective]] = {
    "ctc": lambda model: CTC(),
    "transducer": lambda model: Transducer(blank=getattr(model, "blank", 0)),
    "ctc_attention": lambda model: _ctc_attention(model),
    "set": lambda model: SetObjective(),
    "pixels": lambda model: PixelObjective(),
}
NAMES = (*_WITH_A_LOSS, *_OWN_LOSS, "seq2seq")


def resolve_objective(
    objective: str | Objective | None,
    loss: str | LossFunction | None,
    model: torch.nn.Module,
    label_smoothing: float = 0.0,
    class_weights: ClassWeights | None = None,
) -> Objective:
    """Return the objective of a learner.

    Args:
        objective: a name, an object, or None: the model's `default_objective`, else inferred from shapes.
        loss: see `Learner`; for objectives that have none of their own.
        model: may declare `default_objective` and `default_loss`.
        label_smoothing, class_weights: of the cross-entropy.

    Raises:
        ConfigError: an unknown name, a loss for an objective that has its own, or one that does not take an output and
            its targets.
    """
    chosen: Any = getattr(model, "default_objective", None) if objective is None else objective
    if isinstance(chosen, type) and issubclass(chosen, Objective):
        raise ConfigError(f"objective={chosen.__name__} is a class; pass an instance: objective={chosen.__name__}(...)")
    if isinstance(chosen, Objective) or (isinstance(chosen, str) and chosen in _OWN_LOSS):
        if loss is not None or label_smoothing or class_weights is not None:
            raise ConfigError(
                f"loss, label_smoothing and class_weights arrived with objective={chosen!r}, which has its own loss; "
                "leave them out"
            )
        return chosen if isinstance(chosen, Objective) else _OWN_LOSS[chosen](model)
    if chosen == "seq2seq":
        loss = "cross_entropy" if loss is None and not hasattr(model, "default_loss") else loss
    check_choice(chosen, "objective", (*NAMES, None))
    resolved = resolve_loss(loss, model)
    if not takes(resolved.function, 2):
        raise ConfigError(
            f"loss={resolved.name} takes {parameters_of(resolved.function)}; expected a callable (output, target) that "
            "returns the mean over the targets"
        )
    found = make_cross_entropy(resolved, label_smoothing, class_weights)
    if chosen == "seq2seq":
        return SequenceToSequence(start=getattr(model, "start", 0), loss=found, copies=_extended_vocabulary(model))
    if chosen == "horizon" and getattr(model, "reads_targets", False):
        return TeacherForcedHorizon(found)
    return InferredObjective(found) if chosen is None else _WITH_A_LOSS[chosen](found)


def _ctc_attention(model: Any) -> CTCAttention:
    end = getattr(model, "end", None)
    if end is None:
        raise ConfigError(
            f"objective='ctc_attention' arrived with a {type(model).__name__}, which tells no token that ends a text; "
            "pass an object: objective=rnnkit.training.CTCAttention(start, end)"
        )
    return CTCAttention(
        getattr(model, "start", 0), end, getattr(model, "blank", 0), weight=getattr(model, "ctc_weight", 0.3)
    )


def _extended_vocabulary(model: Any) -> int | None:
    """The vocabulary of a model that copies further words out of its sources; None of others."""
    return model.vocabulary if getattr(model, "copy", None) is True else None


def check_metrics(objective: Objective, names: Sequence[str]) -> None:
    """Raise `ConfigError` for metrics of an objective whose outputs and targets are no pairs.

    Args:
        objective: of the learner.
        names: of the metrics.

    Example:
        >>> check_metrics(CTC(), ())
    """
    if names and not objective.has_pairs:
        raise ConfigError(
            f"metrics={list(names)} arrived, but metrics compare outputs with targets one by one, and the objective "
            f"{objective.name!r} has no such pairs; pass metrics=[]"
        )
