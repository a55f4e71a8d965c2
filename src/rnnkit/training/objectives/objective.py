"""Objectives: how a model is called on a batch, and how its output is compared with the targets.

An objective says which output belongs to which target. It is chosen by name, `Learner(objective="horizon")`, by an
object, or by the model's `default_objective`:

| name              | output          | targets               | compared                                |
| ----------------- | --------------- | --------------------- | --------------------------------------- |
| `"sequence"`      | [B, ...]        | [B] or [B, ...]       | one target a sequence                   |
| `"step"`          | [B, T, ...]     | [B, T] or [B, T, ...] | one target a valid input step           |
| `"horizon"`       | [B, S, ...]     | [B, S] or [B, S, ...] | one target a valid target step          |
| `"seq2seq"`       | [B, S, V]       | [B, S]                | as "horizon", with teacher forcing      |
| `"ctc"`           | [B, T', C]      | [B, S]                | all alignments of S labels with T'      |
| `"transducer"`    | [B, T', S+1, V] | [B, S]                | the same, each label given those before |
| `"ctc_attention"` | [B, S+1, V] …   | [B, S]                | as "seq2seq" with an end, and as "ctc"  |
| `"set"`           | a pair          | [B, S, 1 + D]         | S objects in no order with K in order   |
| `"pixels"`        | [B, C, H, W]    | [B, H, W] or with 1+S | the class of each pixel, and shares     |

A model that declares none gets "step" where it returns [B, T, outputs] for inputs and targets of T steps, and
"sequence" otherwise.

Legend: B batch, T input steps, S target steps, V vocabulary, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, DataError, ShapeError
from ...ops.losses import Loss, LossFunction, resolve_loss
from ...ops.padding import valid_steps
from ...types import Batch
from ..batching.arrays import check_finite_values, describe
from ..signatures import parameters_of, takes_keyword
from .embedding_ids import check_embedding_ids
from .targets import fit_targets


@dataclass(slots=True)
class Score:
    """What an objective makes of a batch.

    Attributes:
        loss: the mean loss of `count` targets; differentiable.
        count: the number of targets. `loss * count` is the sum that batches and processes are joined by.
        output, targets: pairs [n, ...] for the metrics: row i of one belongs to row i of the other, without padding,
            and all batches agree behind the first axis. Nothing reads them where the objective's `has_pairs` is false.
    """

    loss: Tensor
    count: int
    output: Tensor
    targets: Tensor


class Objective:
    """Calls a model on a batch and compares its output with the targets.

    Subclass it for an objective of your own. Override `pair`; `fit` where the targets have another shape than the
    outputs; and `call` where the model takes more than its inputs.

    Args:
        loss: what compares the pairs: a name or a callable, as `Learner(loss=...)` takes it; or a `Loss`.

    Attributes:
        name: as users type it.
        targets_follow: what the steps of the targets belong to: "rows" (the targets have no steps), "inputs" (a
            target a step of the input), "horizon" (steps of their own, as many in each batch) or "targets" (steps of
            their own; a batch has as many as its longest row).
        has_pairs: whether `Score.output` and `Score.targets` are pairs that metrics can compare.

    Example:
        >>> import rnnkit, torch
        >>> class Ordinal(Objective):  # K outputs for K + 1 ordered classes: output k says whether the class is above k
        ...     name = "ordinal"
        ...     def pair(self, output, batch):
        ...         above = batch.targets[:, None] > torch.arange(output.shape[1])
        ...         return output, above.to(output.dtype), batch.weights
        ...     def fit(self, batch, shape, dtype):  # checks nothing: the targets are [B], the outputs [B, K]
        ...         return batch
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(2, 4), outputs=3)
        >>> learner = rnnkit.Learner(model, objective=Ordinal("bce_logits"), metrics=[])
        >>> list(learner.evaluate(torch.randn(8, 5, 2), torch.arange(8) % 4))
        ['loss']
    """

    name: ClassVar[str] = "sequence"
    targets_follow: ClassVar[str] = "rows"
    has_pairs: ClassVar[bool] = True

    def __init__(self, loss: Loss | str | LossFunction) -> None:
        self.loss = loss if isinstance(loss, Loss) else resolve_loss(loss, torch.nn.Identity())

    def identity(self) -> dict[str, Any]:
        """Return what a resumed run must share beside the loss; nothing where model and data decide it."""
        return {} if self.name == Objective.name else {"objective": self.name}

    def call(self, module: torch.nn.Module, batch: Batch) -> Any:
        """Return the model's output for a batch."""
        return call_model(module, batch)

    def valid(self, batch: Batch) -> Tensor | None:
        """Return which targets count, bool [B]; None: all of them. One whose weight is 0 does not."""
        return _above_zero(batch.weights)

    def count(self, batch: Batch) -> int:
        """Return the number of targets that the loss of a batch is the mean of, before the model is called."""
        assert batch.targets is not None
        found = self.valid(batch)
        return len(batch.targets) if found is None else int(found.sum())

    def pair(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return outputs [n, ...], their targets [n, ...], and weights [n] or None."""
        assert batch.targets is not None
        return output, batch.targets, batch.weights

    def __call__(self, output: Tensor, batch: Batch) -> Score:
        """Return the loss of a batch, the number of its targets, and the pairs for the metrics."""
        found, targets, weights = self.pair(output, batch)
        if (there := _above_zero(weights)) is not None:
            found, targets, weights = found[there], targets[there], None if weights is None else weights[there]
        if weights is not None and bool((weights == 1).all()):  # they said which targets count, and no more
            weights = None
        count = targets.shape[0]  # not len(), which calls a Python function of torch.Tensor; this is run in every step
        loss = self.loss.mean(found, targets, weights) if count else found.sum()  # of none 0, with a gradient of 0
        return Score(loss, count, found, targets)

    def mean_of_rows(self, each: Tensor, batch: Batch) -> Tensor:
        """Return (1/n) Σ_b w_b l_b, with n the number of targets that count; 0 where none does.

        Args:
            each: the losses l [B] of the rows, each the sum over its targets.
            batch: with the weights w.
        """
        weighted = each if batch.weights is None else each * batch.weights
        return weighted.sum() / max(1, self.count(batch))

    def check_targets(self, batch: Batch) -> None:
        """Raise `ShapeError` for targets that the model cannot be called with; nothing where it reads none."""

    def predicted(self, output: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return what a prediction of a batch is, and the valid steps [B] of its rows; None: all are."""
        lengths = batch.input_lengths
        own_steps = self.targets_follow in ("horizon", "targets")
        if own_steps or output.dim() < 3 or output.shape[1:2] != batch.inputs.shape[1:2]:
            lengths = None
        return output, lengths

    def check_output(self, output: Any, rows: Batch) -> Tensor:
        """Return the output of a trial on some rows if the objective can use it.

        Raises:
            ConfigError: it is not a tensor with the batch axis first.
            ShapeError: it has other steps than the objective expects.
        """
        if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != len(rows):
            wrap = "make a model of a recurrent layer, such as rnnkit.SequenceTagger(layer, outputs=3)"
            raise ConfigError(
                f"for {len(rows)} sequences the model returned {describe(output)}; expected one tensor with the "
                f"batch axis first, [{len(rows)}, ...]",
                remedy=wrap if isinstance(output, tuple) else None,
            )
        if self.loss.name == "bce" and not 0 <= output.min() <= output.max() <= 1:
            raise ConfigError(
                f"the model returns values from {output.min():.3g} to {output.max():.3g}, but loss 'bce' expects "
                "probabilities in [0, 1]; for outputs without a sigmoid pass loss='bce_logits'"
            )
        return output

    def fit(self, batch: Batch, shape: torch.Size, dtype: torch.dtype) -> Batch:
        """Check the targets of a batch against the shape of an output, and return them as the loss takes them.

        Args:
            batch: all rows of data in memory, or one batch.
            shape: of the output of a trial on rows of this data.
            dtype: the model's, for targets that are numbers.

        Raises:
            DataError: NaN, labels out of range, lengths that differ.
            ShapeError: targets whose shape does not belong to the output.
        """
        assert batch.targets is not None
        if batch.target_lengths is not None:
            raise DataError(
                f"targets of unequal lengths arrived, but the model returns outputs of shape {list(shape)}, one a "
                "sequence; expected one target for each sequence"
            )
        return self._fit(batch, torch.Size([len(batch), *shape[1:]]), None, dtype)

    def _fit(self, batch: Batch, output: torch.Size, lengths: Tensor | None, dtype: torch.dtype) -> Batch:
        targets = batch.targets
        assert targets is not None
        axes = 1 if self.targets_follow == "rows" else 2
        if self.loss.targets == "labels" and len(output) != axes + 1:
            raise ShapeError(
                f"the model returns outputs of shape {list(output)} for targets of shape {list(targets.shape)}; "
                f"{self.loss.name!r} expects outputs [N, classes], or [N, T, classes] for labels [N, T]"
            )
        if self.loss.targets != "own":  # whose NaN may stand for what is not known
            check_finite_values("targets", targets, lengths)
        valid = None if lengths is None else valid_steps(lengths, targets.shape[1], targets.device)
        fitted = fit_targets(self.loss, targets, output, valid=valid, dtype=dtype)
        return replace(batch, targets=fitted, weights=self._weights(batch, fitted, axes))

    def _weights(self, batch: Batch, targets: Tensor, axes: int) -> Tensor | None:
        """Return the weights if they are one a row, [N], or with two axes also one a target step."""
        weights = batch.weights
        if weights is None:
            return None
        if weights.shape not in (targets.shape[:1], targets.shape[:axes]):
            raise ShapeError(
                f"weights of shape {list(weights.shape)} arrived with targets of shape {list(targets.shape)}; expected "
                f"one a row, [{len(targets)}]" + (f", or one a step, {list(targets.shape[:2])}" if axes == 2 else "")
            )
        check_finite_values("weights", weights, None)
        return weights


class SequenceObjective(Objective):
    """One target a sequence: output [B, ...] against targets [B] or [B, ...].

    Example:
        >>> import rnnkit, torch
        >>> model = rnnkit.SequenceRegressor(rnnkit.GRU(2, 4))
        >>> learner = rnnkit.Learner(model, loss="mse", metrics=[], objective="sequence")
        >>> list(learner.evaluate((torch.randn(8, 5, 2), torch.randn(8))))
        ['loss']
    """


def _above_zero(weights: Tensor | None) -> Tensor | None:
    """Which weights are above 0; None: all of them."""
    if weights is None:
        return None
    there = weights != 0
    return None if bool(there.all()) else there


def call_model(module: torch.nn.Module, batch: Batch, *labels: Tensor, **more: Any) -> Any:
    """Call a model on the inputs of a batch, the labels that it reads, and the lengths where rows differ.

    Args:
        module, batch, labels: see above.
        more: further arguments of the call, by name.

    Raises:
        ConfigError: rows differ, and the model takes no lengths.
        DataError: an embedding of the model lacks an id, or one of the labels.
    """
    lengths = {} if batch.input_lengths is None else {"lengths": batch.input_lengths}
    try:
        return module(batch.inputs, *labels, **lengths, **more)
    except TypeError:
        if lengths:
            _check_takes_lengths(module)
        raise
    except IndexError:
        check_embedding_ids(module, batch.inputs, *labels, **lengths, **more)
        raise


def _check_takes_lengths(module: Any) -> None:
    for wrapped in ("_original_module", "_orig_mod"):  # of Fabric and of torch.compile
        module = getattr(module, wrapped, module)
    if not takes_keyword(module, "lengths"):
        raise ConfigError(
            f"sequences of unequal lengths arrived, but {type(module).__name__}.forward takes "
            f"{parameters_of(module)}, without their lengths",
            remedy=(
                "give the model forward(self, x, lengths=None), with lengths [N], the valid steps of each row",
                "pass rows of equal length",
            ),
        ) from None
