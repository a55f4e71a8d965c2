"""DeepAR: one step ahead from the value before, and forecasts by samples of whole futures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import ShapeError, check_seed, check_whole
from ..layers.argument_names import explains_arguments
from ..layers.initialisation import Init
from ..layers.instance_norm import Affine
from ..layers.modes import mode
from ..ops.state import map_state
from ..types import Channels, State, WindowLayout
from ._forecaster import INSTEAD, OTHER_NAMES, Cell, Forecaster, Norm, Output, make_recurrence
from .distributions import Point

_LAGGED: tuple[Channels, ...] = ("target", "past", "observed")  # what a step reads of the step before
_OF_STEPS: tuple[Channels, ...] = (*_LAGGED, "known")  # what is not the same in all steps


class DeepAR(Forecaster):
    """DeepAR (Salinas et al. 2020, "DeepAR: Probabilistic Forecasting with Autoregressive Recurrent Networks").

        h_t = RNN([z_{t−1}; u_t; c], h_{t−1}),  p(z_t | z_{<t}) = p(z_t; W h_t + b)     t = 1 … L + H

    with the target z, known covariates u_t, and static numbers and the embedded series c. Past-only covariates are read
    one step late, with z_{t−1}; z_0 = 0.

    Training reads the true targets of the horizon, too (teacher forcing): the objective "horizon" hands them over to
    models with ``reads_targets``. The loss is the mean over all steps from the second one on, those of the
    lookback included; evaluated, it is that of the horizon, each step given the true values before.

    A forecast draws ``num_samples`` futures, each value from the distribution given the values drawn before (ancestral
    sampling). :meth:`sample` returns them. A call returns raw numbers of the distribution that has their moments (their
    quantiles, with output="quantile") at each step; their draws are the same in each call. With output="point" the
    future is that of the forecasts themselves.

    With ``norm="mean"`` each window is divided by the paper's scale, 1 and the mean of its lookback. The forecasts are
    multiplied with the scale; those of counts keep their α, which the paper divides by the scale's root.

    Legend: B windows, L lookback steps, H horizon steps, C channels, M numbers of a distribution, S samples.

    Args:
        layout: what the channels are; its JSON values, too.
        cell: the recurrence: "lstm", "gru" or "simple_rnn".
        hidden_size, num_layers: of the recurrence.
        output: as for :class:`rnnkit.DirectForecaster`.
        norm: as for :class:`rnnkit.DirectForecaster`.
        num_samples: S of a forecast.
        embedding_size: features of an embedded series, where the layout numbers the series.
        dropout: probability while training, between recurrent layers and behind them.
        init: initial weights of the recurrence.
        seed: of the draws of a forecast.

    Shapes:
        x [B, L + H, C] → raw numbers [B, H, M]; forecasts [B, H] with output="point".

    Raises:
        ConfigError: a setting out of range. ShapeError: windows or targets that do not have the layout.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> model = rnnkit.DeepAR(WindowLayout(lookback=24, horizon=6), hidden_size=16, num_samples=50)
        >>> x = torch.zeros(3, 30, 1)
        >>> tuple(model(x).shape), tuple(model.sample(x, 20).shape)
        ((3, 6, 2), (3, 20, 6))
    """

    reads_targets = True

    @explains_arguments(OTHER_NAMES, INSTEAD)
    def __init__(
        self,
        layout: WindowLayout | Mapping[str, Any],
        cell: Cell = "lstm",
        hidden_size: int = 40,
        num_layers: int = 2,
        *,
        output: Output = "gaussian",
        norm: Norm = "none",
        num_samples: int = 100,
        embedding_size: int = 8,
        dropout: float = 0.1,
        init: Init = "keras",
        seed: int = 0,
    ) -> None:
        arguments = {
            "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "num_samples": num_samples,
            "norm": norm, "embedding_size": embedding_size, "dropout": dropout, "init": init, "seed": seed,
        }  # fmt: skip
        super().__init__(layout, output, arguments, norm=norm)
        self.default_metrics = ()  # a figure of outputs that were given the true values before is none of forecasts
        check_whole(num_samples, "num_samples")
        check_seed(seed)
        self.num_samples, self.dropout, self.seed = num_samples, dropout, seed
        self.body = make_recurrence(cell, self.step_size, hidden_size, num_layers, dropout, init)
        self.head = torch.nn.Linear(hidden_size, self.distribution.size)

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Any:
        """Map windows to forecasts; with targets to the distribution of each step given the true values before.

        Args:
            x: [B, L + H, C].
            targets: of the horizon [B, H]; NaN where one is missing.

        Returns:
            [B, H, M], or [B, H] with output="point". With targets while training the pair of that and of what belongs
            to the lookback: outputs [n, M] and their targets [n] at the n observed steps with a step before.

        Raises:
            ShapeError: x or targets do not have the layout.
        """
        x, horizon = self.checked(x), self.layout.horizon
        if targets is None:
            return self.forecast(x)
        if targets.shape[:2] != (len(x), horizon) or targets.numel() != len(x) * horizon:
            raise ShapeError.of("targets", tuple(targets.shape), f"; expected {(len(x), horizon)}")
        targets = targets.reshape(len(x), horizon).to(x.dtype)
        missing = targets.isnan()
        given = x.clone()
        given[:, -horizon:, 0] = targets
        if self.layout.observed:
            given[:, -horizon:, self.layout.columns("observed")] = (~missing)[:, :, None].to(x.dtype)
        given, back = self._normalised(given, x[:, :-horizon])
        given[:, -horizon:, 0] = given[:, -horizon:, 0].masked_fill(missing, 0)
        begun = self.begun(given)
        given, resets = self._from_begin(given, begun)
        output, _ = self.body(self._inputs(given), resets=resets)
        raw = self.finish(self.head(torch.nn.functional.dropout(output, self.dropout, self.training)), back)
        if not self.training:
            return raw[:, -horizon:]
        return raw[:, -horizon:], self._lookback(x[:, :-horizon], raw[:, :-horizon], begun)

    def _normalised(self, x: Tensor, past: Tensor) -> tuple[Tensor, Affine | None]:
        """Steps [B, T, C] with the target normalised by the lookback [B, L, C], and what leads back."""
        if self.norm is None:
            return x, None
        observed = past[:, :, self.layout.columns("observed")].squeeze(-1) if self.layout.observed else None
        _, back = self.norm(past[:, :, :1], observed)
        return torch.cat(((x[:, :, :1] - back.offset) / back.scale, x[:, :, 1:]), 2), back

    def _lookback(self, past: Tensor, raw: Tensor, begun: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs and targets of the lookback from the second step of each row on, where a target was observed."""
        used = torch.ones_like(past[:, 1:, 0], dtype=torch.bool)
        if self.layout.observed:
            used = past[:, 1:, self.layout.columns("observed")].squeeze(-1) != 0
        if begun is not None:
            used = used & begun[:, : used.shape[1]]
        return raw[:, 1:][used], past[:, 1:, 0][used]

    def _from_begin(self, x: Tensor, begun: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Zeros before each row begins, and where it does; the last step of a row is never before its begin."""
        if begun is None:
            return x, None
        resets = torch.zeros_like(begun)
        resets[:, 1:] = begun[:, 1:] & ~begun[:, :-1]
        x = x.clone()
        for kind in _OF_STEPS:
            columns = self.layout.columns(kind)
            x[:, :, columns] = x[:, :, columns].masked_fill(~begun[:, : x.shape[1], None], 0)
        return x, resets

    def _inputs(self, x: Tensor, before: Tensor | None = None) -> Tensor:
        """What the recurrence reads [B, T, F]: values of the step before, covariates of the step itself.

        Args:
            x: all channels [B, T, C].
            before: those of the step before the first one [B, C]; None: there is none.
        """
        first = torch.zeros_like(x[:, :1]) if before is None else before[:, None]
        lagged, found = torch.cat((first, x[:, :-1]), 1), x.clone()
        for kind in _LAGGED:
            columns = self.layout.columns(kind)
            found[:, :, columns] = lagged[:, :, columns]
        return self._with_embedding(found, self.constant(x[:, -1]))

    # --- forecasts ---------------------------------------------------------------------------------------------------

    @property
    def fixed_horizon(self) -> None:
        """None: the model goes on from each value that it draws, as long as it is asked to."""
        return None

    def forecast(self, x: Tensor) -> Tensor:
        """As a call, for windows [B, T + H, C] of any number T of lookback steps."""
        return self._summary(self.sample(x, self._samples, seed=self.seed))

    def sample(self, x: Tensor, samples: int | None = None, *, seed: int | None = None) -> Tensor:
        """Draw futures, without gradients.

        Args:
            x: windows [B, T + H, C].
            samples: S; ``num_samples`` unless given.
            seed: of the draws; None: PyTorch's global generator.

        Returns:
            [B, S, H].
        """
        check_whole(samples, "samples", optional=True)
        horizon = self.layout.horizon
        with torch.no_grad(), mode(self, training=False):
            past, back = self._normalised(x[:, :-horizon], x[:, :-horizon])
            past, resets = self._from_begin(past, self.begun(past))
            _, state = self.body(self._inputs(past), resets=resets)
            future = x[:, -horizon:, self.layout.columns("known")]
            return self._futures(state, past[:, -1], future, samples or self._samples, seed, back)

    @property
    def _samples(self) -> int:
        return 1 if isinstance(self.distribution, Point) else self.num_samples

    def _summary(self, samples: Tensor) -> Tensor:
        """Raw numbers [B, H, M] of samples [B, S, H]."""
        return self.distribution.from_samples(samples.transpose(0, 1))

    def _futures(
        self, state: State, row: Tensor, future: Tensor, samples: int, seed: int | None, back: Affine | None = None
    ) -> Tensor:
        """Futures [B, S, H] from the state after a step, its channels [B, C], and the known covariates [B, H, K]."""
        layout, batch = self.layout, len(row)
        devices = [row.device] if row.device.type == "cuda" else []
        stream = self.body.stream(batch * samples)
        stream.state = map_state(lambda leaf: leaf.repeat_interleave(samples, 1), state)
        constant = self.constant(row).repeat_interleave(samples, 0)
        row, future = row.repeat_interleave(samples, 0), future.repeat_interleave(samples, 0)
        back = None if back is None else Affine(*(one.repeat_interleave(samples, 0) for one in back))
        found = []
        with torch.random.fork_rng(devices, enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            for step in range(layout.horizon):
                now = row.clone()  # the target, past covariates and the flag of the step before
                now[:, layout.columns("known")] = future[:, step]
                raw = self.finish(self.head(stream(self._with_embedding(now, constant)))[:, None], back)
                value = self.distribution.sample(raw, 1)[0]
                found.append(value)
                row[:, :1] = value if back is None else (value - back.offset[:, 0]) / back.scale[:, 0]
                row[:, layout.columns("past")] = 0
                row[:, layout.columns("observed")] = 1
        return torch.cat(found, 1).view(batch, samples, layout.horizon)

    # --- streams -----------------------------------------------------------------------------------------------------

    def row_features(self, row: Tensor, before: Tensor) -> Tensor:
        """Return what the recurrence reads at a step [B, F], of the channels there [B, C] and at the step before."""
        return self._inputs(row[:, None], before)[:, 0]

    def forecast_from(self, output: Tensor, state: State, row: Tensor, future: Tensor) -> Tensor:
        """Return the forecast after a step; see :class:`Forecaster`."""
        return self._summary(self._futures(state, row, future, self._samples, self.seed))
