"""A forecaster beside forecasts that need no network, on the same windows: is it worth it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .forecast_baselines import verdict
from .forecast_scores import ForecastScores

NETWORK = "network"  # beside the names of baselines
_SHOWN = ("mae", "rmse", "smape", "mase", "crps")


@dataclass(frozen=True, repr=False)
class Comparison:
    """The scores of a network and of the baselines, all on the same windows; print it.

    Attributes:
        network: its scores.
        baselines: name → scores.
        verdict: whether the network is worth it, in a sentence or two.
        findings: what the comparison leaves out, a sentence each.
    """

    network: ForecastScores
    baselines: Mapping[str, ForecastScores]
    verdict: str
    findings: tuple[str, ...] = ()

    @staticmethod
    def of(
        network: ForecastScores, baselines: Mapping[str, ForecastScores], series: int, findings: tuple[str, ...] = ()
    ) -> Comparison:
        """Return the comparison; several series are compared by MASE, where it is defined, else by MAE.

        Args:
            network, baselines, findings: see the attributes.
            series: how many there are.
        """
        said = tell_worth(network, baselines, compared_metric(network, series))
        return Comparison(network, baselines, said, (*network.findings, *findings))

    def rows(self) -> list[tuple[str, dict[str, float]]]:
        """Return the name of each forecast with its figures, the network first, the baselines by their error."""
        shown = [name for name in _SHOWN if name in self.network.figures]
        ordered = sorted(self.baselines.items(), key=lambda one: one[1].figures["mae"])
        return [
            (name, {figure: one.figures[figure] for figure in shown if figure in one.figures})
            for name, one in [(NETWORK, self.network), *ordered]
        ]

    def __str__(self) -> str:
        rows = self.rows()
        names = list(rows[0][1])
        width = max(len(name) for name, _ in rows)
        lines = [f"{'':{width}}" + "".join(f"{name.upper():>10}" for name in names)]
        lines += [
            f"{name:{width}}" + "".join(f"{found[one]:>10.4g}" if one in found else f"{'':>10}" for one in names)
            for name, found in rows
        ]
        return "\n".join([self.verdict, "", *lines, *self.findings])

    __repr__ = __str__


def tell_worth(network: ForecastScores, baselines: Mapping[str, ForecastScores], metric: str) -> str:
    """Say whether a network is worth it, by one of the figures; see `verdict`."""
    errors = {name: one.figures[metric] for name, one in baselines.items()}
    return verdict(network.figures[metric], errors, metric=metric.upper())


def compared_metric(scores: ForecastScores, series: int) -> str:
    """Return the error to compare by: MASE of several series, where it is defined, else MAE."""
    mase = scores.figures.get("mase", float("nan"))
    return "mase" if series > 1 and mase == mase else "mae"
