"""The network for classes of clips, with fresh weights, by its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.recipes.equal_size import equal_channels

if TYPE_CHECKING:
    from rnnkit.tasks.video_settings import ClipFit, ClipNetwork


def build(settings: ClipNetwork, classes: tuple[str, ...], frames: int) -> rnnkit.SequenceClassifier:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        classes: their names.
        frames: of a clip, at most.
    """
    import torch

    front = rnnkit.FrameFront(
        3 if settings.colour else 1,
        settings.channels,
        settings.strides,
        settings.features,
        grid=settings.grid,
        differences=settings.differences,
        dropout=settings.front_dropout,
    )
    body: Any
    if settings.context == "none":
        body = torch.nn.Identity()
    elif settings.context == "conv":
        layers = settings.num_layers
        channels = channels_of_equal_size(settings, len(classes))
        body = rnnkit.CausalConv(
            settings.features,
            channels,
            (settings.kernel_size,) * layers,
            (1,) * layers,
            dropout=settings.dropout if layers > 1 else 0.0,
        )
    else:
        body = _recurrence(settings)
        if settings.chrono:
            rnnkit.chrono_(body, max(frames, 3))
    return rnnkit.SequenceClassifier(
        body, list(classes), pooling=settings.pooling, dropout=settings.dropout, front=front
    )


def channels_of_equal_size(settings: ClipNetwork, classes: int) -> int:
    """Return the channels with which convolutions and head have about as many parameters as with the LSTM.

    Args:
        settings: of the network.
        classes: how many.
    """
    lstm = _recurrence(replace(settings, context="lstm"))
    wide = classes * (3 if settings.pooling == "concat" else 1)
    wanted = sum(one.numel() for one in lstm.parameters()) + wide * (settings.hidden_size + 1)
    return equal_channels(wanted, settings.features, settings.num_layers, settings.kernel_size, wide)


def learner_of(model: Any, fit: ClipFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a network for classes; `others` are further settings."""
    return rnnkit.Learner(model, device=device, **{"metrics": []} | fit.learner_settings() | others)


def _recurrence(settings: ClipNetwork) -> Any:
    from rnnkit.layers.by_name import RECURRENT_LAYERS

    return RECURRENT_LAYERS[settings.context](
        settings.features,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        dropout=settings.dropout if settings.num_layers > 1 else 0.0,
    )
