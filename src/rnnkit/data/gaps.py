"""Missing values: where they are, what replaces them, and how long they have been missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .series import SeriesSet

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Flat:
    """All series one below the other, so that one array operation serves them all.

    Attributes:
        values: float64 [S, channels], S the sum of the lengths.
        lengths: [N].
        starts: [S], for each step the index of its series' first step.
    """

    values: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @staticmethod
    def of(series: SeriesSet) -> Flat:
        lengths = series.lengths
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        return Flat(np.concatenate(series.values).astype(np.float64), lengths, starts)


def fill_forward(flat: Flat, observed: npt.NDArray[np.bool_], mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fill each gap with the last observed value of its channel in its series, before the first one with the mean."""
    last = _last_observed(observed)
    filled: npt.NDArray[np.float64] = np.take_along_axis(flat.values, np.maximum(last, 0), 0)
    return np.where(last >= flat.starts[:, None], filled, mean)


def elapsed(
    flat: Flat, observed: npt.NDArray[np.bool_], step_times: list[npt.NDArray[Any]] | None
) -> npt.NDArray[np.float64]:
    """Return δ [S, channels]: the time since the channel was observed before this step; since the start if never.

    Che et al. 2018, equation 2: 0 at a series' first step, else s[t] − s[t−1], plus δ[t−1] if t−1 was missing.
    """
    steps = np.arange(len(flat.values), dtype=np.float64)
    clock = steps if step_times is None else np.concatenate([seconds(stamps) for stamps in step_times])
    before = np.empty_like(observed)
    before[0], before[1:] = False, observed[:-1]
    # Step t looks at t−1: shift the index of what was last observed by one step.
    last = np.maximum(_last_observed(before) - 1, flat.starts[:, None])
    waited: npt.NDArray[np.float64] = clock[:, None] - clock[last]
    return waited


def median_step(series: SeriesSet) -> float:
    """Return the median time between two steps, in seconds where time stamps are dates; 1 without time stamps."""
    if series.step_times is None:
        return 1.0
    gaps = np.concatenate([np.diff(seconds(stamps)) for stamps in series.step_times])
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def seconds(stamps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return time stamps as numbers: seconds since 1970 if they are dates."""
    if stamps.dtype.kind == "M":
        return stamps.astype("datetime64[us]").astype(np.int64) / 1e6
    return stamps.astype(np.float64)


def _last_observed(observed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return [S, channels]: the index of the last true at or above each place, −1 if there is none."""
    index = np.where(observed, np.arange(len(observed))[:, None], -1)
    last: npt.NDArray[np.int64] = np.maximum.accumulate(index, axis=0)
    return last
