"""Opening .keras, .h5 and .weights.h5 files that are not trusted."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...errors import DataError, MissingExtraError
from ...serialization import read_json
from .arrays import child_group, text_attribute
from .plan import MODELS
from .settings import Location
from .weights import ModelWeights, NumberedWeights

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MAX_CONFIG = 2**24  # bytes
_MAX_ENTRIES = 10_000
_FLOOR, _EXPANSION = 2**24, 100  # bytes that may come of little, and of how little
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass
class Opened:
    """A file whose configuration was read, and whose arrays can be.

    Attributes:
        kind: class of the model.
        config: of the model.
        weights: its arrays.
        place: with the version of Keras.
    """

    kind: str
    config: Any
    weights: Any
    place: Location


def container_of(path: Path) -> Literal["zip", "hdf5"] | None:
    """Return what a file is by its first bytes, not by its name; None: neither of Keras's two."""
    with path.open("rb") as opened:
        start = opened.read(8)
    return "zip" if start[:2] == b"PK" else "hdf5" if start == _HDF5 else None


@contextmanager
def open_file(path: Path, configuration: Path | dict[str, Any] | None = None) -> Iterator[Opened]:
    """Open a file of Keras's, and close it at the end.

    Args:
        path: of a .keras or .h5 file; of a .weights.h5 file with its configuration.
        configuration: a JSON file (what ``model.to_json()`` returns), a .keras or .h5 file of the same model, or the
            object itself; for a file of weights alone.

    Raises:
        DataError: the file is missing, damaged, none of these, or not safe to read.
        MissingExtraError: h5py is not installed.
    """
    h5py_module()
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a .keras or .h5 file, as model.save('m.keras') writes it")
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected a .keras or .h5 file")
    place, kind = Location(str(path)), container_of(path)
    with _damage(place):
        if kind == "zip":
            if configuration is not None:
                raise place.problem("a configuration arrived beside it, but a .keras file has one: leave it out")
            with zipfile.ZipFile(path) as archive, _extracted(archive, place) as (described, version, weights):
                yield _opened(described, weights, Location(str(path), version=version))
        elif kind == "hdf5":
            with _h5(path) as file:
                yield _opened_h5(file, configuration, place)
        else:
            raise place.problem("it is neither a .keras file (a zip archive) nor an .h5 file (HDF5)")


def _opened_h5(file: Any, configuration: Path | dict[str, Any] | None, place: Location) -> Opened:
    stored = text_attribute(file, "model_config", place)
    if configuration is None and stored is None:
        raise place.problem(
            "it holds weights without a configuration; add configuration= with what model.to_json() returned, as a "
            "file, or a .keras file of the same model"
        )
    version = _version(text_attribute(file, "keras_version", place))
    described = _json(stored, place) if stored is not None and configuration is None else None
    if described is None:
        described, version = _configuration(configuration, version, place)
    place = Location(place.file, version=version)
    root = child_group(file, "model_weights", place) or file
    if "layer_names" in root.attrs:
        return _opened(described, ModelWeights(root, place), place)
    return _opened(described, NumberedWeights(file, "", place), Location(place.file, version=max(version, 3)))


def _configuration(given: Any, version: int, place: Location) -> tuple[dict[str, Any], int]:
    """A model's description from elsewhere, and the version of Keras that wrote it."""
    if isinstance(given, dict):
        return given, _version(given.get("keras_version")) if "keras_version" in given else version
    path = Path(given)
    if not path.is_file():
        raise DataError(f"configuration={str(path)!r} does not exist; expected a JSON file, or a .keras file")
    own, kind = Location(str(path)), container_of(path)
    with _damage(own):
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                entries = _entries(archive, own)
                return _described(archive, entries, own)
        if kind == "hdf5":
            with _h5(path) as file:
                stored = text_attribute(file, "model_config", own)
                if stored is None:
                    raise own.problem("it holds no configuration")
                return _json(stored, own), _version(text_attribute(file, "keras_version", own))
        if path.stat().st_size > MAX_CONFIG:
            raise own.problem(f"it has {path.stat().st_size:,} bytes; expected at most {MAX_CONFIG:,}")
        found = _json(path.read_text(encoding="utf-8"), own)
        return found, _version(found["keras_version"]) if "keras_version" in found else max(version, 2)


def _opened(described: dict[str, Any], weights: Any, place: Location) -> Opened:
    kind, config = described.get("class_name"), described.get("config")
    if kind not in MODELS:
        raise place.problem(
            f"the model is of class {str(kind)[:60]!r}; expected Sequential or Functional: a subclass of keras.Model "
            "holds Python code of its own"
        )
    return Opened(str(kind), config, weights, place)


@contextmanager
def _extracted(archive: zipfile.ZipFile, place: Location) -> Iterator[tuple[dict[str, Any], int, Any]]:
    """Description, version and arrays of a .keras file, the arrays in a temporary file."""
    entries = _entries(archive, place)
    described, version = _described(archive, entries, place)
    if _WEIGHTS not in entries:
        others = sorted(name for name in entries if name.startswith("model.weights"))
        if others:
            raise place.problem(
                f"its weights are in {others[0]}; expected one file {_WEIGHTS}: save the model unsharded"
            )
        raise place.problem(f"it has no {_WEIGHTS}")
    entry = entries[_WEIGHTS]
    with tempfile.TemporaryDirectory(prefix="rnnkit-keras-") as folder:
        file = Path(folder) / "weights.h5"
        with archive.open(entry) as source, file.open("wb") as target:
            left = entry.file_size
            while left > 0 and (block := source.read(min(left, 2**20))):
                target.write(block)
                left -= len(block)
        with file.open("rb") as opened:
            if opened.read(8) != _HDF5:
                raise place.problem(f"{_WEIGHTS} in it is no HDF5 file")
        with _h5(file) as stored:
            yield described, version, NumberedWeights(stored, "", Location(place.file, version=version))


def _entries(archive: zipfile.ZipFile, place: Location) -> dict[str, zipfile.ZipInfo]:
    """Files of an archive by name, once none of them is suspicious."""
    found: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    if len(infos) > _MAX_ENTRIES:
        raise place.problem(f"the archive has {len(infos)} files; expected at most {_MAX_ENTRIES}")
    for entry in infos:
        name = entry.filename
        parts = re.split(r"[/\\]", name)
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise place.problem(f"a file in the archive is named {name[:100]!r}, which leads out of its folder")
        if name in found:
            raise place.problem(f"the archive has two files named {name[:100]!r}")
        if (entry.external_attr >> 16) & 0o170000 == 0o120000:
            raise place.problem(f"{name[:100]!r} in the archive is a link, which is refused")
        if entry.flag_bits & 1:
            raise place.problem(f"{name[:100]!r} in the archive is encrypted")
        if entry.file_size > _FLOOR and entry.file_size > _EXPANSION * entry.compress_size:
            raise place.problem(
                f"{name[:100]!r} in the archive grows from {entry.compress_size:,} to {entry.file_size:,} bytes, which "
                "is refused"
            )
        found[name] = entry
    return found


def _described(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], place: Location
) -> tuple[dict[str, Any], int]:
    if _CONFIG not in entries:
        raise place.problem(f"it has no {_CONFIG}; expected a .keras file")
    texts = {}
    for name in (_CONFIG, _METADATA):
        if name not in entries:
            continue
        if entries[name].file_size > MAX_CONFIG:
            raise place.problem(f"{name} has {entries[name].file_size:,} bytes; expected at most {MAX_CONFIG:,}")
        with archive.open(entries[name]) as opened:
            texts[name] = opened.read(MAX_CONFIG + 1)
        if len(texts[name]) > MAX_CONFIG:
            raise place.problem(f"{name} has more than {MAX_CONFIG:,} bytes")
    metadata = _json(texts[_METADATA].decode("utf-8"), place) if _METADATA in texts else {}
    return _json(texts[_CONFIG].decode("utf-8"), place), _version(metadata.get("keras_version"))


def _version(text: Any) -> int:
    """Keras's major version, 2 for those before."""
    found = re.match(r"\d+", text) if isinstance(text, str) else None
    return 3 if found is None else min(3, max(2, int(found[0][:3])))


def _json(text: str, place: Location) -> dict[str, Any]:
    try:
        return read_json(text)
    except ValueError as error:
        raise place.problem(f"its configuration is no JSON that can be read ({error})") from None


@contextmanager
def _h5(path: Path) -> Iterator[Any]:
    h5py = h5py_module()
    with h5py.File(path, "r", locking=False) as file:
        yield file


def h5py_module() -> Any:
    """Return h5py.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("files of Keras need h5py: pip install 'rnnkit[keras]'") from error
    return h5py


@contextmanager
def _damage(place: Location) -> Iterator[None]:
    """Raise DataError for what the libraries say of damaged files."""
    try:
        yield
    except DataError:
        raise
    except (
        zipfile.BadZipFile, zipfile.LargeZipFile, OSError, EOFError, KeyError, ValueError, TypeError, RuntimeError,
        NotImplementedError, OverflowError, MemoryError, RecursionError, AttributeError, IndexError,
    ) as error:  # fmt: skip
        text = " ".join(str(error).split())[:200]
        raise place.problem(f"it is damaged, or no file of Keras's ({type(error).__name__}: {text})") from error
