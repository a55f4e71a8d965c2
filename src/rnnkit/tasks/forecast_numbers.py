"""How figures of forecasts are written in sentences and tables."""

from __future__ import annotations

_LARGE = 1e12


def figure_text(value: float) -> str:
    """Return a number with four digits, from 1,000 on as a whole one, without powers of ten unless it is huge or tiny.

    Example:
        >>> [figure_text(one) for one in (0.47917, 470.57, 1956.3, 448310.2, 2.5e13)]
        ['0.4792', '470.6', '1,956', '448,310', '2.5e+13']
    """
    return f"{value:,.0f}" if 1000 <= abs(value) < _LARGE else f"{value:.4g}"
