"""Pictures: files, data sets with boxes and masks, augmentation, batches. Importing it does not load torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .augmentation import PictureAugment
    from .batches import PictureBatch, PictureBatches, Placement, fit_sample
    from .boxes import Boxes, mend_boxes
    from .digits import BOX as BOX
    from .digits import SIZE as SIZE
    from .digits import prepare_digit, read_digits, read_grey
    from .doubtful_pictures import picture_findings
    from .masks import Masks
    from .moves import crop, flip, pad, quarter_turn, resize, warp
    from .picture_files import PictureInfo, picture_info, read_picture
    from .picture_reading import read_pictures
    from .picture_splits import read_split, split_pictures, write_split
    from .pictures import Picture, PictureSet
    from .samples import Sample

_NAMES = {
    "BOX": "digits",
    "Boxes": "boxes",
    "Masks": "masks",
    "Picture": "pictures",
    "PictureAugment": "augmentation",
    "PictureBatch": "batches",
    "PictureBatches": "batches",
    "PictureInfo": "picture_files",
    "PictureSet": "pictures",
    "Placement": "batches",
    "SIZE": "digits",
    "Sample": "samples",
    "crop": "moves",
    "fit_sample": "batches",
    "flip": "moves",
    "mend_boxes": "boxes",
    "pad": "moves",
    "picture_findings": "doubtful_pictures",
    "picture_info": "picture_files",
    "prepare_digit": "digits",
    "quarter_turn": "moves",
    "read_digits": "digits",
    "read_grey": "digits",
    "read_picture": "picture_files",
    "read_pictures": "picture_reading",
    "read_split": "picture_splits",
    "resize": "moves",
    "split_pictures": "picture_splits",
    "warp": "moves",
    "write_split": "picture_splits",
}

__all__ = [
    "Boxes",
    "Masks",
    "Picture",
    "PictureAugment",
    "PictureBatch",
    "PictureBatches",
    "PictureInfo",
    "PictureSet",
    "Placement",
    "Sample",
    "crop",
    "fit_sample",
    "flip",
    "mend_boxes",
    "pad",
    "picture_findings",
    "picture_info",
    "prepare_digit",
    "quarter_turn",
    "read_digits",
    "read_grey",
    "read_picture",
    "read_pictures",
    "read_split",
    "resize",
    "split_pictures",
    "warp",
    "write_split",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
