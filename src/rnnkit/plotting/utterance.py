"""An utterance as a recogniser heard it: the waveform, the features, and the probabilities of tokens over time."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .palette import BLUE, FAINT, INK
from .style import figure, write
from .token_curves import draw_token_curves

if TYPE_CHECKING:
    import numpy.typing as npt

_WIDTH, _HEIGHT = 7.0, 5.4  # inches
_MOST = 4000  # points of a waveform


def utterance_picture(
    samples: npt.NDArray[Any],
    rate: int,
    features: npt.NDArray[Any],
    probabilities: npt.NDArray[Any],
    tokens: Sequence[str],
    words: Sequence[tuple[str, float, float]],
    path: str | PathLike[str],
    *,
    step: float,
) -> None:
    """Draw waveform, features and the probabilities of tokens, with the recognised words above.

    Args:
        samples: [N].
        rate: samples a second.
        features: [T, M].
        probabilities: of each token at each step [T', V]; token 0 is the blank.
        tokens: as they are written, [V].
        words: (text, start, end) in seconds.
        path: the file to write; its suffix says the format.
        step: seconds of a step.
    """
    import numpy as np

    seconds = len(samples) / rate
    drawn = figure(_WIDTH, _HEIGHT)
    upper, middle, lower = drawn.subplots(3, 1, sharex=True, height_ratios=(1, 1.6, 1.4))
    every = max(1, len(samples) // _MOST)
    upper.plot(np.arange(0, len(samples), every) / rate, samples[::every], color=INK, linewidth=0.5)
    upper.set_yticks([])
    top = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    upper.set_ylim(-1.1 * top, 1.6 * top)
    for text, start, end in words:
        upper.axvspan(start, max(end, start + step), color=BLUE, alpha=0.15, linewidth=0)
        upper.text(start, 1.15 * top, text, fontsize=8, color=INK, va="bottom")
    middle.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        extent=(0, seconds, 0, features.shape[1]),
        rasterized=True,
    )
    middle.set_ylabel("band")
    times = (np.arange(len(probabilities)) + 1) * step
    draw_token_curves(lower, times, probabilities, tokens)
    lower.set_xlabel("seconds")
    lower.set_xlim(0, max(seconds, float(times[-1]) if len(times) else 0.0))
    for axes in (upper, middle, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    write(drawn, Path(path))
