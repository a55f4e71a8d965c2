"""Files of clips: a folder of frames, an animated picture, or a video file.

Legend: T frames, C channels, H height, W width.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError, MissingExtraError, Place, check_path
from ...ordering import natural_key
from ..images.picture_files import MODES, SUFFIXES, Mode, converted, read_pixels
from ..images.picture_opening import DAMAGED, opened
from .frame_sizes import fit_frames

if TYPE_CHECKING:
    from PIL.Image import Image

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ogv")
ANIMATED = (".gif", ".webp", ".apng", ".tif", ".tiff")  # these may hold several frames
_VIDEO_FORMATS: dict[Mode, str] = {"L": "gray", "RGB": "rgb24", "RGBA": "rgba"}  # as PyAV names them


@dataclass(frozen=True)
class ClipInfo:
    """What a clip's files say.

    Attributes:
        frames: those that can be read.
        width, height: of the first one, in pixels, upright.
        rate: frames a second; None where the files do not say.
        files: of a folder, the files of the frames that can be read, in order; (): the clip is one file.
        damaged: names of the files of frames that cannot be read; of one file, its name where it breaks off.
        resized: how many frames have another size than the first; they are scaled to it.
    """

    frames: int
    width: int
    height: int
    rate: float | None = None
    files: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    resized: int = 0


def clip_info(path: str | os.PathLike[str]) -> ClipInfo:
    """Look at the frames of a clip.

    Of a folder the headers are read. Animated pictures are decoded, because their headers do not say whether they are
    whole. Of video files the header counts the frames, and where it does not, they are decoded.

    Args:
        path: a folder of pictures, which are ordered by their names with numbers by value; an animated GIF, WebP, PNG
            or TIFF; or a video file, for which PyAV is needed.

    Raises:
        DataError: there is no such path, or no frame that can be read.
        MissingExtraError: a video file, and PyAV is not installed.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.video import write_png
        >>> folder = tempfile.mkdtemp()
        >>> for number in (1, 2, 10):
        ...     write_png(torch.rand(3, 6, 8), f"{folder}/{number}.png")
        >>> info = clip_info(folder)
        >>> info.frames, info.width, info.height, [file[-6:] for file in info.files]
        (3, 8, 6, ['/1.png', '/2.png', '10.png'])
    """
    check_path(path)
    path = Path(path)
    if path.is_dir():
        return _folder_info(path)
    if path.suffix.lower() in VIDEOS:
        return _video_info(path)
    count, size, rate, resized = 0, (0, 0), None, 0
    durations = 0.0
    with opened(path) as image:
        numbers, cut = _numbers(image)
        try:
            for number in numbers:
                image.seek(number)
                image.load()
                size = size if count else image.size
                resized += image.size != size
                durations += float(image.info.get("duration", 0) or 0)
                count += 1
        except DAMAGED:
            cut = True
    if not count:
        raise DataError("holds no frame that can be read", Place(str(path)))
    rate = 1000 * count / durations if durations > 0 else None
    return ClipInfo(count, size[0], size[1], rate, (), (path.name,) if cut else (), resized)


def read_clip(
    path: str | os.PathLike[str],
    *,
    mode: Mode = "RGB",
    frames: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
    fit: Any = "pad",
    info: ClipInfo | None = None,
) -> Tensor:
    """Read frames of a clip.

    Args:
        path: as of `clip_info`.
        mode: "L" for one channel of gray, "RGB" for three, "RGBA" for four with the opacity.
        frames: their numbers, ascending; None: all. A number behind the last frame stands for the last.
        size: (height, width) that they are scaled to; None: the first frame's.
        fit: treatment of another shape; see `fit_frames`.
        info: what `clip_info` returned, so that it is not read again.

    Returns:
        uint8 [T, C, H, W].

    Raises:
        DataError, MissingExtraError: as `clip_info`.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.video import write_gif
        >>> file = tempfile.mkdtemp() + "/a.gif"
        >>> write_gif(torch.rand(5, 3, 16, 20), file)
        >>> read_clip(file, mode="L", frames=[0, 4], size=(8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """
    wanted = None if frames is None else set(frames)
    held: dict[int, Tensor] = {}
    shape: tuple[int, int] | None = size
    number, last = -1, None

    def fitted(frame: Tensor) -> Tensor:
        nonlocal shape
        shape = (frame.shape[1], frame.shape[2]) if shape is None else shape
        return fit_frames(frame[None], shape, fit="stretch" if size is None else fit)[0]

    for number, last in _numbered(path, mode, wanted, info):
        if wanted is None or number in wanted:
            held[number] = fitted(last)
            if wanted is not None and number >= max(wanted):
                break
    assert last is not None  # a clip without a frame is refused
    if wanted is None or frames is None:
        return torch.stack(list(held.values()))
    if number not in held:  # frames behind the last one are wanted
        held[number] = fitted(last)
    return torch.stack([held[min(one, number)] for one in frames])


def stream_frames(
    path: str | os.PathLike[str], *, mode: Mode = "RGB", files: Sequence[str] | None = None
) -> Iterator[Tensor]:
    """Yield the frames of a clip one by one, as far as they can be read; damaged files of a folder are passed over.

    Args:
        path: as of `clip_info`.
        mode: as of `read_clip`.
        files: of a folder, those to read; None or (): all of it.

    Yields:
        uint8 [C, H, W], each of the size that it has.

    Raises:
        DataError, MissingExtraError: as `clip_info`.

    Example:
        >>> import tempfile
        >>> from rnnkit.data.video import write_gif
        >>> file = tempfile.mkdtemp() + "/a.gif"
        >>> write_gif(torch.rand(2, 1, 16, 20), file)
        >>> [tuple(frame.shape) for frame in stream_frames(file, mode="L")]
        [(1, 16, 20), (1, 16, 20)]
    """
    check_path(path)
    path = Path(path)
    if mode not in MODES:
        read_pixels(path, mode=mode)  # raises
    if path.is_dir():
        frames = _folder_frames(path, mode, files)
    elif path.suffix.lower() in VIDEOS:
        frames = _video_frames(path, mode)
    else:
        frames = _animated_frames(path, mode)
    first = next(frames, None)
    if first is None:
        raise DataError("holds no frame that can be read", Place(str(path)))
    yield first
    yield from frames


def _numbered(
    path: str | os.PathLike[str], mode: Mode, wanted: set[int] | None, info: ClipInfo | None
) -> Iterator[tuple[int, Tensor]]:
    """Yield frames with their numbers: of a folder that was looked at those that are wanted alone."""
    files = None if info is None else info.files
    if not files or wanted is None:
        yield from enumerate(stream_frames(path, mode=mode, files=files))
        return
    for number in sorted({min(number, len(files) - 1) for number in wanted}):
        yield number, _bytes(read_pixels(files[number], mode=mode))


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures that lie in a folder, not below it, ordered by their names with numbers by value."""
    found = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != ".")
    return sorted((file for file in found if file.is_file()), key=lambda file: natural_key(file.name))


def _folder_info(folder: Path) -> ClipInfo:
    from ..images.picture_files import picture_info

    good, damaged, sizes = [], [], []
    for file in frame_files(folder):
        try:
            info = picture_info(file)
        except DataError:
            damaged.append(file.name)
            continue
        if info.truncated:
            damaged.append(file.name)
        else:
            good.append(str(file))
            sizes.append((info.width, info.height))
    if not good:
        why = f"; damaged: {', '.join(damaged[:3])}" if damaged else ""
        raise DataError(f"holds no frame that can be read{why}", Place(str(folder)))
    resized = sum(size != sizes[0] for size in sizes)
    return ClipInfo(len(good), *sizes[0], None, tuple(good), tuple(damaged), resized)


def _folder_frames(folder: Path, mode: Mode, files: Sequence[str] | None) -> Iterator[Tensor]:
    for file in files or frame_files(folder):
        try:
            yield _bytes(read_pixels(file, mode=mode))
        except DataError:
            continue


def _animated_frames(path: Path, mode: Mode) -> Iterator[Tensor]:
    with opened(path) as image:
        for number in _numbers(image)[0]:
            try:
                image.seek(number)
                image.load()
            except DAMAGED:
                return
            yield _pixels(image, mode)


def _numbers(image: Image) -> tuple[range, bool]:
    """Return the numbers of the frames of an open file, and whether its end is missing, so that nobody counted them."""
    try:
        return range(int(getattr(image, "n_frames", 1))), False
    except DAMAGED:
        return range(sys.maxsize), True


def _pixels(image: Image, mode: Mode) -> Tensor:
    if image.mode[0] in "IF":  # more than 8 bits: black is the smallest value of the type, white the largest
        values = np.asarray(image).astype(np.float32)
        scaled = torch.from_numpy(values / (65535.0 if image.mode.startswith("I") else 1.0)).clamp(0, 1)
        frame = (scaled * 255).round().to(torch.uint8)[None]
        return frame if mode == "L" else frame.expand(3, -1, -1) if mode == "RGB" else _opaque(frame)
    array = np.asarray(converted(image, mode, 1.0))
    return torch.from_numpy(np.array(array[None] if array.ndim == 2 else array.transpose(2, 0, 1), order="C"))


def _opaque(frame: Tensor) -> Tensor:
    return torch.cat([frame.expand(3, -1, -1), torch.full_like(frame, 255)])


def _bytes(pixels: Tensor) -> Tensor:
    return pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().to(torch.uint8)


# --- video files, through PyAV --------------------------------------------------------------------------------------


def _av(path: Path) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(
            f"{Place(str(path))}: video files need PyAV", None, "type pip install 'rnnkit[video]'"
        ) from error
    return av


def _video_info(path: Path) -> ClipInfo:
    av = _av(path)
    place = Place(str(path))
    if not path.is_file():
        raise DataError("there is no such file", place)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError("holds no pictures, sound alone", place)
            stream = container.streams.video[0]
            count, rate = int(stream.frames or 0), stream.average_rate
            width, height = int(stream.width), int(stream.height)
    except (OSError, ValueError) as error:  # those of PyAV derive from these
        raise DataError(f"cannot be read as a video ({error})", place) from None
    if not count:  # some containers do not count
        count = sum(1 for _ in _video_frames(path, "L"))
    if not count:
        raise DataError("holds no frame that can be read", place)
    return ClipInfo(count, width, height, None if rate is None else float(rate))


def _video_frames(path: Path, mode: Mode) -> Iterator[Tensor]:
    av = _av(path)
    place = Place(str(path))
    if not path.is_file():
        raise DataError("there is no such file", place)
    begun = False
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                begun = True
                array = frame.to_ndarray(format=_VIDEO_FORMATS[mode])
                array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
                yield torch.from_numpy(np.array(array, order="C"))
    except (OSError, ValueError, IndexError) as error:
        if not begun:
            raise DataError(f"cannot be read as a video ({error})", place) from None
