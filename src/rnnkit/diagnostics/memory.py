"""How far back the output can see: the gradient of the last output by the inputs before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..errors import ConfigError, ShapeError
from ..types import Sequences
from ._calls import Inputs, batch_axis, measuring, output_of, rows_of, taken, unwrapped
from ._trace import recurrent_layers

Tensor = torch.Tensor
THRESHOLD = 0.01
OUTPUTS = 16


@dataclass(frozen=True)
class Horizon:
    """How far back the output depends on the input.

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

    def __repr__(self) -> str:
        return f"Horizon(sees {self.steps} of {self.length} steps back, at {self.threshold:g} of the largest gradient)"

    @property
    def length(self) -> int:
        """T, the steps of the longest row."""
        return len(self.gradient)

    @property
    def share(self) -> float:
        """The seen part of the longest row."""
        return self.steps / self.length


class RowsDiffer(ShapeError):
    """The rows of the recurrent layers are not those of the model, such as the rows of pixels of a picture."""


def horizon(model: torch.nn.Module, inputs: Any, *, threshold: float = THRESHOLD, outputs: int = OUTPUTS) -> Horizon:
    """Measure how far back the output can see, by the gradient of the outputs by the inputs.

    g(k) = mean over rows b and outputs o of ‖∂y_{b,o,T}/∂x_{b,T-k}‖, with y_T the output of a whole sequence (last
    state, mean or maximum over steps, attention), or, of outputs at every step, that of the row's last valid step. The
    model sees k + 1 steps back where g(k) ≥ 0.01 · max g, so that its horizon is the largest such k, plus 1: behind it
    the gradient stays below 1% of its largest, and training can hardly use what was there. It is a local measure, that
    of these weights on these rows. Saliency by gradients goes back to Simonyan, Vedaldi & Zisserman (arXiv:1312.6034).

    x is what the model is called with. Where that has no gradient (token ids), or its steps become others in front of
    the recurrent layers (pixels of an image, a convolution with a stride), x is what the first of them reads. The model
    runs as it is, native kernels included, in evaluation mode; rows must not influence each other.

    Args:
        model: any module with recurrent layers.
        inputs: what the model is called with: [B, T, I], ``Sequences``, a ``PackedSequence``, or a list of [T_b, I].
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
    with measuring(model), _first_layer(model) as reads:
        given = _given(taken(model, inputs), batch_axis=batch_axis(model))
        output = output_of(model, given.called_with)
        source = _source(given, reads)
        x, lengths = source.leaf, source.lengths
        output = rows_of(model, output)
        if output.dim() == 0 or len(output) != len(lengths):
            raise RowsDiffer(
                f"the model returned shape {tuple(output.shape)} for {len(lengths)} rows; expected the batch first"
            )
        per_step = output.dim() >= 3 and output.shape[1] == source.steps
        if per_step:
            output = output[torch.arange(len(output), device=output.device), lengths - 1]
        y = output.flatten(1) if output.dim() > 1 else output[:, None]
        total = torch.zeros(len(lengths), source.steps, device=y.device, dtype=torch.float64)
        places = torch.linspace(0, y.shape[1] - 1, min(outputs, y.shape[1])).round().long().tolist()
        for place in places:
            # Rows do not influence each other: the gradient of their sum is each row's own.
            (gradient,) = torch.autograd.grad(y[:, place].sum(), x, retain_graph=True, allow_unused=True)
            if gradient is not None:
                total += torch.linalg.vector_norm(source.by_row(gradient).flatten(2).double(), dim=2)
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


# --- what to differentiate by ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """A tensor of steps, with the lengths [B] of its rows, and how a gradient like it becomes [B, T, ...]."""

    called_with: Inputs
    leaf: Tensor
    lengths: Tensor
    steps: int
    by_row: Callable[[Tensor], Tensor]


def _given(ready: Inputs, *, batch_axis: int = 0) -> _Source:
    """``ready`` as a source: a copy that asks for a gradient, where it holds numbers.

    Args:
        ready: ``Sequences``, packed, or a tensor [B, T, ...], or [T, B, ...] with ``batch_axis=1``.
    """
    if isinstance(ready, PackedSequence):
        data = _watched(ready.data)
        packed = PackedSequence(data, ready.batch_sizes, ready.sorted_indices, ready.unsorted_indices)
        padded, lengths = pad_packed_sequence(packed, batch_first=True)

        def unpacked(gradient: Tensor) -> Tensor:
            return pad_packed_sequence(packed._replace(data=gradient), batch_first=True)[0]

        return _Source(packed, data, lengths.to(data.device), padded.shape[1], unpacked)
    if isinstance(ready, Sequences):
        values = _watched(ready.values)
        lengths = ready.lengths.to(values.device)
        return _Source(Sequences(values, ready.lengths), values, lengths, values.shape[1], lambda found: found)
    values = _watched(ready)
    count, steps = (values.shape[batch_axis], values.shape[1 - batch_axis]) if values.dim() > 1 else (len(values), 1)
    lengths = torch.full((count,), steps, device=values.device)
    return _Source(values, values, lengths, steps, lambda found: found.transpose(0, batch_axis))


def _watched(values: Tensor) -> Tensor:
    """The same numbers, whose gradient is known whatever is frozen; as they are where they can have none."""
    return values + torch.zeros_like(values, requires_grad=True) if values.is_floating_point() else values


@contextmanager
def _first_layer(model: torch.nn.Module) -> Iterator[list[_Source]]:
    """The list gets, within the block, what the recurrent layer that is called first reads."""
    found: list[_Source] = []

    def note(layer: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        inputs = given[0] if given else named.get("input")
        if found or not isinstance(inputs, Tensor | PackedSequence):
            return None
        if isinstance(inputs, Tensor) and inputs.dim() < 3:
            return None  # unbatched
        source = _given(inputs, batch_axis=0 if getattr(layer, "batch_first", True) else 1)
        if (lengths := named.get("lengths")) is not None:
            source = replace(source, lengths=torch.as_tensor(lengths).to(source.leaf.device))
        found.append(source)
        return (source.called_with, *given[1:]), {name: value for name, value in named.items() if name != "input"}

    layers = [layer for layer in recurrent_layers(model).values() if not isinstance(layer, torch.nn.RNNCellBase)]
    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _source(given: _Source, reads: list[_Source]) -> _Source:
    """The model's own input where it has a gradient and its steps are those of the recurrent layers, else theirs."""
    same = not reads or reads[0].steps == given.steps
    if given.leaf.is_floating_point() and same:
        return given
    if not reads:
        raise ConfigError("inputs are integers and no recurrent layer reads whole sequences: pass numbers")
    return reads[0]
