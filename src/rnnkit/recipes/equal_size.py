"""Networks of about equal size: a number, such as channels, with which one has as many parameters as another."""

from __future__ import annotations

from collections.abc import Callable


def nearest_count(count: Callable[[int], int], wanted: int) -> int:
    """Return the number from 1 on at which a growing function is the nearest to a wanted value.

    Args:
        count: grows with its argument.
        wanted: the value.

    Example:
        >>> nearest_count(lambda channels: channels**2 + 10, 130)
        11
    """
    high = 1
    while count(high) <= wanted:
        high *= 2
    low = high // 2  # count(low) <= wanted < count(high), except where 1 is too many already
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= wanted else (low, middle)
    return min((max(low, 1), high), key=lambda one: abs(count(one) - wanted))
