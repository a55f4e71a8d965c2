"""A forecaster whose decoder steps through the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..layers.argument_names import explains_arguments
from ..layers.initialisation import Init
from ..types import State, WindowLayout
from ._forecaster import INSTEAD, OTHER_NAMES, Cell, Forecaster, Norm, Output, make_recurrence
from .distributions import Point


class EncoderDecoderForecaster(Forecaster):
    """ŷ_k = W d_k + b, with d of a decoder that begins with the state of an encoder and steps through the horizon.

        h_t = encoder(x_t, h_{t−1})                       t = 1 … L
        d_k = decoder([u_k; k/H; c; ŷ_{k−1}], d_{k−1})    k = 1 … H,  d_0 = h_L

    u_k are the known covariates, c static numbers and the embedded series. ŷ_{k−1}, the mean of the forecast before
    (for k = 1 the last target), is an input with ``feedback`` alone; its gradient flows. Without it the decoder runs
    over the whole horizon at once. Variant: Sutskever, Vinyals & Le 2014, for numbers.

    Legend: B windows, L lookback steps, H horizon steps, C channels, M numbers of a distribution.

    Args:
        layout: what the channels are; its JSON values, too.
        cell: the recurrence of encoder and decoder: "lstm", "gru" or "simple_rnn".
        hidden_size, num_layers: of both.
        output, norm: as for :class:`rnnkit.DirectForecaster`.
        feedback: whether the decoder reads its own forecast of the step before.
        embedding_size: features of an embedded series, where the layout numbers the series.
        dropout: probability while training, between recurrent layers and behind the decoder.
        init: initial weights of the recurrences.

    Shapes:
        x [B, L + H, C] → forecasts [B, H]; raw numbers [B, H, M] of a distribution.

    Raises:
        ConfigError: a setting out of range. ShapeError: windows that do not have the layout.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> layout = WindowLayout(lookback=48, horizon=12, known=("holiday",))
        >>> model = rnnkit.EncoderDecoderForecaster(layout, "lstm", hidden_size=32, output="quantile")
        >>> tuple(model(torch.zeros(5, 60, 2)).shape)
        (5, 12, 9)
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
        feedback: bool = False,
        embedding_size: int = 8,
        dropout: float = 0.0,
        init: Init = "keras",
    ) -> None:
        arguments = {
            "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "norm": norm, "feedback": feedback,
            "embedding_size": embedding_size, "dropout": dropout, "init": init,
        }  # fmt: skip
        super().__init__(layout, output, arguments, norm=norm)
        self.feedback, self.dropout = feedback, dropout
        self.encoder = make_recurrence(cell, self.step_size, hidden_size, num_layers, dropout, init)
        inputs = len(self.layout.known) + 1 + self.constant_size + int(feedback)
        self.decoder = make_recurrence(cell, inputs, hidden_size, num_layers, dropout, init)
        self.head = torch.nn.Linear(hidden_size, self.distribution.size)

    def forecast(self, x: Tensor) -> Tensor:
        """As a call, for windows [B, T + H, C] of any number T of lookback steps."""
        window = self.read(x)
        _, state = self.encoder(window.features, resets=window.resets)
        return self.finish(self._decode(state, window.target[:, -1], window.future, window.constant), window.back)

    def _decode(self, state: State, last: Tensor, future: Tensor, constant: Tensor) -> Tensor:
        """Raw numbers [B, H, M] from the encoder's state and the last target [B]."""
        batch, horizon = len(future), self.layout.horizon
        place = torch.arange(1, horizon + 1, dtype=future.dtype, device=future.device) / horizon
        inputs = torch.cat(
            (future, place[None, :, None].expand(batch, -1, 1), constant[:, None].expand(-1, horizon, -1)), 2
        )
        if not self.feedback:
            return self._numbers(self.decoder(inputs, state)[0])
        found = []
        for step in inputs.unbind(1):
            output, state = self.decoder.step(torch.cat((step, last[:, None]), 1), state)
            raw = self._numbers(output)
            last = raw[:, 0] if isinstance(self.distribution, Point) else self.distribution.mean(raw)
            found.append(raw)
        return torch.stack(found, 1)

    def _numbers(self, output: Tensor) -> Tensor:
        raw: Tensor = self.head(torch.nn.functional.dropout(output, self.dropout, self.training))
        return raw

    @property
    def fixed_horizon(self) -> str:
        """Why the model forecasts no more steps than it was built for."""
        return "its decoder reads a step's place in the horizon, and has met no later places"

    @property
    def body(self) -> torch.nn.ModuleList:
        """Encoder and decoder, for `fine_tune(freeze_body_epochs=...)`."""
        return torch.nn.ModuleList([self.encoder, self.decoder])

    # --- streams -----------------------------------------------------------------------------------------------------

    @property
    def recurrence(self) -> Any:
        """The layer that reads the lookback."""
        return self.encoder

    def forecast_from(self, output: Tensor, state: State, row: Tensor, future: Tensor) -> Tensor:
        """Return the forecast after a step; see :class:`Forecaster`."""
        return self.finish(self._decode(state, row[:, 0], future, self.constant(row)), None)
