"""One safetensors file holds a module: its weights, and in the metadata the builder and arguments that rebuild it.

Nothing in such a file is ever executed or unpickled: a builder is looked up by name in a literal table
(:mod:`rnnkit.models.loading`), and its arguments are plain JSON.
"""

from __future__ import annotations

import glob
import json
import math
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, check_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

FILE = "model.safetensors"
STATE = "training.safetensors"  # beside it, where its training can be resumed
VALUES = "rnnkit values"  # the metadata's key for what is no tensor
_LEVELS = 100
_PLAIN = frozenset({str, int, float, bool, type(None)})  # exact types: numpy has subclasses of them


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; what is written there takes the place of ``path`` at the end, whole or not at all.

    It lies in a folder of its own beside ``path``, for safetensors writes to a temporary file in turn, by a name that
    does not say whose it is: a process that is killed meanwhile leaves one folder that does.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)


def remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed left behind while it was :func:`replacing` the file ``path``."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as tempfile names what replacing makes
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if not ours.fullmatch(leftover.name):
            continue
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(OSError):
                leftover.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def model_file(path: str | os.PathLike[str]) -> Path:
    """Return the file that ``path`` means: itself, or ``model.safetensors`` in the folder it names."""
    check_path(path)
    path = Path(path)
    return path / FILE if path.is_dir() or not path.suffix else path


def save_module(module: torch.nn.Module, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> Path:
    """Write weights, ``module.config()`` and which of them have adapters or 8 bits to one file, atomically.

    Args:
        module: any module; without a ``config`` method only its weights are kept, and loading needs a module to
            load them into.
        path: a file ending in ``.safetensors``, or a folder that gets a ``model.safetensors``.
        extra: JSON values to keep beside it, such as the epoch.

    Returns:
        The file that was written.
    """
    return pack_module(module, extra, copy=False)(path)


def pack_module(
    module: torch.nn.Module, extra: dict[str, Any] | None = None, *, copy: bool = True
) -> Callable[[str | os.PathLike[str]], Path]:
    """Return a function that writes a module as it is now, whatever becomes of it meanwhile; see :func:`save_module`.

    Args:
        module, extra: as there.
        copy: whether the weights are copied now; else the function must be called before they change.
    """
    from safetensors.torch import save_model

    describe: Any = getattr(module, "config", None)
    config = describe() if callable(describe) else None
    # Parametrisations that a file can name: without them the names of the weights would be unknown on loading.
    adapters = {name: part.adapter_config() for name, part in module.named_modules() if hasattr(part, "adapter_config")}
    described = {"config": config, "extra": extra or {}} | ({"adapters": adapters} if adapters else {})
    quantized = {name: part.int8_config() for name, part in module.named_modules() if hasattr(part, "int8_config")}
    described |= {"quantized": quantized} if quantized else {}
    metadata = {"rnnkit": json.dumps(described)}
    held: Any = _Held(module.state_dict()) if copy else module

    def write(path: str | os.PathLike[str]) -> Path:
        file = model_file(path)
        with replacing(file) as temporary, _os_errors():
            save_model(held, str(temporary), metadata)
        return file

    return write


class _Held:
    """Copies of tensors, which share memory where these do, in the place of the module that has them."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self._tensors = deepcopy({name: tensor.detach() for name, tensor in tensors.items()})

    def state_dict(self) -> dict[str, torch.Tensor]:
        return dict(self._tensors)


def write_values(value: Any, path: str | os.PathLike[str]) -> None:
    """Write nested dicts, lists and tuples of tensors and JSON values to one safetensors file, whole or not at all.

    The tensors lie in the file under their path in the nest (``optimizer.state.0.exp_avg``), the rest in its metadata.

    Raises:
        TypeError: something else is among them; the message says where.
        OSError: the disk is full, say.
    """
    pack_values(value)(path)


def pack_values(value: Any) -> Callable[[str | os.PathLike[str]], None]:
    """Return a function that writes values as they are now, whatever becomes of them meanwhile; see `write_values`.

    Raises:
        TypeError: something that cannot be written is among them.
    """
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_describe(value, "", tensors))

    def write(path: str | os.PathLike[str]) -> None:
        with replacing(path) as temporary, _os_errors():
            save_file(tensors, str(temporary), {VALUES: text})

    return write


def read_values(path: str | os.PathLike[str], *, tensors: bool = True) -> Any:
    """Return what :func:`write_values` wrote, the tensors on the CPU.

    Args:
        path: the file.
        tensors: False leaves None in their places, and reads the file's head alone.

    Raises:
        DataError: the file is damaged, or something else wrote it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "pt") as opened:
            tensor = opened.get_tensor if tensors else lambda name: None
            return _rebuild(json.loads((opened.metadata() or {})[VALUES]), tensor)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is damaged, or rnnkit did not write it ({error!r})") from None


def _describe(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON for a value; what JSON lacks becomes an object with one key. Tensors go to ``tensors`` under their name."""
    if type(value) in _PLAIN:
        return value
    import numpy as np
    import torch

    def inner(part: Any, key: Any) -> Any:
        # Most values are plain, and a state has thousands: no call for each.
        return part if type(part) in _PLAIN else _describe(part, f"{name}.{key}" if name else str(key), tensors)

    if isinstance(value, torch.Tensor):
        while name in tensors:  # "a.b" may be a key, or b within a
            name += "_"
        # A copy, since tensors that share memory cannot lie in one file.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        if all(type(key) is str for key in value):
            return {"dict": {key: inner(part, key) for key, part in value.items()}}
        return {"pairs": [[inner(key, key), inner(part, key)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        parts = [inner(part, index) for index, part in enumerate(value)]
        return parts if isinstance(value, list) else {"tuple": parts}
    raise TypeError(
        f"{name or 'the state'} is a {type(value).__name__}; expected tensors, numbers, text, or nests of them"
    )


def _rebuild(value: Any, tensor: Callable[[str], torch.Tensor | None]) -> Any:
    if isinstance(value, list):
        return [_rebuild(part, tensor) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensor(content)
    if kind == "dict":
        return {key: _rebuild(part, tensor) for key, part in content.items()}
    if kind == "pairs":
        return {_rebuild(key, tensor): _rebuild(part, tensor) for key, part in content}
    if kind == "tuple":
        return tuple(_rebuild(part, tensor) for part in content)
    raise KeyError(kind)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Raise what safetensors says of a full disk as Python does: OSError, with its number."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), f"{os.strerror(int(number[1]))} ({error})") from None


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return ``{"config": …, "extra": …}`` of a file that :func:`save_module` wrote; config may be None.

    Raises:
        DataError: there is no such file, or rnnkit did not write it.

    Example:
        >>> import rnnkit, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> learner = rnnkit.Learner(rnnkit.SequenceClassifier(rnnkit.GRU(1, 4), classes=2))
        >>> learner.extra["classes"] = ["calm", "storm"]
        >>> learner.save(folder)
        >>> read_config(folder)["extra"]
        {'classes': ['calm', 'storm']}
    """
    from safetensors import SafetensorError, safe_open

    file = model_file(path)
    if not file.is_file():
        raise DataError(f"{file} does not exist; expected a model that learner.save(path) wrote")
    try:
        with safe_open(str(file), "pt") as opened:
            found = read_json((opened.metadata() or {})["rnnkit"])
        if not isinstance(found["config"], dict | None) or not isinstance(found["extra"], dict):
            raise ValueError("its description has other parts")
        return found
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(
            f"{file} is not a model that rnnkit saved, or is damaged ({error}); take a copy of it, or train again"
        ) from None


def strict(value: Any) -> Any:
    """Return the values with None in place of NaN and infinities, which JSON cannot hold; tuples become lists."""
    if isinstance(value, dict):
        return {str(key): strict(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [strict(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return JSON that every program reads: null for NaN and infinities; a line break at its end.

    Args:
        value: what to write.
        indent: of each level; None: all in one line, which takes a tenth of the time.

    Example:
        >>> json_text([0.5, float("nan")], indent=0).split()
        ['[', '0.5,', 'null', ']']
    """
    return json.dumps(strict(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(text: str) -> dict[str, Any]:
    """Return the object that a JSON text holds, of no more than 100 levels, so that it can be walked without a care.

    Raises:
        ValueError: it is damaged, too deep, or holds something else.

    Example:
        >>> read_json('{"epochs": 3}')
        {'epochs': 3}
    """
    deep = f"it is nested deeper than {_LEVELS} levels"
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError(deep) from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}; expected an object")
    level: list[Any] = [found]
    for _ in range(_LEVELS):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [one for one in level if isinstance(one, dict | list)]
    if level:
        raise ValueError(deep)
    return found
