"""The rule of all readers about weights that are no finite numbers: the file is refused, and the arrays are named.

A network with such weights answers NaN, and nothing repairs it: its training diverged, or the file is damaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ..errors import DataError, Place

_SHOWN = 3


def is_finite(tensor: torch.Tensor) -> bool:
    """Return whether all numbers are finite in float32, in which rnnkit computes.

    Example:
        >>> is_finite(torch.tensor([1e300], dtype=torch.float64)), is_finite(torch.tensor([7]))
        (False, True)
    """
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor.float()).all())


def check_finite(weights: Mapping[str, torch.Tensor], source: str) -> None:
    """Raise where an array holds a number that is not finite.

    Args:
        weights: by their names in the file.
        source: the file.

    Raises:
        DataError: see :func:`refuse_not_finite`.

    Example:
        >>> check_finite({"weight_ih_l0": torch.zeros(4, 3)}, "m.pt")
    """
    refuse_not_finite([name for name, one in weights.items() if not is_finite(one)], source)


def refuse_not_finite(names: Sequence[str], source: str) -> None:
    """Raise where there are arrays with numbers that are not finite.

    Args:
        names: of these arrays; none where all is well.
        source: the file.

    Raises:
        DataError: it says how many there are, and names the first three.

    Example:
        >>> refuse_not_finite((), "m.pt")
    """
    if not names:
        return
    shown = ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
    count = "1 array" if len(names) == 1 else f"{len(names)} arrays"
    raise DataError(
        f"{count} of weights with NaN, infinite numbers or numbers beyond float32: {shown}; expected finite numbers. "
        "Its training diverged, or the file is damaged: save the weights of an earlier epoch",
        Place(source),
    )
