"""What the channels of a forecaster's input are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from ...errors import ConfigError, check_choice, check_whole, suggest

Kind = Literal["target", "past", "known", "observed", "static", "series"]
_KINDS = ("target", "past", "known", "observed", "static", "series")


@dataclass(frozen=True)
class WindowLayout:
    """The channels of a window x [B, L + H, C], in this order:

    | kind         | channels                                            | in the last H steps |
    | ------------ | --------------------------------------------------- | ------------------- |
    | `"target"`   | the series itself                                   | 0                   |
    | `"past"`     | covariates that are known when they were measured   | 0                   |
    | `"known"`    | covariates that are known in advance, calendar too  | given               |
    | `"observed"` | 1 where the target was observed, else 0             | 0                   |
    | `"static"`   | numbers of a series, the same in all steps          | given               |
    | `"series"`   | the number of the series, 0 for an unknown one      | given               |

    Legend: B windows, L lookback steps, H horizon steps, C channels.

    Attributes:
        lookback: L.
        horizon: H.
        past, known, static: the names of the covariates.
        observed: whether there is a channel "observed".
        series: the number of series that were known at training; with 0 there is no channel "series".

    Raises:
        ConfigError: L or H below 1, a negative number of series, or the same name twice.

    Example:
        >>> layout = WindowLayout(lookback=96, horizon=24, past=("wind",), known=("hour_sin", "hour_cos"), series=7)
        >>> layout.channels, layout.columns("known"), layout.columns("static")
        (5, slice(2, 4, None), slice(4, 4, None))
        >>> WindowLayout.from_json(layout.to_json()) == layout
        True
    """

    lookback: int
    horizon: int
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    observed: bool = False
    series: int = 0

    def __post_init__(self) -> None:
        check_whole(self.lookback, "lookback")
        check_whole(self.horizon, "horizon")
        check_whole(self.series, "series", 0)
        for kind in ("past", "known", "static"):
            object.__setattr__(self, kind, tuple(getattr(self, kind)))
        names = (*self.past, *self.known, *self.static)
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise ConfigError(f"the covariate {double[0]!r} arrived twice; expected each name once")

    @property
    def steps(self) -> int:
        """The steps of a window, L + H."""
        return self.lookback + self.horizon

    @property
    def channels(self) -> int:
        """C, the channels of a window."""
        return sum(self._widths())

    def columns(self, kind: Kind) -> slice:
        """Return the channels of one kind; an empty slice where there are none.

        Raises:
            ConfigError: there is no such kind.
        """
        check_choice(kind, "kind", _KINDS)
        widths, at = self._widths(), _KINDS.index(kind)
        begin = sum(widths[:at])
        return slice(begin, begin + widths[at])

    def _widths(self) -> tuple[int, ...]:
        return 1, len(self.past), len(self.known), int(self.observed), len(self.static), int(self.series > 0)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> WindowLayout:
        """Return the layout that `to_json` stored.

        Raises:
            ConfigError: an attribute that a layout has not.
        """
        known = [field.name for field in fields(WindowLayout)]
        for name in stored:
            if name not in known:
                raise ConfigError(f"a layout has no attribute {name!r}{suggest(name, known)}")
        return WindowLayout(**stored)
