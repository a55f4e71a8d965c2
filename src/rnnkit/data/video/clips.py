"""Clips with what is known of them: classes, groups and parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from ...types import Field
from ..images.picture_files import Mode
from ..images.pictures import Picture, PictureSet
from .clip_files import ClipInfo, read_clip
from .frame_sizes import Fit


@dataclass(frozen=True, eq=False)
class Clip(Picture):
    """A clip, and what is known of it; `path` is a file, or a folder of frames.

    Attributes:
        info: what its files say, such as the number of frames.

    Example:
        >>> Clip("a.gif", label="jump", info=ClipInfo(12, 40, 30)).info.frames
        12
    """

    info: ClipInfo = field(default_factory=lambda: ClipInfo(0, 0, 0))


@dataclass(frozen=True, eq=False, repr=False)
class VideoSet(PictureSet):
    """A list of clips; `read_videos` makes it. As a :class:`rnnkit.data.images.PictureSet`, it has their first frames.

    Example:
        >>> clips = VideoSet((Clip("a.gif", label="jump"), Clip("b.gif", label="walk")), ("jump", "walk"))
        >>> clips, clips.subset([1])[0].path, clips.label_numbers
        (VideoSet(2 clips, 2 classes), 'b.gif', (0, 1))
    """

    nouns: ClassVar[str] = "clips"

    def clip(
        self,
        index: int,
        *,
        mode: Mode = "RGB",
        frames: Sequence[int] | None = None,
        size: tuple[int, int] | None = None,
        fit: Fit = "pad",
    ) -> Tensor:
        """Return frames of a clip, uint8 [T, C, H, W]; the arguments are those of `read_clip`.

        Raises:
            DataError: the files are damaged, or there no more.
        """
        one = self.pictures[index]
        return read_clip(one.path, mode=mode, frames=frames, size=size, fit=fit, info=self.info(index))

    def info(self, index: int) -> ClipInfo:
        """Return what the files of a clip say."""
        one = self.pictures[index]
        assert isinstance(one, Clip)
        return one.info

    def pixels(self, index: int, mode: Mode = "RGB") -> Tensor:
        """Return the first frame of a clip, uint8 [C, H, W]."""
        return self.clip(index, mode=mode, frames=[0])[0]

    @property
    def schema(self) -> tuple[Field, ...]:
        """Name, dtype and shape of what a clip has."""
        fields = [Field("frames", "uint8", (None, None, None, None), "input")]
        if any(one.label is not None for one in self.pictures):
            fields.append(Field("label", "int64", (), "target"))
        return tuple(fields)

    def fingerprint(self) -> str:
        """Return a digest of the clips: sizes and first bytes of their files, and what is known of each.

        Of a folder its first, middle and last frame count, and the number of frames. The names of folders do not count.
        """
        digest = hashlib.sha256(repr(self.classes).encode())
        for index, one in enumerate(self.pictures):
            info = self.info(index)
            files = info.files or (one.path,)
            for file in dict.fromkeys((files[0], files[len(files) // 2], files[-1])):
                with Path(file).open("rb") as opened:
                    digest.update(f"{os.fstat(opened.fileno()).st_size}".encode() + opened.read(1 << 14))
            digest.update(repr((info.frames, one.label, one.group, one.part)).encode())
        return digest.hexdigest()
