"""How a model is run on batches: forward pass, objective, and the checks of the first rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError, TensorCode, Words
from ...layers.modes import mode
from ...ops.padding import valid_steps
from ...types import Batch, State
from ..batching.arrays import HALF, as_normal, check_inputs, select
from ..execution import Execution
from .inferred import InferredObjective
from .objective import Objective, Score


class _ForArrays(Words):
    """Writes code for the arrays that a Learner takes, not for the tensors that its layers get."""

    def code(self, change: TensorCode) -> str:
        return change.numpy


@contextmanager
def shown_with_all_rows(some: Any, everything: Any) -> Iterator[None]:
    """Have errors about the shape of some rows give the shape of all rows that arrived."""
    try:
        yield
    except ShapeError as error:
        if error.tensor and list(error.shape) == list(some.shape):
            error = error.with_shape(everything.shape)
        raise error.in_words(_ForArrays()) from None


def check_carries(model: torch.nn.Module, setting: str) -> None:
    """Raise `ConfigError` for a model whose state cannot be carried from chunk to chunk."""
    problem: str | None = getattr(model, "carry_problem", None)
    if not callable(getattr(model, "forward_chunk", None)):
        problem = (
            f"{type(model).__name__} does not return its state; give it a method forward_chunk(x, state=None) -> "
            "(output, state), as rnnkit.SequenceTagger and rnnkit.SequenceClassifier have it"
        )
    if problem is not None:
        raise ConfigError(f"{setting} carries the state of the model from one chunk to the next, but {problem}")


def chunked(execution: Execution) -> Any:
    """Return what has the model's `forward_chunk`: of several processes the wrapper, which exchanges gradients."""
    if execution.world == 1 or execution.fabric is None:
        return execution.model
    module: Any = execution.module
    module.mark_forward_method("forward_chunk")
    return module


def run_chunk(
    execution: Execution,
    model: Any,
    values: Tensor,
    state: State | None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Call `forward_chunk` with the keywords that are needed, as the precision computes it."""
    given = {"lengths": lengths, "resets": resets}
    with execution.autocast():
        output, state = model.forward_chunk(
            values, state, **{name: value for name, value in given.items() if value is not None}
        )
    return output.float() if output.dtype in HALF else output, state


def over_time(batch: Batch) -> Tensor | None:
    """Return the resets before single steps [B, T]; None where a batch has none, or those of its first step [B]."""
    resets = batch.resets
    return resets if resets is not None and resets.dim() == 2 else None


class Forward:
    """Calls a model on batches and scores its outputs.

    Args:
        execution: the model and where it is computed.
        objective: what compares outputs with targets. An `InferredObjective` is replaced by what it chose for earlier
            data, else by the one that the first rows, which `prepare` sees, call for.
    """

    splits_batch = False  # whether `microbatches` yields more than one score

    def __init__(self, execution: Execution, objective: Objective) -> None:
        self.inferred = objective if isinstance(objective, InferredObjective) else None
        known = None if self.inferred is None else self.inferred.chosen
        self.execution, self.objective = execution, known or objective
        self.module, self.device, self.dtype = execution.module, execution.device, execution.dtype
        self._shape: torch.Size | None = None  # of the output of the trial

    def begin(self) -> None:
        """Prepare for an epoch or an evaluation."""

    def microbatches(self, batch: Batch) -> Iterable[Score]:
        """Return the scores of a batch: one, or one a piece that is backpropagated alone."""
        return (self.score(batch),)

    def score(self, batch: Batch) -> Score:
        """Return the score of a batch as a whole."""
        return self.objective(self.output(batch), batch)

    def count(self, batch: Batch) -> int:
        """Return the number of targets that the loss of a batch is the mean of."""
        return self.objective.count(batch)

    def output(self, batch: Batch) -> Tensor:
        """Return the model's output for a batch."""
        resets = over_time(batch)
        if resets is None or not bool(resets.any()):
            output: Tensor = self.objective.call(self.module, batch)
            return output
        if type(self.objective).call is not Objective.call:
            raise ConfigError(
                f"resets [B, T] arrived, but the objective {self.objective.name!r} calls the model in its own way, "
                "without them; pass batches without resets"
            )
        check_carries(self.execution.model, "a batch with resets [B, T]")
        return run_chunk(self.execution, chunked(self.execution), batch.inputs, None, batch.input_lengths, resets)[0]

    def predictions(self, batch: Batch, longest: int | None) -> Tensor:
        """Return what `predict` gives for a batch.

        Outputs per step are 0 past the end of a row. Where the steps are those of the inputs, and rows differ in
        length, the output is padded to `longest` steps.
        """
        output, lengths = self.objective.predicted(self.output(batch), batch)
        if lengths is None:
            return output
        steps = output.shape[1] if longest is None or self.objective.targets_follow == "targets" else longest
        valid = valid_steps(lengths, output.shape[1], output.device)
        padded = output.new_zeros(len(output), steps, *output.shape[2:])
        padded[:, : output.shape[1]][valid] = output[valid]
        return padded

    def prepare(self, batch: Batch) -> Batch:
        """Check a batch, or all rows of data in memory, and return it with its targets as the loss takes them.

        Raises:
            DataError: not as many targets as inputs, NaN, labels out of range, lengths that differ.
            ShapeError: targets whose shape does not belong to the model's output.
            ConfigError: the model's output is not one that the objective can use.
        """
        batch = as_normal(batch)
        check_inputs(batch.inputs, batch.input_lengths)
        if batch.targets is None or len(batch.targets) != len(batch):
            found = 0 if batch.targets is None else len(batch.targets)
            raise DataError(f"{len(batch):,} inputs arrived with {found:,} targets; expected one for each")
        self.objective.check_targets(batch)
        if self._shape is None:
            self._shape = self._try(batch)
        fitted = self.objective.fit(batch, self._shape, self.dtype)
        if self.inferred is not None:  # not for data that does not fit
            self.inferred.chosen = self.objective
        return fitted

    def _try(self, batch: Batch) -> torch.Size:
        """Run two rows, choose the objective if it is to be inferred, and return the shape of the output."""
        rows = select(batch, torch.arange(min(2, len(batch))), follow=self.objective.targets_follow).to(self.device)
        with mode(self.module, False), torch.no_grad(), shown_with_all_rows(rows.inputs, batch.inputs):
            output = self.output(rows)
        shape = self.objective.check_output(output, rows).shape
        if isinstance(self.objective, InferredObjective):
            self.objective = self.objective.infer(batch, rows, shape)
        return shape
