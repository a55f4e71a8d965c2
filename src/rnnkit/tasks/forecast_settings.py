"""The settings of forecasters and of their training, which the recipe and the estimator share. It loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import ConfigError, Setting
from .ranges import Count, Positive, Share, WholeNumber
from .settings import NetworkSettings, OptimizerSettings

if TYPE_CHECKING:
    from ..data.forecasting import TimeSeries, WindowLayout

_KIND, _OUTPUT, _SCALE = Setting("model.kind"), Setting("model.output"), Setting("data.scale")


@dataclass(frozen=True)
class Model(NetworkSettings):
    """The network.

    Attributes:
        kind: direct gives all steps at once, segment reads and gives segments of steps, deepar and encoder_decoder go
            on step by step.
        num_layers: recurrent layers, one above the other; of a segment forecaster there is one.
        output: what is given for a step: a number, quantiles, or a distribution (negative_binomial of counts).
        norm: whether each window is normalised by its own mean and deviation (standard), its last value or its mean.
        segment: steps of a segment.
        linear: whether a linear map of the window is added to kind=direct, as LSTNet has it.
        conv_channels: features of convolutions in front of the recurrence of kind=direct (CNN + LSTM); 0: none.
        dropout: probability of dropping a feature while training.
    """

    kind: Literal["direct", "segment", "deepar", "encoder_decoder"] = "direct"
    num_layers: Count = 1
    output: Literal["quantile", "point", "gaussian", "student_t", "negative_binomial"] = "quantile"
    norm: Literal["none", "standard", "last", "mean"] = "standard"
    segment: Count = 24
    linear: bool = False
    conv_channels: WholeNumber = 0
    dropout: Share = 0.1

    def build(self, layout: WindowLayout) -> Any:
        """Return the network with fresh weights."""
        from ..models.forecast_deepar import DeepAR
        from ..models.forecast_direct import DirectForecaster
        from ..models.forecast_encoder_decoder import EncoderDecoderForecaster
        from ..models.forecast_segments import SegmentForecaster

        common: dict[str, Any] = {
            "cell": self.cell,
            "hidden_size": self.hidden_size,
            "output": self.output,
            "norm": self.norm,
            "dropout": self.dropout,
        }
        if self.kind == "direct":
            front: dict[str, Any] = {"linear": self.linear, "conv_channels": self.conv_channels}
            return DirectForecaster(layout, num_layers=self.num_layers, **front, **common)
        if self.kind == "segment":
            return SegmentForecaster(layout, segment=min(self.segment, layout.lookback), **common)
        kinds: dict[str, Any] = {"deepar": DeepAR, "encoder_decoder": EncoderDecoderForecaster}
        return kinds[self.kind](layout, num_layers=self.num_layers, **common)


@dataclass(frozen=True)
class Fit(OptimizerSettings):
    """The training; see ``rnnkit.Learner``.

    Attributes:
        loss: of numbers; none of quantiles and distributions, which have their own.
        early_stopping: end after this number of epochs without a lower loss on the validation windows, and keep the
            best epoch's weights; none keeps the last.
    """

    epochs: Count = 20
    batch_size: Count = 64
    lr: Positive = 2e-3
    schedule: Literal["warmup_cosine", "cosine"] | None = "cosine"
    clip_norm: Positive | None = 1.0
    early_stopping: Count | None = 5
    loss: Literal["mse", "l1", "huber"] | None = None


def check_together(model: Model, fit: Fit, scale: str) -> None:
    """Raise ConfigError for settings that exclude each other.

    Args:
        model, fit: of the network and its training.
        scale: of the targets.
    """
    for name, value in (("linear", model.linear), ("conv_channels", model.conv_channels)):
        if value and model.kind != "direct":
            raise ConfigError.about(
                Setting(f"model.{name}"), f"={value} is for ", _KIND, "=direct, and ", _KIND, f"={model.kind} arrived"
            )
    if fit.loss is not None and model.output != "point":
        raise ConfigError.about(
            Setting("fit.loss"), f"={fit.loss} is for ", _OUTPUT, f"=point; {model.output} has its own loss"
        )
    if model.output == "negative_binomial" and scale != "none":
        raise ConfigError.about(
            _OUTPUT, "=negative_binomial counts, and ", _SCALE, f"={scale} arrived; expected ", _SCALE, "=none, and ",
            Setting("model.norm"), "=mean or none",
        )  # fmt: skip


def chosen_calendar(calendar: bool | Sequence[str]) -> Sequence[str] | None:
    """Return the features of the calendar that are inputs; None: those that the frequency has.

    Args:
        calendar: whether there are any, or which.
    """
    if isinstance(calendar, bool):
        return None if calendar else ()
    return calendar


def usual_lookback(series: TimeSeries, horizon: int) -> int:
    """Return a lookback of two horizons and of the longest season, but at most a third of the longest series.

    Example:
        >>> from rnnkit.data.forecasting import TimeSeries
        >>> series = TimeSeries.from_arrays([[0.0] * 2000], start="2024-01-01", frequency="hour")
        >>> usual_lookback(series, 24), usual_lookback(series, 100)
        (168, 200)
    """
    seasons = series.frequency.seasons
    wanted = max(2 * horizon, *(seasons[-1:] if seasons else (8,)))
    return max(1, min(wanted, int(series.lengths.max()) // 3))
