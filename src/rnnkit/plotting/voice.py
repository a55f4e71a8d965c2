"""A recording as a detector of voice activity heard it: the waveform, the probability of speech, and the segments."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .palette import BLUE, FAINT, INK, ORANGE
from .style import figure, write

if TYPE_CHECKING:
    import numpy.typing as npt

_WIDTH, _HEIGHT = 7.0, 3.4  # inches
_MOST = 4000  # points of a waveform


def voice_picture(
    samples: npt.NDArray[Any],
    rate: int,
    probabilities: npt.NDArray[Any],
    times: npt.NDArray[Any],
    threshold: float,
    found: Sequence[tuple[float, float]],
    true: Sequence[tuple[float, float]],
    path: str | PathLike[str],
) -> None:
    """Draw the waveform with found and true segments, and the probability of speech over time.

    Args:
        samples: [N].
        rate: samples a second.
        probabilities: of speech, of each frame [T].
        times: of the middles of the frames in seconds, [T].
        threshold: where segments begin.
        found, true: start and end of segments in seconds.
        path: the file to write; its suffix says the format.
    """
    import numpy as np

    drawn = figure(_WIDTH, _HEIGHT)
    upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    every = max(1, len(samples) // _MOST)
    upper.plot(np.arange(0, len(samples), every) / rate, samples[::every], color=INK, linewidth=0.5)
    top = max(float(np.abs(samples).max(initial=0.0)), 1e-6)
    for start, end in found:
        upper.axvspan(start, end, color=BLUE, alpha=0.18, linewidth=0)
    for start, end in true:
        upper.plot([start, end], [1.2 * top, 1.2 * top], color=ORANGE, linewidth=2.5, solid_capstyle="butt")
    upper.set_ylim(-1.1 * top, 1.35 * top)
    upper.set_yticks([])
    lower.plot(times, probabilities, color=BLUE, linewidth=1.0)
    lower.axhline(threshold, color=FAINT, linewidth=0.8, linestyle="--")
    lower.set_ylim(0, 1.02)
    lower.set_ylabel("p(speech)")
    lower.set_xlabel("seconds")
    lower.set_xlim(0, max(len(samples) / rate, 1e-3))
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=8)
    write(drawn, Path(path))
