"""Which arrays of a file belong to which layer.

Keras 3 (and the .keras files of Keras 2.12 on) store a layer's arrays at its path in the model, numbered:
``layers/lstm/cell/vars/0``. Older .h5 files list the arrays of each layer of the model by name, in an attribute of the
layer's group; layers inside it take theirs one after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from .arrays import Array, child_array, child_group, member_names, path_array, text_attributes
from .settings import Location

# Keras's names of arrays, by which those of old files are checked.
_KNOWN = {
    "kernel", "recurrent_kernel", "bias", "embeddings", "gamma", "beta", "moving_mean", "moving_variance", "alpha",
    "depthwise_kernel", "pointwise_kernel", "mean", "variance", "count",
}  # fmt: skip


class LayerWeights(Protocol):
    """Arrays of a layer, and of the layers in it."""

    def take(self, names: tuple[str, ...], place: Location) -> list[Array]:
        """Return the layer's own arrays, in Keras's order.

        Args:
            names: Keras's names of them; there must be as many.
            place: of the layer.
        """
        ...

    def child(self, *attributes: str) -> LayerWeights:
        """Return the arrays of a layer in it.

        Args:
            *attributes: of Keras's objects, such as "cell".
        """
        ...

    def members(self, classes: Iterable[str], names: Iterable[str]) -> list[LayerWeights]:
        """Return the arrays of each layer of a container.

        Args:
            classes: the layers' classes, in their order.
            names: the layers' names.
        """
        ...


class NumberedWeights:
    """Arrays at the path of a layer.

    Args:
        group: of h5py; None where the file has none for the layer.
        path: for messages.
    """

    def __init__(self, group: Any | None, path: str, place: Location) -> None:
        self._group, self._path, self._place = group, path, place

    def take(self, names: tuple[str, ...], place: Location) -> list[Array]:
        """Return the arrays ``vars/0``, ``vars/1``, …; see :class:`LayerWeights`."""
        stored = None if self._group is None else child_group(self._group, "vars", place)
        found = [] if stored is None else member_names(stored, place)
        if sorted(found) != sorted(str(number) for number in range(len(names))):
            raise place.problem(
                f"the file has {len(found)} arrays at {self._path}/vars; expected {len(names)}: {', '.join(names)}"
            )
        arrays = [child_array(stored, str(number), place) for number in range(len(names))]
        return [one for one in arrays if one is not None]

    def child(self, *attributes: str) -> NumberedWeights:
        """Return those of a layer in it; see :class:`LayerWeights`."""
        group, path = self._group, self._path
        for attribute in attributes:
            group = None if group is None else child_group(group, attribute, self._place)
            path = f"{path}/{attribute}" if path else attribute
        return NumberedWeights(group, path, self._place)

    def members(self, classes: Iterable[str], names: Iterable[str]) -> list[LayerWeights]:
        """Return those of a container's layers, whose groups are named by class and number."""
        counts: dict[str, int] = {}
        found: list[LayerWeights] = []
        for kind in classes:
            name = snake_case(kind)
            count = counts.get(name, 0)
            counts[name] = count + 1
            found.append(self.child(f"{name}_{count}" if count else name))
        return found

    def layers(self) -> NumberedWeights:
        """Return the container of a model's layers, as different versions name it."""
        for name in ("layers", "_layer_checkpoint_dependencies"):
            if self._group is not None and child_group(self._group, name, self._place) is not None:
                return self.child(name)
        return self.child("layers")


class ListedWeights:
    """Arrays of one layer of an old file, in their order.

    Args:
        entries: each array with its name in the file, ``dense_1/kernel:0``.
    """

    def __init__(self, entries: list[tuple[str, Array]]) -> None:
        self._entries = entries

    def take(self, names: tuple[str, ...], place: Location) -> list[Array]:
        """Return the next arrays; see :class:`LayerWeights`."""
        if len(self._entries) < len(names):
            raise place.problem(f"the file has {len(self._entries)} arrays more; expected {', '.join(names)}")
        taken = []
        for name in names:
            stored, array = self._entries.pop(0)
            last = re.sub(r"(:\d+)$", "", stored.rpartition("/")[2])
            if last in _KNOWN and last != name:
                raise place.problem(f"the file has the array {stored} where {name} was expected")
            taken.append(array)
        return taken

    def child(self, *attributes: str) -> ListedWeights:
        """Return itself: layers inside a layer take theirs one after another."""
        return self

    def members(self, classes: Iterable[str], names: Iterable[str]) -> list[LayerWeights]:
        """Return those of a model's layers, whose names stand in the arrays' names."""
        found: list[LayerWeights] = []
        for name in names:
            own = [entry for entry in self._entries if name in entry[0].split("/")]
            self._entries[:] = [entry for entry in self._entries if entry not in own]
            found.append(ListedWeights(own))
        return found

    def layers(self) -> ListedWeights:
        """Return itself."""
        return self

    def finish(self, place: Location) -> None:
        """Refuse arrays that no layer took."""
        if self._entries:
            raise place.problem(f"the file has an array that the layer does not have: {self._entries[0][0]}")


class ModelWeights:
    """Arrays of an old file, layer by layer of the model.

    Args:
        root: the group with the attribute ``layer_names``.
        place: of the file.
    """

    def __init__(self, root: Any, place: Location) -> None:
        self._root, self._place = root, place
        self._names = set(text_attributes(root, "layer_names", place))
        self._made: list[tuple[str, ListedWeights]] = []

    def members(self, classes: Iterable[str], names: Iterable[str]) -> list[LayerWeights]:
        """Return those of each layer; see :class:`LayerWeights`."""
        return [self._of(name) for name in names]

    def layers(self) -> ModelWeights:
        """Return itself."""
        return self

    def finish(self) -> None:
        """Refuse arrays that no layer took."""
        for name, weights in self._made:
            weights.finish(self._place.inside(f"layer {name!r}"))

    def _of(self, name: str) -> ListedWeights:
        place = self._place.inside(f"layer {name!r}")
        entries: list[tuple[str, Array]] = []
        if name in self._names:
            group: Any = self._root
            for part in name.split("/"):  # names with a slash are nested groups
                group = child_group(group, part, place)
                if group is None:
                    raise place.problem("the file has no arrays of it")
            entries = [(one, path_array(group, one, place)) for one in text_attributes(group, "weight_names", place)]
        found = ListedWeights(entries)
        self._made.append((name, found))
        return found

    def take(self, names: tuple[str, ...], place: Location) -> list[Array]:
        """Return nothing: a model has no arrays of its own."""
        return []

    def child(self, *attributes: str) -> ModelWeights:
        """Return itself."""
        return self


def snake_case(name: str) -> str:
    """Return a class's name as Keras writes it in paths.

    Example:
        >>> snake_case("GlobalAveragePooling1D"), snake_case("LSTM"), snake_case("TimeDistributed")
        ('global_average_pooling1d', 'lstm', 'time_distributed')
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", name).lower()
