"""A forecaster that maps what it has read to all steps of the horizon at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError, check_whole
from ..layers.argument_names import explains_arguments
from ..layers.conv import ConvFront
from ..layers.initialisation import Init
from ..types import State, WindowLayout
from ._forecaster import INSTEAD, OTHER_NAMES, Cell, Forecaster, Norm, Output, make_recurrence
from .distributions import NegativeBinomial


class DirectForecaster(Forecaster):
    """ŷ_k = W_k h_L + b_k for all steps k = 1 … H at once, with h of a recurrence over the lookback.

    With known covariates u_k of the horizon, a second map sees them beside what the first one says about step k (after
    MQ-RNN, Wen et al. 2017, without its context shared by all steps):

        c_k = W_k h_L + b_k,  ŷ_k = V relu(U [c_k; u_k] + a) + v

    With ``conv_channels`` a :class:`rnnkit.ConvFront` stands before the recurrence (CNN-LSTM, Sainath et al. 2015).
    With ``linear`` each ŷ_k has a linear map of the window more, as the autoregressive part of LSTNet (Lai et al. 2018)
    has. That map starts at 0.

    Legend: B windows, L lookback steps, H horizon steps, C channels, M numbers of a distribution.

    Args:
        layout: what the channels are; its JSON values, too.
        cell: the recurrence: "lstm", "gru" or "simple_rnn".
        hidden_size, num_layers: of the recurrence.
        output: "point", "quantile", "gaussian", "student_t" or "negative_binomial"; with settings a mapping, as in
            {"name": "quantile", "levels": [0.1, 0.5, 0.9]}; or a distribution of :mod:`rnnkit.models.distributions`.
        norm: whether each window is normalised by its own "standard" deviation and mean, its "last" value or its "mean"
            (of counts by "mean" alone); see :class:`rnnkit.ReversibleNorm`.
        linear: whether a linear map of the window is added.
        conv_channels: features of the convolutions; 0: none.
        conv_kernels: widths of their kernels, in steps.
        conv_stride: so many steps become one.
        conv_views: whether the convolutions see the differences of steps and the standardised window beside the window.
        bidirectional: whether the lookback is read from its end, too: h_L is then the last output of one direction
            beside the first one of the other. Steps before a short series begins are read as 0.
        context_size: features of c_k, with known covariates.
        embedding_size: features of an embedded series, where the layout numbers the series.
        dropout: probability while training, between recurrent layers and behind them.
        init: initial weights of the recurrence.

    Shapes:
        x [B, L + H, C] → forecasts [B, H]; raw numbers [B, H, M] of a distribution.

    Raises:
        ConfigError: a setting out of range. ShapeError: windows that do not have the layout.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> layout = WindowLayout(lookback=48, horizon=12, known=("hour_sin", "hour_cos"))
        >>> model = rnnkit.DirectForecaster(layout, output="gaussian", norm="standard")
        >>> tuple(model(torch.randn(5, 60, 3)).shape)
        (5, 12, 2)
    """

    @explains_arguments(OTHER_NAMES, INSTEAD)
    def __init__(
        self,
        layout: WindowLayout | Mapping[str, Any],
        cell: Cell = "gru",
        hidden_size: int = 64,
        num_layers: int = 1,
        *,
        output: Output = "point",
        norm: Norm = "none",
        linear: bool = False,
        conv_channels: int = 0,
        conv_kernels: Sequence[int] = (3, 9),
        conv_stride: int = 1,
        conv_views: bool = False,
        bidirectional: bool = False,
        context_size: int = 16,
        embedding_size: int = 8,
        dropout: float = 0.0,
        init: Init = "keras",
    ) -> None:
        arguments = {
            "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "norm": norm, "linear": linear,
            "conv_channels": conv_channels, "conv_kernels": list(conv_kernels), "conv_stride": conv_stride,
            "conv_views": conv_views, "bidirectional": bidirectional,
            "context_size": context_size, "embedding_size": embedding_size, "dropout": dropout, "init": init,
        }  # fmt: skip
        super().__init__(layout, output, arguments, norm=norm)
        check_whole(conv_channels, "conv_channels", 0)
        check_whole(conv_stride, "conv_stride")
        check_whole(context_size, "context_size")
        if linear and isinstance(self.distribution, NegativeBinomial):
            raise ConfigError.of("linear", linear, "expected False with output='negative_binomial'")
        self.dropout, self.conv_stride = dropout, conv_stride
        lookback, horizon, known = self.layout.lookback, self.layout.horizon, len(self.layout.known)
        self.front = None
        if conv_channels:
            self.front = ConvFront(
                self.step_size,
                conv_channels,
                conv_kernels,
                stride=conv_stride,
                differences=conv_views,
                standardised=conv_views,
            )
        features = conv_channels or self.step_size
        self.bidirectional = bidirectional
        self.body = make_recurrence(cell, features, hidden_size, num_layers, dropout, init, bidirectional=bidirectional)
        read = hidden_size * (1 + bidirectional)
        self.linear = torch.nn.Linear(lookback, horizon) if linear else None
        if self.linear is not None:
            torch.nn.init.zeros_(self.linear.weight)
            torch.nn.init.zeros_(self.linear.bias)
        size = self.distribution.size
        self.context = torch.nn.Linear(read, horizon * context_size) if known else None
        self.head: torch.nn.Module
        if known:
            self.head = torch.nn.Sequential(
                torch.nn.Linear(context_size + known, context_size),
                torch.nn.ReLU(),
                torch.nn.Linear(context_size, size),
            )
        else:
            self.head = torch.nn.Linear(read, horizon * size)

    def forecast(self, x: Tensor) -> Tensor:
        """As a call, for windows [B, T + H, C] of any number T of lookback steps; of L with ``linear``."""
        window = self.read(x)
        features, resets = window.features, window.resets
        if self.front is not None:
            features = self.front(features)[0]
            resets = None if resets is None else _strided(resets, self.conv_stride)
        output, _ = self.body(features, resets=None if self.bidirectional else resets)
        last = output[:, -1]
        if self.bidirectional:
            last = torch.cat((last[:, : self.body.hidden_size], output[:, 0, self.body.hidden_size :]), 1)
        ahead = None if self.linear is None else self.linear(window.target)
        return self.finish(self._horizon(last, window.future), window.back, ahead)

    def _horizon(self, last: Tensor, future: Tensor) -> Tensor:
        """Raw numbers [B, H, M] of the last output [B, D] and the known covariates [B, H, K]."""
        dropped = torch.nn.functional.dropout(last, self.dropout, self.training)
        shape = len(last), self.layout.horizon, -1
        if self.context is not None:
            dropped = torch.cat((self.context(dropped).view(shape), future), 2)
        raw: Tensor = self.head(dropped)
        return raw.view(shape)

    @property
    def fixed_horizon(self) -> str:
        """Why the model forecasts no more steps than it was built for."""
        return "its last layer has outputs for these steps alone"

    # --- streams -----------------------------------------------------------------------------------------------------

    @property
    def recomputes(self) -> str | None:
        """Why a stream computes each forecast from the last L steps anew; None where it carries a state."""
        if self.front is not None:
            return "its convolutions see several steps at once"
        if self.linear is not None:
            return "its linear map sees the whole window"
        if self.bidirectional:
            return "it reads the window from its end, too"
        return super().recomputes

    def forecast_from(self, output: Tensor, state: State, row: Tensor, future: Tensor) -> Tensor:
        """Return the forecast after a step; see :class:`Forecaster`."""
        return self.finish(self._horizon(output, future), None)


def _strided(resets: Tensor, stride: int) -> Tensor:
    """Resets [B, T] of the steps that remain, ceil(T / stride) of them."""
    padded = torch.nn.functional.pad(resets, (0, -resets.shape[1] % stride))
    return padded.view(len(resets), -1, stride).any(2)
