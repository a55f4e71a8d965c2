"""Gradients through time: the norm of ∂L/∂h_t by layer, direction and time step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..ops.losses import LossFunction
from ._calls import loss_of, measuring, output_of, taken, unwrapped
from ._trace import Track, recurrent_layers, traced

Tensor = torch.Tensor


@dataclass(frozen=True)
class LayerGradients:
    """The gradients of one layer in one direction.

    Attributes:
        layer: the module's name and PyTorch's suffix: ``body.l0``, ``body.l0_reverse``.
        rows: ‖∂L/∂h_{b,t}‖ of each row and step, [B, T]; NaN in padding.
        cell_rows: ‖∂L/∂c_{b,t}‖ of an LSTM layer's cell states, which carry its gradient; None for others.
        reverse: the layer reads from the last step to the first, so that gradients travel to later steps.
    """

    layer: str
    rows: Tensor
    cell_rows: Tensor | None = None
    reverse: bool = False

    def __repr__(self) -> str:
        return f"LayerGradients({self.layer}, {self.rows.shape[1]} steps, far to near {self.far_to_near:.3g})"

    @property
    def norms(self) -> Tensor:
        """‖∂L/∂h_t‖ over all rows, [T]: the root of the sum of squares."""
        return self.rows.square().nansum(0).sqrt()

    @property
    def cell_norms(self) -> Tensor | None:
        """The same of ∂L/∂c_t."""
        return None if self.cell_rows is None else self.cell_rows.square().nansum(0).sqrt()

    @property
    def far_to_near(self) -> float:
        """The gradient's norm at the far end of time over its norm at the near end.

        The near end is the last valid step, where the recurrence stops, the far end the first (the reverse direction
        has them the other way round). Below 1 gradients vanish, above it they explode; the median over rows.
        """
        valid = ~self.rows.isnan()
        index = torch.arange(len(self.rows), device=self.rows.device)
        first, last = self.rows[:, 0], self.rows[index, valid.sum(1) - 1]
        far, near = (last, first) if self.reverse else (first, last)
        known = near > 0
        return float((far[known] / near[known]).median()) if known.any() else float("nan")


@dataclass(frozen=True)
class GradientFlow:
    """The loss, and its gradients at each layer, from input to output."""

    loss: float
    layers: tuple[LayerGradients, ...]

    def __repr__(self) -> str:
        ratios = ", ".join(f"{one.layer} {one.far_to_near:.3g}" for one in self.layers)
        return f"GradientFlow(loss {self.loss:.4g}; gradient at the far end over the near end: {ratios})"

    def __getitem__(self, layer: str) -> LayerGradients:
        return {one.layer: one for one in self.layers}[layer]


def gradient_flow(
    model: torch.nn.Module, inputs: Any, targets: Any, loss: str | LossFunction | None = None
) -> GradientFlow:
    """Measure ∂L/∂h_t, the total derivative of the loss by each hidden state through all that comes after it.

    With h_t = f(x_t, h_{t-1}) and J_t = ∂h_t/∂h_{t-1}, backpropagation through time computes
    ∂L/∂h_t = (∂L/∂h_t)_direct + J_{t+1}ᵀ ∂L/∂h_{t+1}: products of Jacobians, which shrink or grow exponentially with
    the distance where their singular values stay below or above 1 (Bengio, Simard & Frasconi 1994; Pascanu, Mikolov &
    Bengio, arXiv:1211.5063). It is computed, not estimated: the layers run as a plain loop of their own reference step
    on their own weights, and automatic differentiation is asked for the gradient of every h_t. The model is called
    once, in evaluation mode; its modes, gradients and the random generators are left as they were. 1,000 steps take
    about a second.

    Legend: B batch, T time, I input, H hidden.

    Args:
        model: any module with recurrent layers: rnnkit's, PyTorch's ``RNN``, ``LSTM``, ``GRU``, or cells of these.
        inputs: what the model is called with: [B, T, I], ``Sequences``, a ``PackedSequence``, a list of [T_b, I]. A
            few dozen rows suffice; memory is that of B × T steps.
        targets: what the loss compares the output with.
        loss: ``(output, targets) -> number``, a name such as ``"mse"``, or None for the model's ``default_loss``. A
            mean over the batch makes norms smaller with more rows, ratios not.

    Returns:
        norms by layer, direction, row and step, from input to output. A layer called twice has ``#2`` behind its name.

    Raises:
        ConfigError: the model has no recurrent layer, or no loss is known. DataError: NaN arrived, or came out.

    Example:
        >>> import torch, rnnkit
        >>> model = rnnkit.SequenceRegressor(rnnkit.SimpleRNN(1, 16))
        >>> flow = gradient_flow(model, torch.randn(8, 50, 1), torch.zeros(8))
        >>> [(one.layer, tuple(one.norms.shape)) for one in flow.layers]
        [('body.l0', (50,))]
        >>> bool(flow.layers[0].norms[0] < flow.layers[0].norms[-1])  # a default initialisation forgets
        True
    """
    model = unwrapped(model)
    recurrent_layers(model)  # refuses a model without
    with measuring(model), traced(model) as tracks:
        ready = taken(model, inputs)
        value = loss_of(model, loss, output_of(model, ready), targets, ready)
        wanted = [leaf for track in tracks for state in track.states for leaf in state]
        found = iter(torch.autograd.grad(value, wanted, allow_unused=True))
        layers = tuple(_of(track, found, name) for track, name in zip(tracks, names_of(tracks), strict=True))
    return GradientFlow(value.item(), layers)


def _of(track: Track, found: Any, name: str) -> LayerGradients:
    """Take as many gradients as the track has states from ``found``."""
    kinds = len(track.states[0])
    by_state: list[list[Tensor]] = [[] for _ in range(kinds)]
    for state in track.states:
        for place, leaf in enumerate(state):
            gradient = next(found)
            # What nothing reads, such as the state behind the last step of a direction that is not used, gets none.
            known = torch.zeros_like(leaf) if gradient is None else gradient
            by_state[place].append(torch.linalg.vector_norm(known.flatten(1), dim=1))
    padding = ~track.mask()
    rows = [torch.stack(each, 1).masked_fill(padding, float("nan")).cpu() for each in by_state]
    # PyTorch's fused cells hide how h_t hangs on c_t, so that the gradient of a cell's c_t is not known in whole.
    return LayerGradients(name, rows[0], rows[1] if track.kind == "lstm" and track.gates[0] else None, track.reverse)


def names_of(tracks: Sequence[Track]) -> list[str]:
    """The tracks' names; a layer that was called more than once has #2, #3 ... behind it."""
    seen: Counter[str] = Counter()
    names = []
    for track in tracks:
        seen[track.name] += 1
        names.append(track.name if seen[track.name] == 1 else f"{track.name} #{seen[track.name]}")
    return names
