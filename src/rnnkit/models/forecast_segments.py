"""SegRNN: a recurrence over segments of a series, and all segments of the horizon at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import check_number, check_whole
from ..layers.argument_names import explains_arguments
from ..layers.initialisation import Init
from ..ops.state import map_state
from ..types import WindowLayout
from ._forecaster import INSTEAD, OTHER_NAMES, Cell, Forecaster, Norm, Output, make_recurrence


class SegmentForecaster(Forecaster):
    """SegRNN (Lin et al. 2023, "SegRNN: Segment Recurrent Neural Network for Long-Term Time Series Forecasting").

    A window without its last value x_L is cut into n = L/w segments of w steps, and the horizon into m = H/w:

        s_i = relu(W_e [x_{(i−1)w+1} − x_L; …; x_{iw} − x_L] + b_e),  h_i = GRU(s_i, h_{i−1})       i = 1 … n
        g_j = GRU([p_j; c], h_n)                                                                    j = 1 … m
        [ŷ_{(j−1)w+1}; …; ŷ_{jw}] = W_o dropout(g_j) + b_o + x_L

    with the embedding p_j of a segment's position and the embedding c of the series. The recurrence has n steps in
    place of L. Each segment of the horizon is one more step of the same GRU, all of them side by side (the paper's
    parallel multi-step forecasting).

    More than in the paper: other cells, other outputs, and covariates. Past ones are inputs of s_i, known ones of s_i
    and, by a linear map of their segment, of g_j. Where w does not divide L, the first segment begins with zeros (x_L);
    where it does not divide H, the last one is cut.

    Legend: B windows, L lookback steps, H horizon steps, C channels, M numbers of a distribution, w steps of a segment.

    Args:
        layout: what the channels are; its JSON values, too.
        segment: w.
        hidden_size: of the recurrence, and of the embeddings.
        cell: the recurrence: "lstm", "gru" or "simple_rnn".
        output: as for :class:`rnnkit.DirectForecaster`.
        norm: "last" as in the paper, "standard", "mean" or "none"; see :class:`rnnkit.ReversibleNorm`.
        dropout: probability while training, in front of W_o.
        init: initial weights of the recurrence.

    Shapes:
        x [B, L + H, C] → forecasts [B, H]; raw numbers [B, H, M] of a distribution.

    Raises:
        ConfigError: a setting out of range. ShapeError: windows that do not have the layout.

    Example:
        >>> import torch, rnnkit
        >>> from rnnkit.types import WindowLayout
        >>> layout = WindowLayout(lookback=96, horizon=48, series=7)
        >>> model = rnnkit.SegmentForecaster(layout, segment=24, hidden_size=32)
        >>> tuple(model(torch.zeros(5, 96 + 48, 2)).shape)
        (5, 48)
    """

    @explains_arguments(OTHER_NAMES | {"seg_len": "segment", "d_model": "hidden_size"}, INSTEAD)
    def __init__(
        self,
        layout: WindowLayout | Mapping[str, Any],
        segment: int = 24,
        hidden_size: int = 512,
        cell: Cell = "gru",
        *,
        output: Output = "point",
        norm: Norm = "last",
        dropout: float = 0.5,
        init: Init = "torch",
    ) -> None:
        check_whole(segment, "segment")
        check_whole(hidden_size, "hidden_size", 2)
        check_number(dropout, "dropout", below=1)
        arguments = {
            "segment": segment, "hidden_size": hidden_size, "cell": cell, "norm": norm, "dropout": dropout,
            "init": init, "embedding_size": hidden_size // 2,
        }  # fmt: skip
        super().__init__(layout, output, arguments, norm=norm)
        del self._arguments["embedding_size"]
        self.segment, self.dropout = segment, dropout
        if self.embedding is not None:
            torch.nn.init.normal_(self.embedding.weight)
        self.front = torch.nn.Linear(segment * self.step_size, hidden_size)
        self.body = make_recurrence(cell, hidden_size, hidden_size, 1, 0.0, init)
        count, size = -(-self.layout.horizon // segment), hidden_size - self._embedded_size
        self.positions = torch.nn.Parameter(torch.randn(count, size))
        known = len(self.layout.known)
        self.ahead = torch.nn.Linear(segment * known, hidden_size) if known else None
        self.head = torch.nn.Linear(hidden_size, segment * self.distribution.size)

    @property
    def step_size(self) -> int:
        """F, the features of a step of the lookback; the embedded series is read with the positions."""
        return self.layout.channels - int(self.layout.series > 0)

    def _with_embedding(self, past: Tensor, constant: Tensor) -> Tensor:
        return past if self.embedding is None else past[..., :-1]

    def forecast(self, x: Tensor) -> Tensor:
        """As a call, for windows [B, T + H, C] of any number T of lookback steps."""
        window, horizon = self.read(x), self.layout.horizon
        resets = None if window.resets is None else self._cut(window.resets[:, :, None], first=True).any(2)
        _, state = self.body(torch.relu(self.front(self._cut(window.features, first=True))), resets=resets)
        batch, count = len(x), len(self.positions)
        asked = self.positions.expand(batch, -1, -1)
        if self.embedding is not None:
            series = window.constant[:, None, len(self.layout.static) :]
            asked = torch.cat((asked, series.expand(-1, count, -1)), 2)
        if self.ahead is not None:
            asked = asked + self.ahead(self._cut(window.future, first=False))
        # Each segment of the horizon is a row of its own: one step from the same state.
        state = map_state(lambda leaf: leaf.repeat_interleave(count, 1), state)
        output, _ = self.body(asked.reshape(batch * count, 1, -1), state)
        dropped = torch.nn.functional.dropout(output, self.dropout, self.training)
        raw = self.head(dropped).view(batch, count * self.segment, -1)[:, :horizon]
        return self.finish(raw, window.back)

    @property
    def fixed_horizon(self) -> str:
        """Why the model forecasts no more steps than it was built for."""
        return "it has learned the places of these segments alone"

    def covariate_steps(self, steps: int) -> int:
        """Return of how many steps the first `steps` forecasts read the known covariates: those of whole segments."""
        return min(-(-steps // self.segment) * self.segment, self.layout.horizon)

    def _cut(self, steps: Tensor, *, first: bool) -> Tensor:
        """Steps [B, T, F] as segments [B, ceil(T / w), w · F], zeros in front of the first or behind the last one."""
        missing = -steps.shape[1] % self.segment
        if missing:
            steps = torch.nn.functional.pad(steps, (0, 0, missing, 0) if first else (0, 0, 0, missing))
        return steps.reshape(len(steps), steps.shape[1] // self.segment, -1)

    @property
    def recomputes(self) -> str | None:
        """Why a stream computes each forecast from the last L steps anew."""
        return super().recomputes or "its segments end with the window"
