"""Whether series are counts, which a negative binomial distribution needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.forecasting.series import TimeSeries
from ..data.forecasting.stamps import shown
from ..errors import DataError, Place

_COUNTS = "negative_binomial"
_SHOWN = 3  # rows


def check_counts(series: TimeSeries, output: Any) -> None:
    """Raise DataError for targets that are no counts where a model's output is one of counts.

    Args:
        series: what should be learned.
        output: the name of a distribution, as `output=` of a forecaster has it.

    Example:
        >>> check_counts(TimeSeries.from_arrays([[1.0, 2.5, 3.0, -1.0]]), "negative_binomial")
        Traceback (most recent call last):
        ...
        rnnkit.errors.DataError: 2 of 4 targets are no counts: 2.5 at 1, -1 at 3 of the series '0'; \
output negative_binomial expects whole numbers of at least 0; take the output student_t or gaussian, or give counts
    """
    if output != _COUNTS:
        return
    wrong = [np.flatnonzero((target < 0) | (target % 1 > 0)) for target in series.targets]  # NaN is neither
    found = sum(map(len, wrong))
    if not found:
        return
    rows = [(row, int(at)) for row, steps in enumerate(wrong) for at in steps[:_SHOWN]][:_SHOWN]
    named = []
    for number, (row, at) in enumerate(rows):
        last = number + 1 == len(rows) or rows[number + 1][0] != row
        of = f" of the series {series.ids[row]!r}" if last else ""
        named.append(f"{series.targets[row][at]:g} at {shown(series.times[row][at], series.time_zone)}{of}")
    whole = sum(int((~np.isnan(target)).sum()) for target in series.targets)
    more = f" and {found - len(rows):,} more" if found > len(rows) else ""
    joined = ("join rows by their sum, not by their mean (duplicates)",) if series.joined else ()
    raise DataError(
        f"{found:,} of {whole:,} targets are no counts: {', '.join(named)}{more}; output {_COUNTS} expects whole "
        "numbers of at least 0",
        Place(series.source),
        (*joined, "take the output student_t or gaussian", "give counts"),
    )
