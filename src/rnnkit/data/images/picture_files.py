"""Files of pictures: what their headers say, and their pixels as tensors.

Legend: C channels, H height, W width.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ...errors import ConfigError, DataError, Place, check_choice
from .picture_opening import DAMAGED, opened
from .picture_scaling import scaled, shrunk_size

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image

Mode = Literal["L", "RGB", "RGBA"]
MODES: tuple[Mode, ...] = ("L", "RGB", "RGBA")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".jfif")
COLOUR = 1 << 24  # from here on the numbers of a mask's pixels are colours
_ORIENTATION = 0x0112  # the number of the EXIF tag
_FORMATS = {
    ".png": {"PNG"},
    ".jpg": {"JPEG", "MPO"},
    ".jpeg": {"JPEG", "MPO"},
    ".jfif": {"JPEG", "MPO"},
    ".bmp": {"BMP", "DIB"},
    ".gif": {"GIF"},
    ".tif": {"TIFF"},
    ".tiff": {"TIFF"},
    ".webp": {"WEBP"},
    ".pgm": {"PPM"},
    ".ppm": {"PPM"},
}


@dataclass(frozen=True)
class PictureInfo:
    """What the header of a picture file says.

    Attributes:
        width, height: in pixels, upright: as EXIF's orientation asks the picture to be shown.
        mode: as Pillow names it: "L", "RGB", "P", "I;16", "CMYK".
        format: "PNG", "JPEG", "TIFF".
        orientation: of EXIF, 1 to 8; from 5 on the stored picture lies on its side.
        frames: the pictures in the file, of which the first one is read; 2 where the file breaks off behind it, so that
            they cannot be counted.
        misnamed: whether the suffix is that of another format.
        truncated: whether the end of the file is missing, or, of PNG, its pixels are damaged.
    """

    width: int
    height: int
    mode: str
    format: str
    orientation: int = 1
    frames: int = 1
    misnamed: bool = False
    truncated: bool = False

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) as the pixels lie in the file."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def picture_info(path: str | os.PathLike[str]) -> PictureInfo:
    """Read the header of a picture file; its pixels are not decoded, but those of PNG.

    Args:
        path: a file in any format that Pillow reads.

    Raises:
        DataError: there is no such file, it is empty, no picture, or absurdly large.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = tempfile.mkdtemp() + "/a.png"
        >>> Image.new("L", (40, 30)).save(file)
        >>> info = picture_info(file)
        >>> info.width, info.height, info.mode, info.format
        (40, 30, 'L', 'PNG')
    """
    with opened(path) as image:
        cut = _is_cut(Path(path), image)
        orientation = _orientation(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
        format = image.format or ""
        expected = _FORMATS.get(Path(path).suffix.lower(), {format})
        frames = _frames(image)
        return PictureInfo(width, height, image.mode, format, orientation, frames, format not in expected, cut)


def read_picture(
    path: str | os.PathLike[str],
    *,
    mode: Mode = "RGB",
    upright: bool = True,
    white: float | None = None,
    background: float = 1.0,
) -> Tensor:
    """Read a picture file into a tensor.

    Gray, RGB, palette and CMYK pictures of 8 bits are divided by 255. Of 16 bits, gray values are divided by `white`;
    Pillow reads colour of 16 bits with 8. Values of 32 bits and floats within [0, 1] stay; others are stretched from
    their smallest to their largest, unless `white` is given. Of several frames or pages the first one is read.

    Args:
        path: a file in any format that Pillow reads: PNG, JPEG, TIFF, BMP, WebP, GIF and more.
        mode: "L" for one channel of gray, "RGB" for three, "RGBA" for four with the opacity.
        upright: whether the picture is turned as EXIF's orientation says.
        white: the value of a file of 16 or 32 bits that becomes 1; None: 65535, or see above. Cameras of 12 bits write
            at most 4095.
        background: 1 white, 0 black: what transparent pixels show, unless the mode is "RGBA".

    Returns:
        float32 [C, H, W] in [0, 1].

    Raises:
        DataError: there is no such file, it is empty, no picture, truncated, or absurdly large.
        ConfigError: an argument has no such value.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = tempfile.mkdtemp() + "/a.png"
        >>> Image.new("RGB", (40, 30), (255, 0, 51)).save(file)
        >>> picture = read_picture(file)
        >>> picture.shape, [round(value, 3) for value in picture[:, 0, 0].tolist()]
        (torch.Size([3, 30, 40]), [1.0, 0.0, 0.2])
        >>> read_picture(file, mode="L").shape
        torch.Size([1, 30, 40])
    """
    return to_float(read_pixels(path, mode=mode, upright=upright, white=white, background=background))


def to_float(pixels: Tensor) -> Tensor:
    """Return pixels as float32 in [0, 1]: bytes divided by 255, floats as they are.

    Example:
        >>> to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [0.0, 1.0]
    """
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def read_pixels(
    path: str | os.PathLike[str],
    *,
    mode: Mode = "RGB",
    upright: bool = True,
    white: float | None = None,
    background: float = 1.0,
) -> Tensor:
    """Read a picture as `read_picture` does, bytes as bytes: a quarter of the memory.

    Returns:
        uint8 [C, H, W], or float32 in [0, 1] where the file has more than 8 bits.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = tempfile.mkdtemp() + "/a.png"
        >>> Image.new("L", (4, 3), 7).save(file)
        >>> pixels = read_pixels(file, mode="L")
        >>> pixels.dtype, pixels.shape, int(pixels.max())
        (torch.uint8, torch.Size([1, 3, 4]), 7)
    """
    return read_scaled(path, None, mode=mode, upright=upright, white=white, background=background)[0]


def read_scaled(
    path: str | os.PathLike[str],
    longest: int | None,
    *,
    mode: Mode = "RGB",
    upright: bool = True,
    white: float | None = None,
    background: float = 1.0,
) -> tuple[Tensor, tuple[int, int]]:
    """Read a picture as `read_pixels` does, scaled down to a longer side.

    JPEG is decoded to a half, a quarter or an eighth of its size where that is still large enough: each field of
    8 × 8 pixels is a sum of cosines, and fewer of them give fewer pixels. Patterns that are too fine for the fewer
    pixels come out a little different so.

    Args:
        path: the file.
        longest: pixels of the longer side; smaller pictures stay, and None leaves all as they are.
        mode, upright, white, background: as of `read_picture`.

    Returns:
        The pixels, and (H, W) of the whole picture.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = tempfile.mkdtemp() + "/a.jpg"
        >>> Image.new("RGB", (400, 300)).save(file)
        >>> pixels, size = read_scaled(file, 100)
        >>> pixels.shape, size
        (torch.Size([3, 75, 100]), (300, 400))
    """
    check_choice(mode, "mode", MODES)
    if not 0 <= background <= 1:
        raise ConfigError.of("background", background, "expected a number from 0 (black) to 1 (white)")
    if white is not None and not white > 0:
        raise ConfigError.of("white", white, "expected a number above 0, or None")
    with opened(path) as image:
        width, height = image.size
        turned = upright and _orientation(image) >= 5
        if longest is not None:
            image = _drafted(image, shrunk_size(height, width, longest)[::-1])
        if upright:
            from PIL import ImageOps

            ImageOps.exif_transpose(image, in_place=True)
        if image.mode[0] in "IF":
            pixels = _wide(np.asarray(image), mode, white, path)
        else:
            array = np.asarray(converted(image, mode, background))
            array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
            pixels = torch.from_numpy(np.array(array, order="C"))  # a copy: Pillow's memory is not writable
    size = (width, height) if turned else (height, width)
    return scaled(pixels, shrunk_size(*size, longest)), size


def _drafted(image: Image, size: tuple[int, int]) -> Image:
    """Return an image of a format that is decoded at a fraction of its size scaled to (W, H), others as they are."""
    from PIL import Image as images

    drafted = image.draft(None, size)
    # The sides of the fraction are rounded up: only a box of it is the picture.
    return image if drafted is None else image.resize(size, images.Resampling.BILINEAR, box=drafted[1])


def read_values(path: str | os.PathLike[str]) -> npt.NDArray[np.int64]:
    """Read the numbers that the pixels of a mask have: of a palette the indices, of grays their values.

    Returns:
        int64 [H, W]; of a pixel that is not gray `COLOUR` + 65536 R + 256 G + B.

    Raises:
        DataError: as `read_picture`, or the pixels are no whole numbers.
    """
    with opened(path) as image:
        if image.mode in ("LA", "PA"):
            image = image.getchannel(0)
        elif image.mode == "CMYK":
            image = image.convert("RGB")
        array = np.asarray(image)
    if array.ndim == 3:
        values = array[..., :3].astype(np.int64)
        if array.shape[2] == 4 and not values.any():  # drawn into the opacity alone
            return array[..., 3].astype(np.int64)
        red, green, blue = (np.ascontiguousarray(values[..., channel]) for channel in range(3))
        packed: npt.NDArray[np.int64] = COLOUR | red << 16 | green << 8 | blue
        return np.where((red == green) & (green == blue), red, packed)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.rint(array)).all()):
        raise DataError("holds fractions; expected the whole numbers of a mask", Place(str(path)))
    return array.astype(np.int64)


def _wide(values: npt.NDArray[Any], mode: Mode, white: float | None, path: str | os.PathLike[str]) -> Tensor:
    """Return pixels of more than 8 bits as floats."""
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise DataError("has pixels that are no numbers", Place(str(path)))
    if white is not None:
        wide = wide / white
    elif values.dtype.kind == "u" and values.dtype.itemsize == 2:
        wide = wide / 65535
    elif wide.size and (wide.min() < 0 or wide.max() > 1):
        wide = (wide - wide.min()) / max(float(np.ptp(wide)), 1e-12)
    gray = torch.from_numpy(wide.clip(0, 1).astype(np.float32))[None]
    if mode == "L":
        return gray
    colour = gray.repeat(3, 1, 1)
    return colour if mode == "RGB" else torch.cat([colour, torch.ones_like(gray)])


def converted(image: Image, mode: Mode, background: float) -> Image:
    """Return an image of 8 bits in a mode, transparent pixels laid on the background unless the mode has opacity."""
    from PIL import Image as images

    if mode == "RGBA":
        return image.convert("RGBA")
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        below = images.new("RGBA", seen.size, (round(255 * background),) * 3 + (255,))
        image = images.alpha_composite(below, seen).convert("RGB")
    # Pillow has no way from some modes straight to gray.
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _frames(image: Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except DAMAGED:
        return 2


def _orientation(image: Image) -> int:
    try:
        found = int(image.getexif().get(_ORIENTATION, 1))
    except DAMAGED:  # EXIF alone
        return 1
    return found if 1 <= found <= 8 else 1


def _is_cut(path: Path, image: Image) -> bool:
    """Return whether a file is cut off or damaged, by its last bytes; where they do not show it, by decoding it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(max(size - 4096, 0))
        tail = file.read()
    format = image.format
    if format == "WEBP":
        return size < 8 + int.from_bytes(head[4:8], "little")
    marks = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "GIF": b"\x3b"}
    if format == "TIFF":
        return _ends_behind(image, size)
    last = 1 if format == "GIF" else len(tail)  # behind a JPEG picture some cameras write more
    if format in marks and marks[format] in tail.rstrip(b"\0")[-last:]:
        return False
    if format not in (*marks, "BMP", "PNG"):  # to look for EXIF, Pillow decodes a PNG in any case
        return False
    try:
        image.load()
    except DAMAGED:
        return True
    return False


def _ends_behind(image: Image, size: int) -> bool:
    """Return whether a strip or a tile of a TIFF file ends behind the end of the file."""
    tags: Any = getattr(image, "tag_v2", {})
    starts, counts = tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ()))
    try:
        return any(start + count > size for start, count in zip(starts, counts, strict=False))
    except TypeError:
        return False
