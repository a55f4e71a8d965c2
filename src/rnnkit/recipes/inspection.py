"""Rows of an .npz file to measure a network on, for ``rnnkit inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import DataError

INPUTS, TARGETS = ("x", "X", "inputs", "values"), ("y", "Y", "targets", "labels")


def read_npz(path: Path) -> tuple[Any, Any]:
    """Return inputs and targets of an .npz file: arrays x [N, T, I] and y, and lengths [N] where rows are padded.

    Returns:
        inputs (a tensor, or ``Sequences`` with lengths), and targets, None where there are none.

    Raises:
        DataError: no such file, damaged, without x, or arrays of objects (they would have to be unpickled).
    """
    import numpy as np
    import torch

    from ..types import Sequences

    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected an .npz file with x [N, T, I] and y") from None
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise DataError(f"{path} is no .npz file of plain arrays ({error})") from None
    found = [next((name for name in names if name in arrays), None) for names in (INPUTS, TARGETS)]
    if found[0] is None:
        raise DataError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected x [N, T, I] and y")
    x, y = (None if name is None else _tensor(arrays[name], name, path) for name in found)
    if "lengths" in arrays:
        assert x is not None
        x = Sequences(x, torch.from_numpy(arrays["lengths"].astype(np.int64)))
    return x, y


def _tensor(array: Any, name: str, path: Path) -> Any:
    import numpy as np
    import torch

    if array.dtype.kind not in "biuf":
        raise DataError(f"{path}: {name} is of type {array.dtype}; expected numbers (for classes their numbers from 0)")
    kind = np.float32 if array.dtype.kind == "f" else np.int64
    return torch.from_numpy(np.ascontiguousarray(array.astype(kind)))
