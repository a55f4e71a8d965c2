"""Fine-tuning, step by step: measure, change the head, put adapters on, freeze, set rates, train, measure again.

The pieces are in :mod:`rnnkit.finetuning`; here they are put together around `Learner.fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.utils.data import TensorDataset

from ...errors import ConfigError, DataError
from ...finetuning.adapters import add_adapters, remove_adapters
from ...finetuning.forgetting import Protection, Reference, Replay
from ...finetuning.freeze import matching, unfreezing_order
from ...finetuning.heads import find_head, head_name, put_head, replace_head
from ...finetuning.rates import divide_rates
from ...layers.modes import mode
from ...layers.quantized import refuse_quantized
from ...types import Batch
from ..batching.arrays import select
from ..batching.order import ReplayData
from ..config import LearnerConfig
from ..contexts import seeded
from ..fitting import state_and_seed
from ..history import History, Row
from ..loop import Run, TrainingPosition
from ..objectives.forward import Forward
from ..session import Session
from ..user_data import known_names, set_names
from ..watching.callbacks import Callback
from .old_and_new import check_alike, mix, rows_of, split, translate
from .plan import Plan as Plan
from .plan import checked
from .report import FineTuningReport, Quality


@dataclass
class FineTuning:
    """A fine-tuning, step by step.

    Attributes:
        session: of the learner.
        config: its settings.
        plan: what was asked for.
        fit, evaluate: `Learner.fit` and `Learner.evaluate`.
    """

    session: Session
    config: LearnerConfig
    plan: Plan
    fit: Callable[..., History]
    evaluate: Callable[..., dict[str, float]]

    def run(self, new_data: Any, validation: Any, settings: dict[str, Any]) -> History:
        """Measure, change the model, train, measure again; `settings` are those of `fit`."""
        session, plan = self.session, self.plan
        model, dtype = session.model, session.execution.dtype
        refuse_quantized(model, "be fine-tuned")
        protect, replay, keep, outputs = checked(session, self.config, plan)
        if settings["seed"] is None:  # a run that goes on draws what the one before drew
            where = settings.get("checkpoint"), settings.get("resume", False)
            settings = {**settings, "seed": state_and_seed(session, None, *where)[1]}
        new = new_data
        if isinstance(validation, float):
            generator = torch.Generator().manual_seed(settings["seed"]) if settings.get("shuffle", True) else None
            rows = rows_of(new_data, f"data with validation={validation}", dtype)
            new, validation = split(rows, validation, generator)
        old = None if plan.old_data is None else rows_of(plan.old_data, "old_data", dtype)
        measured, new_from = (new, "the training rows") if validation is None else (validation, "validation")

        judged = old if plan.old_validation is None else rows_of(plan.old_validation, "old_validation", dtype)
        if judged is not None:
            check_alike(new, judged, "old_validation" if plan.old_validation is not None else "old_data", dtype)
        before_old = None if judged is None else self.evaluate(judged)
        importance: dict[str, Tensor] = {}
        if protect is not None and protect.needs_old_data:
            named = dict(model.named_parameters())
            importance = protect.measure(named, _losses(session, old, protect, settings["seed"]))

        new_head, names = outputs is not None, known_names(model, session.extra)
        with _undo_on_error(session, plan):
            start = None
            with seeded(settings["seed"], torch.device("cpu")):
                if outputs is not None:
                    start = head_name(model)
                    replace_head(model, outputs, keep)
                    if plan.classes is not None and not isinstance(plan.classes, int):
                        set_names(model, session.extra, plan.classes)
                    elif outputs != len(names or ()):
                        set_names(model, session.extra, None)
                if plan.adapters is not None:
                    one = plan.adapters
                    add_adapters(model, one.rank, one.alpha, one.targets, train=head_name(model))
            if new_head or plan.adapters is not None:
                session.rewrap()
            labels = keep if new_head else None
            translated = None if judged is None else translate(judged, labels)
            data = new if replay is None else _mixed(new, replay, labels, dtype)
            before_new = self._measure(measured)
            flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
            try:
                staged = StagedUnfreezing(_stages(model, plan))
                trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
                callbacks: list[Any] = [
                    FineTuningIdentity(plan.identity()),
                    *([staged] if staged.stages else []),
                ]
                if protect is not None:
                    callbacks.append(Penalty(_references(model, protect, importance, start, keep)))
                session.optimizer, session.optimizer_settings = _optimizer(session, self.config, plan), None
                settings = {**settings, "callbacks": [*callbacks, *settings["callbacks"]]}
                history = self.fit(data, validation=validation, **settings)
            finally:
                session.optimizer = None  # the next fit is at the learner's own rate again
                for parameter, flag in flags:
                    parameter.requires_grad_(flag)

        after_old = None if translated is None else self.evaluate(translated)
        history.report = FineTuningReport(
            new=Quality(_rows(measured), before_new, self._measure(measured)),
            old=None if judged is None else Quality(_rows(judged), before_old, after_old),
            new_from=new_from,
            trained=trained - sum(one.numel() for group in staged.unreached() for one in group),
            parameters=sum(one.numel() for one in model.parameters()),
            epochs=len(history.rows),
            seconds=history.seconds,
            method=plan.method(settings),
            findings=_unfreezing_findings(plan, staged, history),
        )
        return history

    def _measure(self, data: Any) -> dict[str, float] | None:
        return None if isinstance(data, Iterator) else self.evaluate(data)  # reading it would use it up


# --- what is measured, and trained on --------------------------------------------------------------------------------


def _mixed(new: Any, replay: Replay, keep: Mapping[int, int] | None, dtype: torch.dtype) -> ReplayData:
    old = translate(rows_of(replay.data, "old data to replay", dtype), keep)
    if old is None:
        raise DataError(
            "the replay has rows of classes that the new head lacks; name them in classes, or leave the rows out"
        )
    return mix(rows_of(new, "new data, mixed with a replay,", dtype), old, replay)


def _losses(session: Session, old: Batch | None, protect: Any, seed: int) -> Iterator[Tensor]:
    """Yield −log p of old rows, one by one, in evaluation mode."""
    assert old is not None
    count, most = len(old), getattr(protect, "rows", len(old))
    rows = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:most].sort().values
    execution = session.execution
    # The bare model: wrappers for several processes expect a backward pass behind each call.
    forward = Forward(replace(execution, module=session.model), session.objective)
    prepared = forward.prepare(select(old, rows))
    follow = forward.objective.targets_follow
    no_cudnn = torch.backends.cudnn.flags(enabled=False)  # its layers have no gradients in evaluation mode
    with mode(session.model, False), torch.enable_grad(), no_cudnn:
        for row in range(len(rows)):
            score = forward.score(select(prepared, torch.tensor([row]), follow=follow).to(execution.device))
            yield score.loss * score.count


def _rows(data: Any) -> int | None:
    if isinstance(data, Batch):
        return len(data)
    if isinstance(data, tuple):
        return len(data[0])
    return len(data.tensors[0]) if isinstance(data, TensorDataset) else None


# --- what trains, and how --------------------------------------------------------------------------------------------


class FineTuningIdentity(Callback):
    """Adds the plan of a fine-tuning to what a resumed run must share."""

    def __init__(self, identity: Mapping[str, Any]) -> None:
        self.identity = identity


class StagedUnfreezing(Callback):
    """Lets parameters train after so many epochs; before that they do not."""

    def __init__(self, stages: Sequence[tuple[int, Sequence[Parameter]]]) -> None:
        self.stages, self.position = stages, TrainingPosition()

    def unreached(self) -> list[Sequence[Parameter]]:
        """Return the parameters of each stage in which no step was made."""
        begun = self.position.epoch - (self.position.batch == 0)  # epochs, the last one maybe in part
        return [parameters for after, parameters in self.stages if after >= begun]

    def on_prepare(self, learner: Any, run: Run) -> None:
        self.position = run.position  # a run that goes on puts it where it was

    def on_fit_begin(self, learner: Any, run: Run) -> None:
        self._show(len(learner.history.rows))

    def on_epoch_end(self, learner: Any, row: Row) -> None:
        self._show(int(row["epoch"]))

    def _show(self, done: int) -> None:
        for after, parameters in self.stages:
            for parameter in parameters:
                parameter.requires_grad_(done >= after)


class Penalty(Callback):
    """Adds a penalty to what is minimised; reported losses leave it out."""

    def __init__(self, penalty: Any) -> None:
        self.penalty = penalty

    def on_fit_begin(self, learner: Any, run: Run) -> None:
        before, ours = run.penalty, self.penalty
        run.penalty = ours if before is None else lambda: before() + ours()


def _stages(model: Any, plan: Plan) -> list[tuple[int, list[Parameter]]]:
    """Freeze what shall not train, and say what trains from which epoch on."""
    if plan.freeze:
        for parameter in matching(model, plan.freeze).values():
            parameter.requires_grad_(False)
    stages: list[tuple[int, list[Parameter]]] = []
    if plan.gradual_unfreezing:
        stages = list(enumerate(unfreezing_order(model)))
    elif plan.freeze_body_epochs:
        body: Any = model.body
        stages = [(plan.freeze_body_epochs, [one for one in body.parameters() if one.requires_grad])]
    later = {id(one) for after, parameters in stages if after for one in parameters}
    if not any(one.requires_grad and id(one) not in later for one in model.parameters()):
        raise ConfigError("there is nothing to train in the first epoch: all parameters are frozen then; freeze fewer")
    return stages


def _unfreezing_findings(plan: Plan, staged: StagedUnfreezing, history: History) -> tuple[str, ...]:
    """Say where gradual unfreezing ended before all groups had trained; an interrupted run has yet to go on."""
    groups, missed = len(staged.stages), len(staged.unreached())
    if not plan.gradual_unfreezing or not missed or history.stopped == "interrupted":
        return ()
    reached = groups - missed  # one an epoch
    return (
        f"{reached} epoch{'' if reached == 1 else 's'} reached {reached} of {groups} groups of layers: train {groups} "
        "epochs or more, or switch gradual unfreezing off with gradual_unfreezing=False (on the command line: --set "
        "gradual_unfreezing=false).",
    )


def _optimizer(session: Session, config: LearnerConfig, plan: Plan) -> Optimizer:
    optimizer = session.make_optimizer(config)
    highest = max(group["lr"] for group in optimizer.param_groups)
    usual = 1.0 if plan.adapters is not None else 0.1
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * usual if plan.lr is None else plan.lr * (group["lr"] / highest if highest else 1)
    if plan.discriminative is not None:
        divide_rates(optimizer, session.model, plan.discriminative)
    return optimizer


def _references(
    model: Any, protect: Protection, importance: Mapping[str, Tensor], head: str | None, keep: Mapping[int, int]
) -> Any:
    """The penalty of `protect` on the parameters as they are now."""
    references = []
    rows = torch.tensor(list(keep.items()), dtype=torch.int64).reshape(-1, 2)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        found, old = importance.get(name), None
        if head is not None and name in (f"{head}.weight", f"{head}.bias"):
            old = torch.zeros(len(parameter), *[1] * (parameter.dim() - 1), dtype=torch.bool, device=parameter.device)
            old[rows[:, 0]] = True
            if found is not None:
                moved = torch.zeros_like(parameter)
                moved[rows[:, 0]] = found[rows[:, 1]]
                found = moved
        references.append(Reference(name, parameter, parameter.detach().clone(), old, found))
    return protect.penalty(references)


@contextmanager
def _undo_on_error(session: Session, plan: Plan) -> Iterator[None]:
    """Put the old head back and take adapters off where an error came before an epoch had ended."""
    model, history = session.model, session.history
    names = known_names(model, session.extra)
    place = find_head(model) if plan.classes is not None else None
    adapted = any("parametrizations" in name for name in model.state_dict())
    try:
        yield
    except Exception:
        if session.history is history or not session.history.rows:
            if plan.adapters is not None and not adapted and any(".0.A" in name for name in model.state_dict()):
                remove_adapters(model)
            if place is not None:
                put_head(model, *place)
                set_names(model, session.extra, names)
            if session.execution.world == 1:  # others may not have failed, and would wait for this message
                session.rewrap()
        raise
