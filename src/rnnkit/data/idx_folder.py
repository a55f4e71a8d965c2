"""A folder with four files of MNIST's form: training and test images, and the numbers of their classes."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import DataError, Place
from .data_folder import find_data
from .mnist import FILES, parse_idx

if TYPE_CHECKING:
    import torch

_FOLDERS = ("", "raw", "mnist", "MNIST/raw")
_NAME = re.compile(r"(.*?)(train|t10k|test)[-_.]?(images|labels)[-_.]?idx[13][-_.]?ubyte(\.gz)?", re.IGNORECASE)
_KINDS = (("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels"))


class IdxPart(NamedTuple):
    """Images, bytes [N, H, W], and the numbers of their classes, int64 [N]."""

    images: torch.Tensor
    labels: torch.Tensor


class IdxFolder(NamedTuple):
    """What the four files hold.

    Attributes:
        train, test: the parts.
        is_mnist: whether the training labels are those of MNIST itself.
        source: the folder.
    """

    train: IdxPart
    test: IdxPart
    is_mnist: bool
    source: str


def read_idx_folder(path: str | os.PathLike[str]) -> IdxFolder:
    """Read a folder of four IDX files, such as MNIST's and those of its kin.

    The names are as published: ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
    and ``t10k-labels-idx1-ubyte``, with or without ``.gz``; ``test`` for ``t10k``, and the same word in front of all
    four, are taken, too. They lie in the folder itself or in its folders ``raw``, ``mnist`` or ``MNIST/raw``. Images
    may have any size, and there may be any classes.

    Args:
        path: the folder. It is looked for in the folder ``RNNKIT_DATA``, too.

    Raises:
        DataError: no such folder, a file that is not there, damaged or of another form, or several sets in one folder.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, count in {"train": 3, "t10k": 2}.items():
        ...     _ = (folder / f"{name}-images-idx3-ubyte").write_bytes(
        ...         bytes([0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 4, 0, 0, 0, 4]) + bytes(16 * count)
        ...     )
        ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, count, *range(count)])
        ...     _ = (folder / f"{name}-labels-idx1-ubyte").write_bytes(labels)
        >>> found = read_idx_folder(folder)
        >>> tuple(found.train.images.shape), found.test.labels.tolist(), found.is_mnist
        ((3, 4, 4), [0, 1], False)
    """
    folder = find_data(os.fspath(path))
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{what}; expected a folder of four IDX files: {FILES[0].name} …", Place(str(path)))
    files = _find(folder)
    contents = {kind: _bytes(file) for kind, file in files.items()}
    parts = {part: _part(files, contents, part) for part in ("train", "test")}
    if parts["train"].images.shape[1:] != parts["test"].images.shape[1:]:
        sizes = [list(one.images.shape[1:]) for one in parts.values()]
        raise DataError(f"training images are of {sizes[0]} and test images of {sizes[1]}", Place(str(folder)))
    digest = hashlib.sha256(contents["train", "labels"]).hexdigest()
    return IdxFolder(parts["train"], parts["test"], digest == FILES[1].sha256, str(folder))


def has_idx_files(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder holds a file of MNIST's form.

    Example:
        >>> import tempfile
        >>> has_idx_files(tempfile.mkdtemp())
        False
    """
    folder = Path(path)
    return any(
        _NAME.fullmatch(file.name) for sub in _FOLDERS if (folder / sub).is_dir() for file in (folder / sub).iterdir()
    )


def _find(folder: Path) -> dict[tuple[str, str], Path]:
    for sub in _FOLDERS:
        if not (folder / sub).is_dir():
            continue
        sets: dict[str, dict[tuple[str, str], Path]] = {}
        for file in sorted((folder / sub).iterdir()):
            if match := _NAME.fullmatch(file.name):
                part = "train" if match[2].lower() == "train" else "test"
                sets.setdefault(match[1], {}).setdefault((part, match[3].lower()), file)
        if len(sets) > 1:
            names = ", ".join(repr(name.rstrip("-_. ")) for name in sets)
            raise DataError(
                f"holds files of several sets: {names}; put one into a folder of its own", Place(str(folder))
            )
        for found in sets.values():
            if missing := [" ".join(kind) for kind in _KINDS if kind not in found]:
                there = ", ".join(file.name for file in found.values())
                raise DataError(
                    f"lacks the file of {' and '.join(missing)}; there are {there}, expected names such as "
                    f"{FILES[2].name}",
                    Place(str(folder)),
                )
            return found
    raise DataError(
        f"holds no IDX files; expected {', '.join(file.name for file in FILES)} (.gz or unpacked)", Place(str(folder))
    )


def _bytes(file: Path) -> bytes:
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read ({error}); replace it", Place(str(file))) from None


def _part(files: dict[tuple[str, str], Path], contents: dict[tuple[str, str], bytes], part: str) -> IdxPart:
    import numpy as np
    import torch

    images, labels = (parse_idx(contents[part, what], str(files[part, what])) for what in ("images", "labels"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or not images.size:
        raise DataError(
            f"has images {list(images.shape)} with labels {list(labels.shape)}; expected [N, height, width] and [N]",
            Place(str(files[part, "images"])),
        )
    return IdxPart(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))
