"""Inactive units: saturated gates and states, dead and constant units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ._calls import measuring, output_of, taken, unwrapped
from ._trace import Track, recurrent_layers, traced
from .gradients import names_of

Tensor = torch.Tensor
# Of a sigmoid and of tanh: beyond these the derivative is below 0.01 and 0.02.
SIGMOID_LOW, SIGMOID_HIGH, TANH = 0.01, 0.99, 0.99
CONSTANT = 1e-6


@dataclass(frozen=True)
class Activity:
    """Saturated and idle units of one layer in one direction.

    Attributes:
        layer: the module's name and PyTorch's suffix: ``body.l0``, ``body.l0_reverse``.
        kind: ``"tanh"``, ``"relu"``, ``"sigmoid"``, ``"lstm"``, ``"gru"``, or ``"own"`` for a cell of your own.
        low: share of values, over valid steps, rows and units, at the lower end by gate: below 0.01 of a sigmoid,
            below -0.99 of a tanh. Gates are ``i``, ``f``, ``g``, ``o`` and ``tanh(c)`` of an LSTM, ``r``, ``z``, ``n``
            of a GRU, ``h`` of a simple recurrence with tanh or sigmoid.
        high: the same at the upper end, above 0.99.
        dead: bool [H], units of a ReLU that were 0 at every valid step of every row.
        constant: bool [H], units whose output hardly varied: a standard deviation of at most 1e-6 times 1 + |mean|.
    """

    layer: str
    kind: str
    low: dict[str, float]
    high: dict[str, float]
    dead: Tensor
    constant: Tensor

    def __repr__(self) -> str:
        shares = [f"{gate} {share:.1%}" for gate, share in self.saturated.items()]
        saturated = f"saturated {', '.join(shares)}; " if shares else ""
        idle = f"dead {self.dead_share:.1%}, constant {self.constant_share:.1%}"
        return f"Activity({self.layer}, {self.kind}; {saturated}{idle})"

    @property
    def saturated(self) -> dict[str, float]:
        """Share at either end, by gate."""
        return {gate: self.low[gate] + self.high[gate] for gate in self.low}

    @property
    def dead_share(self) -> float:
        """Share of dead units."""
        return float(self.dead.double().mean())

    @property
    def constant_share(self) -> float:
        """Share of units without variance."""
        return float(self.constant.double().mean())


def saturation(model: torch.nn.Module, inputs: Any) -> tuple[Activity, ...]:
    """Measure which shares of gates and states are saturated, and which units are dead.

    At the ends of σ and tanh the derivative is near 0, so that a saturated unit neither learns nor passes a gradient
    on; a gate at its end may also be what the task asks for (a forget gate near 1 remembers). A ReLU that is never
    above 0 gets no gradient from any row, and stays so. The model is called once, in evaluation mode, and left as it
    was. Saturation of gates as a picture: Karpathy, Johnson & Fei-Fei (arXiv:1506.02078).

    Args:
        model: any module with recurrent layers; of cells in a loop of your own only the states are seen.
        inputs: what the model is called with, see :func:`rnnkit.diagnostics.gradient_flow`. Padding is left out.

    Returns:
        an entry a layer and direction, from input to output.

    Raises:
        ConfigError: the model has no recurrent layer. DataError: NaN arrived.

    Example:
        >>> import torch, rnnkit
        >>> layer = rnnkit.SimpleRNN(1, 16, batch_first=True)
        >>> saturation(layer, 1000 * torch.ones(4, 10, 1))[0].saturated["h"] > 0.9
        True
    """
    model = unwrapped(model)
    recurrent_layers(model)  # refuses a model without
    with measuring(model), torch.no_grad(), traced(model) as tracks:
        output_of(model, taken(model, inputs))
        return tuple(_of(track, name) for track, name in zip(tracks, names_of(tracks), strict=True))


def _of(track: Track, name: str) -> Activity:
    valid = track.mask()
    h = track.over_time()[valid]  # [N, H]
    signals: dict[str, tuple[Tensor, float]] = {}
    for gate in track.gates[0]:
        values = torch.stack([step[gate] for step in track.gates], 1)[valid]
        signals[gate] = values, -TANH if gate in ("g", "n") else SIGMOID_LOW
    if track.kind == "lstm":
        signals["tanh(c)"] = track.over_time(1)[valid].tanh(), -TANH
    if track.kind in ("tanh", "sigmoid"):
        signals["h"] = h, -TANH if track.kind == "tanh" else SIGMOID_LOW
    low = {gate: float((values < least).double().mean()) for gate, (values, least) in signals.items()}
    high = {gate: float((values > SIGMOID_HIGH).double().mean()) for gate, (values, _) in signals.items()}
    spread = h.double().std(0, correction=0)
    constant = spread <= CONSTANT * (1 + h.double().mean(0).abs())
    dead = (h <= 0).all(0) if track.kind == "relu" else torch.zeros_like(constant)
    return Activity(name, track.kind, low, high, dead.cpu(), constant.cpu())
