"""A folder of images a class: ``folder/class/image.png``, read by rows: a row of pixels is a step.

Without targets also a folder of images, or one image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import DataError, Place, Remedy
from ..images.digits import read_grey
from ..reading import Options
from ..series import SeriesSet
from .folders import IMAGES, class_names, list_class_files, say_unread, series_id


def read(path: Path, options: Options) -> SeriesSet:
    """Read a folder of images as grey values in [0, 1]; see :func:`rnnkit.data.read_series`."""
    if options.targets == "numbers":
        remedies = (Remedy("targets", "labels"), Remedy("targets", None))
        raise DataError("the folders name classes, so there are no numbers", Place(str(path)), remedies)
    if path.is_file() and options.targets is not None:
        raise DataError(
            "an image alone has no class; expected a folder of one folder of images a class",
            Place(str(path)),
            Remedy("targets", None, "to read it without"),
        )
    files = [("", path)] if path.is_file() else list_class_files(path, IMAGES, flat=options.targets is None)
    if path.is_dir():
        say_unread(path, files, IMAGES, options)
    images = [read_grey(file, options.size) for _, file in files]
    for (_, file), image in zip(files, images, strict=True):
        if image.shape != images[0].shape:
            raise DataError(
                f"is {_size(image)}, but {files[0][1]} is {_size(images[0])} (height × width); expected images of one "
                "size",
                Place(str(file)),
                Remedy("size", images[0].shape, "to resize them"),
            )
    return SeriesSet(
        values=images,
        channels=tuple(f"column {index}" for index in range(images[0].shape[1])),
        targets=None if options.targets is None else class_names([label for label, _ in files], path, options),
        ids=tuple(series_id(label, file) for label, file in files),
        source=str(path),
        read_options={"size": list(images[0].shape)},
    )


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]} × {image.shape[1]}"
