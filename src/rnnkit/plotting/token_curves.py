"""The probabilities of tokens over the steps of a recogniser, as curves with the tokens' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .palette import COLOURS

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_LINES = 12  # tokens that are drawn
_SEEN = 0.05  # a token is drawn where it is so likely at some step


def draw_token_curves(
    axes: Axes, places: npt.NDArray[Any], probabilities: npt.NDArray[Any], tokens: Sequence[str]
) -> None:
    """Draw a curve for each token that is likely somewhere, but for token 0, the blank.

    Args:
        axes: where to draw.
        places: of the steps on the horizontal axis [T'].
        probabilities: of each token at each step [T', V].
        tokens: as they are written, [V].
    """
    import numpy as np

    peaks = probabilities.max(0)
    shown = [token for token in np.argsort(-peaks).tolist() if token and peaks[token] > _SEEN][:_LINES]
    for number, token in enumerate(sorted(shown)):
        line = COLOURS[number % len(COLOURS)]
        axes.plot(places, probabilities[:, token], color=line, linewidth=1.2)
        at = int(probabilities[:, token].argmax())
        name = tokens[token] if tokens[token].strip() else "␣"
        axes.text(places[at], min(1.0, peaks[token]) + 0.03, name, fontsize=8, color=line, ha="center")
    axes.set_ylim(0, 1.25)
    axes.set_ylabel("probability")
