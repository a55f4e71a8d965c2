"""How far back the output can see: the gradient of the last output by the inputs before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import ConfigError, DataError, ShapeError
from ..types import Sequences
from ._calls import Inputs, measuring, output_of, rows_of, taken, unwrapped
from ._trace import recurrent_layers

Tensor = torch.Tensor
THRESHOLD = 0.01
OUTPUTS = 16


@dataclass(frozen=True)
class Horizon:
    """What the output sees of each step back.

    Attributes:
        gradient: [T], entry k is ‖∂y_T/∂x_{T-k}‖ averaged over rows and outputs; of rows of unequal lengths those that
            have a step there.
        steps: how many steps back the output sees: from the last step to the earliest whose gradient is at least
            ``threshold`` times the largest, both counted. 0 where no input has any influence.
        threshold: that share, 0.01.
        per_step: the model has an output at every step, and the one at each row's last valid step was looked at.
    """

    gradient: Tensor
    steps: int
    threshold: float
    per_step: bool

    @property
    def length(self) -> int:
        """T, the steps of the longest row."""
        return len(self.gradient)

    @property
    def share(self) -> float:
        """The seen part of the longest row."""
        return self.steps / self.length


def horizon(model: torch.nn.Module, inputs: Any, *, threshold: float = THRESHOLD, outputs: int = OUTPUTS) -> Horizon:
    """Measures how far back the output can see, by the gradient of the outputs by the inputs.

    g(k) = mean over rows b and outputs o of ‖∂y_{b,o,T}/∂x_{b,T-k}‖, with y_T the output of a whole sequence (last
    state, mean or maximum over steps, attention), or, of outputs at every step, that of the row's last valid step. The
    model sees k + 1 steps back where g(k) ≥ 0.01 · max g, so that its horizon is the largest such k, plus 1: behind it
    the gradient stays below 1% of its largest, and training can hardly use what was there. It is a local measure, that
    of these weights on these rows. Saliency by gradients goes back to Simonyan, Vedaldi & Zisserman (arXiv:1312.6034).

    The model runs as it is, native kernels included, in evaluation mode; rows must not influence each other. Token ids
    have no gradient; then that of what the model's ``torch.nn.Embedding`` makes of them is taken.

    Args:
        model: any module with recurrent layers.
        inputs: [B, T, I], ``Sequences`` or a list of [T_b, I]; ids [B, T] where an embedding comes first.
        threshold: the share of the largest gradient that counts as seen.
        outputs: at most so many outputs are looked at, one backward pass each, evenly spread over those there are.

    Raises:
        ConfigError: the model has no recurrent layer. DataError: NaN arrived. ShapeError: the output has no batch axis.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 16))
        >>> seen = horizon(model, torch.randn(8, 200, 1))
        >>> seen.steps < 50, seen.length
        (True, 200)
    """
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold={threshold!r} arrived; expected a share between 0 and 1, such as 0.01")
    model = unwrapped(model)
    recurrent_layers(model)  # refuses a model without
    with measuring(model):
        ready = taken(model, inputs)
        if isinstance(ready, PackedSequence):
            raise DataError("a PackedSequence arrived; pass padded steps as rnnkit.Sequences(values, lengths)")
        with _leaf(model, ready) as (seen, found):
            output = rows_of(model, output_of(model, seen))
            if not found:
                raise ConfigError("inputs are integers, but the model called no torch.nn.Embedding to follow them to")
            x = found[0]
            lengths = seen.lengths.to(x.device) if isinstance(seen, Sequences) else None
            values = seen.values if isinstance(seen, Sequences) else seen
            batch, time = rows_of(model, values).shape[:2]
            if output.dim() == 0 or len(output) != batch:
                raise ShapeError(f"the model returned shape {tuple(output.shape)} for {batch} rows; expected [B, ...]")
            per_step = output.dim() >= 3 and output.shape[1] == time
            if lengths is None:
                lengths = torch.full((batch,), time, device=x.device)
            if per_step:
                output = output[torch.arange(batch, device=x.device), lengths - 1]
            y = output.flatten(1) if output.dim() > 1 else output[:, None]
            total = torch.zeros(batch, time, device=x.device, dtype=torch.float64)
            places = torch.linspace(0, y.shape[1] - 1, min(outputs, y.shape[1])).round().long().tolist()
            for place in places:
                # Rows do not influence each other: the gradient of their sum is each row's own.
                (gradient,) = torch.autograd.grad(y[:, place].sum(), x, retain_graph=True, allow_unused=True)
                if gradient is not None:
                    total += torch.linalg.vector_norm(rows_of(model, gradient).flatten(2).double(), dim=2)
    return _ended(total / len(places), lengths, threshold, per_step)


def _ended(norms: Tensor, lengths: Tensor, threshold: float, per_step: bool) -> Horizon:
    """Norms [B, T] counted from each row's end, averaged over the rows that have a step there."""
    time = int(lengths.max())
    back = lengths[:, None] - 1 - torch.arange(time, device=norms.device)  # [B, T]: entry k is time step length - 1 - k
    counted = back >= 0
    from_end = norms.gather(1, back.clamp(min=0)).where(counted, torch.zeros((), dtype=norms.dtype))
    mean = (from_end.sum(0) / counted.sum(0)).cpu()
    seen = (mean >= threshold * mean.max()) & (mean > 0)
    steps = int(seen.nonzero().max()) + 1 if seen.any() else 0
    return Horizon(mean.float(), steps, threshold, per_step)


@contextmanager
def _leaf(model: torch.nn.Module, ready: Inputs) -> Iterator[tuple[Any, list[Tensor]]]:
    """Inputs for the model, and the list that holds, once it ran, the tensor [B, T, ...] to differentiate by."""
    values = ready.values if isinstance(ready, Sequences) else ready
    assert isinstance(values, Tensor)
    if values.is_floating_point():
        values = values.detach().clone().requires_grad_()
        yield (Sequences(values, ready.lengths) if isinstance(ready, Sequences) else values), [values]
        return
    found: list[Tensor] = []

    def note(module: torch.nn.Module, inputs: Any, output: Tensor) -> Tensor:
        if found:
            return output
        found.append(output.detach().requires_grad_())
        return found[0]

    hooks = [part.register_forward_hook(note) for part in model.modules() if isinstance(part, torch.nn.Embedding)]
    try:
        yield ready, found
    finally:
        for hook in hooks:
            hook.remove()
