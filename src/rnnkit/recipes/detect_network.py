"""The network of a detector, with fresh weights, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.errors import ConfigError
from rnnkit.recipes.interface import InspectionData

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from rnnkit.layers.picture_front import PictureFront
    from rnnkit.tasks.detection_objectives import BoxObjective
    from rnnkit.tasks.detection_settings import DetectorFit, DetectorNetwork

_PATCH = 2  # normalisation of a map of half the picture's sides took a third of the time of a step


def build(settings: DetectorNetwork, classes: int, steps: int) -> Any:
    """Return the network with fresh weights.

    Args:
        settings: of it.
        classes: C.
        steps: things that a cell of the head "set" predicts.
    """
    from rnnkit.layers.picture_front import PictureFront

    channels, deep = settings.channels, settings.deep
    context = _context(settings, deep[-1])
    front = PictureFront(3 * _PATCH**2 + 1, channels, (2,) * len(channels), blocks=0)
    further = PictureFront(channels[-1], deep, (2,) * len(deep), blocks=settings.blocks)
    if settings.head == "dense":
        return rnnkit.CentreDetector(front, further, classes, context, settings.features, _PATCH)
    width = deep[-1] + (0 if context is None else context.output_size)
    decoder = rnnkit.SetDecoder(rnnkit.LSTM(width, settings.decoder_size), steps=steps, classes=classes)
    return rnnkit.CellDetector(front, decoder, context, further, _PATCH)


def objective_of(model: Any) -> BoxObjective:
    """Return the objective that trains a detector."""
    from rnnkit.tasks.detection_objectives import CellObjective, CentreObjective

    kind = CellObjective if isinstance(model, rnnkit.CellDetector) else CentreObjective
    return kind(model.stride)


def learner_of(model: Any, fit: DetectorFit, device: str, **others: Any) -> rnnkit.Learner:
    """Return a learner of a detector; `others` are further settings, or replace those of the training."""
    settings = {"objective": objective_of(model), "device": device, **fit.learner_settings()}
    return rnnkit.Learner(model, **settings | others)


def recurrence_of(model: Any, images: Tensor, folder: Path) -> InspectionData:
    """Return the recurrence of a detector, and what it reads of pictures, to be measured.

    It is the GRU that reads the rows of the coarsest map; without it the LSTM of the cells.

    Args:
        model: the detector.
        images: [B, 3, H, W].
        folder: of the run, for the message.

    Raises:
        ConfigError: the detector has no recurrence.
    """
    import torch

    from rnnkit.layers.modes import mode
    from rnnkit.models._picture_inputs import patches_of

    with torch.no_grad(), mode(model, training=False):
        images = images.to(next(model.parameters()).device)
        places = model.deep(model.front(patches_of(images, model.front.input_size, model.patch)))
        if isinstance(model.context, rnnkit.ReNet):
            rows = places.permute(3, 0, 2, 1).flatten(1, 2)  # [W', B · H', C]
            return InspectionData(model.context.rows, rows.contiguous(), None, None)
        if isinstance(model, rnnkit.CellDetector):
            cells = places if model.context is None else torch.cat([places, model.context(places)], 1)
            rows = cells.movedim(1, -1).flatten(0, 2).expand(model.decoder.steps, -1, -1)
            return InspectionData(model.decoder.layer, rows.contiguous(), None, None)
    raise ConfigError(f"the network of {folder} has no recurrence to look into; train one with model.context=renet")


def _context(settings: DetectorNetwork, width: int) -> rnnkit.ReNet | PictureFront | None:
    """Return what joins the places of a map; convolutions of 3 × 3 with about as many parameters as ReNet has."""
    from rnnkit.layers.picture_front import PictureFront

    if settings.context == "none":
        return None
    net = rnnkit.ReNet(width, settings.hidden_size)
    if settings.context == "renet":
        return net
    wanted = sum(one.numel() for one in net.parameters())
    return PictureFront(width, (max(1, round(wanted / (9 * width + 2))),), (1,), blocks=0)
