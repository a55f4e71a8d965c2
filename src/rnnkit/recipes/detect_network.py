"""The network of a detector, with fresh weights, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rnnkit
from rnnkit.recipes.interface import InspectionData

if TYPE_CHECKING:
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
    norm = settings.norm
    front = PictureFront(3 * _PATCH**2 + 1, channels, (2,) * len(channels), blocks=0, norm=norm, channels_last=True)
    further = PictureFront(channels[-1], deep, (2,) * len(deep), blocks=settings.blocks, norm=norm, channels_last=True)
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


def looked_into(model: Any, images: Tensor) -> InspectionData:
    """Return a detector with pictures [B, 3, H, W], to be measured."""
    measured = _maps_of_cells(model) if isinstance(model, rnnkit.CellDetector) else model
    return InspectionData(measured, images, None, None)


def _maps_of_cells(model: rnnkit.CellDetector) -> Any:
    """Return a module with the numbers of each cell as channels of a map, [B, K · (C + 5), H, W]."""
    import torch

    class CellDetectorMaps(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = model

        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.detector(images).flatten(3).movedim(3, 1)
            return found

    return CellDetectorMaps()


def _context(settings: DetectorNetwork, width: int) -> rnnkit.ReNet | PictureFront | None:
    """Return what joins the places of a map; convolutions of 3 × 3 with about as many parameters as ReNet has."""
    from rnnkit.layers.picture_front import PictureFront

    if settings.context == "none":
        return None
    net = rnnkit.ReNet(width, settings.hidden_size)
    if settings.context == "renet":
        return net
    wanted = sum(one.numel() for one in net.parameters())
    return PictureFront(
        width, (max(1, round(wanted / (9 * width + 2))),), (1,), blocks=0, norm=settings.norm, channels_last=True
    )
