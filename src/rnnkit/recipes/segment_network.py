"""The network that names pixels, with fresh weights, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnnkit

if TYPE_CHECKING:
    from rnnkit.tasks.segmentation_settings import SegmenterFit, SegmenterNetwork


def build(
    settings: SegmenterNetwork, outputs: int, *, shapes: int = 0, device: str = "auto"
) -> rnnkit.PictureSegmenter:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        outputs: classes, the background among them.
        shapes: further logits of each pixel.
        device: where it will train, which decides on the precision.
    """
    from rnnkit.tasks.segmentation import usable_precision
    from rnnkit.training.execution import find_device

    width = settings.channels[-1]
    context: Any = None
    if settings.context == "renet":
        context = rnnkit.ReNet(width, settings.hidden_size)
    elif settings.context == "conv":
        from rnnkit.layers.picture_front import PictureFront

        context = PictureFront(width, (channels_of_equal_size(settings),), (1,), blocks=1, norm=settings.norm)
    return rnnkit.PictureSegmenter(
        1 if settings.colour == "gray" else 3,
        outputs,
        settings.channels,
        blocks=settings.blocks,
        shapes=shapes,
        context=context,
        dropout=settings.dropout,
        norm=settings.norm,
        precision=usable_precision(settings.precision, find_device(device)),
    )


def channels_of_equal_size(settings: SegmenterNetwork) -> int:
    """Return the channels with which three convolutions have about as many parameters as the ReNet.

    With F channels of the coarsest map and U units, GRUs that read rows and columns both ways, and the layer that joins
    their 2U outputs to the map, have 6 U (F + U + 2) + 6 U (3 U + 2) + 2 U F parameters. Three convolutions of 3 × 3
    with C channels, their norms and the joining layer have 9 F C + 18 C² + 6 C + C F.

    Args:
        settings: of the network.

    Example:
        >>> from rnnkit.tasks.segmentation_settings import SegmenterNetwork
        >>> channels_of_equal_size(SegmenterNetwork())
        50
    """
    wide, units = settings.channels[-1], settings.hidden_size
    wanted = 6 * units * (wide + units + 2) + 6 * units * (3 * units + 2) + 2 * units * wide

    def count(channels: int) -> int:
        return 10 * wide * channels + 18 * channels**2 + 6 * channels

    channels = 1
    while count(channels + 1) <= wanted:
        channels += 1
    return min((channels, channels + 1), key=lambda one: abs(count(one) - wanted))


def learner_of(model: Any, fit: SegmenterFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a network that names pixels; `others` replace settings of the training."""
    from rnnkit.training import PixelObjective

    return rnnkit.Learner(model, objective=PixelObjective(fit.dice), device=device, **fit.learner_settings() | others)
