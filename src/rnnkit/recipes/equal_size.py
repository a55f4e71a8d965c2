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


def equal_channels(parameters: int, features: int, layers: int, kernel_size: int, outputs: int) -> int:
    """Return the channels C with which convolutions over steps and a head have about as many parameters as wanted.

    A layer of I inputs has C (k I + 3) parameters, its normalisation among them, and the head outputs · (C + 1).

    Args:
        parameters: wanted, of convolutions and head.
        features: I of the first layer.
        layers: convolutions, one above the other.
        kernel_size: k steps.
        outputs: of the head.

    Example:
        >>> equal_channels(100_000, 64, 1, 5, 10)
        300
    """

    def count(channels: int) -> int:
        inner = channels * (kernel_size * features + 3) + (layers - 1) * channels * (kernel_size * channels + 3)
        return inner + outputs * (channels + 1)

    return nearest_count(count, parameters)
