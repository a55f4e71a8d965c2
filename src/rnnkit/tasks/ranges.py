"""Settings that know their range: types to annotate a field with, and the base class that checks them.

    @dataclass(frozen=True)
    class Fit(Settings):
        group_name: ClassVar[str] = "fit"
        epochs: Count = 10
        clip_norm: Positive | None = None

The range is in the annotation alone. ``rnnkit recipes show`` prints it, and `Settings` refuses values outside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, NamedTuple, get_args, get_type_hints

from ..errors import ConfigError, Setting


class Range(NamedTuple):
    """The numbers that a setting takes; NaN and infinities never.

    Attributes:
        least: the smallest number.
        above: a number that has to be exceeded.
        below: a number that must not be reached.
        whole: whether only whole numbers are taken.

    Example:
        >>> str(Range(least=0, below=1)), 1 in Range(least=0, below=1)
        ('at least 0 and less than 1', False)
    """

    least: float | None = None
    above: float | None = None
    below: float | None = None
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Integral if self.whole else Real) or isinstance(value, bool):
            return False
        number = int(value) if isinstance(value, Integral) else float(value)
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        parts = (("at least", self.least), ("more than", self.above), ("less than", self.below))
        return " and ".join(f"{words} {_shown(number)}" for words, number in parts if number is not None)


def _shown(number: float) -> str:
    return "2**63" if number == 2**63 else f"{number:g}"


Count = Annotated[int, Range(least=1, whole=True)]
Factor = Annotated[float, Range(least=1)]
Positive = Annotated[float, Range(above=0)]
NotNegative = Annotated[float, Range(least=0)]
Share = Annotated[float, Range(least=0, below=1)]
WholeNumber = Annotated[int, Range(least=0, whole=True)]
Seed = Annotated[int, Range(least=0, below=2**63, whole=True)]


def range_of(annotation: Any) -> Range | None:
    """Return the range in an annotation, also in one of a union's members; None where there is none.

    Example:
        >>> range_of(Positive | None), range_of(str)
        (Range(least=None, above=0, below=None, whole=False), None)
    """
    return next(_ranges(annotation), None)


def _ranges(annotation: Any) -> Iterator[Range]:
    for note in getattr(annotation, "__metadata__", ()):
        if isinstance(note, Range):
            yield note
    for member in get_args(annotation):
        yield from _ranges(member)


@cache
def ranges_of(group: type) -> dict[str, Range]:
    """Return the ranges of a dataclass's fields, by the field's name."""
    hints = get_type_hints(group, include_extras=True)
    return {name: found for name, hint in hints.items() if (found := range_of(hint)) is not None}


class Settings:
    """Base of the frozen dataclasses that group settings: each value must be in the range of its annotation.

    Attributes:
        group_name: what the group is called in a recipe, such as "fit" of ``fit.lr``; "" for settings without a group.

    Raises:
        ConfigError: a value outside its range.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Fit(Settings):
        ...     group_name = "fit"
        ...     lr: Positive = 0.1
        >>> Fit(lr=-1)
        Traceback (most recent call last):
        ...
        rnnkit.errors.ConfigError: fit.lr=-1 arrived; expected more than 0
    """

    group_name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        own: Any = type(self)
        for name, allowed in ranges_of(own).items():
            value = getattr(self, name)
            if value is not None and value not in allowed:
                raise ConfigError.about(Setting(self.full_name(name)), f"={value} arrived; expected {allowed}")

    def full_name(self, name: str) -> str:
        """Return a field's name as ``--set`` takes it."""
        return f"{self.group_name}.{name}" if self.group_name else name
