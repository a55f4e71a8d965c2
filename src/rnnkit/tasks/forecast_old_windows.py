"""Windows of what a forecaster learned before, in memory, for a fine-tuning that must not forget it."""

from __future__ import annotations

from typing import Any

from ..data.forecasting.parts import TimeParts
from ..data.forecasting.windows import ForecastWindows
from ..errors import ConfigError, DataError, Place
from ..finetuning.forgetting import resolve_protection
from .forecasting import ForecastPredictor

_MEMORY = 2**28  # bytes of old windows, and of new ones


def needs_old_windows(replay: Any, protect: Any) -> bool:
    """Return whether a fine-tuning with these settings needs windows of what was learned before."""
    protection = resolve_protection(protect)
    return replay is not None or (protection is not None and protection.needs_old_data)


def old_windows(
    predictor: ForecastPredictor, old: TimeParts | None, new: ForecastWindows, replay: Any
) -> dict[str, Any]:
    """Return what `Learner.fine_tune` takes of old windows, and the new ones in memory where they are mixed with these.

    Windows without all of their targets are left out: rows in memory have no weights of single steps.

    Args:
        predictor: as it was trained.
        old: the series of its training and their parts; the first part is learned from.
        new: the windows to learn.
        replay: see `Learner.fine_tune`; None: old windows are measured on alone.

    Raises:
        ConfigError: there are no old series.
        DataError: the new windows are too many for memory, or none has all of its targets.
    """
    if old is None:
        raise ConfigError(
            "replay and protect='ewc' need the series of the first training; pass old=parts, as divide_time returned "
            "them, or hold the weights with protect='l2-sp'"
        )
    most = max(1, _MEMORY // (4 * new.layout.steps * new.layout.channels))
    found: dict[str, Any] = {"old_data": predictor.preprocessing.divide(old)[0].spread(most)}
    if replay is not None:
        if len(new) > most:
            raise DataError(
                f"{len(new):,} windows arrived, and a replay mixes at most {most:,} of this size in memory",
                Place(new.series.source),
                ("leave replay out", "hold the weights with protect='l2-sp' or 'ewc'"),
            )
        found |= {"new_data": new.spread(len(new)), "replay": replay}
    return found
