"""One safetensors file holds a module: its weights, and in the metadata the builder and arguments that rebuild it.

Nothing in such a file is ever executed or unpickled: a builder is looked up by name in a literal table
(:mod:`rnnkit.models.loading`), and its arguments are plain JSON.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

FILE = "model.safetensors"


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path``; what is written there takes its place at the end, whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def model_file(path: str | Path) -> Path:
    """The file that ``path`` means: itself, or ``model.safetensors`` in the folder it names."""
    path = Path(path)
    return path / FILE if path.is_dir() or not path.suffix else path


def save_module(module: torch.nn.Module, path: str | Path, extra: dict[str, Any] | None = None) -> Path:
    """Writes weights, ``module.config()`` and which of them have adapters to one file, atomically.

    Args:
        module: any module; without a ``config`` method only its weights are kept, and loading needs a module to
            load them into.
        path: a file ending in ``.safetensors``, or a folder that gets a ``model.safetensors``.
        extra: JSON values to keep beside it, such as the epoch.

    Returns:
        The file that was written.
    """
    from safetensors.torch import save_model

    describe: Any = getattr(module, "config", None)
    config = describe() if callable(describe) else None
    # Parametrisations that a file can name: without them the names of the weights would be unknown on loading.
    adapters = {name: part.adapter_config() for name, part in module.named_modules() if hasattr(part, "adapter_config")}
    described = {"config": config, "extra": extra or {}} | ({"adapters": adapters} if adapters else {})
    metadata = {"rnnkit": json.dumps(described)}
    file = model_file(path)
    with replacing(file) as temporary:
        save_model(module, str(temporary), metadata)
    return file


def read_config(path: str | Path) -> dict[str, Any]:
    """``{"config": …, "extra": …}`` of a file that :func:`save_module` wrote.

    Raises:
        DataError: there is no such file, or rnnkit did not write it.
    """
    from safetensors import SafetensorError, safe_open

    file = model_file(path)
    if not file.is_file():
        raise DataError(f"{file} does not exist; save a model with learner.save(path)")
    try:
        with safe_open(str(file), "pt") as opened:
            metadata = opened.metadata() or {}
            found: dict[str, Any] = json.loads(metadata["rnnkit"])
            return found
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{file} is not a model that rnnkit saved ({error})") from None
