"""Dynamic evaluation: a model goes on learning from the text that it is measured on, behind its own predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import ConfigError, check_number
from ..layers.modes import mode
from ..ops.losses import resolve_loss
from ..ops.state import detach
from ..types import Batch, State

_EPSILON = 1e-5


class GradientScale(NamedTuple):
    """The root of the mean square of each weight's gradient over training batches; see `gradient_scale`."""

    tensors: list[Tensor]


def gradient_scale(model: Any, batches: Iterable[Batch]) -> GradientScale:
    """Return √(mean g²) of each parameter over batches of the training text, each from the state before it.

    Args:
        model: as in `dynamic_evaluation`.
        batches: a few hundred windows of as many rows and steps as those to be evaluated.

    Raises:
        ConfigError: there is no batch.
    """
    weights = [one for one in model.parameters() if one.requires_grad]
    squares, count = [torch.zeros_like(one) for one in weights], 0
    state: State | None = None
    loss = resolve_loss(None, model)
    with mode(model, training=False), torch.enable_grad():
        for batch in batches:
            value, state = _loss(model, loss, batch, state)
            for square, gradient in zip(squares, _gradients(value, weights), strict=True):
                square.addcmul_(gradient, gradient)
            count += 1
    if not count:
        raise ConfigError("no batch arrived; expected windows of the training text")
    return GradientScale([(square / count).sqrt_() for square in squares])


def dynamic_evaluation(
    model: Any, batches: Iterable[Batch], scale: GradientScale, *, lr: float = 1e-3, decay: float = 0.01
) -> float:
    """Return the mean loss of a language model that learns from each window after it was measured on it.

    With g the gradient of the window's loss, s the scale of the gradients in training, s̄ its mean over all weights and
    θ_0 the trained weights, each window changes the weights by

        θ ← θ − η g / (s + ε) + min(1, λ s / s̄) (θ_0 − θ)

    No prediction sees its own target, so the loss compares with that of the model as it is. The weights are put back.

    Variant: Krause, Kahembwe, Murray & Renals 2018 ("Dynamic evaluation of neural sequence models"), with the RMS
    update and RMS decay.

    Args:
        model: a module with ``forward_chunk(ids, state) -> (logits, state)``.
        batches: windows of one text, in order, as `rnnkit.data.TokenBatches` gives them. Short ones learn sooner.
        scale: of `gradient_scale`.
        lr: η.
        decay: λ.

    Returns:
        The mean over all targets, in nats.

    Raises:
        ConfigError: lr or decay out of range, or no batch.

    Example:
        >>> import rnnkit
        >>> from rnnkit.data import TokenBatches
        >>> from rnnkit.training.dynamic_evaluation import dynamic_evaluation, gradient_scale
        >>> model = rnnkit.LanguageModel(5, embedding_size=4, hidden_size=8, num_layers=1)
        >>> text = TokenBatches([0, 1, 2, 3] * 50, batch_size=1, window=10)
        >>> found = dynamic_evaluation(model, text, gradient_scale(model, text))
        >>> 0 < found < 1.61
        True
    """
    check_number(lr, "lr")
    check_number(decay, "decay")
    weights = [one for one in model.parameters() if one.requires_grad]
    before = [one.detach().clone() for one in weights]
    mean = sum(float(one.sum()) for one in scale.tensors) / sum(one.numel() for one in scale.tensors)
    pull = [(decay * one / max(mean, 1e-12)).clamp_(max=1.0) for one in scale.tensors]
    rates = [lr / (one + _EPSILON) for one in scale.tensors]
    total, count = 0.0, 0
    state: State | None = None
    loss = resolve_loss(None, model)
    try:
        with mode(model, training=False), torch.enable_grad():
            for batch in batches:
                nats, state = _loss(model, loss, batch, state)
                assert batch.targets is not None
                total += nats.item() * batch.targets.numel()
                count += batch.targets.numel()
                gradients = _gradients(nats, weights)
                with torch.no_grad():
                    for weight, first, rate, back, gradient in zip(
                        weights, before, rates, pull, gradients, strict=True
                    ):
                        weight.addcmul_(rate, gradient, value=-1).addcmul_(back, first - weight)
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
    if not count:
        raise ConfigError("no batch arrived; expected windows of a text")
    return total / count


def _loss(model: Any, loss: Any, batch: Batch, state: State | None) -> tuple[Tensor, State]:
    assert batch.targets is not None
    output, state = model.forward_chunk(batch.inputs, state)
    return loss.mean(output.flatten(0, 1), batch.targets.flatten()), detach(state)


def _gradients(value: Tensor, weights: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, weights, allow_unused=True)
    return [torch.zeros_like(one) if each is None else each for one, each in zip(weights, found, strict=True)]
