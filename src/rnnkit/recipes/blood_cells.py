"""Cells in pictures of blood (BCCD): red ones, white ones and platelets, found and counted.

The data set is Shenggan/BCCD_Dataset (MIT): 364 pictures of 640 × 480 pixels with 4,155 red cells, 372 white ones and
361 platelets, boxes as XML of Pascal VOC. It is read from the folder ``bccd`` of RNNKIT_DATA. Its own list says which
72 pictures judge; of the other 292, which it calls trainval, a tenth chooses the epoch, the calibration of the scores
and the scores from which on things are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rnnkit.recipes.detect import Detect
from rnnkit.recipes.detect_data import DetectData
from rnnkit.tasks.detection_settings import DetectorAugmentation

if TYPE_CHECKING:
    from rnnkit.data.images import PictureSet


@dataclass(frozen=True)
class BloodData(DetectData):
    """The pictures of blood, and how they are divided.

    Attributes:
        path: the folder or archive of the set.
        own_validation: whether the 87 pictures that the set itself names choose, in place of a tenth of trainval.
    """

    path: str | None = "bccd"
    own_validation: bool = False

    def read(self, path: str | Path, *, new: bool = False) -> PictureSet:
        """Return the pictures of a path; those of the set's validation list as training ones, unless it is wanted."""
        pictures = super().read(path, new=new)
        if self.own_validation:
            return pictures
        return replace(
            pictures,
            pictures=tuple(replace(one, part="train") if one.part == "validation" else one for one in pictures),
        )


@dataclass(frozen=True)
class BloodCells(Detect):
    """The whole run; ``rnnkit train blood-cells --set GROUP.FIELD=VALUE`` changes a field."""

    title: ClassVar[str] = "Blood cells"
    command: ClassVar[str] = "blood-cells"

    augment: DetectorAugmentation = field(
        default_factory=lambda: DetectorAugmentation(
            flip_vertical=0.5, quarter_turns=0.5, scale=0.0, shift=0.0, brightness=0.15, contrast=0.15
        )
    )
    data: BloodData = field(default_factory=BloodData)


def blood_cells() -> BloodCells:
    """Find and count red cells, white cells and platelets in pictures of blood (BCCD, from RNNKIT_DATA)."""
    return BloodCells()
