"""Arrays of an HDF5 file that is not trusted.

Only hard links are followed, one component at a time. A dataset must hold its own numbers: no external storage, no
virtual dataset, no filter but the usual compression, no shape that far exceeds what the file stores. Nothing is read
before its shape was compared with what the configuration says.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from typing import Any

import torch

from .settings import Location

_FILTERS = {1, 2, 3}  # deflate, shuffle, fletcher32
_FLOOR = 2**24  # bytes below which a shape is no attack
_EXPANSION = 100  # bytes of an array for each byte stored
MAX_NAMES = 4096  # links of a group, and names in an attribute
_MAX_TEXT = 2**24  # bytes of a configuration
_MAX_MEMORY = 2**27  # bytes that reading an attribute may take


@dataclass(frozen=True)
class Array:
    """One dataset, not read yet.

    Attributes:
        dataset: of h5py.
        name: its path in the file.
        place: for messages.
    """

    dataset: Any
    name: str
    place: Location

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape as the file says."""
        return tuple(self.dataset.shape)

    def expect(self, what: str, *shape: int | None) -> Array:
        """Return itself where its shape fits; None is any size from 1 on.

        Raises:
            DataError: another shape.
        """
        found = self.shape
        if len(found) != len(shape) or any(
            size < 1 or (wanted is not None and size != wanted) for size, wanted in zip(found, shape, strict=False)
        ):
            wanted_text = ", ".join("any" if one is None else str(one) for one in shape)
            raise self.place.problem(f"the array {self.name} has shape {list(found)}; {what} expects [{wanted_text}]")
        return self

    def read(self) -> torch.Tensor:
        """Return its numbers as float32, or float64 where the file has those."""
        found = torch.from_numpy(self.dataset[()])
        return found if found.dtype == torch.float64 else found.float()


def child_group(parent: Any, name: str, place: Location) -> Any | None:
    """Return the group of that name in a group; None where there is none.

    Raises:
        DataError: a link that is no hard link, or no group.
    """
    found = _member(parent, name, place)
    if found is None:
        return None
    import h5py

    if not isinstance(found, h5py.Group):
        raise place.problem(f"{name} in {parent.name} is no group of arrays")
    return found


def child_array(parent: Any, name: str, place: Location) -> Array | None:
    """Return the array of that name in a group; None where there is none.

    Raises:
        DataError: a link that is no hard link, no array, or one that is not safe to read.
    """
    import h5py

    found = _member(parent, name, place)
    if found is None:
        return None
    if not isinstance(found, h5py.Dataset):
        raise place.problem(f"{name} in {parent.name} is no array")
    _check(found, place)
    return Array(found, str(found.name), place)


def path_array(parent: Any, path: str, place: Location) -> Array:
    """Return the array at a path with several components below a group.

    Raises:
        DataError: there is none, or it is not safe.
    """
    *groups, last = path.split("/")
    for name in groups:
        parent = child_group(parent, name, place)
        if parent is None:
            raise place.problem(f"the array {path} is missing")
    found = child_array(parent, last, place)
    if found is None:
        raise place.problem(f"the array {path} is missing")
    return found


def member_names(group: Any, place: Location) -> list[str]:
    """Return the names in a group.

    Raises:
        DataError: there are too many.
    """
    if len(group) > MAX_NAMES:
        raise place.problem(f"{group.name} has {len(group)} members; expected at most {MAX_NAMES}")
    return [str(name) for name in group]


def text_attribute(group: Any, name: str, place: Location) -> str | None:
    """Return a text that stands in an attribute; None where there is none.

    Raises:
        DataError: it is no single text, or a very long one.
    """
    if name not in group.attrs:
        return None
    identifier = group.attrs.get_id(name)
    if identifier.shape != () or identifier.dtype.kind not in "SOU" or identifier.dtype.itemsize > _MAX_TEXT:
        raise place.problem(f"the attribute {name} is no text")
    found = group.attrs[name]
    if isinstance(found, bytes):
        found = found.decode("utf-8", "replace")
    if not isinstance(found, str) or len(found) > _MAX_TEXT:
        raise place.problem(f"the attribute {name} is no text of at most {_MAX_TEXT} characters")
    return found


def text_attributes(group: Any, name: str, place: Location) -> list[str]:
    """Return the texts of a list in an attribute, or in several named ``name0``, ``name1``, …, as long lists are.

    Raises:
        DataError: it is missing, no list of texts, or very long.
    """
    parts = [name] if name in group.attrs else []
    while not parts or parts[-1] != name:
        numbered = f"{name}{len(parts)}"
        if numbered not in group.attrs or len(parts) > MAX_NAMES:
            break
        parts.append(numbered)
    if not parts:
        raise place.problem(f"{group.name} has no attribute {name}")
    texts: list[str] = []
    for part in parts:
        identifier = group.attrs.get_id(part)
        size = math.prod(identifier.shape)
        if len(identifier.shape) != 1 or size > MAX_NAMES or size * identifier.dtype.itemsize > _MAX_TEXT:
            raise place.problem(f"the attribute {part} of {group.name} is no list of at most {MAX_NAMES} names")
        if not size:
            continue
        if identifier.dtype.kind not in "SOU":
            raise place.problem(f"the attribute {part} of {group.name} is no list of names")
        longest = _longest_text(group.file.filename) if identifier.dtype.kind == "O" else 0
        if size * longest > _MAX_MEMORY:
            raise place.problem(
                f"the attribute {part} of {group.name} lists {size} texts of up to {longest:,} bytes; save the model "
                "as a .keras file"
            )
        for one in group.attrs[part]:
            text = one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)
            if len(text) > 1000:
                raise place.problem(f"the attribute {part} of {group.name} holds a name of {len(text)} characters")
            texts.append(text)
    return texts


def _longest_text(path: str) -> int:
    """The most bytes that a text of variable length in an HDF5 file can have.

    Such texts lie in heaps, which begin with "GCOL", a version and their size. Several texts may be one and the same
    place of a heap, so the size of the file limits nothing.
    """
    longest = 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(b"GCOL\x01\0\0\0")
        while at >= 0:
            size = int.from_bytes(data[at + 8 : at + 16], "little")
            longest = max(longest, size if size <= len(data) - at else 0)
            at = data.find(b"GCOL\x01\0\0\0", at + 8)
    return longest


def _member(parent: Any, name: str, place: Location) -> Any | None:
    import h5py

    if not name or "/" in name or name in (".", "..") or "\0" in name:
        raise place.problem(f"{name!r} is no name of a group or an array")
    link = parent.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise place.problem(f"{name} in {parent.name} is a link to elsewhere ({type(link).__name__}), which is refused")
    return parent[name]


def _check(dataset: Any, place: Location) -> None:
    name = dataset.name
    if dataset.external or dataset.is_virtual:
        raise place.problem(f"the numbers of {name} stand in another file, which is refused")
    if dataset.shape is None:
        raise place.problem(f"the array {name} is empty")
    kind = dataset.dtype
    if kind.kind not in "fiu" or kind.itemsize > 8:
        raise place.problem(f"the array {name} holds {kind}; expected float32 numbers")
    plist = dataset.id.get_create_plist()
    others = {plist.get_filter(number)[0] for number in range(plist.get_nfilters())} - _FILTERS
    if others:
        raise place.problem(f"the array {name} is compressed by filter {min(others)}; expected gzip or none")
    size = math.prod(dataset.shape) * kind.itemsize
    stored = dataset.id.get_storage_size()
    chunk = 0 if dataset.chunks is None else math.prod(dataset.chunks) * kind.itemsize
    if (size and not stored) or (size > _FLOOR and size > _EXPANSION * stored) or chunk > max(_FLOOR, 2 * size):
        raise place.problem(
            f"the array {name} has shape {list(dataset.shape)}, {size:,} bytes, of which the file stores {stored:,}; "
            "that is refused"
        )
