"""What ``rnnkit inspect`` measures of a network that names pixels: the recurrence over the rows of its coarsest map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnkit.errors import ConfigError
from rnnkit.recipes.interface import InspectionData

if TYPE_CHECKING:
    from rnnkit.recipes.segment_data import PixelItems
    from rnnkit.tasks.segmentation import Segmenter


def context_rows(segmenter: Segmenter, items: PixelItems) -> InspectionData:
    """Return the recurrence that reads rows, and the rows of the coarsest maps of pictures.

    Args:
        segmenter: of the run.
        items: the pictures.

    Raises:
        ConfigError: the network has no recurrence.
    """
    import torch

    import rnnkit
    from rnnkit.layers.modes import mode
    from rnnkit.types import Sequences

    model = segmenter.model
    context = model.context
    if not isinstance(context, rnnkit.ReNet):
        raise ConfigError(
            "the network has no recurrence to look into (model.context is conv or none); inspect a run that was "
            "trained with model.context=renet"
        )
    rows = []
    device = next(model.parameters()).device
    with mode(model, training=False), torch.no_grad():
        for index in range(len(items)):
            x = segmenter.reading.prepared(items.image(index, segmenter.reading.mode))[None].to(device)
            rows += list(model.coarsest(x)[0].permute(1, 2, 0).cpu())  # [W', F] each
    return InspectionData(context.rows, Sequences.from_list(rows), None, None)
