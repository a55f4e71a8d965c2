"""Recurrent layers of a graph: masks of any form, states as further inputs and outputs, both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch

from ...errors import ConfigError, ShapeError, check_choice, check_number
from ...ops.state import tensors
from ...types import State
from .._base import RecurrentBase
from ..description import describe
from ..dropout import drop_features
from .base import GraphLayer, Mask, Masks, Tensor, Values, check_rank
from .cells import ActivatedCell

MergeMode = Literal["concat", "sum", "mul", "ave"] | None
MERGE_MODES: tuple[MergeMode, ...] = ("concat", "sum", "mul", "ave", None)


class Recurrent(GraphLayer):
    """One recurrent layer, or several that run step by step as one, in one direction.

    A step whose mask is false changes no state; the output there repeats the one before it (zeros at the beginning), or
    is 0 with ``zero_masked``.

    Args:
        layers: ``rnnkit.SimpleRNN``, ``LSTM`` or ``GRU`` with one layer and one direction, or ``rnnkit.RNN(cell)``; all
            with ``batch_first=True``. Each reads the outputs of the one before it.
        return_sequences: all outputs [B, T, H] instead of the last one [B, H].
        return_state: also the state tensors [B, H]: h, and c behind it for an LSTM, layer by layer.
        backward: read the steps from the last to the first; outputs come in that order.
        stateful: begin where the call before ended, row by row; :meth:`reset_states` forgets.
        zero_masked: see above.
        dropout: for each layer the probability of dropping a feature of its input while training, the same at all
            steps of a row.

    Shapes:
        x [B, T, I], then optional initial states [B, H] → y, then the states with ``return_state``.

    Raises:
        ShapeError: an input, a mask or a number of states that does not fit.

    Example:
        >>> import rnnkit
        >>> layer = Recurrent([rnnkit.GRU(3, 5, batch_first=True)])
        >>> mask = torch.tensor([[True, False, True], [False, False, False]])
        >>> (y,), _ = layer([torch.ones(2, 3, 3)], [mask])
        >>> tuple(y.shape), y[1].abs().sum().item()
        ((2, 5), 0.0)
    """

    def __init__(
        self,
        layers: Sequence[torch.nn.Module],
        return_sequences: bool = False,
        return_state: bool = False,
        backward: bool = False,
        stateful: bool = False,
        zero_masked: bool = False,
        dropout: Sequence[float] = (),
    ) -> None:
        super().__init__()
        if not layers:
            raise ConfigError("layers is empty; expected one recurrent layer or more")
        self.layers = torch.nn.ModuleList(layers)
        self.return_sequences, self.return_state = return_sequences, return_state
        self.backward_in_time, self.stateful, self.zero_masked = backward, stateful, zero_masked
        self.dropout = list(dropout) or [0.0] * len(layers)
        for rate in self.dropout:
            check_number(rate, "dropout", below=1)
        self._counts = [len(_state_sizes(layer)) for layer in layers]
        self._carried: list[Tensor] | None = None
        self.outputs = 1 + (sum(self._counts) if return_state else 0)

    def arguments(self) -> dict[str, Any]:
        return {
            "layers": [describe(layer) for layer in self.layers],
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "backward": self.backward_in_time,
            "stateful": self.stateful,
            "zero_masked": self.zero_masked,
            "dropout": self.dropout,
        }

    def reset_states(self) -> None:
        """Forget the states of the call before."""
        self._carried = None

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Run whole sequences; see the class."""
        y, states = self.run(inputs[0], masks[0], inputs[1:])
        output = y if self.return_sequences else y[:, -1]
        mask = masks[0] if self.return_sequences else None
        if not self.return_state:
            return (output,), (mask,)
        return (output, *states), (mask, *[None] * len(states))

    def run(self, x: Tensor, mask: Mask, initial: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return every output [B, T, H], in the order in which the steps are read, and the last states [B, H]."""
        check_rank(x, 3, self, "[batch, time, features]")
        states = self._initial(x, initial)
        if self.backward_in_time:
            x, mask = x.flip(1), None if mask is None else mask.flip(1)
        if mask is None:
            y, after = self._run_layers(x, states, None)
        else:
            y, after = self._run_masked(x, states, mask.to(torch.bool))
        if self.stateful:
            self._carried = [state.detach() for state in after]
        return y, after

    def _run_masked(self, x: Tensor, states: list[Tensor], mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        if mask.shape != x.shape[:2]:
            raise ShapeError.of("mask", list(mask.shape), f"; expected {list(x.shape[:2])}, [batch, time] of the input")
        counts = mask.sum(1)
        order = torch.argsort(~mask, dim=1, stable=True)  # valid steps first, in their order
        gathered = torch.gather(x, 1, order.unsqueeze(-1).expand_as(x))
        y, after = self._run_layers(gathered, states, counts.clamp(min=1))
        some = (counts > 0).unsqueeze(1)
        after = [torch.where(some, new, old) for new, old in zip(after, states, strict=True)]
        place = mask.cumsum(1) - 1  # of the last valid step up to each step
        y = torch.gather(y, 1, place.clamp(min=0).unsqueeze(-1).expand(*place.shape, y.shape[-1]))
        shown = mask if self.zero_masked else place >= 0
        return torch.where(shown.unsqueeze(-1), y, 0), after

    def _run_layers(self, x: Tensor, states: list[Tensor], lengths: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        after: list[Tensor] = []
        begun = 0
        for layer, count, rate in zip(self.layers, self._counts, self.dropout, strict=True):
            own, begun = states[begun : begun + count], begun + count
            if rate and self.training:
                x = drop_features(x, rate)
            cell = getattr(layer, "cell", None)
            if isinstance(cell, ActivatedCell):
                cell.begin(x)
            stacked = isinstance(layer, RecurrentBase)  # its states have an axis of layers in front
            given = [state.unsqueeze(0) for state in own] if stacked else own
            hx: State = given[0] if count == 1 else tuple(given)
            x, state = layer(x, hx, lengths=lengths)
            found = tensors(state)
            after += [one.squeeze(0) for one in found] if stacked else found
        return x, after

    def _initial(self, x: Tensor, given: Sequence[Tensor]) -> list[Tensor]:
        sizes = [size for layer in self.layers for size in _state_sizes(layer)]
        if given:
            shapes = [list(one.shape) for one in given]
            if shapes != [[x.shape[0], size] for size in sizes]:
                raise ShapeError(f"initial states of shapes {shapes} arrived; expected [batch, H] with H = {sizes}")
            return list(given)
        if self.stateful and self._carried is not None:
            if len(self._carried[0]) != x.shape[0]:
                raise ShapeError(
                    f"{x.shape[0]} rows arrived, but the stateful layer carries the states of {len(self._carried[0])}; "
                    "pass as many rows, or type model.reset_states() before. A Learner, whose rows begin anew, takes "
                    "layers with stateful = False"
                )
            return [state.to(x.device) for state in self._carried]
        return [x.new_zeros(x.shape[0], size) for size in sizes]

    def extra_repr(self) -> str:
        shown = {
            "return_sequences": self.return_sequences, "return_state": self.return_state,
            "backward": self.backward_in_time, "stateful": self.stateful,
        }  # fmt: skip
        return ", ".join(f"{name}={value}" for name, value in shown.items() if value)


class BothDirections(GraphLayer):
    """Two :class:`Recurrent` layers that read the steps in opposite directions, and what becomes of their outputs.

    Args:
        forward_layer: reads from the first step.
        backward_layer: reads from the last step (``backward=True``); its outputs are put into the order of the input.
        merge: "concat" (on the last axis), "sum", "mul", "ave" (the mean), or None for two outputs.

    Example:
        >>> import rnnkit
        >>> both = [Recurrent([rnnkit.GRU(3, 5, batch_first=True)], backward=back) for back in (False, True)]
        >>> (y,), _ = BothDirections(*both, merge="sum")([torch.zeros(2, 3, 3)], [None])
        >>> tuple(y.shape)
        (2, 5)
    """

    def __init__(
        self, forward_layer: torch.nn.Module, backward_layer: torch.nn.Module, merge: MergeMode = "concat"
    ) -> None:
        super().__init__()
        check_choice(merge, "merge", MERGE_MODES)
        layers = (forward_layer, backward_layer)
        if not all(isinstance(layer, Recurrent) for layer in layers):
            raise ConfigError(f"a {type(layers[0]).__name__} arrived; expected two layers of graph.Recurrent")
        self.forward_layer: Any = forward_layer
        self.backward_layer: Any = backward_layer
        self.merge = merge
        parts: tuple[Any, ...] = (self.forward_layer, self.backward_layer)
        self.outputs = (2 if merge is None else 1) + sum(part.outputs - 1 for part in parts)

    def arguments(self) -> dict[str, Any]:
        return {
            "forward_layer": describe(self.forward_layer),
            "backward_layer": describe(self.backward_layer),
            "merge": self.merge,
        }

    def reset_states(self) -> None:
        """Forget the states of the call before."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    def forward(self, inputs: Sequence[Tensor], masks: Sequence[Mask]) -> tuple[Values, Masks]:
        """Run both directions; initial states are those of the forward layer, then those of the other."""
        x, given = inputs[0], inputs[1:]
        half = len(given) // 2
        first, second = self.forward_layer, self.backward_layer
        y, states = first.run(x, masks[0], given[:half])
        z, more = second.run(x, masks[0], given[half:])
        if first.return_sequences:
            z = z.flip(1)
        else:
            y, z = y[:, -1], z[:, -1]
        mask = masks[0] if first.return_sequences else None
        merged = _merged(y, z, self.merge)
        kept = [*states, *more] if first.return_state else []
        return (*merged, *kept), (*[mask] * len(merged), *[None] * len(kept))

    def extra_repr(self) -> str:
        return f"merge={self.merge}"


def _merged(y: Tensor, z: Tensor, mode: MergeMode) -> Values:
    if mode == "concat":
        return (torch.cat((y, z), -1),)
    if mode == "sum":
        return (y + z,)
    if mode == "mul":
        return (y * z,)
    if mode == "ave":
        return ((y + z) / 2,)
    return y, z


def _state_sizes(layer: torch.nn.Module) -> list[int]:
    """Features of each state tensor."""
    sized: Any = layer if isinstance(layer, RecurrentBase) else layer.cell
    pair = getattr(layer, "state_names", ()) == ("h", "c") if sized is layer else getattr(sized, "gates", 0) == 4
    return [sized.hidden_size] * (2 if pair else 1)
