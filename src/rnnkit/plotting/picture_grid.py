"""Pictures in a grid with a caption above each: gray or in colour, of any sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .palette import INK
from .style import figure, hide_axis, wrapped, write

if TYPE_CHECKING:
    import numpy.typing as npt

_INCHES = 1.25  # of a picture


def picture_grid(
    images: Sequence[npt.NDArray[Any]],
    captions: Sequence[str],
    path: str | PathLike[str],
    *,
    columns: int = 6,
    inches: float = _INCHES,
) -> None:
    """Draw pictures in a grid.

    Args:
        images: [C, H, W] in [0, 1], C 1 or 3.
        captions: above each; what is wider than a picture is broken into lines.
        path: the file to write; its suffix says the format.
        columns: pictures side by side, at most.
        inches: of a picture's width.
    """
    count = len(images)
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    texts = ["\n".join(wrapped(line, inches, 8) for line in caption.split("\n")) for caption in captions]
    above = 0.2 + 0.14 * max(1 + text.count("\n") for text in texts)
    drawn = figure(inches * columns, (inches + above) * lines)
    for place, axes in enumerate(drawn.subplots(lines, columns, squeeze=False).flat):
        hide_axis(axes)
        if place < count:
            image = images[place]
            if image.shape[0] == 1:
                axes.imshow(image[0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            else:
                axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")
            axes.set_title(texts[place], fontsize=8, color=INK, pad=3)
    write(drawn, Path(path))
