"""What is done with the epochs of a run: best weights, checkpoints, early stopping, rescue from a divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ..errors import DivergenceError
from .divergence import NonFinite, explain
from .history import History, Row
from .loop import Run, train


def follow(
    run: Run,
    model: torch.nn.Module,
    history: History,
    *,
    patience: int | None,
    restore_best: bool,
    save: Callable[[Row], None] | None,
    callbacks: Iterable[Callable[[Row], object]],
) -> None:
    """Runs the loop and fills `history`; see `Learner.fit` for what the arguments mean."""
    callbacks = tuple(callbacks)
    best = good = _weights(model)
    try:
        for row in train(run):
            good = _weights(model)
            better = history.add(row)
            if better:
                best = good
            if save is not None and (better or not restore_best):
                save(row)
            run.progress.epoch(row)
            for callback in callbacks:
                callback(row)
            if patience is not None and len(history.rows) - (history.best_epoch or 0) >= patience:
                history.stopped = "early stopping"
                break
            if run.interrupt.requested:
                break
    except NonFinite as bad:
        message = _explain(bad, run, model, epoch=len(history.rows) + 1)
        model.load_state_dict(good)
        run.optimizer.state.clear()  # its averages may hold NaN too
        raise DivergenceError(message) from None
    if run.interrupt.requested and history.stopped == "finished" and len(history.rows) < run.epochs:
        history.stopped = "interrupted"
    if restore_best:
        model.load_state_dict(best)


def _weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _explain(bad: NonFinite, run: Run, model: torch.nn.Module, epoch: int) -> str:
    facts = explain(model, *run.batches.recall(bad.step))
    lr = run.optimizer.param_groups[0]["lr"]
    advice = ["inputs scaled to about [-1, 1]", f"a lower lr (now {lr:g})"]
    if run.clip is None:
        advice.append("clip_norm=1.0")
    back = f"epoch {epoch - 1}" if epoch > 1 else "before training"
    return "\n  ".join(
        [
            f"{bad.what} in epoch {epoch}, step {bad.step + 1}",
            *facts,
            f"the weights were put back to those of {back}; try {', '.join(advice)}",
        ]
    )
