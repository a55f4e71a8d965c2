"""What a fine-tuning was asked for, and whether it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch.optim import Optimizer

from ...errors import ConfigError, check_number, check_whole
from ...finetuning.adapters import LoRA
from ...finetuning.forgetting import Protection, Replay, resolve_protection, resolve_replay
from ...finetuning.freeze import Patterns, matching
from ...finetuning.heads import find_head, same_index, same_name
from ...finetuning.rates import check_divisor
from ..config import LearnerConfig
from ..resuming.run_fingerprint import describe_settings
from ..session import Session

_DATA = ("old_data", "old_validation", "replay")


@dataclass(frozen=True)
class Plan:
    """What `Learner.fine_tune` was asked for; see there."""

    lr: float | None = None
    freeze: Patterns = ()
    freeze_body_epochs: int = 0
    gradual_unfreezing: bool = False
    discriminative: float | None = None
    adapters: LoRA | None = None
    classes: int | Sequence[str] | None = None
    old_classes: Sequence[str] | None = None
    replay: Any = None
    protect: str | Protection | None = None
    old_data: Any = field(default=None, repr=False)
    old_validation: Any = field(default=None, repr=False)

    def method(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """What of it differs from plain training, in words."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _DATA}
        found = {name: value for name, value in found.items() if value or (name == "lr" and value is not None)}
        if self.protect is not None:
            found["protect"] = resolve_protection(self.protect)
        if (replay := resolve_replay(self.replay)) is not None:
            rows = replay.rows
            found["replay"] = (
                f"old rows are {100 * rows:.3g}% of each epoch" if isinstance(rows, float)
                else f"{rows} old rows an epoch" if isinstance(rows, int)
                else "all old rows each epoch"
            )  # fmt: skip
        if settings.get("schedule") is not None:
            found["schedule"] = settings["schedule"]
        lists = {name: ", ".join(map(str, value)) for name, value in found.items() if isinstance(value, list | tuple)}
        return {name: str(value) for name, value in (found | lists).items()}

    def identity(self) -> dict[str, Any]:
        """All of it but the data, as JSON values: what a run that goes on must share with the one before."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _DATA}
        found |= {"protect": resolve_protection(self.protect), "replay": self.method({}).get("replay")}
        return {"fine_tune": describe_settings(found)}


def checked(
    session: Session, config: LearnerConfig, plan: Plan
) -> tuple[Protection | None, Replay | None, dict[int, int], int | None]:
    """Protection, replay, classes that stay and the new head's outputs; raises ConfigError for what cannot be."""
    if isinstance(config.optimizer, Optimizer):
        kind = type(config.optimizer).__name__
        raise ConfigError(
            f"fine_tune makes a fresh optimizer, but the learner was given a finished {kind}; give it a name or a "
            f"callable, as in Learner(model, optimizer=lambda parameters: torch.optim.{kind}(parameters, lr=0.1))"
        )
    if plan.lr is not None:
        check_number(plan.lr, "lr")
    if plan.discriminative is not None:
        check_divisor(plan.discriminative, "discriminative")
    if plan.freeze:
        matching(session.model, plan.freeze)
    frozen_epochs = plan.freeze_body_epochs
    check_whole(frozen_epochs, "freeze_body_epochs", least=0)
    if frozen_epochs and not isinstance(getattr(session.model, "body", None), torch.nn.Module):
        raise ConfigError(f"freeze_body_epochs={frozen_epochs} needs a model with a body; this has none")
    if frozen_epochs and plan.gradual_unfreezing:
        raise ConfigError("gradual_unfreezing says itself when the body trains; leave freeze_body_epochs out")
    if plan.adapters is not None and not isinstance(plan.adapters, LoRA):
        raise ConfigError(f"adapters={plan.adapters!r} arrived; expected rnnkit.LoRA(rank=8)")
    protect, replay = resolve_protection(plan.protect), _replay(plan)
    if protect is not None and plan.adapters is not None:
        raise ConfigError(
            "protect holds weights near what they were, and adapters leave them as they were; choose one of them, or "
            "adapters with replay=(X, y)"
        )
    if protect is not None and protect.needs_old_data and plan.old_data is None:
        raise ConfigError(f"protect={plan.protect!r} measures on old data; pass old_data=(X, y)")
    return protect, replay, *_classes(session, plan)


def _replay(plan: Plan) -> Replay | None:
    replay = resolve_replay(plan.replay)
    if replay is None or replay.data is not None:
        return replay
    if plan.old_data is None:
        raise ConfigError(f"replay={plan.replay!r} says how many old rows, but not which; pass old_data=(X, y) too")
    return Replay(plan.old_data, replay.rows)


def _classes(session: Session, plan: Plan) -> tuple[dict[int, int], int | None]:
    """Classes that stay, new index → old index, and how many outputs the new head has; None for no new head."""
    if plan.classes is None:
        if plan.old_classes is not None:
            raise ConfigError("old_classes arrived without classes; pass the names of the new head's classes too")
        return {}, None
    outputs = find_head(session.model)[1].out_features
    if isinstance(plan.classes, int) and not isinstance(plan.classes, bool):
        if plan.old_classes is not None:
            raise ConfigError(f"classes={plan.classes} is a number where old_classes are names; pass names for both")
        check_whole(plan.classes, "classes")
        _check_several(session, plan.classes, plan.classes)
        return same_index(outputs, plan.classes), plan.classes
    if isinstance(plan.classes, str | bool) or plan.old_classes is None or isinstance(plan.old_classes, str):
        raise ConfigError(
            f"classes={plan.classes!r} arrived with old_classes={plan.old_classes!r}; expected a number of classes, or "
            "the names of the new and of the old ones"
        )
    if len(plan.old_classes) != outputs:
        raise ConfigError(f"old_classes has {len(plan.old_classes)} names but the model's head has {outputs} outputs")
    _check_several(session, plan.classes, len(plan.classes))
    return same_name(plan.old_classes, plan.classes), len(plan.classes)


def _check_several(session: Session, classes: Any, count: int) -> None:
    if count < 2 and session.objective.loss.targets == "labels":
        raise ConfigError(f"classes={classes!r} arrived; a classifier tells at least two classes apart")
