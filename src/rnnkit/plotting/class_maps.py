"""Pictures whose pixels were named: classes as colours, and the edges of what is there and of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .found_things import class_colour
from .palette import INK, ORANGE, SKY
from .style import figure, hide_axis, wrapped, write

if TYPE_CHECKING:
    import numpy.typing as npt

_INCH = 100  # pixels of a picture
_SMALLEST, _LARGEST = 4.0, 12.0  # inches of a picture's longer side
_PANEL = 3.4  # inches of a picture in a grid
_OPACITY = 0.38
TRUE, FOUND = ORANGE, SKY  # edges of what is there, and of what was found


def class_map_picture(
    image: npt.NDArray[Any],
    class_map: npt.NDArray[Any],
    classes: Sequence[str],
    path: str | PathLike[str],
    *,
    title: str = "",
) -> None:
    """Draw a picture with its classes as colours, and the share of its pixels that each has.

    Args:
        image: [H, W, 3] or [H, W] in [0, 1].
        class_map: [H, W], 0 for the background, n for class number n − 1.
        classes: names without the background.
        path: the file to write; its suffix says the format.
        title: above it.

    Example:
        >>> import numpy as np, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "drawn.png"
        >>> class_map_picture(np.zeros((40, 60)), np.ones((40, 60), int), ["leaf"], file)
        >>> file.exists()
        True
    """
    import numpy as np
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    height, width = image.shape[:2]
    longer = min(max(max(height, width) / _INCH, _SMALLEST), _LARGEST)
    wide, high = longer * width / max(height, width), longer * height / max(height, width)
    drawn = figure(max(wide, 2.0), high + 0.3 + 0.2 * bool(title))
    axes = drawn.subplots()
    _show(axes, image)
    layer = np.zeros((height, width, 4))
    edges = edges_of(class_map)
    handles = []
    for number in np.unique(class_map[class_map > 0]).tolist():
        there, colour = class_map == number, class_colour(number - 1)
        layer[there, :3], layer[there, 3] = to_rgb(colour), _OPACITY
        layer[there & edges, 3] = 0.95
        handles.append(Patch(color=colour, label=f"{classes[number - 1]}: {there.mean():.1%}"))
    axes.imshow(layer, extent=(0, width, height, 0), interpolation="nearest")
    if handles:
        axes.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), frameon=False, fontsize=8, handlelength=1,
            ncols=max(1, min(len(handles), int(wide / 1.4))), labelcolor=INK,
        )  # fmt: skip
    if title:
        axes.set_title(wrapped(title, wide, 9), fontsize=9, color=INK, loc="left", pad=4)
    write(drawn, Path(path))


def edges_grid(
    images: Sequence[npt.NDArray[Any]],
    true: Sequence[npt.NDArray[Any]],
    found: Sequence[npt.NDArray[Any]],
    captions: Sequence[str],
    path: str | PathLike[str],
    *,
    columns: int = 3,
) -> None:
    """Draw pictures in a grid with the edges of what is there and of what was found.

    Args:
        images: [H, W, 3] or [H, W] each, in [0, 1].
        true, found: [H, W] each, the numbers of classes or of things, 0 for none.
        captions: as many.
        path: the file to write; its suffix says the format.
        columns: of the grid.
    """
    import numpy as np
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch

    columns = min(columns, max(len(images), 1))
    rows = max(1, -(-len(images) // columns))
    tallest = max((one.shape[0] / one.shape[1] for one in images), default=1.0)
    drawn = figure(_PANEL * columns, (_PANEL * min(tallest, 2.0) + 0.45) * rows + 0.3)
    for number, axes in enumerate(drawn.subplots(rows, columns, squeeze=False).flat):
        hide_axis(axes)
        if number >= len(images):
            continue
        _show(axes, images[number])
        height, width = images[number].shape[:2]
        layer = np.zeros((height, width, 4))
        layer[edges_of(true[number])] = to_rgba(TRUE)
        layer[edges_of(found[number])] = to_rgba(FOUND)
        axes.imshow(layer, extent=(0, width, height, 0), interpolation="nearest")
        axes.set_title(wrapped(captions[number], _PANEL, 8), fontsize=8, color=INK, pad=3, loc="left")
    handles = [Patch(color=TRUE, label="there"), Patch(color=FOUND, label="found")]
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    write(drawn, Path(path))


def edges_of(numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the pixels above 0 beside which another number stands, bool [H, W].

    Example:
        >>> import numpy as np
        >>> edges_of(np.array([[0, 1, 1, 1, 2]])).astype(int).tolist()
        [[0, 1, 0, 1, 1]]
    """
    import numpy as np

    edges = np.zeros(numbers.shape, bool)
    for axis in (0, 1):
        other = np.diff(numbers, axis=axis) != 0
        before, behind = [slice(None)] * 2, [slice(None)] * 2
        before[axis], behind[axis] = slice(None, -1), slice(1, None)
        edges[tuple(before)] |= other
        edges[tuple(behind)] |= other
    found: npt.NDArray[Any] = edges & (numbers > 0)
    return found


def _show(axes: Any, image: npt.NDArray[Any]) -> None:
    height, width = image.shape[:2]
    gray: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} if image.ndim == 2 else {}
    axes.imshow(image, extent=(0, width, height, 0), interpolation="nearest", **gray)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    hide_axis(axes)
