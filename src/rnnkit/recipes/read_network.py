"""The network of a recogniser of lines, with fresh weights, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.recipes.equal_size import equal_channels

if TYPE_CHECKING:
    from rnnkit.tasks.reading_settings import ReaderFit, ReaderNetwork


def build(settings: ReaderNetwork, tokens: int) -> rnnkit.LineRecognizer:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        tokens: of the tokenizer, the blank among them.
    """
    import torch

    front = rnnkit.LineFront(
        settings.height, settings.channels, settings.features, stride=settings.stride, dropout=settings.front_dropout
    )
    body: torch.nn.Module
    if settings.context == "none":
        body = torch.nn.Identity()
    elif settings.context == "conv":
        body = rnnkit.ConvContext(
            settings.features,
            channels_of_equal_size(settings, tokens),
            settings.num_layers,
            kernel_size=settings.kernel_size,
            dropout=settings.dropout,
        )
    else:
        body = _recurrence(settings)
    if settings.context != "none":
        body = rnnkit.Beside(body)
    return rnnkit.LineRecognizer(body, tokens, dropout=settings.dropout, front=front)


def channels_of_equal_size(settings: ReaderNetwork, tokens: int) -> int:
    """Return the channels with which convolutions and head have about as many parameters as with the LSTM.

    With I features of a step, H units, k steps of a kernel, V tokens and one layer: convolution and head have
    C (k I + 3) + V (C + 1) parameters, an LSTM that reads both ways 8 H (I + H + 2) + V (2 H + 1).

    Args:
        settings: of the network.
        tokens: V.
    """
    from dataclasses import replace

    lstm = _recurrence(replace(settings, context="lstm"))
    wanted = sum(one.numel() for one in lstm.parameters()) + tokens * (2 * settings.hidden_size + 1)
    return equal_channels(wanted, settings.features, settings.num_layers, settings.kernel_size, tokens)


def learner_of(model: Any, fit: ReaderFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a recogniser; `others` are further settings, or replace those of the training."""
    from rnnkit.training import CTC

    return rnnkit.Learner(model, objective=CTC(0, zero_infinity=True), device=device, **fit.learner_settings() | others)


def _recurrence(settings: ReaderNetwork) -> Any:
    from rnnkit.layers.by_name import RECURRENT_LAYERS

    return RECURRENT_LAYERS[settings.context](
        settings.features,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        bidirectional=True,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
        layer_norm=settings.layer_norm,
    )
