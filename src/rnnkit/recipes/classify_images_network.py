"""The network of a classifier of pictures, with fresh weights, by its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.recipes.equal_size import nearest_count

if TYPE_CHECKING:
    from rnnkit.tasks.picture_settings import PictureChanges, PictureFit, PictureNetwork


def build(
    settings: PictureNetwork,
    classes: Sequence[str],
    *,
    mean: Sequence[float] | float = 0.0,
    std: Sequence[float] | float = 1.0,
    augment: PictureChanges | None = None,
) -> rnnkit.PictureClassifier:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        classes: the names.
        mean, std: of the pictures' values.
        augment: how pictures are changed while training; None: they are not.
    """
    size = settings.size
    warp = None if augment is None else rnnkit.PictureWarp(**augment.arguments(size))
    return rnnkit.PictureClassifier(
        layers_of(settings, len(classes)),
        list(classes),
        pooling=settings.pooling,
        size=size,
        dropout=settings.dropout,
        mean=mean,
        std=std,
        augment=warp,
    )


def layers_of(settings: PictureNetwork, classes: int) -> list[Any]:
    """Return the layers over pictures, from the input on.

    Args:
        settings: of the network.
        classes: how many there are, which counts where convolutions get as many parameters as ReNets.
    """
    layers, width = _front(settings)
    if settings.context == "renet":
        for units in settings.units:
            layers.append(rnnkit.ReNet(width, units, settings.patch, layer=settings.cell))
            width = layers[-1].output_size
    elif settings.context == "conv":
        layers += _convolutions(settings, width, channels_of_equal_size(settings, classes))
    return layers


def channels_of_equal_size(settings: PictureNetwork, classes: int) -> int:
    """Return the channels with which convolutions in the place of ReNets make a network of about as many parameters.

    Args:
        settings: of the network.
        classes: outputs of the head.
    """
    import torch

    def parameters(context: str, layers: list[Any]) -> int:
        pooled = rnnkit.PictureClassifier(layers, classes, pooling=settings.pooling, size=settings.size)
        return sum(one.numel() for one in pooled.parameters())

    with torch.device("meta"), torch.random.fork_rng():
        wanted = parameters("renet", layers_of(replace(settings, context="renet"), classes))

        def count(channels: int) -> int:
            front, width = _front(settings)
            return parameters("conv", [*front, *_convolutions(settings, width, channels)])

        return nearest_count(count, wanted)


def learner_of(model: Any, fit: PictureFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a classifier of pictures; `others` replace settings of the training."""
    return rnnkit.Learner(model, device=device, **fit.learner_settings() | others)


def _front(settings: PictureNetwork) -> tuple[list[Any], int]:
    """Return the convolutions in front, and the number of their output channels."""
    from rnnkit.layers.picture_front import PictureFront

    width = 3 if settings.mode == "rgb" else 1
    if not settings.channels:
        return [], width
    front = PictureFront(width, settings.channels, (2,) * len(settings.channels), blocks=settings.blocks)
    return [front], front.output_size


def _convolutions(settings: PictureNetwork, width: int, channels: int) -> list[Any]:
    """Return a stage of convolutions for each ReNet: as many places become one, two convolutions of 3 × 3 follow."""
    from rnnkit.layers.picture_front import PictureFront

    count = len(settings.units)
    return [PictureFront(width, (channels,) * count, (settings.patch,) * count, blocks=1)]
