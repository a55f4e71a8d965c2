"""Pictures: files, data sets with boxes and masks, augmentation, batches. Importing it does not load torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy_names

if TYPE_CHECKING:
    from .boxes import Boxes, mend_boxes
    from .digits import BOX, SIZE, prepare_digit, read_digits, read_grey
    from .masks import Masks
    from .picture_files import PictureInfo, picture_info, read_picture
    from .picture_reading import read_pictures
    from .pictures import Picture, PictureSet
    from .samples import Sample

_NAMES = {
    "BOX": "digits",
    "Boxes": "boxes",
    "Masks": "masks",
    "Picture": "pictures",
    "PictureInfo": "picture_files",
    "PictureSet": "pictures",
    "SIZE": "digits",
    "Sample": "samples",
    "mend_boxes": "boxes",
    "picture_info": "picture_files",
    "prepare_digit": "digits",
    "read_digits": "digits",
    "read_grey": "digits",
    "read_picture": "picture_files",
    "read_pictures": "picture_reading",
}

__all__ = [
    "BOX",
    "SIZE",
    "Boxes",
    "Masks",
    "Picture",
    "PictureInfo",
    "PictureSet",
    "Sample",
    "mend_boxes",
    "picture_info",
    "prepare_digit",
    "read_digits",
    "read_grey",
    "read_picture",
    "read_pictures",
]

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
