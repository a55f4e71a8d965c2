"""The errors of single steps of the horizon, the network's beside those of the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..data.forecasting import Frequency
    from ..tasks.forecast_scores import ForecastScores

NETWORK = "network"
_FIGURES = ("mae", "mse")
_SHOWN = ("persistence", "climatology", "ridge", "dlinear")  # and the seasonal ones
Ahead = dict[str, dict[str, dict[str, float]]]


def steps_ahead(scores: ForecastScores, baselines: Mapping[str, ForecastScores], steps: Sequence[int]) -> Ahead:
    """Return step → "network" or a baseline → "mae" and "mse" of that step alone.

    Args:
        scores: the network's.
        baselines: by their names.
        steps: from 1 on; those behind the horizon are left out.
    """
    everyone = {NETWORK: scores} | dict(baselines)
    horizon = len(scores.by_step["mae"])
    return {
        str(step): {
            name: {figure: float(one.by_step[figure][step - 1]) for figure in _FIGURES}
            for name, one in everyone.items()
        }
        for step in steps
        if step <= horizon
    }


def tell_step(step: str, found: Mapping[str, Mapping[str, float]], frequency: Frequency) -> str:
    """Return the errors of a step in a sentence.

    Example:
        >>> from rnnkit.data.forecasting import Frequency
        >>> found = {"network": {"mae": 2.0512}, "persistence": {"mae": 3.0}, "ridge": {"mae": 2.1}}
        >>> tell_step("3", found, Frequency("day"))
        '3 days ahead: MAE 2.051; persistence 3, ridge 2.1.'
    """
    count = int(step) * frequency.count
    unit = "step" if frequency.unit == "number" else frequency.unit
    beside = [
        f"{name.replace('_', ' ')} {one['mae']:.4g}"
        for name, one in found.items()
        if name in _SHOWN or name.startswith("seasonal_")
    ]
    return f"{count} {unit}{'' if count == 1 else 's'} ahead: MAE {found[NETWORK]['mae']:.4g}; {', '.join(beside)}."
