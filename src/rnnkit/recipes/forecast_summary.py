"""The errors of single steps of the horizon, the network's beside those of the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ..tasks.forecast_numbers import figure_text
from ..tasks.forecast_report import NETWORK

if TYPE_CHECKING:
    from ..data.forecasting import Frequency
    from ..tasks.forecast_scores import ForecastScores

_FIGURES = ("mae", "mse")
_SHOWN = ("persistence", "climatology", "ridge", "dlinear")  # and the seasonal ones
Ahead = dict[str, dict[str, dict[str, float]]]


def steps_ahead(scores: ForecastScores, baselines: Mapping[str, ForecastScores], steps: Sequence[int]) -> Ahead:
    """Return step → "network" or a baseline → "mae" and "mse" of that step alone.

    Args:
        scores: the network's.
        baselines: by their names.
        steps: from 1 on; those after the horizon are left out.
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


def tell_errors(
    scores: ForecastScores,
    baselines: Mapping[str, ForecastScores],
    ahead: Ahead,
    frequency: Frequency,
    figure: Literal["mae", "mse"] = "mae",
) -> list[str]:
    """Return the errors of all steps in a sentence, and those of single steps in one each.

    Args:
        scores, baselines: of all steps.
        ahead: what `steps_ahead` returned; where it is empty there are no sentences.
        frequency: of the steps.
        figure: which error.

    Example:
        >>> import numpy as np
        >>> from rnnkit.data.forecasting import Frequency
        >>> from rnnkit.tasks.forecast_scores import ScoreSums
        >>> found = {}
        >>> for name, error in (("network", 1.0), ("persistence", 3.0), ("drift", 4.0)):
        ...     sums = ScoreSums(horizon=2)
        ...     sums.add(np.zeros((1, 2)), np.array([[error, 2 * error]]))
        ...     found[name] = sums.result()
        >>> network = found.pop("network")
        >>> tell_errors(network, found, steps_ahead(network, found, (2,)), Frequency("day"))
        ['All 2 steps: MAE 1.5; persistence 4.5.', '2 days ahead: MAE 2; persistence 6.']
    """
    if not ahead:
        return []
    whole = {name: one.figures for name, one in ({NETWORK: scores} | dict(baselines)).items()}
    unit = "step" if frequency.unit == "number" else frequency.unit
    told = [_tell(f"All {len(scores.by_step['mae'])} steps", whole, figure)]
    for step, found in ahead.items():
        count = int(step) * frequency.count
        told.append(_tell(f"{count} {unit}{'' if count == 1 else 's'} ahead", found, figure))
    return told


def _tell(what: str, found: Mapping[str, Mapping[str, float]], figure: str) -> str:
    beside = [
        f"{name.replace('_', ' ')} {figure_text(one[figure])}"
        for name, one in found.items()
        if name in _SHOWN or name.startswith("seasonal_")
    ]
    return f"{what}: {figure.upper()} {figure_text(found[NETWORK][figure])}; {', '.join(beside)}."
