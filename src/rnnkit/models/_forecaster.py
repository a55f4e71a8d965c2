"""What the forecasters share: the windows they read, the outputs they give, and their description."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
from torch import Tensor

from ..errors import ConfigError, DataError, ShapeError, check_choice, check_number, check_whole
from ..layers._exports import NotScriptable
from ..layers.argument_names import RENAMED
from ..layers.by_name import RECURRENT_LAYERS
from ..layers.instance_norm import Affine, ReversibleNorm
from ..ops.losses import LossFunction
from ..types import State, WindowLayout
from .distributions import Distribution, NegativeBinomial, Point, make_distribution
from .forecast_stream import ForecastStream

Cell = Literal["lstm", "gru", "simple_rnn"]
Norm = Literal["none", "standard", "last", "mean"]
NORMS: tuple[Norm, ...] = ("none", "standard", "last", "mean")
Output = str | Mapping[str, Any] | Distribution
# What to type for arguments of other libraries.
OTHER_NAMES = {**RENAMED, "rnn_type": "cell", "model": "cell", "likelihood": "output"}
_LAYOUT = "give it to the layout: WindowLayout(lookback=..., horizon=...)"
_OF_LAYOUT = ("horizon", "h", "prediction_length", "output_chunk_length", "lookback", "input_size", "context_length")
_LEARNER = "give it to the learner: rnnkit.Learner(model, {name}=...)"
INSTEAD = {
    **dict.fromkeys((*_OF_LAYOUT, "input_chunk_length", "num_features"), _LAYOUT),
    **{name: _LEARNER.format(name=name) for name in ("loss", "optimizer", "lr", "metrics", "device")},
}
_EMBEDDING_SPREAD = 0.1  # the standard deviation of the initial embeddings of known series


class Window(NamedTuple):
    """The parts of a batch of windows.

    Attributes:
        features: what the recurrence reads at each step of the lookback [B, T, F].
        target: the target there, normalised [B, T].
        future: the known covariates of the horizon [B, H, K].
        constant: static numbers and the embedded series [B, G].
        resets: where rows begin that are shorter than the window [B, T]; None: all are as long.
        back: what leads from normalised values to those of the window; None without normalisation.
    """

    features: Tensor
    target: Tensor
    future: Tensor
    constant: Tensor
    resets: Tensor | None
    back: Affine | None


class Forecaster(NotScriptable):
    """Maps windows x [B, L + H, C], whose channels a layout describes, to the horizon: [B, H] or [B, H, M].

    Attributes:
        layout: what the channels are.
        distribution: what the outputs mean.
        default_loss, default_metrics, default_objective: what a :class:`rnnkit.Learner` uses by default.
    """

    default_objective: ClassVar[str] = "horizon"
    default_loss: str | LossFunction
    default_metrics: tuple[str, ...]
    embedding: Any
    norm: Any

    def __init__(
        self,
        layout: WindowLayout | Mapping[str, Any],
        output: Output,
        arguments: dict[str, Any],
        *,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.layout = as_layout(layout)
        self.distribution = make_distribution(output)
        check_choice(norm, "norm", NORMS)
        if norm not in ("none", "mean") and isinstance(self.distribution, NegativeBinomial):
            raise ConfigError.of("norm", norm, "expected 'none' or 'mean' with output='negative_binomial'")
        self._arguments = {**arguments, "layout": self.layout.to_json(), "output": self.distribution.to_json()}
        point = isinstance(self.distribution, Point)
        self.default_loss = "mse" if point else self.distribution.loss
        self.default_metrics = ("mae",) if point else ()
        size = arguments["embedding_size"]
        check_whole(size, "embedding_size")
        self.embedding = torch.nn.Embedding(self.layout.series + 1, size) if self.layout.series else None
        if self.embedding is not None:
            torch.nn.init.normal_(self.embedding.weight, std=_EMBEDDING_SPREAD)
            with torch.no_grad():
                self.embedding.weight[0] = 0  # an unknown series is the middle of the known ones
        self.norm = None if norm == "none" else ReversibleNorm(1, norm, affine=norm == "standard")

    # --- the description ---------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Builder and arguments that make this model anew, for ``rnnkit.load``."""
        now = {"dropout": self.dropout} if hasattr(self, "dropout") else {}
        return {"builder": type(self).__name__, "arguments": {**self._arguments, **now}}

    def __repr__(self) -> str:
        layout, chosen = self.layout, self._arguments
        shown = [f"{layout.lookback} steps of {layout.channels} channels → {layout.horizon}"]
        told = ("cell", "segment", "hidden_size", "num_layers", "norm")
        shown += [f"{name}={chosen[name]!r}" for name in told if chosen.get(name, "none") != "none"]
        return f"{type(self).__name__}({', '.join([*shown, f'output={self.distribution.name!r}'])})"

    # --- windows -----------------------------------------------------------------------------------------------------

    @property
    def step_size(self) -> int:
        """F, the features of a step of the lookback."""
        return self.layout.channels - int(self.layout.series > 0) + self._embedded_size

    @property
    def constant_size(self) -> int:
        """G, the static numbers and the features of the embedded series."""
        return len(self.layout.static) + self._embedded_size

    @property
    def _embedded_size(self) -> int:
        return 0 if self.embedding is None else int(self.embedding.embedding_dim)

    def checked(self, x: Tensor) -> Tensor:
        """Return the windows.

        Raises:
            ShapeError: they do not have the steps or the channels of the layout.
        """
        layout = self.layout
        expected = layout.lookback + layout.horizon, layout.channels
        if x.dim() != 3 or tuple(x.shape[1:]) != expected:
            raise ShapeError.of(
                "x",
                tuple(x.shape),
                f"; expected (batch, {expected[0]}, {expected[1]}): {layout.lookback} lookback and {layout.horizon} "
                f"horizon steps of {expected[1]} channels",
            )
        return x

    def read(self, x: Tensor) -> Window:
        """Take windows [B, T + H, C] apart; T may be another number than L."""
        layout = self.layout
        past, future = x[:, : -layout.horizon], x[:, -layout.horizon :, layout.columns("known")]
        begun = self.begun(past)
        resets = None
        if begun is not None:
            past = torch.where(begun[:, :, None], past, torch.zeros((), dtype=x.dtype, device=x.device))
            resets = torch.zeros_like(begun)
            resets[:, 1:] = begun[:, 1:] & ~begun[:, :-1]
        constant = self.constant(x[:, -layout.horizon - 1])
        target, back = past[:, :, :1], None
        if self.norm is not None:
            observed = past[:, :, layout.columns("observed")].squeeze(-1) if layout.observed else None
            target, back = self.norm(target, observed)
            if begun is not None:
                target = torch.where(begun[:, :, None], target, torch.zeros((), dtype=x.dtype, device=x.device))
        features = self._with_embedding(past if self.norm is None else torch.cat((target, past[:, :, 1:]), 2), constant)
        return Window(features, target[:, :, 0], future, constant, resets, back)

    def begun(self, past: Tensor) -> Tensor | None:
        """Return from which step on each row has begun, bool [B, T]; None where all begin with the window."""
        if not self.layout.observed:
            return None
        observed = past[:, :, self.layout.columns("observed")].squeeze(-1) != 0
        return None if bool(observed[:, 0].all()) else observed.cummax(1).values

    def constant(self, row: Tensor) -> Tensor:
        """Return the static numbers and the embedded series [B, G] of one step of the rows [B, C].

        Raises:
            DataError: the number of a series that the model does not have.
        """
        static = row[:, self.layout.columns("static")]
        if self.embedding is None:
            return static
        number = row[:, self.layout.columns("series")].squeeze(-1).round().long()
        low, high = (int(end) for end in torch.aminmax(number))
        if low < 0 or high > self.layout.series:
            raise DataError(
                f"the series number {low if low < 0 else high} arrived; expected 1 to {self.layout.series}, or 0 for a "
                "series that the model has not seen"
            )
        return torch.cat((static, self.embedding(number)), 1)

    def _with_embedding(self, past: Tensor, constant: Tensor) -> Tensor:
        """Channels [B, T, C] or [B, C] with the embedded series in place of its number."""
        if self.embedding is None:
            return past
        embedded = constant[:, len(self.layout.static) :]
        if past.dim() == 3:
            embedded = embedded[:, None].expand(-1, past.shape[1], -1)
        return torch.cat((past[..., :-1], embedded), -1)

    def finish(self, raw: Tensor, back: Affine | None, shift: Tensor | None = None) -> Tensor:
        """Return raw numbers [B, H, M] as the model's output, in the units of the windows.

        Args:
            raw: of normalised values.
            back: what leads to the units of the windows; None: raw has them already.
            shift: what is added to normalised values before [B, H].
        """
        if isinstance(self.distribution, Point):
            raw = raw.squeeze(-1)
        if shift is not None:
            raw = self.distribution.rescale(raw, 1.0, shift)
        return raw if back is None else self.distribution.rescale(raw, back.scale[..., 0], back.offset[..., 0])

    # --- calls -------------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """Map windows x [B, L + H, C] to forecasts [B, H], or raw numbers [B, H, M] of a distribution."""
        return self.forecast(self.checked(x))

    def forecast(self, x: Tensor) -> Tensor:
        """As a call, for windows [B, T + H, C] of any number T of lookback steps."""
        raise NotImplementedError

    @property
    def fixed_horizon(self) -> str | None:
        """Why the model forecasts no more steps than it was built for; None where it can go on."""
        return "its outputs are those of these steps"

    def with_horizon(self, horizon: int) -> Self:
        """Return the model for another number of steps, with the same parameters.

        Args:
            horizon: H, the steps of a forecast.

        Raises:
            ConfigError: the model has learned its steps one by one, and cannot go on behind them.

        Example:
            >>> import torch, rnnkit
            >>> from rnnkit.types import WindowLayout
            >>> model = rnnkit.DeepAR(WindowLayout(lookback=24, horizon=6), hidden_size=8)
            >>> tuple(model.with_horizon(48)(torch.zeros(1, 72, 1)).shape)
            (1, 48, 2)
        """
        check_whole(horizon, "horizon")
        if horizon == self.layout.horizon:
            return self
        if self.fixed_horizon is not None:
            raise ConfigError.of(
                "horizon",
                horizon,
                f"expected {self.layout.horizon}, the horizon of the training: {self.fixed_horizon}",
            )
        found = copy.copy(self)
        found.layout = replace(self.layout, horizon=horizon)
        found._arguments = {**self._arguments, "layout": found.layout.to_json()}
        return found

    def covariate_steps(self, steps: int) -> int:
        """Return of how many steps of the horizon the first `steps` forecasts read the known covariates."""
        return steps

    def stream(self, batch: int = 1) -> ForecastStream:
        """Return an object that takes one observation after the other; see :class:`ForecastStream`.

        Args:
            batch: the number of series that advance together.
        """
        return ForecastStream(self, batch)

    # --- streams -----------------------------------------------------------------------------------------------------

    @property
    def recomputes(self) -> str | None:
        """Why a stream computes each forecast from the last L steps anew; None where it carries a state."""
        if self.norm is not None:
            what = {"standard": "mean and spread", "last": "last value", "mean": "mean"}[self.norm.form]
            return f"it normalises each window by its {what}"
        return None

    @property
    def recurrence(self) -> Any:
        """The layer that reads the lookback."""
        return self.body

    def row_features(self, row: Tensor, before: Tensor) -> Tensor:
        """Return what the recurrence reads at a step [B, F], of the channels there [B, C] and at the step before."""
        return self._with_embedding(row, self.constant(row))

    def forecast_from(self, output: Tensor, state: State, row: Tensor, future: Tensor) -> Tensor:
        """Return the forecast after a step.

        Args:
            output, state: of the recurrence, after that step.
            row: the channels there [B, C].
            future: the known covariates of the horizon [B, H, K].
        """
        raise NotImplementedError


def as_layout(layout: Any) -> WindowLayout:
    """Return a layout, of one, or of the JSON values of one.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(layout, WindowLayout):
        return layout
    stored = layout.to_json() if hasattr(layout, "to_json") else layout
    if not isinstance(stored, Mapping):
        raise ConfigError.of("layout", layout, "expected a WindowLayout(lookback=..., horizon=...)")
    return WindowLayout.from_json(stored)


def make_recurrence(
    cell: Cell,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    dropout: float,
    init: Any,
    *,
    bidirectional: bool = False,
) -> Any:
    """Return a recurrent layer, batch first, with dropout between its layers.

    Raises:
        ConfigError: an unknown cell, or a number out of range.
    """
    check_choice(cell, "cell", tuple(RECURRENT_LAYERS))
    check_whole(hidden_size, "hidden_size")
    check_whole(num_layers, "num_layers")
    check_number(dropout, "dropout", below=1)
    between = dropout if num_layers > 1 else 0.0
    return RECURRENT_LAYERS[cell](
        input_size,
        hidden_size,
        num_layers=num_layers,
        batch_first=True,
        bidirectional=bidirectional,
        dropout=between,
        init=init,
    )
