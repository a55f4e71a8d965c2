"""Tensors by their names, from files of other programs. Nothing that a file holds is executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, Place
from .finite import check_finite

Tensor = torch.Tensor
KINDS = (".safetensors", ".pt", ".pth", ".bin", ".npz")
_WRAPPERS = ("model", "state_dict", "model_state_dict", "weights")  # under which checkpoints keep the weights
_MOST_SMALLER = 50  # times that compression makes weights smaller; more is no file of weights


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a file by their names.

    Args:
        path: `.safetensors`; `.pt`, `.pth` or `.bin` of ``torch.save(model.state_dict(), path)``, or of a checkpoint
            that keeps the weights under "model", "state_dict", "model_state_dict" or "weights"; `.npz` of numpy. Only
            tensors, numbers, texts and containers are read of them.

    Raises:
        DataError: there is no such file, it is of another kind, is damaged, or holds more than weights, or weights that
            are not finite.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "gru.pt"
        >>> torch.save(torch.nn.GRU(3, 4).state_dict(), file)
        >>> sorted(read_weights(file))
        ['bias_hh_l0', 'bias_ih_l0', 'weight_hh_l0', 'weight_ih_l0']
    """
    file, place = Path(path), Place(str(path))
    if not file.is_file():
        raise DataError("is a folder; expected a file" if file.is_dir() else "there is no such file", place)
    suffix = file.suffix.lower()
    if suffix not in KINDS:
        raise DataError(f"expected a file that ends in {', '.join(KINDS)}", place)
    if zipfile.is_zipfile(file):
        _check_zip(file, place)
    try:
        read = {".safetensors": _of_safetensors, ".npz": _of_numpy}.get(suffix, _of_torch)
        found = read(file)
    except DataError as error:
        raise DataError(error.problem, place) from None
    except Exception as error:  # unpicklers raise nearly any error on damaged bytes, from KeyError to MemoryError
        told = " ".join(str(error).split())[:120]
        raise DataError(f"is damaged, or no file of weights ({type(error).__name__}: {told})", place) from error
    if not found:
        raise DataError("holds no tensors", place)
    check_finite(found, str(path))
    return found


def take(weights: dict[str, Tensor], name: str, shape: tuple[int | None, ...], path: str | os.PathLike[str]) -> Tensor:
    """Return a tensor as float32.

    Args:
        weights: by their names.
        name: of the tensor.
        shape: of it; None for a size that may be any.
        path: of the file, for messages.

    Raises:
        DataError: there is none, or it has another shape, or holds no fractions.
    """
    place = Place(str(path))
    if name not in weights:
        raise DataError(f"lacks the tensor {name!r}", place)
    tensor = weights[name]
    fits = tensor.dim() == len(shape) and all(
        want in (None, size) for want, size in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise DataError(f"the tensor {name!r} has shape {list(tensor.shape)}; expected [{wanted}]", place)
    if not tensor.is_floating_point():
        raise DataError(f"the tensor {name!r} is of {tensor.dtype}; expected a floating-point type", place)
    return tensor.float()


def _check_zip(file: Path, place: Place) -> None:
    """Refuse an archive that would unpack to far more than it is."""
    with zipfile.ZipFile(file) as opened:
        unpacked = sum(one.file_size for one in opened.infolist())
    size = file.stat().st_size
    if unpacked > _MOST_SMALLER * size:
        raise DataError(f"would unpack from {size:,} to {unpacked:,} bytes; no file of weights does", place)


def _of_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(str(file))


def _of_numpy(file: Path) -> dict[str, Tensor]:
    import numpy as np

    with np.load(file, allow_pickle=False) as opened:
        arrays = {name: opened[name] for name in opened.files}
    return {
        name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in arrays.items() if one.dtype.kind in "fiu"
    }


def _of_torch(file: Path) -> dict[str, Tensor]:
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            "holds more than weights, which is not executed; save the weights alone: "
            "torch.save(model.state_dict(), path)"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"holds a {type(found).__name__}; expected a dict of tensors by their names")
    for name in _WRAPPERS:
        if isinstance(found.get(name), dict):
            found = found[name]
            break
    weights = {str(name): one.detach() for name, one in found.items() if isinstance(one, Tensor)}
    for name, one in weights.items():
        # A view may repeat the numbers that are stored: a small file would take any amount of memory.
        if one.layout != torch.strided or one.is_quantized or one.nbytes > one.untyped_storage().nbytes():
            raise DataError(f"the tensor {name!r} {list(one.shape)} is stored otherwise than number by number")
    return weights
