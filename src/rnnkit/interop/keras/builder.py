"""What arises while a file is read: modules without memory, and which arrays fill them at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ..finite import is_finite, refuse_not_finite
from .arrays import Array
from .settings import Location

Tensor = torch.Tensor
MAX_NUMBERS = 2**32  # parameters of a model


@dataclass(frozen=True)
class Fill:
    """One parameter or buffer, and what goes into it.

    Attributes:
        module: that has it.
        name: its attribute.
        arrays: of the file; none for zeros.
        change: makes the parameter of the arrays; None takes the one array as it is.
    """

    module: torch.nn.Module
    name: str
    arrays: tuple[Array, ...]
    change: Callable[..., Tensor] | None = None


@dataclass
class Builder:
    """Fills and remarks of a whole model.

    Attributes:
        fills: of all modules.
        notes: what was not taken over, a sentence each.
        frozen: modules whose parameters Keras does not train.
    """

    fills: list[Fill] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    frozen: list[torch.nn.Module] = field(default_factory=list)

    def fill(
        self, module: torch.nn.Module, name: str, *arrays: Array, change: Callable[..., Tensor] | None = None
    ) -> None:
        """Say what goes into a parameter or buffer of a module; zeros without arrays."""
        self.fills.append(Fill(module, name, arrays, change))

    def complete(self, model: torch.nn.Module, place: Location) -> torch.nn.Module:
        """Give the modules memory, and read the arrays into them.

        Args:
            model: made on the device "meta".
            place: of the file.

        Raises:
            DataError: parameters that no array fills, a model that is too large, an array of another shape, or arrays
                that hold what is no finite number.
        """
        wanted = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
        filled = {id(getattr(one.module, one.name)) for one in self.fills}
        if wanted - filled:
            raise place.problem(f"{len(wanted - filled)} parameters of the model have no array")
        numbers = sum(tensor.numel() for tensor in (*model.parameters(), *model.buffers()))
        if numbers > MAX_NUMBERS:
            raise place.problem(f"the model has {numbers:,} parameters; expected at most {MAX_NUMBERS:,}")
        model.to_empty(device="cpu")
        broken: list[str] = []
        with torch.no_grad():
            for one in self.fills:
                target = getattr(one.module, one.name)
                if not one.arrays:
                    target.zero_()
                    continue
                read = [array.read() for array in one.arrays]
                value = read[0] if one.change is None else one.change(*read)
                if value.shape != target.shape:
                    raise one.arrays[0].place.problem(
                        f"the array {one.arrays[0].name} gives {list(value.shape)}; expected {list(target.shape)}"
                    )
                target.copy_(value)
                if not is_finite(target):
                    broken += [
                        array.name for array, found in zip(one.arrays, read, strict=True) if not is_finite(found)
                    ]
        refuse_not_finite(list(dict.fromkeys(broken)), place.file)
        for module in self.frozen:
            module.requires_grad_(False)
        return model
