"""Pictures of a single digit, from anywhere, made to look like MNIST's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, Place, check_path
from .picture_opening import opened

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from PIL.Image import Image

SIZE = 28  # of the whole image
BOX = 20  # of the digit's longer side in it

_CONTRAST = 0.05  # of the full range: less than that between ink and paper is an empty page
_FAINT = 0.05  # of the ink's darkness: what is fainter is paper


def prepare_digit(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """Read an image file of one digit and bring it into the form of MNIST's images.

    As LeCun, Cortes and Burges did: grey, ink 1 on paper 0, the digit's bounding box scaled so that its
    longer side is 20 pixels, and its centre of mass placed in the middle of 28 × 28. Any size and mode
    will do, dark ink on light paper or the reverse: paper is what the image's border mostly shows, and a
    transparent image gets the background, dark or light, that its ink contrasts with.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        float32 [28, 28] in [0, 1].

    Raises:
        DataError: there is no such file, it is no image, or it shows nothing.

    Example:
        >>> import tempfile
        >>> from PIL import Image, ImageDraw
        >>> page = Image.new("L", (80, 60), 255)
        >>> ImageDraw.Draw(page).line((40, 10, 38, 50), fill=0, width=5)
        >>> file = tempfile.mkdtemp() + "/one.png"
        >>> page.save(file)
        >>> digit = prepare_digit(file)
        >>> digit.shape, int((digit.max(axis=1) > 0.5).sum())
        ((28, 28), 20)
    """
    import numpy as np

    grey = _read(path)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = float(np.median(border))
    low, high = float(grey.min()), float(grey.max())
    darkest = max(paper - low, high - paper)
    if darkest < _CONTRAST:
        raise DataError("no digit to be seen, all pixels are nearly alike", Place(str(path)))
    ink = (paper - grey if paper - low > high - paper else grey - paper) / darkest
    # Grain and shadows of a photograph reach its border too; up to there is paper, unless ink covers the border.
    grain = 6 * float(np.median(np.abs(border - paper))) / darkest
    ink[ink < min(max(_FAINT, grain), 0.5)] = 0
    return _centre(_shrink(_crop(ink)))


def read_digits(folder: str | os.PathLike[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Read a folder that holds a folder of images for each digit, named "0" to "9"; some may be missing.

    Returns:
        Images, float32 [N, 28, 28] as :func:`prepare_digit` makes them, and their digits, int64 [N], by digit and name.

    Raises:
        DataError: no such folder, a folder in it that is no digit or empty, or a file that is no image.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image, ImageDraw
        >>> page = Image.new("L", (80, 60), 255)
        >>> ImageDraw.Draw(page).line((40, 10, 38, 50), fill=0, width=5)
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "1").mkdir()
        >>> page.save(folder / "1/a.png")
        >>> images, digits = read_digits(folder)
        >>> images.shape, digits.tolist()
        (torch.Size([1, 28, 28]), [1])
    """
    import numpy as np
    import torch

    from ..readers.folders import list_class_files

    check_path(folder, "folder")
    if not Path(folder).is_dir():
        problem = f"is no folder; expected one with a folder of images for each digit: {folder}/7/a.png"
        raise DataError(problem, Place(str(folder)))
    files = [(file, name) for name, file in list_class_files(Path(folder))]
    wrong = [name for _, name in files if name not in set("0123456789")]
    if wrong:
        raise DataError(f"holds {wrong[0]!r}; expected folders of images named 0 to 9", Place(str(folder)))
    images = np.stack([prepare_digit(file) for file, _ in files])
    return torch.from_numpy(images), torch.tensor([int(name) for _, name in files])


def _read(path: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """Return the image as grey values [height, width] in [0, 1], upright and without transparency."""
    import numpy as np
    from PIL import ImageOps

    with opened(path) as found:
        image: Image = ImageOps.exif_transpose(found)
        if image.has_transparency_data:
            return _lay_on_paper(image.convert("RGBA"))
        if image.mode[0] not in "IF":
            return _grey(image)
        wide = np.asarray(image, np.float64)
        if not np.isfinite(wide).all():
            raise DataError("cannot be read as an image (it has pixels that are no numbers)", Place(str(path)))
        # 16 and 32 bits have no agreed white.
        return np.asarray((wide - wide.min()) / max(np.ptp(wide), 1e-12), np.float32)


def _grey(image: Image) -> npt.NDArray[np.float32]:
    import numpy as np

    grey: npt.NDArray[np.float32] = np.asarray(image.convert("RGB").convert("L"), np.float32) / np.float32(255)
    return grey


def _lay_on_paper(image: Image) -> npt.NDArray[np.float32]:
    """Fill what is transparent in an RGBA image with paper."""
    import numpy as np

    grey = _grey(image)
    opaque = np.asarray(image.getchannel("A"), np.float32) / 255
    seen = grey[opaque > 0.5]
    paper = float(not seen.size or seen.mean() < 0.5)  # of ink alone: white for dark ink, black for light
    if opaque.mean() > 0.5:  # a page with holes or rounded corners has paper of its own
        paper = float(np.median(seen))
    return np.asarray(grey * opaque + paper * (1 - opaque), np.float32)


def _crop(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, columns = ink.max(axis=1).nonzero()[0], ink.max(axis=0).nonzero()[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _shrink(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale the longer side to 20 pixels; ink made fainter by that gets its full darkness back."""
    import numpy as np
    from PIL import Image

    height, width = ink.shape
    scale = BOX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return ink
    scaled = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS), np.float32).clip(0, None)
    return np.asarray(scaled / scaled.max(), np.float32)


def _centre(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Place the centre of mass in the middle of the 28 × 28, as far as the digit stays inside."""
    import numpy as np

    canvas = np.zeros((SIZE, SIZE), np.float32)
    corner: list[Any] = []
    for axis, length in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        centre = float((mass * np.arange(length)).sum() / mass.sum())
        start = min(max(round(SIZE / 2 - centre), 0), SIZE - length)
        corner.append(slice(start, start + length))
    canvas[tuple(corner)] = ink
    return canvas


def read_grey(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> npt.NDArray[np.float32]:
    """Read an image of any kind as grey values, upright, transparency laid on paper.

    Args:
        path: a file in any format that Pillow reads.
        size: (height, width) to resize to.

    Returns:
        float32 [height, width] in [0, 1], 1 is white.

    Raises:
        DataError: there is no such file, or it is no image.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = tempfile.mkdtemp() + "/a.png"
        >>> Image.new("RGB", (40, 30), (255, 255, 255)).save(file)
        >>> grey = read_grey(file, size=(15, 20))
        >>> grey.shape, float(grey.min())
        ((15, 20), 1.0)
    """
    import numpy as np
    from PIL import Image

    grey = _read(path)
    if size is None or grey.shape == tuple(size):
        return grey
    height, width = size
    resized = Image.fromarray(grey).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized, np.float32).clip(0, 1)
