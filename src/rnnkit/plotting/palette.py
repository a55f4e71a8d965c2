"""The colours and line styles of all pictures. An architecture has one colour in each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

# Okabe and Ito's colours, which colour-blind readers can distinguish; the last ones where there are many lines.
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B88A00", "#56B4E9"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, BLACK, FAINT, GRID, PAPER = "#222222", "#000000", "#8a8a8a", "#e6e6e6", "#ffffff"
# The first pattern found in a name counts: "SimpleRNN relu" has the colour of SimpleRNN.
ARCHITECTURES = {
    r"LSTM|(?<![a-z])lstm(?![a-z])": ORANGE,
    r"GRU|(?<![a-z])gru(?![a-z])": GREEN,
    r"RNN|(?<![a-z])(?:simple)?rnn(?![a-z])": BLUE,
    r"ReLU|(?<![a-z])relu(?![a-z])": PURPLE,
    r"(?<![a-z])tanh(?![a-z])": BLUE,
}
# None is dotted: an LSTM's gradient of c is, beside that of h.
STYLES: tuple[Any, ...] = ("-", "--", "-.", (0, (7, 1, 1, 1, 1, 1)))


class Look(NamedTuple):
    """The colour and the line style of a curve."""

    colour: str
    style: Any


def architecture_colour(name: str) -> str | None:
    """Return the colour of the architecture in a name; None where it names none.

    Example:
        >>> architecture_colour("runs/lstm-2") == ORANGE, architecture_colour("congruent")
        (True, None)
    """
    return next((colour for part, colour in ARCHITECTURES.items() if re.search(part, name)), None)


def looks_of(names: Iterable[str], palette: Sequence[str] = COLOURS) -> list[Look]:
    """Return a look for each name: the colour of its architecture, else one that no architecture has.

    Names of one colour have different line styles. Where no name has an architecture, all colours are free.

    Example:
        >>> looks = looks_of(["GRU", "mine", "LSTM", "LSTM, chrono"])
        >>> [look.colour for look in looks] == [GREEN, YELLOW, ORANGE, ORANGE], [look.style for look in looks]
        (True, ['-', '-', '-', '--'])
        >>> [look.colour for look in looks_of(["a", "b"])] == [BLUE, ORANGE]
        True
    """
    found = [architecture_colour(name) for name in names]
    taken = set(ARCHITECTURES.values()) if any(found) else set()
    free = [colour for colour in palette if colour not in taken]
    others = 0
    looks: list[Look] = []
    for colour in found:
        if colour is None:
            colour, others = free[others % len(free)], others + 1
        same = sum(look.colour == colour for look in looks)
        looks.append(Look(colour, STYLES[same % len(STYLES)]))
    return looks


def widths(count: int) -> list[float]:
    """Return a line width for each of several curves, the first the widest: curves that coincide are all seen.

    Example:
        >>> widths(1), widths(3)
        ([1.4], [2.6, 2.0, 1.4])
    """
    step = min(0.6, 1.8 / max(1, count - 1))
    return [round(1.4 + step * (count - 1 - at), 3) for at in range(count)]
