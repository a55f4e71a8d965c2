"""Scales of targets: measured on the training part, stored with a model, and inverted to the user's units.

Legend: S series, W windows, H horizon steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import DataError, check_choice

if TYPE_CHECKING:
    import numpy.typing as npt

Method = Literal["standard", "mean", "none"]
_METHODS = ("standard", "mean", "none")


@dataclass(frozen=True)
class Scaling:
    """z = (y − center) / scale, with one center and scale a series, or the same for all.

    "standard": the mean and the standard deviation. "mean": 0 and 1 + mean |y|, as in DeepAR (Salinas et al. 2020;
    absolute values are a variant, so that series around 0 have a scale, too). "none": 0 and 1. Missing values do not
    count. A constant series keeps scale 1 with "standard".

    Attributes:
        method: see above.
        by: "series", or "all" for the same numbers in all series.
        ids: of the series that were measured.
        centers, scales: of each of them.
        center, scale: of all of them together; for series without a value.

    Example:
        >>> scaling = Scaling.fit([np.array([1.0, 3.0]), np.array([10.0, np.nan, 30.0])], ["a", "b"])
        >>> scaling.of(["b"]), scaling.of(["new"], [np.array([0.0, 2.0])])
        ((array([20.]), array([10.])), (array([1.]), array([1.])))
        >>> Scaling.from_json(scaling.to_json()) == scaling
        True
    """

    method: Method
    by: Literal["series", "all"]
    ids: tuple[str, ...]
    centers: tuple[float, ...]
    scales: tuple[float, ...]
    center: float
    scale: float

    @staticmethod
    def fit(
        targets: Sequence[npt.NDArray[np.float64]],
        ids: Sequence[str],
        *,
        method: Method = "standard",
        by: Literal["series", "all"] = "series",
    ) -> Scaling:
        """Measure the training part.

        Args:
            targets: of each series; an array may be empty.
            ids: of the series.
            method, by: see the attributes.

        Raises:
            ConfigError: no such method.
            DataError: no series has an observed target.
        """
        check_choice(method, "method", _METHODS)
        check_choice(by, "by", ("series", "all"))
        whole = np.concatenate(list(targets))
        if np.isnan(whole).all():
            raise DataError(f"none of {len(whole):,} training targets was observed; the scale cannot be measured")
        center, scale = _measure(whole, method)
        each = [_measure(one, method, (center, scale)) for one in targets] if by == "series" else []
        return Scaling(
            method,
            by,
            tuple(ids),
            tuple(one for one, _ in each),
            tuple(one for _, one in each),
            center,
            scale,
        )

    def of(
        self, ids: Sequence[str], targets: Sequence[npt.NDArray[np.float64]] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return centers and scales [S] of series.

        Args:
            ids: of the series.
            targets: what is known of them: an id that was not measured is measured on these.
        """
        known = {name: at for at, name in enumerate(self.ids)}
        found = []
        for row, name in enumerate(ids):
            if self.by == "all":
                found.append((self.center, self.scale))
            elif name in known:
                found.append((self.centers[known[name]], self.scales[known[name]]))
            elif targets is None:
                found.append((self.center, self.scale))
            else:
                found.append(_measure(targets[row], self.method, (self.center, self.scale)))
        centers, scales = np.array(found, np.float64).reshape(-1, 2).T
        return centers.copy(), scales.copy()

    def with_series(self, ids: Sequence[str], targets: Sequence[npt.NDArray[np.float64]]) -> Scaling:
        """Return a scaling that has measured further series, too; those that it knows keep their scale.

        Args:
            ids: of the series.
            targets: of their training part.
        """
        new = [row for row, name in enumerate(ids) if name not in self.ids]
        each = [_measure(targets[row], self.method, (self.center, self.scale)) for row in new]
        if self.by == "all":
            each = []
        return replace(
            self,
            ids=(*self.ids, *(ids[row] for row in new)),
            centers=(*self.centers, *(center for center, _ in each)),
            scales=(*self.scales, *(scale for _, scale in each)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        return {
            "method": self.method,
            "by": self.by,
            "ids": list(self.ids),
            "centers": list(self.centers),
            "scales": list(self.scales),
            "center": self.center,
            "scale": self.scale,
        }

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Scaling:
        """Return the scaling that `to_json` stored."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        return Scaling(**values)


def _measure(
    values: npt.NDArray[np.float64], method: Method, otherwise: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float]:
    """Center and scale of the observed values; `otherwise` where there is none."""
    seen = values[~np.isnan(values)]
    if method == "none":
        return 0.0, 1.0
    if not len(seen):
        return otherwise
    if method == "mean":
        return 0.0, 1.0 + float(np.abs(seen).mean())
    return moments(seen)


def moments(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation of the values that are not NaN; 0 and 1 of none, and a constant has 1.

    Example:
        >>> moments(np.array([1.0, np.nan, 3.0])), moments(np.array([5.0, 5.0]))
        ((2.0, 1.0), (5.0, 1.0))
    """
    seen = values[~np.isnan(values)]
    if not len(seen):
        return 0.0, 1.0
    mean, spread = float(seen.mean()), float(seen.std())
    least = 1e-12 * max(1.0, abs(mean))  # of a constant, rounding alone is left
    return mean, spread if spread > least else 1.0
