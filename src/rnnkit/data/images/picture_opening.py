"""Opening of files of pictures: what Pillow raises for damaged ones becomes an error that names the file."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError, Place

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow raises any of these for files that are damaged, where it opens them and where it decodes them.
DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    EOFError,
    MemoryError,
    ArithmeticError,
    LookupError,
    AssertionError,
    struct.error,
    zlib.error,
)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Image]:
    """Open a file, and turn what Pillow raises, there and within the block, into errors that name the file."""
    from PIL import Image as images
    from PIL import UnidentifiedImageError

    place = Place(os.fspath(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large and slightly damaged files are reported elsewhere
            with images.open(path) as image:
                yield image
    except FileNotFoundError:
        raise DataError("there is no such file", place) from None
    except IsADirectoryError:
        raise DataError("is a folder; expected a picture", place, "read a folder by read_pictures") from None
    except images.DecompressionBombError:
        limit = 2 * (images.MAX_IMAGE_PIXELS or 0)
        raise DataError(
            f"has more than {limit:,} pixels, which is the most that is read", place, "cut it into parts first"
        ) from None
    except UnidentifiedImageError:
        size = Path(path).stat().st_size
        problem = "cannot be read as an image (it is in no known format)" if size else "the file is empty"
        raise DataError(f"{problem}; expected a picture, such as PNG or JPEG", place) from None
    except DataError:
        raise
    except DAMAGED as error:
        raise DataError(f"cannot be read as an image ({error})", place) from None
